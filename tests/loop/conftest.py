"""Every test runs on asyncio's own loop, the oracle, and on asioloop's."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, os.environ.get("ASIOSERVE_EXT_DIR", str(ROOT / "build" / "release" / "ext")))

import asioloop  # noqa: E402

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "asioloop": asioloop.new_event_loop,
}


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes the loop under test, for who closes it alone."""
    return FACTORIES[request.param]


@pytest.fixture(params=FACTORIES)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """An asyncio.Runner on the loop under test. An exception that nobody handled fails the test, and so does a leak."""
    before = set(os.listdir("/proc/self/fd"))
    unexpected: list[dict[str, object]] = []
    with asyncio.Runner(loop_factory=FACTORIES[request.param]) as r:
        r.get_loop().set_exception_handler(lambda _loop, context: unexpected.append(context))
        yield r
    assert not unexpected, unexpected
    assert len(os.listdir("/proc/self/fd")) <= len(before), "file descriptors leaked"
