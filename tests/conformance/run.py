#!/usr/bin/env python3
"""CPython's own asyncio tests on asioloop: one process a module, a table, and checks that it is all of them.

    ASIOSERVE_EXT_DIR=build/release-3.13/ext python tests/conformance/run.py [MODULE...]

The tests are those of the interpreter that runs this (its Lib/test/test_asyncio). What fails is tried on asyncio's own
loop too: a test that fails there as well tells about the machine, not about the loop, and is shown as such.
exclusions.toml has what is left out and why; expected.json how many tests must run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import selection
from child import Outcome, environment, run_module
from selection import Selection


def problems(outcome: Outcome, chosen: Selection) -> Iterator[str]:
    """What is wrong with a module's run; nothing for a good one."""
    for name, detail in outcome.failed.items():
        yield f"{name} failed:\n{detail}"
    for name in sorted(chosen.excluded(outcome.module) - set(outcome.names)):
        yield f"{name} is excluded and does not exist: take it out of {selection.EXCLUSIONS.name}"
    known = chosen.expected.get(outcome.module)
    if known is None:
        yield f"{outcome.module} has no numbers in {selection.EXPECTED.name}: run with --record"
    elif (
        outcome.ran + len(outcome.failed_on_asyncio) < known["tests"]
    ):  # these are the machine's (no /etc/services)
        yield f"{outcome.module} ran {outcome.ran} tests of at least {known['tests']}"
    elif outcome.loops < known["loops"]:
        yield f"{outcome.module} made {outcome.loops} loops under test of at least {known['loops']}"


HEAD = ("module", "run", "failed", "skipped", "excluded", "asyncio too", "loops", "seconds")


def row(outcome: Outcome, chosen: Selection) -> tuple[object, ...]:
    """A line of the table."""
    return (
        outcome.module,
        outcome.ran,
        len(outcome.failed),
        outcome.skipped,
        len(chosen.excluded(outcome.module)),
        len(outcome.failed_on_asyncio),
        outcome.loops,
        f"{outcome.seconds:.1f}",
    )


def table(rows: Sequence[tuple[object, ...]]) -> str:
    """Lines of a table for a terminal, with sums."""
    total = ("all", *(sum(int(str(r[i])) for r in rows) for i in range(1, 7)), "")
    lines = [HEAD, *rows, total]
    widths = [max(len(str(line[i])) for line in lines) for i in range(len(HEAD))]
    return "\n".join(
        f"{line[0]!s:<{widths[0]}}  "
        + "  ".join(f"{c!s:>{w}}" for c, w in zip(line[1:], widths[1:], strict=True))
        for line in lines
    )


def run(chosen: Selection, modules: Sequence[str], loop: str, jobs: int) -> list[Outcome]:
    """All modules, the slowest first."""

    def one(module: str) -> Outcome:
        outcome = run_module(module, loop, chosen.excluded(module))
        if loop == "asioloop" and outcome.failed:
            again = run_module(module, "asyncio", frozenset(), only=frozenset(outcome.failed))
            outcome.excuse(again)
        return outcome

    slowest_first = sorted(modules, key=lambda m: -chosen.expected.get(m, {}).get("tests", 0))
    with ThreadPoolExecutor(jobs) as pool:
        return sorted(pool.map(one, slowest_first), key=lambda o: o.module)


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="CPython's own asyncio tests on asioloop")
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="test_streams, say; all of them by default"
    )
    parser.add_argument("--loop", choices=("asioloop", "asyncio"), default="asioloop")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", action="store_true", help="write down how many tests ran")
    options = parser.parse_args(arguments)
    chosen = selection.load()
    version = sys.version.split()[0]
    missing = selection.missing_testsuite()
    if missing:
        print(f"error: {missing}")
        return 2
    if options.loop == "asioloop":
        said = subprocess.run(
            [sys.executable, "-c", "import asioloop"],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode:
            print(
                f"error: asioloop cannot be imported (ASIOSERVE_EXT_DIR is its folder): {said.stderr[-1000:]}"
            )
            return 2
    since = time.monotonic()
    outcomes = run(chosen, options.modules or chosen.modules(), options.loop, options.jobs)
    print(table([row(o, chosen) for o in outcomes]))
    for outcome in outcomes:
        for name in outcome.failed_on_asyncio:
            print(f"not counted, asyncio's own loop fails too: {name}")
    if options.record:
        selection.record({o.module: {"tests": o.ran, "loops": o.loops} for o in outcomes})
        chosen = selection.load()
    wrong = [problem for o in outcomes for problem in problems(o, chosen)]
    for problem in wrong:
        print(problem)
    ran = sum(o.ran for o in outcomes)
    failed = sum(len(o.failed) for o in outcomes)
    took = time.monotonic() - since
    verdict = f"{failed} failed, {ran - failed} passed" if wrong else f"{ran} passed"
    print(f"== {verdict} of CPython {version}'s test_asyncio on {options.loop} in {took:.0f} s ==")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
