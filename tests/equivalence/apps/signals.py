"""An app with a signal handler of its own; APP_SIGNAL says where it is installed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asioserve import App

WHERE = os.environ.get("APP_SIGNAL", "")


def say() -> None:
    print("the app got SIGTERM", file=sys.stderr, flush=True)


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    if WHERE == "loop":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, say)
    yield


if WHERE == "import":
    signal.signal(signal.SIGTERM, lambda number, frame: say())

app = App(lifespan=lifespan)


@app.get("/")
async def root() -> str:
    return "here"
