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


def pytest_configure(config: pytest.Config) -> None:
    """What tests say about the oracle."""
    config.addinivalue_line(
        "markers",
        "asyncio_since(version): older asyncio has a bug there, and is no oracle; asioloop is asked all the same",
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """For builds with sanitizers, where asyncio's own loop shows nothing of ours and takes half of the time."""
    parser.addoption("--no-oracle", action="store_true", help="on asioloop alone, not on asyncio's own loop")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out asyncio where it is no oracle (Debian 12 has CPython 3.11.2), or not asked for."""
    never = config.getoption("no_oracle")
    out = [item for item in items if _is_on_asyncio(item) and (never or _is_no_oracle(item))]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def _is_on_asyncio(item: pytest.Item) -> bool:
    return (
        isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "asyncio" in item.callspec.params.values()
    )


def _is_no_oracle(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("asyncio_since")
    return mark is not None and sys.version_info[:3] < mark.args[0]


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
