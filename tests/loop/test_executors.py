"""run_in_executor() and the default executor."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest

Factory = Callable[[], asyncio.AbstractEventLoop]


def test_the_default_executors_threads_have_asyncios_name(runner: asyncio.Runner) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
        return [name, await asyncio.to_thread(lambda: threading.current_thread().name)]

    assert all(name.startswith("asyncio_") for name in runner.run(main()))


def test_arguments_results_and_errors_come_across(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, divmod, 7, 3) == (2, 1)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, divmod, 7, 0)
        with ThreadPoolExecutor(1, "of the program") as own:
            name = await loop.run_in_executor(own, lambda: threading.current_thread().name)
            assert name.startswith("of the program")

    runner.run(main())


def test_a_job_wakes_a_loop_that_waits(runner: asyncio.Runner) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        may_end = threading.Event()
        jobs = [loop.run_in_executor(None, may_end.wait) for _ in range(3)]
        await asyncio.sleep(0)
        may_end.set()
        return sum(await asyncio.gather(*jobs))

    assert runner.run(main()) == 3


def test_a_job_that_has_begun_is_not_stopped_by_cancelling(runner: asyncio.Runner) -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

        def job() -> None:
            begun.set()
            may_end.wait()
            ended.set()

        future = loop.run_in_executor(None, job)
        while not begun.is_set():
            await asyncio.sleep(0)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        may_end.set()
        await loop.run_in_executor(None, ended.wait)
        return True

    assert runner.run(main())


def test_another_default_executor(runner: asyncio.Runner) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1, "chosen"))
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    assert runner.run(main()).startswith("chosen")


def test_only_a_thread_pool_can_be_the_default(runner: asyncio.Runner) -> None:
    async def main() -> None:
        other: Any = Executor()
        with pytest.raises(TypeError, match="ThreadPoolExecutor"):
            asyncio.get_running_loop().set_default_executor(other)

    runner.run(main())


def test_after_its_shutdown_the_default_executor_takes_nothing(factory: Factory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended: list[int] = []
        job = loop.run_in_executor(None, ended.append, 1)
        await loop.shutdown_default_executor()
        assert ended == [1]
        await job
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            await loop.run_in_executor(None, print)
        assert not any(thread.name.startswith("asyncio_") for thread in threading.enumerate())

    with contextlib.closing(factory()) as loop:
        loop.run_until_complete(main())


# 3.12 has the parameter, but its first releases wait for the threads all the same.
if sys.version_info >= (3, 13):

    def test_the_shutdown_of_the_default_executor_has_a_time_out(factory: Factory) -> None:
        may_end = threading.Event()

        async def main() -> Any:
            loop = asyncio.get_running_loop()
            job = loop.run_in_executor(None, may_end.wait)
            with pytest.warns(RuntimeWarning, match="did not finishing joining its threads"):
                await loop.shutdown_default_executor(timeout=0.01)
            may_end.set()
            return await job

        with contextlib.closing(factory()) as loop:
            assert loop.run_until_complete(main()) is True


def test_a_closed_loop_runs_nothing(factory: Factory) -> None:
    loop = factory()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_in_executor(None, print)


def test_a_job_that_ends_after_its_loop_hurts_nobody(factory: Factory) -> None:
    may_end, ended = threading.Event(), threading.Event()

    def job() -> None:
        may_end.wait()
        ended.set()

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, job)
        await asyncio.sleep(0)

    loop = factory()
    loop.run_until_complete(main())
    loop.close()
    may_end.set()
    assert ended.wait(20)
