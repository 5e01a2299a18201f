"""Pipe transports: what runs once per pipe, or when something fails.

What runs per packet is native (_asioloop.PipeReader, PipeWriter).
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import warnings
from asyncio import constants, futures, transports
from asyncio.log import logger
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import _asioloop

from ._part import LoopPart

if TYPE_CHECKING:
    from ._loop import Loop

    class _FlowControl(asyncio.WriteTransport):
        _extra: dict[str, Any]

        def __init__(self, extra: dict[str, Any] | None, loop: Loop) -> None: ...
        def _maybe_pause_protocol(self) -> None: ...
        def _maybe_resume_protocol(self) -> None: ...
else:
    _FlowControl = transports._FlowControlMixin


def _is_a_pipe(mode: int) -> bool:
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
        if not _is_a_pipe(os.fstat(self._fileno).st_mode):
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
        if (
            not self._loop._is_parents
        ):  # a forked child may close what it has inherited: there is no turn to come
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


class WritePipeTransport(_FlowControl, asyncio.WriteTransport):
    """The writing end of a pipe, a FIFO, a socket or a terminal.

    Threads: the loop's, as for every transport.
    """

    _loop: Any
    _pipe: Any = None

    def __init__(
        self,
        loop: Loop,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(extra, loop)
        self._extra["pipe"] = pipe
        self._fileno: int = pipe.fileno()
        mode = os.fstat(self._fileno).st_mode
        if not _is_a_pipe(mode):
            raise ValueError("Pipe transport is only for pipes, sockets and character devices")
        os.set_blocking(self._fileno, False)
        self._pipe = pipe
        self._protocol: Any = protocol
        self._closing = self._lost = False
        self._lost_writes = 0
        self._writer = _asioloop.PipeWriter(loop, self._fileno)
        loop.call_soon(protocol.connection_made, self)
        if not stat.S_ISCHR(mode):
            loop.call_soon(self._watch_for_the_end, stat.S_ISSOCK(mode))
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
            info.append("polling" if self._writer.size else "idle")
            info.append(f"bufsize={self._writer.size}")
        return f"<{' '.join(info)}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if self._pipe is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._pipe.close()

    # --- what a program calls -----------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Write data, or keep what cannot be written yet."""
        assert isinstance(data, (bytes, bytearray, memoryview)), repr(data)
        if not data:
            return
        if self._lost_writes or self._closing:
            if self._lost_writes >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")
            self._lost_writes += 1
            return
        try:
            waiting = self._writer.write(data, self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._write_failed(exc)
            return
        if waiting:
            self._maybe_pause_protocol()

    def get_write_buffer_size(self) -> int:
        """Bytes that are not written yet."""
        return self._writer.size

    def can_write_eof(self) -> bool:
        """True: write_eof() works."""
        return True

    def write_eof(self) -> None:
        """Close once all is written."""
        if self._closing:
            return
        self._closing = True
        if not self._writer.size:
            self._lose(None)

    def close(self) -> None:
        """Close once all is written."""
        if self._pipe is not None:
            self.write_eof()

    def abort(self) -> None:
        """Connection_lost(None) in the next turn; what is not written is lost."""
        self._close(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another protocol from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The current protocol."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        """True once it closes or is closed."""
        return self._closing

    # --- what the writer tells ----------------------------------------------------------------------------------------

    def _read_ready(self) -> None:
        """Whoever reads has gone."""
        if self._loop.get_debug():
            logger.info("%r was closed by peer", self)
        self._close(BrokenPipeError() if self._writer.size else None)

    def _write_ready(self) -> None:
        """What asyncio's reports say that it called; writes, as when there is room."""
        self._writer.write_now()

    def _all_written(self) -> None:
        self._maybe_resume_protocol()  # it may write more
        if self._closing and not self._lost:
            self._lost = True
            self._call_connection_lost(None)

    def _write_failed(self, exc: BaseException) -> None:
        self._lost_writes += 1
        message = "Fatal write error on pipe transport"
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=exc)
        else:
            self._loop.call_exception_handler(
                {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
            )
        self._close(exc)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _watch_for_the_end(self, socket: bool) -> None:
        if not self._lost:
            self._writer.start(self, socket)

    def _close(self, exc: BaseException | None) -> None:
        self._closing = True
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        """In the next turn, once: abort() may follow close()."""
        if not self._lost:
            self._lost = True
            self._writer.pause()
            if not self._loop._is_parents:  # as in ReadPipeTransport
                self._loop.call_soon(self._call_connection_lost, exc)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._writer.stop()
            self._pipe.close()
            self._pipe = self._protocol = self._loop = None


class PipeMethods(LoopPart):
    """What a loop does for connect_read_pipe() and connect_write_pipe(), whose front asyncio has."""

    def _make_read_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> ReadPipeTransport:
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)  # type: ignore[arg-type]

    def _make_write_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> WritePipeTransport:
        return WritePipeTransport(self, pipe, protocol, waiter, extra)  # type: ignore[arg-type]
