"""The event loops that take turns, and which of them this machine's environment has."""

import importlib
import json
import subprocess
import sys
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from bench.harness.errors import BenchError


@dataclass(frozen=True)
class Loop:
    """One event loop."""

    key: str
    factory: str
    """`module:function`, as uvicorn's --loop takes it; its module is the package's name too."""
    colour: str
    """A CSS class of the report."""
    is_peer: bool = True
    """It comes from PyPI, and may be missing for a version of Python."""

    @property
    def module(self) -> str:
        return self.factory.partition(":")[0]


_ALL = (
    Loop("asyncio", "asyncio:new_event_loop", "floor", is_peer=False),
    Loop("asioloop", "asioloop:new_event_loop", "s3", is_peer=False),
    Loop("uvloop", "uvloop:new_event_loop", "s2"),
    Loop("rloop", "rloop:new_event_loop", "s1"),
    Loop("zloop", "zloop:new_event_loop", "peer"),
    Loop("zuvloop", "zuvloop:new_event_loop", "fake"),
)
LOOPS: Mapping[str, Loop] = {loop.key: loop for loop in _ALL}
OURS = "asioloop"
CONTROLS = ("asyncio", "uvloop")
"""What each loop is compared with, round by round."""


def make_loop(key: str) -> AbstractEventLoop:
    """A new loop, as its package's own documentation makes one."""
    module, _, function = LOOPS[key].factory.partition(":")
    loop: AbstractEventLoop = getattr(importlib.import_module(module), function)()
    return loop


def _try(key: str) -> dict[str, str]:
    """What the process that find_loops() starts says about one loop."""
    try:
        make_loop(key).close()
        version = metadata.version(LOOPS[key].module) if LOOPS[key].is_peer else ""
    except Exception as error:
        return {"missing": f"{type(error).__name__}: {error}"}
    return {"version": version}


@dataclass(frozen=True)
class Found:
    """Which loops can be measured, and why the others cannot."""

    versions: Mapping[str, str]
    missing: Mapping[str, str]


def find_loops(python: Path, environment: Mapping[str, str], wanted: tuple[str, ...]) -> Found:
    """Asks the interpreter that will run them. asyncio and our own have to be there."""
    line = [str(python), "-m", "bench.loop.loops", *wanted]
    try:
        done = subprocess.run(
            line, env=dict(environment), capture_output=True, text=True, timeout=60, check=False
        )
        said: dict[str, dict[str, str]] = json.loads(done.stdout or "null") or {}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{python} does not run: {error}") from error
    if not said:
        raise BenchError(f"{python} could not look for loops: {done.stderr.strip()[-500:]}")
    missing = {key: one["missing"] for key, one in said.items() if "missing" in one}
    for key, why in missing.items():
        if not LOOPS[key].is_peer:
            raise BenchError(f"{key} cannot be imported: {why}: is asioloop_module built?")
    return Found({key: one["version"] for key, one in said.items() if "version" in one}, missing)


if __name__ == "__main__":
    print(json.dumps({key: _try(key) for key in sys.argv[1:]}))
