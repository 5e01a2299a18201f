"""Stream transports: order of callbacks, flow control, ends of a connection, errors, life."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import warnings
import weakref
from typing import Any

import asioloop
import pytest
from stream_peers import Recorder, connected


def test_a_transport_is_asyncios_and_takes_attributes(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            transport.note = "kept"
            assert weakref.ref(transport)() and transport.note == "kept"
            assert transport.get_protocol() is protocol
            assert transport.get_extra_info("socket").fileno() >= 0
            assert transport.get_extra_info("no such thing", 7) == 7
            assert transport.can_write_eof() and transport.is_reading() and not transport.is_closing()
            transport.close()
            assert await protocol.lost is None
            assert transport.is_closing() and not transport.is_reading()
            assert isinstance(transport, asyncio.Transport)

    runner.run(main())


def test_last_bytes_and_the_end_that_come_together_are_both_told(runner: asyncio.Runner) -> None:
    async def main() -> None:
        for _ in range(50):
            _, protocol, peer = await connected()
            peer.sendall(b"last words")
            peer.close()
            assert await asyncio.wait_for(protocol.lost, 10) is None
            assert protocol.events == ["made", "data", "eof", "lost"]
            assert protocol.data == b"last words"

    runner.run(main())


def test_half_a_connection_stays_open_if_the_protocol_says_so(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        protocol.keep_open = True
        with peer:
            peer.sendall(b"question")
            peer.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(protocol.eof, 10)
            transport.write(b"answer")
            transport.write_eof()
            with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
                transport.write(b"more")
            peer.settimeout(10)
            assert peer.recv(100) == b"answer" and peer.recv(100) == b""
            transport.close()
            await protocol.lost

    runner.run(main())


def test_what_does_not_fit_is_kept_in_order_and_the_protocol_is_paused(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        source = bytearray(b"a" * 3_000_000)
        transport.set_write_buffer_limits(high=1000, low=10)
        assert transport.get_write_buffer_limits() == (10, 1000)
        transport.write(bytes(source))
        assert "pause" in protocol.events and transport.get_write_buffer_size() > 1000
        transport.writelines([b"b" * 100_000, memoryview(b"c" * 100_000), bytearray(b"d")])
        transport.close()
        wanted = bytes(source) + b"b" * 100_000 + b"c" * 100_000 + b"d"

        def drain() -> bytes:
            with peer:
                return b"".join(iter(lambda: peer.recv(1 << 16), b""))

        assert await asyncio.to_thread(drain) == wanted
        assert await protocol.lost is None
        assert protocol.events[-2:] == ["resume", "lost"]

    runner.run(main())


def test_a_paused_transport_reads_on_where_it_was(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            await asyncio.sleep(0)
            transport.pause_reading()
            assert not transport.is_reading()
            peer.sendall(b"x" * 1000)
            for _ in range(20):
                await asyncio.sleep(0)
            assert protocol.events == ["made"]
            transport.resume_reading()
            while len(protocol.data) < 1000:
                await asyncio.sleep(0)
            transport.abort()
            await protocol.lost

    runner.run(main())


def test_a_buffered_protocol_is_filled(runner: asyncio.Runner) -> None:
    class Filled(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(7)  # small: one message takes many reads
            self.data = bytearray()
            self.lost = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            assert sizehint == -1
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]

        def connection_lost(self, exc: BaseException | None) -> None:
            self.lost.set_result(exc)

    async def main() -> None:
        _, protocol, peer = await connected(Filled())
        with peer:
            peer.sendall(b"0123456789" * 10)
            peer.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(protocol.lost, 10)
            assert protocol.data == b"0123456789" * 10

    runner.run(main())


def test_a_protocol_may_hand_over_inside_its_callback(runner: asyncio.Runner) -> None:
    async def main() -> None:
        class First(Recorder):
            def data_received(self, data: bytes) -> None:
                transport.set_protocol(second)

        second = Recorder()
        transport, _, peer = await connected(First())
        with peer:
            peer.sendall(b"1")
            while transport.get_protocol() is not second:
                await asyncio.sleep(0)
            peer.sendall(b"2")
            while not second.data:
                await asyncio.sleep(0)
            assert second.data == b"2" and second.events == ["data"]
            transport.close()
            await second.lost

    runner.run(main())


def test_an_exception_in_a_callback_is_reported_and_ends_the_connection(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reported: list[dict[str, Any]] = []
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _loop, context: reported.append(context))

        class Broken(Recorder):
            def data_received(self, data: bytes) -> None:
                raise ZeroDivisionError

        transport, protocol, peer = await connected(Broken())
        with peer:
            peer.sendall(b"x")
            assert isinstance(await asyncio.wait_for(protocol.lost, 10), ZeroDivisionError)
        loop.set_exception_handler(before)
        (context,) = reported
        assert context["message"] == "Fatal error: protocol.data_received() call failed."
        assert context["transport"] is transport and context["protocol"] is protocol

    runner.run(main())


def test_what_cannot_be_written_is_refused_and_what_comes_too_late_is_dropped(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            for wrong in ("text", 1, None):
                with pytest.raises(TypeError, match="data argument must be a bytes"):
                    transport.write(wrong)
            transport.abort()
            with caplog.at_level(logging.WARNING, "asyncio"):
                for _ in range(7):
                    transport.write(b"late")
            await protocol.lost
        assert [r.getMessage() for r in caplog.records] == ["socket.send() raised exception."] * 3

    runner.run(main())


def test_a_transport_that_nobody_wants_warns_and_closes_its_socket(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, _, peer = await connected()
        with peer:
            await asyncio.sleep(0)
            transport.pause_reading()
            gone = weakref.ref(transport)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                del transport
                gc.collect()
            assert any(str(w.message).startswith("unclosed transport") for w in told)
            told.clear()  # a warning refers to the transport
            gc.collect()
            assert gone() is None
            peer.settimeout(10)
            assert peer.recv(1) == b""

    runner.run(main())


def test_a_long_message_over_tcp_comes_whole(runner: asyncio.Runner) -> None:
    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1 << 18):
                writer.write(data)
                await writer.drain()
            writer.close()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            wanted = bytes(range(256)) * 12_000
            writer.write(wanted)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 20) == wanted
            writer.close()
            await writer.wait_closed()

    runner.run(main())


def test_many_events_at_once_after_many_one_by_one_all_come(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        class Waited(Recorder):
            came: asyncio.Future[None]

            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                self.came.set_result(None)

            def wait(self, peer: socket.socket) -> asyncio.Future[None]:
                self.came = loop.create_future()
                peer.sendall(b"x")
                return self.came

        connections = [await connected(Waited()) for _ in range(20)]
        _, alone, peer = connections[0]
        for _ in range(100):
            await alone.wait(peer)
        for _ in range(10):
            timer, thread = loop.create_future(), loop.create_future()
            loop.call_later(0, timer.set_result, None)
            threading.Thread(target=loop.call_soon_threadsafe, args=(thread.set_result, None)).start()
            await asyncio.gather(timer, thread, *(p.wait(peer) for _, p, peer in connections))
        assert [len(p.data) for _, p, _ in connections] == [110] + [10] * 19
        for transport, protocol, peer in connections:
            peer.close()
            assert await protocol.lost is None and transport.is_closing()

    runner.run(main())


def test_a_message_that_once_came_in_two_reads_comes_in_one_again() -> None:
    size = 100 * 1024

    class Sizes(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.sizes.append(len(data))

    async def main() -> None:
        transport, protocol, peer = await connected(Sizes())
        with peer:
            total = 0
            for length in (36 * 1024, size, size, size):
                peer.sendall(bytes(length))
                total += length
                await protocol.received(total)
            assert protocol.sizes[-2:] == [size, size]
            transport.close()

    asioloop.run(main())
