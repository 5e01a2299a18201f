"""Apps that begin, live and end in unusual ways; LIFE says how."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asioserve import App, Response

LIFE = os.environ.get("LIFE", "")
background: set[asyncio.Task[None]] = set()


def say(text: str) -> None:
    """A line in the log."""
    print(text, file=sys.stderr, flush=True)


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    if LIFE == "startup-raises":
        raise RuntimeError("the database is away")
    if LIFE == "startup-exits":
        sys.exit(9)
    if LIFE == "startup-hangs":
        say("starting for ever")
        try:
            await asyncio.sleep(3600)
        finally:
            say("the startup was cancelled")
    if LIFE == "startup-hangs-in-c":
        say("starting for ever")
        time.sleep(3600)  # noqa: ASYNC251
    yield
    say("the app shuts down")
    if LIFE == "shutdown-raises":
        raise RuntimeError("the database hangs up")
    if LIFE == "shutdown-exits":
        sys.exit(8)
    if LIFE == "shutdown-hangs":
        await asyncio.sleep(3600)


app = App(lifespan=lifespan)


class Lingering:
    """Goes when the interpreter is finalised and Python has let go of its signals; takes its time."""

    def __del__(self, write: Any = os.write, sleep: Any = time.sleep) -> None:
        write(2, b"lingering\n")
        sleep(1)


if LIFE == "lingers":
    sys.lingering = Lingering()  # type: ignore[attr-defined]


@app.get("/")
async def root() -> dict[str, Any]:
    return {"pid": os.getpid(), "frozen": gc.get_freeze_count()}


@app.get("/plain")
def plain() -> str:
    return "plain"


@app.get("/slow")
async def slow() -> str:
    """Answers when a task of its own has done what ends the server."""
    say("slow has begun")
    await asyncio.sleep(0.3)
    return "slow but there"


@app.get("/exit-in-task")
async def exit_in_task() -> str:
    async def leave() -> None:
        raise SystemExit(7)

    background.add(asyncio.create_task(leave()))
    return "on its way"


@app.get("/stop-the-loop")
async def stop_the_loop() -> str:
    asyncio.get_running_loop().call_later(0.05, asyncio.get_running_loop().stop)
    return "on its way"


@app.get("/cancel-all")
async def cancel_all() -> str:
    """What some apps do on their way out: the server's own task is among them."""
    me = asyncio.current_task()
    for task in asyncio.all_tasks():
        if task is not me:
            task.cancel()
    return "all cancelled"


@app.get("/thread-for-ever")
async def thread_for_ever() -> str:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return "started"


@app.get("/executor-for-ever")
async def executor_for_ever() -> str:
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    return "started"


@app.get("/hang")
async def hang() -> str:
    say("hanging")
    time.sleep(3600)  # noqa: ASYNC251
    return ""


@app.get("/fork")
async def fork() -> dict[str, int]:
    """A child of os.fork() that gets a signal meant for it."""
    pid = os.fork()
    if pid == 0:
        time.sleep(3600)  # noqa: ASYNC251
        os._exit(1)
    os.kill(pid, signal.SIGTERM)
    return {"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}  # noqa: ASYNC222


@app.get("/threads")
async def threads() -> Response:
    return Response(str(threading.active_count()))
