"""loop.metrics()."""

from __future__ import annotations

import asyncio
import collections
import functools
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import asioloop
import pytest
from asioloop import LoopMetrics


def _loop() -> asioloop.Loop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asioloop.Loop)
    return loop


def test_a_new_loop_has_done_nothing() -> None:
    loop = asioloop.new_event_loop()
    metrics = loop.metrics()
    loop.close()
    assert metrics.turns == metrics.callbacks == metrics.ready == metrics.most_ready == 0
    assert metrics.running_seconds == metrics.waiting_seconds == metrics.busy_ratio == 0
    assert set(metrics.lag) == {0} and set(metrics.system_calls) == {0}
    assert loop.metrics() == metrics  # closed


def test_callbacks_turns_and_the_ready_queue_are_counted() -> None:
    async def main() -> None:
        loop = _loop()
        await asyncio.sleep(0)
        before = loop.metrics()
        for _ in range(100):
            loop.call_soon(len, "")
        assert loop.metrics().ready == 100
        await asyncio.sleep(0)
        seen = loop.metrics() - before
        assert seen.callbacks == 101  # the step before this one, and they
        assert seen.turns == 1
        assert seen.ready == 0
        assert seen.most_ready == 101

    asioloop.run(main())


def test_a_loop_that_waits_is_idle_and_one_that_computes_is_busy() -> None:
    async def main() -> tuple[LoopMetrics, LoopMetrics]:
        loop = _loop()
        begin = loop.metrics()
        await asyncio.sleep(0.1)
        idle = loop.metrics()
        deadline = time.monotonic() + 0.1
        while time.monotonic() < deadline:
            await asyncio.sleep(0)
        return idle - begin, loop.metrics() - idle

    idle, busy = asioloop.run(main())
    assert idle.waiting_seconds >= 0.09
    assert idle.busy_ratio < 0.5 < busy.busy_ratio
    assert idle.gil_waits >= 1 and idle.gil_waiting_seconds > 0
    assert busy.waiting_seconds == 0 and busy.gil_waits == 0
    assert idle.system_calls.waits >= 1


def test_late_timers_are_in_the_bucket_of_their_lateness() -> None:
    now = 1000.0

    async def main() -> tuple[int, ...]:
        nonlocal now
        loop = _loop()
        with mock.patch.object(loop, "time", lambda: now):
            before = loop.metrics()
            for late in (0.0, 1.5e-6, 3e-6, 0.001, 0.001, 5000.0):
                loop.call_at(now, len, "")
                now += late
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            cancelled = loop.call_at(now, len, "")
            cancelled.cancel()
            await asyncio.sleep(0)
            return (loop.metrics() - before).lag

    lag = asioloop.run(main())
    assert {i: n for i, n in enumerate(lag) if n} == {0: 1, 1: 1, 2: 1, 10: 2, 31: 1}


def test_wake_ups_are_counted_once_however_many_calls() -> None:
    async def main() -> None:
        loop = _loop()
        before = loop.metrics()
        for _ in range(10):
            loop.call_soon_threadsafe(len, "")
        assert (loop.metrics() - before).system_calls.wake_ups == 0
        done = loop.create_future()
        now = loop.metrics().turns

        def push() -> None:
            # In its next turn, in which it has nothing to do, the loop blocks before it lets us run.
            while loop.metrics().turns == now:
                time.sleep(0)
            soon: Callable[[Any], object] = loop.call_soon_threadsafe
            # In C alone: the loop's thread does not get in between.
            callbacks = [*[list] * 1000, functools.partial(done.set_result, None)]
            collections.deque(map(soon, callbacks), maxlen=0)

        thread = threading.Thread(target=push)
        thread.start()
        await done
        thread.join()
        seen = loop.metrics() - before
        assert seen.system_calls.wake_ups == 1
        assert seen.callbacks >= 1010

    asioloop.run(main())


def test_system_calls_of_streams_are_counted() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        before = _loop().metrics()
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        for _ in range(10):
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        writer.close()
        await writer.wait_closed()
        calls = (_loop().metrics() - before).system_calls
        assert calls.accepts == 1
        assert calls.writes == 20
        assert calls.reads >= 20
        assert calls.waits >= 20
        server.close()
        await server.wait_closed()

    asioloop.run(main())


def test_another_thread_can_look() -> None:
    async def main() -> None:
        loop = _loop()
        stop = threading.Event()
        seen: list[int] = []

        def look() -> None:
            while not stop.is_set():
                seen.append(loop.metrics().callbacks)

        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(100):
            await asyncio.sleep(0.0001)
        stop.set()
        await asyncio.to_thread(thread.join)
        assert seen == sorted(seen)

    asioloop.run(main())


def test_metrics_cannot_be_changed() -> None:
    loop = asioloop.new_event_loop()
    metrics = loop.metrics()
    loop.close()
    with pytest.raises(AttributeError):
        metrics.turns = 1  # type: ignore[misc]
