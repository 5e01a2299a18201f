"""How the figures of the loops' bench are written, and the tables that all of its pages share."""

from collections.abc import Sequence

from bench.loop.loops import CONTROLS, OURS
from bench.loop.result import LoopResult, LoopRow, LoopSummary, Ratio, standing, summarise
from bench.loop.rows import WORKLOADS, Workload
from bench.report import figures

GIB, MIB, KIB = 1024**3, 1024**2, 1024


def rate(value: float, workload: Workload) -> str:
    """Operations or bytes per second, with three digits that matter."""
    if workload.bytes_each:
        steps: Sequence[tuple[float, str]] = ((GIB, " GiB/s"), (MIB, " MiB/s"), (KIB, " KiB/s"))
    else:
        steps = ((1e6, " M/s"), (1e3, " k/s"), (1, " /s"))
    size, unit = next((step for step in steps if value >= step[0]), steps[-1])
    return f"{value / size:.3g}{unit}" if value / size < 1000 else f"{value / size:.0f}{unit}"


def ratio(one: Ratio | None) -> str:
    """With its interval, where there were rounds enough."""
    if one is None:
        return "–"
    text = f"{one.median:.2f}"
    return text if one.interval is None else f"{text} ({one.interval.low:.2f} … {one.interval.high:.2f})"


def marks(summary: LoopSummary) -> str:
    """`*`: the load was the limit. `~`: other programs were busy."""
    return ("*" if summary.load_was_limit else "") + ("~" if summary.noisy else "")


MARKS = {
    "*": "the load's core was over 90 % busy: the loop could have done more",
    "~": "other programs used more than 5 % of a core meanwhile",
}


def used_marks(result: LoopResult) -> list[str]:
    """Explains the marks that there are."""
    summaries = [summarise(result, row, ()) for row in result.rows]
    seen = {mark for one in summaries if one is not None for mark in marks(one)}
    return [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in seen]


def why_not(row: LoopRow) -> str:
    """What stands where a row has no figures; the class of an error, not its text."""
    if row.refused:
        return "REFUSED"
    if row.unsupported:
        return f"not supported ({row.unsupported.partition(':')[0]})"
    return "no rounds"


HEADINGS = (
    "loop",
    "rate",
    "min … max",
    "× asyncio (95 %)",
    "× uvloop (95 %)",
    "CPU µs",
    "system calls",
    "KiB each",
    "load",
)


def cells_of(result: LoopResult, row: LoopRow, summary: LoopSummary) -> list[str]:
    """A row of a workload's table."""
    workload = WORKLOADS[row.workload]
    calls = figures.per_request(sum(row.system_calls.values()) if row.system_calls else None)
    return [
        row.loop,
        rate(summary.rate, workload) + marks(summary),
        f"{rate(summary.rate_low, workload)} … {rate(summary.rate_high, workload)}",
        *("1" if row.loop == control else ratio(summary.ratios.get(control)) for control in CONTROLS),
        "–" if summary.cpu_us is None else f"{summary.cpu_us:.3g}",
        calls,
        "–" if summary.kib_each is None else f"{summary.kib_each:.2f}",
        "–" if summary.load_busy is None else f"{summary.load_busy:.0%}",
    ]


def table_of(result: LoopResult, workload: str) -> tuple[list[list[str]], list[str]]:
    """The lines of a workload's table, and in words what has no line there."""
    lines, without = [], []
    for row in result.of(workload):
        summary = summarise(result, row, CONTROLS)
        if summary is not None:
            lines.append(cells_of(result, row, summary))
        else:
            words = row.refused or row.unsupported or "no rounds"
            without.append(f"{row.loop}: {'REFUSED' if row.refused else 'not supported'}: {words}")
    return lines, without


def glance(result: LoopResult) -> list[tuple[Workload, list[str], int | None]]:
    """Of each workload, the loops' rates in a line, and which of them is the highest."""
    lines = []
    for key in result.workloads():
        by_loop = {row.loop: row for row in result.of(key)}
        cells: list[str] = []
        rates: dict[int, float] = {}
        for place, loop in enumerate(result.loops()):
            row = by_loop[loop]
            summary = summarise(result, row, ())
            cells.append(
                why_not(row) if summary is None else rate(summary.rate, WORKLOADS[key]) + marks(summary)
            )
            if summary is not None:
                rates[place] = summary.rate
        lines.append((WORKLOADS[key], cells, max(rates, key=lambda place: rates[place]) if rates else None))
    return lines


def conclusions(result: LoopResult) -> list[str]:
    """Where ours stands: what a reader wants to know first."""
    measured, lost = standing(result)
    if not measured:
        return []
    lines = [f"{OURS} is the first on {measured - len(lost)} of {measured} rows."]
    if lost:
        lines.append("Behind, as a part of the first one's rate:")
        for one in lost:
            level = ", which may be chance" if one.may_be_chance else ""
            lines.append(f"  {WORKLOADS[one.workload].title}: {ratio(one.ratio)} of {one.winner}{level}")
    return lines


LEGEND = (
    "rate: median of the rounds. ×: the median of the rounds' ratios with its 95 % interval, which needs 6 rounds. "
    "CPU µs: CPU time of the measured process and its children per operation, or per KiB where the rate is in bytes; "
    "it moves less than the rate does where other programs are busy. system calls: per operation, by strace in a run of "
    "its own. KiB each: what an idle connection weighs in the process. load: the part of a core that the load needed."
)
