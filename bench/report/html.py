"""The report as one self-contained HTML file: python -m bench.report.html RESULT.json [-o FILE]."""

import argparse
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from bench.harness.handlers import HANDLERS
from bench.harness.result import Result, Row, Summary, load, read, summarise
from bench.loop import result as loop_result
from bench.report import figures, loop_html, text
from bench.report.page import about, page, paragraph, table
from bench.report.svg import Bar, Line, bars, lines

_COLOURS = {
    "floor": "floor",
    "floor-no-parser": "floor",
    "fake": "fake",
    "stage1": "s1",
    "stage2": "s2",
    "stage3": "s3",
}

Pairs = list[tuple[Row, Summary]]


def colour_of(row: Row) -> str:
    """The same server has the same colour everywhere."""
    if row.kind == "ablation":
        return "ablation2" if row.server.startswith("stage2") else "ablation"
    return _COLOURS.get(row.server, "peer")


def groups(result: Result, section: str) -> list[Pairs]:
    """The rows with figures of a section, by group."""
    found = []
    for _, rows in groupby((r for r in result.rows if r.section == section), key=lambda row: row.group):
        pairs = [(row, summarise(row, result.control_of(row))) for row in rows]
        good = [(row, summary) for row, summary in pairs if summary is not None]
        if good:
            found.append(good)
    return found


def _cpu_chart(title: str, pairs: Pairs) -> str:
    floor = next((summary.cpu_us for row, summary in pairs if row.server == "floor"), 0.0)
    rows = []
    for row, summary in pairs:
        own = "" if summary.of_floor is None else f", {summary.of_floor:.2f} of floor"
        rows.append(
            Bar(row.title, summary.cpu_us, f"{summary.cpu_us:.2f} µs{own}", colour_of(row), base=floor)
        )
    return bars(title, "µs", rows)


def _rate_chart(title: str, pairs: Pairs) -> str:
    return bars(
        title,
        "requests/s",
        [
            Bar(
                row.title,
                summary.rate,
                figures.rate(summary.rate) + figures.marks(summary),
                colour_of(row),
                low=summary.rate_low,
                high=summary.rate_high,
            )
            for row, summary in pairs
            if row.server != "floor" or summary.by_wrk
        ],
    )


def _above_chart(title: str, pairs: Pairs) -> str:
    rows = []
    for row, summary in pairs:
        if summary.above_floor_us is None:
            continue
        interval = summary.above_floor
        rows.append(
            Bar(
                row.title,
                summary.above_floor_us,
                f"{summary.above_floor_us:+.2f} µs",
                colour_of(row),
                low=interval.low if interval else None,
                high=interval.high if interval else None,
            )
        )
    return bars(title, "µs above the floor", rows)


def _section(result: Result, section: str, intro: str) -> list[str]:
    parts = []
    for pairs in groups(result, section):
        row = pairs[0][0]
        title = HANDLERS[row.handler].title
        parts.append(f"<h3>{title}; {figures.load_of(row)}</h3>")
        charts = (
            ("Server CPU per request; grey is the floor's part.", _cpu_chart),
            ("Requests per second; the line goes from the worst round to the best.", _rate_chart),
        )
        inner = [f"<div>{paragraph(words, 'soft')}{chart(title, pairs)}</div>" for words, chart in charts]
        parts.append(f'<div class="pair">{"".join(inner)}</div>')
    return [f"<h2>{text.SECTION_TITLES[section]}</h2>", paragraph(intro), *parts] if parts else []


def _ablations(result: Result) -> list[str]:
    parts = []
    for section in ("handlers", "pipelined"):
        for pairs in groups(result, section):
            if not any(row.kind == "ablation" for row, _ in pairs):
                continue
            chosen = [(r, s) for r, s in pairs if r.server in ("stage2", "stage3") or r.kind == "ablation"]
            row = chosen[0][0]
            parts.append(f"<h3>{HANDLERS[row.handler].title}; {figures.load_of(row)}</h3>")
            parts.append(_above_chart("µs above the floor", sorted(chosen, key=lambda pair: pair[0].server)))
    intro = (
        "Each design with one part taken away, or added. Medians of paired rounds with their 95 % intervals."
    )
    return ["<h2>What each part is worth</h2>", paragraph(intro), *parts] if parts else []


def _sweep(result: Result) -> list[str]:
    found = groups(result, "sweep")
    if not found:
        return []

    def series(figure: Callable[[Summary], float | None]) -> list[Line]:
        points: dict[str, list[tuple[float, float]]] = {}
        names: dict[str, Row] = {}
        for pairs in found:
            for row, summary in pairs:
                if (value := figure(summary)) is not None:
                    points.setdefault(row.server, []).append((row.connections, value))
                    names[row.server] = row
        return [Line(names[key].title, colour_of(names[key]), some) for key, some in points.items()]

    charts = [
        ("Requests per second", "requests/s", series(lambda s: s.rate)),
        ("Server CPU per request", "µs", series(lambda s: s.cpu_us)),
        ("Median latency", "ms", series(lambda s: s.p50_us and s.p50_us / 1000)),
        ("99th percentile of latency", "ms", series(lambda s: s.p99_us and s.p99_us / 1000)),
    ]
    inner = "".join(
        f"<div><h3>{title}</h3>{lines(title, 'connections', unit, some)}</div>"
        for title, unit, some in charts
        if some
    )
    return [
        "<h2>Connections</h2>",
        paragraph("async def that never waits."),
        f'<div class="pair">{inner}</div>',
    ]


