"""loop.time() replaced by a clock that is stepped by hand, and I/O beside a ready queue that is never empty."""

from __future__ import annotations

import asyncio
import socket
from unittest import mock

import asioloop
import pytest


@pytest.mark.parametrize("where", ["loop", "class"])
def test_a_clock_that_is_stepped_decides_when_timers_run(runner: asyncio.Runner, where: str) -> None:
    now = 1000.0

    async def main() -> None:
        nonlocal now
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        target = loop if where == "loop" else type(loop)
        with mock.patch.object(target, "time", lambda *_: now):
            timer = loop.call_later(5, seen.append, "5")
            assert timer.when() == 1005.0
            loop.call_at(1002.0, seen.append, "2")
            loop.call_later(3600, seen.append, "3600").cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert seen == []
            now = 1001.999
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert seen == []
            now = 1002.0
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert seen == ["2"]
            now = 2000.0
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert seen == ["2", "5"]
        assert loop.time() != now

    runner.run(main())


def test_a_blocked_loop_goes_by_the_stepped_clock_too(runner: asyncio.Runner) -> None:
    now = 50.0

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []

        def step() -> None:
            nonlocal now
            now += 1
            if now < 60:
                # Nothing else is due meanwhile: the loop blocks, until the other thread wakes it.
                loop.run_in_executor(None, loop.call_soon_threadsafe, step)

        with mock.patch.object(loop, "time", lambda: now):
            loop.call_later(7, seen.append, "7")
            loop.call_later(2, seen.append, "2")
            step()
            while now < 60:
                await asyncio.sleep(0)
        return seen

    assert runner.run(main()) == ["2", "7"]


class Stepped(asioloop.Loop):
    """Its clock stands still, but for step()."""

    now = 10.0

    def time(self) -> float:
        return self.now


def test_a_subclass_can_have_a_clock_of_its_own() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Stepped)
        woken = loop.create_future()
        assert loop.call_later(2, woken.set_result, None).when() == 12.0
        await asyncio.sleep(0)
        assert not woken.done()
        loop.now = 12.0
        await woken

    with asyncio.Runner(loop_factory=Stepped) as runner:
        runner.run(main())


def test_a_clock_that_fails_ends_the_run(runner: asyncio.Runner) -> None:
    loop = runner.get_loop()
    loop.call_later(3600, print)

    def broken() -> float:
        raise ZeroDivisionError

    with mock.patch.object(loop, "time", broken), pytest.raises(ZeroDivisionError):
        loop.run_forever()
    assert loop.run_until_complete(asyncio.sleep(0, "on")) == "on"


@pytest.mark.parametrize("delay", [-1, -1e308, 0, float("-inf")])
def test_a_timer_of_the_past_runs_at_once_and_is_a_timer(runner: asyncio.Runner, delay: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        assert isinstance(loop.call_later(delay, done.set_result, None), asyncio.TimerHandle)
        await asyncio.wait_for(done, 10)

    runner.run(main())


def test_a_time_that_is_no_number_is_now() -> None:
    """asyncio's own loop breaks on it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_later(float("nan"), done.set_result, None)
        await asyncio.wait_for(done, 10)

    asioloop.run(main())


def test_io_is_seen_beside_callbacks_that_never_end(runner: asyncio.Runner) -> None:
    """Also where I/O is looked at only now and then."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        spinning = True

        def spin() -> None:
            if spinning:
                loop.call_soon(spin)

        spin()
        for _ in range(1000):
            await asyncio.sleep(0)
        a, b = socket.socketpair()
        with a, b:
            a.setblocking(False)
            b.setblocking(False)
            for _ in range(20):
                await loop.sock_sendall(b, b"x")
                assert await asyncio.wait_for(loop.sock_recv(a, 10), 30) == b"x"
            fired = loop.create_future()
            loop.call_later(0.001, fired.set_result, None)
            await asyncio.wait_for(fired, 30)
            await asyncio.to_thread(lambda: None)
        spinning = False

    runner.run(main())


def test_what_has_happened_is_seen_a_turn_later(runner: asyncio.Runner) -> None:
    """As programs and tests count on that let a few turns go by."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        with a, b:
            seen: list[bytes] = []
            loop.add_reader(a, lambda: seen.append(a.recv(1)))
            for i in range(5):
                b.send(b"x")
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                assert len(seen) == i + 1
            loop.remove_reader(a)

    runner.run(main())
