"""Connecting: every option of create_connection(), on asyncio too; refusals, cancels, what is left over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asioloop
import pytest
from stream_peers import PATIENCE, Recorder, turns


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", backlog: int = 10) -> Iterator[socket.socket]:
    """A blocking listener."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=backlog) as listener:
        listener.settimeout(PATIENCE)
        yield listener


def nobody() -> int:
    """A port at which nobody listens: it is held, but not listened at, until the process ends."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


async def exchange(transport: Any, protocol: Recorder, listener: socket.socket) -> socket.socket:
    """Both ways over a new connection; returns its other end."""
    peer, _ = listener.accept()
    peer.settimeout(PATIENCE)
    transport.write(b"there")
    await asyncio.sleep(0)  # the end of the turn sends it
    assert peer.recv(5) == b"there"
    peer.sendall(b"back")
    assert await protocol.received(4) == b"back"
    return peer


async def end(transport: Any, protocol: Recorder) -> None:
    """Closes it, and waits for that."""
    transport.close()
    assert await protocol.lost is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", "localhost"])
def test_hosts_of_this_machine(runner: asyncio.Runner, host: str) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with listening("127.0.0.1" if host == "localhost" else host) as listener:
            port = listener.getsockname()[1]
            transport, protocol = await loop.create_connection(Recorder, host, port)
            with await exchange(transport, protocol, listener) as peer:
                assert protocol.events[0] == "made"
                assert transport.get_extra_info("peername") == listener.getsockname()
                assert transport.get_extra_info("sockname") == peer.getpeername()
                sock = transport.get_extra_info("socket")
                assert sock.getsockname() == peer.getpeername()
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.gettimeout() == 0 and not os.get_inheritable(sock.fileno())
                await end(transport, protocol)
                assert transport.get_extra_info("peername") == listener.getsockname()

    runner.run(main())


@pytest.mark.parametrize(
    "options",
    [
        {"family": socket.AF_INET},
        {"proto": socket.IPPROTO_TCP},
        {"flags": socket.AI_PASSIVE},
        {"local_addr": ("127.0.0.1", 0)},
        {"happy_eyeballs_delay": 0.25},
        {"interleave": 1},
        {"ssl": None, "sock": None, "server_hostname": None},
        {"ssl": False},
    ],
    ids=",".join,
)
def test_options(runner: asyncio.Runner, options: dict[str, Any]) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with listening() as listener:
            host, port = listener.getsockname()
            transport, protocol = await loop.create_connection(Recorder, host, port, **options)
            with await exchange(transport, protocol, listener):
                await end(transport, protocol)

    runner.run(main())


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.25}], ids=["plain", "happy eyeballs"])
def test_a_refusal_says_where(runner: asyncio.Runner, options: dict[str, Any], debug: bool) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.set_debug(debug)
        for _ in range(3):
            port = nobody()
            with pytest.raises(ConnectionRefusedError) as refused:
                await loop.create_connection(Recorder, "127.0.0.1", port, **options)
            assert refused.value.errno == 111
            assert str(refused.value) == f"[Errno 111] Connect call failed ('127.0.0.1', {port})"
            with pytest.raises(ConnectionRefusedError) as refused:
                await loop.create_connection(Recorder, "::1", port, **options)
            assert str(refused.value) == f"[Errno 111] Connect call failed ('::1', {port}, 0, 0)"

    runner.run(main())


if sys.version_info >= (3, 12):

    def test_all_errors_come_as_a_group(runner: asyncio.Runner) -> None:
        async def main() -> None:
            loop: Any = asyncio.get_running_loop()
            with pytest.raises(ExceptionGroup) as group:
                await loop.create_connection(Recorder, "127.0.0.1", nobody(), all_errors=True)
            assert str(group.value) == "create_connection failed (1 sub-exception)"
            assert isinstance(group.value.exceptions[0], ConnectionRefusedError)

        runner.run(main())


@pytest.mark.parametrize(
    ("host", "port", "options"),
    [
        ("127.0.0.1", 1, {"server_hostname": "a"}),
        ("127.0.0.1", 1, {"server_hostname": ""}),
        ("127.0.0.1", 1, {"ssl_handshake_timeout": 0}),
        ("127.0.0.1", 1, {"ssl_shutdown_timeout": 1.0}),
        ("127.0.0.1", 1, {"no_such_option": 1}),
        ("127.0.0.1", 1, {"family": socket.AF_INET6}),
        ("127.0.0.1", 70_000, {}),
        ("127.0.0.1", -1, {}),
        ("127.0.0.1", "no such service", {}),
        ("127.0.0.1\0", 1, {}),
        (None, None, {}),
        (None, None, {"ssl": True}),
    ],
)
def test_what_is_refused_is_refused_as_asyncio_does(host: Any, port: Any, options: dict[str, Any]) -> None:
    async def error() -> tuple[type[BaseException], str]:
        try:
            await asyncio.get_running_loop().create_connection(Recorder, host, port, **options)
        except Exception as e:
            return type(e), str(e).replace("Loop.", "").replace("Base", "").replace("Event", "")
        raise AssertionError("nothing was refused")

    import asioloop

    told = []
    for make in (asyncio.SelectorEventLoop, asioloop.new_event_loop):
        with asyncio.Runner(loop_factory=make) as runner:
            told.append(runner.run(error()))
    assert told[0] == told[1]


def test_the_signature_is_asyncios() -> None:
    import asioloop

    assert inspect.signature(asioloop.Loop.create_connection) == inspect.signature(
        asyncio.SelectorEventLoop.create_connection
    )


def test_the_next_address_is_tried(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(**options: Any) -> None:
        loop: Any = asyncio.get_running_loop()
        with listening() as listener:
            good, bad = listener.getsockname(), ("127.0.0.1", nobody())

            async def resolve(*_: Any, **__: Any) -> list[Any]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (bad, good)]

            monkeypatch.setattr(loop, "getaddrinfo", resolve)
            transport, protocol = await loop.create_connection(Recorder, "a.name", 1, **options)
            assert transport.get_extra_info("peername") == good
            with await exchange(transport, protocol, listener):
                await end(transport, protocol)

    runner.run(main())
    runner.run(main(happy_eyeballs_delay=10.0))
    runner.run(main(interleave=2, local_addr=("127.0.0.1", 0)))


def test_happy_eyeballs_goes_on_while_the_first_is_silent(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with silent() as full, listening() as listener:
            addresses = [full, listener.getsockname()]

            async def resolve(*_: Any, **__: Any) -> list[Any]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

            monkeypatch.setattr(loop, "getaddrinfo", resolve)
            open_after = []
            for _ in range(2):
                connecting = loop.create_connection(Recorder, "a.name", 1, happy_eyeballs_delay=0.01)
                transport, protocol = await asyncio.wait_for(connecting, PATIENCE)
                assert transport.get_extra_info("peername") == listener.getsockname()
                with await exchange(transport, protocol, listener):
                    await end(transport, protocol)
                open_after.append(len(os.listdir("/proc/self/fd")))
            assert open_after[0] == open_after[1]

    runner.run(main())


@contextlib.contextmanager
def silent() -> Iterator[tuple[str, int]]:
    """The address of a listener whose backlog is full: who connects there gets no answer."""
    with contextlib.ExitStack() as open_, listening(backlog=0) as listener:
        for _ in range(4):
            client = open_.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(listener.getsockname())
        yield listener.getsockname()


def test_a_cancelled_connect_closes_its_descriptor_once(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with silent() as (host, port):
            before = sorted(os.listdir("/proc/self/fd"))
            for options in ({}, {"happy_eyeballs_delay": 1.0}, {"local_addr": ("127.0.0.1", 0)}):
                connecting = asyncio.ensure_future(loop.create_connection(Recorder, host, port, **options))
                await turns(5)
                assert not connecting.done()
                # Whoever opens one now gets the next number: a second close() of ours would hit it.
                connecting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await connecting
                opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
                await turns(5)
                for fd in opened:
                    os.close(fd)
            assert sorted(os.listdir("/proc/self/fd")) == before

    runner.run(main())


def test_a_connect_that_has_to_wait_is_finished(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with listening(backlog=0) as listener, contextlib.ExitStack() as open_:
            for _ in range(4):
                client = open_.enter_context(socket.socket())
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(listener.getsockname())
            connecting = asyncio.ensure_future(loop.create_connection(Recorder, *listener.getsockname()))
            await turns(5)
            assert not connecting.done()
            accepted = [open_.enter_context(listener.accept()[0])]
            transport, protocol = await asyncio.wait_for(connecting, PATIENCE)
            assert protocol.events == ["made"]
            await end(transport, protocol)
            del accepted

    runner.run(main())


def test_cancelled_between_connect_and_made(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        protocols: list[Recorder] = []

        def factory() -> Recorder:
            protocols.append(Recorder())
            return protocols[-1]

        with listening() as listener:
            connecting = asyncio.ensure_future(loop.create_connection(factory, *listener.getsockname()))
            while not protocols:
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await asyncio.wait_for(protocols[0].lost, PATIENCE)
            assert protocols[0].events == ["made", "lost"]
            with listener.accept()[0] as peer:
                assert peer.recv(1) == b""

    runner.run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("result", [None, ZeroDivisionError], ids=["no protocol", "error"])
def test_a_factory_that_makes_no_protocol(runner: asyncio.Runner, result: Any) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()

        def factory() -> Any:
            if result:
                raise result
            return None

        with listening() as listener:
            with pytest.raises(result or AttributeError) as caught:
                await loop.create_connection(factory, *listener.getsockname())
            if result is None:
                assert str(caught.value) == "'NoneType' object has no attribute 'connection_made'"
            del caught
            gc.collect()  # asyncio leaves the socket to the collector
            with listener.accept()[0] as peer:
                peer.settimeout(PATIENCE)
                assert peer.recv(1) == b""

    runner.run(main())


@pytest.mark.asyncio_since((3, 11, 7))
def test_connection_made_may_do_anything(runner: asyncio.Runner) -> None:
    class Acts(Recorder):
        def __init__(self, act: Callable[[Any], Any]) -> None:
            super().__init__()
            self.act = act

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.act(transport)

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with listening() as listener:
            for act in (lambda t: t.close(), lambda t: t.abort()):
                transport, protocol = await loop.create_connection(lambda: Acts(act), *listener.getsockname())  # noqa: B023
                assert transport.is_closing()
                await protocol.lost
                listener.accept()[0].close()
            transport, protocol = await loop.create_connection(
                lambda: Acts(lambda t: t.pause_reading()), *listener.getsockname()
            )
            with listener.accept()[0] as peer:
                peer.sendall(b"later")
                await turns()
                assert not protocol.data and not transport.is_reading()
                transport.resume_reading()
                assert await protocol.received(5) == b"later"
                await end(transport, protocol)
            other = Recorder()
            transport, protocol = await loop.create_connection(
                lambda: Acts(lambda t: t.set_protocol(other)), *listener.getsockname()
            )
            with await exchange(transport, other, listener):
                assert protocol.events == ["made"] and other.events == ["data"]
                await end(transport, other)

    runner.run(main())


@pytest.mark.parametrize("ends", [False, True], ids=["", "and it is closed"])
def test_an_interrupt_in_connection_made_forgets_nothing(runner: asyncio.Runner, ends: bool) -> None:
    class Interrupts(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if ends:
                transport.close()
            raise SystemExit(7)

    async def start(address: tuple[str, int]) -> asyncio.Task[Any]:
        loop = asyncio.get_running_loop()
        return loop.create_task(loop.create_connection(Interrupts, *address))

    async def finish(connecting: asyncio.Task[Any], peer: socket.socket) -> None:
        transport, protocol = await asyncio.wait_for(connecting, PATIENCE)
        if not ends:
            peer.sendall(b"x")
            assert await protocol.received(1) == b"x"
            transport.close()
        assert await protocol.lost is None

    with listening() as listener:
        connecting = runner.run(start(listener.getsockname()))
        with pytest.raises(SystemExit):
            runner.run(asyncio.sleep(PATIENCE))
        with listener.accept()[0] as peer:
            runner.run(finish(connecting, peer))


def test_a_socket_of_the_programs_own(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with listening() as listener:
            sock = socket.create_connection(listener.getsockname())
            transport, protocol = await loop.create_connection(Recorder, sock=sock)
            assert transport.get_extra_info("socket").fileno() == sock.fileno()
            with await exchange(transport, protocol, listener):
                await end(transport, protocol)
            assert sock.fileno() == -1
            with pytest.raises(ValueError, match="host/port and sock can not be specified at the same time"):
                await loop.create_connection(Recorder, "127.0.0.1", 1, sock=sock)
            with (
                socket.socket(type=socket.SOCK_DGRAM) as datagrams,
                pytest.raises(ValueError, match="A Stream Socket was expected"),
            ):
                await loop.create_connection(Recorder, sock=datagrams)

    runner.run(main())


def test_unix_connections(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            listener.settimeout(PATIENCE)
            transport, protocol = await loop.create_unix_connection(Recorder, path)
            with await exchange(transport, protocol, listener):
                assert transport.get_extra_info("peername") == path
                assert transport.get_extra_info("sockname") == ""
                await end(transport, protocol)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(Recorder, path)
        with pytest.raises(FileNotFoundError):
            await loop.create_unix_connection(Recorder, path + "no")

    runner.run(main())


@pytest.mark.parametrize("kind", ["str", "bytes", "path", "abstract", "abstract bytes"])
def test_names_of_unix_servers(runner: asyncio.Runner, tmp_path: Path, kind: str) -> None:
    abstract = f"\0asioloop test {os.getpid()}"
    names: dict[str, Any] = {
        "str": str(tmp_path / "s\xf6cket"),
        "bytes": os.fsencode(tmp_path / "socket"),
        "path": tmp_path / "socket",
        "abstract": abstract,
        "abstract bytes": abstract.encode(),
    }

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.fspath(names[kind]))
            listener.listen()
            listener.settimeout(PATIENCE)
            transport, protocol = await loop.create_unix_connection(Recorder, names[kind])
            with await exchange(transport, protocol, listener):
                assert transport.get_extra_info("peername") == listener.getsockname()
                assert transport.get_extra_info("socket").family == socket.AF_UNIX
                await end(transport, protocol)

    runner.run(main())


def test_what_is_wrong_with_a_unix_connection(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            for keywords, text in (
                ({"server_hostname": "a"}, "server_hostname is only meaningful with ssl"),
                ({"ssl_handshake_timeout": 1}, "ssl_handshake_timeout is only meaningful with ssl"),
                ({"ssl": True}, "you have to pass server_hostname when using ssl"),
                ({"sock": listener}, "path and sock can not be specified at the same time"),
            ):
                with pytest.raises(ValueError, match=text):
                    await loop.create_unix_connection(Recorder, path, **keywords)
            with pytest.raises(ValueError, match="no path and sock were specified"):
                await loop.create_unix_connection(Recorder)
            with pytest.raises(TypeError):
                await loop.create_unix_connection(Recorder, path, no_such_option=None)
            with pytest.raises(TypeError):
                await loop.create_unix_connection(Recorder, 7)
        with pytest.raises(OSError, match="AF_UNIX path too long"):
            await loop.create_unix_connection(Recorder, "a" * 200)
        with pytest.raises(ConnectionRefusedError, match="Connection refused"):
            await loop.create_unix_connection(Recorder, path)

    runner.run(main())


def test_a_factory_that_fails_leaves_no_unix_socket(tmp_path: Path) -> None:
    # asyncio leaves it to the garbage collector, which warns.
    def fails() -> Recorder:
        raise ZeroDivisionError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "socket"))
            listener.listen()
            before = os.listdir("/proc/self/fd")
            with pytest.raises(ZeroDivisionError):
                await loop.create_unix_connection(fails, str(tmp_path / "socket"))
            assert os.listdir("/proc/self/fd") == before

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        runner.run(main())


def test_a_sock_connect_of_the_programs_connects_unix_sockets_too(
    factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    asked: list[Any] = []

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def sock_connect(sock: socket.socket, address: Any) -> None:
            asked.append(address)
            await connect(sock, address)

        loop.sock_connect = sock_connect
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "socket"))
            listener.listen()
            transport, protocol = await loop.create_unix_connection(Recorder, tmp_path / "socket")
            await end(transport, protocol)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert asked == [str(tmp_path / "socket")]


def test_connecting_needs_no_thread(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()

        def refuse(*_: Any) -> Any:
            raise AssertionError("a thread was asked for")

        loop.run_in_executor = refuse
        with listening() as listener:
            for options in ({}, {"local_addr": ("127.0.0.1", 0)}, {"happy_eyeballs_delay": 0.1}):
                transport, protocol = await loop.create_connection(
                    Recorder,
                    *listener.getsockname(),
                    **options,
                )
                listener.accept()[0].close()
                await protocol.lost
                del transport

    runner.run(main())


@pytest.mark.parametrize("how", ["on the loop", "in a subclass", "a class of sockets"])
def test_what_a_program_puts_in_the_way_is_used(
    factory: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    used: list[tuple[str, int]] = []
    model = factory()
    model.close()
    base: Any = type(model)

    class Notes(base):  # type: ignore[misc]
        async def sock_connect(self, sock: socket.socket, address: Any) -> None:
            used.append(address)
            await base.sock_connect(self, sock, address)

    class NotedSocket(socket.socket):
        def connect(self, address: Any) -> None:
            used.append(address)
            super().connect(address)

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        if how == "on the loop":
            loop.sock_connect = lambda *args: Notes.sock_connect(loop, *args)
        with listening() as listener:
            if how == "a class of sockets":
                monkeypatch.setattr("socket.socket", NotedSocket)
            transport, protocol = await loop.create_connection(Recorder, *listener.getsockname())
            await end(transport, protocol)
            assert used == [listener.getsockname()]

    with asyncio.Runner(loop_factory=Notes if how == "in a subclass" else factory) as runner:
        runner.run(main())


def test_debug_mode_logs_connections(runner: asyncio.Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.set_debug(True)
        ended = loop.create_future()

        class Accepted(asyncio.Protocol):
            def connection_lost(self, exc: BaseException | None) -> None:
                ended.set_result(None)

        server = await loop.create_server(Accepted, "127.0.0.1", 0)
        with caplog.at_level("DEBUG", logger="asyncio"):
            transport, protocol = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
            await end(transport, protocol)
            await ended
        texts = [record.message for record in caplog.records]
        assert any("connected to 127.0.0.1:" in text for text in texts), texts
        assert any("got a new connection from ('127.0.0.1'," in text for text in texts), texts
        server.close()

    runner.run(main())
