"""asyncpg against a real PostgreSQL: queries, a pool, a cursor, notifications, a query that is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from servers import postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as folder:
        yield folder


def _address(server: str) -> dict[str, Any]:
    return {"host": server, "user": "tests", "database": "postgres"}


def test_queries_copies_and_transactions(runner: asyncio.Runner, server: str) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(**_address(server))
        await connection.execute("CREATE TEMP TABLE numbers(n int, name text)")
        rows = [(i, f"number {i}") for i in range(5000)]
        await connection.copy_records_to_table("numbers", records=rows)
        assert await connection.fetchval("SELECT sum(n) FROM numbers") == sum(range(5000))
        async with connection.transaction():
            cursor = connection.cursor("SELECT n FROM numbers ORDER BY n", prefetch=100)
            assert [row["n"] async for row in cursor] == list(range(5000))
        with pytest.raises(asyncpg.UniqueViolationError):
            async with connection.transaction():
                await connection.execute("CREATE UNIQUE INDEX ON numbers(n)")
                await connection.execute("INSERT INTO numbers VALUES (1, 'again')")
        assert await connection.fetchval("SELECT count(*) FROM numbers WHERE n = 1") == 1
        await connection.close()

    runner.run(main())


def test_a_pool_serves_many_tasks(runner: asyncio.Runner, server: str) -> None:
    async def main() -> None:
        async with asyncpg.create_pool(**_address(server), min_size=2, max_size=4) as pool:
            got = await asyncio.gather(*(pool.fetchval("SELECT $1::int * 2", i) for i in range(100)))
            assert got == [2 * i for i in range(100)]

    runner.run(main())


def test_a_query_that_is_cancelled_leaves_a_usable_connection(runner: asyncio.Runner, server: str) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(**_address(server))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.execute("SELECT pg_sleep(60)")
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    runner.run(main())


def test_notifications_arrive(runner: asyncio.Runner, server: str) -> None:
    async def main() -> None:
        listener, speaker = [await asyncpg.connect(**_address(server)) for _ in range(2)]
        told: asyncio.Queue[str] = asyncio.Queue()
        await listener.add_listener("news", lambda _c, _pid, _channel, payload: told.put_nowait(payload))
        for i in range(50):
            await speaker.execute("SELECT pg_notify('news', $1)", str(i))
        assert [await asyncio.wait_for(told.get(), 20) for _ in range(50)] == [str(i) for i in range(50)]
        await listener.close()
        await speaker.close()

    runner.run(main())
