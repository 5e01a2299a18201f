"""Signals: handlers on the loop, Ctrl-C, and whose the interpreter's wake-up descriptor is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import asioloop
import pytest

Factory = Callable[[], asyncio.AbstractEventLoop]
# asyncio misses a signal that comes between its last look and its wait, unless a handler was added by add_signal_handler().
OURS: tuple[Factory, ...] = (asioloop.new_event_loop,)
CATCHABLE = sorted(
    signal.valid_signals()
    - {
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGABRT,
    }
)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A test leaves no handler and no wake-up descriptor behind."""
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGCHLD):
        assert signal.getsignal(number) == signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1


def in_thread_when_blocked(action: Callable[[], object]) -> threading.Thread:
    """Starts what another thread does once this one has let go of the interpreter."""
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def interrupt_the_main_thread() -> None:
    """Ctrl-C, from another thread."""
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


@pytest.mark.parametrize("number", CATCHABLE)
def test_every_signal_reaches_its_handler(runner: asyncio.Runner, number: int) -> None:
    async def main() -> tuple[Any, ...]:
        loop = asyncio.get_running_loop()
        came: asyncio.Future[tuple[Any, ...]] = loop.create_future()
        loop.add_signal_handler(number, lambda *args: came.set_result(args), number, "argument")
        try:
            os.kill(os.getpid(), number)
            return await came
        finally:
            assert loop.remove_signal_handler(number) is True
            assert loop.remove_signal_handler(number) is False

    before = signal.getsignal(number)
    try:
        assert runner.run(main()) == (number, "argument")
    finally:
        signal.signal(number, before)


def test_a_signal_wakes_a_loop_that_waits(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, came.set)
        thread = in_thread_when_blocked(lambda: os.kill(os.getpid(), signal.SIGUSR1))
        await came.wait()
        thread.join()
        loop.remove_signal_handler(signal.SIGUSR1)

    runner.run(main())


def test_sigchld_can_be_handled_while_processes_are_waited_for(runner: asyncio.Runner) -> None:
    async def main() -> int | None:
        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        loop.add_signal_handler(signal.SIGCHLD, came.set)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(7)")
        await process.wait()
        await came.wait()
        loop.remove_signal_handler(signal.SIGCHLD)
        return process.returncode

    assert runner.run(main()) == 7


def test_signals_are_handled_in_the_order_in_which_they_came(runner: asyncio.Runner) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        came: list[str] = []
        loop.add_signal_handler(signal.SIGUSR1, came.append, "one")
        loop.add_signal_handler(signal.SIGUSR2, came.append, "two")
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        while len(came) < 3:
            await asyncio.sleep(0)
        loop.remove_signal_handler(signal.SIGUSR1)
        loop.remove_signal_handler(signal.SIGUSR2)
        return came

    assert runner.run(main()) == ["one", "two", "one"]


def test_no_kind_is_lost_in_a_storm_of_another() -> None:
    # asyncio's wake-up descriptor is full long before; the test is asioloop's alone.
    async def main() -> int:
        loop = asyncio.get_running_loop()
        stormy = 0
        rare = asyncio.Event()

        def count() -> None:
            nonlocal stormy
            stormy += 1

        loop.add_signal_handler(signal.SIGUSR1, count)
        loop.add_signal_handler(signal.SIGUSR2, rare.set)
        for _ in range(5000):
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        await rare.wait()
        loop.remove_signal_handler(signal.SIGUSR1)
        loop.remove_signal_handler(signal.SIGUSR2)
        return stormy

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        assert 0 < runner.run(main()) <= 5000


def test_a_handler_sees_the_context_of_who_added_it(runner: asyncio.Runner) -> None:
    import contextvars

    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="")

    async def main() -> str:
        loop = asyncio.get_running_loop()
        came: asyncio.Future[str] = loop.create_future()
        name.set("adder")
        loop.add_signal_handler(signal.SIGUSR1, lambda: came.set_result(name.get()))
        name.set("sender")
        os.kill(os.getpid(), signal.SIGUSR1)
        try:
            return await came
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)

    assert runner.run(main()) == "adder"


def test_a_handler_that_fails_is_reported_and_stays(factory: Factory) -> None:
    reports: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: reports.append(context))
        loop.add_signal_handler(signal.SIGUSR1, lambda: 1 / 0)
        for n in (1, 2):
            os.kill(os.getpid(), signal.SIGUSR1)
            while len(reports) < n:
                await asyncio.sleep(0)
        loop.remove_signal_handler(signal.SIGUSR1)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert all(isinstance(report["exception"], ZeroDivisionError) for report in reports)


