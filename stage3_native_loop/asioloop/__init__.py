"""asioloop: an asyncio event loop on Asio.

    import asioloop
    asioloop.run(main())

The loop is also what the stage-3 server runs its handlers on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from ._build import VERSION as __version__  # first: it says so when module and package do not belong together
from ._loop import Loop
from ._metrics import LoopMetrics, SystemCalls

if TYPE_CHECKING:
    from ._policy import EventLoopPolicy, install

__all__ = [
    "EventLoopPolicy",
    "Loop",
    "LoopMetrics",
    "SystemCalls",
    "__version__",
    "get_include",
    "install",
    "new_event_loop",
    "run",
]

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
    from pathlib import Path  # for who asks: it takes milliseconds to import

    return str(Path(__file__).with_name("include"))


def __getattr__(name: str) -> Any:
    # Policies are on their way out (deprecated in 3.14): only who asks for one makes the class.
    if name in ("EventLoopPolicy", "install"):
        from . import _policy

        return getattr(_policy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
