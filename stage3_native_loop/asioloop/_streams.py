"""The Python half of the stream transport: what runs once per connection, in debug mode, or when something fails.

What runs per packet is native (_asioloop.StreamTransport). The names that begin with an underscore and that the native part
does not call are what other parts of asyncio call: Server, sendfile(), start_tls() and SSLProtocol.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import warnings
from asyncio import base_events, constants, futures, trsock
from asyncio.log import logger
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import _asioloop

if TYPE_CHECKING:
    from ._loop import Loop

# How the native part reads: how much a short read says depends on it. Of SCTP, say, it says nothing.
_TCP = 0, socket.IPPROTO_TCP
_KINDS = {
    **dict.fromkeys(((family, proto) for family in (socket.AF_INET, socket.AF_INET6) for proto in _TCP), 0),
    (socket.AF_UNIX, 0): 1,
}
_OTHER_KIND = 2

# Since 3.13 a server knows its transports; before, it counts them.
_SERVER_KNOWS_TRANSPORTS = sys.version_info >= (3, 13)


class StreamTransport(_asioloop.StreamTransport):
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
        try:
            info["sockname"] = sock.getsockname()
        except OSError:
            info["sockname"] = None
        if "peername" not in info:
            try:
                info["peername"] = sock.getpeername()
            except OSError:
                info["peername"] = None
        # First: what a server has refused it must not be told to let go of.
        if server is not None:
            if _SERVER_KNOWS_TRANSPORTS:
                server._attach(self)
            else:
                server._attach()
        fd = sock.fileno()
        kind = _KINDS.get((sock.family, sock.proto), _OTHER_KIND)
        self._open(loop, sock, fd, kind, protocol, server)
        loop._transports[fd] = self
        base_events._set_nodelay(sock)  # type: ignore[attr-defined]
        # In this order: nothing is received before connection_made(), and nobody is told of it before that.
        loop.call_soon(protocol.connection_made, self)
        loop.call_soon(self._start_reading)
        if waiter is not None:
            loop.call_soon(futures._set_result_unless_cancelled, waiter, None)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._sock is None:
            info.append("closed")
        elif self.is_closing():
            info.append("closing")
        info.append(f"fd={self._sock_fd}")
        if self._loop is not None and not self._loop.is_closed():
            info.append("read=polling" if self._reads else "read=idle")
            state = "polling" if self._writes else "idle"
            info.append(f"write=<{state}, bufsize={self.get_write_buffer_size()}>")
        return f"<{' '.join(info)}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        sock = self._sock
        if sock is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            sock.close()
            self._detach(self._server)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks: above high the protocol is told to pause, down at low to resume."""
        if high is None:
            high = 64 * 1024 if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._set_limits(high, low)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        waiter, server = self._empty_waiter, self._server
        try:
            if self._protocol_connected:
                self._protocol.connection_lost(exc)
        finally:
            sock = self._dispose()
            if sock is not None:
                sock.close()
            self._detach(server)
            if waiter is not None:
                self._fail_waiter(waiter, ConnectionError("Connection is closed by peer"))

    def _detach(self, server: Any) -> None:
        if server is None:
            return
        if _SERVER_KNOWS_TRANSPORTS:
            server._detach(self)
        else:
            server._detach()

    # --- when something fails ---------------------------------------------------------------------------------

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=exc)
        else:
            self._flow_failed(message, exc)
        self._force_close(exc)

    def _flow_failed(self, message: str, exc: BaseException) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
        )

    def _warn_lost_write(self) -> None:
        logger.warning("socket.send() raised exception.")

    def _log_debug(self, what: str) -> None:
        logger.debug("%r %s", self, what)

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
