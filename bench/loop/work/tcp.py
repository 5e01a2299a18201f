"""TCP servers, in asyncio's three styles."""

import asyncio

from bench.loop.work import Address, Site
from bench.loop.work.protocols import Buffered, Echo, Sink, Source, SplitEcho

READ = 256 * 1024


async def _serve(site: Site, factory: type[asyncio.BaseProtocol]) -> Address:
    server = await site.loop.create_server(factory, "127.0.0.1", 0)
    return Address(port=server.sockets[0].getsockname()[1])


async def protocol(site: Site) -> Address:
    """data_received, and the same bytes written."""
    return await _serve(site, Echo)


async def buffered(site: Site) -> Address:
    """A BufferedProtocol, which has a buffer of its own."""
    return await _serve(site, Buffered)


async def streams(site: Site) -> Address:
    """A coroutine for each connection, with a StreamReader and a StreamWriter."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(READ):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return Address(port=server.sockets[0].getsockname()[1])


async def split_writes(site: Site) -> Address:
    """Each answer in two writes, as a head and a body are."""
    return await _serve(site, SplitEcho)


async def sink(site: Site) -> Address:
    """Takes what comes."""
    return await _serve(site, Sink)


async def source(site: Site) -> Address:
    """Sends much for each little."""
    return await _serve(site, Source)
