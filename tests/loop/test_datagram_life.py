"""Datagrams when there is no room, when somebody stops, and when something fails."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datagram_peers import PATIENCE, Recorder, closed, endpoint, on_loopback
from stream_peers import reports, turns


class Counting(socket.socket):
    """Asked by its own methods, as it is of a class of its own."""

    sent = 0

    def send(self, *args: Any) -> int:
        count = super().send(*args)
        self.sent += 1
        return count


async def narrow(
    tmp_path: Path, kind: type[socket.socket] | None = None
) -> tuple[Any, Recorder, socket.socket]:
    """A transport that is connected to a socket with room for a few datagrams."""
    there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    there.bind(str(tmp_path / "there"))
    there.settimeout(PATIENCE)
    if kind is None:
        transport, protocol = await endpoint(remote_addr=str(tmp_path / "there"), family=socket.AF_UNIX)
    else:
        here = kind(socket.AF_UNIX, socket.SOCK_DGRAM)
        here.connect(str(tmp_path / "there"))
        transport, protocol = await endpoint(sock=here)
    return transport, protocol, there


def fill(transport: Any, size: int = 100) -> list[bytes]:
    """Sends until one is left over; returns what was sent."""
    sent: list[bytes] = []
    while transport.get_write_buffer_size() == 0:
        sent.append(bytes([len(sent) % 256]) * size)
        transport.sendto(sent[-1])
    return sent


async def read_all(there: socket.socket, count: int) -> list[bytes]:
    """What comes, off the loop's thread."""
    return await asyncio.to_thread(lambda: [there.recv(1 << 17) for _ in range(count)])


@pytest.mark.parametrize("kind", [None, Counting])
def test_what_finds_no_room_waits_for_it(
    runner: asyncio.Runner, tmp_path: Path, kind: type[socket.socket] | None
) -> None:
    async def main() -> None:
        transport, protocol, there = await narrow(tmp_path, kind)
        sent = fill(transport)
        assert "write=<polling" in repr(transport)
        changing = bytearray(b"as it was")
        transport.sendto(changing)
        changing[:] = b"changed.."
        sent.append(b"as it was")
        for number in range(200):
            sent.append(bytes([number]) * 50)
            transport.sendto(sent[-1])
        with there:
            assert await read_all(there, len(sent)) == sent
            await turns()
        if kind is Counting:
            assert transport.get_extra_info("socket")._sock.sent == len(sent)
        # asyncio forgets to take the headers off again in some versions.
        if transport.__class__.__name__ == "DatagramTransport":
            assert transport.get_write_buffer_size() == 0
        assert await closed(transport, protocol) is None

    runner.run(main())


