"""The rules of the tree, each a function from a file's path and text to what is wrong with it.

They are pure, so that test_layout.py can show of each that it finds what it is there for.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CPP = (".hpp", ".cpp", ".h", ".c", ".inc")
PRODUCT = (
    "common/",
    "stage1_cross_thread/",
    "stage2_cached_locals/",
    "stage3_native_loop/",
    "fallback_switch/",
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

Rule = Callable[[str, str], Iterator[str]]


@cache
def files() -> tuple[str, ...]:
    """What is in the repository, or would be if it were committed now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return tuple(sorted(name for name in set(listed) if (ROOT / name).is_file()))


def text_of(name: str) -> str:
    """A file's text; binary ones have none worth looking at."""
    return (ROOT / name).read_bytes().decode("utf-8", "replace")


def includes(text: str) -> list[tuple[str, str]]:
    """Delimiter and name of each #include."""
    return [(found[1], found[2]) for found in INCLUDE.finditer(text)]


def _room(name: str) -> str:
    """The folder that a rule is about: common/http, stage1_cross_thread, tests, ..."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] == "common" else parts[0]


#: What each room may include of ours, by prefix. Everything else is the wrong direction.
MAY_INCLUDE: dict[str, tuple[str, ...]] = {
    "common/runner": ("common/runner/",),
    "common/http": ("common/http/", "common/runner/"),
    "common/options": ("common/options/",),
    "common/python": ("common/python/", "common/runner/"),
    "common/app": ("common/",),
    "stage1_cross_thread": ("common/", "stage1_cross_thread/"),
    "stage2_cached_locals": ("common/", "stage2_cached_locals/"),
    "stage3_native_loop": ("common/", "stage3_native_loop/"),
    "fallback_switch": ("common/options/", "common/http/listen.hpp", "common/runner/", "fallback_switch/"),
}


def include_direction(name: str, text: str) -> Iterator[str]:
    """Rooms know only what is below them."""
    room = _room(name)
    if room not in MAY_INCLUDE or not name.endswith(CPP):
        return
    for delimiter, path in includes(text):
        if delimiter == '"' and not path.startswith(MAY_INCLUDE[room]):
            yield f"{name} includes {path}: {room} may not know of it"


def python_free(name: str, text: str) -> Iterator[str]:
    """HTTP, the seams, the options and the switch have no Python."""
    if not name.startswith(
        ("common/http/", "common/runner/", "common/options/", "fallback_switch/", "bench/floor/")
    ):
        return
    if not name.endswith((*CPP, "CMakeLists.txt")):
        return
    for _, path in includes(text):
        if re.search(r"Python\.h|pybind11|^pyconfig|common/python", path):
            yield f"{name} includes {path}"
    for found in re.finditer(
        r"Python::|pybind11::|asioserve_(python|app)\b", text if name.endswith(".txt") else ""
    ):
        yield f"{name} links {found[0]}"


# What stands for somebody else's extension: it has Python.h and asioloop.h, and nothing of ours.
FOREIGN = ("stage3_native_loop/asioloop/include/", "tests/interop/foreign/")


def one_door_to_python(name: str, text: str) -> Iterator[str]:
    """Python.h comes in through common/python/python.hpp; the loop's public interop header is the one exception."""
    if name.startswith(FOREIGN):
        return
    if name.endswith(CPP) and name != "common/python/python.hpp" and "/interop/" not in name:
        for _, path in includes(text):
            if path == "Python.h":
                yield f"{name} includes Python.h instead of common/python/python.hpp"


def stages_apart(name: str, text: str) -> Iterator[str]:
    """`common` names no stage, a stage names no other one in its code, and the switch links none."""
    if not name.startswith(PRODUCT) or not name.endswith((*CPP, ".py", "CMakeLists.txt")):
        return
    own = re.match(r"stage(\d)_", name)
    names = r"\bstage([123])_(cross_thread|cached_locals|native_loop|runner|server)\b"
    for found in re.finditer(names, text):
        if own is None and name.startswith("fallback_switch/") and found[2] == "server":
            continue  # Programs that it starts.
        if own is None or found[1] != own[1]:
            yield f"{name} names {found[0]}"
    if own and name.endswith(CPP):
        for found in re.finditer(r"\bstages? ([123])\b", text, re.I):
            if int(found[1]) > int(own[1]):
                yield f"{name} mentions {found[0]}: a later stage is the lesson's business"


