"""What the supervisor's tests serve from the real stages."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asioserve import App

if os.environ.get("SWITCHED_IMPORT") == "fails":
    raise RuntimeError("this app does not want to be imported")
if os.environ.get("SWITCHED_IMPORT") == "waits":
    print("switched: waits", file=sys.stderr, flush=True)
    time.sleep(600)


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    if os.environ.get("SWITCHED_STARTUP") == "fails":
        raise RuntimeError("this app does not want to start")
    yield


app = App(lifespan=lifespan)


@app.get("/")
async def root() -> dict[str, int]:
    """Waits, so that a request is always on its way when a stage ends."""
    await asyncio.sleep(0.002)
    return {"pid": os.getpid()}


@app.get("/plain")
def plain() -> dict[str, int]:
    return {"pid": os.getpid()}


@app.get("/slow")
async def slow() -> dict[str, int]:
    await asyncio.sleep(1)
    return {"pid": os.getpid()}


@app.get("/exit/{code}")
async def leave(code: int) -> None:
    raise SystemExit(code)


@app.get("/descriptors")
async def descriptors() -> list[str]:
    """What a program started by the app would inherit beyond the three standard ones."""
    command = ["/bin/ls", "/proc/self/fd"]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=True, close_fds=False
    )
    return sorted(set(done.stdout.split()) - {"0", "1", "2"})
