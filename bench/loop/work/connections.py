"""Connections that do not last."""

import asyncio

from bench.loop.work import Batch, Site


async def connect_and_close(site: Site) -> Batch:
    """Both ends are on the measured loop: one connects and closes, the other accepts and sees the end."""
    loop = site.loop
    ended: asyncio.Queue[None] = asyncio.Queue()

    class Accepted(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            ended.put_nowait(None)

    server = await loop.create_server(Accepted, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]

    async def batch() -> int:
        transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
        transport.close()
        await ended.get()
        return 1

    return batch
