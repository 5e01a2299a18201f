"""The command line of bench.sh, behind what the shell does first."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from bench.harness import machine
from bench.harness.errors import BenchError
from bench.harness.handlers import HANDLERS
from bench.harness.plan import PROFILES, SECTIONS, TARGETS, Profile, Wanted, sections_of, servers_of
from bench.harness.result import Facts, Result
from bench.harness.run import Run, with_changes
from bench.harness.servers import PEERS, Places
from bench.loop import cli as loop_cli
from bench.loop.loops import LOOPS
from bench.loop.rows import WORKLOADS
from bench.report import html, text

ROOT = Path(__file__).resolve().parents[2]
LOOP = "loop"
"""The target that has rows and a result of its own: bench/loop."""

DESCRIPTION = """\
Measures the servers, pinned to a core of their own, in rounds that take turns, and says how fast each is and
why.

  stage1, stage2, stage3   that stage, the one before it, the floor and the fake runner; under two minutes
  all                      all stages and their ablations, the floor, the fake, the sweep, idle connections
  floor                    the controls alone: no Python
  peers                    stage 3 among other people's servers, from PyPI, each at its best, one worker
  loop                     the event loop by itself, among asyncio's own and those from PyPI
"""


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(value: str) -> float:
    number = float(value.removesuffix("s"))
    if not 0 < number <= 600:
        raise argparse.ArgumentTypeError("must be above 0 and at most 600 seconds")
    return number


def _names(known: Sequence[str]) -> "type[argparse.Action]":
    class Names(argparse.Action):
        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: object,
            option_string: str | None = None,
        ) -> None:
            chosen = tuple(name for name in str(values).split(",") if name)
            for name in chosen:
                if name not in known:
                    parser.error(f"{option_string}: nothing is called {name!r}: {', '.join(known)}")
            setattr(namespace, self.dest, chosen)

    return Names


def parser() -> argparse.ArgumentParser:
    """All flags."""
    cli = argparse.ArgumentParser(
        prog="./bench.sh", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cli.add_argument("target", choices=(*TARGETS, LOOP), metavar="|".join((*TARGETS, LOOP)))
    cli.add_argument(
        "--python",
        metavar="P",
        help="the Python to build for [the active virtual environment, PATH's python3]",
    )
    cli.add_argument("--connections", type=_positive, default=64, metavar="N", help="open connections [64]")
    cli.add_argument("--rounds", type=_positive, metavar="N", help="rounds; intervals need 6 [9]")
    cli.add_argument("--duration", type=_seconds, metavar="S", help="seconds of each load in each round")
    cli.add_argument(
        "--handlers",
        action=_names(tuple(HANDLERS)),
        default=tuple(HANDLERS),
        metavar="A,B",
        help=f"only these of {','.join(HANDLERS)}",
    )
    cli.add_argument(
        "--sections",
        action=_names(SECTIONS),
        metavar="A,B",
        help=f"only these of {','.join(SECTIONS)}",
    )
    cli.add_argument(
        "--loops",
        action=_names(tuple(LOOPS)),
        default=tuple(LOOPS),
        metavar="A,B",
        help="with loop: only these",
    )
    cli.add_argument(
        "--rows",
        action=_names(tuple(WORKLOADS)),
        default=tuple(WORKLOADS),
        metavar="A,B",
        help="with loop: only these; a wrong name lists them",
    )
    cli.add_argument("--ablations", action="store_true", help="with stageN: also N with a part taken away")
    cli.add_argument("--idle", type=int, metavar="N", help="idle connections to hold; 0: none [10000]")
    cli.add_argument(
        "--quick", action="store_true", help="few and short rounds: to see that all works, not how fast"
    )
    cli.add_argument("--name", help="name of the result [TARGET-PYTHON]")
    cli.add_argument("--output", type=Path, metavar="FILE", help="the result [bench/results/NAME.json]")
    cli.add_argument("--html", type=Path, metavar="FILE", help="the report [beside the result]")
    cli.add_argument("--build-dir", type=Path, help=argparse.SUPPRESS)
    cli.add_argument("--only-check", action="store_true", help=argparse.SUPPRESS)
    cli.add_argument("--peers-dir", type=Path, help=argparse.SUPPRESS)
    cli.add_argument("--loops-dir", type=Path, help=argparse.SUPPRESS)
    return cli


def profile_of(options: argparse.Namespace) -> Profile:
    """How long to look."""
    if options.quick:
        profile = PROFILES["quick"]
    else:
        profile = PROFILES["stage" if options.target.startswith("stage") else "full"]
    every = 1 if options.rounds is not None and options.rounds < profile.wrk_every else None
    return with_changes(profile, options.rounds, options.duration, options.idle, every)


def _end_on_sigterm(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _places(options: argparse.Namespace) -> Places:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    build = options.build_dir or ROOT / "build" / f"release-{version}"
    kind = "loops" if options.target == LOOP else "peers"
    peers = (options.loops_dir if options.target == LOOP else options.peers_dir) or (
        ROOT / "build" / f"venv-{kind}-{version}"
    )
    return Places(ROOT, build.resolve(), peers.resolve())


def _facts(options: argparse.Namespace, places: Places, uses_peers: bool) -> dict[str, Any]:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    commit, dirty = machine.commit(ROOT)
    return {
        "name": options.name or f"{options.target}-{version}" + ("-quick" if options.quick else ""),
        "target": options.target,
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": machine.describe(),
        "versions": machine.versions(places.build, places.peers if uses_peers else None),
        "commit": commit,
        "dirty": dirty,
    }


def _cores(result: Facts) -> tuple[int, int] | None:
    cores = machine.choose_cores()
    if cores is None:
        result.notes.append("Only one core: server and load share it, and the figures say little.")
    elif result.machine["shares_a_core"]:
        result.notes.append("Server and load run on two threads of one core, and slow each other down.")
    return cores


def _measure_servers(options: argparse.Namespace) -> int:
    profile = profile_of(options)
    wanted = Wanted(
        target=options.target,
        handlers=options.handlers,
        sections=options.sections,
        connections=options.connections,
        python=sys.version_info[:2],
        ablations=options.ablations,
    )
    parameters = {
        **asdict(profile),
        "connections": wanted.connections,
        "handlers": wanted.handlers,
        "sections": sections_of(wanted),
    }
    places = _places(options)
    uses_peers = bool(set(servers_of(wanted)) & set(PEERS))
    result = Result(parameters=parameters, **_facts(options, places, uses_peers))
    Run(wanted, profile, places, _cores(result), result).run()
    return finish(result, options.output, options.html)


def _measure_loops(options: argparse.Namespace) -> int:
    profile, wanted = loop_cli.wanted_of(options)
    places = _places(options)
    result = loop_cli.new_result(profile, wanted, _facts(options, places, uses_peers=False))
    loop_cli.measure(profile, wanted, places, _cores(result), result)
    return loop_cli.finish(result, *_paths(result, options.output, options.html))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 when something was refused or went wrong, 2 for a wrong flag, 130 for
    Ctrl-C."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end_on_sigterm)
    try:
        if options.only_check:
            print(options.target)
            return 0
        return _measure_loops(options) if options.target == LOOP else _measure_servers(options)
    except BenchError as error:
        print(f"bench.sh: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench.sh: interrupted; nothing was written", file=sys.stderr)
        return 130


def finish(result: Result, path: Path | None, page: Path | None) -> int:
    """Writes and prints everything; a refused row makes it a failure."""
    path, page = _paths(result, path, page)
    result.save(path)
    page.write_text(html.render(result))
    print(text.render(result))
    print(f"\nresult: {_shown(path)}\nreport: {_shown(page)}")
    refused = [row.title for row in result.rows if row.refused]
    refused += [row.title for row in result.idle if row.refused]
    if refused:
        print(
            f"bench.sh: {len(refused)} rows were refused: {', '.join(sorted(set(refused)))}", file=sys.stderr
        )
    return 1 if refused else 0


def _paths(result: Facts, path: Path | None, page: Path | None) -> tuple[Path, Path]:
    path = path or ROOT / "bench" / "results" / f"{result.name}.json"
    return path, page or path.with_suffix(".html")


def _shown(path: Path) -> str:
    return os.path.relpath(path, Path.cwd()) if path.is_relative_to(Path.cwd()) else str(path)
