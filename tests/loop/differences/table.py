"""The table of differences in docs/guides/asioloop.md.

table.py             prints it
table.py --write     puts it into the page
table.py --record    asks asyncio, asioloop and uvloop all questions anew, first: wants a Python that has uvloop
                    (the programs' environment, build/venv-programs-*) and asioloop, the newest that there is
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import probes  # noqa: E402
from asking import LOOPS, PROBES, ask, asked  # noqa: E402

assert probes
ROOT = HERE.parents[2]
RECORDED = HERE / "recorded.json"
PAGE = ROOT / "docs" / "guides" / "asioloop.md"
BEGIN = "<!-- differences: made by tests/loop/differences/table.py, do not edit -->"
END = "<!-- end of differences -->"


def environment() -> dict[str, str]:
    """In which a probe finds asioloop and its native module."""
    folders = [
        os.environ.get("ASIOSERVE_EXT_DIR", str(ROOT / "build" / "release" / "ext")),
        str(ROOT / "stage3_native_loop"),
    ]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def record() -> dict[str, Any]:
    """The answers of all loops, and who was asked."""
    found = environment()
    answers = {name: {loop: ask(loop, name, found) for loop in LOOPS} for name in asked()}
    old = json.loads(RECORDED.read_text())["answers"] if RECORDED.exists() else {}
    # An older Python cannot be asked everything: what a newer one has said stays.
    kept = {name: old[name] for name in PROBES if name not in answers and name in old}
    return {
        "python": platform.python_version(),
        "uvloop": metadata.version("uvloop"),
        "answers": {name: (answers | kept)[name] for name in PROBES if name in answers | kept},
    }


def recorded() -> dict[str, Any]:
    """The answers that the page shows."""
    read: dict[str, Any] = json.loads(RECORDED.read_text())
    return read


def render() -> str:
    """A row for each question that has more than one answer, and a list of the others."""
    said = recorded()
    rows, alike = [], []
    for name, answers in said["answers"].items():
        since = PROBES[name].since
        question = PROBES[name].question + (
            "" if since <= (3, 11) else f" (from Python {since[0]}.{since[1]})"
        )
        if set(answers.values()) == {"yes"}:
            alike.append(f"- {question}")
        else:
            rows.append(f"| {question} | " + " | ".join(answers[loop] for loop in LOOPS) + " |")
    head = ["|  | " + " | ".join(LOOPS) + " |", "| --- |" + " --- |" * len(LOOPS)]
    tail = [f"Asked on Python {said['python']}, uvloop {said['uvloop']}. All three say yes to:"]
    return "\n".join([*head, *rows, "", *tail, *alike])


def replaced(page: str) -> str:
    """The page with its table made anew."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks its markers {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{render()}\n{END}{tail}"


def main(arguments: list[str]) -> None:
    """See above."""
    if "--record" in arguments:
        RECORDED.write_text(json.dumps(record(), indent=1) + "\n")
    if "--record" in arguments or "--write" in arguments:
        PAGE.write_text(replaced(PAGE.read_text()))
    else:
        print(render())


if __name__ == "__main__":
    main(sys.argv[1:])
