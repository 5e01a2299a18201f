"""The tables of docs/guides/loop-speed.md: python -m bench.report.markdown RESULT.json docs/guides/loop-speed.md."""

from bench.loop.loops import CONTROLS, OURS
from bench.loop.result import LoopResult, summarise
from bench.loop.rows import WORKLOADS
from bench.report import figures, loop_figures

NOT_MEASURED = "Not measured yet: there is no result file of a quiet machine."


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("*", "\\*") for cell in cells) + " |"


def _head(cells: list[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |", "| " + " | ".join(["---", *["---:"] * (len(cells) - 1)]) + " |"]


def _rates(result: LoopResult) -> list[str]:
    lines = _head(["", *result.loops(), *(f"× {control} (95 %)" for control in CONTROLS)])
    for workload, cells, best in loop_figures.glance(result):
        row = next((row for row in result.of(workload.key) if row.loop == OURS), None)
        summary = summarise(result, row, CONTROLS) if row is not None else None
        ratios = [loop_figures.ratio(summary.ratios.get(one) if summary else None) for one in CONTROLS]
        line = _line([workload.title, *cells, *ratios])
        if best is not None:
            parts = line.split(" | ")
            parts[best + 1] = f"**{parts[best + 1]}**"
            line = " | ".join(parts)
        lines.append(line)
    return lines


def _by_loop(result: LoopResult, title: str, cells: dict[str, dict[str, str]]) -> list[str]:
    if not cells:
        return []
    lines = ["", f"**{title}**", "", *_head(["", *result.loops()])]
    for key, by_loop in cells.items():
        lines.append(_line([WORKLOADS[key].title, *(by_loop.get(loop, "–") for loop in result.loops())]))
    return lines


def render(result: LoopResult) -> str:
    """The tables and how they were made."""
    calls: dict[str, dict[str, str]] = {}
    memory: dict[str, dict[str, str]] = {}
    for row in result.rows:
        if row.system_calls:
            text = figures.per_request(sum(row.system_calls.values()))
            calls.setdefault(row.workload, {})[row.loop] = text
        summary = summarise(result, row, ())
        if summary is not None and summary.kib_each is not None:
            memory.setdefault(row.workload, {})[row.loop] = f"{summary.kib_each:.2f}"
    parts = _rates(result)
    parts += _by_loop(result, "System calls per operation", calls)
    parts += _by_loop(result, "KiB per idle connection", memory)
    parts += ["", *(f"{line.strip()}  " for line in loop_figures.conclusions(result))]
    parts += [f"Note: {note}  " for note in result.notes]
    machine = result.machine
    versions = ", ".join(
        f"{name.removeprefix('loop ')} {version}"
        for name, version in result.versions.items()
        if name.startswith("loop ")
    )
    marks = " ".join(f"{mark.replace('*', chr(92) + '*')}." for mark in loop_figures.used_marks(result))
    commit = result.commit[:12] + (" with changes" if result.dirty else "")
    parts += [
        "",
        f"`./bench.sh loop`: {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, CPython "
        f"{result.versions['python']}, {versions}, {result.parameters['rounds']} paired rounds, commit {commit}. "
        f"The ratios are those of {OURS}. {marks}".rstrip(),
    ]
    return "\n".join(parts)
