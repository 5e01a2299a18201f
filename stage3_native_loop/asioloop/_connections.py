"""Where connections come from: the loop's part of accepting and connecting.

Server is asyncio's own, and so is what happens rarely or waits for the network. Native are what runs for each connection that
comes in (_asioloop.Acceptor), and a connection to this machine.
"""

from __future__ import annotations

import asyncio
import os
import socket
from asyncio import base_events, constants, trsock
from asyncio.log import logger
from collections.abc import Callable
from typing import Any

import _asioloop

from ._streams import StreamTransport, kind_of

_Factory = Callable[[], asyncio.BaseProtocol]

_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
_base_connect = asyncio.SelectorEventLoop.create_connection
_DEFAULTS = _base_connect.__kwdefaults__ or {}
_base_connect_unix = asyncio.SelectorEventLoop.create_unix_connection
_UNIX_OPTIONS = _base_connect_unix.__kwdefaults__ or {}
_MISSING = object()
_Socket = socket.socket

# asyncio accepts a whole backlog a turn; so long the connections that are there would have to wait.
_BATCH = 64


class ConnectionMethods(asyncio.SelectorEventLoop):
    """What asioloop.Loop is besides its core: servers' listening sockets, and create_connection().

    Threads: the loop's.
    """

    _acceptors: dict[socket.socket, _asioloop.Acceptor]

    # --- accepting: asyncio.Server calls these -----------------------------------------------------------------

    def _start_serving(
        self,
        protocol_factory: _Factory,
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        *timeouts: Any,
        **more_timeouts: Any,
    ) -> None:
        if sock.family not in _FAMILIES:
            super()._start_serving(  # type: ignore[misc]
                protocol_factory, sock, sslcontext, server, backlog, *timeouts, **more_timeouts
            )
            return
        self._ensure_fd_no_transport(sock)

        def by_hand(fd: int, address: Any) -> None:
            conn = socket.socket(sock.family, sock.type, sock.proto, fileno=fd)
            conn.setblocking(False)
            if self.get_debug():
                logger.debug("%r got a new connection from %r: %r", server, address, conn)
            accept = self._accept_connection2(  # type: ignore[attr-defined]
                protocol_factory, conn, {"peername": address}, sslcontext, server, *timeouts, **more_timeouts
            )
            self.create_task(accept)

        def failed(exc: OSError) -> None:
            self.call_exception_handler(
                {
                    "message": "socket.accept() out of system resource",
                    "exception": exc,
                    "socket": trsock.TransportSocket(sock),
                }
            )
            self.call_later(constants.ACCEPT_RETRY_DELAY, acceptor.resume)

        self._stop_accepting(sock)
        acceptor = self._acceptors[sock] = _asioloop.Acceptor(
            self,
            StreamTransport,
            protocol_factory,
            server,
            by_hand,
            failed,
            sock.fileno(),
            kind_of(sock.family, sock.proto),
            sock.proto == socket.IPPROTO_TCP,
            sslcontext is not None,
            min(backlog, _BATCH),
        )

    def _stop_serving(self, sock: socket.socket) -> None:
        server = self._stop_accepting(sock)
        if self._is_parents:  # type: ignore[attr-defined]
            self._leave_to_the_parent(sock, server)
        super()._stop_serving(sock)  # type: ignore[misc]

    def _stop_accepting(self, sock: socket.socket) -> Any:
        """The server, or None."""
        acceptor = self._acceptors.pop(sock, None)
        return None if acceptor is None else acceptor.stop(sock.fileno() < 0)

    def _leave_to_the_parent(self, sock: socket.socket, server: Any) -> None:
        """Server.close() in a forked child: the name in the file system is the parent's, and so is who waits for it."""
        getattr(self, "_unix_server_sockets", {}).pop(sock, None)
        if server is not None:
            server._serving_forever_fut = None
            server._waiters = []

    # --- connecting --------------------------------------------------------------------------------------------

    _sock_connect_is_ours = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "sock_connect" in vars(cls) and not cls.__module__.startswith(f"{__package__}."):
            cls._sock_connect_is_ours = False

    def _connects_itself(self) -> bool:
        # Not in debug mode, which logs, nor past a sock_connect() or a class of sockets that the program has put there.
        return (
            not self.get_debug()
            and self._sock_connect_is_ours
            and "sock_connect" not in self.__dict__
            and base_events.socket.socket is _Socket  # type: ignore[attr-defined]
        )

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: _Factory, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to a TCP server (asyncio.loop.create_connection).

        What has no options and goes to a loopback address in digits is there at once, without a watch or a thread.
        """
        if (
            type(host) is not str
            or type(port) is not int
            or not self._connects_itself()
            or (options and any(value is not _DEFAULTS.get(key, _MISSING) for key, value in options.items()))
            or (here := StreamTransport._connect_here(host, port)) is None
        ):
            return await super().create_connection(protocol_factory, host, port, **options)
        fd, connected = here
        if not connected:
            return await self._finish_connection(protocol_factory, host, port, fd)
        return await self._take_over(protocol_factory, fd, local=False)

    async def _finish_connection(
        self, protocol_factory: _Factory, host: str, port: int, fd: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Of one whose server has no room yet."""
        sock = socket.socket(fileno=fd)
        try:
            sock.setblocking(False)
            await self.sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return await super().create_connection(protocol_factory, sock=sock)

    async def create_unix_connection(  # type: ignore[override]
        self, protocol_factory: _Factory, path: Any = None, **options: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to a Unix server (asyncio.loop.create_unix_connection).

        What has no options, and a server with room, is there at once.
        """
        if (
            path is None
            or not self._connects_itself()
            or any(value is not None or key not in _UNIX_OPTIONS for key, value in options.items())
            or (fd := StreamTransport._connect_unix(os.fspath(path))) is None
        ):
            return await super().create_unix_connection(protocol_factory, path, **options)
        return await self._take_over(protocol_factory, fd, local=True)

    async def _take_over(
        self, protocol_factory: _Factory, fd: int, *, local: bool
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """A connection that is there."""
        waiter = self.create_future()
        try:
            protocol = protocol_factory()
            transport = StreamTransport._adopt(self, fd, protocol, waiter, local)
        except BaseException:
            socket.close(fd)
            raise
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    # --- who has a descriptor ----------------------------------------------------------------------------------

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        super()._ensure_fd_no_transport(fd)  # type: ignore[misc]
        transport = StreamTransport._owner_of(self, fd if isinstance(fd, int) else int(fd.fileno()))
        if transport is not None:
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {transport!r}")

    async def _sendfile_native(self, transp: Any, *arguments: Any) -> int:
        # asyncio's takes the transport out of there meanwhile, so that sock_sendfile() may wait for the descriptor.
        self._transports[transp._sock_fd] = transp  # type: ignore[attr-defined]
        sent: int = await super()._sendfile_native(transp, *arguments)  # type: ignore[misc]
        return sent


# What inspect.signature() shows; by functools.wraps() type checkers would take it for a function without a self.
ConnectionMethods.create_connection.__wrapped__ = _base_connect  # type: ignore[attr-defined]
ConnectionMethods.create_unix_connection.__wrapped__ = _base_connect_unix  # type: ignore[attr-defined]
