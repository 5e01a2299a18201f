"""sock_recv() and its relatives: at once, after waiting, cancelled, failing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from stream_peers import turns

Sockets = tuple[socket.socket, socket.socket]
Receive = Callable[[Any, socket.socket], Awaitable[bytes]]


@pytest.fixture
def tcp() -> Iterator[Sockets]:
    """Two ends of a connection that do not block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname())
        there, _ = server.accept()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        yield here, there


@pytest.fixture
def udp() -> Iterator[Sockets]:
    """Two sockets that are not connected."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
    ):
        for sock in (here, there):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        yield here, there


async def recv(loop: Any, sock: socket.socket) -> Any:
    """Each of these returns what was received."""
    return await loop.sock_recv(sock, 100)


async def recv_into(loop: Any, sock: socket.socket) -> Any:
    buffer = bytearray(100)
    return bytes(buffer[: await loop.sock_recv_into(sock, buffer)])


async def recvfrom(loop: Any, sock: socket.socket) -> Any:
    data, _ = await loop.sock_recvfrom(sock, 100)
    return data


async def recvfrom_into(loop: Any, sock: socket.socket) -> Any:
    buffer = bytearray(100)
    count, _ = await loop.sock_recvfrom_into(sock, buffer, 50)
    return bytes(buffer[:count])


@pytest.fixture(params=[recv, recv_into, recvfrom, recvfrom_into])
def receive(request: pytest.FixtureRequest) -> Receive:
    """One of them."""
    function: Receive = request.param
    return function


def assert_unwatched(*socks: socket.socket) -> None:
    """Nothing is left behind that waits for it."""
    loop = asyncio.get_running_loop()
    for sock in socks:
        assert not loop.remove_reader(sock)
        assert not loop.remove_writer(sock)


def test_what_is_there_is_received_at_once(runner: asyncio.Runner, tcp: Sockets, receive: Receive) -> None:
    async def main() -> None:
        here, there = tcp
        there.send(b"data")
        assert await receive(asyncio.get_running_loop(), here) == b"data"
        assert_unwatched(here)

    runner.run(main())


def test_what_is_not_there_is_waited_for(runner: asyncio.Runner, tcp: Sockets, receive: Receive) -> None:
    async def main() -> None:
        here, there = tcp
        task = asyncio.ensure_future(receive(asyncio.get_running_loop(), here))
        await turns()
        assert not task.done()
        there.send(b"data")
        assert await task == b"data"
        assert_unwatched(here)

    runner.run(main())


def test_the_end_is_received_too(runner: asyncio.Runner, tcp: Sockets, receive: Receive) -> None:
    async def main() -> None:
        here, there = tcp
        task = asyncio.ensure_future(receive(asyncio.get_running_loop(), here))
        await turns()
        there.close()
        assert await task == b""

    runner.run(main())


def test_cancelled_while_waiting_nothing_is_lost(
    runner: asyncio.Runner, tcp: Sockets, receive: Receive
) -> None:
    async def main() -> None:
        here, there = tcp
        task = asyncio.ensure_future(receive(asyncio.get_running_loop(), here))
        await turns()
        task.cancel()
        there.send(b"for the next one")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_unwatched(here)
        assert await receive(asyncio.get_running_loop(), here) == b"for the next one"

    runner.run(main())


def test_datagrams_tell_their_sender(runner: asyncio.Runner, udp: Sockets) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = udp
        assert await loop.sock_sendto(there, b"one", here.getsockname()) == 3
        assert await loop.sock_recvfrom(here, 100) == (b"one", there.getsockname())
        buffer = bytearray(10)
        task = asyncio.ensure_future(loop.sock_recvfrom_into(here, buffer))
        await turns()
        there.sendto(b"", here.getsockname())
        assert await task == (0, there.getsockname())
        assert_unwatched(here, there)

    runner.run(main())


def test_more_than_there_is_room_for_is_sent_in_pieces(runner: asyncio.Runner, tcp: Sockets) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = tcp
        data = bytes(range(256)) * 40_000
        task = asyncio.ensure_future(loop.sock_sendall(here, memoryview(data)))
        await turns()
        assert not task.done()
        got = bytearray()
        while len(got) < len(data):
            got += await loop.sock_recv(there, 1 << 20)
        await task
        assert got == data
        assert_unwatched(here, there)

    runner.run(main())


def test_sending_can_be_cancelled(runner: asyncio.Runner, tcp: Sockets) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, _ = tcp
        task = asyncio.ensure_future(loop.sock_sendall(here, bytes(10_000_000)))
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_unwatched(here)

    runner.run(main())


def test_a_datagram_waits_for_room(runner: asyncio.Runner, tmp_path: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        path = str(tmp_path / "there")
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there,
        ):
            there.bind(path)
            here.connect(path)
            for sock in (here, there):
                sock.setblocking(False)
            sent = 0
            while True:
                task = asyncio.ensure_future(loop.sock_sendto(here, b"%d" % sent, path))
                await asyncio.sleep(0)
                if not task.done():
                    break
                assert await task == len(str(sent))
                sent += 1
            assert await loop.sock_recv(there, 100) == b"0"
            assert await task == len(str(sent))
            assert_unwatched(here, there)

    runner.run(main())


def test_accept_and_connect(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(server))
            await turns()
            client = socket.socket()
            client.setblocking(False)
            await loop.sock_connect(client, server.getsockname())
            accepted, address = await accepting
            with client, accepted:
                assert address == client.getsockname()
                assert accepted.gettimeout() == 0
                await loop.sock_sendall(client, b"hello")
                assert await loop.sock_recv(accepted, 100) == b"hello"
                assert_unwatched(server, client, accepted)

    runner.run(main())


def test_accept_can_be_cancelled(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(server))
            await turns()
            accepting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await accepting
            assert_unwatched(server)
            with socket.create_connection(server.getsockname()):
                accepted, _ = await loop.sock_accept(server)
                accepted.close()

    runner.run(main())


def test_a_port_that_nobody_listens_on_refuses(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as bound, socket.socket() as client:
            bound.bind(("127.0.0.1", 0))
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, bound.getsockname())
            assert_unwatched(client)

    runner.run(main())


def test_connecting_can_be_cancelled(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            waiting = []
            while True:  # until the queue of those who want to come in is full
                client = socket.socket()
                client.setblocking(False)
                task = asyncio.ensure_future(loop.sock_connect(client, server.getsockname()))
                waiting.append(client)
                await turns(20)
                if not task.done():
                    break
                await task
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert_unwatched(*waiting)
            for client in waiting:
                client.close()

    runner.run(main())


def test_debug_mode_refuses_sockets_that_block(runner: asyncio.Runner, tcp: Sockets) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        here, _ = tcp
        here.setblocking(True)
        for call in (
            loop.sock_recv(here, 1),
            loop.sock_recv_into(here, bytearray(1)),
            loop.sock_recvfrom(here, 1),
            loop.sock_recvfrom_into(here, bytearray(1)),
            loop.sock_sendall(here, b""),
            loop.sock_sendto(here, b"", ("127.0.0.1", 1)),
            loop.sock_connect(here, ("127.0.0.1", 1)),
            loop.sock_accept(here),
        ):
            with pytest.raises(ValueError, match="the socket must be non-blocking"):
                await call

    runner.run(main())


def test_a_transports_socket_is_refused(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        sock: Any = transport.get_extra_info("socket")._sock
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.sock_recvfrom(sock, 100)
        transport.close()
        await turns()

    runner.run(main())
