"""The loops that every program runs on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

from processes import ROOT

sys.path.insert(0, os.environ.get("ASIOSERVE_EXT_DIR", str(ROOT / "build" / "release" / "ext")))

import asioloop

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "asioloop": asioloop.new_event_loop,
}
"""asyncio's own is the oracle."""
