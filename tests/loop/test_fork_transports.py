"""What a forked child ends, or lets go of, is its copy: the parent's transports and servers, and who talks to them, go on."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asioloop
import pytest
from forks import REFUSED, in_child
from tls_peers import make_contexts, secured


class Told(asyncio.Protocol, asyncio.DatagramProtocol, asyncio.SubprocessProtocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    def data_received(self, data: bytes) -> None:
        self.events.put_nowait(data)

    def datagram_received(self, data: bytes, _address: Any) -> None:
        self.events.put_nowait(data)

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        self.events.put_nowait(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.put_nowait(exc)


class Datagrams:
    """One end of a pair."""

    async def open(self) -> None:
        ours, self.theirs = socket.socketpair(type=socket.SOCK_DGRAM)
        ours.setblocking(False)
        self.transport: Any
        self.transport, self.told = await asyncio.get_running_loop().create_datagram_endpoint(Told, sock=ours)

    async def is_alive(self) -> bool:
        self.theirs.send(b"x")
        self.transport.sendto(b"y")
        return bool(await self.told.events.get() == b"x" and self.theirs.recv(9) == b"y")

    async def close(self) -> None:
        self.transport.close()
        assert await self.told.events.get() is None
        self.theirs.close()


class ReadPipe:
    """Reads from one."""

    async def open(self) -> None:
        ours, theirs = os.pipe()
        self.theirs = os.fdopen(theirs, "wb", 0)
        self.transport: Any
        self.transport, self.told = await asyncio.get_running_loop().connect_read_pipe(
            Told, os.fdopen(ours, "rb", 0)
        )

    async def is_alive(self) -> bool:
        self.theirs.write(b"x")
        return bool(await self.told.events.get() == b"x")

    async def close(self) -> None:
        self.transport.close()
        assert await self.told.events.get() is None
        self.theirs.close()


class WritePipe:
    """Writes to one."""

    async def open(self) -> None:
        theirs, ours = os.pipe()
        self.theirs = os.fdopen(theirs, "rb", 0)
        self.transport: Any
        self.transport, self.told = await asyncio.get_running_loop().connect_write_pipe(
            Told, os.fdopen(ours, "wb", 0)
        )

    async def is_alive(self) -> bool:
        self.transport.write(b"y")
        return self.theirs.read(9) == b"y"

    async def close(self) -> None:
        self.theirs.close()
        assert await self.told.events.get() is None
        self.transport.close()


class Tls:
    """A client."""

    async def open(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            contexts = make_contexts(Path(folder))
        self.told = Told()
        self.transport: Any
        self.transport, _, self.peer = await secured(contexts, self.told)

    async def is_alive(self) -> bool:
        await self.peer.send(b"x")
        self.transport.write(b"y")
        return bool(await self.told.events.get() == b"x" and await self.peer.read(1) == b"y")

    async def close(self) -> None:
        self.transport.close()
        await self.peer.unwrap()
        assert await self.told.events.get() is None
        self.peer.sock.close()


class Process:
    """A child that says what it hears."""

    async def open(self) -> None:
        self.transport: Any
        self.transport, self.told = await asyncio.get_running_loop().subprocess_exec(Told, "cat", stderr=None)

    async def is_alive(self) -> bool:
        self.transport.get_pipe_transport(0).write(b"x")
        return bool(await self.told.events.get() == b"x" and self.transport.get_returncode() is None)

    async def close(self) -> None:
        self.transport.get_pipe_transport(0).close()
        assert await self.told.events.get() is None
        assert self.transport.get_returncode() == 0
        self.transport.close()


class Server:
    """That serves for ever; over TCP."""

    async def listen(self) -> Any:
        return await asyncio.start_server(self.answer, "127.0.0.1", 0)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.transport.sockets[0].getsockname())

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async def open(self) -> None:
        self.transport = await self.listen()
        self.serving = asyncio.ensure_future(self.transport.serve_forever())
        self.waiting = asyncio.ensure_future(self.transport.wait_closed())
        await asyncio.sleep(0)

    async def is_alive(self) -> bool:
        reader, writer = await self.connect()
        writer.write(b"hello\n")
        said = await reader.read()
        writer.close()
        await writer.wait_closed()
        return said == b"hello\n" and not self.serving.done()

    async def close(self) -> None:
        self.transport.close()
        with suppress(asyncio.CancelledError):
            await self.serving
        await self.waiting


class UnixServer(Server):
    """The same with a name in the file system."""

    async def listen(self) -> Any:
        self.folder = tempfile.TemporaryDirectory()
        return await asyncio.start_unix_server(self.answer, self.folder.name + "/s")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.folder.name + "/s")

    async def close(self) -> None:
        await super().close()
        self.folder.cleanup()


KINDS = [Datagrams, ReadPipe, WritePipe, Tls, Process, Server, UnixServer]


def closes(open_: Any) -> object:
    open_.transport.close()
    open_.transport.close()
    return "done"


def aborts(open_: Any) -> object:
    for name in ("abort", "abort_clients", "close"):
        if hasattr(open_.transport, name):
            getattr(open_.transport, name)()
    return "done"


def drops(open_: Any) -> object:
    if hasattr(open_, "folder"):
        open_.folder._finalizer.detach()
    vars(open_).clear()
    gc.collect()
    return "done"


def in_quiet_child(run: Callable[[], object]) -> str:
    """What it warns of are the resources that it drops; what it raises nobody catches, or comes out of a destructor."""

    def child() -> object:
        raised: list[Any] = []
        sys.unraisablehook = raised.append
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            said = run()
        return raised or said

    return in_child(child)


@pytest.mark.parametrize("child", [closes, aborts, drops])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_child_ends_goes_on_in_the_parent(kind: type[Any], child: Callable[[Any], object]) -> None:
    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        one = kind()
        runner.run(one.open())
        assert runner.run(one.is_alive())
        assert in_quiet_child(lambda: child(one)) == "done"
        assert runner.run(asyncio.wait_for(one.is_alive(), 10))
        runner.run(one.close())


@pytest.mark.parametrize("child", [closes, aborts])
@pytest.mark.parametrize("kind", KINDS)
def test_a_child_of_a_running_loop_ends_only_its_copies_too(
    kind: type[Any], child: Callable[[Any], object]
) -> None:
    async def main() -> None:
        one = kind()
        await one.open()
        asyncio.get_running_loop().set_debug(True)
        assert in_quiet_child(lambda: child(one)) == "done"
        asyncio.get_running_loop().set_debug(False)
        assert await asyncio.wait_for(one.is_alive(), 10)
        await one.close()

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        runner.run(main())


def resumes(one: Any) -> None:
    one.transport.pause_reading()
    one.transport.resume_reading()


def listens(one: Any) -> None:
    one.transport._loop._start_serving(Told, one.listening)


class Listening(Server):
    """And nobody accepts yet."""

    async def open(self) -> None:
        await super().open()
        self.listening = socket.create_server(("127.0.0.1", 0))

    async def close(self) -> None:
        await super().close()
        self.listening.close()


@pytest.mark.parametrize(
    ("kind", "child"), [(Datagrams, resumes), (ReadPipe, resumes), (Tls, resumes), (Listening, listens)]
)
def test_what_needs_the_loop_is_refused_in_its_words(kind: type[Any], child: Callable[[Any], None]) -> None:
    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        one = kind()
        runner.run(one.open())
        assert in_child(lambda: child(one)) == REFUSED
        assert runner.run(asyncio.wait_for(one.is_alive(), 10))
        runner.run(one.close())


# --- a child that comes back to the loop takes nothing out of what it shares ---------------------------------------------


class Forks(Told):
    """With the first that comes, and waits for the child's end."""

    child: int | None = None

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.before = before

    def fork(self) -> bool:
        """Whether this is not the child, which must wake nobody."""
        if self.child is None:
            self.before()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self.child = os.fork()
            if self.child:
                assert os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1]) == 3
        return self.child != 0

    def data_received(self, data: bytes) -> None:
        if self.fork():
            super().data_received(data)

    def datagram_received(self, data: bytes, address: Any) -> None:
        if self.fork():
            super().datagram_received(data, address)


