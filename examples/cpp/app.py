"""C++ coroutines behind routes, and between them: an app for cpp_server (server.cpp), which has cpp_awaitables built in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cpp_awaitables as cpp
from asioserve import App, HTTPException

mailboxes: list[cpp.Channel] = []


@asynccontextmanager
async def lifespan(_app: App) -> AsyncIterator[None]:
    """Make the channel once the loop runs: it lives on it."""
    mailboxes.append(cpp.Channel(0))
    yield
    mailboxes.pop().close()


app = App(lifespan=lifespan)


@app.get("/wait/{seconds}")
async def wait(seconds: float) -> str:
    """A handler in C++: this line is all that is left of it in Python."""
    return await cpp.sleep(seconds)


@app.get("/python")
async def python() -> str:
    """A handler in Python."""
    await asyncio.sleep(0)
    return "python"


@app.get("/overlap")
async def overlap() -> list[str]:
    """A C++ coroutine awaits three Python ones at once."""
    return list(await cpp.overlap(python(), python(), wait(0)))


@app.post("/mail", status_code=202)
async def send(body: bytes) -> None:
    """One request sends through the C++ channel, and waits until somebody has received."""
    await mailboxes[0].send(body.decode())


@app.get("/mail")
async def receive(within: float = 10) -> str:
    """Another one receives."""
    try:
        async with asyncio.timeout(within):
            return str(await mailboxes[0].receive())
    except TimeoutError:
        raise HTTPException(404, "No mail") from None
