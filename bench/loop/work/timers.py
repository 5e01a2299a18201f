"""Timers: most are cancelled before they are due, as time-outs are; the others all come at once."""

import asyncio

from bench.loop.work import Batch, Site

COUNT = 2000
FAR = 3600.0
DUE_COUNT = 5000
NEAR = 0.001


def _nothing() -> None:
    """What is called when a timer is due."""


async def schedule_and_cancel(site: Site) -> Batch:
    """Time-outs that never happen. A turn after each batch lets a loop throw away what it has kept."""
    loop = site.loop

    async def batch() -> int:
        for _ in range(COUNT):
            loop.call_later(FAR, _nothing).cancel()
        await asyncio.sleep(0)
        return COUNT

    return batch


async def due(site: Site) -> Batch:
    """Many timers for one moment, which has come by the time that they are all there: no loop gets to wait."""
    loop = site.loop

    async def batch() -> int:
        done = loop.create_future()
        when = loop.time() + NEAR
        for _ in range(DUE_COUNT - 1):
            loop.call_at(when, _nothing)
        loop.call_at(when, done.set_result, None)
        await done
        return DUE_COUNT

    return batch
