"""What the bench asks of every stage: one handler for each kind of work."""

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from asioserve import App


def _example(name: str) -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


app = App()


@app.get("/sync")
def sync() -> dict[str, str]:
    """A plain function."""
    return {"hello": "world"}


@app.get("/async")
async def never_waits() -> dict[str, str]:
    """A coroutine that never waits."""
    return {"hello": "world"}


@app.get("/sleep0")
async def sleep0() -> dict[str, str]:
    """Once through the loop."""
    await asyncio.sleep(0)
    return {"hello": "world"}


async def _nothing() -> None:
    await asyncio.sleep(0)


@app.get("/gather")
async def gather() -> dict[str, str]:
    """Three tasks."""
    await asyncio.gather(_nothing(), _nothing(), _nothing())
    return {"hello": "world"}


@app.get("/sleep1ms")
async def sleep1ms() -> dict[str, str]:
    """A timer."""
    await asyncio.sleep(0.001)
    return {"hello": "world"}


@app.post("/json")
async def json(body: dict[str, Any]) -> dict[str, Any]:
    """JSON in and out."""
    return body


# The look-ups of /user/{id} are those of the example.
app.mount("", _example("user").app)
