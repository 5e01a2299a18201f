"""Streamed answers: the generator is driven as the reader reads, and always closed."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asioserve import ClientDisconnected, StreamingResponse

from tests.python.fake_native import Sink

closed: list[str] = []


@pytest.fixture(autouse=True)
def nothing_closed() -> None:
    closed.clear()


async def letters(text: str = "abc") -> AsyncIterator[str]:
    try:
        for letter in text:
            yield letter
    finally:
        await asyncio.sleep(0)
        closed.append("async")


def sync_letters(text: str = "abc") -> Iterator[str]:
    try:
        yield from text
    finally:
        closed.append("sync")


BOTH = [letters, sync_letters]


def pump(response: StreamingResponse, sink: Sink) -> None:
    asyncio.run(response._pump(sink))


@pytest.mark.parametrize(
    "source", [letters, sync_letters, lambda: ["a", b"b", bytearray(b"c")], lambda: [memoryview(b"abc")]]
)
@pytest.mark.parametrize("credit", [0, 99])
def test_all_chunks_arrive_in_order(source: Any, credit: int) -> None:
    sink = Sink(credit=credit)
    pump(StreamingResponse(source(), 201, {"X-A": "1"}, "text/plain"), sink)
    assert (b"".join(sink.chunks), sink.status, sink.length, sink.finished) == (b"abc", 201, -1, True)
    assert sink.headers == [(b"x-a", b"1"), (b"content-type", b"text/plain; charset=utf-8")]
    assert len(closed) == (source in BOTH)


def test_a_content_length_goes_to_the_connection_and_trailers_to_the_end() -> None:
    sink = Sink()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"abc"
        response.trailers["X-Sum"] = "3"

    response = StreamingResponse(chunks(), headers={"Content-Length": "3"})
    pump(response, sink)
    assert (sink.length, sink.headers, sink.trailers) == (3, [], [(b"x-sum", b"3")])


@pytest.mark.parametrize("source", BOTH)
def test_where_no_body_is_wanted_the_generator_is_closed_unread(source: Any) -> None:
    sink = Sink(has_body=False)
    pump(StreamingResponse(source()), sink)
    assert (sink.chunks, sink.finished) == ([], True)


@pytest.mark.parametrize("source", BOTH)
def test_the_generator_is_closed_when_the_peer_leaves(source: Any) -> None:
    class Gone(Sink):
        def write(self, chunk: bytes) -> asyncio.Future[None] | None:
            if self.chunks:
                raise ClientDisconnected("gone")
            return super().write(chunk)

    sink = Gone()
    with pytest.raises(ClientDisconnected):
        pump(StreamingResponse(source()), sink)
    assert (len(closed), sink.finished) == (1, False)


@pytest.mark.parametrize("source", BOTH)
def test_the_generator_is_closed_when_the_task_is_cancelled_while_the_reader_is_slow(source: Any) -> None:
    class Slow(Sink):
        def write(self, chunk: bytes) -> asyncio.Future[None]:
            self.chunks.append(chunk)
            waiting.set()
            return asyncio.get_running_loop().create_future()

    waiting = asyncio.Event()

    async def main() -> None:
        task = asyncio.create_task(StreamingResponse(source())._pump(Slow()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(closed) == 1

    asyncio.run(main())


def test_a_sync_generator_that_is_cancelled_in_the_middle_of_a_step_is_closed_behind_it() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def blocking() -> Iterator[str]:
        try:
            yield "first"
            inside.set()
            assert go_on.wait(30)
            yield "second"
        finally:
            closed.append("sync")

    async def main() -> None:
        sink = Sink()
        task = asyncio.create_task(StreamingResponse(blocking())._pump(sink))
        await asyncio.to_thread(inside.wait, 30)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (sink.chunks, closed) == ([b"first"], ["sync"])

    asyncio.run(main())


@pytest.mark.parametrize("source", BOTH)
def test_a_pump_that_is_thrown_away_closes_what_it_can(source: Any) -> None:
    class Slow(Sink):
        def write(self, chunk: bytes) -> Any:
            self.chunks.append(chunk)
            return asyncio.get_running_loop().create_future()

    async def main() -> None:
        sink = Slow()
        coroutine = StreamingResponse(source())._pump(sink)
        waits_for = coroutine.send(None)
        if not sink.chunks:  # its first step is still in the executor
            await asyncio.wait([waits_for])
            coroutine.send(None)
        assert sink.chunks == [b"a"]
        coroutine.close()
        async with asyncio.timeout(30):
            while not closed:
                await asyncio.sleep(0)

    asyncio.run(main())
    assert len(closed) == 1


def test_a_pump_that_is_thrown_away_after_the_loop_closes_an_async_generator() -> None:
    async def simple() -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            closed.append("simple")

    class Slow(Sink):
        def write(self, chunk: bytes) -> Any:
            return self

        def __await__(self) -> Iterator[None]:
            yield

    coroutine = StreamingResponse(simple())._pump(Slow())
    coroutine.send(None)
    coroutine.close()
    assert closed == ["simple"]


def test_an_error_of_the_generator_comes_out_and_closes_it() -> None:
    async def broken() -> AsyncIterator[str]:
        try:
            yield "a"
            raise ZeroDivisionError
        finally:
            closed.append("broken")

    sink = Sink()
    with pytest.raises(ZeroDivisionError):
        pump(StreamingResponse(broken()), sink)
    assert (sink.chunks, sink.finished, closed) == ([b"a"], False, ["broken"])


def test_nothing_is_sent_before_an_error_that_comes_at_once() -> None:
    async def broken() -> AsyncIterator[str]:
        raise ZeroDivisionError
        yield ""

    sink = Sink()
    with pytest.raises(ZeroDivisionError):
        pump(StreamingResponse(broken()), sink)
    assert (sink.status, sink.finished) == (0, False)


@pytest.mark.parametrize("caught", [False, True])
def test_the_head_goes_out_when_the_first_chunk_has_to_be_waited_for(caught: bool) -> None:
    turn: Any = None
    sink = Sink()

    async def late() -> AsyncIterator[str]:
        assert sink.status == 0
        for _ in range(2):
            try:
                await turn
            except asyncio.CancelledError:
                closed.append("cancelled")
                if not caught:
                    raise
            assert sink.status == 200
        yield "a"

    async def main() -> None:
        nonlocal turn
        turn = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(StreamingResponse(late())._pump(sink))
        await asyncio.sleep(0)
        assert (sink.status, sink.chunks) == (200, [])
        if caught:
            turn.set_result(None)
            await task
            assert (sink.chunks, sink.finished, closed) == ([b"a"], True, [])
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (sink.chunks, closed) == ([], ["cancelled"])

    asyncio.run(main())


def test_a_head_that_cannot_be_sent_ends_the_wait_for_the_first_chunk() -> None:
    class Gone(Sink):
        def begin(self, status: int, headers: list[tuple[bytes, bytes]], content_length: int) -> bool:
            raise ClientDisconnected

    async def late() -> AsyncIterator[str]:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            closed.append("late")
        yield "a"

    with pytest.raises(ClientDisconnected):
        pump(StreamingResponse(late()), Gone())
    assert closed == ["late"]


@pytest.mark.parametrize("source", [lambda: [1], lambda: [None]])
def test_a_chunk_is_text_or_bytes(source: Any) -> None:
    with pytest.raises(TypeError, match="a streamed chunk is str or bytes, not"):
        pump(StreamingResponse(source()), Sink())


@pytest.mark.parametrize("content", ["text", b"bytes", {}, 5, None])
def test_what_cannot_be_streamed_is_refused_at_once(content: Any) -> None:
    with pytest.raises(TypeError, match="a StreamingResponse wants"):
        StreamingResponse(content)


def test_generators_run_in_the_context_of_their_request() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")

    def sync() -> Iterator[str]:
        yield name.get()
        name.set("changed")
        yield name.get()

    async def coroutine() -> AsyncIterator[str]:
        yield name.get()

    async def main(source: Any) -> bytes:
        name.set("mine")
        sink = Sink()
        await StreamingResponse(source())._pump(sink)
        return b"".join(sink.chunks)

    assert asyncio.run(main(sync)) == b"minechanged"
    assert asyncio.run(main(coroutine)) == b"mine"


def test_a_sync_generator_is_closed_even_when_the_executor_is_gone() -> None:
    async def main() -> None:
        sink = Sink()

        class Last(Sink):
            def write(self, chunk: bytes) -> Any:
                asyncio.get_running_loop()._default_executor.shutdown()  # type: ignore[attr-defined]
                raise ClientDisconnected

        with pytest.raises(ClientDisconnected):
            await StreamingResponse(sync_letters())._pump(Last())
        assert (closed, sink.chunks) == (["sync"], [])

    asyncio.run(main())
