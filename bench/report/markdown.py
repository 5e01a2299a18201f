"""A page's tables of results, between two markers: python -m bench.report.markdown RESULT.json PAGE.md."""

import argparse
import sys
from pathlib import Path

from bench.harness.errors import BenchError
from bench.harness.handlers import HANDLERS
from bench.harness.result import Result, Row, load, read, summarise
from bench.loop import result as loop_result
from bench.report import figures, loop_markdown

BEGIN = "<!-- bench table: made by bench/report/markdown.py, do not edit -->"
END = "<!-- end of bench table -->"
NONE = "none"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rows(result: Result, section: str, handler: str) -> list[str]:
    lines = []
    for row in result.rows:
        if (row.section, row.handler) != (section, handler):
            continue
        summary = summarise(row, result.control_of(row))
        if summary is None or (row.server == "floor" and not summary.by_wrk):
            continue
        name = f"**{row.title}**" if row.kind == "stage" else row.title
        lines.append(
            _line(
                [
                    name,
                    f"{figures.rate(summary.rate)}{_mark(row, summary.load_was_limit)}",
                    f"{figures.micros(summary.p50_us)} / {figures.micros(summary.p99_us)}",
                    f"{summary.cpu_us:.2f}",
                    "1" if row.server == "floor" else figures.ratio(summary.of_floor),
                    "0" if row.server == "floor" else figures.above(summary),
                    *(
                        figures.counter(summary, name)
                        for name in ("gil_acquisitions", "hand_offs", "wake_ups", "tasks")
                    ),
                    figures.system_calls(row),
                ]
            )
        )
    return lines


def _mark(row: Row, limited: bool) -> str:
    return "\\*" if limited else ""


_HEAD = [
    "",
    "requests/s",
    "p50 / p99",
    "CPU µs/request",
    "of the floor",
    "µs above it (95 %)",
    "GIL",
    "hand-offs",
    "wake-ups",
    "tasks",
    "syscalls",
]


def render(result: Result) -> str:
    """The tables and how they were made."""
    machine = result.machine
    parts = []
    seen: set[tuple[str, str]] = set()
    for row in result.rows:
        key = (row.section, row.handler)
        if key in seen or row.section not in ("handlers", "pipelined"):
            continue
        seen.add(key)
        if lines := _rows(result, *key):
            title = HANDLERS[row.handler].title + (
                f", {row.depth} requests pipelined" if row.depth > 1 else ""
            )
            parts += [
                f"**{title}**",
                "",
                _line(_HEAD),
                _line(["---", *["---:"] * (len(_HEAD) - 1)]),
                *lines,
                "",
            ]
    held = [row for row in result.idle if not row.refused]
    if held:
        parts += [
            f"**{held[0].wanted} idle connections**: "
            + ", ".join(f"{row.title} {row.kib_each:.2f} KiB each" for row in held)
            + ".",
            "",
        ]
    commit = result.commit[:12] + (" with changes" if result.dirty else "")
    parts.append(
        f"`./bench.sh {result.target}`: {machine['cpu']}, {machine['cores']} cores, Linux "
        f"{machine['kernel']}, "
        f"CPython {result.versions['python']}, {result.parameters['connections']} connections, "
        f"{result.parameters['rounds']} paired rounds, commit {commit}. CPU µs: all threads "
        "and children of the server. "
        "Columns from GIL on: per request. \\*: the load's core was over 90 % busy."
    )
    return "\n".join(parts)


def replaced(page: str, table: str) -> str:
    """The page with the text between its markers exchanged."""
    begin, end = page.find(BEGIN), page.find(END)
    if begin < 0 or end < begin or page.count(BEGIN) != 1 or page.count(END) != 1:
        raise BenchError(f"the page needs these two lines, once and in this order:\n{BEGIN}\n{END}")
    return page[: begin + len(BEGIN)] + "\n" + table + "\n" + page[end:]


def render_file(path: Path) -> str:
    """The tables of either bench's result."""
    if str(path) == NONE:
        return loop_markdown.NOT_MEASURED
    if read(path).get("target") == "loop":
        return loop_markdown.render(loop_result.load(path))
    return render(load(path))


def main() -> int:
    """Returns 1 if the page has no markers, or --check finds an old table."""
    cli = argparse.ArgumentParser(prog="python -m bench.report.markdown", description=__doc__)
    cli.add_argument(
        "result", type=Path, help=f"a result file; {NONE}: say in the page that nothing was measured yet"
    )
    cli.add_argument("page", type=Path)
    cli.add_argument(
        "--check", action="store_true", help="change nothing; fail if the table is not this result's"
    )
    options = cli.parse_args()
    try:
        old = options.page.read_text()
        new = replaced(old, render_file(options.result))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        return 0 if old == new else 1
    options.page.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