def _idle(result: Result) -> list[str]:
    parts: list[str] = []
    if good := [row for row in result.idle if not row.refused]:
        parts += [
            f"<h2>{good[0].wanted} idle connections</h2>",
            paragraph(
                "Memory that a connection holds which has had its answer and waits (RSS, "
                "without the kernel's part)."
            ),
            bars(
                "KiB each",
                "KiB",
                [
                    Bar(r.title, r.kib_each, f"{r.kib_each:.2f} KiB", _COLOURS.get(r.server, "peer"))
                    for r in good
                ],
            ),
            table(
                (
                    "server",
                    "held",
                    "KiB each",
                    "requests/s before",
                    "while held",
                    "CPU µs before",
                    "while held",
                ),
                [
                    (
                        r.title,
                        str(r.held),
                        f"{r.kib_each:.2f}",
                        figures.rate(r.rate_before),
                        figures.rate(r.rate_while),
                        f"{r.cpu_us_before:.2f}",
                        f"{r.cpu_us_while:.2f}",
                    )
                    for r in good
                ],
            ),
        ]
    parts += [paragraph(f"{row.title}: refused: {row.refused}", "bad") for row in result.idle if row.refused]
    if result.wake_ups:
        rows = [(row.title, str(row.count), f"{row.seconds:.0f}") for row in result.wake_ups]
        parts += ["<h2>Wake-ups without connections</h2>", table(("server", "wake-ups", "seconds"), rows)]
    return parts


def _tables(result: Result) -> list[str]:
    parts = ["<h2>All figures</h2>"]
    for _, some in groupby(result.rows, key=lambda row: row.group):
        rows = list(some)
        good = [(row, summarise(row, result.control_of(row))) for row in rows]
        title = f"{text.SECTION_TITLES[rows[0].section]}: {HANDLERS[rows[0].handler].title}"
        parts.append(f"<h3>{title}; {figures.load_of(rows[0])}</h3>")
        parts.append(table(text.HEADINGS, [text.cells_of(row, s) for row, s in good if s is not None]))
        parts += [paragraph(f"{row.title}: refused: {row.refused}", "bad") for row in rows if row.refused]
    parts += [paragraph(mark, "soft") for mark in text.used_marks(result)]
    return parts


def _calls(result: Result) -> list[str]:
    rows = []
    for row in result.rows:
        if row.system_calls:
            top = [f"{name} {figures.per_request(n)}" for name, n in row.system_calls.items() if n >= 0.001][
                :8
            ]
            load = HANDLERS[row.handler].title + (", pipelined" if row.depth > 1 else "")
            rows.append((row.title, load, ", ".join(top)))
    if not rows:
        return []
    intro = (
        "From a run of its own under strace, which slows the server, so that it finds more to "
        "do at each turn."
    )
    head = ("server", "handler", "calls per request")
    return ["<h2>System calls</h2>", paragraph(intro), table(head, rows, wide_last=True)]


def render(result: Result) -> str:
    """The whole report."""
    first, second = text.heading(result)
    parts = [
        f"<h1>asioserve bench: {result.target}</h1>",
        paragraph(first, "soft"),
        paragraph(second, "soft"),
    ]
    parts += [paragraph(note, "bad") for note in result.notes]
    if found := text.conclusions(result):
        parts += ["<h2>In short</h2>", f"<pre>{chr(10).join(found)}</pre>"]
    intro = (
        "Requests per second depend on how much the load can ask for, and on the neighbours of the moment. "
        "The figure to trust is the server's CPU time per request, of all its threads and "
        "children, taken while a load runs "
        "on another core that costs less than the server does."
    )
    parts += _section(result, "handlers", intro)
    parts += _ablations(result)
    parts += _section(
        result,
        "pipelined",
        "With many requests in each packet the kernel's part gets small, and what is left shows.",
    )
    parts += _section(
        result, "unpinned", "Server and load where the kernel puts them, as on a machine that nobody tuned."
    )
    parts += _sweep(result)
    parts += _idle(result)
    parts += _tables(result)
    parts += _calls(result)
    parts += about(result)
    return page(f"asioserve bench: {result.name}", parts)


def render_file(path: Path) -> str:
    """The report of either bench's result."""
    if read(path).get("target") == "loop":
        return loop_html.render(loop_result.load(path))
    return render(load(path))


def main() -> None:
    """Makes the page of an earlier result again."""
    cli = argparse.ArgumentParser(prog="python -m bench.report.html", description=__doc__)
    cli.add_argument("result", type=Path)
    cli.add_argument("-o", "--output", type=Path, help="[beside the result]")
    options = cli.parse_args()
    output = options.output or options.result.with_suffix(".html")
    output.write_text(render_file(options.result))


if __name__ == "__main__":
    main()
