"""The protocols that TCP, Unix and TLS servers share."""

import asyncio
from typing import cast

KIB, MIB = 1024, 1024 * 1024
MESSAGE = bytes((i * 31) & 255 for i in range(256)) * (MIB // 256)
"""Byte i is (i * 31) mod 256: what echo_load compares answers with."""


class _Connection:
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)


class Echo(_Connection, asyncio.Protocol):
    """Sends back what comes."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class SplitEcho(_Connection, asyncio.Protocol):
    """Sends back what comes in two writes: 64 bytes, and the rest."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data[:64])
        self.transport.write(data[64:])


class Buffered(_Connection, asyncio.BufferedProtocol):
    """Sends back what comes, from a buffer of its own: copied, as what is written may have to wait and the buffer is
    filled again meanwhile."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(256 * KIB))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(bytes(self._buffer[:nbytes]))


class Sink(_Connection, asyncio.Protocol):
    """Answers each MiB with 64 bytes."""

    _got = 0

    def data_received(self, data: bytes) -> None:
        self._got += len(data)
        while self._got >= MIB:
            self._got -= MIB
            self.transport.write(MESSAGE[:64])


class Source(_Connection, asyncio.Protocol):
    """Answers each 64 bytes with a MiB."""

    _got = 0

    def data_received(self, data: bytes) -> None:
        self._got += len(data)
        while self._got >= 64:
            self._got -= 64
            self.transport.write(MESSAGE)
