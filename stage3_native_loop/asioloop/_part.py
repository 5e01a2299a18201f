"""What the parts of the loop's class know of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    import _asioloop

    class LoopPart(_asioloop.LoopCore, asyncio.SelectorEventLoop):  # type: ignore[misc]
        """A class that Loop derives from: it is never used by itself, and has at run time what Loop has."""
else:
    LoopPart = object
