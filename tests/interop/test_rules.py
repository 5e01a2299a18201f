"""Where C++ code runs, what it sees of Python there, and what becomes of it when its loop or its threads end."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import os
import subprocess
import sys
import textwrap
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asioloop
import bridge_probe as probe
import cpp_awaitables as cpp
import pytest

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="default")


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


class Odd(Exception):
    """An exception of ours."""


# --- what a handler sees -----------------------------------------------------------------------------------------


def test_context_variables_cross_into_cpp_and_on_into_python(runner: asyncio.Runner) -> None:
    seen: list[str] = []

    def look() -> None:
        seen.append(var.get())
        var.set("set in C++")

    async def look_awaited() -> str:
        return var.get()

    async def main() -> None:
        var.set("caller")
        future = probe.call_around_a_wait(look)
        awaited = probe.await_what_it_makes(look_awaited)
        var.set("later")
        await future
        assert await awaited == "caller"
        assert var.get() == "later"

    runner.run(main())
    # The coroutine's own copy, the same one before and after it has waited.
    assert seen == ["caller", "set in C++"]


def test_what_a_task_of_cpp_changes_is_its_own(runner: asyncio.Runner) -> None:
    async def changes(value: str) -> str:
        var.set(value)
        await asyncio.sleep(0)
        return var.get()

    async def main() -> None:
        var.set("caller")
        assert await cpp.overlap(changes("a"), changes("b"), changes("c")) == ("a", "b", "c")
        assert var.get() == "caller"

    runner.run(main())


def test_a_handler_finds_the_loop_and_no_task(runner: asyncio.Runner) -> None:
    seen: list[object] = []

    def look() -> None:
        seen.append(asyncio.get_running_loop())
        seen.append(asyncio.current_task())

    async def main() -> None:
        probe.post(look)
        assert not seen, "never inside the caller"
        await probe.call_around_a_wait(look)

    runner.run(main())
    assert seen == [runner.get_loop(), None] * 3


def test_a_python_coroutine_below_cpp_is_a_task(runner: asyncio.Runner) -> None:
    async def inner() -> None:
        task = asyncio.current_task()
        assert task is not None
        assert task in asyncio.all_tasks()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))

    async def main() -> None:
        await probe.pass_through(inner())

    runner.run(main())


if sys.version_info >= (3, 12):  # Eager tasks came with it.

    def test_an_eager_task_factory_is_used(runner: asyncio.Runner) -> None:
        async def inner(value: int) -> int:
            if value > 1:
                await asyncio.sleep(0)
            return value

        async def main() -> None:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
            assert await probe.pass_through(inner(1)) == 1
            assert await probe.pass_through(inner(2)) == 2
            assert await cpp.overlap(inner(1), inner(2), inner(3)) == (1, 2, 3)

        runner.run(main())


def test_handlers_and_callbacks_take_turns(runner: asyncio.Runner) -> None:
    async def main() -> None:
        order: list[str] = []
        loop = asyncio.get_running_loop()
        for i in range(3):
            loop.call_soon(order.append, f"callback {i}")
            probe.post(functools.partial(order.append, f"handler {i}"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sorted(order) == sorted(f"{kind} {i}" for kind in ("callback", "handler") for i in range(3))
        for kind in ("callback", "handler"):
            assert [o for o in order if o.startswith(kind)] == [f"{kind} {i}" for i in range(3)]

    runner.run(main())


def test_a_handler_wakes_a_waiting_task_without_a_timer(runner: asyncio.Runner) -> None:
    async def main() -> None:
        for _ in range(100):
            woken = asyncio.get_running_loop().create_future()
            probe.post(functools.partial(woken.set_result, None))
            await woken

    runner.run(main())


def test_the_bare_io_context_is_there_for_cpp_and_as_a_capsule(runner: asyncio.Runner) -> None:
    async def main() -> object:
        loop = asyncio.get_running_loop()
        assert await probe.turn()
        assert probe.is_running_io_context(loop.io_context())  # type: ignore[attr-defined]
        return loop.io_context()  # type: ignore[attr-defined]

    # The capsule may outlive the loop.
    capsule = runner.run(main())
    loop = runner.get_loop()
    runner.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.io_context()  # type: ignore[attr-defined]
    del capsule


# --- errors of handlers ------------------------------------------------------------------------------------------


def fail() -> None:
    raise Odd("text")


def test_an_exception_that_leaves_a_handler_goes_to_the_exception_handler(
    runner: asyncio.Runner, unexpected: list[dict[str, Any]]
) -> None:
    async def main() -> None:
        probe.post(fail)
        await cpp.sleep(0)

    runner.run(main())
    (context,) = unexpected
    assert context["message"] == "Exception in a C++ handler"
    assert isinstance(context["exception"], Odd)
    assert context["exception"].__traceback__ is not None
    unexpected.clear()


def test_an_error_that_nobody_has_looked_at_is_unraisable(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(type(args.exc_value)))

    async def main() -> None:
        probe.post_and_forget(fail)
        await cpp.sleep(0)

    runner.run(main())
    assert told == [Odd]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_exit_and_interrupt_leave_run_forever(runner: asyncio.Runner, error: type[BaseException]) -> None:
    loop = runner.get_loop()

    def raise_it() -> None:
        raise error("text")

    def exception_handler(_loop: object, _context: object) -> None:
        raise_it()

    loop.call_soon(probe.post, raise_it)
    with pytest.raises(error, match="text"):
        loop.run_forever()
    usual = loop.get_exception_handler()
    loop.set_exception_handler(exception_handler)
    loop.call_soon(probe.post, fail)
    with pytest.raises(error, match="text"):
        loop.run_forever()
    loop.set_exception_handler(usual)
    assert loop.run_until_complete(asyncio.sleep(0, "on")) == "on"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_exit_and_interrupt_pass_through_cpp_as_through_a_task(
    runner: asyncio.Runner, error: type[BaseException]
) -> None:
    loop = runner.get_loop()
    futures: list[asyncio.Future[Any]] = []

    def raise_it() -> Awaitable[None]:
        raise error("text")

    loop.call_soon(lambda: futures.append(probe.await_what_it_makes(raise_it)))
    with pytest.raises(error, match="text"):
        loop.run_forever()
    (future,) = futures
    assert isinstance(future.exception(), error)


# --- where there is no such loop ---------------------------------------------------------------------------------

CALLS: list[Callable[[], object]] = [
    lambda: cpp.sleep(0),
    lambda: probe.post(print),
    probe.turn,
    lambda: cpp.Channel(1),
    cpp.Datagrams,
    lambda: probe.throws("int"),
]


@pytest.mark.parametrize("call", CALLS)
def test_without_a_running_loop_there_is_a_runtime_error(call: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        call()


@pytest.mark.parametrize("call", CALLS)
def test_on_another_loop_there_is_a_type_error(call: Callable[[], object]) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match=r"an asioloop\.Loop is needed, not <_UnixSelectorEventLoop"):
            call()

    asyncio.run(main())


def test_another_thread_has_no_running_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            await asyncio.to_thread(cpp.sleep, 0)

    runner.run(main())


def test_objects_may_outlive_their_loop() -> None:
    async def make() -> tuple[Any, Any, Any]:
        channel = cpp.Channel(1)
        await channel.send("held")
        return channel, cpp.Datagrams(), probe.Timer()

    async def use(channel: Any, datagrams: Any) -> None:
        assert await channel.receive() == "held"
        # Its coroutine would run on the loop that is closed.
        with pytest.raises(RuntimeError, match="dropped before its end"):
            await datagrams.receive()

    channel, datagrams, timer = asioloop.run(make())
    timer.cancel()
    datagrams.close()
    asioloop.run(use(channel, datagrams))


# --- other threads -----------------------------------------------------------------------------------------------


def test_an_operation_that_ends_on_another_thread_ends_on_the_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        pool = probe.Pool()
        assert await pool.sum(1000) == 500500
        assert await asyncio.gather(*(pool.sum(n) for n in range(50))) == [
            n * (n + 1) // 2 for n in range(50)
        ]
        pool.join()

    runner.run(main())


def test_python_is_not_awaited_where_there_is_no_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        pool = probe.Pool()
        never = asyncio.get_running_loop().create_future()
        with pytest.raises(RuntimeError, match="without the GIL"):
            await pool.await_elsewhere(never)
        pool.join()

    runner.run(main())


def test_an_operation_that_is_dropped_is_an_error(runner: asyncio.Runner) -> None:
    """Or whoever awaits it would wait for ever."""

    async def main() -> None:
        pool = probe.Pool()
        never = pool.blocked(3)
        pool.drop_blocked()
        del pool
        gc.collect()
        with pytest.raises(RuntimeError, match="dropped before its end"):
            await never

    runner.run(main())


def test_an_operation_may_end_after_its_loop() -> None:
    pool = probe.Pool()

    async def main() -> Any:
        return weakref.ref(pool.blocked(3))

    future = asioloop.run(main())
    pool.let_blocked_go()
    pool.join()
    gc.collect()
    assert future() is None


def test_an_object_may_be_destroyed_on_another_thread() -> None:
    class Thing:
        pass

    thing = Thing()
    ref = weakref.ref(thing)
    destroy = probe.destroy_on_another_thread
    destroy(thing)
    del thing
    assert ref() is None


# --- the end of the loop -----------------------------------------------------------------------------------------


class Thing:
    """Something that can be looked for."""


def test_a_loop_that_closes_lets_go_of_all_that_waits() -> None:
    refs: list[weakref.ref[Any]] = []

    def watched(future: Any) -> Any:
        refs.append(weakref.ref(future))
        return future

    async def main() -> None:
        loop = asyncio.get_running_loop()
        kept = Thing()
        refs.append(weakref.ref(kept))
        never = watched(loop.create_future())
        never.kept = kept
        watched(cpp.sleep(3600))
        watched(probe.Timer().wait(3600_000))
        watched(cpp.Channel(0).receive())
        watched(cpp.Channel(0).send(kept))
        watched(cpp.Datagrams().receive())
        # Python awaited by C++, and C++ by that.
        watched(probe.pass_through(never))
        watched(probe.pass_directly(never))
        watched(probe.pass_through(probe.pass_through(cpp.sleep(3600))))
        watched(cpp.overlap(never, never, cpp.sleep(3600)))
        probe.forget(never)
        probe.post(lambda: kept)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop = asioloop.new_event_loop()
    loop.run_until_complete(main())
    loop.call_soon(probe.post, Thing().__class__)
    loop.close()
    gc.collect()
    assert [ref for ref in refs if ref() is not None] == []
    loop_ref = weakref.ref(loop)
    del loop
    gc.collect()
    assert loop_ref() is None


def test_what_waits_in_cpp_keeps_no_reference_to_the_loop_alone() -> None:
    """A loop that nobody closes is collected, as long as no Future of its own waits in C++."""

    async def main() -> list[Any]:
        probe.post(int)
        return [cpp.Channel(1), cpp.Datagrams(), probe.Timer()]

    loop = asioloop.new_event_loop()
    things = loop.run_until_complete(main())
    ref = weakref.ref(loop)
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        del loop
        gc.collect()
    assert ref() is None
    del things


def test_destructors_that_use_the_loop_while_it_closes() -> None:
    told: list[str] = []

    class Late:
        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self.loop = loop

        def __del__(self) -> None:
            try:
                self.loop.call_soon(print)
            except RuntimeError as e:
                told.append(str(e))

    loop = asioloop.new_event_loop()

    async def main() -> None:
        cpp.Channel(0).send(Late(loop))
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    loop.close()
    assert told == ["Event loop is closed"]


def test_cycles_leave_nothing_behind(runner: asyncio.Runner) -> None:
    sentinel = Thing()

    async def gives() -> Thing:
        await asyncio.sleep(0)
        return sentinel

    async def fails() -> None:
        await asyncio.sleep(0)
        raise Odd

    async def cycle() -> None:
        assert await probe.pass_through(gives()) is sentinel
        assert await probe.pass_directly(gives()) is sentinel
        assert await cpp.overlap(gives(), gives(), gives()) == (sentinel,) * 3
        with pytest.raises(Odd):
            await cpp.overlap(gives(), fails(), forever())
        await cpp.sleep(0)
        channel = cpp.Channel(1)
        await channel.send(sentinel)
        assert await channel.receive() is sentinel
        with pytest.raises(RuntimeError):
            await probe.throws("runtime_error")
        future = probe.pass_through(forever())
        await asyncio.sleep(0)
        future.cancel()
        dropped = probe.Timer().wait(3600_000)
        dropped.cancel()
        await asyncio.wait([future, dropped])
        await cpp.sleep(0)

    async def main() -> None:
        async def counts() -> tuple[int, Counter[str]]:
            await cpp.sleep(0)
            gc.collect()
            return sys.getrefcount(sentinel), Counter(type(o).__name__ for o in gc.get_objects())

        for _ in range(20):
            await cycle()
        references, objects = await counts()
        for _ in range(1500):
            await cycle()
        more_references, more_objects = await counts()
        assert more_references == references
        grown = {name: n - objects[name] for name, n in more_objects.items() if n > objects[name] + 20}
        assert grown == {}

    runner.run(main())


def test_loops_come_and_go() -> None:
    async def main() -> None:
        assert await cpp.sleep(0) == "waited"
        cpp.sleep(3600)
        probe.pass_through(asyncio.get_running_loop().create_future())
        await asyncio.sleep(0)

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        asioloop.run(main())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


# --- the rules that debug builds check ---------------------------------------------------------------------------


def run(code: str) -> subprocess.CompletedProcess[str]:
    # What C++ waits for on a loop that nobody has closed is never given back: not what is tested here.
    no_leaks = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code)],
        env={**os.environ, "ASAN_OPTIONS": no_leaks},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


if probe.checks:  # A release build has no such checks.

    @pytest.mark.parametrize(
        ("call", "complaint"),
        [
            ("count_without_the_gil(object())", "a reference was counted without the GIL"),
            ("executor_without_the_gil()", "the GIL is not held here"),
        ],
    )
    def test_a_debug_build_aborts_without_the_gil(call: str, complaint: str) -> None:
        done = run(f"import bridge_probe; bridge_probe.{call}")
        assert done.returncode != 0
        assert complaint in done.stderr


def test_an_interpreter_may_end_with_a_loop_that_is_not_closed() -> None:
    done = run("""
        import asyncio, asioloop, bridge_probe, cpp_awaitables
        async def main():
            global kept
            kept = [cpp_awaitables.sleep(3600), cpp_awaitables.Channel(0), bridge_probe.Timer()]
            kept.append(bridge_probe.pass_through(asyncio.get_running_loop().create_future()))
            await asyncio.sleep(0)
        loop = asioloop.new_event_loop()
        loop.run_until_complete(main())
        print("end")
    """)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
