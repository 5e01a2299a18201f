"""The Python half of the stream transport: what runs once per connection, in debug mode, or when something fails.

What runs per packet is native (_asioloop.StreamTransport). The names that begin with an underscore and that the native part
does not call are what other parts of asyncio call: Server, sendfile(), start_tls() and SSLProtocol.
"""

from __future__ import annotations

import asyncio
import socket
import warnings
from asyncio import constants, trsock
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import _asioloop

from ._socket_transport import SocketTransport

if TYPE_CHECKING:
    from ._loop import Loop

# How the native part reads: how much a short read says depends on it. Of SCTP, say, it says nothing.
_TCP = 0, socket.IPPROTO_TCP
_KINDS: dict[tuple[int, int], int] = {
    **dict.fromkeys(((family, proto) for family in (socket.AF_INET, socket.AF_INET6) for proto in _TCP), 0),
    (socket.AF_UNIX, 0): 1,
}
_OTHER_KIND = 2

# Families whose addresses the native part can write as module socket does.
_NAMED = frozenset((socket.AF_INET, socket.AF_INET6, socket.AF_UNIX))


def kind_of(family: int, proto: int) -> int:
    """Which Stream::Kind a socket is."""
    return _KINDS.get((family, proto), _OTHER_KIND)


def _add_names(info: dict[str, Any], sock: socket.socket) -> None:
    """What the native part cannot tell of a socket."""
    for key, ask in (("sockname", sock.getsockname), ("peername", sock.getpeername)):
        if key not in info:
            try:
                info[key] = ask()
            except OSError:
                info[key] = None


class StreamTransport(SocketTransport, _asioloop.StreamTransport):
    """A connection over TCP or a Unix socket; an asyncio.Transport.

    Threads: the loop's, as for every transport.
    """

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> None:
        asyncio.BaseTransport.__init__(self, extra)
        info = self._extra
        info["socket"] = trsock.TransportSocket(sock)
        family, proto = sock.family, sock.proto
        if family not in _NAMED:
            _add_names(info, sock)
        no_delay = (
            proto == socket.IPPROTO_TCP
            and sock.type == socket.SOCK_STREAM
            and family in (socket.AF_INET, socket.AF_INET6)
        )
        self._open(loop, sock, sock.fileno(), kind_of(family, proto), no_delay, protocol, server, waiter)

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if self._is_open:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._close_socket()

    def _make_socket(self, fd: int) -> socket.socket:
        """An object for a connection of which the native part has but the number; the socket is the object's now."""
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        return sock

    def _socket_info(self) -> trsock.TransportSocket:
        sock = self._sock
        if sock is None:  # what a closed connection shows
            name = self.get_extra_info("sockname")
            local, v6 = not isinstance(name, tuple), len(name or ()) == 4
            sock = socket.socket(socket.AF_UNIX if local else socket.AF_INET6 if v6 else socket.AF_INET)
            sock.close()
        return trsock.TransportSocket(sock)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        self._lose(exc)

    # --- sendfile(): it waits for what is buffered, and then nobody else may write ---------------------------------

    def _make_empty_waiter(self) -> asyncio.Future[None]:
        if self._empty_waiter is not None:
            raise RuntimeError("Empty waiter is already set")
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._set_empty_waiter(waiter)
        return waiter

    def _reset_empty_waiter(self) -> None:
        self._set_empty_waiter(None)

    def _wake_waiter(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def _fail_waiter(self, waiter: asyncio.Future[None], exc: BaseException) -> None:
        if not waiter.done():
            waiter.set_exception(exc)
