"""Tasks: one at a time, and a hundred together."""

import asyncio

from bench.loop.work import Batch, Site

COUNT = 500
TOGETHER = 100


async def _one() -> int:
    return 1


async def create_and_await(site: Site) -> Batch:
    """A task for each call."""
    loop = site.loop

    async def batch() -> int:
        for _ in range(COUNT):
            await loop.create_task(_one())
        return COUNT

    return batch


async def gather_hundred(site: Site) -> Batch:
    """asyncio.gather() of a hundred coroutines; counted as one."""

    async def batch() -> int:
        for _ in range(10):
            await asyncio.gather(*[_one() for _ in range(TOGETHER)])
        return 10

    return batch
