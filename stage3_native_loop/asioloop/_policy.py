"""For programs that choose their loop by a policy: asyncio.run() without a loop_factory, older libraries, test plugins."""

from __future__ import annotations

import asyncio
import sys
import warnings
from asyncio import events, unix_events

from ._loop import Loop


class EventLoopPolicy(unix_events._UnixDefaultEventLoopPolicy):
    """asyncio's default policy, but its loops are asioloop's. What asyncio does with child watchers stays as it is."""

    _loop_factory = Loop


def install() -> None:
    """Make every loop that asyncio makes from now on one of asioloop's (asyncio.set_event_loop_policy).

    Deprecated from Python 3.14 on, which deprecates policies: use asioloop.run() or a loop_factory.
    """
    if sys.version_info >= (3, 14):
        warnings.warn(
            "asioloop.install() sets an event loop policy, which Python 3.14 deprecates: "
            "use asioloop.run() or asyncio.run(main(), loop_factory=asioloop.new_event_loop)",
            DeprecationWarning,
            stacklevel=2,
        )
        events._set_event_loop_policy(EventLoopPolicy())
    else:
        asyncio.set_event_loop_policy(EventLoopPolicy())
