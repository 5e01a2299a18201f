"""Apps about beginning and ending."""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asioserve import App, Request


def say(text: str) -> None:
    """A line in the log."""
    print(text, file=sys.stderr, flush=True)


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    say("lifespan: startup")
    yield {"started": 1}
    say("lifespan: shutdown")


@asynccontextmanager
async def no_startup(app: App) -> AsyncIterator[None]:
    raise RuntimeError("the database is away")
    yield


@asynccontextmanager
async def no_shutdown(app: App) -> AsyncIterator[None]:
    yield
    raise RuntimeError("the database hangs up")


app = App(lifespan=lifespan)
fails_to_start = App(lifespan=no_startup)
fails_to_stop = App(lifespan=no_shutdown)


@app.get("/state")
async def state(request: Request) -> dict[str, Any]:
    return {"started": request.state.started}


@app.get("/hang")
async def hang() -> None:
    """Holds the loop, and everything with it, for longer than any test."""
    say("hanging now")
    time.sleep(600)  # noqa: ASYNC251
