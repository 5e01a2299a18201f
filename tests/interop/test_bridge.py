"""C++ awaited from Python, and Python awaited from C++: what each is told of the other's end."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import bridge_probe as probe
import cpp_awaitables as cpp
import pytest


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


# --- C++ awaited from Python -------------------------------------------------------------------------------------


def test_a_cpp_coroutine_is_a_future_of_the_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        future = cpp.sleep(0)
        assert isinstance(future, asyncio.Future)
        assert future.get_loop() is asyncio.get_running_loop()
        assert not future.done()
        assert await future == "waited"
        assert set(await asyncio.gather(cpp.sleep(0), cpp.sleep(0))) == {"waited"}

    runner.run(main())


def test_a_cpp_timer_is_never_early(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + 0.02
        await cpp.sleep(0.02)
        assert loop.time() >= due

    runner.run(main())


@pytest.mark.parametrize("go", [probe.pass_through, probe.pass_directly])
def test_a_cancelled_future_ends_the_cpp_operation(
    runner: asyncio.Runner, go: Callable[[object], asyncio.Future[Any]]
) -> None:
    """Which then lets go of what it waits for."""

    async def main() -> None:
        task = asyncio.create_task(forever())
        future = go(task)
        await asyncio.sleep(0)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        with pytest.raises(asyncio.CancelledError):
            await task

    runner.run(main())


def test_a_cancelled_task_ends_the_cpp_coroutine_that_it_awaits(runner: asyncio.Runner) -> None:
    async def main() -> None:
        inner = asyncio.create_task(forever())

        async def outer() -> None:
            await probe.pass_through(inner)

        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.CancelledError):
            await inner

    runner.run(main())


@pytest.mark.parametrize("wait", [lambda: cpp.sleep(3600), lambda: probe.Timer().wait(3600_000)])
def test_wait_for_times_out(runner: asyncio.Runner, wait: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait(), 0.001)
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.001):
                await wait()

    runner.run(main())


def test_a_cpp_cancellation_cancels_the_future(runner: asyncio.Runner) -> None:
    async def main() -> None:
        timer = probe.Timer()
        future = timer.wait(3600_000)
        timer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert future.cancelled()
        aborted = probe.throws("aborted")
        await asyncio.wait([aborted])
        assert aborted.cancelled()

    runner.run(main())


def test_a_result_after_the_cancellation_is_dropped(runner: asyncio.Runner) -> None:
    async def main() -> None:
        future = probe.stubborn()
        await asyncio.sleep(0)
        future.cancel()
        await asyncio.sleep(0.01)
        assert future.cancelled()

    runner.run(main())


def test_a_result_that_python_sets_itself_stays(runner: asyncio.Runner) -> None:
    async def main() -> None:
        future = cpp.sleep(0)
        future.set_result("mine")
        await asyncio.sleep(0.01)
        assert await future == "mine"

    runner.run(main())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("nothing", None),
        ("empty object", None),
        ("int", -3),
        ("size", 5),
        ("bool", True),
        ("float", 0.5),
        ("text", "grüß"),
        ("tuple", (1, "two")),
        ("nested", (1, (2.0,))),
    ],
)
def test_what_an_operation_gives_is_the_result(runner: asyncio.Runner, kind: str, value: object) -> None:
    async def main() -> object:
        return await probe.gives(kind)

    result = runner.run(main())
    assert result == value
    assert type(result) is type(value)


def test_a_value_that_cannot_be_converted_is_an_exception(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with pytest.raises(UnicodeDecodeError):
            await probe.gives("no text")

    runner.run(main())


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        ("bad_alloc", MemoryError, "bad_alloc"),
        ("invalid_argument", ValueError, "invalid_argument"),
        ("domain_error", ValueError, "domain_error"),
        ("out_of_range", IndexError, "out_of_range"),
        ("overflow_error", OverflowError, "overflow_error"),
        ("runtime_error", RuntimeError, "runtime_error"),
        ("int", RuntimeError, "no std::exception"),
        ("enoent", FileNotFoundError, "No such file"),
        ("host", OSError, "Host not found"),
        ("eof", EOFError, "End of file"),
    ],
)
def test_a_cpp_exception_is_pythons_nearest(
    runner: asyncio.Runner, kind: str, error: type[Exception], text: str
) -> None:
    async def main() -> None:
        with pytest.raises(error, match=text) as caught:
            await probe.throws(kind)
        assert type(caught.value) is error

    runner.run(main())


def test_datagrams_cross(runner: asyncio.Runner) -> None:
    async def main() -> None:
        a = cpp.Datagrams()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            for text in ("one", "", "drei ß"):
                received = a.receive()
                peer.sendto(text.encode(), ("127.0.0.1", a.port))
                assert await received == (text, peer.getsockname()[1])
            # What was sent before anybody waits.
            peer.sendto(b"early", ("127.0.0.1", a.port))
            assert (await a.receive())[0] == "early"
        waiting = a.receive()
        await asyncio.sleep(0)
        a.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    runner.run(main())


def test_a_socket_that_python_drops_lives_until_its_operation_ends(runner: asyncio.Runner) -> None:
    async def main() -> None:
        datagrams = cpp.Datagrams()
        port = datagrams.port
        received = datagrams.receive()
        del datagrams
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(b"x", ("127.0.0.1", port))
        assert (await received)[0] == "x"
        left = cpp.Datagrams().receive()
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])

    runner.run(main())


def test_a_channel_hands_objects_over(runner: asyncio.Runner) -> None:
    async def main() -> None:
        channel = cpp.Channel(1)
        first, second = object(), object()
        await channel.send(first)
        blocked = channel.send(second)
        await asyncio.sleep(0)
        assert not blocked.done()
        assert await channel.receive() is first
        await blocked
        assert await channel.receive() is second
        waiting = channel.receive()
        await asyncio.sleep(0)
        await channel.send("later")
        assert await waiting == "later"

    runner.run(main())


def test_a_closed_channel_is_the_end_of_the_file(runner: asyncio.Runner) -> None:
    async def main() -> None:
        channel = cpp.Channel(0)
        waiting = channel.receive()
        await asyncio.sleep(0)
        channel.close()
        for future in (waiting, channel.receive(), channel.send(1)):
            with pytest.raises(EOFError, match="Channel closed"):
                await future

    runner.run(main())


def test_a_cancelled_receiver_takes_no_message(runner: asyncio.Runner) -> None:
    async def main() -> None:
        channel = cpp.Channel(0)
        given_up = channel.receive()
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0.001)
        receiver = channel.receive()
        await channel.send("message")
        assert await receiver == "message"

    runner.run(main())


def test_a_channel_dropped_while_its_cancellation_is_under_way(runner: asyncio.Runner) -> None:
    """Whichever comes first: the operation keeps what it works on."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for turns in range(6):
            channels = [cpp.Channel(0)]
            timers = [probe.Timer()]
            futures = [channels[0].receive(), timers[0].wait(3600_000)]
            await asyncio.sleep(0)

            def drop(left: int, *what: list[Any]) -> None:
                if left:
                    loop.call_soon(drop, left - 1, *what)
                else:
                    for things in what:
                        things.clear()

            drop(turns, channels, timers)
            for future in futures:
                future.cancel()
            drop(turns, channels, timers)
            await asyncio.wait(futures)
            await asyncio.sleep(0.001)

    runner.run(main())


