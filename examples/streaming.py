"""Answers that are made while they are sent, and bodies that are read while they come.

curl -N http://127.0.0.1:8000/events        curl -N -T some-large-file http://127.0.0.1:8000/echo
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterator

from asioserve import App, ClientDisconnected, Request, StreamingResponse

app = App()


async def count(to: int) -> AsyncIterator[str]:
    """An async generator; between two chunks other requests run."""
    for i in range(1, to + 1):
        yield f"{i}\n"
        await asyncio.sleep(0.01)


@app.get("/numbers")
async def numbers(to: int = 10) -> StreamingResponse:
    """A slow reader stops the generator: memory does not grow."""
    return StreamingResponse(count(to), media_type="text/plain")


def rows(count: int) -> Iterator[bytes]:
    """A plain generator: it runs in the executor, so it may block."""
    yield b"id,square\n"
    for i in range(count):
        yield f"{i},{i * i}\n".encode()


@app.get("/table.csv")
async def table(count: int = 1000) -> StreamingResponse:
    """A download with a name."""
    return StreamingResponse(
        rows(count),
        media_type="text/csv",
        headers={"content-disposition": 'attachment; filename="table.csv"'},
    )


LISTENERS: set[asyncio.Task[object] | None] = set()


async def ticks() -> AsyncIterator[str]:
    """Server-sent events. The ``finally`` runs when the reader leaves, so nothing is left behind."""
    me = asyncio.current_task()
    LISTENERS.add(me)
    try:
        number = 0
        while True:
            event = {"number": number, "time": time.time(), "listeners": len(LISTENERS)}
            yield f"id: {number}\ndata: {json.dumps(event)}\n\n"
            number += 1
            await asyncio.sleep(1)
    finally:
        LISTENERS.discard(me)


@app.get("/events")
async def events() -> StreamingResponse:
    """In a browser: ``new EventSource("/events").onmessage = e => console.log(e.data)``."""
    return StreamingResponse(ticks(), media_type="text/event-stream", headers={"cache-control": "no-cache"})


@app.post("/echo")
@app.put("/echo")
async def echo(request: Request) -> StreamingResponse:
    """Sends back what comes while it comes: no more than a few chunks are ever in memory."""
    return StreamingResponse(request.stream(), media_type=request.headers.get("content-type", "text/plain"))


@app.post("/digest")
@app.put("/digest")
async def digest(request: Request) -> dict[str, object]:
    """Reads an upload of any length piece by piece."""
    sha, length = hashlib.sha256(), 0
    try:
        async for chunk in request.stream():
            sha.update(chunk)
            length += len(chunk)
    except ClientDisconnected:
        print(f"the peer left after {length} bytes")
        raise
    return {"length": length, "sha256": sha.hexdigest()}
