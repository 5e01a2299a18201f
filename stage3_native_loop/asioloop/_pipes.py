"""Pipe transports: what runs once per pipe, or when something fails. What a read pipe does per packet is native
(_asioloop.PipeReader); a write pipe is asyncio's own, on the loop's watched descriptors.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import warnings
from asyncio import futures
from asyncio.log import logger
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import _asioloop

from ._part import LoopPart

if TYPE_CHECKING:
    from ._loop import Loop


def _is_a_pipe(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


class ReadPipeTransport(asyncio.ReadTransport):
    """The reading end of a pipe, a FIFO, a socket or a terminal.

    Threads: the loop's, as for every transport.
    """

    _pipe: Any = None

    def __init__(
        self,
        loop: Loop,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(extra)
        self._extra["pipe"] = pipe  # type: ignore[attr-defined]
        self._fileno: int = pipe.fileno()
        self._loop: Any = loop
        if not _is_a_pipe(self._fileno):
            raise ValueError("Pipe transport is for pipes/sockets only.")
        os.set_blocking(self._fileno, False)
        self._pipe = pipe
        self._protocol: Any = protocol
        self._closing = self._paused = False
        self._reader = _asioloop.PipeReader(loop, self._fileno)
        self._reader.set_protocol(protocol)
        # In this order: nothing is read before connection_made(), and nobody is told of it before that.
        loop.call_soon(protocol.connection_made, self)
        loop.call_soon(self._start_reading)
        if waiter is not None:
            loop.call_soon(futures._set_result_unless_cancelled, waiter, None)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._pipe is None:
            info.append("closed")
        elif self._closing:
            info.append("closing")
        info.append(f"fd={self._fileno}")
        if self._pipe is None:
            info.append("closed")
        elif self._loop.is_closed():
            info.append("open")
        else:
            info.append("polling" if self._reader.reading else "idle")
        return f"<{' '.join(info)}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if self._pipe is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._pipe.close()

    # --- what a program calls -----------------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        """True while it is neither paused nor closing."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """No data_received() until resume_reading()."""
        if self.is_reading():
            self._paused = True
            self._reader.pause()
            self._log_debug("pauses reading")

    def resume_reading(self) -> None:
        """Read again."""
        if self._paused and not self._closing:
            self._paused = False
            self._reader.start(self)
            self._log_debug("resumes reading")

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another protocol from now on."""
        self._protocol = protocol
        self._reader.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The current protocol."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        """True once it closes or is closed."""
        return self._closing

    def close(self) -> None:
        """Read no more; connection_lost(None) in the next turn."""
        if not self._closing:
            self._close(None)

    # --- what the reader tells ----------------------------------------------------------------------------------------

    def _at_eof(self) -> None:
        if self._loop.get_debug():
            logger.info("%r was closed by peer", self)
        self._closing = True
        self._loop.call_soon(self._protocol.eof_received)
        self._loop.call_soon(self._call_connection_lost, None)

    def _read_failed(self, exc: OSError) -> None:
        message = "Fatal read error on pipe transport"
        # Of a terminal it says that the other end has gone.
        if exc.errno == errno.EIO:
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=exc)
        else:
            self._loop.call_exception_handler(
                {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
            )
        self._close(exc)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _start_reading(self) -> None:
        if self.is_reading():
            self._reader.start(self)

    def _read_ready(self) -> None:
        """What asyncio's reports say that it called; reads, as when something has arrived."""
        self._reader.read_now()

    def _close(self, exc: BaseException | None) -> None:
        self._closing = True
        self._reader.pause()
        self._loop.call_soon(self._call_connection_lost, exc)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._reader.stop()
            self._pipe.close()
            self._pipe = self._protocol = self._loop = None

    def _log_debug(self, what: str) -> None:
        if self._loop.get_debug():
            logger.debug("%r %s", self, what)


class Pipes(LoopPart):
    """What a loop does for connect_read_pipe() and connect_write_pipe(), whose front asyncio has."""

    def _make_read_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> ReadPipeTransport:
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)  # type: ignore[arg-type]
