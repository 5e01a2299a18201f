"""loop.metrics(): what the loop has done, in numbers that are always counted."""

from __future__ import annotations

from typing import Any, NamedTuple


class SystemCalls(NamedTuple):
    """System calls by kind: those that the loop makes itself, not those of asyncio's code that runs on it."""

    waits: int = 0
    """Looks at the reactor, an epoll_wait each, and at Unix streams, a poll for all."""
    reads: int = 0
    """Receives of its transports: streams, datagrams, pipes."""
    writes: int = 0
    """Sends of its transports; several datagrams at once are one."""
    accepts: int = 0
    """Connections that a server has taken."""
    wake_ups: int = 0
    """Of a blocked loop, by another thread."""


class LoopMetrics(NamedTuple):
    """Totals since the loop was made. The difference of two is what happened between them: `later - earlier`."""

    turns: int
    """Iterations of the loop."""
    callbacks: int
    """Callbacks run; packets of streams are counted too."""
    ready: int
    """How many callbacks are due now."""
    most_ready: int
    """The most that were due at the beginning of a turn, ever: no total."""
    lag: tuple[int, ...]
    """How late timers ran: how many less than 1 microsecond, less than 2, 4, 8, ...; the last bucket has all the rest."""
    running_seconds: float
    """Inside run_forever() and its relatives."""
    waiting_seconds: float
    """Of it, blocked because there was nothing to do."""
    gil_waits: int
    """Times that the loop has taken the GIL back after it was blocked."""
    gil_waiting_seconds: float
    """How long that took."""
    system_calls: SystemCalls

    @property
    def busy_ratio(self) -> float:
        """Which part of the running time the loop was not blocked: 0 is idle, 1 is saturated. 0 if it has not run."""
        if self.running_seconds <= 0:
            return 0.0
        return min(1.0, max(0.0, 1 - self.waiting_seconds / self.running_seconds))

    def __sub__(self, earlier: LoopMetrics) -> LoopMetrics:
        """What has happened since; `ready` and `most_ready` are this one's."""
        return LoopMetrics(
            self.turns - earlier.turns,
            self.callbacks - earlier.callbacks,
            self.ready,
            self.most_ready,
            tuple(now - then for now, then in zip(self.lag, earlier.lag, strict=True)),
            self.running_seconds - earlier.running_seconds,
            self.waiting_seconds - earlier.waiting_seconds,
            self.gil_waits - earlier.gil_waits,
            self.gil_waiting_seconds - earlier.gil_waiting_seconds,
            SystemCalls(
                *(now - then for now, then in zip(self.system_calls, earlier.system_calls, strict=True))
            ),
        )


class MetricsMethods:
    """What the loop has of it."""

    __slots__ = ()

    def metrics(self: Any) -> LoopMetrics:
        """What the loop has done so far. From any thread."""
        turns, callbacks, ready, most_ready, lag, running, waiting, taken, taking, calls = self._metrics()
        return LoopMetrics(
            turns,
            callbacks,
            ready,
            most_ready,
            lag,
            running * 1e-9,
            waiting * 1e-9,
            taken,
            taking * 1e-9,
            SystemCalls(*calls),
        )
