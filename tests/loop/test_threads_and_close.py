"""Calls from other threads while the loop closes: each is accepted or refused, and nothing is kept of either."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Factory = Callable[[], asyncio.AbstractEventLoop]
ROUNDS, THREADS = 200, 2
# Calls of a thread: more would gather faster than they run.
MOST = 100


class Kept(weakref.WeakSet[Any]):
    """What has been handed to loops, as long as anybody has it."""

    def callback(self) -> Callable[[], None]:
        def callback() -> None: ...

        self.add(callback)
        return callback

    def coroutine(self, waits: float | None = None) -> Any:
        async def coroutine() -> None:
            if waits is not None:
                await asyncio.sleep(waits)

        made = coroutine()
        self.add(made)
        return made


def call(loop: asyncio.AbstractEventLoop, kept: Kept) -> None:
    loop.call_soon_threadsafe(kept.callback())


def _submit(loop: asyncio.AbstractEventLoop, coroutine: Any) -> concurrent.futures.Future[None]:
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop)
    except BaseException:
        coroutine.close()
        raise


def submit(loop: asyncio.AbstractEventLoop, kept: Kept) -> None:
    _submit(loop, kept.coroutine())


def submit_and_cancel(loop: asyncio.AbstractEventLoop, kept: Kept) -> None:
    future = _submit(loop, kept.coroutine(3600))
    assert future.cancel() or future.done()


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns as often as they can; nobody is told of what never ran."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
        gc.collect()
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("act", [call, submit, submit_and_cancel])
def test_threads_that_call_a_loop_which_closes(
    factory: Factory, act: Callable[[asyncio.AbstractEventLoop, Kept], None], caplog: pytest.LogCaptureFixture
) -> None:
    # A cancellation that comes too late for the loop is logged.
    caplog.set_level(logging.CRITICAL, "concurrent.futures")
    kept = Kept()

    def race(turns: int) -> list[str]:
        loop = factory()
        loop.set_exception_handler(
            lambda _loop, _context: None
        )  # of tasks that are destroyed while they wait
        begin = threading.Barrier(THREADS + 1)
        closed = threading.Event()
        refused: list[str] = []

        def act_until_refused() -> None:
            begin.wait()
            try:
                for _ in range(MOST):
                    act(loop, kept)
                closed.wait()
                act(loop, kept)
            except RuntimeError as exc:
                refused.append(str(exc))

        threads = [threading.Thread(target=act_until_refused) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        begin.wait()
        for _ in range(turns):
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        closed.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        return refused

    for i in range(ROUNDS):
        assert race(i % 2) == ["Event loop is closed"] * THREADS
    gc.collect()
    assert not kept
