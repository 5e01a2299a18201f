"""TLS: what asyncio's SSLProtocol does once per connection, around a native part that does what runs per record.

Handshake, shutdown, time-outs and errors are asyncio's own code, of the Python that runs. _asioloop.TlsProtocol takes
the place of those of its methods that read, write and count.
"""

from __future__ import annotations

import asyncio
from asyncio import sslproto
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

import _asioloop

from ._streams import StreamTransport

try:
    import ssl
except ImportError:  # a Python without it has no TLS, but the loop
    ssl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import socket

    from ._loop import Loop

# Their private side, which typeshed does not know.
_Protocol: Any = sslproto.SSLProtocol
_Transport: Any = sslproto._SSLProtocolTransport
_State = sslproto.SSLProtocolState
_NUMBERS = {
    _State.UNWRAPPED: 0,
    _State.DO_HANDSHAKE: 1,
    _State.WRAPPED: 2,
    _State.FLUSHING: 3,
    _State.SHUTDOWN: 4,
}


class SslTransport(_Transport):  # type: ignore[misc]
    """What the program writes to; an asyncio.Transport, and to be told by `ssl` in its name, as asyncio's is.

    Threads: the loop's, as for every transport.
    """

    def __init__(self, loop: Loop, tls: TlsProtocol) -> None:
        super().__init__(loop, tls)
        # In the place of the method: a call of it enters no Python.
        self.write = tls.write

    def writelines(self, list_of_data: Any) -> None:
        """Write several buffers: they share records."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Close once all is sent, and the peer has been told (asyncio.BaseTransport.close)."""
        super().close()
        if self._ssl_protocol is None:
            # Closed again, and asyncio's lets go of the connection: so does this.
            self.__dict__.pop("write", None)

    def _test__append_write_backlog(self, data: bytes) -> None:
        # CPython's tests of its SSLProtocol call it.
        self._ssl_protocol._queue(data)


class TlsProtocol(_asioloop.TlsProtocol, _Protocol):  # type: ignore[misc]
    """TLS on one side of a stream transport, or on one side of another TLS connection."""

    _app_transport: SslTransport | None = None
    _app_transport_created = False

    # Of what is defined twice, the native part decides when, and asyncio's acts.
    _tell_app = _Protocol._control_app_writing
    _tell_transport = _Protocol._control_ssl_reading

    def __init__(self, loop: Loop, *args: Any, **options: Any) -> None:
        # What SSLProtocol reads into: we have the loop's buffer, and get_buffer() makes one if it is asked.
        self.max_size = 0
        super().__init__(loop, *args, **options)
        del self.max_size
        # An SSLObject only calls the C object that it holds; one of a class of the program's may do more.
        native = type(self._sslobj) is ssl.SSLObject
        self._bind(
            loop,
            self._incoming,
            self._outgoing,
            self._sslobj._sslobj if native else self._sslobj,
            sslproto.SSLAgainErrors,
            native,
        )

    def _get_app_transport(self) -> SslTransport:
        if self._app_transport is None:
            if self._app_transport_created:
                raise RuntimeError("Creating _SSLProtocolTransport twice")
            self._app_transport = SslTransport(self._loop, self)
            self._app_transport_created = True
        return self._app_transport

    def _set_app_protocol(self, app_protocol: asyncio.BaseProtocol) -> None:
        super()._set_app_protocol(app_protocol)
        self._set_core_protocol(app_protocol, self._app_protocol_is_buffer)

    def _set_state(self, new_state: sslproto.SSLProtocolState) -> None:
        super()._set_state(new_state)
        self._core_state = _NUMBERS[new_state]

    def _set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        super()._set_write_buffer_limits(high, low)
        self._limits_changed()

    def _set_read_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        super()._set_read_buffer_limits(high, low)
        self._limits_changed()

    def _limits_changed(self) -> None:
        names = ("_incoming_high_water", "_incoming_low_water", "_outgoing_high_water", "_outgoing_low_water")
        self._set_core_limits(*(self.__dict__.get(name, 0) for name in names))

    # --- the life of the connection, as far as the native part must know of it ---------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The transport below is there: the handshake begins."""
        self._attach(transport)
        super().connection_made(transport)

    def buffer_updated(self, nbytes: int) -> None:
        """Something has come by another transport than ours: TLS inside of TLS."""
        self._unseen()
        super().buffer_updated(nbytes)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone, and all that was to be sent."""
        self._drop_queued()
        super().connection_lost(exc)
        self._attach(None)
        self._set_core_protocol(None, False)

    def _advance(self) -> None:
        """Something has come while no data is expected."""
        if self._state is _State.DO_HANDSHAKE:
            self._do_handshake()
        elif self._state is _State.FLUSHING:
            self._do_flush()
        elif self._state is _State.SHUTDOWN:
            self._do_shutdown()

    def _do_flush(self) -> None:
        self._do_read()
        self._do_write()
        # What has read may have ended it all.
        if self._state is _State.FLUSHING:
            self._set_state(_State.SHUTDOWN)
            self._do_shutdown()

    def _start_shutdown(self) -> None:
        if self._loop._is_parents:
            # A forked child: the peer must not be told, as the parent's connection goes on.
            if self._transport is not None:
                self._transport.abort()
        else:
            super()._start_shutdown()

    def _abort(self, *exc: Any) -> None:
        # What was written inside data_received() is sent at the end of it; abort() forgets it no more than elsewhere.
        if not self._loop._is_parents:
            self._process_outgoing()
        super()._abort(*exc)

    def _warn_lost_write(self) -> None:
        logger.warning("SSL connection is closed")


class TlsMethods:
    """What the loop has for TLS."""

    def _make_ssl_transport(
        self: Any,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        **timeouts: Any,
    ) -> asyncio.Transport:
        self._ensure_fd_no_transport(rawsock)
        tls = TlsProtocol(self, protocol, sslcontext, waiter, server_side, server_hostname, **timeouts)
        StreamTransport(self, rawsock, tls, extra=extra, server=server)
        return tls._get_app_transport()

    async def start_tls(
        self: Any,
        transport: Any,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport | None:
        """Upgrade a connection to TLS; the protocol goes on with the transport that this returns."""
        timeouts = {
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        ours = isinstance(transport, StreamTransport | SslTransport)
        if not ours or ssl is None or not isinstance(sslcontext, ssl.SSLContext):
            # A transport of somebody else's, or a refusal.
            asyncios: asyncio.Transport | None = await super().start_tls(  # type: ignore[misc]
                transport,
                protocol,
                sslcontext,
                server_side=server_side,
                server_hostname=server_hostname,
                **timeouts,
            )
            return asyncios
        waiter = self.create_future()
        tls = TlsProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            call_connection_made=False,
            **timeouts,
        )
        # Nothing may arrive before the handshake has begun.
        transport.pause_reading()
        transport.set_protocol(tls)
        begin = self.call_soon(tls.connection_made, transport)
        resume = self.call_soon(transport.resume_reading)
        try:
            await waiter
        except BaseException:
            transport.close()
            begin.cancel()
            resume.cancel()
            raise
        return tls._app_transport
