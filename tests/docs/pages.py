"""The pages in Markdown, and what they say that can be checked."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from rules import files, text_of

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
GENERATED = re.compile(r"<!-- bench table:.*?<!-- end of bench table -->", re.S)
MARKER = re.compile(r"//\s*\[((?:\d\.\d|guide)-[\w-]+)\]")


@dataclass(frozen=True)
class Snippet:
    """A piece of code that a page quotes."""

    page: str
    file: str
    marker: str


def pages() -> list[str]:
    """All of ours."""
    return [name for name in files() if name.endswith(".md")]


def lessons() -> list[str]:
    """Those of them that are lessons, in order."""
    return [name for name in pages() if name.startswith("docs/lessons/")]


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return [found[2] for found in FENCE.finditer(text_of(page)) if found[1] == language]


def prose(page: str) -> str:
    """The page without its fenced blocks and without what is generated."""
    return GENERATED.sub("", FENCE.sub("", text_of(page)))


def commands() -> list[tuple[str, list[str]]]:
    """Page and words of each line of the shell blocks, variables in front of it left out."""
    found = []
    for page in pages():
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words:
                    found.append((page, words))
    return found


def inline_flags() -> list[tuple[str, str]]:
    """Page and flag of each `--flag …` in running text that names no program."""
    return [
        (page, flag)
        for page in pages()
        for code in re.findall(r"`([^`\n]+)`", prose(page))
        if code.startswith("--")
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)
    ]


def snippets() -> list[Snippet]:
    """All quotations."""
    return [
        Snippet(page, found[1], found[2])
        for page in pages()
        for found in re.finditer(r"^\\snippet (\S+) (\S+)$", text_of(page), re.M)
    ]


def markers() -> dict[tuple[str, str], int]:
    """How often each marker occurs, by file and name."""
    count: dict[tuple[str, str], int] = {}
    for name in files():
        if name.endswith((".hpp", ".cpp")):
            for marker in MARKER.findall(text_of(name)):
                count[name, marker] = count.get((name, marker), 0) + 1
    return count


def slug(heading: str) -> str:
    """The anchor of a heading, as repository hosts make it."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: str) -> set[str]:
    """Of all headings of a page."""
    return {slug(found) for found in re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.M)}


def links() -> list[tuple[str, str, str]]:
    """Page, file that it points to (from the root), and anchor (perhaps empty) of each link within the tree."""
    found = []
    for page in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            parts: list[str] = list(PurePosixPath(page).parent.parts) if path else []
            for part in PurePosixPath(path or page).parts:
                if part == "..":
                    parts.pop()
                elif part != ".":
                    parts.append(part)
            found.append((page, "/".join(parts), anchor))
    return found
