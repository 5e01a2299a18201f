"""The end of a program whose daemon thread runs a loop: up to CPython 3.13 that thread is ended somewhere inside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "support" / "daemon_loop.py"


@pytest.mark.parametrize("loop", ["asyncio", "asioloop"])
@pytest.mark.parametrize("kind", ["stream", "datagram", "pipe", "server", "tls"])
def test_a_daemon_threads_loop_under_load_does_not_disturb_the_end(kind: str, loop: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        # What the thread has is left then.
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0",
    }
    # Where it is ended is chance.
    for _ in range(5 if loop == "asioloop" else 1):
        done = subprocess.run(
            [sys.executable, str(PROGRAM), kind, loop],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