# --- Python awaited from C++ -------------------------------------------------------------------------------------


class Awaitable2:
    """Neither coroutine nor Future."""

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return "awaited"


@pytest.mark.parametrize("go", [probe.pass_through, probe.pass_directly])
def test_cpp_awaits_whatever_python_can_await(
    runner: asyncio.Runner, go: Callable[[object], Awaitable[Any]]
) -> None:
    async def twice(x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    async def at_once() -> str:
        return "at once"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await go(twice(21)) == 42
        assert await go(at_once()) == "at once"
        assert await go(asyncio.create_task(twice(4))) == 8
        done = loop.create_future()
        done.set_result("done")
        assert await go(done) == "done"
        assert await go(Awaitable2()) == "awaited"
        assert await go(go(go(twice(1)))) == 2
        assert await go(cpp.sleep(0)) == "waited"
        with pytest.raises(TypeError, match="awaitable is required"):
            await go(7)

    runner.run(main())


def test_a_future_of_another_loop_is_refused(runner: asyncio.Runner) -> None:
    async def main() -> None:
        other = asyncio.new_event_loop()
        with pytest.raises(ValueError, match="different loop"):
            await probe.pass_through(other.create_future())
        other.close()

    runner.run(main())


class Odd(Exception):
    """An exception of ours."""


@pytest.mark.parametrize("go", [probe.pass_through, probe.pass_directly])
def test_an_exception_is_the_same_object_with_its_traceback(
    runner: asyncio.Runner, go: Callable[[object], Awaitable[Any]]
) -> None:
    odd = Odd("text")
    odd.__cause__ = KeyError("cause")

    async def where_it_comes_from() -> None:
        raise odd

    async def fails() -> None:
        await asyncio.sleep(0)
        await where_it_comes_from()

    async def main() -> None:
        with pytest.raises(Odd) as caught:
            await go(go(fails()))
        assert caught.value is odd
        assert isinstance(odd.__cause__, KeyError)
        names = [frame.name for frame in traceback.extract_tb(odd.__traceback__)]
        assert names.index("main") < names.index("fails") < names.index("where_it_comes_from")

    runner.run(main())


def test_cpp_can_tell_exceptions_from_cancellations(runner: asyncio.Runner) -> None:
    async def fails(error: BaseException) -> None:
        raise error

    class Silent(Exception):
        def __str__(self) -> str:
            raise TypeError

    async def main() -> None:
        assert await probe.caught(fails(Odd("text"))) == "python Odd: text"
        assert await probe.caught(fails(ValueError())) == "python ValueError: "
        assert await probe.caught(fails(Silent())) == "python Silent"
        assert await probe.caught(fails(Odd("\udc80"))) == "python Odd"
        assert await probe.caught(fails(asyncio.CancelledError())) == "aborted"
        assert await probe.caught(asyncio.sleep(0)) == "nothing"
        task = asyncio.create_task(forever())
        caught = probe.caught(task)
        await asyncio.sleep(0)
        task.cancel()
        assert await caught == "aborted"

    runner.run(main())


def test_what_a_future_refuses_it_is_told_of(runner: asyncio.Runner) -> None:
    """A StopIteration cannot be raised into a Future: nobody may wait for ever because of that."""

    async def main() -> None:
        stop = asyncio.get_running_loop().create_future()
        error = StopIteration()

        class Stops:
            _asyncio_future_blocking = False

            def get_loop(self) -> Any:
                return stop.get_loop()

            def add_done_callback(self, callback: Any, **_: Any) -> None:
                stop.get_loop().call_soon(callback, self)

            def result(self) -> None:
                raise error

            def __await__(self) -> Any:
                raise AssertionError

        with pytest.raises((TypeError, RuntimeError), match="StopIteration"):
            await asyncio.wait_for(probe.pass_through(Stops()), 10)

    runner.run(main())


def test_whoever_loses_a_race_is_cancelled(runner: asyncio.Runner) -> None:
    async def main() -> None:
        slow = asyncio.create_task(forever())
        assert await probe.race(slow, 1) == "timer"
        assert slow.cancelled()
        assert await probe.race(asyncio.sleep(0), 3600_000) == "python"

    runner.run(main())


def test_coroutines_overlap_in_cpp(runner: asyncio.Runner) -> None:
    """Each meets the others half way, so they would never end one after the other."""

    async def main() -> None:
        barrier = asyncio.Barrier(3)
        order: list[str] = []

        async def one(name: str, turns: int) -> str:
            order.append(f"{name} begins")
            await barrier.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
            order.append(f"{name} ends")
            return name

        assert await cpp.overlap(one("a", 9), one("b", 6), one("c", 3)) == ("a", "b", "c")
        assert order == ["a begins", "b begins", "c begins", "c ends", "b ends", "a ends"]

    runner.run(main())


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failing_one_of_three_cancels_the_others(runner: asyncio.Runner, place: int) -> None:
    async def main() -> None:
        odd = Odd()

        async def fails() -> None:
            await asyncio.sleep(0)
            raise odd

        tasks = [asyncio.create_task(fails() if i == place else forever()) for i in range(3)]
        with pytest.raises(Odd) as caught:
            await cpp.overlap(*tasks)
        assert caught.value is odd
        assert [task.cancelled() for task in tasks] == [i != place for i in range(3)]

    runner.run(main())


def test_cancelling_the_overlap_cancels_all(runner: asyncio.Runner) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(forever()) for _ in range(3)]
        future = cpp.overlap(*tasks)
        await asyncio.sleep(0)
        future.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)

    runner.run(main())


def test_asios_operator_gives_the_leftmost_exception(runner: asyncio.Runner) -> None:
    """Of two that fail, one by itself and one as it was cancelled: why there is await_all."""

    async def main() -> None:
        async def fails() -> None:
            raise Odd

        with pytest.raises(Odd):
            await probe.both(fails(), forever())
        with pytest.raises(asyncio.CancelledError):
            await probe.both(forever(), fails())

    runner.run(main())
