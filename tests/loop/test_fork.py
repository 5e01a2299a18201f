"""A forked child: no loop is running there, its parent's refuses, and whatever it lets go of the parent keeps."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable
from typing import Any

import asioloop
import pytest
from forks import REFUSED, in_child

Factory = Callable[[], asyncio.AbstractEventLoop]


async def nothing() -> str:
    return "done"


async def echo_once() -> bytes:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        said = await reader.read()
        writer.close()
        await writer.wait_closed()
    return said


def test_no_loop_is_running_in_a_child(runner: asyncio.Runner) -> None:
    async def main() -> None:
        assert in_child(asyncio.get_running_loop) == "RuntimeError: no running event loop"
        assert in_child(asyncio._get_running_loop) == "None"

    runner.run(main())


def test_a_child_makes_a_loop_of_its_own(runner: asyncio.Runner, factory: Factory) -> None:
    def child() -> object:
        with asyncio.Runner(loop_factory=factory) as own:
            return own.run(echo_once())

    async def main() -> None:
        assert in_child(child) == "b'hello\\n'"

    runner.run(main())
    assert runner.run(echo_once()) == b"hello\n"


#: What the parent's loop refuses, and what it is called with; "coroutine" stands for one.
REFUSES: dict[str, tuple[Any, ...]] = {
    "call_soon": (print,),
    "call_soon_threadsafe": (print,),
    "call_later": (0, print),
    "call_at": (0, print),
    "create_task": ("coroutine",),
    "run_in_executor": (None, print),
    "add_reader": (0, print),
    "run_forever": (),
    "run_until_complete": ("coroutine",),
    "io_context": (),
}


def call(loop: Any, what: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the coroutine that never runs
        return getattr(loop, what)(*[nothing() if a == "coroutine" else a for a in REFUSES[what]])


@pytest.mark.parametrize("what", REFUSES)
def test_the_parents_loop_refuses_in_a_child(what: str) -> None:
    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        loop = runner.get_loop()
        assert in_child(lambda: call(loop, what)) == REFUSED
        assert runner.run(nothing()) == "done"


def test_a_closed_loop_still_says_that_it_is_closed_in_a_child() -> None:
    loop = asioloop.new_event_loop()
    loop.close()
    assert in_child(lambda: loop.call_soon(print)) == "RuntimeError: Event loop is closed"
    assert in_child(loop.run_forever) == "RuntimeError: Event loop is closed"
    assert in_child(loop.close) == "None"


class Watched:
    """A loop with a reader, a writer and a stream, and what has come of each."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.pairs = [socket.socketpair() for _ in range(2)]
        for pair in self.pairs:
            for end in pair:
                end.setblocking(False)
        self.ours, self.theirs = self.pairs[0]
        self.read = 0
        loop.add_reader(self.ours, self.on_readable)

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(sock=self.pairs[1][0])

    def on_readable(self) -> None:
        self.read += len(self.ours.recv(100))
        self.loop.call_soon(self.arrived.set)

    async def is_alive(self) -> bool:
        """Whether both tell what arrives now."""
        self.arrived = asyncio.Event()
        before = self.read
        self.theirs.send(b"x")
        self.pairs[1][1].send(b"y")
        async with asyncio.timeout(10):
            await self.arrived.wait()
            return self.read == before + 1 and await self.reader.read(100) == b"y"

    async def close(self) -> None:
        self.loop.remove_reader(self.ours)
        self.writer.close()
        await self.writer.wait_closed()
        for pair in self.pairs:
            for end in pair:
                end.close()


def lets_go_of_watches(watched: Watched) -> object:
    watched.loop.remove_reader(watched.ours)
    watched.writer.transport.abort()
    watched.ours.close()
    return "let go"


def closes_all(watched: Watched) -> object:
    watched.writer.close()
    watched.loop.close()
    return watched.loop.is_closed()


def drops_all(watched: Watched) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        vars(watched).clear()
        gc.collect()
    return "dropped"


@pytest.mark.parametrize(
    ("child", "said"), [(lets_go_of_watches, "let go"), (closes_all, "True"), (drops_all, "dropped")]
)
def test_what_a_child_lets_go_of_the_parent_keeps(child: Callable[[Watched], object], said: str) -> None:
    """While its loop does not run. Not so on asyncio: the child takes what it closes out of the epoll of both."""
    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        watched = Watched(runner.get_loop())
        runner.run(watched.open())
        assert in_child(lambda: child(watched)) == said
        assert runner.run(watched.is_alive())
        runner.run(watched.close())


def test_a_child_of_a_running_loop_leaves_it_alone_too() -> None:
    async def main() -> None:
        watched = Watched(asyncio.get_running_loop())
        await watched.open()
        assert in_child(lambda: lets_go_of_watches(watched)) == "let go"
        assert await watched.is_alive()
        assert in_child(lambda: closes_all(watched)) == "RuntimeError: Cannot close a running event loop"
        assert await watched.is_alive()
        await watched.close()

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        runner.run(main())


def test_a_child_that_returns_to_the_loop_gets_no_further() -> None:
    """The callbacks that are due, and the turns to come, are the parent's."""
    there, here = os.pipe()
    loop = asioloop.new_event_loop()
    children: list[int] = []
    loop.call_soon(lambda: children.append(os.fork()))
    loop.call_soon(lambda: os.write(here, b"next callback of %d\n" % bool(children[0])))
    loop.call_later(0, lambda: os.write(here, b"next turn of %d\n" % bool(children[0])))
    loop.call_later(0.001, loop.stop)
    code = 1
    try:
        loop.run_forever()
    except RuntimeError as exc:
        os.write(here, str(exc).encode() + b"\n")
        code = 3
    finally:
        if children[0] == 0:
            os._exit(code)
    loop.close()
    os.close(here)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 3
    with os.fdopen(there) as answer:
        said = sorted(answer.read().splitlines())
    assert said == [REFUSED.partition(": ")[2], "next callback of 1", "next turn of 1"]


def test_a_child_of_another_thread_refuses_and_does_not_hang() -> None:
    """The loop's thread is not there in the child, and the locks that it may have held are nobody's."""
    loops: list[Any] = [asioloop.new_event_loop()]
    watched = Watched(loops[0])
    loops[0].run_until_complete(watched.open())
    thread = threading.Thread(target=loops[0].run_forever)
    thread.start()

    def child() -> object:
        for what in REFUSES:
            with pytest.raises(RuntimeError, match="made before this process was forked"):
                call(loops[0], what)
        lets_go_of_watches(watched)
        drops_all(watched)
        loops.clear()
        gc.collect()
        return asioloop.run(nothing())

    try:
        for _ in range(5):
            asyncio.run_coroutine_threadsafe(nothing(), loops[0]).result()
            assert in_child(child) == "done"
        assert asyncio.run_coroutine_threadsafe(watched.is_alive(), loops[0]).result()
        asyncio.run_coroutine_threadsafe(watched.close(), loops[0]).result()
    finally:
        loops[0].call_soon_threadsafe(loops[0].stop)
        thread.join()
    loops[0].close()


def test_a_childs_signals_do_not_wake_the_parent() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        assert signal.set_wakeup_fd(-1) != -1
        signal.set_wakeup_fd(loop._csock.fileno())  # type: ignore[attr-defined]
        assert in_child(lambda: signal.set_wakeup_fd(-1)) == "-1"
        loop.remove_signal_handler(signal.SIGUSR1)

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        runner.run(main())
