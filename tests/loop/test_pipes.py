"""Pipe transports over pipes, FIFOs, sockets and terminals."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import gc
import os
import socket
import threading
import tty
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asioloop
import pytest
from stream_peers import Recorder, turns

Factory = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=["pipe", "fifo", "socket", "terminal"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """The reading and the writing end, as files without buffers. A test may close them."""
    files: tuple[Any, Any]
    if request.param == "pipe":
        read, write = os.pipe()
        files = os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0)
    elif request.param == "fifo":
        os.mkfifo(tmp_path / "fifo")
        read = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        files = os.fdopen(read, "rb", 0), (tmp_path / "fifo").open("wb", 0)
    elif request.param == "socket":
        files = socket.socketpair()
    else:
        there, here = os.openpty()
        tty.setraw(here)
        files = os.fdopen(there, "rb", 0), os.fdopen(here, "wb", 0)
    yield files
    for file in files:
        file.close()


async def reading(file: Any, protocol: Any = None) -> tuple[Any, Any]:
    """A read transport with its protocol."""
    chosen = protocol or Recorder()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: chosen, file)
    return transport, chosen


async def writing(file: Any, protocol: Any = None) -> tuple[Any, Any]:
    """A write transport with its protocol."""
    chosen = protocol or Recorder()
    transport, _ = await asyncio.get_running_loop().connect_write_pipe(lambda: chosen, file)
    return transport, chosen


@pytest.mark.asyncio_since((3, 11, 7))
def test_data_both_ways_and_the_end(runner: asyncio.Runner, ends: tuple[Any, Any]) -> None:
    async def main() -> None:
        reader, into = await reading(ends[0])
        writer, out_of = await writing(ends[1])
        assert isinstance(reader, asyncio.ReadTransport) and isinstance(writer, asyncio.WriteTransport)
        assert reader.get_extra_info("pipe") is ends[0] and writer.get_extra_info("pipe") is ends[1]
        for piece in (b"one", b"", bytearray(b"two"), memoryview(b"three")):
            writer.write(piece)
        assert await into.received(11) == b"onetwothree"
        writer.close()
        assert writer.is_closing()
        await into.lost
        assert await out_of.lost is None
        assert reader.is_closing() and not reader.is_reading()
        # A terminal's other end goes with an error, and without an end of data.
        assert [e for e in into.events if e not in ("data", "eof")] == ["made", "lost"]
        reader.close()

    runner.run(main())


def test_much_data_in_order(runner: asyncio.Runner, ends: tuple[Any, Any]) -> None:
    async def main() -> None:
        _, into = await reading(ends[0])
        writer, out_of = await writing(ends[1])
        data = os.urandom(1 << 20)
        writer.write(data[:1000])
        writer.write(data[1000:])
        assert writer.get_write_buffer_size() > 0
        assert out_of.events == ["made", "pause"]
        assert await into.received(len(data)) == data
        await turns()
        assert out_of.events == ["made", "pause", "resume"]
        writer.close()
        await into.lost

    runner.run(main())


def test_what_is_there_before_the_transport_is(runner: asyncio.Runner, ends: tuple[Any, Any]) -> None:
    async def main() -> None:
        os.write(ends[1].fileno(), b"early")
        reader, into = await reading(ends[0])
        assert await into.received(5) == b"early"
        reader.close()
        await into.lost

    runner.run(main())


def test_the_end_comes_after_what_was_written_last() -> None:
    # For both ends at once: nothing tells of the end but what told of the data.
    async def main() -> None:
        for size in (0, 1, 4096, 65535, 65536):
            read, write = os.pipe()
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 1 << 17)
            os.write(write, bytes(size))
            os.close(write)
            _, into = await reading(os.fdopen(read, "rb", 0))
            assert await into.lost is None
            assert len(into.data) == size
            assert into.events[-2:] == ["eof", "lost"]

    for factory in (asyncio.SelectorEventLoop, asioloop.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())


def test_a_pipe_in_packet_mode_is_read_to_its_end(runner: asyncio.Runner) -> None:
    async def main() -> None:
        read, write = os.pipe2(os.O_DIRECT)
        _, into = await reading(os.fdopen(read, "rb", 0))
        await turns()
        for n in range(10):
            os.write(write, bytes([n]) * 100)
        assert await into.received(1000) == b"".join(bytes([n]) * 100 for n in range(10))
        os.close(write)
        assert await into.lost is None

    runner.run(main())


def test_each_chunk_is_bytes_of_its_own(runner: asyncio.Runner) -> None:
    async def main() -> None:
        chunks: list[bytes] = []

        class Keeper(Recorder):
            def data_received(self, data: bytes) -> None:
                chunks.append(data)
                super().data_received(data)

        read, write = os.pipe()
        os.set_blocking(write, False)
        _, into = await reading(os.fdopen(read, "rb", 0), Keeper())
        sent = b""
        # Short ones, long ones and short ones again: each way to read once.
        for n, size in enumerate((10, 65536, 65536, 65536, 40000, 10, 65536, 10)):
            piece = bytes([n]) * size
            sent += piece
            assert os.write(write, piece) == size
            await into.received(len(sent))
        assert b"".join(chunks) == sent
        os.close(write)
        await into.lost

    runner.run(main())


# --- pausing ----------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio_since((3, 11, 7))
def test_a_paused_pipe_is_not_read(runner: asyncio.Runner, ends: tuple[Any, Any]) -> None:
    async def main() -> None:
        reader, into = await reading(ends[0])
        assert reader.is_reading()
        reader.pause_reading()
        reader.pause_reading()
        assert not reader.is_reading()
        os.write(ends[1].fileno(), b"held back")
        await turns()
        assert not into.data
        reader.resume_reading()
        reader.resume_reading()
        assert await into.received(9) == b"held back"
        reader.close()
        reader.resume_reading()
        reader.pause_reading()
        assert not reader.is_reading()
        await into.lost

    runner.run(main())


@pytest.mark.asyncio_since((3, 11, 7))
def test_a_protocol_may_pause_while_it_is_told(runner: asyncio.Runner) -> None:
    async def main() -> None:
        class Pausing(Recorder):
            transport: Any

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                self.transport = transport
                self.transport.pause_reading()

            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                self.transport.pause_reading()

        read, write = os.pipe()
        reader, into = await reading(os.fdopen(read, "rb", 0), Pausing())
        os.write(write, bytes(65536))
        await turns()
        assert not into.data
        seen = 0
        while seen < 65536:
            reader.resume_reading()
            while len(into.data) == seen:
                await asyncio.sleep(0)
            seen = len(into.data)
            await turns()
            assert len(into.data) == seen
        os.close(write)
        reader.resume_reading()
        assert await into.lost is None

    runner.run(main())


def test_another_protocol_is_told_from_then_on(runner: asyncio.Runner, ends: tuple[Any, Any]) -> None:
    async def main() -> None:
        reader, first = await reading(ends[0])
        second = Recorder()
        reader.set_protocol(second)
        assert reader.get_protocol() is second
        os.write(ends[1].fileno(), b"new")
        assert await second.received(3) == b"new"
        reader.close()
        await second.lost
        assert first.events == ["made"]

    runner.run(main())


# --- errors -----------------------------------------------------------------------------------------------------------


def test_the_reader_goes_while_something_waits(runner: asyncio.Runner) -> None:
    async def main() -> None:
        read, write = os.pipe()
        writer, out_of = await writing(os.fdopen(write, "wb", 0))
        writer.write(bytes(1 << 20))
        assert writer.get_write_buffer_size() > 0
        os.close(read)
        assert isinstance(await out_of.lost, BrokenPipeError)

    runner.run(main())


def test_the_reader_goes_while_nothing_waits(runner: asyncio.Runner) -> None:
    async def main() -> None:
        read, write = os.pipe()
        writer, out_of = await writing(os.fdopen(write, "wb", 0))
        os.close(read)
        assert await out_of.lost is None
        assert writer.is_closing()

    runner.run(main())


def test_writing_after_the_end_is_told_after_a_while(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        read, write = os.pipe()
        writer, out_of = await writing(os.fdopen(write, "wb", 0))
        os.close(read)
        await out_of.lost
        for _ in range(6):
            writer.write(b"x")

    runner.run(main())
    assert "pipe closed by peer or os.write(pipe, data) raised exception." in caplog.text


def test_a_protocol_that_fails_is_reported_and_goes_on(factory: Factory) -> None:
    reports: list[dict[str, Any]] = []

    class Failing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if len(self.data) == 1:
                raise ArithmeticError

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
        read, write = os.pipe()
        _, into = await reading(os.fdopen(read, "rb", 0), Failing())
        os.write(write, b"1")
        await into.received(1)
        os.write(write, b"2")
        await into.received(2)
        os.close(write)
        assert await into.lost is None

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert [type(report["exception"]) for report in reports] == [ArithmeticError]
    assert "_read_ready" in reports[0]["message"] and "handle" in reports[0]


def test_a_read_that_fails_ends_it(factory: Factory) -> None:
    reports: list[dict[str, Any]] = []

    async def main() -> BaseException | None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
        here, there = socket.socketpair()
        reader, into = await reading(here)
        await turns()
        # Something is there, and it cannot be read: the descriptor is another file's by now.
        with there, os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb") as other:
            there.send(b"x")
            os.dup2(other.fileno(), here.fileno())
            reader._read_ready()
            exc: BaseException | None = await into.lost
            return exc

    with asyncio.Runner(loop_factory=factory) as runner:
        exc = runner.run(main())
    assert isinstance(exc, OSError) and exc.errno == errno.EBADF
    assert reports[0]["message"] == "Fatal read error on pipe transport"


@pytest.mark.parametrize("kind", ["file", "directory"])
@pytest.mark.parametrize("write", [False, True])
def test_what_is_no_pipe_is_refused(runner: asyncio.Runner, tmp_path: Path, kind: str, write: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        (tmp_path / "file").touch()
        fd = os.open(tmp_path / "file" if kind == "file" else tmp_path, os.O_RDONLY)
        with socket.socket() as shape:  # something with a descriptor and close()
            os.dup2(fd, shape.fileno())
            os.close(fd)
            connect = loop.connect_write_pipe if write else loop.connect_read_pipe
            text = "only for pipes, sockets and character devices" if write else "for pipes/sockets only"
            with pytest.raises(ValueError, match=text):
                await connect(asyncio.Protocol, shape)

    runner.run(main())


def test_a_device_that_cannot_be_waited_for(factory: Factory) -> None:
    reports: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: reports.append(context))
        device: Any = os.fdopen(os.open("/dev/zero", os.O_RDONLY), "rb", 0)
        reader, into = await reading(device)
        await turns()
        with pytest.raises(PermissionError):
            loop.add_reader(device.fileno(), print)
        reader.close()
        await into.lost

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert [type(report["exception"]) for report in reports] == [PermissionError]


def test_a_device_that_always_takes_all(runner: asyncio.Runner) -> None:
    async def main() -> None:
        device: Any = os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb", 0)
        writer, out_of = await writing(device)
        writer.write(bytes(1 << 20))
        assert writer.get_write_buffer_size() == 0
        writer.write_eof()
        assert await out_of.lost is None

    runner.run(main())


def test_a_buffered_protocol_is_one_without_data_received(factory: Factory) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint: int) -> bytearray:
            raise AssertionError("asked for a buffer")

    reports: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
        read, write = os.pipe()
        reader, _ = await reading(os.fdopen(read, "rb", 0), Buffered())
        os.write(write, b"x")
        while not reports:
            await asyncio.sleep(0)
        reader.close()
        await turns()
        os.close(write)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert isinstance(reports[0]["exception"], AttributeError)


def test_a_descriptor_that_somebody_else_made_blocking_blocks_nobody(runner: asyncio.Runner) -> None:
    # As a shell does with the terminal that it shares with us.
    async def main() -> None:
        read, write = os.pipe()
        reader, into = await reading(os.fdopen(read, "rb", 0))
        os.set_blocking(read, True)
        for n in range(1, 4):
            os.write(write, b"x")
            await into.received(n)
            reader.pause_reading()
            reader.resume_reading()
            await turns()
        os.close(write)
        assert await into.lost is None

    runner.run(main())


def test_an_interrupt_leaves_the_loop_and_loses_nothing(factory: Factory) -> None:
    class Interrupting(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if len(self.data) == 1:
                raise KeyboardInterrupt

    async def start() -> Any:
        return (await reading(os.fdopen(read, "rb", 0), Interrupting()))[1]

    read, write = os.pipe()
    with contextlib.closing(factory()) as loop:
        into = loop.run_until_complete(start())
        os.write(write, b"1")
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        os.write(write, b"2")
        assert loop.run_until_complete(into.received(2)) == b"12"
        os.close(write)
        loop.run_until_complete(into.lost)


def test_abort_may_follow_close() -> None:
    # asyncio tells a protocol that is gone by then.
    async def main() -> None:
        read, write = os.pipe()
        writer, out_of = await writing(os.fdopen(write, "wb", 0))
        writer.close()
        writer.abort()
        writer.abort()
        assert await out_of.lost is None
        await turns()
        assert out_of.events == ["made", "lost"]
        os.close(read)

    with asyncio.Runner(loop_factory=asioloop.new_event_loop, debug=True) as runner:
        runner.get_loop().set_exception_handler(lambda _loop, context: pytest.fail(str(context)))
        runner.run(main())


def test_a_protocol_may_write_more_when_it_may_write_again(ends: tuple[Any, Any]) -> None:
    # And close: asyncio tells it of the end twice then.
    class Eager(Recorder):
        transport: Any
        rest = 5

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport = transport

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.rest:
                self.rest -= 1
                self.transport.write(bytes(1_000_000))
            else:
                self.transport.close()

    async def main() -> None:
        _, into = await reading(ends[0])
        writer, out_of = await writing(ends[1], Eager())
        writer.write(bytes(1_000_000))
        await into.received(6_000_000)
        assert await out_of.lost is None
        await into.lost
        assert len(into.data) == 6_000_000

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        runner.run(main())


def test_what_waits_is_lost_by_abort(runner: asyncio.Runner, ends: tuple[Any, Any]) -> None:
    async def main() -> None:
        writer, out_of = await writing(ends[1])
        writer.write(bytes(1 << 20))
        writer.close()
        assert writer.get_write_buffer_size() > 0 and not out_of.lost.done()
        writer.abort()
        assert writer.get_write_buffer_size() == 0
        await out_of.lost

    runner.run(main())


def test_water_marks(runner: asyncio.Runner) -> None:
    async def main() -> None:
        read, write = os.pipe()
        writer, out_of = await writing(os.fdopen(write, "wb", 0))
        assert writer.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        writer.set_write_buffer_limits(high=100)
        assert writer.get_write_buffer_limits() == (25, 100)
        writer.write(bytes(65536))
        writer.write(bytes(100))
        assert out_of.events == ["made"]
        writer.write(b"x")
        assert out_of.events == ["made", "pause"]
        assert len(os.read(read, 1 << 20)) == 65536
        while len(out_of.events) < 3:
            await asyncio.sleep(0)
        assert out_of.events == ["made", "pause", "resume"]
        with pytest.raises(AssertionError):
            writer.write("text")
        writer.abort()
        await out_of.lost
        os.close(read)

    runner.run(main())


# --- life -------------------------------------------------------------------------------------------------------------


def test_a_reading_transport_lives_without_the_program(runner: asyncio.Runner) -> None:
    async def main() -> None:
        read, write = os.pipe()
        into = (await reading(os.fdopen(read, "rb", 0)))[1]
        gc.collect()
        os.write(write, b"still here")
        assert await into.received(10) == b"still here"
        os.close(write)
        assert await into.lost is None

    runner.run(main())


def test_a_transport_that_nobody_closed_warns(factory: Factory) -> None:
    loop = factory()

    async def main() -> tuple[Any, Any]:
        return (await reading(os.fdopen(read, "rb", 0)))[0], (await writing(os.fdopen(write, "wb", 0)))[0]

    read, write = os.pipe()
    kept: list[Any] = list(loop.run_until_complete(main()))
    kept[0].pause_reading()
    loop.close()
    with pytest.warns(ResourceWarning, match="unclosed transport") as warned:
        kept.clear()
        gc.collect()
    assert len(warned) == 2
    for fd in (read, write):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_paused_transport_may_go_on_another_thread() -> None:
    async def main() -> None:
        read, write = os.pipe()
        held: list[Any] = [(await reading(os.fdopen(read, "rb", 0)))[0]]
        await turns()
        held[0].pause_reading()
        gone = weakref.ref(held[0])

        def let_go() -> None:
            with pytest.warns(ResourceWarning):
                held.clear()
                gc.collect()

        await asyncio.to_thread(let_go)
        assert gone() is None
        os.close(write)
        # The number may be another pipe's at once.
        read, write = os.pipe()
        _, into = await reading(os.fdopen(read, "rb", 0))
        os.write(write, b"x")
        assert await into.received(1) == b"x"
        os.close(write)
        await into.lost

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        runner.run(main())


def test_what_a_transport_says_of_itself(runner: asyncio.Runner) -> None:
    async def main() -> None:
        read, write = os.pipe()
        reader, into = await reading(os.fdopen(read, "rb", 0))
        writer, out_of = await writing(os.fdopen(write, "wb", 0))
        await turns()
        assert f"fd={read} polling" in repr(reader)
        assert f"fd={write} idle bufsize=0" in repr(writer)
        reader.pause_reading()
        assert f"fd={read} idle" in repr(reader)
        writer.write(bytes(1 << 20))
        assert "polling bufsize=" in repr(writer)
        writer.abort()
        reader.close()
        assert "closing fd=" in repr(reader) and "closing fd=" in repr(writer)
        await into.lost
        await out_of.lost
        await turns()
        assert "closed fd=" in repr(reader) and "closed fd=" in repr(writer)

    runner.run(main())


def test_streams_over_pipes(runner: asyncio.Runner) -> None:
    async def main() -> list[bytes]:
        loop = asyncio.get_running_loop()
        read, write = os.pipe()
        stream = asyncio.StreamReader()
        reader, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(read, "rb", 0)
        )

        def produce() -> None:
            with os.fdopen(write, "wb") as out:
                for n in range(5000):
                    out.write(b"line %d\n" % n)

        thread = threading.Thread(target=produce)
        thread.start()
        lines = [line async for line in stream]
        thread.join()
        reader.close()
        return lines

    assert runner.run(main()) == [b"line %d\n" % n for n in range(5000)]


def test_thousands_leave_nothing_behind(runner: asyncio.Runner) -> None:
    async def main() -> int:
        async def one() -> None:
            read, write = os.pipe()
            _, into = await reading(os.fdopen(read, "rb", 0))
            writer, _ = await writing(os.fdopen(write, "wb", 0))
            writer.write(b"x")
            writer.close()
            await into.lost

        await one()
        gc.collect()
        before = len(gc.get_objects()), len(os.listdir("/proc/self/fd"))
        for _ in range(1000):
            await one()
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before[1]
        return len(gc.get_objects()) - before[0]

    assert runner.run(main()) < 500
