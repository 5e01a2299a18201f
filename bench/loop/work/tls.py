"""TCP servers with TLS, all of them with the standard library's ssl.SSLContext."""

import asyncio
import ssl

from bench.loop.work import Address, Site
from bench.loop.work.protocols import Echo, Sink, Source


async def _serve(site: Site, factory: type[asyncio.BaseProtocol]) -> Address:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.folder / "cert.pem", site.folder / "key.pem")
    server = await site.loop.create_server(factory, "127.0.0.1", 0, ssl=context)
    return Address(port=server.sockets[0].getsockname()[1])


async def protocol(site: Site) -> Address:
    """Echo."""
    return await _serve(site, Echo)


async def sink(site: Site) -> Address:
    """Takes what comes."""
    return await _serve(site, Sink)


async def source(site: Site) -> Address:
    """Sends much for each little."""
    return await _serve(site, Source)
