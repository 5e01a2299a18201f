"""The app that most tests talk to; its routes are in web.py, streams.py and tasks.py."""

import asyncio
import gc
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streams
import tasks
import web
from asioserve import App

#: Events that tests wait for and set by name, so that none of them has to sleep.
events: dict[str, asyncio.Event] = {}
counts: Counter[str] = Counter()


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    """Yields the state that /lifespan shows."""
    yield {"started": "yes", "loop": type(asyncio.get_running_loop()).__module__.split(".")[0]}


app = App(lifespan=lifespan)
web.add(app)
streams.add(app, events, counts)
tasks.add(app, events, counts)


@app.get("/debug/state")
async def state() -> dict[str, Any]:
    """What a leak would make grow."""
    return {
        "pid": os.getpid(),
        "tasks": len(asyncio.all_tasks()),
        "streams": streams.open_generators(),
        "threads": threading.active_count(),
    }


@app.get("/debug/objects")
async def objects() -> dict[str, int]:
    """Counts of live objects by type name, after a full collection."""
    gc.collect()
    return dict(Counter(type(o).__name__ for o in gc.get_objects()))


@app.get("/debug/count/{name}")
async def count(name: str) -> dict[str, int]:
    return {"count": counts[name]}


@app.post("/debug/set/{name}")
async def set_event(name: str) -> dict[str, bool]:
    """Sets an event; it stays set."""
    events.setdefault(name, asyncio.Event()).set()
    return {"set": True}


@app.get("/debug/is_set/{name}")
async def is_set(name: str) -> dict[str, bool]:
    return {"set": name in events and events[name].is_set()}


@app.get("/debug/set/{name}")
async def set_event_safely(name: str) -> dict[str, bool]:
    """The same as a safe method, for pipelines."""
    events.setdefault(name, asyncio.Event()).set()
    return {"set": True}


@app.post("/debug/forget")
async def forget() -> dict[str, bool]:
    """Lets go of all events and counts: a long test must not measure what it has left in them."""
    events.clear()
    counts.clear()
    return {"forgotten": True}


@app.get("/wait/{name}")
async def wait(name: str) -> dict[str, str]:
    """Answers when the event is set."""
    counts[f"wait-{name}"] += 1
    await events.setdefault(name, asyncio.Event()).wait()
    counts[f"done-{name}"] += 1
    return {"waited": name}


@app.post("/wait/{name}")
async def wait_unsafely(name: str) -> dict[str, str]:
    """The same as an unsafe method."""
    return await wait(name)
