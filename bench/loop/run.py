"""One run of the loops' bench, from looking for the loops to the result."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.harness.errors import BenchError, RefusedError
from bench.harness.idle import allow_descriptors
from bench.harness.plan import Cell, Group, turns
from bench.harness.progress import Progress
from bench.harness.servers import Places
from bench.loop.child import Site, UnsupportedError
from bench.loop.loops import LOOPS, find_loops
from bench.loop.measure import Measuring
from bench.loop.result import LoopResult, LoopRow
from bench.loop.rows import WORKLOADS

# Starting Python, importing, warming up.
_TURN_COST = 0.5


@dataclass(frozen=True)
class LoopProfile:
    """How long to look."""

    rounds: int = 7
    seconds: float = 0.5
    traced_seconds: float = 0.3


PROFILES: Mapping[str, LoopProfile] = {
    "full": LoopProfile(),
    "quick": LoopProfile(rounds=2, seconds=0.1, traced_seconds=0.1),
}


@dataclass(frozen=True)
class LoopsWanted:
    """What the command line asked for."""

    workloads: tuple[str, ...] = tuple(WORKLOADS)
    loops: tuple[str, ...] = tuple(LOOPS)
    connections: int = 64


def make_certificate(folder: Path) -> None:
    """A certificate for the TLS rows, that nobody checks: with an elliptic curve, as most have today."""
    line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    line += ["-days", "2", "-subj", "/CN=localhost"]
    line += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        raise BenchError(f"openssl, which makes the certificate, does not run: {error}") from error
    if done.returncode:
        raise BenchError(f"openssl made no certificate: {done.stderr.strip()[-300:]}")


class LoopRun:
    """The state of a run; `result` grows as it goes on."""

    def __init__(
        self,
        wanted: LoopsWanted,
        profile: LoopProfile,
        places: Places,
        cores: tuple[int, int] | None,
        result: LoopResult,
    ) -> None:
        self._wanted = wanted
        self._profile = profile
        self._places = places
        self._cores = cores
        self._result = result
        self._echo_load = places.build / "bin" / "echo_load"
        self._rows: dict[tuple[str, str], LoopRow] = {}

    def run(self) -> None:
        """Fills the result."""
        begin = time.monotonic()
        if not self._echo_load.exists():
            raise BenchError("echo_load is not built")
        allow_descriptors(max((WORKLOADS[key].idle for key in self._wanted.workloads), default=0))
        with tempfile.TemporaryDirectory(prefix="asioserve-bench-") as folder:
            site = Site(
                python=self._places.peers / "bin" / "python",
                root=self._places.root,
                modules=(self._places.build / "ext", self._places.root),
                folder=Path(folder),
                cores=self._cores,
            )
            loads = [WORKLOADS[key].load for key in self._wanted.workloads]
            if any(load is not None and load.transport == "tls" for load in loads):
                make_certificate(site.folder)
            loops = self._look_for_loops(site)
            measuring = Measuring(
                site, self._places, self._echo_load, self._wanted.connections, self._profile.seconds
            )
            self._measure(measuring, loops)
        self._result.seconds = round(time.monotonic() - begin, 1)

    def _look_for_loops(self, site: Site) -> Sequence[str]:
        found = find_loops(site.python, site.environment(), self._wanted.loops)
        for key, version in found.versions.items():
            if version:  # asyncio is CPython's and asioloop this commit's
                self._result.versions[f"loop {key}"] = version
        for key, why in found.missing.items():
            self._result.notes.append(f"{key} is not there for this Python: {why}")
        return tuple(found.versions)

    def _measure(self, measuring: Measuring, loops: Sequence[str]) -> None:
        groups = [
            Group("loop", tuple(Cell(loop, key) for loop in loops), self._profile.rounds)
            for key in self._wanted.workloads
        ]
        for cell in (cell for group in groups for cell in group.cells):
            row = LoopRow(workload=cell.handler, loop=cell.server)
            self._rows[cell.handler, cell.server] = row
            self._result.rows.append(row)
        every = list(turns(groups, wrk_every=1))
        traced = list(self._traced())
        turn_seconds = self._profile.seconds + _TURN_COST
        traced_seconds = self._profile.traced_seconds + _TURN_COST
        progress = Progress(len(every) * turn_seconds + len(traced) * traced_seconds)
        try:
            for turn in every:
                cell = groups[turn.group].cells[turn.cell]
                row = self._rows[cell.handler, cell.server]
                progress.step(f"round {turn.round + 1}: {row.loop}, {row.workload}", turn_seconds)
                self._take(measuring, row, turn.round, progress)
            for row in traced:
                progress.step(f"system calls: {row.loop}, {row.workload}", traced_seconds)
                self._trace(measuring, row)
        finally:
            progress.end()

    def _take(self, measuring: Measuring, row: LoopRow, number: int, progress: Progress) -> None:
        if row.unsupported or row.refused:
            return
        try:
            row.rounds.append(measuring.measure(row.loop, WORKLOADS[row.workload], number))
        except UnsupportedError as error:
            row.unsupported = str(error)
            progress.say(f"{row.loop} cannot do {row.workload}: {error}")
        except RefusedError as error:
            row.refused = str(error)
            progress.say(f"REFUSED {row.loop}, {row.workload}: {error}")

    def _traced(self) -> Iterator[LoopRow]:
        return (row for row in self._result.rows if WORKLOADS[row.workload].traced)

    def _trace(self, measuring: Measuring, row: LoopRow) -> None:
        if row.unsupported or row.refused:
            return
        try:
            row.system_calls = measuring.system_calls(
                row.loop, WORKLOADS[row.workload], self._profile.traced_seconds
            )
        except (RefusedError, UnsupportedError) as error:
            row.refused = f"under strace: {error}"