def test_water_marks(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        transport, protocol, there = await narrow(tmp_path)
        transport.set_write_buffer_limits(high=1000, low=900)
        assert transport.get_write_buffer_limits() == (900, 1000)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(high=1, low=2)
        count = len(fill(transport))
        assert protocol.events == ["made"]
        while protocol.events == ["made"]:
            transport.sendto(bytes(100))
            count += 1
        assert protocol.events == ["made", "pause"]
        assert transport.get_write_buffer_size() > 1000
        with there:
            await read_all(there, count)
            while protocol.events[-1] != "resume":
                await asyncio.sleep(0)
        assert protocol.events == ["made", "pause", "resume"]
        await closed(transport, protocol)

    runner.run(main())


def test_close_waits_until_all_is_sent(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        transport, protocol, there = await narrow(tmp_path)
        sent = fill(transport)
        transport.close()
        transport.close()
        await turns()
        assert protocol.events == ["made"]
        with there:
            assert await read_all(there, len(sent)) == sent
            assert await protocol.lost is None
        assert protocol.events == ["made", "lost"]

    runner.run(main())


def test_abort_does_not_wait(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        transport, protocol, there = await narrow(tmp_path)
        sent = fill(transport)
        transport.abort()
        assert await protocol.lost is None
        with there:
            there.setblocking(False)
            for _ in sent[:-1]:
                there.recv(1000)
            with pytest.raises(BlockingIOError):
                there.recv(1000)

    runner.run(main())


def test_the_peer_goes_while_some_wait(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        transport, protocol, there = await narrow(tmp_path)
        fill(transport)
        transport.sendto(b"one more")
        there.close()
        assert isinstance(await protocol.failed(), ConnectionError)
        transport.abort()
        assert await protocol.lost is None

    runner.run(main())


def test_room_of_a_receiver_it_is_not_connected_to(runner: asyncio.Runner, tmp_path: Path) -> None:
    """Of that room the kernel tells nobody."""

    async def main() -> None:
        there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        there.bind(str(tmp_path / "there"))
        there.settimeout(PATIENCE)
        transport, protocol = await endpoint(local_addr=str(tmp_path / "here"), family=socket.AF_UNIX)
        sent = [b"%d" % number for number in range(100)]
        path = str(tmp_path / "there")
        for number, data in enumerate(sent):
            # A path of another type is one that only module socket reads.
            transport.sendto(data, bytearray(path.encode()) if number % 3 == 0 else path)
        assert transport.get_write_buffer_size() > 0
        with there:
            assert await read_all(there, len(sent)) == sent
        await closed(transport, protocol)

    runner.run(main())


# --- reading on and off ------------------------------------------------------------------------------------------


@pytest.mark.asyncio_since((3, 11, 7))
def test_pausing_between_two_datagrams(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()

        def pause_at_two(data: bytes, sender: Any) -> None:
            if data == b"2":
                transport.pause_reading()

        protocol.on_datagram = pause_at_two
        with peer:
            for number in range(5):
                peer.sendto(b"%d" % number, address)
            assert await protocol.received(3) == [b"0", b"1", b"2"]
            await turns()
            assert len(protocol.got) == 3
            assert not transport.is_reading()
            assert "read=idle" in repr(transport)
            transport.pause_reading()
            transport.resume_reading()
            transport.resume_reading()
            peer.sendto(b"5", address)
            assert await protocol.received(6) == [b"%d" % number for number in range(6)]
        await closed(transport, protocol)

    runner.run(main())


@pytest.mark.parametrize("how", ["close", "abort"])
def test_closing_between_two_datagrams(runner: asyncio.Runner, how: str) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()

        def last(data: bytes, sender: Any) -> None:
            transport.sendto(b"bye", sender)
            getattr(transport, how)()

        protocol.on_datagram = last
        with peer:
            for _ in range(5):
                peer.sendto(b"", address)
            assert await protocol.lost is None
            assert len(protocol.got) == 1
            assert peer.recv(100) == b"bye"
        assert protocol.events == ["made", "lost"]

    runner.run(main())


# --- when something fails ----------------------------------------------------------------------------------------


def test_an_error_in_the_protocol_is_reported_and_the_next_one_comes(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()

        def fails(data: bytes, sender: Any) -> None:
            transport.sendto(data, sender)
            raise ZeroDivisionError(data)

        protocol.on_datagram = fails
        with peer, reports() as told:
            for number in range(4):
                peer.sendto(b"%d" % number, address)
            assert await protocol.received(4) == [b"0", b"1", b"2", b"3"]
            await turns()
            assert [peer.recv(10) for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        assert [type(one["exception"]) for one in told] == [ZeroDivisionError] * 4
        assert "Exception in callback" in told[0]["message"]
        assert "_read_ready" in told[0]["message"]
        assert not transport.is_closing()
        await closed(transport, protocol)

    runner.run(main())


def test_an_error_in_error_received_is_raised_by_sendto(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, _, peer = await on_loopback()

        def fails(exc: Exception) -> None:
            raise ZeroDivisionError

        protocol.error_received = fails  # type: ignore[method-assign]
        with peer, pytest.raises(ZeroDivisionError):
            transport.sendto(bytes(70000), peer.getsockname())
        await closed(transport, protocol)

    runner.run(main())


def test_leaving_the_loop_loses_nothing(runner: asyncio.Runner) -> None:
    async def begin() -> tuple[Any, Recorder, Any, socket.socket]:
        return await on_loopback()

    transport, protocol, address, peer = runner.run(begin())

    def leave(data: bytes, sender: Any) -> None:
        if data == b"1":
            raise SystemExit(3)

    protocol.on_datagram = leave
    with peer:
        for number in range(4):
            peer.sendto(b"%d" % number, address)

        with pytest.raises(SystemExit):
            runner.get_loop().run_forever()
        assert runner.get_loop().run_until_complete(protocol.received(4)) == [b"0", b"1", b"2", b"3"]
    runner.get_loop().run_until_complete(closed(transport, protocol))


def test_sending_after_the_end_is_dropped_with_a_warning(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            transport, protocol = await endpoint(remote_addr=peer.getsockname())
            transport.close()
            with caplog.at_level(logging.WARNING, "asyncio"):
                for _ in range(4):
                    transport.sendto(b"dropped")
                assert not caplog.messages
                transport.sendto(b"dropped")
                assert caplog.messages == ["socket.send() raised exception."]
            await protocol.lost
            peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                peer.recv(100)

    runner.run(main())


# --- life --------------------------------------------------------------------------------------------------------


def test_a_transport_that_reads_needs_nobody_to_hold_it(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        found = weakref.ref(transport)
        del transport
        del protocol.transport
        gc.collect()
        with peer:
            peer.sendto(b"still there", address)
            assert await protocol.received(1) == [b"still there"]
        await closed(found(), protocol)

    runner.run(main())


def test_a_transport_that_nobody_closed_warns(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    loop = factory()
    transport, _ = loop.run_until_complete(in_loop(loop))
    died = weakref.ref(transport)
    loop.close()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del transport, _, loop
        gc.collect()
    assert died() is None
    assert any("unclosed transport <" in str(one.message) for one in told)


async def in_loop(loop: asyncio.AbstractEventLoop) -> tuple[Any, Any]:
    """A transport and a protocol that refer to each other and to nothing else."""
    return await loop.create_datagram_endpoint(Plain, local_addr=("127.0.0.1", 0))


class Plain(asyncio.DatagramProtocol):
    """Knows its transport: a cycle."""

    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport


def test_a_transport_outlives_its_loop(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    loop = factory()
    transport, _ = loop.run_until_complete(in_loop(loop))
    address = transport.get_extra_info("sockname")
    loop.close()
    transport.sendto(b"a socket is a socket", address)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        transport.abort()
    assert "closing" in repr(transport)
    transport.get_extra_info("socket")._sock.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del transport, _
        gc.collect()


@pytest.mark.asyncio_since((3, 11, 7))
def test_cycles_of_paused_transports_are_collected(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol = await in_loop(asyncio.get_running_loop())
        transport.pause_reading()
        died = weakref.ref(transport)
        asyncio.get_running_loop()._transports.clear()  # type: ignore[attr-defined]
        with contextlib.suppress(ResourceWarning), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del transport, protocol
            gc.collect()
        assert died() is None

    runner.run(main())


@pytest.mark.asyncio_since((3, 11, 7))
def test_a_cycle_that_another_thread_collects(runner: asyncio.Runner) -> None:
    """Its descriptor is closed there; the loop's reactor has to be told, and not by that thread."""

    async def main() -> None:
        for _ in range(4):
            transport, protocol = await in_loop(asyncio.get_running_loop())
            transport.pause_reading()
            died = weakref.ref(transport)
            del transport, protocol
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                await asyncio.to_thread(gc.collect)
            assert died() is None
        again, recorder, address, peer = await on_loopback()
        with peer:
            peer.sendto(b"hello", address)
            assert await recorder.received(1) == [b"hello"]
        await closed(again, recorder)

    runner.run(main())


def test_thousands_leave_nothing_behind(runner: asyncio.Runner) -> None:
    async def main() -> None:
        alive: weakref.WeakSet[Any] = weakref.WeakSet()
        for _ in range(1000):
            transport, protocol = await endpoint(local_addr=("127.0.0.1", 0))
            transport.sendto(b"to itself", transport.get_extra_info("sockname"))
            alive.add(transport)
            transport.close()
            await protocol.lost
        del transport, protocol
        gc.collect()
        assert not alive

    runner.run(main())


def test_datagrams_without_end_leave_time_for_others(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol = await endpoint(local_addr=("127.0.0.1", 0))
        address = transport.get_extra_info("sockname")
        protocol.on_datagram = lambda data, sender: transport.sendto(data, address)
        for number in range(100):
            transport.sendto(b"%d" % number, address)
        await protocol.received(100)
        before = len(protocol.got)
        await turns(20)
        # A bounded share of each turn, and some of it in each.
        assert 20 <= len(protocol.got) - before <= 21 * 16
        await closed(transport, protocol)

    runner.run(main())