def run_forking(main: Any, forks: Callable[[], bool]) -> None:
    """`forks`: whether this is the child, which ends with 3 if nothing but its refusal came out of the loop."""
    code = 1
    loop = asioloop.new_event_loop()
    try:
        loop.run_until_complete(main)
        code = 0
    except RuntimeError as exc:
        code = 3 if "made before this process was forked" in str(exc) else 2
        if not forks():
            raise
    finally:
        if forks():
            os._exit(code)
        loop.close()


def test_a_child_that_comes_back_from_a_packet_reads_no_more() -> None:
    many = 1 << 18
    ours, theirs = socket.socketpair()
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        theirs.setsockopt(socket.SOL_SOCKET, option, many)
    told = Forks()

    async def main() -> None:
        theirs.setblocking(False)
        ours.setblocking(False)
        size = theirs.send(bytes(many))  # more than is read at once
        await asyncio.get_running_loop().create_connection(lambda: told, sock=ours)
        while size > 0:
            size -= len(await told.events.get())
        assert size == 0
        theirs.close()
        assert await told.events.get() is None

    run_forking(main(), lambda: told.child == 0)


def test_a_child_that_comes_back_from_a_pipe_reads_no_more() -> None:
    ours, theirs = os.pipe()
    told = Forks(lambda: os.write(theirs, b"second"))

    async def main() -> None:
        os.write(theirs, b"first")
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: told, os.fdopen(ours, "rb", 0)
        )
        assert [await told.events.get() for _ in range(2)] == [b"first", b"second"]
        os.close(theirs)
        assert await told.events.get() is None
        transport.close()

    run_forking(main(), lambda: told.child == 0)


