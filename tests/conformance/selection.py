"""Which of CPython's tests are run: what exclusions.toml and expected.json say for this interpreter."""

from __future__ import annotations

import importlib.util
import json
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

EXCLUSIONS = Path(__file__).with_name("exclusions.toml")
EXPECTED = Path(__file__).with_name("expected.json")


def this_version() -> str:
    """3.13, say."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Exclusion:
    """Tests that are left out for one reason."""

    reason: str
    tests: tuple[str, ...]
    versions: tuple[str, ...] = ()

    def applies(self, version: str) -> bool:
        """Whether this Python has the tests. No versions: every one has."""
        return not self.versions or version in self.versions


@dataclass(frozen=True)
class Selection:
    """For one version of Python."""

    version: str
    exclusions: tuple[Exclusion, ...]
    #: Modules that are not run, and why.
    left_out: dict[str, str]
    #: By module: how many tests must run, how many loops under test they make.
    expected: dict[str, dict[str, int]]

    @cached_property
    def _excluded(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for exclusion in self.exclusions:
            if exclusion.applies(self.version):
                for test in exclusion.tests:
                    found.setdefault(test.partition(".")[0], set()).add(test)
        return {module: frozenset(tests) for module, tests in found.items()}

    def excluded(self, module: str) -> frozenset[str]:
        """The tests of a module that are left out."""
        return self._excluded.get(module, frozenset())

    def modules(self) -> list[str]:
        """All that the interpreter has, but for those that are left out."""
        folder = testsuite()
        assert folder is not None
        return sorted({p.stem for p in folder.glob("test_*.py")} - set(self.left_out))


def testsuite() -> Path | None:
    """The folder of CPython's tests of asyncio."""
    try:
        found = importlib.util.find_spec("test.test_asyncio")
    except ModuleNotFoundError:
        return None
    return Path(found.origin).parent if found and found.origin else None


def missing_testsuite() -> str | None:
    """What to do where the interpreter has come without its tests."""
    if testsuite() is not None:
        return None
    return f"{sys.executable} has no test.test_asyncio (Debian: apt-get install libpython{this_version()}-testsuite)"


def load(version: str | None = None) -> Selection:
    """Read both files."""
    version = version or this_version()
    data = tomllib.loads(EXCLUSIONS.read_text())
    exclusions = tuple(
        Exclusion(" ".join(e["reason"].split()), tuple(e["tests"]), tuple(e.get("versions", ())))
        for e in data["exclusion"]
    )
    left_out = {m["name"]: " ".join(m["reason"].split()) for m in data["module"]}
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    return Selection(version, exclusions, left_out, expected.get(version, {}))


def record(counts: dict[str, dict[str, int]]) -> None:
    """Write down what has run. Two releases of a version may differ by a few tests: the smaller number is kept."""
    everything = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    mine = everything.setdefault(this_version(), {})
    for module, now in counts.items():
        before = mine.get(module, now)
        mine[module] = {what: min(number, before[what]) for what, number in now.items()}
    EXPECTED.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n")
