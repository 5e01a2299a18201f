"""Streamed bodies, both ways."""

import asyncio
import contextvars
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

from asioserve import App, ClientDisconnected, HTTPException, Request, StreamingResponse

_open = 0
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def open_generators() -> int:
    """How many of the generators below have begun and not ended."""
    return _open


class _Counted:
    """Counts a generator's life."""

    def __init__(self, counts: Counter[str], name: str) -> None:
        self.counts, self.name = counts, name

    def __enter__(self) -> None:
        global _open  # noqa: PLW0603
        _open += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        global _open  # noqa: PLW0603
        _open -= 1
        self.counts[f"closed-{self.name}"] += 1
        if kind is not None:
            self.counts[f"closed-{self.name}-{kind.__name__}"] += 1


def add(app: App, events: dict[str, asyncio.Event], counts: Counter[str]) -> None:
    """Declares everything."""
    _answers(app, events, counts)
    _bodies(app, events, counts)


def _answers(app: App, events: dict[str, asyncio.Event], counts: Counter[str]) -> None:
    @app.get("/stream/async/{n}")
    async def stream_async(n: int) -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            for i in range(n):
                await asyncio.sleep(0)
                yield b"chunk %d\n" % i

        return StreamingResponse(produce(), media_type="text/plain")

    @app.get("/stream/eager/{n}")
    async def stream_eager(n: int) -> StreamingResponse:
        async def produce() -> AsyncIterator[str]:
            for i in range(n):
                yield f"chunk {i}\n"

        return StreamingResponse(produce(), 201, {"X-Stream": "1"})

    @app.get("/stream/sync/{n}")
    async def stream_sync(n: int) -> StreamingResponse:
        def produce() -> Iterator[bytes]:
            for i in range(n):
                yield b"chunk %d\n" % i

        return StreamingResponse(produce(), media_type="text/plain")

    @app.get("/stream/from-sync/{n}")
    def stream_from_sync(n: int) -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            for i in range(n):
                yield b"chunk %d\n" % i

        return StreamingResponse(produce(), media_type="text/plain")

    @app.get("/stream/step/{name}")
    async def stream_step(name: str) -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            with _Counted(counts, name):
                yield b"first"
                await events.setdefault(name, asyncio.Event()).wait()
                yield b"second"

        return StreamingResponse(produce())

    @app.get("/stream/endless/{name}")
    async def stream_endless(name: str, size: int = 65536) -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            with _Counted(counts, name):
                while True:
                    counts[f"produced-{name}"] += 1
                    yield b"x" * size

        return StreamingResponse(produce())

    @app.get("/stream/endless-sync/{name}")
    async def stream_endless_sync(name: str, size: int = 65536) -> StreamingResponse:
        def produce() -> Iterator[bytes]:
            with _Counted(counts, name):
                while True:
                    counts[f"produced-{name}"] += 1
                    yield b"x" * size

        return StreamingResponse(produce())

    @app.get("/stream/idle/{name}")
    async def stream_idle(name: str) -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            with _Counted(counts, name):
                yield b"first"
                await asyncio.Event().wait()

        return StreamingResponse(produce())

    @app.get("/stream/fails-at-once")
    async def fails_at_once() -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            raise ValueError("secret of the stream")
            yield b""

        return StreamingResponse(produce())

    @app.get("/stream/refuses-at-once")
    async def refuses_at_once() -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            raise HTTPException(410, "no more of these")
            yield b""

        return StreamingResponse(produce())

    @app.get("/stream/fails-after/{how}")
    async def fails_after(how: str) -> StreamingResponse:
        async def waits() -> AsyncIterator[bytes]:
            await asyncio.sleep(0)
            raise ValueError("secret of the stream")
            yield b""

        def in_executor() -> Iterator[bytes]:
            raise ValueError("secret of the stream")
            yield b""

        return StreamingResponse(waits() if how == "a-wait" else in_executor())

    @app.get("/stream/first-step/{name}")
    async def first_step(name: str) -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            await events.setdefault(name, asyncio.Event()).wait()
            yield b"first"

        return StreamingResponse(produce())

    @app.get("/stream/fails-later")
    async def fails_later() -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            yield b"before"
            await asyncio.sleep(0)
            raise ValueError("secret of the stream")

        return StreamingResponse(produce())

    @app.get("/stream/context")
    async def stream_context() -> StreamingResponse:
        variable.set("from the handler")

        async def produce() -> AsyncIterator[bytes]:
            yield variable.get().encode() + b"\n"
            variable.set("from the stream")
            await asyncio.sleep(0)
            yield variable.get().encode() + b"\n"

        return StreamingResponse(produce())

    @app.get("/stream/length")
    async def stream_length() -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            yield b"12345"
            yield b"67890"

        return StreamingResponse(produce(), headers={"content-length": "10"})