class Answers(Forks):
    """Each datagram, at once; in a child also closes."""

    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        if data != b"0":
            super().datagram_received(data, address)
        self.transport.sendto(b"answer to " + data)
        if self.child == 0:
            self.transport.sendto(b"the child's")
            self.transport.close()


def test_a_child_that_comes_back_from_a_datagram_sends_nothing_of_the_parents() -> None:
    """Of a batch: what has gathered as the parent's, and what has come and was not told of yet."""
    ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM)
    told = Answers()

    async def main() -> None:
        ours.setblocking(False)
        theirs.setblocking(False)
        for data in (b"0", b"1", b"2"):
            theirs.send(data)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: told, sock=ours)
        assert [await told.events.get() for _ in range(2)] == [b"1", b"2"]
        told.transport.close()
        assert await told.events.get() is None
        with theirs:
            said = [theirs.recv(99) for _ in range(5)]
            with pytest.raises(BlockingIOError):
                theirs.recv(99)
        assert said == [
            b"answer to 1",  # of the child, which was asked before it was one
            b"the child's",
            *[b"answer to " + data for data in (b"0", b"1", b"2")],
        ]

    run_forking(main(), lambda: told.child == 0)


def test_a_child_that_comes_back_from_a_connection_accepts_no_other() -> None:
    forks = Forks()
    events: asyncio.Queue[Any] | None = None

    def factory() -> Told:
        nonlocal events
        forks.fork()
        told = Told()
        events = told.events = events or told.events
        return told

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
        clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(3)]
        for client in clients:
            client.send(b"x")
        while events is None:
            await asyncio.sleep(0)
        assert [await events.get() for _ in clients] == [b"x"] * 3
        for client in clients:
            client.close()
        assert [await events.get() for _ in clients] == [None] * 3
        server.close()
        await server.wait_closed()

    run_forking(main(), lambda: forks.child == 0)
