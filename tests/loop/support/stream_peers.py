"""What the tests of streams talk to and listen with."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE = 20
"""Seconds that a blocking peer waits before it calls a test failed."""


class Recorder(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data = bytearray()
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.eof: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.keep_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.events.append("data")
        self.data += data

    def eof_received(self) -> bool:
        self.events.append("eof")
        self.eof.set_result(None)
        return self.keep_open

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)

    async def received(self, size: int) -> bytes:
        """All that has come, once it is so much."""
        while len(self.data) < size:
            await asyncio.sleep(0)
        return bytes(self.data)


async def connected(protocol: Any = None) -> tuple[Any, Any, socket.socket]:
    """A transport with its protocol, and the blocking socket of its peer."""
    here, there = socket.socketpair()
    there.settimeout(PATIENCE)
    chosen = protocol or Recorder()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: chosen, sock=here)
    return transport, chosen, there


async def turns(n: int = 10) -> None:
    """Lets the loop turn."""
    for _ in range(n):
        await asyncio.sleep(0)


def read_all(peer: socket.socket) -> bytes:
    """What comes until the end; for a thread."""
    return b"".join(iter(lambda: peer.recv(1 << 16), b""))


def fill(transport: Any) -> int:
    """Writes until some is left over; returns how much was written."""
    written = 0
    while transport.get_write_buffer_size() == 0:
        transport.write(bytes(1 << 16))
        written += 1 << 16
    return written


@contextlib.contextmanager
def reports() -> Iterator[list[dict[str, Any]]]:
    """Collects what the running loop's exception handler is told, in place of what fails the test."""
    loop = asyncio.get_running_loop()
    before: Callable[..., object] | None = loop.get_exception_handler()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: told.append(context))
    try:
        yield told
    finally:
        loop.set_exception_handler(before)
