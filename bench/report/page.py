"""The frame of the report: one file, no scripts, nothing loaded from anywhere."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.harness.result import Facts

STYLE = (Path(__file__).parent / "style.css").read_text()


def table(head: Sequence[str], rows: Sequence[Sequence[str]], wide_last: bool = False) -> str:
    """A table; the first column is text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = ""
    for row in rows:
        cells = [f"<td>{escape(cell)}</td>" for cell in row]
        if wide_last:
            cells[-1] = f'<td class="wide">{escape(row[-1])}</td>'
        body += f"<tr>{''.join(cells)}</tr>"
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def about(result: Facts) -> list[str]:
    """What the figures were taken on, with and how."""

    def rows(values: dict[str, object]) -> Sequence[Sequence[str]]:
        return [(key.replace("_", " "), _plain(value)) for key, value in values.items()]

    return [
        "<h2>Machine, versions, parameters</h2>",
        f'<div class="pair"><div>{table(("machine", ""), rows(dict(result.machine)), wide_last=True)}</div>',
        f"<div>{table(('version', ''), rows(dict(result.versions)), wide_last=True)}</div>",
        f"<div>{table(('parameter', ''), rows(dict(result.parameters)), wide_last=True)}</div></div>",
    ]


def _plain(value: object) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)


def page(title: str, parts: Sequence[str]) -> str:
    """The whole file."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )
