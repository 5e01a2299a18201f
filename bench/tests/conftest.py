"""The bench's own tests: no figures are judged here, only how they are made. Programs are stand-ins."""

import os
import shlex
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

STAND_INS = Path(__file__).parent / "stand_ins"
SERVERS = ("floor_server", "fake_server", "stage1_server", "stage2_server", "stage3_server")

Install = Callable[..., None]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build folder whose programs are the stand-ins."""
    (tmp_path / "bin").mkdir()
    return tmp_path


@pytest.fixture
def install(build: Path) -> Install:
    """install(program, stand_in, *flags): makes build/bin/program run a stand-in."""

    def make(program: str, stand_in: str, *flags: str) -> None:
        path = build / "bin" / program
        line = shlex.join([sys.executable, str(STAND_INS / stand_in), *flags])
        # The bench ends wrk by SIGINT, which a stand-in that Python is still importing for would not outlive.
        path.write_text(f'#!/bin/sh\ntrap "" INT\nexec {line} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    for program in SERVERS:
        make(program, "server.py")
    make("light_load", "light_load.py")
    make("echo_load", "echo_load.py")
    make("wrk", "wrk.py")
    make("strace", "no_strace.py")
    return make


@pytest.fixture
def programs_on_path(build: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """wrk and strace are found in the build folder first."""
    monkeypatch.setenv("PATH", f"{build / 'bin'}{os.pathsep}{os.environ['PATH']}")
