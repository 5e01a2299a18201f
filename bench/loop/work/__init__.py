"""What the loops are made to do. Each module is one idea, and uses nothing but what asyncio promises.

A workload that runs inside is a coroutine function that returns a Batch; one that serves returns its Address. Both are
given the Site. What a loop refuses to do is an exception, and marks its row as not supported.
"""

from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

Batch = Callable[[], Awaitable[int]]
"""Does some of the work, and says how many operations (or bytes) that was."""


@dataclass(frozen=True)
class Address:
    """Where a workload that serves is to be loaded."""

    port: int = 0
    path: str = ""


@dataclass(frozen=True)
class Site:
    """What a workload may use."""

    loop: AbstractEventLoop
    folder: Path
    """For the run: the certificate is in it, and Unix sockets go there."""
    other_core: int | None = None
    """The one that the measured process is not pinned to."""
