"""The result of the loops' bench: every round of every row, and the summaries that its pages are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.harness.errors import BenchError
from bench.harness.result import BUSY_LOAD, NOISY, Facts, read
from bench.harness.stats import Interval, median, median_interval, paired_ratios
from bench.loop.loops import OURS


@dataclass
class LoopRound:
    """One turn of one loop at one workload."""

    number: int
    rate: float
    """Operations, or bytes, per second."""
    cpu_us: float | None = None
    """CPU time of the measured process and its children per operation; None: the bench did not look (uvicorn)."""
    load_busy: float | None = None
    """The part of a core that the load needed; None: the workload runs inside."""
    other_busy: float = 0.0
    """CPU time of everything else on the machine, in cores."""
    kib_each: float | None = None
    """What an idle connection weighs in the process."""


@dataclass
class LoopRow:
    """One loop at one workload."""

    workload: str
    loop: str
    rounds: list[LoopRound] = field(default_factory=list)
    system_calls: dict[str, float] | None = None
    """Per operation, by name."""
    unsupported: str | None = None
    """The error by which the loop says that it cannot do this."""
    refused: str | None = None
    """Why there are no figures although the loop did not say so: wrong bytes, no answer, a crash."""


@dataclass
class LoopResult(Facts):
    """One run."""

    rows: list[LoopRow] = field(default_factory=list)

    def of(self, workload: str) -> list[LoopRow]:
        """The loops' rows of one workload."""
        return [row for row in self.rows if row.workload == workload]

    def workloads(self) -> list[str]:
        """All that were measured, in order."""
        return list(dict.fromkeys(row.workload for row in self.rows))

    def loops(self) -> list[str]:
        """All that were measured, in order."""
        return list(dict.fromkeys(row.loop for row in self.rows))


def load(path: Path) -> LoopResult:
    """Reads the file."""
    data = read(path)
    try:
        data["rows"] = [
            LoopRow(**{**row, "rounds": [LoopRound(**one) for one in row["rounds"]]}) for row in data["rows"]
        ]
        return LoopResult(**data)
    except (KeyError, TypeError) as error:
        raise BenchError(f"{path} is not a result of the loops' bench: {error}") from error


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as another loop, over the rounds that both have."""

    median: float
    interval: Interval | None


@dataclass(frozen=True)
class LoopSummary:
    """The figures of a row, as the tables have them."""

    rate: float
    rate_low: float
    rate_high: float
    cpu_us: float | None
    load_busy: float | None
    other_busy: float
    kib_each: float | None
    ratios: dict[str, Ratio]
    """By the loop compared with."""

    @property
    def load_was_limit(self) -> bool:
        """The load's core was nearly full, so the loop could have done more."""
        return self.load_busy is not None and self.load_busy > BUSY_LOAD

    @property
    def noisy(self) -> bool:
        """Other programs took part of the machine."""
        return self.other_busy > NOISY


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def compare(row: LoopRow, control: LoopRow) -> Ratio | None:
    """None when they have no round in common."""
    theirs = {one.number: one.rate for one in control.rounds}
    ratios = paired_ratios([theirs.get(one.number) for one in row.rounds], [one.rate for one in row.rounds])
    return Ratio(median(ratios), median_interval(ratios)) if ratios else None


def summarise(result: LoopResult, row: LoopRow, controls: Sequence[str]) -> LoopSummary | None:
    """None for a row without figures."""
    if not row.rounds or row.refused or row.unsupported:
        return None
    others = [other for other in result.of(row.workload) if other.loop in controls and other.loop != row.loop]
    compared = {other.loop: compare(row, other) for other in others if not other.refused}
    ratios = {loop: ratio for loop, ratio in compared.items() if ratio is not None}
    rates = [one.rate for one in row.rounds]
    return LoopSummary(
        rate=median(rates),
        rate_low=min(rates),
        rate_high=max(rates),
        cpu_us=_median([one.cpu_us for one in row.rounds]),
        load_busy=_median([one.load_busy for one in row.rounds]),
        other_busy=median([one.other_busy for one in row.rounds]),
        kib_each=_median([one.kib_each for one in row.rounds]),
        ratios=ratios,
    )


@dataclass(frozen=True)
class Lost:
    """A workload at which another loop is faster than ours."""

    workload: str
    winner: str
    ratio: Ratio
    """Ours to the winner's: below 1, nearly always."""

    @property
    def may_be_chance(self) -> bool:
        """The interval of the ratio has 1 in it."""
        interval = self.ratio.interval
        return interval is not None and interval.low <= 1 <= interval.high


def standing(result: LoopResult) -> tuple[int, list[Lost]]:
    """At how many workloads ours was measured, and those at which it was not the first."""
    measured, lost = 0, []
    for workload in result.workloads():
        summaries = {row.loop: summarise(result, row, ()) for row in result.of(workload)}
        rates = {key: summary.rate for key, summary in summaries.items() if summary is not None}
        if OURS not in rates:
            continue
        measured += 1
        winner = max(rates, key=lambda key: rates[key])
        if winner != OURS:
            rows = {row.loop: row for row in result.of(workload)}
            if (ratio := compare(rows[OURS], rows[winner])) is not None:
                lost.append(Lost(workload, winner, ratio))
    return measured, lost
