"""What the tests of datagrams talk to and listen with."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

PATIENCE = 20
"""Seconds that a blocking peer waits before it calls a test failed."""


class Recorder(asyncio.DatagramProtocol):
    """Writes down what it is told."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self.events: list[str] = []
        self.got: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.on_datagram: Callable[[bytes, Any], None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.events.append("made")
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        assert type(data) is bytes
        self.got.append((data, addr))
        if self.on_datagram:
            self.on_datagram(data, addr)

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)

    async def received(self, count: int) -> list[bytes]:
        """The data of all datagrams, once there are so many."""
        while len(self.got) < count:
            await asyncio.sleep(0)
        return [data for data, _ in self.got]

    async def failed(self) -> Exception:
        """The first error."""
        while not self.errors:
            await asyncio.sleep(0)
        return self.errors[0]


async def endpoint(**options: Any) -> tuple[Any, Recorder]:
    """A transport with its Recorder."""
    return await asyncio.get_running_loop().create_datagram_endpoint(Recorder, **options)


async def on_loopback() -> tuple[Any, Recorder, Any, socket.socket]:
    """The same on a port of its own, with its address and a blocking socket to talk to it."""
    transport, protocol = await endpoint(local_addr=("127.0.0.1", 0))
    return transport, protocol, transport.get_extra_info("sockname"), udp_socket()


def udp_socket() -> socket.socket:
    """A blocking one, bound to the loopback."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    peer.settimeout(PATIENCE)
    return peer


async def pair() -> tuple[Any, Recorder, socket.socket]:
    """A transport over socketpair(), and the blocking other end. Its room is for a few datagrams."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    there.settimeout(PATIENCE)
    transport, protocol = await endpoint(sock=here)
    return transport, protocol, there


async def closed(transport: Any, protocol: Recorder) -> BaseException | None:
    """Closes it, and says with what it was lost."""
    transport.close()
    return await asyncio.wait_for(asyncio.shield(protocol.lost), PATIENCE)
