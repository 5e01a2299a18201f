"""How Doxygen reads a header of ours; line numbers stay as they are.

What a header opens with, its purpose and its threads, becomes the page of the file; and the page of its class
where it has one class without words of its own (one class per header is the rule of the tree). A deleted function
is no name. Nothing else is documented by this: a member without a comment is still an error.
"""

import re
import sys
from pathlib import Path

CLASS = re.compile(r"^(class|struct) (?!.*;$).*\{$")


def undocumented_classes(lines: list[str]) -> list[int]:
    """Where classes at the margin begin that have no comment, template lines passed over."""
    found = []
    for i, line in enumerate(lines):
        if not CLASS.match(line):
            continue
        above = i - 1
        while above >= 0 and re.match(r"template|\s+requires", lines[above]):
            above -= 1
        if not lines[above].lstrip().startswith("///"):
            found.append(i)
    return found


def filtered(text: str) -> str:
    """The header as Doxygen is to see it."""
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines) if not line.startswith("//")), 0)
    purpose: list[str] = []
    for line in lines[:end]:
        if line.strip() == "//":
            break
        purpose.append(line[2:].strip())
    alone = undocumented_classes(lines)
    if len(alone) == 1 and purpose:
        lines[alone[0]] = f"/** {' '.join(purpose)} */ {lines[alone[0]]}"
    for i in range(end):
        lines[i] = "/" + lines[i]
    if end and lines[end] == "#pragma once":
        lines[end] = "/// \\file"
    return "\n".join("" if line.endswith("= delete;") else line for line in lines)


if __name__ == "__main__":
    sys.stdout.write(filtered(Path(sys.argv[1]).read_text()))
