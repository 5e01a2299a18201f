"""The generated part of docs/guides/conformance.md: python tests/conformance/page.py [--write]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import selection

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "conformance.md"
BEGIN = "<!-- conformance: made by tests/conformance/page.py, do not edit -->"
END = "<!-- end of conformance -->"


def _numbers() -> list[str]:
    everything = json.loads(selection.EXPECTED.read_text())
    versions = sorted(everything, key=lambda v: tuple(map(int, v.split("."))))
    modules = sorted({module for counts in everything.values() for module in counts})
    lines = ["| module | " + " | ".join(versions) + " |", "| --- |" + " ---: |" * len(versions)]
    for module in modules:
        cells = (str(everything[v][module]["tests"]) if module in everything[v] else "–" for v in versions)
        lines.append(f"| `{module}` | " + " | ".join(cells) + " |")
    sums = (sum(c["tests"] for c in everything[v].values()) for v in versions)
    return [*lines, "| **all** | " + " | ".join(f"**{s}**" for s in sums) + " |"]


def _excluded(chosen: selection.Selection) -> list[str]:
    lines = []
    for exclusion in chosen.exclusions:
        only = f" (only in {', '.join(exclusion.versions)})" if exclusion.versions else ""
        lines += [f"**{exclusion.reason}**{only}", "", *(f"- `{test}`" for test in exclusion.tests), ""]
    return lines


def render() -> str:
    """Numbers, modules that are left out, tests that are left out."""
    chosen = selection.load()
    return "\n".join(
        [
            "## How many run",
            "Tests that must run and pass, by version of Python (the smallest number of the releases that were tried).",
            "",
            *_numbers(),
            "",
            "## Modules that are not run",
            *(f"- `{name}`: {reason}" for name, reason in chosen.left_out.items()),
            "",
            "## Tests that are not run",
            *_excluded(chosen),
        ]
    )


def replaced(page: str) -> str:
    """The page with its generated part made anew."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks its markers {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{render()}{END}{tail}"


def main(arguments: list[str]) -> int:
    """Print it, or put it into the page."""
    if arguments == ["--write"]:
        PAGE.write_text(replaced(PAGE.read_text()))
    else:
        print(render())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