def reference_counts(name: str, text: str) -> Iterator[str]:
    """Py_INCREF and its like are in common/python/ref.hpp and nowhere else."""
    if (
        name.endswith(CPP)
        and name.startswith((*PRODUCT, "tests/", "bench/"))
        and not name.startswith(FOREIGN)
        and name != "common/python/ref.hpp"
    ):
        for number, line in enumerate(text.splitlines(), 1):
            code = line.split("//")[0]
            if found := re.search(
                r"\bPy_X?(INCREF|DECREF|NewRef|SETREF)\b|\bPy_(CLEAR|XNewRef|SETREF)\b", code
            ):
                yield f"{name}:{number} has {found[0]}: use py::Ref"


def size(name: str, text: str) -> Iterator[str]:
    """No file is too long to be read in one go."""
    if name.endswith((*CPP, ".py", ".sh", ".cmake")):
        limit = 800 if name.startswith(("tests/", "bench/tests/")) else 600
        lines = text.count("\n")
        if lines > limit:
            yield f"{name} has {lines} lines, more than {limit}"


def size_warning(name: str, text: str) -> str | None:
    """Not an error yet."""
    lines = text.count("\n")
    if name.endswith((*CPP, ".py")) and not name.startswith("tests/") and lines > 400:
        return f"{name} has {lines} lines, more than 400: split it before it grows"
    return None


def header_form(name: str, text: str) -> Iterator[str]:
    """A header opens with what it is for, and is read once."""
    if name.endswith(".hpp"):
        if "#pragma once" not in text:
            yield f"{name} has no #pragma once"
        if not text.startswith(("//", "/*")):
            yield f"{name} does not open with a comment that says what it is for"


def small_mains(name: str, text: str) -> Iterator[str]:
    """A stage's main() reads as the architecture."""
    if re.fullmatch(r"(stage\d_\w+)/main\.cpp", name) and text.count("\n") > 30:
        yield f"{name} has more than 30 lines"


# Put together from pieces, so that this file does not find itself.
_MACHINE = re.compile(
    "|".join(
        [
            re.escape("/" + "work/") + r"(main|shared|\.)",
            r"(?<![\w.])" + re.escape("/" + "root/") + r"[\w.]",
            r"(?<![\w.])/home/(?!you|user|me)\w+/",
            re.escape("/" + "tmp/") + r"(brief|bash_jobs)",
        ]
    )
)


def machine_paths(name: str, text: str) -> Iterator[str]:
    """No path of the machine that it was written on."""
    for found in _MACHINE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield f"{name}:{line} has a path of some machine: {found[0]}"
    root = str(ROOT) + "/"
    if len(root) > 6 and root in text:
        yield f"{name} has the path of this checkout"


def no_sleeping(name: str, text: str) -> Iterator[str]:
    """Tests in C++ step clocks and wait for events."""
    if name.startswith("tests/") and name.endswith(".cpp"):
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b", line) and "// waits:" not in line:
                yield f"{name}:{number} sleeps; if it must, say why behind '// waits:'"


def no_skips(name: str, text: str) -> Iterator[str]:
    """A test that is not run is none."""
    if (
        name.startswith(("tests/", "bench/tests/"))
        and name.endswith((".cpp", ".py"))
        and not name.startswith("tests/lint")
    ):
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"GTEST_SKIP|\bDISABLED_|pytest\.(mark\.)?(skip|xfail)\b|unittest\.skip", line):
                yield f"{name}:{number} skips"


RULES: tuple[Rule, ...] = (
    include_direction,
    python_free,
    one_door_to_python,
    stages_apart,
    reference_counts,
    size,
    header_form,
    small_mains,
    machine_paths,
    no_sleeping,
    no_skips,
)
