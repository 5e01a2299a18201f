"""call_soon, timers, clocks, contexts, stop and close."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import threading
import time
import weakref

import asioloop
import pytest


def test_callbacks_run_in_the_order_in_which_they_were_scheduled(runner: asyncio.Runner) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        loop = asyncio.get_running_loop()
        for i in range(1000):
            loop.call_soon(seen.append, i)
        await asyncio.sleep(0)
        return seen

    assert runner.run(main()) == list(range(1000))


def test_a_callback_scheduled_by_a_callback_waits_for_the_next_turn(runner: asyncio.Runner) -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def first() -> None:
            seen.append("first")
            loop.call_soon(third)

        def third() -> None:
            seen.append("third")
            done.set_result(None)

        loop.call_soon(first)
        loop.call_soon(seen.append, "second")
        await done
        return seen

    assert runner.run(main()) == ["first", "second", "third"]


def test_handles_are_asyncios_own_and_can_be_cancelled(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        handle = loop.call_soon(pytest.fail, "a cancelled callback ran")
        timer = loop.call_later(0, pytest.fail, "a cancelled timer ran")
        assert isinstance(handle, asyncio.Handle) and not handle.cancelled()
        assert isinstance(timer, asyncio.TimerHandle)
        assert timer.when() == pytest.approx(loop.time(), abs=1)
        handle.cancel()
        timer.cancel()
        assert handle.cancelled() and timer.cancelled()
        await asyncio.sleep(0.01)

    runner.run(main())


def test_timers_run_by_due_time_and_equal_ones_in_order(runner: asyncio.Runner) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        now = loop.time()
        done = loop.create_future()
        loop.call_at(now + 0.02, done.set_result, None)
        loop.call_at(now + 0.01, seen.append, "b")
        loop.call_at(now + 0.005, seen.append, "a")
        loop.call_at(now + 0.01, seen.append, "c")
        await done
        return seen

    assert runner.run(main()) == ["a", "b", "c"]


def test_a_timer_is_never_early(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (0.0001, 0.0005, 0.0011, 0.003):
            due = loop.time() + delay
            woken = loop.create_future()
            loop.call_at(due, woken.set_result, None)
            await woken
            assert loop.time() + time.get_clock_info("monotonic").resolution >= due

    runner.run(main())


def test_thousands_of_cancelled_timers_let_go_of_what_they_held(runner: asyncio.Runner) -> None:
    class Held:
        def __call__(self) -> None:
            raise AssertionError

    async def main() -> int:
        loop = asyncio.get_running_loop()
        refs = []
        for _ in range(5000):
            held = Held()
            refs.append(weakref.ref(held))
            loop.call_later(3600, held).cancel()
        del held
        gc.collect()
        return sum(r() is not None for r in refs)

    assert runner.run(main()) == 0


def test_a_far_away_timer_does_not_overflow(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        handles = [loop.call_later(d, pytest.fail, "ran") for d in (1e9, 1e15, float("inf"))]
        await asyncio.sleep(0.01)
        for h in handles:
            h.cancel()

    runner.run(main())


def test_callbacks_see_the_context_they_were_scheduled_in(runner: asyncio.Runner) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        other = contextvars.copy_context()
        other.run(var.set, "other")
        var.set("own")
        loop.call_soon(lambda: seen.append(var.get()))
        loop.call_soon(lambda: seen.append(var.get()), context=other)
        loop.call_later(0, lambda: seen.append(var.get()), context=other)
        var.set("later")
        await asyncio.sleep(0.01)
        return seen

    assert runner.run(main()) == ["own", "other", "other"]


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_a_wrong_call_is_a_type_error(runner: asyncio.Runner, method: str) -> None:
    async def main() -> None:
        call = getattr(asyncio.get_running_loop(), method)
        with pytest.raises(TypeError):
            call()
        with pytest.raises(TypeError):
            call(1, print, wrong=1)

    runner.run(main())


def test_threadsafe_calls_from_many_threads_all_arrive_in_each_threads_order(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen: list[tuple[int, int]] = []
        done = loop.create_future()

        def push(thread: int) -> None:
            for i in range(500):
                loop.call_soon_threadsafe(seen.append, (thread, i))

        def all_of_them() -> None:
            threads = [threading.Thread(target=push, args=(t,)) for t in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            loop.call_soon_threadsafe(done.set_result, None)

        starter = threading.Thread(target=all_of_them)
        starter.start()
        await done
        starter.join()
        for t in range(4):
            assert [i for thread, i in seen if thread == t] == list(range(500))

    runner.run(main())


def test_a_blocked_loop_is_woken_by_another_thread(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(200):
            woken = loop.create_future()
            thread = threading.Thread(target=loop.call_soon_threadsafe, args=(woken.set_result, None))
            thread.start()
            await asyncio.wait_for(woken, 10)
            thread.join()

    runner.run(main())


def test_an_exception_in_a_callback_goes_to_the_exception_handler(runner: asyncio.Runner) -> None:
    async def main() -> dict[str, object]:
        loop = asyncio.get_running_loop()
        told = loop.create_future()
        usual = loop.get_exception_handler()
        loop.set_exception_handler(lambda _loop, context: told.set_result(context))
        loop.call_soon(int, "x")
        context: dict[str, object] = await told
        loop.set_exception_handler(usual)
        return context

    context = runner.run(main())
    assert isinstance(context["exception"], ValueError)
    assert str(context["message"]).startswith("Exception in callback ")
    assert isinstance(context["handle"], asyncio.Handle)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_exit_and_interrupt_leave_run_forever_and_the_loop_goes_on_after_it(
    runner: asyncio.Runner, error: type[BaseException]
) -> None:
    loop = runner.get_loop()

    def raise_it() -> None:
        raise error

    loop.call_soon(raise_it)
    with pytest.raises(error):
        loop.run_forever()
    assert not loop.is_running()
    assert loop.run_until_complete(asyncio.sleep(0, "on")) == "on"


def test_stop_ends_the_turn_under_way_and_no_later_one(runner: asyncio.Runner) -> None:
    loop = runner.get_loop()
    seen: list[str] = []

    def first() -> None:
        loop.stop()
        seen.append("first")
        loop.call_soon(seen.append, "next turn")

    loop.call_soon(first)
    loop.call_soon(seen.append, "second")
    loop.run_forever()
    assert seen == ["first", "second"]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["first", "second", "next turn"]


def test_a_closed_loop_refuses(runner: asyncio.Runner) -> None:
    loop = type(runner.get_loop())()
    loop.close()
    loop.close()
    assert loop.is_closed()
    for call in (
        lambda: loop.call_soon(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_soon_threadsafe(print),
        loop.run_forever,
    ):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            call()


def test_a_running_loop_is_not_run_again_nor_closed(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_until_complete(loop.create_future())
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    runner.run(main())


def test_debug_mode_checks_the_thread_and_the_callback_and_reports_slow_ones(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.01
        loop.set_debug(True)
        with pytest.raises(TypeError, match="a callable object was expected"):
            loop.call_soon(1)  # type: ignore[arg-type]
        refused = await asyncio.to_thread(_error_of, lambda: loop.call_soon(print))
        assert isinstance(refused, RuntimeError)
        loop.call_soon(time.sleep, 0.02)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.set_debug(False)

    runner.run(main())
    assert any("took" in r.message for r in caplog.records)


def _error_of(call: object) -> BaseException | None:
    try:
        call()  # type: ignore[operator]
    except BaseException as e:
        return e
    return None


def test_a_loop_that_is_dropped_without_a_run_is_collected() -> None:
    loop = asioloop.new_event_loop()
    loop.call_soon(print, loop)
    loop.call_later(1000, print, loop)
    ref = weakref.ref(loop)
    loop.close()
    del loop
    gc.collect()
    assert ref() is None


def test_executor_threads_make_progress_under_a_saturated_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        stop = False

        def spin() -> None:
            if not stop:
                loop.call_soon(spin)

        for _ in range(10):
            loop.call_soon(spin)
        assert await asyncio.wait_for(asyncio.to_thread(sum, range(300_000)), 30) == sum(range(300_000))
        stop = True

    runner.run(main())


def test_threads_make_progress_under_callbacks_that_are_all_in_c(runner: asyncio.Runner) -> None:
    """Such callbacks never come by the place where CPython hands the GIL over."""

    def often() -> int:
        for _ in range(20):
            time.sleep(0)  # lets the GIL go, and asks for it again
        return sum(range(300_000))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        spin = functools.partial(loop.call_soon)
        spin.__setstate__((loop.call_soon, (spin,), {}, {}))  # type: ignore[attr-defined]
        loop.call_soon(spin)
        assert await asyncio.wait_for(asyncio.to_thread(often), 30) == sum(range(300_000))
        spin.__setstate__((int, (), {}, {}))  # type: ignore[attr-defined]

    runner.run(main())
