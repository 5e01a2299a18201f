"""What a probe is: a question about a loop, and a small program that answers it.

python probes.py LOOP NAME answers one, in a process of its own: a loop may crash or hang.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOPS: dict[str, tuple[str, str]] = {
    "asyncio": ("asyncio", "SelectorEventLoop"),
    "asioloop": ("asioloop", "new_event_loop"),
    "uvloop": ("uvloop", "new_event_loop"),
}

Factory = Callable[[], asyncio.AbstractEventLoop]
Program = Callable[[], Coroutine[Any, Any, str | bool]] | Callable[[Factory], str | bool]


@dataclass(frozen=True)
class Probe:
    """A question whose answer is yes, no, or a few words."""

    name: str
    question: str
    since: tuple[int, int]
    program: Program


PROBES: dict[str, Probe] = {}
"""In the order of the table."""


def probe(question: str, since: tuple[int, int] = (3, 11)) -> Callable[[Program], Program]:
    """Makes a probe of a coroutine function, or of a function that takes the loop's factory.

    `since` is the Python that has what it asks for.
    """

    def add(program: Program) -> Program:
        name = program.__name__
        PROBES[name] = Probe(name, question, since, program)
        return program

    return add


def asked() -> list[str]:
    """The probes that this Python can answer."""
    return [p.name for p in PROBES.values() if p.since <= sys.version_info[:2]]


def factory(loop: str) -> Factory:
    module, name = LOOPS[loop]
    made: Factory = getattr(importlib.import_module(module), name)
    return made


def answer(loop: str, name: str) -> str:
    """In this process. What is refused is a no, with the kind of error."""
    chosen, new = PROBES[name].program, factory(loop)
    try:
        if inspect.iscoroutinefunction(chosen):
            with asyncio.Runner(loop_factory=new) as runner:
                runner.get_loop().set_exception_handler(lambda _loop, _context: None)
                found = runner.run(asyncio.wait_for(chosen(), 20))
        else:
            found = chosen(new)  # type: ignore[call-arg]
    except (Exception, KeyboardInterrupt) as error:
        return f"no: {type(error).__name__}"
    assert not inspect.isawaitable(found)
    return {True: "yes", False: "no"}[found] if isinstance(found, bool) else str(found)


def ask(loop: str, name: str, environment: Mapping[str, str], python: str = sys.executable) -> str:
    """In a process of its own."""
    done = subprocess.run(
        [python, "-W", "ignore", str(Path(__file__).with_name("probes.py")), loop, name],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode < 0:
        return "no: it crashes"
    if done.returncode or not done.stdout:
        raise RuntimeError(f"{loop}, {name}: {done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


def main(arguments: list[str]) -> None:
    """Prints the answer."""
    warnings.simplefilter("ignore")
    print(answer(*arguments), flush=True)
