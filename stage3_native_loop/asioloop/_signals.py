"""Signals: what ends a blocking wait, and how a signal comes to its handler.

The interpreter's C handler writes a byte to a wake-up descriptor. That ends a blocking wait and does no more: nobody looks
at the bytes. The Python handler, which the main thread then runs, tells the loop. So no kind of signal is ever lost,
however many come while nobody reads, and each finds its own loop where several have handlers.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import os
import signal
import threading
import weakref
from asyncio import coroutines, events, unix_events
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._part import LoopPart

if TYPE_CHECKING:
    from types import FrameType

    from ._loop import Loop

# 3.14 deprecates the public one, and goes on asking this question.
_is_coroutine_function: Callable[[object], bool] = getattr(
    coroutines, "_iscoroutinefunction", None
) or getattr(coroutines, "iscoroutinefunction")  # noqa: B009

# A storm queues no more of one kind than asyncio's wake-up descriptor holds, about.
_MANY = 256


class _Arrival:
    """The Python handler of a signal: tells the loop, which it does not keep alive."""

    def __init__(self, loop: Loop) -> None:
        self._loop = weakref.ref(loop)
        self._process = os.getpid()

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        loop = self._loop()
        # In a forked child the loop is still the parent's.
        if loop is not None and os.getpid() == self._process:
            loop._signal_came(signum)


class _Descriptor:
    """A wake-up descriptor of somebody else, to be given back if it still is what it was."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._identity = self._look()

    def _look(self) -> tuple[int, int] | None:
        try:
            status = os.fstat(self._fd)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def give_back(self) -> None:
        """Make it the wake-up descriptor again; none, if its number has gone to another file."""
        still = self._identity is not None and self._look() == self._identity
        signal.set_wakeup_fd(self._fd if still else -1)


class SignalMethods(LoopPart):
    """The signal methods of a loop.

    Threads: handlers are added and removed in the main thread, as CPython demands. They run on the loop's thread, which may
    be another one.
    """

    _signal_handlers: dict[int, asyncio.Handle]

    def __init__(self, *args: Any) -> None:
        self._signals_due: collections.deque[int] = collections.deque()
        self._signals_scheduled = False
        self._wakeup_before: _Descriptor | None = None
        self._has_wakeup = False
        super().__init__(*args)

    # --- the wake-up descriptor: whoever runs in the main thread has it ------------------------------------------------

    def _watch_signals(self) -> None:
        """Let signals end a blocking wait of this run; without it, Ctrl-C would be seen only after the next event."""
        if threading.current_thread() is not threading.main_thread():
            return
        # ValueError: the main thread of a sub-interpreter; signals are the main interpreter's.
        with contextlib.suppress(ValueError):
            self._remember(signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False))
            self._has_wakeup = True

    def _unwatch_signals(self) -> None:
        # As asyncio, with handlers the loop keeps the descriptor also while it does not run.
        if self._has_wakeup and not self._signal_handlers:
            self._give_wakeup_back()
        self._has_wakeup = False

    def _remember(self, before: object) -> None:
        # CPython's tests put a mock in the place of module signal.
        if isinstance(before, int) and before not in (-1, self._csock.fileno()):
            self._wakeup_before = _Descriptor(before)

    def _give_wakeup_back(self) -> None:
        before, self._wakeup_before = self._wakeup_before, None
        if before is not None:
            before.give_back()
        else:
            signal.set_wakeup_fd(-1)

    @staticmethod
    def _wake_the_one_that_runs() -> None:
        running = events._get_running_loop()
        if isinstance(running, SignalMethods) and running._has_wakeup:
            signal.set_wakeup_fd(running._csock.fileno(), warn_on_full_buffer=False)

    # --- handlers -----------------------------------------------------------------------------------------------------

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        """Call back in the loop when a signal comes (asyncio.loop.add_signal_handler)."""
        if coroutines.iscoroutine(callback) or _is_coroutine_function(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        self._check_signal(sig)
        self._check_closed()
        # By asyncio's name for it, here and below: CPython's tests put a mock there.
        module: Any = unix_events.signal  # type: ignore[attr-defined]
        # Nobody looks at the bytes, so that a storm may find no room for them: no reason to write that to stderr, not for
        # a moment either.
        quietly = {"warn_on_full_buffer": False} if module is signal else {}
        try:
            self._remember(module.set_wakeup_fd(self._csock.fileno(), **quietly))
        except (ValueError, OSError) as exc:
            raise RuntimeError(str(exc)) from exc
        self._signal_handlers[sig] = asyncio.Handle(callback, args, self, None)
        try:
            module.signal(sig, _Arrival(self))  # type: ignore[arg-type]
            module.siginterrupt(sig, False)  # fewer EINTR
        except OSError as exc:
            del self._signal_handlers[sig]
            if not self._signal_handlers:
                with contextlib.suppress(ValueError, OSError):
                    module.set_wakeup_fd(-1)
            if exc.errno == errno.EINVAL:
                raise RuntimeError(f"sig {sig} cannot be caught") from exc
            raise
        finally:
            self._wake_the_one_that_runs()

    def remove_signal_handler(self, sig: int) -> bool:
        """Take a handler away; whether there was one (asyncio.loop.remove_signal_handler)."""
        removed = super().remove_signal_handler(sig)
        if removed and not self._signal_handlers:
            if self._wakeup_before is not None and not self._has_wakeup:
                self._give_wakeup_back()
            self._wake_the_one_that_runs()
        return removed

    def close(self) -> None:
        """Remove the handlers while the wake-up descriptor is still open: a signal may come at any time."""
        try:
            if not unix_events.sys.is_finalizing():  # type: ignore[attr-defined]
                for sig in list(self._signal_handlers):
                    self.remove_signal_handler(sig)
        finally:
            super().close()

    # --- a signal -----------------------------------------------------------------------------------------------------

    def _signal_came(self, signum: int) -> None:
        """In the main thread, between any two steps of its program; another signal may come between two of these."""
        due = self._signals_due
        if self.is_closed() or (len(due) >= _MANY and signum in due):
            return
        due.append(signum)
        if not self._signals_scheduled:
            self._signals_scheduled = True
            self.call_soon_threadsafe(self._deliver_signals)

    def _deliver_signals(self) -> None:
        self._signals_scheduled = False  # first: what comes now is either seen below or scheduled anew
        while self._signals_due:
            self._handle_signal(self._signals_due.popleft())

    def _process_self_data(self, data: bytes) -> None:
        """The bytes have done their work: the loop is awake."""