def test_what_cannot_be_handled_is_refused(runner: asyncio.Runner) -> None:
    async def a_coroutine() -> None: ...

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError, match="coroutines cannot be used with add_signal_handler"):
            loop.add_signal_handler(signal.SIGUSR1, a_coroutine)
        with pytest.raises(TypeError, match="sig must be an int, not 'SIGUSR1'"):
            loop.add_signal_handler("SIGUSR1", print)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="invalid signal number 1000"):
            loop.add_signal_handler(1000, print)
        with pytest.raises(RuntimeError, match="sig 9 cannot be caught"):
            loop.add_signal_handler(signal.SIGKILL, print)
        with pytest.raises(ValueError, match="invalid signal number 1000"):
            loop.remove_signal_handler(1000)

    runner.run(main())


def test_only_the_main_thread_may_add_handlers(factory: Factory) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        with contextlib.closing(factory()) as loop:
            try:
                loop.add_signal_handler(signal.SIGUSR1, print)
            except BaseException as e:
                errors.append(e)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert type(errors[0]) is RuntimeError
    assert "main thread" in str(errors[0])


def test_a_closed_loop_takes_no_handlers(factory: Factory) -> None:
    loop = factory()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", OURS)
@pytest.mark.parametrize("handlers", ["none", "added and removed", "of another signal"])
def test_ctrl_c_ends_a_loop_that_waits_at_once(factory: Factory, handlers: str) -> None:
    with contextlib.closing(factory()) as loop:
        if handlers != "none":
            loop.add_signal_handler(signal.SIGUSR1, print)
        if handlers == "added and removed":
            loop.remove_signal_handler(signal.SIGUSR1)
        # Were it not for the signal, it would wait for ever.
        loop.call_soon(in_thread_when_blocked, interrupt_the_main_thread)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        assert not loop.is_running()


@pytest.mark.parametrize("factory", OURS)
def test_ctrl_c_still_ends_the_wait_when_the_running_loop_has_removed_its_handlers(factory: Factory) -> None:
    with contextlib.closing(factory()) as loop:

        def remove() -> None:
            loop.add_signal_handler(signal.SIGUSR1, print)
            loop.remove_signal_handler(signal.SIGUSR1)
            in_thread_when_blocked(interrupt_the_main_thread)

        loop.call_soon(remove)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()


