"""The result file: every round of every row, and what it was measured with. All pages are made from it
alone."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.harness.errors import BenchError
from bench.harness.stats import Interval, median, median_interval, paired_differences, paired_ratios

FORMAT = 1
BUSY_LOAD = 0.9
NOISY = 0.05


@dataclass
class Round:
    """One turn of one row."""

    number: int
    cpu_us: float
    """Server CPU time per request: all threads, all children."""
    rate: float
    """Requests per second under the light load."""
    requests: int
    load_busy: float
    voluntary: float
    """Context switches per request that a thread made by waiting."""
    involuntary: float
    other_busy: float
    """CPU time of everything else on the machine, in cores: whatever is not the server, the load or
    asleep."""
    threads_ended: int = 0
    counters: dict[str, float] | None = None
    """The runner's counters, per request."""
    wrk_rate: float | None = None
    wrk_p50_us: float | None = None
    wrk_p99_us: float | None = None
    wrk_load_busy: float | None = None


@dataclass
class Row:
    """A server under one load."""

    section: str
    group: int
    server: str
    title: str
    kind: str
    handler: str
    connections: int
    depth: int
    pinned: bool
    rounds: list[Round] = field(default_factory=list)
    system_calls: dict[str, float] | None = None
    refused: str | None = None
    """Why there are no figures: wrong answers, socket errors, a server that did not start."""


@dataclass
class IdleRow:
    """A server that holds idle connections."""

    server: str
    title: str
    wanted: int
    held: int = 0
    kib_each: float = 0.0
    rate_before: float = 0.0
    rate_while: float = 0.0
    cpu_us_before: float = 0.0
    cpu_us_while: float = 0.0
    refused: str | None = None


@dataclass
class WakeUpRow:
    """A server without connections."""

    server: str
    title: str
    seconds: float
    count: int


@dataclass
class Facts:
    """What every result begins with: of what it is, and what it was taken with."""

    name: str
    target: str
    started: str
    parameters: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    commit: str
    dirty: bool
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    format: int = FORMAT

    def save(self, path: Path) -> None:
        """Writes the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


@dataclass
class Result(Facts):
    """One run of the bench of servers."""

    rows: list[Row] = field(default_factory=list)
    idle: list[IdleRow] = field(default_factory=list)
    wake_ups: list[WakeUpRow] = field(default_factory=list)

    def control_of(self, row: Row) -> Row | None:
        """The floor that took turns with this row."""
        same = (r for r in self.rows if r.group == row.group and r.server == "floor")
        return next(same, None)

    def find(self, server: str, handler: str, section: str = "handlers") -> Row | None:
        """A row with figures."""
        found = (
            r
            for r in self.rows
            if (r.server, r.handler, r.section) == (server, handler, section) and r.rounds and not r.refused
        )
        return next(found, None)


def read(path: Path) -> dict[str, Any]:
    """What a file holds, of either bench; `target` says which."""
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        if data["format"] != FORMAT:
            raise BenchError(f"{path} has format {data['format']}, this bench reads {FORMAT}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path} is not a result of the bench: {error}") from error
    return data


def load(path: Path) -> Result:
    """Reads the file."""
    try:
        data = read(path)
        data["rows"] = [
            Row(**{**row, "rounds": [Round(**one) for one in row["rounds"]]}) for row in data["rows"]
        ]
        data["idle"] = [IdleRow(**row) for row in data["idle"]]
        data["wake_ups"] = [WakeUpRow(**row) for row in data["wake_ups"]]
        return Result(**data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path} is not a result of the bench: {error}") from error


@dataclass(frozen=True)
class Summary:
    """The figures of a row, as the tables have them."""

    cpu_us: float
    rate: float
    rate_low: float
    rate_high: float
    by_wrk: bool
    """False: the row had no turn of wrk, and its rate is the light load's."""
    p50_us: float | None
    p99_us: float | None
    of_floor: float | None
    """The floor's CPU time by this row's: 1 would be no cost of its own at all."""
    above_floor_us: float | None
    above_floor: Interval | None
    counters: dict[str, float]
    """The runner's, per request."""
    switches: float
    load_busy: float
    """Of the run that gave the rate."""
    light_load_busy: float
    other_busy: float

    @property
    def load_was_limit(self) -> bool:
        """The load's core was nearly full, so the server could have served more than `rate`."""
        return self.load_busy > BUSY_LOAD

    @property
    def noisy(self) -> bool:
        """Other programs took part of the machine."""
        return self.other_busy > NOISY


def _counters(row: Row) -> dict[str, float]:
    rounds = [r.counters for r in row.rounds if r.counters]
    return {
        name: median([one[name] for one in rounds if name in one]) for name in (rounds[0] if rounds else {})
    }


def summarise(row: Row, control: Row | None) -> Summary | None:
    """None for a row without figures."""
    if row.refused or not row.rounds:
        return None
    by_wrk = [r for r in row.rounds if r.wrk_rate is not None]
    rates = [r.wrk_rate for r in by_wrk if r.wrk_rate is not None] or [r.rate for r in row.rounds]
    p50 = [r.wrk_p50_us for r in by_wrk if r.wrk_p50_us is not None]
    p99 = [r.wrk_p99_us for r in by_wrk if r.wrk_p99_us is not None]
    busy = [r.wrk_load_busy for r in by_wrk if r.wrk_load_busy is not None] or [
        r.load_busy for r in row.rounds
    ]
    differences: list[float] = []
    ratios: list[float] = []
    if control is not None and control is not row and not control.refused:
        floor = {r.number: r.cpu_us for r in control.rounds}
        mine = [r.cpu_us for r in row.rounds]
        partners = [floor.get(r.number) for r in row.rounds]
        differences = paired_differences(mine, partners)
        ratios = paired_ratios(mine, partners)
    return Summary(
        cpu_us=median([r.cpu_us for r in row.rounds]),
        rate=median(rates),
        rate_low=min(rates),
        rate_high=max(rates),
        by_wrk=bool(by_wrk),
        p50_us=median(p50) if p50 else None,
        p99_us=median(p99) if p99 else None,
        of_floor=median(ratios) if ratios else None,
        above_floor_us=median(differences) if differences else None,
        above_floor=median_interval(differences) if differences else None,
        counters=_counters(row),
        switches=median([r.voluntary + r.involuntary for r in row.rounds]),
        load_busy=median(busy),
        light_load_busy=median([r.load_busy for r in row.rounds]),
        other_busy=median([r.other_busy for r in row.rounds]),
    )
