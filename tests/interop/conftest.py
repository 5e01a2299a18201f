"""The tests run in loop_python, which has the loop, cpp_awaitables and bridge_probe built in."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from typing import Any

import asioloop
import pytest


@pytest.fixture
def unexpected() -> list[dict[str, Any]]:
    """What the loop's exception handler was told; a test empties it of what it expects."""
    return []


@pytest.fixture
def runner(unexpected: list[dict[str, Any]]) -> Iterator[asyncio.Runner]:
    """An asyncio.Runner on asioloop. An exception that nobody handled fails the test, and so does a leak."""
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))
    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as r:
        r.get_loop().set_exception_handler(lambda _loop, context: unexpected.append(context))
        yield r
    gc.collect()
    assert not unexpected, unexpected
    assert len(os.listdir("/proc/self/fd")) <= len(before), "file descriptors leaked"
