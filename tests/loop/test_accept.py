"""Accepting: servers, floods, clients that leave, no descriptors left, ends in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import resource
import socket
import struct
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stream_peers import PATIENCE, Recorder, reports, turns


def connect(server: asyncio.Server) -> socket.socket:
    """A blocking client of a server's first socket."""
    return socket.create_connection(server.sockets[0].getsockname()[:2], timeout=PATIENCE)


class Counter(asyncio.Protocol):
    """Counts what a server's protocols are told."""

    made = 0
    lost = 0
    changed: asyncio.Event
    transports: list[Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).made += 1
        self.transports.append(transport)
        self.changed.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        type(self).lost += 1
        self.changed.set()


def counter() -> type[Counter]:
    """One that counts for one server."""
    return type("One", (Counter,), {"changed": asyncio.Event(), "transports": []})


async def until(counted: type[Counter], reached: Callable[[], bool]) -> None:
    """Waits for what protocols are told."""
    async with asyncio.timeout(PATIENCE):
        while not reached():
            counted.changed.clear()
            await counted.changed.wait()


def test_a_flood_is_accepted_whole(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, "127.0.0.1", 0, backlog=300)
        clients = [connect(server) for _ in range(250)]
        await until(seen, lambda: seen.made == 250)
        names = {client.getsockname() for client in clients}
        assert {t.get_extra_info("peername") for t in seen.transports} == names
        for client in clients:
            client.close()
        await until(seen, lambda: seen.lost == 250)
        seen.transports.clear()
        server.close()
        await server.wait_closed()

    runner.run(main())


def test_a_small_backlog_bounds_nothing_but_a_turn(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, "127.0.0.1", 0, backlog=1)
        for n in range(1, 6):
            client = connect(server)
            await until(seen, lambda n=n: seen.made == n)  # type: ignore[misc]
            client.close()
            await until(seen, lambda n=n: seen.lost == n)  # type: ignore[misc]
        seen.transports.clear()
        server.close()

    runner.run(main())


def test_a_client_that_has_left_is_told_with_its_name(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, "127.0.0.1", 0)
        client = connect(server)
        name = client.getsockname()
        # Aborted before anybody has accepted it: the kernel knows no peer any more.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await until(seen, lambda: seen.lost == 1)
        (transport,) = seen.transports
        assert transport.get_extra_info("peername") == name
        seen.transports.clear()
        server.close()

    runner.run(main())