@pytest.mark.parametrize("factory", OURS)
def test_what_a_handler_of_the_programs_own_raises_ends_the_wait(factory: Factory) -> None:
    class Alarm(Exception):
        pass

    def ring(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    with contextlib.closing(factory()) as loop:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        with pytest.raises(Alarm):
            loop.run_forever()
        assert loop.run_until_complete(asyncio.sleep(0, "goes on")) == "goes on"
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("factory", OURS)
def test_ctrl_c_cancels_what_a_runner_runs(factory: Factory) -> None:
    ends: list[str] = []

    async def main() -> None:
        in_thread_when_blocked(lambda: os.kill(os.getpid(), signal.SIGINT))
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    with asyncio.Runner(loop_factory=factory) as runner:
        with pytest.raises(KeyboardInterrupt):
            runner.run(main())
    assert ends == ["cancelled"]


def test_a_loop_takes_ctrl_c_for_itself(runner: asyncio.Runner) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        came: asyncio.Future[str] = loop.create_future()
        loop.add_signal_handler(signal.SIGINT, came.set_result, "handled")
        os.kill(os.getpid(), signal.SIGINT)
        try:
            return await came
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    assert runner.run(main()) == "handled"


@pytest.mark.parametrize("factory", OURS)
def test_a_handler_of_the_programs_own_runs_while_the_loop_waits(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        # By call_soon_threadsafe, as asyncio's documentation says.
        signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(came.set))
        in_thread_when_blocked(lambda: os.kill(os.getpid(), signal.SIGUSR1))
        await came.wait()
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


# --- several loops ----------------------------------------------------------------------------------------------------


def test_a_handler_of_a_loop_that_runs_in_another_thread(factory: Factory) -> None:
    loop = factory()
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    os.kill(os.getpid(), signal.SIGUSR1)
    thread.join(20)
    assert not thread.is_alive()
    loop.close()


def test_each_loop_gets_its_own_signals() -> None:
    # With asyncio the loop that has added a handler last gets all of them.
    came: list[str] = []
    with (
        contextlib.closing(asioloop.new_event_loop()) as first,
        contextlib.closing(asioloop.new_event_loop()) as second,
    ):
        first.add_signal_handler(signal.SIGUSR1, came.append, "first")
        second.add_signal_handler(signal.SIGUSR2, came.append, "second")
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        for loop in (first, second):
            loop.run_until_complete(asyncio.sleep(0.001))
        assert came == ["first", "second"]


def test_a_handler_added_to_another_loop_leaves_the_running_one_awake() -> None:
    async def main() -> None:
        other.add_signal_handler(signal.SIGUSR1, print)
        in_thread_when_blocked(interrupt_the_main_thread)
        await asyncio.get_running_loop().create_future()

    with contextlib.closing(asioloop.new_event_loop()) as other:
        with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
            with pytest.raises(KeyboardInterrupt):
                runner.run(main())


def test_the_wake_up_descriptor_of_somebody_else_is_given_back() -> None:
    # asyncio takes it away for good.
    a, b = socket.socketpair()
    with a, b, contextlib.closing(asioloop.new_event_loop()) as loop:
        a.setblocking(False)
        signal.set_wakeup_fd(a.fileno())
        loop.run_until_complete(asyncio.sleep(0))
        assert signal.set_wakeup_fd(a.fileno()) == a.fileno()
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.run_until_complete(asyncio.sleep(0))
        loop.remove_signal_handler(signal.SIGUSR1)
        assert signal.set_wakeup_fd(-1) == a.fileno()


def test_a_wake_up_descriptor_that_has_been_closed_is_not_given_back() -> None:
    a, b = socket.socketpair()
    with contextlib.closing(asioloop.new_event_loop()) as loop:
        a.setblocking(False)
        number = a.fileno()
        signal.set_wakeup_fd(number)

        async def main() -> socket.socket:
            a.close()
            b.close()
            return socket.socket()  # may well have the number

        loop.run_until_complete(main()).close()
        assert signal.set_wakeup_fd(-1) == -1


# --- the end of a loop ------------------------------------------------------------------------------------------------


def test_closing_a_loop_takes_its_handlers_away(factory: Factory) -> None:
    loop = factory()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGINT, print)
    loop.close()


def test_signals_may_come_while_a_loop_closes() -> None:
    # In a process of its own, which a default action would end: so that is never in force where signals may come.
    program = """
import asyncio, os, signal, threading
import asioloop
class Loop(asioloop.Loop):
    def remove_signal_handler(self, sig):
        signal.pthread_sigmask(signal.SIG_BLOCK, {sig})
        try:
            return super().remove_signal_handler(sig)
        finally:
            signal.signal(sig, lambda *_: None)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {sig})
def send():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    while go_on:
        os.kill(os.getpid(), signal.SIGUSR2)
signal.signal(signal.SIGUSR2, lambda *_: None)
go_on = True
sender = threading.Thread(target=send)
sender.start()
for _ in range(30):
    loop = Loop()
    loop.add_signal_handler(signal.SIGUSR2, int)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
go_on = False
sender.join()
print("whole")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("whole\n", "", 0)


def test_a_loop_that_is_never_closed_can_go_with_its_handlers() -> None:
    import gc
    import warnings
    import weakref

    loop = asioloop.new_event_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    gone = weakref.ref(loop)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del loop
        gc.collect()
    assert gone() is None
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)


def test_a_childs_signals_are_not_the_parents() -> None:
    # With asyncio they are: the child shares its wake-up descriptor.
    async def main() -> int:
        loop = asyncio.get_running_loop()
        came = 0

        def count() -> None:
            nonlocal came
            came += 1

        loop.add_signal_handler(signal.SIGUSR1, count)
        pid = os.fork()
        if not pid:
            # The child's handler is the parent's still; what it does must not reach the parent's loop.
            os.kill(os.getpid(), signal.SIGUSR1)
            os._exit(0)
        os.waitpid(pid, 0)  # noqa: ASYNC222
        for _ in range(10):
            await asyncio.sleep(0)
        loop.remove_signal_handler(signal.SIGUSR1)
        return came

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        assert runner.run(main()) == 0
