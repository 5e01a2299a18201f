"""Formatting and types, by the tools that say so."""

from __future__ import annotations

import subprocess
import sys

import pytest
from checked import run_all
from rules import ROOT, files

PYTHON_ROOMS = ("common/asioserve", "stage3_native_loop/asioloop", "tests", "bench", "examples")

pytestmark = pytest.mark.timeout(600)


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]


def rooms() -> list[str]:
    return [
        room
        for room in PYTHON_ROOMS
        if any(name.startswith(room) and name.endswith(".py") for name in files())
    ]


def test_clang_format() -> None:
    """`scripts/format.sh` mends it."""
    sources = [name for name in files() if name.endswith((".hpp", ".cpp"))]
    command = ["clang-format", "--dry-run", "-Werror", "--ferror-limit=1"]

    def one(name: str) -> str | None:
        done = subprocess.run([*command, name], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stderr.partition("\n")[0] if done.returncode else None

    wrong = run_all(one, sources)
    assert not wrong, "\n".join(wrong)


def test_ruff_check() -> None:
    run(sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", *rooms())


def test_ruff_format() -> None:
    run(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", *rooms())


@pytest.mark.parametrize("room", rooms())
def test_mypy(room: str) -> None:
    """Each room by itself: test modules of two rooms may have the same name."""
    run(sys.executable, "-m", "mypy", "--cache-dir", "build/mypy-cache", room)


@pytest.mark.parametrize("script", [name for name in files() if name.endswith(".sh")])
def test_shell_scripts_parse(script: str) -> None:
    run("bash", "-n", script)
