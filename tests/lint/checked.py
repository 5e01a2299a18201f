"""Runs a compiler or checker over files, several at once, and remembers what was clean.

A result counts for as long as the command, the file and all that it includes stay the same, so that the second run of
./test.sh looks at what has changed only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rules import ROOT

T = TypeVar("T")
CACHE = ROOT / "build" / "lint-cache"
BUILD = Path(os.environ.get("ASIOSERVE_CLANG_BUILD", ROOT / "build" / "clang"))


@dataclass(frozen=True)
class Unit:
    """A translation unit of ours, as Clang's build would compile it."""

    source: Path
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.source.relative_to(ROOT))


def units() -> list[Unit]:
    """All of ours, of a configured (not built) Clang build; cmake/ compiles what is not ours."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    found: dict[Path, Unit] = {}
    for entry in commands:
        source = Path(entry["file"]).resolve()
        if not source.is_relative_to(ROOT) or source.relative_to(ROOT).parts[0] in ("build", "cmake"):
            continue
        words = [w for w in shlex.split(entry["command"]) if not w.endswith("ccache")]
        kept = []
        skip = False
        for word in words:
            if skip:
                skip = False
            elif word in ("-o", "-c"):
                skip = True
            elif word != str(source):
                kept.append(word)
        found[source] = Unit(source, tuple(kept))
    return sorted(found.values(), key=lambda unit: unit.name)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Remembered:
    """What was clean, in a folder of files named by command and source."""

    def __init__(self, what: str) -> None:
        self.folder = CACHE / what
        self.folder.mkdir(parents=True, exist_ok=True)

    def _file(self, command: Iterable[str]) -> Path:
        return self.folder / hashlib.sha256("\0".join(command).encode()).hexdigest()

    def is_clean(self, command: list[str]) -> bool:
        try:
            known = json.loads(self._file(command).read_text())
            return all(_digest(Path(path)) == digest for path, digest in known.items())
        except (OSError, ValueError):
            return False

    def clean(self, command: list[str], read: Iterable[Path]) -> None:
        self._file(command).write_text(
            json.dumps({str(p): _digest(p) for p in read if p.is_relative_to(ROOT)})
        )


def compile_all(what: str, jobs: dict[str, list[str]]) -> list[str]:
    """Runs Clang commands (-fsyntax-only), dependencies written along; what was wrong, by name."""
    remembered = Remembered(what)

    def one(item: tuple[str, list[str]]) -> str | None:
        name, command = item
        if remembered.is_clean(command):
            return None
        file = remembered._file(command).with_suffix(".d")
        done = subprocess.run(
            [*command, "-MD", "-MF", str(file), "-MT", "x"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            return f"{name}:\n{done.stderr[:4000]}"
        text = file.read_text().partition(":")[2].replace("\\\n", " ")
        remembered.clean(command, [(ROOT / path).resolve() for path in shlex.split(text)])
        return None

    return run_all(one, jobs.items())


def run_all(one: Callable[[T], str | None], items: Iterable[T]) -> list[str]:
    """Calls it for each, as many at once as there are processors; the problems."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [wrong for wrong in pool.map(one, items) if wrong]
