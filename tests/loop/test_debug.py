"""Debug mode, exception handlers, and what a program may do to a loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import re
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import asioloop
import pytest

Factory = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_debug_mode_refuses_what_asyncio_refuses(runner: asyncio.Runner, method: str) -> None:
    async def coroutine() -> None:
        """Never awaited."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        first = (0,) if method.endswith(("later", "at")) else ()
        name = "call_at" if first else method
        with pytest.raises(TypeError, match=rf"coroutines cannot be used with {name}\(\)"):
            getattr(loop, method)(*first, coroutine)
        with pytest.raises(TypeError, match=rf"a callable object was expected by {name}\(\), got 'text'"):
            getattr(loop, method)(*first, "text")
        loop.set_debug(False)

    runner.run(main())


def test_without_debug_mode_a_non_callable_fails_when_it_runs(
    runner: asyncio.Runner,
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        usual = loop.get_exception_handler()
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        loop.call_soon("text")  # type: ignore[arg-type]
        await asyncio.sleep(0)
        loop.set_exception_handler(usual)
        assert isinstance(told[0]["exception"], TypeError)

    runner.run(main())


def test_the_wrong_thread_is_refused_in_debug_mode(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        for call in (lambda: loop.call_soon(print), lambda: loop.call_later(1, print)):
            with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
                await asyncio.to_thread(call)
        await asyncio.to_thread(loop.call_soon_threadsafe, len, "")
        loop.set_debug(False)

    runner.run(main())


def test_a_handle_knows_where_it_was_made(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        for handle in (
            loop.call_soon(len, ""),
            loop.call_later(0, len, ""),
            loop.call_soon_threadsafe(len, ""),
        ):
            trace = handle._source_traceback  # type: ignore[attr-defined]
            assert trace[-1].name == "main" and trace[-1].filename == __file__
            assert "loop.call_" in trace[-1].line
            assert f"created at {__file__}:{trace[-1].lineno}" in repr(handle)
            assert "".join(trace.format())
        loop.set_debug(False)
        assert loop.call_soon(len, "")._source_traceback is None  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    runner.run(main())


def test_the_limit_of_slow_callbacks_can_change_while_the_loop_runs(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 3600
        loop.call_soon(len, "")
        await asyncio.sleep(0)
        assert not caplog.records
        loop.slow_callback_duration = 0
        loop.call_soon(len, "")
        await asyncio.sleep(0)
        loop.slow_callback_duration = 0.1
        loop.set_debug(False)

    with caplog.at_level(logging.WARNING, "asyncio"):
        runner.run(main())
    assert "Executing <Handle len('')" in caplog.text


def test_an_iteration_of_many_callbacks_is_slow_too(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio's own loop says nothing of it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asioloop.Loop)
        assert loop.slow_iteration_duration == 0.5
        loop.set_debug(True)
        loop.slow_callback_duration = 3600
        loop.slow_iteration_duration = 0.002
        for _ in range(10):
            loop.call_soon(time.sleep, 0.001)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.slow_callback_duration = loop.slow_iteration_duration = 0
        loop.call_soon(len, "")
        await asyncio.sleep(0)
        loop.set_debug(False)

    with caplog.at_level(logging.WARNING, "asyncio"):
        asioloop.run(main())
    said = [r.getMessage() for r in caplog.records if r.name == "asyncio"]
    assert re.match(r"Executing 1\d callbacks of one iteration took \d+\.\d+ seconds, none", said[0])
    # One of them was slow by itself: it alone is named.
    assert not any("of one iteration took" in text for text in said[1:]) and len(said) > 1


class Slow(asyncio.DatagramProtocol, asyncio.Protocol):
    """From what arrives on, everything is slow."""

    def __init__(self, arrived: asyncio.Event) -> None:
        self.arrived = arrived

    def data_received(self, _data: bytes) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asioloop.Loop)
        loop.slow_callback_duration = loop.slow_iteration_duration = 0
        self.arrived.set()

    def datagram_received(self, _data: bytes, _address: Any) -> None:
        self.data_received(b"")


@pytest.mark.parametrize("kind", ["stream", "datagram", "pipe"])
def test_a_slow_packet_is_named_and_its_iteration_is_not_told_of_too(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asioloop.Loop)
        arrived = asyncio.Event()
        a, b = (
            socket.socketpair(type=socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
            if kind != "pipe"
            else (os.fdopen(fd, "wb" if end else "rb", 0) for end, fd in enumerate(os.pipe()))
        )
        transport: asyncio.BaseTransport
        if isinstance(a, socket.socket):
            a.setblocking(False)
            if kind == "datagram":
                transport, _ = await loop.create_datagram_endpoint(lambda: Slow(arrived), sock=a)
            else:
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: Slow(arrived), sock=a
                )
        else:
            transport, _ = await loop.connect_read_pipe(lambda: Slow(arrived), a)
        loop.set_debug(True)
        loop.slow_callback_duration = loop.slow_iteration_duration = 3600
        b.send(b"x") if isinstance(b, socket.socket) else b.write(b"x")
        await arrived.wait()
        loop.set_debug(False)
        transport.close()
        b.close()

    with caplog.at_level(logging.WARNING, "asyncio"):
        asioloop.run(main())
    said = [r.getMessage() for r in caplog.records if r.name == "asyncio"]
    assert any(re.match(r"Executing <Handle .*(_read_ready|_received)", text) for text in said), said
    assert not any("of one iteration took" in text for text in said), said


def test_a_slow_acceptance_is_named_and_its_iteration_is_not_told_of_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In debug mode a task takes each connection in; here it is to make that task which is slow."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asioloop.Loop)
        lost = asyncio.Event()

        class Short(asyncio.Protocol):
            """Tells when it is over."""

            def connection_lost(self, _exc: BaseException | None) -> None:
                lost.set()

        def slow_factory(its_loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
            its_loop.slow_callback_duration = its_loop.slow_iteration_duration = 0
            return asyncio.Task(coroutine, loop=its_loop, **options)

        server = await loop.create_server(Short, "127.0.0.1", 0)
        loop.set_debug(True)
        loop.slow_callback_duration = loop.slow_iteration_duration = 3600
        loop.set_task_factory(slow_factory)
        socket.create_connection(server.sockets[0].getsockname()).close()
        await lost.wait()
        loop.set_task_factory(None)
        loop.set_debug(False)
        server.close()

    with caplog.at_level(logging.WARNING, "asyncio"):
        asioloop.run(main())
    said = [r.getMessage() for r in caplog.records if r.name == "asyncio"]
    assert re.match(r"Executing <Handle Acceptor\.accept\(\).* took \d+\.\d+ seconds", said[0]), said
    assert not any("of one iteration took" in text for text in said), said


def test_an_exception_handler_runs_in_the_callbacks_context(runner: asyncio.Runner) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        usual = loop.get_exception_handler()
        seen: list[str] = []
        loop.set_exception_handler(lambda _loop, _context: seen.append(var.get()))
        context = contextvars.copy_context()
        context.run(var.set, "the callback's")
        loop.call_soon(int, "x", context=context)
        loop.call_later(0, int, "x", context=context)
        await asyncio.sleep(0.001)
        loop.set_exception_handler(usual)
        return seen

    expected = "the callback's" if sys.version_info >= (3, 12) else "none"
    assert runner.run(main()) == [expected] * 2


def test_attributes_of_a_loop_can_be_set(factory: Factory) -> None:
    loop: Any = factory()
    loop.own = 1
    made: list[str] = []
    original = loop.create_future

    def create_future() -> Any:
        made.append("future")
        return original()

    loop.create_future = create_future
    loop.run_until_complete(asyncio.sleep(0.001))
    assert loop.own == 1 and made == ["future"] and vars(loop)["own"] == 1
    del loop.own
    assert not hasattr(loop, "own")
    loop.close()


def test_an_unclosed_loop_warns(factory: Factory) -> None:
    loop = factory()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del loop
        gc.collect()
    assert any(w.category is ResourceWarning and "unclosed event loop" in str(w.message) for w in caught)


@pytest.mark.parametrize(
    "arguments", [{}, {"name": "N"}, {"name": "N", "context": contextvars.copy_context()}, {"context": None}]
)
def test_tasks_are_made_as_asyncio_makes_them(runner: asyncio.Runner, arguments: dict[str, Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        make: Any = loop.create_task

        async def own() -> asyncio.Task[Any] | None:
            return asyncio.current_task()

        task = loop.create_task(own(), **arguments)
        assert type(task) is asyncio.Task and task in asyncio.all_tasks()
        assert task.get_name() == arguments.get("name", task.get_name())
        assert await task is task
        with pytest.raises(TypeError):
            make()
        with pytest.raises(TypeError, match="a coroutine was expected"):
            make(1)
        coroutine = own()
        with pytest.raises(TypeError):
            make(coroutine, wrong=1)
        coroutine.close()
        del task
        gc.collect()
        assert len(asyncio.all_tasks()) == 1

    runner.run(main())


def test_a_task_factory_makes_the_tasks(runner: asyncio.Runner) -> None:
    class Own(asyncio.Task[Any]):
        """Somebody's."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coroutine, **kw: Own(coroutine, loop=loop, **kw))
        task = loop.create_task(asyncio.sleep(0), name="N")
        assert type(task) is Own and task.get_name() == "N"
        await task
        loop.set_task_factory(None)
        assert type(loop.create_task(asyncio.sleep(0))) is asyncio.Task
        if sys.version_info >= (3, 12):
            loop.set_task_factory(asyncio.eager_task_factory)
            eager = loop.create_task(_at_once())
            assert eager.done() and eager.result() == "at once"
            loop.set_task_factory(None)
        await asyncio.sleep(0)

    runner.run(main())


async def _at_once() -> str:
    return "at once"


if sys.version_info >= (3, 14):

    def test_a_task_can_start_at_once(runner: asyncio.Runner) -> None:
        async def main() -> None:
            task = asyncio.get_running_loop().create_task(_at_once(), eager_start=True)
            assert task.done() and task.result() == "at once"

        runner.run(main())


_LIVE = """
import asyncio, sys, threading, time
import asioloop

def run(busy):
    async def main():
        started.set()
        while True:
            await asyncio.sleep(0 if busy else 3600)
    asioloop.run(main())

for busy in (False, True):
    started = threading.Event()
    threading.Thread(target=run, args=(busy,), daemon=True).start()
    started.wait()
idle = asioloop.new_event_loop()
idle.call_later(3600, print)
idle.call_soon(print)
time.sleep(0.05)
print("end")
"""


def test_an_interpreter_ends_beside_loops_that_run() -> None:
    for _ in range(3):
        # Loops that run to the very end are what is left then.
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.path[:0] = " + repr(sys.path) + "\n" + _LIVE],
            env={**os.environ, "ASAN_OPTIONS": sanitizer},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
