"""The table for the terminal, and what it says in words."""

from collections.abc import Sequence
from itertools import groupby

from bench.harness.handlers import HANDLERS
from bench.harness.plan import stage_before
from bench.harness.result import Facts, Result, Row, Summary, summarise
from bench.harness.servers import SERVERS
from bench.report import figures

SECTION_TITLES = {
    "handlers": "Handlers",
    "pipelined": "Pipelined",
    "unpinned": "Not pinned",
    "sweep": "Connections",
}
HEADINGS = (
    "server",
    "requests/s",
    "min … max",
    "p50",
    "p99",
    "CPU µs",
    "of floor",
    "µs above the floor (95 %)",
    "GIL",
    "hand-offs",
    "wake-ups",
    "tasks",
    "syscalls",
    "switches",
    "load",
)


def cells_of(row: Row, summary: Summary) -> list[str]:
    """A row of the table."""
    return [
        row.title,
        figures.rate(summary.rate) + figures.marks(summary),
        f"{figures.rate(summary.rate_low)} … {figures.rate(summary.rate_high)}",
        figures.micros(summary.p50_us),
        figures.micros(summary.p99_us),
        f"{summary.cpu_us:.2f}",
        "1" if row.server == "floor" else figures.ratio(summary.of_floor),
        "0" if row.server == "floor" else figures.above(summary),
        *(figures.counter(summary, name) for name in ("gil_acquisitions", "hand_offs", "wake_ups", "tasks")),
        figures.system_calls(row),
        figures.per_request(summary.switches),
        f"{summary.load_busy:.0%}",
    ]


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns; the first one to the left, figures to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _group_lines(result: Result, rows: Sequence[Row]) -> list[str]:
    table: list[Sequence[str]] = [HEADINGS]
    refused = []
    for row in rows:
        summary = summarise(row, result.control_of(row))
        if summary is None:
            refused.append(f"{row.title}: REFUSED: {row.refused or 'no rounds'}")
        else:
            table.append(cells_of(row, summary))
    return (aligned(table) if len(table) > 1 else []) + refused


def _idle_lines(result: Result) -> list[str]:
    lines = []
    good = [row for row in result.idle if not row.refused]
    if good:
        lines += ["", f"Idle connections ({good[0].wanted} wanted, each after one answer)"]
        table: list[Sequence[str]] = [
            ("server", "held", "KiB each", "requests/s before", "while held", "CPU µs before", "while")
        ]
        table += [
            (
                row.title,
                str(row.held),
                f"{row.kib_each:.2f}",
                figures.rate(row.rate_before),
                figures.rate(row.rate_while),
                f"{row.cpu_us_before:.2f}",
                f"{row.cpu_us_while:.2f}",
            )
            for row in good
        ]
        lines += aligned(table)
    lines += [f"{row.title}: REFUSED: {row.refused}" for row in result.idle if row.refused]
    if result.wake_ups:
        lines += ["", "Wake-ups without connections"]
        lines += aligned([(row.title, str(row.count), f"in {row.seconds:.0f} s") for row in result.wake_ups])
    return lines


def comparison(result: Result, stage: str, before: str) -> list[str]:
    """How a stage compares with the one before, in words."""
    lines = []
    for row in result.rows:
        if row.server != stage or row.section not in ("handlers", "pipelined"):
            continue
        other = next((r for r in result.rows if r.group == row.group and r.server == before), None)
        mine = summarise(row, result.control_of(row))
        theirs = summarise(other, result.control_of(other)) if other else None
        if mine is None or theirs is None:
            continue
        name = HANDLERS[row.handler].title + (", pipelined" if row.depth > 1 else "")
        # The floor has a turn of wrk in one group only, and the light load's rates are no match for wrk's.
        rates = (
            f" {mine.rate / theirs.rate:.2f} times the requests/s," if mine.by_wrk == theirs.by_wrk else ""
        )
        cpu = f"{mine.cpu_us:.1f} instead of {theirs.cpu_us:.1f} µs of CPU each"
        lines.append(f"  {name}:{rates} {cpu} ({mine.cpu_us / theirs.cpu_us - 1:+.0%})")
    if not lines:
        return []
    return [f"{SERVERS[stage].title.capitalize()} against {SERVERS[before].title}:", *lines]


def conclusions(result: Result) -> list[str]:
    """What a reader wants to know first."""
    lines: list[str] = []
    if result.target.startswith("stage"):
        before = stage_before(result.target) or "floor"
        lines += comparison(result, result.target, before)
    elif result.target == "all":
        lines += comparison(result, "stage2", "stage1") + comparison(result, "stage3", "stage2")
    return lines


def used_marks(result: Result) -> list[str]:
    """Explains the marks that there are."""
    summaries = [summarise(row, None) for row in result.rows]
    seen = {mark for one in summaries if one is not None for mark in figures.marks(one)}
    return [f"{mark} {meaning}" for mark, meaning in figures.MARKS.items() if mark in seen]


def heading(result: Facts) -> list[str]:
    """What was measured, on what."""
    machine = result.machine
    pinning = (
        f"server on core {machine['server_core']}, load on core {machine['load_core']}"
        if machine["server_core"] is not None
        else "one core only: server and load share it"
    )
    commit = result.commit[:12] + (" with changes" if result.dirty else "")
    return [
        f"{result.name}: {machine['cpu']}, {machine['cores']} cores, Linux "
        f"{machine['kernel']}, {machine['system']}",
        f"CPython {result.versions['python']}, commit {commit}, {result.started}; {pinning};"
        f" {result.parameters['rounds']} rounds; took {result.seconds:.0f} s",
    ]


def render(result: Result) -> str:
    """All of it."""
    lines = heading(result)
    for (section, _), rows in groupby(result.rows, key=lambda row: (row.section, row.group)):
        some = list(rows)
        title = HANDLERS[some[0].handler].title
        lines += [
            "",
            f"{SECTION_TITLES[section]}: {title}; {figures.load_of(some[0])}",
            *_group_lines(result, some),
        ]
    lines += _idle_lines(result)
    marks = used_marks(result)
    lines += ["", *marks] if marks else []
    lines += [
        "",
        "CPU µs: server CPU time per request, all threads and children, under the light "
        "load; requests/s, p50 and p99: wrk.",
        "GIL, hand-offs, wake-ups, tasks, syscalls (strace), switches (context switches): per request.",
    ]
    lines += ["", *found] if (found := conclusions(result)) else []
    lines += [f"note: {note}" for note in result.notes]
    return "\n".join(lines)
