"""What `./bench.sh loop` does with its flags, and with its result."""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.harness.servers import Places
from bench.loop.loops import LOOPS
from bench.loop.result import LoopResult
from bench.loop.run import PROFILES, LoopProfile, LoopRun, LoopsWanted
from bench.report import loop_html, loop_text


def wanted_of(options: argparse.Namespace) -> tuple[LoopProfile, LoopsWanted]:
    """How long to look, and at what; asyncio takes part in everything, as what others are compared with."""
    profile = PROFILES["quick" if options.quick else "full"]
    if options.rounds is not None:
        profile = replace(profile, rounds=options.rounds)
    if options.duration is not None:
        profile = replace(profile, seconds=options.duration)
    loops = tuple(key for key in LOOPS if key in options.loops or key == "asyncio")
    return profile, LoopsWanted(options.rows, loops, options.connections)


def new_result(profile: LoopProfile, wanted: LoopsWanted, facts: dict[str, Any]) -> LoopResult:
    """A result without rows."""
    parameters = {**asdict(profile), **asdict(wanted)}
    return LoopResult(parameters=parameters, **facts)


def measure(
    profile: LoopProfile,
    wanted: LoopsWanted,
    places: Places,
    cores: tuple[int, int] | None,
    result: LoopResult,
) -> None:
    """Fills the result."""
    LoopRun(wanted, profile, places, cores, result).run()


def finish(result: LoopResult, path: Path, page: Path) -> int:
    """Writes and prints everything. A refused row is a failure, and so is one that asyncio's loop or ours cannot do:
    theirs is no answer to expect."""
    result.save(path)
    page.write_text(loop_html.render(result))
    print(loop_text.render(result))
    print(f"\nresult: {path}\nreport: {page}")
    bad = [
        f"{row.loop}, {row.workload}"
        for row in result.rows
        if row.refused or (row.unsupported and not LOOPS[row.loop].is_peer)
    ]
    if bad:
        print(f"bench.sh: {len(bad)} rows have no figures: {'; '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0
