"""How endpoints and exception handlers are called where native code leaves it to Python."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any


async def sync_pool(endpoint: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    """Runs a ``def`` endpoint in the loop's default executor, in a copy of this context."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(None, _run, context, endpoint, kwargs)


def _run(context: contextvars.Context, endpoint: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    try:
        return context.run(endpoint, **kwargs)
    except StopIteration as stop:
        # A future cannot carry it: on 3.11 whoever awaits would wait forever.
        raise RuntimeError(f"{getattr(endpoint, '__qualname__', endpoint)} raised StopIteration") from stop


def without_loop(function: Callable[..., Any], *args: Any) -> Any:
    """Calls ``function`` on this thread as if no loop were running, in a context of its own."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return contextvars.copy_context().run(function, *args)
    finally:
        asyncio._set_running_loop(running)
