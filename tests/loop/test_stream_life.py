"""Births and ends of stream transports: descriptors that are used again, servers, garbage, closed loops, forks."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import socket
import struct
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from asioloop import new_event_loop
from stream_peers import PATIENCE, Recorder, connected, fill, read_all, turns

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Holds(Recorder):
    """Is a cycle with its transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport: Any = transport


def test_a_descriptor_that_is_used_again_is_another_connection(runner: asyncio.Runner) -> None:
    async def main() -> None:
        numbers = set()
        for i in range(100):
            transport, protocol, peer = await connected()
            with peer:
                numbers.add(transport.get_extra_info("socket").fileno())
                # Left unread, and the hang-up unseen: nothing of it may reach the next one.
                peer.sendall(b"of %d" % i)
            transport.abort()
            await protocol.lost

            transport, protocol, peer = await connected()
            with peer:
                numbers.add(transport.get_extra_info("socket").fileno())
                await turns(2)
                assert protocol.events == ["made"]
                peer.sendall(b"own %d" % i)
                assert await protocol.received(4) == b"own %d" % i
                transport.close()
                await protocol.lost
        assert len(numbers) < 10

    runner.run(main())


def test_a_socket_that_has_a_transport_is_refused_to_add_reader(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            loop = asyncio.get_running_loop()
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.add_reader(transport.get_extra_info("socket").fileno(), print)
            transport.close()
            await protocol.lost

    runner.run(main())


def test_who_the_peer_was_is_known_after_it_has_left(runner: asyncio.Runner) -> None:
    async def main() -> None:
        seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        class Served(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                seen.set_result((transport, self))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            name = client.getsockname()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()  # before anybody has accepted it
            async with await asyncio.get_running_loop().create_server(Served, sock=listener):
                transport, protocol = await seen
                await protocol.lost
                assert transport.get_extra_info("peername") == name
                assert transport.get_extra_info("sockname") == listener.getsockname()

    runner.run(main())


def test_unix_servers_and_connections(runner: asyncio.Runner, tmp_path: Any) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        path = str(tmp_path / "socket")
        async with await asyncio.start_unix_server(echo, path):
            reader, writer = await asyncio.open_unix_connection(path)
            wanted = bytes(range(256)) * 3000
            writer.write(wanted)
            writer.write_eof()
            assert await reader.read() == wanted
            assert writer.get_extra_info("peername") == path
            writer.close()
            await writer.wait_closed()

    runner.run(main())


async def _served(count: int) -> tuple[Any, list[Any], list[Any]]:
    """A server, its protocols and their clients' transports."""
    loop = asyncio.get_running_loop()
    protocols: list[Any] = []

    class Served(Holds):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            protocols.append(self)

    server = await loop.create_server(Served, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    clients = [(await loop.create_connection(Recorder, *address)) for _ in range(count)]
    while len(protocols) < count:
        await asyncio.sleep(0)
    return server, protocols, clients


def test_a_server_waits_for_its_connections(runner: asyncio.Runner) -> None:
    async def main() -> None:
        server, protocols, clients = await _served(3)
        server.close()
        closed = asyncio.create_task(server.wait_closed())
        await turns()
        # 3.11 returns at once: fixed in 3.12.
        assert closed.done() == (sys.version_info < (3, 12))
        for transport, protocol in clients:
            transport.close()
            await protocol.lost
        await closed
        for protocol in protocols:
            assert await protocol.lost is None

    runner.run(main())


if sys.version_info >= (3, 13):

    def test_a_server_closes_its_clients_once_all_is_sent(runner: asyncio.Runner) -> None:
        async def main() -> None:
            server, protocols, clients = await _served(3)
            for protocol in protocols:
                protocol.transport.write(b"x" * 1_000_000)
            server.close()
            server.close_clients()
            for _, protocol in clients:
                await protocol.lost
                assert len(protocol.data) == 1_000_000
            await server.wait_closed()

        runner.run(main())

    def test_a_server_aborts_its_clients(runner: asyncio.Runner) -> None:
        async def main() -> None:
            server, protocols, clients = await _served(3)
            for transport, _ in clients:
                transport.pause_reading()
            for protocol in protocols:
                fill(protocol.transport)
            server.close()
            server.abort_clients()
            for protocol in protocols:
                assert protocol.transport.get_write_buffer_size() == 0
                assert await protocol.lost is None
            await server.wait_closed()
            for transport, protocol in clients:
                transport.abort()
                await protocol.lost

        runner.run(main())


# --- garbage -----------------------------------------------------------------------------------------------------------


def test_a_connection_that_has_ended_leaves_no_garbage(runner: asyncio.Runner) -> None:
    async def main() -> list[weakref.ref[Any]]:
        gone: list[weakref.ref[Any]] = []
        for end in ("close", "abort"):
            transport, protocol, peer = await connected(Holds())
            with peer:
                peer.sendall(b"x")
                await protocol.received(1)
                getattr(transport, end)()
                await protocol.lost
            gone += [weakref.ref(transport), weakref.ref(protocol)]
        return gone

    gone = runner.run(main())
    gc.collect()
    assert [reference() for reference in gone] == [None] * 4


def test_a_cycle_that_nobody_wants_is_collected_with_its_socket(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected(Holds())
        with peer:
            transport.pause_reading()
            gone = weakref.ref(transport), weakref.ref(protocol)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                text = f"unclosed transport {transport!r}"
                del transport, protocol
                gc.collect()
            # asyncio's socket may go first, and complain as well.
            assert [w.category for w in told if str(w.message) == text] == [ResourceWarning]
            told.clear()  # a warning refers to the transport
            gc.collect()
            assert gone[0]() is None and gone[1]() is None
            assert await asyncio.to_thread(read_all, peer) == b""

    runner.run(main())


def test_a_transport_that_still_reads_or_writes_is_kept(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            reads = weakref.ref(transport)
            del transport
            gc.collect()
            peer.sendall(b"to nobody but the protocol")
            await protocol.received(26)

            other, last, there = await connected()
            with there:
                other.pause_reading()
                wanted = fill(other)
                writes = weakref.ref(other)
                del other
                gc.collect()
                again = writes()
                assert again is not None
                again.close()
                del again
                assert await asyncio.to_thread(read_all, there) == bytes(wanted)
                await last.lost

            again = reads()
            assert again is not None
            again.close()
            await protocol.lost

    runner.run(main())


def test_a_transport_that_was_never_opened_does_no_harm() -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            kind: Any = type(transport)
            blank = kind.__new__(kind)
            for name, arguments in (
                ("_read_ready", ()),
                ("pause_reading", ()),
                ("resume_reading", ()),
                ("set_protocol", (protocol,)),
                ("write", (b"x",)),
                ("writelines", ([b"x"],)),
                ("write_eof", ()),
                ("close", ()),
                ("abort", ()),
            ):
                try:
                    getattr(blank, name)(*arguments)
                except (AttributeError, RuntimeError, TypeError, OSError, SystemError):
                    continue
            assert repr(blank) == f"<{type(blank).__name__} closed fd=-1>"
            transport.close()
            await protocol.lost

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


# --- closed loops ------------------------------------------------------------------------------------------------------


def test_a_transport_outlives_its_loop(factory: LoopFactory) -> None:
    loop = factory()
    transport, protocol, peer = loop.run_until_complete(connected())
    with peer:
        loop.close()
        assert repr(transport).endswith(f"fd={transport.get_extra_info('socket').fileno()}>")
        transport.write(b"it can still write")
        assert peer.recv(100) == b"it can still write"
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            fill(transport)
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            transport.close()
        assert protocol.events == ["made"]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del transport, protocol
            gc.collect()
        # asyncio's socket may go first, and complain as well.
        assert any(str(w.message).startswith("unclosed transport") for w in told)
        peer.setblocking(True)
        assert read_all(peer)[:4] == bytes(4)


def test_a_loop_that_is_closed_lets_go_of_what_it_kept(factory: LoopFactory) -> None:
    loop = factory()

    async def start() -> tuple[socket.socket, list[weakref.ref[Any]]]:
        transport, protocol, peer = await connected(Holds())
        fill(transport)
        return peer, [weakref.ref(transport), weakref.ref(protocol)]

    peer, gone = loop.run_until_complete(start())
    with peer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            loop.close()
            del loop
            gc.collect()
        assert [reference() for reference in gone] == [None, None]
        assert set(read_all(peer)) == {0}


# --- forks -------------------------------------------------------------------------------------------------------------


def _in_child(run: Callable[[], None], fork: Callable[[], int] = os.fork) -> int:
    """Forks; returns the child's exit code: 0 unless `run` raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads
        child = fork()
    if child == 0:
        code = 1
        try:
            run()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_that_drops_its_transports_takes_nothing_from_the_parent(
    runner: asyncio.Runner,
) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected(Holds())
        with peer:

            def child() -> None:
                # Its copy of the connection: what it writes is sent, and closing it closes nothing.
                protocol.transport.write(b"from the child, ")
                protocol.transport.get_extra_info("socket")._sock.close()

            assert _in_child(child) == 0
            transport.write(b"from the parent")
            peer.sendall(b"x")
            assert await protocol.received(1) == b"x"
            transport.close()
            assert await asyncio.to_thread(read_all, peer) == b"from the child, from the parent"
            await protocol.lost

    runner.run(main())


@pytest.mark.parametrize("end", ["close", "abort", "pause_reading"])
def test_a_forked_child_that_ends_its_copy_leaves_the_parents_alone(end: str) -> None:
    """Not so on asyncio, where the child takes the socket out of the epoll that both share."""

    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:

            def child() -> None:
                getattr(transport, end)()
                transport.get_extra_info("socket")._sock.close()

            assert _in_child(child) == 0
            peer.sendall(b"x")
            assert await asyncio.wait_for(protocol.received(1), PATIENCE) == b"x"
            transport.close()
            await protocol.lost

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


def test_a_forked_child_cannot_use_the_parents_loop_for_a_connection() -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            transport.pause_reading()
            other, there = socket.socketpair()

            def child() -> None:
                loop = transport._loop
                fresh = loop._make_socket_transport(other, protocol)
                with pytest.raises(RuntimeError, match="the parent process's"):
                    fresh._start_reading()

            with other, there:
                # By C: what Python's os.fork() tells the loop (test_fork.py) it must find out for itself.
                assert _in_child(child, ctypes.PyDLL(None).fork) == 0
            transport.close()
            await protocol.lost

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
