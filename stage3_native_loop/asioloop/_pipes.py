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


class _PipeTransport:
    """What the two ends have in common."""

    # _asioloop.PipeReader or PipeWriter.
    _end: Any
    _extra: dict[str, Any]
    _pipe: Any = None

    def _open(self, loop: Loop, pipe: Any, protocol: asyncio.BaseProtocol, refusal: str) -> int:
        """Of what kind it is, as os.stat() says it."""
        self._extra["pipe"] = pipe
        self._fileno: int = pipe.fileno()
        self._loop: Any = loop
        mode = os.fstat(self._fileno).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
            raise ValueError(refusal)
        os.set_blocking(self._fileno, False)
        self._pipe = pipe
        self._protocol: Any = protocol
        self._closing = False
        return mode

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
            info += self._state()
        return f"<{' '.join(info)}>"

    def _state(self) -> list[str]:
        """What repr() shows of an open one."""
        raise NotImplementedError

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if self._pipe is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._pipe.close()

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

    def _failed(self, exc: BaseException, message: str, *, expected: bool) -> None:
        if not expected:
            self._loop.call_exception_handler(
                {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
            )
        elif self._loop.get_debug():
            logger.debug("%r: %s", self, message, exc_info=exc)
        self._close(exc)

    def _close(self, exc: BaseException | None) -> None:
        self._closing = True
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        """In the next turn."""
        self._end.pause()
        # A forked child may close what it has inherited; there is no turn to come.
        if not self._loop._is_parents:
            self._loop.call_soon(self._call_connection_lost, exc)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._end.stop()
            self._pipe.close()
            self._pipe = self._protocol = self._loop = None


class ReadPipeTransport(_PipeTransport, asyncio.ReadTransport):
    """The reading end of a pipe, a FIFO, a socket or a terminal.

    Threads: the loop's, as for every transport.
    """

    _paused = False

    def __init__(
        self,
        loop: Loop,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(extra)
        self._open(loop, pipe, protocol, "Pipe transport is for pipes/sockets only.")
        self._end = _asioloop.PipeReader(loop, self._fileno)
        self._end.set_protocol(protocol)
        # In this order: nothing is read before connection_made(), and nobody is told of it before that.
        loop.call_soon(protocol.connection_made, self)
        loop.call_soon(self._start_reading)
        if waiter is not None:
            loop.call_soon(futures._set_result_unless_cancelled, waiter, None)  # type: ignore[attr-defined]

    def _state(self) -> list[str]:
        return ["polling" if self._end.reading else "idle"]

    # --- what a program calls -----------------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        """True while it is neither paused nor closing."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """No data_received() until resume_reading()."""
        if self.is_reading():
            self._paused = True
            self._end.pause()
            self._log_debug("pauses reading")

    def resume_reading(self) -> None:
        """Read again."""
        if self._paused and not self._closing:
            self._paused = False
            self._end.start(self)
            self._log_debug("resumes reading")

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another protocol from now on."""
        super().set_protocol(protocol)
        self._end.set_protocol(protocol)

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
        # Of a terminal EIO says that the other end has gone.
        self._failed(exc, "Fatal read error on pipe transport", expected=exc.errno == errno.EIO)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _start_reading(self) -> None:
        if self.is_reading():
            self._end.start(self)

    def _read_ready(self) -> None:
        """What asyncio's reports say that it called; reads, as when something has arrived."""
        self._end.read_now()

    def _log_debug(self, what: str) -> None:
        if self._loop.get_debug():
            logger.debug("%r %s", self, what)


class WritePipeTransport(_PipeTransport, _FlowControl, asyncio.WriteTransport):
    """The writing end of a pipe, a FIFO, a socket or a terminal.

    Threads: the loop's, as for every transport.
    """

    _lost = False
    _lost_writes = 0

    def __init__(
        self,
        loop: Loop,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(extra, loop)
        mode = self._open(
            loop, pipe, protocol, "Pipe transport is only for pipes, sockets and character devices"
        )
        self._end = _asioloop.PipeWriter(loop, self._fileno)
        loop.call_soon(protocol.connection_made, self)
        if not stat.S_ISCHR(mode):
            loop.call_soon(self._watch_for_the_end, stat.S_ISSOCK(mode))
        if waiter is not None:
            loop.call_soon(futures._set_result_unless_cancelled, waiter, None)  # type: ignore[attr-defined]

    def _state(self) -> list[str]:
        return ["polling" if self._end.size else "idle", f"bufsize={self._end.size}"]

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
            waiting = self._end.write(data, self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._write_failed(exc)
            return
        if waiting:
            self._maybe_pause_protocol()

    def get_write_buffer_size(self) -> int:
        """Bytes that are not written yet."""
        size: int = self._end.size
        return size

    def can_write_eof(self) -> bool:
        """True: write_eof() works."""
        return True

    def write_eof(self) -> None:
        """Close once all is written."""
        if self._closing:
            return
        self._closing = True
        if not self._end.size:
            self._lose(None)

    def close(self) -> None:
        """Close once all is written."""
        if self._pipe is not None:
            self.write_eof()

    def abort(self) -> None:
        """Connection_lost(None) in the next turn; what is not written is lost."""
        self._close(None)

    # --- what the writer tells ----------------------------------------------------------------------------------------

    def _read_ready(self) -> None:
        """Whoever reads has gone."""
        if self._loop.get_debug():
            logger.info("%r was closed by peer", self)
        self._close(BrokenPipeError() if self._end.size else None)

    def _write_ready(self) -> None:
        """What asyncio's reports say that it called; writes, as when there is room."""
        self._end.write_now()

    def _all_written(self) -> None:
        self._maybe_resume_protocol()  # it may write more
        if self._closing and not self._lost:
            self._lost = True
            self._call_connection_lost(None)

    def _write_failed(self, exc: BaseException) -> None:
        self._lost_writes += 1
        self._failed(exc, "Fatal write error on pipe transport", expected=isinstance(exc, OSError))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _watch_for_the_end(self, socket: bool) -> None:
        if not self._lost:
            self._end.start(self, socket)

    def _lose(self, exc: BaseException | None) -> None:
        # Once: abort() may follow close().
        if not self._lost:
            self._lost = True
            super()._lose(exc)


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
