"""What test_asyncio.py expects is what asyncio.run gives: the same handlers, run without any server of ours."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections import Counter
from typing import Any

import pytest
import tasks
from asioserve import App
from test_asyncio import SEEN


def endpoint(path: str) -> tuple[Any, dict[str, Any]]:
    """The handler of a path, and its arguments."""
    app = App()
    tasks.add(app, {}, Counter())
    for route in app._compile().routes:
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path), path)
        if found:
            return route.endpoint, {k: int(v) if v.isdigit() else v for k, v in found.groupdict().items()}
    raise AssertionError(f"no route for {path}")


@pytest.mark.parametrize("path", [path for path in SEEN if path != "/threads/pool"])
def test_asyncio_itself_shows_the_same(path: str) -> None:
    handler, arguments = endpoint(path)
    if inspect.iscoroutinefunction(handler):
        assert asyncio.run(handler(**arguments)) == SEEN[path]
    else:
        assert handler(**arguments) == SEEN[path]


@pytest.mark.parametrize("path", ["/cancel/escapes", "/cancel/raised", "/cancel/never-waits"])
def test_asyncio_itself_says_that_these_are_cancelled(path: str) -> None:
    handler, arguments = endpoint(path)

    async def outcome() -> bool:
        task = asyncio.create_task(handler(**arguments))
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(outcome())
