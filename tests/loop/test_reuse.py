"""Handles are used again, and nobody can tell."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable

import pytest


async def _turns(n: int = 2) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


def test_a_handle_that_somebody_holds_stays_as_it_was(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        held = loop.call_soon(len, "held")
        timer = loop.call_later(0, len, "timer")
        when = timer.when()
        await asyncio.sleep(0.001)
        others = [loop.call_soon(len, str(i)) for i in range(100)]
        others += [loop.call_later(0, len, str(i)) for i in range(100)]
        assert held not in others and timer not in others
        assert held._callback is len and held._args == ("held",)  # type: ignore[attr-defined]
        assert timer._args == ("timer",) and timer.when() == when
        await asyncio.sleep(0.001)

    runner.run(main())


def test_a_handle_that_is_only_referred_to_weakly_dies(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        gone = weakref.ref(loop.call_soon(len, ""))
        timer_gone = weakref.ref(loop.call_later(0, len, ""))
        assert gone() is not None and timer_gone() is not None
        await asyncio.sleep(0.001)
        await _turns()
        assert gone() is None and timer_gone() is None

    runner.run(main())


def test_what_a_handle_held_goes_when_it_has_run(runner: asyncio.Runner) -> None:
    class Thing:
        def __call__(self, *_: object) -> None:
            """Runs."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        var: contextvars.ContextVar[object] = contextvars.ContextVar("var")
        for schedule in (loop.call_soon, loop.call_soon_threadsafe, lambda *a: loop.call_later(0, *a)):
            callback, argument, value = Thing(), Thing(), Thing()
            gone = [weakref.ref(o) for o in (callback, argument, value)]
            context = contextvars.copy_context()
            context.run(var.set, value)
            context.run(schedule, callback, argument)
            del callback, argument, value, context
            await asyncio.sleep(0.001)
            await _turns()
            gc.collect()  # of frames, on the way here
            assert [ref() for ref in gone] == [None, None, None]

    runner.run(main())


def test_arguments_of_every_number_come_as_they_were_given(runner: asyncio.Runner) -> None:
    async def main() -> list[tuple[object, ...]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[object, ...]] = []

        def note(*args: object) -> None:
            seen.append(args)

        for _ in range(3):
            for n in range(9):
                loop.call_soon(note, *range(n))
            for n in range(9):
                loop.call_soon(note, *[[n]] * n)
            await _turns(1)
        return seen

    once: list[tuple[object, ...]] = [tuple(range(n)) for n in range(9)]
    once += [([n],) * n for n in range(9)]
    assert runner.run(main()) == once * 3


def test_a_tuple_of_arguments_that_was_kept_is_not_written_to(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        handle = loop.call_soon(len, "kept")
        args = handle._args
        table = {args: "found"}
        del handle
        await _turns()
        for i in range(100):
            loop.call_soon(len, str(i))
        assert args == ("kept",) and table[("kept",)] == "found"
        await _turns()

    runner.run(main())


def test_the_collector_finds_no_broken_handle(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            loop.call_soon(len, "")
            loop.call_later(0, len, "")
        await asyncio.sleep(0.001)
        found = [o for o in gc.get_objects() if type(o).__name__.endswith("Handle")]
        assert all(repr(h) for h in found if isinstance(h, asyncio.Handle) and not h.cancelled())
        # Held from here on: none of these may be used again.
        ids = {id(h) for h in found}
        fresh = [loop.call_soon(len, "") for _ in range(100)]
        assert not ids & {id(h) for h in fresh}
        await _turns()

    runner.run(main())


def test_a_callback_does_not_see_what_another_set(runner: asyncio.Runner) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []

        def callback(i: int) -> None:
            seen.append(var.get())
            if i % 3 == 0:
                var.set(str(i))

        for _ in range(3):
            for i in range(50):
                loop.call_soon(callback, i)
            await _turns(1)
        return seen

    assert set(runner.run(main())) == {"unset"}


def test_the_end_of_an_argument_may_schedule(runner: asyncio.Runner) -> None:
    class Schedules:
        def __init__(self, do: Callable[[], object]) -> None:
            self.do = do

        def __del__(self) -> None:
            self.do()

    async def main() -> int:
        loop = asyncio.get_running_loop()
        seen: list[int] = []

        def from_the_end() -> None:
            loop.call_soon(seen.append, 1)

        for _ in range(100):
            loop.call_soon(len, (Schedules(from_the_end),))
            loop.call_soon(lambda *_: None, Schedules(from_the_end), Schedules(from_the_end))
            loop.call_later(3600, print, Schedules(from_the_end)).cancel()
        await _turns(4)
        return len(seen)

    assert runner.run(main()) == 400


@pytest.mark.parametrize("count", [10, 5000])
def test_timers_of_several_lengths_run_in_order(runner: asyncio.Runner, count: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        lengths = [1e-6 * (i * 7919 % count) for i in range(count)]
        seen: list[float] = []
        timers = [loop.call_at(now + length, seen.append, length) for length in lengths]
        for timer in timers[::3]:
            timer.cancel()
        await asyncio.sleep(count * 1e-6 + 0.001)
        assert seen == sorted(length for i, length in enumerate(lengths) if i % 3)

    runner.run(main())
