"""Answers that are made while they are sent."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any, Protocol

from ._responses import Response

Chunk = str | bytes | bytearray | memoryview


class Sink(Protocol):
    """Where a streamed answer goes (native: ``_asioserve.Sink``)."""

    def wants_body(self, status: int) -> bool:
        """False where an answer with this status has no body (HEAD, 204). Sends nothing."""
        ...

    def begin(self, status: int, headers: list[tuple[bytes, bytes]], content_length: int) -> bool | None:
        """Sends the head; False: no body is wanted."""
        ...

    def write(self, chunk: bytes) -> Awaitable[object] | None:
        """Sends a chunk; what it returns is to be awaited: the peer is slow."""
        ...

    def finish(self, trailers: list[tuple[bytes, bytes]] | None) -> None:
        """Ends the answer."""
        ...


class StreamingResponse(Response):
    """Sends what an async or a sync generator yields, str or bytes, piece by piece.

    A slow reader stops the generator. It is always closed, so that its ``finally`` runs: at its end, when the
    peer leaves, when the task is cancelled. Sync generators run in the executor. With a ``content-length``
    among the headers the answer is not chunked. ``trailers`` may be filled until the generator ends.

    The head goes out with the first chunk, or when that has to be waited for. So what an async generator
    raises before it has waited or yielded is answered like an exception of the endpoint, by a 500 if by
    nothing else; any later one cuts the connection.
    """

    def __init__(
        self,
        content: AsyncIterable[Chunk] | Iterable[Chunk],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        if isinstance(content, (str, bytes, bytearray, memoryview, Mapping)):
            raise TypeError(f"a StreamingResponse wants an iterable of chunks, not {type(content).__name__}")
        if not isinstance(content, (AsyncIterable, Iterable)):
            raise TypeError(
                f"a StreamingResponse wants a generator or an iterable, not {type(content).__name__}"
            )
        super().__init__(None, status_code, headers, media_type)
        self.body_iterator: AsyncIterable[Chunk] | Iterable[Chunk] = content
        self.trailers: dict[str, str] = {}

    async def _pump(self, sink: Sink) -> None:
        """Drives the generator into ``sink``. Called by native code, in the task and context of the
        request."""
        content = self.body_iterator
        source: AsyncIterator[Chunk] = (
            aiter(content) if isinstance(content, AsyncIterable) else _InExecutor(content)
        )
        head = _Head(sink, self)
        try:
            if sink.wants_body(self.status_code):
                first = await _FirstStep(source, head.send)
                head.send()
                if first is not _END:
                    wait = sink.write(_bytes(first, self.charset))
                    if wait is not None:
                        await wait
                    async for chunk in source:
                        wait = sink.write(_bytes(chunk, self.charset))
                        if wait is not None:
                            await wait
            else:
                head.send()
        except GeneratorExit:
            _close_now(source)
            raise
        except BaseException:
            await _close(source)
            raise
        await _close(source)
        trailers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in self.trailers.items()]
        sink.finish(trailers or None)

    def _head(self) -> tuple[list[tuple[bytes, bytes]], int]:
        length = -1
        headers = []
        for name, value in self.raw_headers:
            if name == b"content-length":
                length = int(value)
            else:
                headers.append((name, value))
        return headers, length


class _Head:
    """The head of a streamed answer; goes out once."""

    def __init__(self, sink: Sink, response: StreamingResponse) -> None:
        self._sink = sink
        self._response = response
        self._sent = False

    def send(self) -> None:
        if not self._sent:
            self._sent = True
            self._sink.begin(self._response.status_code, *self._response._head())


class _FirstStep(Generator[Any, Any, Chunk]):
    """Awaits the first chunk, or ``_END``; calls ``on_wait`` whenever that has to wait for something."""

    def __init__(self, source: AsyncIterator[Chunk], on_wait: Callable[[], None]) -> None:
        self._step = _next(source)
        self._on_wait = on_wait

    def __await__(self) -> _FirstStep:
        return self

    def send(self, value: Any, /) -> Any:
        waits_for = self._step.send(value)
        try:
            self._on_wait()
        except BaseException as error:  # the generator must not wait for nobody
            return self._step.throw(error)
        return waits_for

    def throw(self, *error: Any) -> Any:
        return self._step.throw(*error)

    def close(self) -> None:
        self._step.close()


async def _next(source: AsyncIterator[Chunk]) -> Chunk:
    async for chunk in source:
        return chunk
    return _END  # type: ignore[no-any-return]


def _bytes(chunk: Chunk, charset: str) -> bytes:
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, str):
        return chunk.encode(charset)
    if isinstance(chunk, (bytearray, memoryview)):
        return bytes(chunk)
    raise TypeError(f"a streamed chunk is str or bytes, not {type(chunk).__name__}")


async def _close(source: AsyncIterator[Any]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()


_closing: set[asyncio.Task[None]] = set()
"""Tasks that close generators; the loop itself keeps only weak references."""


def _close_now(source: AsyncIterator[Any]) -> None:
    """The computation was closed from outside (shutdown), where nothing can be awaited any more."""
    if isinstance(source, _InExecutor):
        source.close_now()
    elif isinstance(source, AsyncGenerator):
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # The loop has ended, and has closed the generators that it knew. One step is all there is for
            # others.
            with contextlib.suppress(StopIteration):
                source.aclose().__await__().__next__()
            return
        task = loop.create_task(_close(source))
        _closing.add(task)
        task.add_done_callback(_closing.discard)


_END: Any = object()


class _InExecutor(AsyncIterator[Chunk]):
    """Runs each step of a sync iterator in the loop's executor, all steps in one context."""

    def __init__(self, content: Iterable[Chunk]) -> None:
        self._content = content
        self._steps: Iterator[Chunk] | None = None
        self._context = contextvars.copy_context()
        # A step that was cancelled goes on in its thread; closing waits for it there.
        self._lock = threading.Lock()
        self._closed = False

    def _step(self) -> Chunk:
        with self._lock:
            if self._closed:
                return _END  # type: ignore[no-any-return]
            if self._steps is None:
                self._steps = self._context.run(iter, self._content)
            # With a default: a future cannot carry StopIteration.
            return self._context.run(next, self._steps, _END)

    async def __anext__(self) -> Chunk:
        chunk = await asyncio.get_running_loop().run_in_executor(None, self._step)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk

    def close_now(self) -> None:
        """Closes the iterator on the calling thread, once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            close = getattr(self._content if self._steps is None else self._steps, "close", None)
            if close is not None:
                self._context.run(close)

    async def aclose(self) -> None:
        """Closes the iterator in the executor, behind a step that may still run."""
        loop = asyncio.get_running_loop()
        try:
            closing = loop.run_in_executor(None, self.close_now)
        except RuntimeError:  # the executor has been shut down: no thread is left to race with
            self.close_now()
            return
        await asyncio.shield(closing)
