"""Programs of asyncio alone, as its documentation teaches to write them: groups, time limits, queues, threads."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import random
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import resource_tracker

import pytest

# Its own process is started with the first pool, and its pipe would look like a leak.
resource_tracker.ensure_running()

request_id: contextvars.ContextVar[int] = contextvars.ContextVar("request_id")


def test_workers_a_queue_and_an_end(runner: asyncio.Runner) -> None:
    async def main() -> None:
        jobs: asyncio.Queue[int] = asyncio.Queue(maxsize=10)
        done: list[int] = []

        async def work() -> None:
            while True:
                job = await jobs.get()
                await asyncio.sleep(0)
                done.append(job)
                jobs.task_done()

        workers = [asyncio.create_task(work()) for _ in range(5)]
        for job in range(500):
            await jobs.put(job)
        await jobs.join()
        for worker in workers:
            worker.cancel()
        assert all(
            isinstance(r, asyncio.CancelledError)
            for r in await asyncio.gather(*workers, return_exceptions=True)
        )
        assert sorted(done) == list(range(500))

    runner.run(main())


def test_the_first_failure_of_a_group_ends_the_others(runner: asyncio.Runner) -> None:
    async def main() -> None:
        ended: list[str] = []

        async def forever(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)

        async def fails() -> None:
            await asyncio.sleep(0.001)
            raise LookupError("on purpose")

        with pytest.raises(ExceptionGroup) as failed:
            async with asyncio.TaskGroup() as outer:
                outer.create_task(forever("outer"))
                async with asyncio.TaskGroup() as inner:
                    inner.create_task(forever("inner"))
                    outer.create_task(fails())
        assert failed.group_contains(LookupError)
        assert sorted(ended) == ["inner", "outer"]

    runner.run(main())


def test_nested_time_limits_end_the_right_block(runner: asyncio.Runner) -> None:
    async def main() -> list[str]:
        said = []
        async with asyncio.timeout(60):
            try:
                async with asyncio.timeout(0.01) as short:
                    async with asyncio.timeout(30):
                        await asyncio.Event().wait()
            except TimeoutError:
                said.append("short")
            assert short.expired()
            async with asyncio.timeout(None) as moved:
                moved.reschedule(asyncio.get_running_loop().time() + 60)
                await asyncio.sleep(0)
            said.append("after")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0)
        return said

    assert runner.run(main()) == ["short", "after"]


def test_a_server_whose_requests_have_a_context_each(runner: asyncio.Runner) -> None:
    async def main() -> None:
        count = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            request_id.set(count)
            first = request_id.get()
            while line := await reader.readline():
                await asyncio.sleep(random.random() / 1000)
                assert request_id.get() == first
                writer.write(b"%d: %s" % (await asyncio.to_thread(request_id.get), line))
                await writer.drain()
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]

            async def client() -> None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                seen = set()
                for _ in range(5):
                    writer.write(b"hello\n")
                    seen.add((await reader.readline()).partition(b":")[0])
                assert len(seen) == 1
                writer.close()
                await writer.wait_closed()

            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(client())

    runner.run(main())


def test_executors_of_threads_and_of_processes(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
        assert name.startswith("asyncio_")
        with ThreadPoolExecutor(2) as threads:
            assert await asyncio.gather(*(loop.run_in_executor(threads, abs, -i) for i in range(50))) == list(
                range(50)
            )
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
            assert await loop.run_in_executor(processes, pow, 2, 100) == 2**100

    runner.run(main())


def test_another_thread_asks_for_coroutines(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def double(n: int) -> int:
            await asyncio.sleep(0)
            return 2 * n

        def outside() -> list[int]:
            futures = [asyncio.run_coroutine_threadsafe(double(n), loop) for n in range(200)]
            never = asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop)
            assert never.cancel()
            return [f.result(20) for f in futures]

        assert await asyncio.to_thread(outside) == [2 * n for n in range(200)]

    runner.run(main())


def test_a_proxy_between_a_client_and_a_server(runner: asyncio.Runner) -> None:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 14):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await pump(reader, writer)
            writer.close()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:

            async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                there, back = await asyncio.open_connection(*server.sockets[0].getsockname())
                async with asyncio.TaskGroup() as group:
                    group.create_task(pump(reader, back))
                    group.create_task(pump(there, writer))
                for end in (back, writer):
                    end.close()
                    await end.wait_closed()

            async with await asyncio.start_server(proxy, "127.0.0.1", 0) as middle:

                async def client(seed: int) -> None:
                    data = random.Random(seed).randbytes(700_000)
                    reader, writer = await asyncio.open_connection(*middle.sockets[0].getsockname())

                    async def send() -> None:
                        for start in range(0, len(data), 9973):
                            writer.write(data[start : start + 9973])
                            await writer.drain()
                        writer.write_eof()

                    sending = asyncio.create_task(send())
                    assert await reader.read() == data
                    await sending
                    writer.close()
                    await writer.wait_closed()

                async with asyncio.timeout(60):
                    await asyncio.gather(*(client(seed) for seed in range(8)))

    runner.run(main())
