"""The Python half of the datagram transport: what runs once per socket, in debug mode, or when something fails.

What runs per datagram is native (_asioloop.DatagramTransport). create_datagram_endpoint() itself is asyncio's, and makes
its transport by _make_datagram_transport().
"""

from __future__ import annotations

import asyncio
import socket
import warnings
from asyncio import futures, trsock
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import _asioloop

from ._socket_transport import SocketTransport

if TYPE_CHECKING:
    from ._loop import Loop

# Datagram::Kind, in this order.
_UDP, _IP, _UNIX, _OTHER = range(4)


def _kind(sock: socket.socket) -> int:
    """How the native part sends and receives; what it does not know, by the socket's own methods."""
    own = type(sock)
    if any(
        getattr(own, name, None) is not getattr(socket.socket, name)
        for name in ("recvfrom", "send", "sendto")
    ):
        return _OTHER
    if sock.family == socket.AF_UNIX:
        return _UNIX
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return _OTHER
    udp = sock.type == socket.SOCK_DGRAM and sock.proto in (0, socket.IPPROTO_UDP)
    return _UDP if udp else _IP


class DatagramTransport(SocketTransport, _asioloop.DatagramTransport, asyncio.Transport):
    """A socket for datagrams: UDP, a Unix socket, or another family; an asyncio.DatagramTransport.

    asyncio's own is a Transport besides, although there is nothing to write() to.

    Threads: the loop's, as for every transport.
    """

    max_size = 256 * 1024

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        *,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        asyncio.BaseTransport.__init__(self, extra)
        info = self._extra
        info["socket"] = trsock.TransportSocket(sock)
        try:
            info["sockname"] = sock.getsockname()
        except OSError:
            info["sockname"] = None
        if "peername" not in info:
            try:
                info["peername"] = sock.getpeername()
            except OSError:
                info["peername"] = None
        fd = sock.fileno()
        # A peer without a name, at the other end of socketpair(), is one all the same.
        connected = info["peername"] is not None
        self._open(loop, sock, fd, sock.family, _kind(sock), protocol, address or None, connected)
        loop._transports[fd] = self
        # In this order: nothing is received before connection_made(), and nobody is told of it before that.
        loop.call_soon(cast(asyncio.DatagramProtocol, protocol).connection_made, self)
        loop.call_soon(self._start_reading)
        if waiter is not None:
            loop.call_soon(futures._set_result_unless_cancelled, waiter, None)  # type: ignore[attr-defined]

    @property
    def _is_open(self) -> bool:
        return self._sock is not None

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        sock = self._sock
        if sock is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            sock.close()

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            if self._protocol_connected:
                self._protocol.connection_lost(exc)
        finally:
            sock = self._dispose()
            if sock is not None:
                sock.close()


class DatagramMethods:
    """What Loop has of it."""

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> DatagramTransport:
        loop = cast("Loop", self)
        loop._ensure_fd_no_transport(sock)
        return DatagramTransport(loop, sock, protocol, address, waiter=waiter, extra=extra)
