"""Callbacks: how fast they are taken, and run."""

import asyncio
import contextlib
import socket

from bench.loop.work import Batch, Site

COUNT = 2000
IDLE = 250


def _nothing(*_: object) -> None:
    """What is called: the cost of calling it is a part of every loop's figure alike."""


async def call_soon(site: Site) -> Batch:
    """Many callbacks at once, without arguments."""
    loop = site.loop

    async def batch() -> int:
        done = loop.create_future()
        for _ in range(COUNT - 1):
            loop.call_soon(_nothing)
        loop.call_soon(done.set_result, None)
        await done
        return COUNT

    return batch


async def call_soon_args(site: Site) -> Batch:
    """Many callbacks at once, with three arguments."""
    loop = site.loop

    async def batch() -> int:
        done = loop.create_future()
        for _ in range(COUNT - 1):
            loop.call_soon(_nothing, 1, 2, 3)
        loop.call_soon(done.set_result, None)
        await done
        return COUNT

    return batch


async def threadsafe(site: Site) -> Batch:
    """Many callbacks at once, by the call that other threads use; from the loop's own thread, so that no switch of
    threads is measured."""
    loop = site.loop

    async def batch() -> int:
        done = loop.create_future()
        for _ in range(COUNT - 1):
            loop.call_soon_threadsafe(_nothing)
        loop.call_soon_threadsafe(done.set_result, None)
        await done
        return COUNT

    return batch


async def sleep_zero(site: Site) -> Batch:
    """A task that lets others go first, again and again."""

    async def batch() -> int:
        for _ in range(COUNT):
            await asyncio.sleep(0)
        return COUNT

    return batch


async def ready_with_idle(site: Site) -> Batch:
    """One callback a turn, while connections are open that have nothing to say: what a look at them costs."""
    loop = site.loop
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    held = contextlib.ExitStack()
    for _ in range(IDLE):
        # Blocking, but not for long: the kernel accepts for the server.
        held.enter_context(socket.create_connection((host, port)))
        await asyncio.sleep(0)

    async def batch() -> int:
        done = loop.create_future()

        def link(left: int) -> None:
            if left:
                loop.call_soon(link, left - 1)
            else:
                done.set_result(held)

        link(COUNT)
        await done
        return COUNT

    return batch
