"""Debug mode: what the core asks Python for when it is on."""

from __future__ import annotations

import sys
from asyncio import base_events, constants
from collections.abc import Callable
from traceback import FrameSummary, StackSummary
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class DebugMethods:
    """Checks, and reports of what is slow."""

    __slots__ = ()

    def _debug_check(self: Any, callback: Callable[..., object], method: str, check_thread: bool) -> None:
        if check_thread:
            self._check_thread()
        if method in ("call_later", "call_at"):
            method = "call_at"
        self._check_callback(callback, method)

    def _source_traceback(self) -> StackSummary:
        """Where a handle is made, as asyncio keeps it, but without a look at each source file on the disk: the lines are
        read when somebody prints them. That look is most of what debug mode costs in asyncio."""
        found: list[FrameSummary] = []
        frame = sys._getframe(1)
        while frame is not None and len(found) < constants.DEBUG_STACK_DEPTH:
            code = frame.f_code
            found.append(FrameSummary(code.co_filename, frame.f_lineno, code.co_name, lookup_line=False))
            frame = frame.f_back  # type: ignore[assignment]
        found.reverse()
        return StackSummary(found)

    def _report_slow(self, handle: asyncio.Handle, seconds: float) -> None:
        text = base_events._format_handle(handle)  # type: ignore[attr-defined]
        # By its name: CPython's tests put another logger there.
        base_events.logger.warning("Executing %s took %.3f seconds", text, seconds)  # type: ignore[attr-defined]

    def _report_slow_iteration(self, callbacks: int, seconds: float) -> None:
        text = "Executing %d callbacks of one iteration took %.3f seconds, none of them was slow by itself"
        base_events.logger.warning(text, callbacks, seconds)  # type: ignore[attr-defined]
