"""Names that are addresses already."""

import socket

from bench.loop.work import Batch, Site

COUNT = 50


async def numeric(site: Site) -> Batch:
    """Nothing has to be looked up, and nobody needs a thread for it."""
    loop = site.loop

    async def batch() -> int:
        for _ in range(COUNT):
            await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        return COUNT

    return batch
