"""Datagrams."""

import asyncio
from typing import cast

from bench.loop.work import Address, Site


class _Echo(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


async def protocol(site: Site) -> Address:
    """One socket that answers all."""
    transport, _ = await site.loop.create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
    return Address(port=transport.get_extra_info("sockname")[1])
