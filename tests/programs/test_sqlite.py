"""aiosqlite: a thread for each connection, which talks to the loop by call_soon_threadsafe."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import aiosqlite
import pytest


def test_rows_go_in_and_come_out(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        async with aiosqlite.connect(tmp_path / "data") as db:
            await db.execute("CREATE TABLE numbers(n INTEGER PRIMARY KEY)")
            await db.executemany("INSERT INTO numbers VALUES (?)", [(i,) for i in range(1000)])
            await db.commit()
            async with db.execute("SELECT n FROM numbers ORDER BY n") as rows:
                assert [n async for (n,) in rows] == list(range(1000))
            with pytest.raises(sqlite3.IntegrityError):
                await db.execute("INSERT INTO numbers VALUES (1)")

    runner.run(main())


def test_three_connections_overlap(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "data"
        async with aiosqlite.connect(path) as db:
            await db.execute("CREATE TABLE numbers(n INTEGER)")
            await db.executemany("INSERT INTO numbers VALUES (?)", [(i,) for i in range(100)])
            await db.commit()

        async def reader() -> int:
            async with aiosqlite.connect(path) as db:
                total = 0
                for _ in range(50):
                    async with db.execute("SELECT sum(n) FROM numbers") as rows:
                        row = await rows.fetchone()
                        assert row
                        total += row[0]
                return total

        assert await asyncio.gather(*(reader() for _ in range(3))) == [50 * sum(range(100))] * 3

    runner.run(main())


def test_a_query_that_is_given_up_does_not_stop_the_connection(runner: asyncio.Runner) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

    async def main() -> None:
        async with aiosqlite.connect(":memory:") as db:
            asking = asyncio.create_task(db.execute_fetchall(endless))
            await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await db.interrupt()
            async with db.execute("SELECT 1") as rows:
                assert await rows.fetchone() == (1,)

    runner.run(main())
