"""The report of the loops' bench as one self-contained HTML file: python -m bench.report.html RESULT.json."""

from html import escape
from itertools import groupby

from bench.loop.loops import LOOPS
from bench.loop.result import LoopResult, summarise
from bench.loop.rows import WORKLOADS, Workload
from bench.report import figures, loop_figures
from bench.report.page import about, page, paragraph, table
from bench.report.svg import Bar, bars
from bench.report.text import heading

_UNITS = {True: (1024**2, "MiB/s"), False: (1.0, "per second")}


def _chart(result: LoopResult, workload: Workload) -> str:
    size, unit = _UNITS[bool(workload.bytes_each)]
    some = []
    for row in result.of(workload.key):
        summary = summarise(result, row, ())
        if summary is not None:
            some.append(
                Bar(
                    row.loop,
                    summary.rate / size,
                    loop_figures.rate(summary.rate, workload) + loop_figures.marks(summary),
                    LOOPS[row.loop].colour,
                    low=summary.rate_low / size,
                    high=summary.rate_high / size,
                )
            )
    return bars(workload.title, unit, some) if some else ""


def _charts(result: LoopResult) -> list[str]:
    parts = []
    workloads = [WORKLOADS[key] for key in result.workloads()]
    for section, some in groupby(workloads, key=lambda workload: workload.section):
        inner = []
        for workload in some:
            _, without = loop_figures.table_of(result, workload.key)
            words = "".join(paragraph(line, "bad" if "REFUSED" in line else "soft") for line in without)
            inner.append(f"<div><h3>{escape(workload.title)}</h3>{_chart(result, workload)}{words}</div>")
        parts += [f"<h2>{escape(section)}</h2>", f'<div class="pair">{"".join(inner)}</div>']
    return parts


def _glance(result: LoopResult) -> list[str]:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in ("", *result.loops()))
    body = ""
    for workload, cells, best in loop_figures.glance(result):
        inner = "".join(
            f'<td class="best">{escape(cell)}</td>' if place == best else f"<td>{escape(cell)}</td>"
            for place, cell in enumerate(cells)
        )
        body += f"<tr><td>{escape(workload.title)}</td>{inner}</tr>"
    return [
        "<h2>At a glance</h2>",
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>',
        *(paragraph(mark, "soft") for mark in loop_figures.used_marks(result)),
    ]


def _tables(result: LoopResult) -> list[str]:
    parts = ["<h2>All figures</h2>", paragraph(loop_figures.LEGEND, "soft")]
    for key in result.workloads():
        rows, _ = loop_figures.table_of(result, key)
        if rows:
            parts += [f"<h3>{escape(WORKLOADS[key].title)}</h3>", table(loop_figures.HEADINGS, rows)]
    return parts


def _calls(result: LoopResult) -> list[str]:
    rows = []
    for row in result.rows:
        if row.system_calls:
            some = [f"{name} {figures.per_request(n)}" for name, n in row.system_calls.items() if n >= 0.001]
            rows.append((WORKLOADS[row.workload].title, row.loop, ", ".join(some[:8])))
    if not rows:
        return []
    intro = "Per operation, under strace in a run of its own: a slowed loop finds more to do at each turn."
    return [
        "<h2>System calls</h2>",
        paragraph(intro),
        table(("workload", "loop", "calls per operation"), rows, wide_last=True),
    ]


def render(result: LoopResult) -> str:
    """The whole report."""
    first, second = heading(result)
    parts = ["<h1>asioloop bench: event loops</h1>", paragraph(first, "soft"), paragraph(second, "soft")]
    parts += [paragraph(note, "bad") for note in result.notes]
    if found := loop_figures.conclusions(result):
        parts += ["<h2>In short</h2>", f"<pre>{escape(chr(10).join(found))}</pre>"]
    parts += _glance(result)
    parts += [
        paragraph("Bars: the median of the rounds; the line goes from the worst round to the best.", "soft")
    ]
    parts += [*_charts(result), *_tables(result), *_calls(result), *about(result)]
    return page(f"asioloop bench: {result.name}", parts)