def _bodies(app: App, events: dict[str, asyncio.Event], counts: Counter[str]) -> None:
    @app.post("/upload/count")
    async def upload_count(request: Request) -> dict[str, int]:
        size = chunks = 0
        async for chunk in request.stream():
            size += len(chunk)
            chunks += bool(chunk)
        return {"size": size, "chunks": min(chunks, 1)}

    @app.post("/upload/read")
    async def upload_read(request: Request) -> bytes:
        return b"".join([chunk async for chunk in request.stream()])

    @app.post("/upload/echo")
    async def upload_echo(request: Request) -> StreamingResponse:
        async def produce() -> AsyncIterator[bytes]:
            async for chunk in request.stream():
                yield chunk

        return StreamingResponse(produce(), media_type="application/octet-stream")

    @app.post("/upload/begun")
    async def upload_begun(request: Request) -> StreamingResponse:
        """Answers something before it reads."""

        async def produce() -> AsyncIterator[bytes]:
            yield b"begun"
            async for chunk in request.stream():
                yield chunk

        return StreamingResponse(produce(), media_type="application/octet-stream")

    @app.post("/upload/held/{name}")
    async def upload_held(request: Request, name: str) -> dict[str, int]:
        counts[f"held-{name}"] += 1
        await events.setdefault(name, asyncio.Event()).wait()
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return {"size": size}

    @app.post("/upload/first/{name}")
    async def upload_first(request: Request, name: str) -> dict[str, Any]:
        """Reads one chunk, waits for the event, reads the rest."""
        body = request.stream().__aiter__()
        first = await body.__anext__()
        counts[f"first-{name}"] += 1
        await events.setdefault(name, asyncio.Event()).wait()
        rest = 0
        async for chunk in body:
            rest += len(chunk)
        return {"first": len(first), "rest": rest}

    @app.post("/upload/refused")
    async def upload_refused(request: Request) -> tuple[str, int]:
        return ("no, thank you", 403)

    @app.post("/upload/left/{name}")
    async def upload_left(request: Request, name: str) -> dict[str, bool]:
        """Counts how a body ends whose peer leaves in the middle."""
        try:
            async for _ in request.stream():
                counts[f"chunk-{name}"] += 1
        except ClientDisconnected:
            counts[f"left-{name}"] += 1
            raise
        counts[f"whole-{name}"] += 1
        return {"whole": True}

    @app.get("/disconnect/kept/{name}")
    async def kept(name: str) -> dict[str, bool]:
        """Is not cancelled when its peer leaves: goes on to its end."""
        counts[f"begun-{name}"] += 1
        try:
            await events.setdefault(name, asyncio.Event()).wait()
        except asyncio.CancelledError:
            counts[f"cancelled-{name}"] += 1
            raise
        counts[f"ended-{name}"] += 1
        return {"kept": True}

    @app.get("/disconnect/sees/{name}")
    async def sees(request: Request, name: str) -> dict[str, bool]:
        """Looks now and then whether its peer is still there."""
        counts[f"begun-{name}"] += 1
        while not await request.is_disconnected():
            counts[f"looked-{name}"] += 1
            await asyncio.sleep(0.005)
        counts[f"saw-{name}"] += 1
        return {"kept": False}

    @app.get("/disconnect/cancelled/{name}", cancel_on_disconnect=True)
    async def cancelled(name: str) -> dict[str, bool]:
        """Is cancelled when its peer leaves, because it asks for that."""
        counts[f"begun-{name}"] += 1
        try:
            await events.setdefault(name, asyncio.Event()).wait()
        except asyncio.CancelledError:
            counts[f"cancelled-{name}"] += 1
            raise
        finally:
            counts[f"ended-{name}"] += 1
        return {"kept": True}

    @app.get("/disconnect/sync/{name}", pool=True)
    def sync_slow(name: str) -> dict[str, bool]:
        """A pool's thread that works on while the peer is gone."""
        counts[f"begun-{name}"] += 1
        for _ in range(2000):
            if counts[f"go-{name}"]:
                break
            time.sleep(0.005)
        counts[f"ended-{name}"] += 1
        return {"kept": True}

    @app.post("/disconnect/go/{name}")
    async def go(name: str) -> dict[str, bool]:
        counts[f"go-{name}"] += 1
        return {"go": True}
