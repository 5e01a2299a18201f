"""The table of the loops' bench for the terminal."""

from bench.loop.result import LoopResult
from bench.loop.rows import WORKLOADS
from bench.report import loop_figures
from bench.report.text import aligned, heading


def render(result: LoopResult) -> str:
    """All of it."""
    lines = heading(result)
    section = ""
    for key in result.workloads():
        workload = WORKLOADS[key]
        if workload.section != section:
            section = workload.section
            lines += ["", f"=== {section}"]
        rows, without = loop_figures.table_of(result, key)
        lines += ["", workload.title, *(aligned([loop_figures.HEADINGS, *rows]) if rows else []), *without]
    glance = loop_figures.glance(result)
    if glance:
        lines += ["", "=== At a glance", ""]
        lines += aligned(
            [["", *result.loops()], *([workload.title, *cells] for workload, cells, _ in glance)]
        )
    lines += ["", *loop_figures.used_marks(result), loop_figures.LEGEND]
    lines += ["", *found] if (found := loop_figures.conclusions(result)) else []
    lines += [f"note: {note}" for note in result.notes]
    return "\n".join(lines)