@contextlib.contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """So many more can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 64, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        for fd in held[:spare]:
            os.close(fd)
        del held[:spare]
        yield
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_descriptor_left_is_reported_and_tried_again(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncio.constants.ACCEPT_RETRY_DELAY", 0.01)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, "127.0.0.1", 0)
        client = socket.socket()
        client.settimeout(PATIENCE)
        with reports() as told:
            with few_descriptors(0):
                client.connect(server.sockets[0].getsockname())
                async with asyncio.timeout(PATIENCE):
                    while not told:
                        await asyncio.sleep(0)
                assert seen.made == 0
            await until(seen, lambda: seen.made == 1)
        for context in told:
            assert context["message"] == "socket.accept() out of system resource"
            assert context["exception"].errno == 24 and context["socket"].fileno() >= 0
        client.close()
        await until(seen, lambda: seen.lost == 1)
        seen.transports.clear()
        # asyncio tries again once for each report, also when the server is closed meanwhile, and that fails.
        await asyncio.sleep(0.1)
        server.close()

    runner.run(main())


def test_a_server_that_is_closed_while_it_pauses_accepts_no_more(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncio.constants.ACCEPT_RETRY_DELAY", 0.0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, "127.0.0.1", 0)
        with socket.socket() as client, reports() as told:
            with few_descriptors(0):
                client.connect(server.sockets[0].getsockname())
                async with asyncio.timeout(PATIENCE):
                    while not told:
                        await asyncio.sleep(0)
                server.close()
            await turns(20)
        assert seen.made == 0

    runner.run(main())


def test_a_server_may_be_closed_by_its_first_connection(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()

        class Closes(seen):  # type: ignore[valid-type,misc]
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                server.close()
                transport.abort()

        server = await loop.create_server(Closes, "127.0.0.1", 0)
        clients = [connect(server) for _ in range(3)]
        address = server.sockets[0].getsockname()
        await until(Closes, lambda: Closes.made >= 1 and Closes.lost == Closes.made)
        seen.transports.clear()
        for client in clients:
            with client, contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=PATIENCE)

    runner.run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio's transport, refused
def test_a_server_may_be_closed_by_its_factory(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()

        def factory() -> asyncio.Protocol:
            called.set()
            server.close()
            return asyncio.Protocol()

        server = await loop.create_server(factory, "127.0.0.1", 0)
        with connect(server) as client:
            await asyncio.wait_for(called.wait(), PATIENCE)
            await turns()
            gc.collect()  # asyncio leaves a socket to the collector
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""

    runner.run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_factory_that_fails_costs_its_connection_alone(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        first = True

        def factory() -> asyncio.Protocol:
            nonlocal first
            if first:
                first = False
                raise ZeroDivisionError
            return seen()

        server = await loop.create_server(factory, "127.0.0.1", 0)
        with connect(server) as dropped, connect(server):
            await until(seen, lambda: seen.made == 1)
            gc.collect()  # asyncio leaves the socket to the collector
            with contextlib.suppress(ConnectionError):
                assert dropped.recv(1) == b""
        await until(seen, lambda: seen.lost == 1)
        seen.transports.clear()
        server.close()

    runner.run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_debug_mode_tells_of_a_factory_that_fails(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)

        def factory() -> asyncio.Protocol:
            raise ZeroDivisionError

        server = await loop.create_server(factory, "127.0.0.1", 0)
        with reports() as told, connect(server):
            async with asyncio.timeout(PATIENCE):
                while not told:
                    await asyncio.sleep(0)
        (context,) = told
        assert context["message"] == "Error on transport creation for incoming connection"
        assert isinstance(context.pop("exception"), ZeroDivisionError)
        server.close()
        gc.collect()

    runner.run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_interrupt_in_a_factory_leaves_the_loop_and_forgets_nobody(runner: asyncio.Runner) -> None:
    loop = runner.get_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # asyncio tells of its task too
    seen: list[type[Counter]] = []
    first = True

    def factory() -> asyncio.Protocol:
        nonlocal first
        if first:
            first = False
            raise SystemExit(7)
        return seen[0]()

    async def start() -> asyncio.Server:
        seen.append(counter())
        return await loop.create_server(factory, "127.0.0.1", 0)

    async def finish() -> None:
        await until(seen[0], lambda: seen[0].made == 1)
        seen[0].transports.pop().abort()
        await until(seen[0], lambda: seen[0].lost == 1)
        server.close()

    server = runner.run(start())
    with connect(server), connect(server):
        with pytest.raises(SystemExit):
            runner.run(asyncio.sleep(PATIENCE))
        runner.run(finish())
    gc.collect()


def test_each_connection_has_a_context_of_its_own(runner: asyncio.Runner) -> None:
    variable = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    class Sees(Recorder):
        def __init__(self) -> None:
            super().__init__()
            seen.append("factory " + variable.get())
            variable.set("of the factory")

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.append("made " + variable.get())
            variable.set("of connection_made")

        def data_received(self, data: bytes) -> None:
            seen.append("data " + variable.get())
            variable.set("of data_received")
            super().data_received(data)

        def connection_lost(self, exc: BaseException | None) -> None:
            seen.append("lost " + variable.get())
            super().connection_lost(exc)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocols: list[Sees] = []

        def factory() -> Sees:
            protocols.append(Sees())
            return protocols[-1]

        variable.set("of the server")
        server = await loop.create_server(factory, "127.0.0.1", 0)
        variable.set("later")
        for n in (1, 2):
            client = connect(server)
            while len(protocols) < n:
                await asyncio.sleep(0)
            client.sendall(b"x")
            await protocols[-1].received(1)
            client.sendall(b"y")
            await protocols[-1].received(2)
            client.close()
            await protocols[-1].lost
        server.close()

    runner.run(main())
    assert seen == 2 * [
        "factory of the server",
        "made of the factory",
        "data of the factory",
        "data of data_received",
        "lost of data_received",
    ]


def test_several_hosts_and_what_a_server_shows(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, ["127.0.0.1", "::1"], 0, start_serving=False)
        assert isinstance(server, asyncio.Server) and not server.is_serving()
        assert isinstance(server.sockets, tuple) and len(server.sockets) == 2
        await server.start_serving()
        assert server.is_serving()
        clients = [socket.create_connection(s.getsockname()[:2], timeout=PATIENCE) for s in server.sockets]
        await until(seen, lambda: seen.made == 2)
        for transport in seen.transports:
            there = {c.getsockname(): c.getpeername() for c in clients}
            assert there[transport.get_extra_info("peername")] == transport.get_extra_info("sockname")
        for client in clients:
            client.close()
        await until(seen, lambda: seen.lost == 2)
        seen.transports.clear()
        server.close()
        assert not server.sockets and not server.is_serving()
        await server.wait_closed()

    runner.run(main())


def test_servers_that_share_a_port(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        first = await loop.create_server(seen, "127.0.0.1", 0, reuse_port=True)
        port = first.sockets[0].getsockname()[1]
        second = await loop.create_server(seen, "127.0.0.1", port, reuse_port=True)
        clients = [connect(first) for _ in range(8)]
        await until(seen, lambda: seen.made == 8)
        for client in clients:
            client.close()
        await until(seen, lambda: seen.lost == 8)
        seen.transports.clear()
        first.close()
        second.close()

    runner.run(main())


if sys.version_info >= (3, 13):

    def test_kept_alive_connections(runner: asyncio.Runner) -> None:
        async def main() -> None:
            loop: Any = asyncio.get_running_loop()
            seen = counter()
            server = await loop.create_server(seen, "127.0.0.1", 0, keep_alive=True)
            with connect(server):
                await until(seen, lambda: seen.made == 1)
                sock = seen.transports.pop().get_extra_info("socket")
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            await until(seen, lambda: seen.lost == 1)
            server.close()

        runner.run(main())

    @pytest.mark.parametrize("how", ["close_clients", "abort_clients"])
    def test_a_server_ends_its_clients(runner: asyncio.Runner, how: str) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            seen = counter()
            server = await loop.create_server(seen, "127.0.0.1", 0)
            clients = [connect(server) for _ in range(3)]
            await until(seen, lambda: seen.made == 3)
            seen.transports.clear()
            server.close()
            waiting = asyncio.create_task(server.wait_closed())
            await turns()
            assert not waiting.done()
            getattr(server, how)()
            await asyncio.wait_for(waiting, PATIENCE)
            assert seen.lost == 3
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    assert client.recv(1) == b""
                client.close()

        runner.run(main())


def test_serve_forever_ends_by_being_cancelled(runner: asyncio.Runner) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        forever = asyncio.create_task(server.serve_forever())
        await turns()
        assert server.is_serving()
        forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forever
        assert not server.is_serving() and server.sockets == ()

    runner.run(main())


@pytest.mark.parametrize("name", ["server.sock", "\0asioloop-test-{pid}"], ids=["path", "abstract"])
def test_unix_servers(runner: asyncio.Runner, tmp_path: Path, name: str) -> None:
    path = name.format(pid=os.getpid()) if name[0] == "\0" else str(tmp_path / name)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_unix_server(seen, path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            await until(seen, lambda: seen.made == 1)
            (transport,) = seen.transports
            assert transport.get_extra_info("peername") == ""
            assert transport.get_extra_info("sockname") == client.getpeername()
            assert type(transport.get_extra_info("sockname")) is (bytes if path[0] == "\0" else str)
        await until(seen, lambda: seen.lost == 1)
        assert transport.get_extra_info("socket").family == socket.AF_UNIX
        seen.transports.clear()
        server.close()
        if path[0] != "\0":
            assert Path(path).exists() == (sys.version_info < (3, 13))  # since then it cleans up

    runner.run(main())


def test_names_and_sockets_outlive_the_connection(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, "127.0.0.1", 0)
        with connect(server) as client:
            name, peer = client.getpeername(), client.getsockname()
            await until(seen, lambda: seen.made == 1)
        await until(seen, lambda: seen.lost == 1)
        transport = seen.transports.pop()
        assert transport.get_extra_info("peername") == peer
        assert transport.get_extra_info("sockname") == name
        sock = transport.get_extra_info("socket")
        assert (sock.fileno(), sock.family, sock.type) == (-1, socket.AF_INET, socket.SOCK_STREAM)
        assert transport.get_extra_info("socket") is sock
        assert transport.get_extra_info("cipher") is None
        assert transport.get_extra_info(name="cipher", default=1) == 1
        assert transport.get_extra_info(("no", "text"), 2) == 2
        server.close()

    runner.run(main())


def test_the_socket_of_an_accepted_connection(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, "127.0.0.1", 0)
        with connect(server):
            await until(seen, lambda: seen.made == 1)
            transport = seen.transports.pop()
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.gettimeout() == 0 and not os.get_inheritable(sock.fileno())
            assert sock.type == socket.SOCK_STREAM and sock.family == socket.AF_INET
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.add_reader(sock.fileno(), print)
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.remove_writer(sock)
        await until(seen, lambda: seen.lost == 1)
        assert sock.fileno() == -1
        server.close()

    runner.run(main())


def test_a_connection_from_elsewhere(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
            conn, _ = listener.accept()
        with client:
            transport, protocol = await loop.connect_accepted_socket(Recorder, conn)
            assert protocol.events == ["made"]
            assert transport.get_extra_info("peername") == client.getsockname()
            transport.write(b"hello")
            await asyncio.sleep(0)  # the end of the turn sends it
            assert client.recv(5) == b"hello"
            transport.close()
            await protocol.lost

    runner.run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_that_is_closed_with_servers_lets_go_of_them(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    loop = factory()
    server = loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    client = connect(server)
    loop.close()
    gone = weakref.ref(server)
    client.close()
    del server, loop
    gc.collect()
    assert gone() is None


def test_a_server_whose_socket_the_program_has_closed(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        with socket.create_server(("127.0.0.1", 0)) as sock:
            server = await loop.create_server(seen, sock=sock)
            with connect(server):
                await until(seen, lambda: seen.made == 1)
            await until(seen, lambda: seen.lost == 1)
            seen.transports.clear()
            server.close()
            assert sock.fileno() == -1

    runner.run(main())


def test_accepting_leaves_nothing_behind(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = counter()
        server = await loop.create_server(seen, "127.0.0.1", 0)
        alive = []
        for n in range(1, 51):
            with connect(server):
                await until(seen, lambda n=n: seen.made == n)  # type: ignore[misc]
                alive.append(weakref.ref(seen.transports.pop()))
            await until(seen, lambda n=n: seen.lost == n)  # type: ignore[misc]
        await turns()
        gc.collect()
        assert not [1 for transport in alive if transport() is not None]
        server.close()

    runner.run(main())
