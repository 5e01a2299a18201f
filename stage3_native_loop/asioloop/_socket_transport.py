"""What the transports over sockets have in common: how they show themselves, and what they tell when something fails."""

from __future__ import annotations

from asyncio.log import logger
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    class _Native(asyncio.WriteTransport):
        """What the native part has of each kind."""

        def __getattr__(self, name: str) -> Any: ...

else:
    _Native = object


class SocketTransport(_Native):
    """Part of StreamTransport and DatagramTransport.

    Threads: the loop's, as for every transport.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if not self._is_open:
            info.append("closed")
        elif self.is_closing():
            info.append("closing")
        info.append(f"fd={self._sock_fd}")
        if self._loop is not None and not self._loop.is_closed():
            info.append("read=polling" if self._reads else "read=idle")
            state = "polling" if self._writes else "idle"
            info.append(f"write=<{state}, bufsize={self.get_write_buffer_size()}>")
        return f"<{' '.join(info)}>"

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks: above high the protocol is told to pause, down at low to resume."""
        if high is None:
            high = 64 * 1024 if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._set_limits(high, low)

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
