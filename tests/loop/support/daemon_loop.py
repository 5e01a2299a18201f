"""A program whose main thread ends while a daemon thread runs a loop that has much to do: `daemon_loop.py KIND LOOP`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asioloop
from tls_peers import make_contexts

PAIRS, ROUNDS = 10, 200
busy = threading.Event()
rounds = 0


def count() -> None:
    """One thing more has happened."""
    global rounds  # noqa: PLW0603
    rounds += 1
    if rounds == ROUNDS:
        busy.set()


class Player(asyncio.Protocol, asyncio.DatagramProtocol):
    """Sends back what comes, in an object that is nobody else's."""

    back: Any = None

    def connection_made(self, transport: Any) -> None:
        self.back = self.back or transport

    def data_received(self, data: bytes) -> None:
        count()
        self.back.write(bytearray(data))

    def datagram_received(self, data: bytes, _address: Any) -> None:
        count()
        self.back.sendto(bytearray(data))


class Passer(asyncio.Protocol):
    """Stays for a moment."""

    def connection_made(self, transport: Any) -> None:
        count()
        transport.close()


async def stream() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(PAIRS):
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(False)
            transport, _player = await loop.create_connection(Player, sock=end)
        transport.write(b"x" * 100)


async def datagram() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(PAIRS):
        ends = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
        for end in ends:
            end.bind(("127.0.0.1", 0))
        for end, other in zip(ends, reversed(ends), strict=True):
            end.connect(other.getsockname())
            end.setblocking(False)
            transport, _player = await loop.create_datagram_endpoint(Player, sock=end)
        for _ in range(4):
            transport.sendto(b"x" * 100)


async def pipe() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(PAIRS):
        there, here = os.pipe()
        writer, _writes = await loop.connect_write_pipe(Player, os.fdopen(here, "wb", 0))
        _reader, player = await loop.connect_read_pipe(Player, os.fdopen(there, "rb", 0))
        player.back = writer
        writer.write(b"x" * 100)


async def server() -> None:
    loop = asyncio.get_running_loop()
    accepts = await loop.create_server(Passer, "127.0.0.1", 0)
    name = accepts.sockets[0].getsockname()

    async def come_and_go() -> None:
        while True:
            transport, _ = await loop.create_connection(asyncio.Protocol, *name)
            transport.abort()

    await asyncio.gather(*[come_and_go() for _ in range(PAIRS)])


async def tls() -> None:
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        for_server, for_client = make_contexts(Path(folder))
    accepts = await loop.create_server(Player, "127.0.0.1", 0, ssl=for_server)
    name = accepts.sockets[0].getsockname()
    for _ in range(PAIRS):
        transport, _ = await loop.create_connection(
            Player, *name, ssl=for_client, server_hostname="localhost"
        )
        transport.write(b"x" * 100)


KINDS: dict[str, Callable[[], Awaitable[None]]] = {
    "stream": stream,
    "datagram": datagram,
    "pipe": pipe,
    "server": server,
    "tls": tls,
}


async def main(kind: str) -> None:
    await KINDS[kind]()
    await asyncio.Event().wait()


if __name__ == "__main__":
    run = {"asyncio": asyncio.run, "asioloop": asioloop.run}[sys.argv[2]]
    threading.Thread(target=lambda: run(main(sys.argv[1])), daemon=True).start()
    assert busy.wait(30)
