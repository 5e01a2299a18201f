"""A server on a Unix socket."""

from bench.loop.work import Address, Site
from bench.loop.work.protocols import Echo


async def protocol(site: Site) -> Address:
    """The same protocol as over TCP."""
    path = str(site.folder / "echo.sock")
    await site.loop.create_unix_server(Echo, path)
    return Address(path=path)
