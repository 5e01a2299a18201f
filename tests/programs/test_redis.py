"""redis-py against a real server: pipelines, publish and subscribe, a blocking pop that is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from redis import asyncio as redis
from servers import redis_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with redis_server() as path:
        yield path


def test_commands_and_pipelines(runner: asyncio.Runner, server: str) -> None:
    async def main() -> None:
        async with redis.Redis(unix_socket_path=server) as client:
            await client.flushall()
            assert await client.set("key", "value") is True
            assert await client.get("key") == b"value"
            big = bytes(range(256)) * 10_000
            await client.set("big", big)
            assert await client.get("big") == big
            async with client.pipeline(transaction=True) as pipe:
                for i in range(1000):
                    pipe.incrby("sum", i)
                assert (await pipe.execute())[-1] == sum(range(1000))
            with pytest.raises(redis.ResponseError):
                await client.incr("key")

    runner.run(main())


def test_a_pool_serves_many_tasks(runner: asyncio.Runner, server: str) -> None:
    async def main() -> None:
        pool = redis.BlockingConnectionPool.from_url(f"unix://{server}", max_connections=4)
        async with redis.Redis.from_pool(pool) as client:
            await client.delete("count")

            async def work() -> None:
                for _ in range(20):
                    await client.incr("count")

            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(work())
            assert await client.get("count") == b"400"

    runner.run(main())


def test_publish_and_subscribe(runner: asyncio.Runner, server: str) -> None:
    async def main() -> None:
        async with redis.Redis(unix_socket_path=server) as client, client.pubsub() as subscriber:
            await subscriber.subscribe("news")
            got: list[bytes] = []
            ready = asyncio.Event()

            async def listen() -> None:
                async for message in subscriber.listen():
                    if message["type"] == "subscribe":
                        ready.set()
                    elif message["data"] == b"end":
                        return
                    else:
                        got.append(message["data"])

            listening = asyncio.create_task(listen())
            await asyncio.wait_for(ready.wait(), 20)
            for i in range(200):
                assert await client.publish("news", str(i)) == 1
            await client.publish("news", "end")
            await asyncio.wait_for(listening, 20)
            assert got == [str(i).encode() for i in range(200)]

    runner.run(main())


def test_a_blocking_pop_can_be_cancelled_and_loses_nothing(runner: asyncio.Runner, server: str) -> None:
    async def main() -> None:
        async with (
            redis.Redis(unix_socket_path=server) as client,
            redis.Redis(unix_socket_path=server) as other,
        ):
            await client.delete("jobs")

            async def blocked() -> int:
                clients = await other.client_list()
                return sum("b" in c["flags"] for c in clients)

            pop = asyncio.create_task(client.blpop(["jobs"], timeout=0))
            while not await blocked():
                pass
            pop.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pop
            # The server lets go of who has hung up.
            while await blocked():
                pass
            await other.rpush("jobs", "first")
            assert await client.blpop(["jobs"], timeout=20) == (b"jobs", b"first")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.blpop(["jobs"], timeout=0)

    runner.run(main())
