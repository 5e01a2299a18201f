"""`asioserve` over fake stages, as a child process that never outlives its test."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .load import Load

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_stage.py")
SLOWNESS = float(os.environ.get("ASIOSERVE_TEST_SLOWNESS", "1"))
PR_SET_PDEATHSIG = 1


def binaries() -> Path:
    """ASIOSERVE_BIN, or the newest release build."""
    if given := os.environ.get("ASIOSERVE_BIN"):
        return Path(given).resolve()
    found = sorted((ROOT / "build").glob("release-*/bin/asioserve"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise RuntimeError("no build/release-*/bin/asioserve: run ./test.sh, or set ASIOSERVE_BIN")
    return found[-1].parent


def clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("ASIOSERVE_", "PYTHON", "FAKE_"))}


def eventually(what: str, condition: Callable[[], Any], seconds: float = 20) -> Any:
    """The condition's first true value; fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)
    return value


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def state_of(pid: int) -> str:
    """R, S, Z …, or nothing when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second: it went between open and read
        return ""


def gone(pid: int) -> bool:
    """It runs no more. A zombie counts: whose it is depends on who adopted it."""
    return state_of(pid) in ("", "Z", "X")


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Supervised:
    """A running `asioserve`. `fakes` gives the words of fake stages (fake_stage.py)."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        fakes: dict[int, str] | None = None,
        env: dict[str, str] | None = None,
        stages: tuple[int, ...] = (1, 2, 3),
        sockets: tuple[str, ...] = ("--port", "0"),
        pass_fds: tuple[int, ...] = (),
        app: tuple[str, ...] = ("app:app",),
        real: bool = False,
        wrapper: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.pid_file = folder / "pid"
        self.gate = folder / "gate"
        environment = clean_environment()
        if not real:
            environment |= self._fakes(stages, fakes or {})
        environment |= env or {}
        self.process = subprocess.Popen(
            [
                *wrapper, str(binaries() / "asioserve"), *sockets, "--pid-file", str(self.pid_file), "--log-level", "debug",
                *flags, *app,
            ],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call of libc
            pass_fds=pass_fds,
        )  # fmt: skip
        self.pid = self.process.pid
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _fakes(self, stages: tuple[int, ...], words: dict[int, str]) -> dict[str, str]:
        """Makes the programs; gives the variables that lead to them."""
        bin_folder = self.folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        for stage in stages:
            program = bin_folder / f"stage{stage}_server"
            program.write_text(f'#!/bin/sh\nFAKE_STAGE={stage} exec "{sys.executable}" -I -S "{FAKE}" "$@"\n')
            program.chmod(0o755)
        environment = {f"FAKE_STAGE_{stage}": text for stage, text in words.items()}
        return environment | {"ASIOSERVE_STAGE_DIR": str(bin_folder), "FAKE_GATE": str(self.gate)}

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def log(self) -> str:
        with self._changed:
            return "\n".join(self.lines)

    def logged(self, pattern: str, count: int = 1, seconds: float = 20) -> re.Match[str]:
        """Waits for the count-th line that matches."""
        deadline = time.monotonic() + seconds * SLOWNESS
        with self._changed:
            while True:
                found = [match for line in self.lines if (match := re.search(pattern, line))]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    raise AssertionError(f"no {pattern!r} in the log:\n" + "\n".join(self.lines))
                self._changed.wait(left)

    def listening(self) -> Supervised:
        self.logged(r"listening on ")
        return self

    @property
    def port(self) -> int:
        return int(self.logged(r"listening on http://127\.0\.0\.1:(\d+)")[1])

    def get(self, path: str = "/") -> Any:
        """The answer's JSON, over a connection of its own."""
        return json.loads(self.text(path))

    def text(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * SLOWNESS)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def poke(self, path: str) -> None:
        """Sends a request that gets no answer, as the server crashes or hangs of it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20 * SLOWNESS) as peer:
            peer.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            with contextlib.suppress(TimeoutError, ConnectionError):
                peer.settimeout(0.5)
                peer.recv(1)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`asioserve switch …` or `asioserve status …` for this one."""
        return subprocess.run(
            [str(binaries() / "asioserve"), *words, "--pid-file", str(self.pid_file)],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60 * SLOWNESS,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        answer = self.command("status")
        assert answer.returncode == 0, answer.stderr
        return dict(json.loads(answer.stdout))

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Its exit code."""
        code = self.process.wait(seconds * SLOWNESS)
        self._reader.join(5)
        return code

    def end(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
            try:
                self.process.wait(10 * SLOWNESS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()
        assert not re.search(r"Sanitizer|runtime error:", self.log), self.log


class Eventually:
    """eventually(what, condition): the condition's first true value."""

    def __call__(self, what: str, condition: Callable[[], Any], seconds: float = 20) -> Any:
        return eventually(what, condition, seconds)


class Processes:
    """What /proc tells."""

    gone = staticmethod(gone)
    children_of = staticmethod(children_of)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Eventually:
    return Eventually()


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
def load() -> Callable[..., Load]:
    return Load


@pytest.fixture
def asioserve() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `asioserve` to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(binaries() / "asioserve"), *arguments],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=30 * SLOWNESS,
            check=False,
        )

    return run


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Starts `asioserve` over fake stages."""
    with contextlib.ExitStack() as stack:

        def start(*flags: str, **more: Any) -> Supervised:
            one = Supervised(tmp_path, *flags, **more)
            stack.callback(one.end)
            return one

        yield start
