"""asioloop: an asyncio event loop on Asio.

    import asioloop
    asioloop.run(main())

The loop is also what the stage-3 server runs its handlers on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from ._loop import Loop

__all__ = ["Loop", "get_include", "new_event_loop", "run"]

_T = TypeVar("_T")


def new_event_loop() -> Loop:
    """Make a loop of its own, not the current one yet (asyncio.new_event_loop)."""
    return Loop()


def run(main: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T:
    """Run a coroutine to its end on a new loop, as asyncio.run() does."""
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)


def get_include() -> str:
    """The folder of asioloop.h, for extension modules that use the loop."""
    return str(Path(__file__).with_name("include"))
