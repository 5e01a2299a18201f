"""A task that outlives its response.

curl -X POST "http://127.0.0.1:8000/jobs?seconds=3"   answers at once;   curl http://127.0.0.1:8000/jobs
shows how far it is.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asioserve import App, HTTPException

JOBS: dict[int, str] = {}
NUMBERS = itertools.count(1)
# The loop itself keeps only weak references to tasks: one that nobody keeps may vanish half way.
TASKS: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """At the end gives the jobs that still run two seconds, and then cancels them."""
    yield
    if TASKS:
        late = (await asyncio.wait(TASKS, timeout=2))[1]
        for task in late:
            task.cancel()


app = App(lifespan=lifespan)


async def work(number: int, seconds: float) -> None:
    """The job. It is an ordinary task of the same loop: awaiting, cancelling and context work as anywhere."""
    JOBS[number] = "running"
    try:
        await asyncio.sleep(seconds)
        JOBS[number] = "done"
    except asyncio.CancelledError:
        JOBS[number] = "cancelled"
        raise


@app.post("/jobs", status_code=202)
async def start(seconds: float = 1.0) -> dict[str, int]:
    """Answers at once; the task goes on."""
    number = next(NUMBERS)
    JOBS[number] = "waiting"
    task = asyncio.create_task(work(number, seconds), name=f"job {number}")
    TASKS.add(task)
    task.add_done_callback(TASKS.discard)
    return {"job": number}


@app.get("/jobs")
async def jobs() -> list[dict[str, int | str]]:
    """All jobs and where they are."""
    return [{"job": number, "state": state} for number, state in JOBS.items()]


@app.delete("/jobs/{number}", status_code=204)
async def cancel(number: int) -> None:
    """Cancels a job that runs."""
    for task in TASKS:
        if task.get_name() == f"job {number}":
            task.cancel()
            return
    raise HTTPException(404, "No such job")
