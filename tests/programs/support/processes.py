"""Servers as processes of their own: started, watched for a line that they print, and ended by their number."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PATIENCE = 30
"""Seconds that a test waits for a process before it calls itself failed."""

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]


class Process:
    """A running program, and what it has printed."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        executable: str | None = None,
        user: str | None = None,
    ) -> None:
        self.child = subprocess.Popen(
            command,
            env=None if env is None else dict(env),
            cwd=cwd,
            executable=executable,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout
        for line in self.child.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line from here on that has the pattern in it."""
        while True:
            try:
                line = self._new.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no line like {pattern!r} in {self.lines}") from None
            if line is None:
                raise AssertionError(f"it ended without a line like {pattern!r}: {self.lines}")
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found

    def end(self, *, kill: bool = False) -> int:
        """Its exit code; it is asked to end, or made to."""
        if self.child.poll() is None:
            (self.child.kill if kill else self.child.terminate)()
        try:
            code = self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"it does not end: {self.output()}") from None
        self.output()
        return code

    def output(self) -> list[str]:
        """All lines, once it has ended."""
        self._reader.join(PATIENCE)
        while not self._new.empty():
            if (line := self._new.get()) is not None:
                self.lines.append(line)
        if self.child.stdout and not self.child.stdout.closed:
            self.child.stdout.close()
        return self.lines


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    executable: str | None = None,
    user: str | None = None,
) -> Iterator[Process]:
    """A program that does not outlive the block."""
    process = Process(command, env=env, cwd=cwd, executable=executable, user=user)
    try:
        yield process
    finally:
        process.end(kill=True)


def python_environment() -> dict[str, str]:
    """In which a Python program finds asioloop, its native module and the apps."""
    folders = [
        os.environ.get("ASIOSERVE_EXT_DIR", str(ROOT / "build" / "release" / "ext")),
        str(ROOT / "stage3_native_loop"),
        str(HERE / "apps"),
        str(HERE / "support"),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONUNBUFFERED": "1"}


def python(*arguments: str) -> list[str]:
    """The command of a program in the interpreter that runs the tests."""
    return [sys.executable, *arguments]
