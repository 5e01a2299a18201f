"""What becomes of loops in a forked child: they refuse, and leave their parent's descriptors alone.

That no loop is running in a child is asyncio's own doing.
"""

from __future__ import annotations

import os
import signal
import sys
import weakref
from collections.abc import Callable
from typing import Any

import _asioloop

_loops: weakref.WeakSet[ForkMethods] = weakref.WeakSet()


class ForkMethods(_asioloop.LoopCore):
    """Part of Loop."""

    _check_closed: Callable[[], None]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        _loops.add(self)


def _in_child() -> None:
    loops = list(_loops)
    for loop in loops:
        loop._forked()
        # asyncio's methods ask this one. Only here: it would cost the parent a call for each task.
        loop._check_closed = loop._check_open
    if loops and sys.version_info < (3, 12):
        # As asyncio does it from 3.12 on: the child's signals would wake the parent.
        signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_in_child)
