"""Starts servers, waits until they serve, and ends them whatever happens."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bench.harness import procfs
from bench.harness.errors import BenchError, RefusedError
from bench.harness.handlers import FLOOR_REQUEST, Handler
from bench.harness.servers import Places, Server

HOST = "127.0.0.1"
_LISTENING = re.compile(rb"listening on http://[^\s/]*:(\d+)")


def free_port() -> int:
    """A port that nobody has at the moment, for servers that cannot say which one they got."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class RunningServer:
    """A server's process. Its children die with it, and it dies with the bench."""

    def __init__(self, server: Server, places: Places, core: int | None, extra: Sequence[str] = ()) -> None:
        program = Path(places.command_of(server)[0])
        if not program.exists():
            raise BenchError(f"{server.title}: {program.name} is not built")
        self.server = server
        self.port = free_port() if server.port_is_given else 0
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        # --pdeathsig: even kill -9 of the bench leaves nothing behind.
        line = ["setpriv", "--pdeathsig", "KILL"]
        if core is not None:
            line += ["taskset", "-c", str(core)]
        line += [*places.command_of(server, self.port), *extra]
        self._process = subprocess.Popen(
            line,
            cwd=places.root,
            env=places.environment_of(server),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal is for the bench, which then ends the servers one by one.
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        try:
            self._wait_until_up(60)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def is_alive(self, grace: float = 0.0) -> bool:
        """False once its process has ended, which may be a moment after its connections have."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace)
        return self._process.poll() is None

    def tree(self) -> list[int]:
        """Its process and all children; a server that has died is refused."""
        if (code := self._process.poll()) is not None:
            raise RefusedError(f"{self.server.title} ended with {code}: {self._end_of_log()}")
        return procfs.process_tree(self.pid)

    def move_to(self, cores: Sequence[int]) -> None:
        """Lets every thread run on these cores and no others."""
        for pid in self.tree():
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), cores)

    def _end_of_log(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return " | ".join(lines[-5:]) or "it said nothing"

    def _is_up(self) -> bool:
        if self.server.port_is_given:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                return False
            return True
        self._log.seek(0)
        if found := _LISTENING.search(self._log.read()):
            self.port = int(found[1])
            return True
        return False

    def _wait_until_up(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._is_up():
            if self._process.poll() is not None:
                raise RefusedError(f"{self.server.title} did not start: {self._end_of_log()}")
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"{self.server.title} is not up after {seconds:.0f} s: {self._end_of_log()}"
                )
            time.sleep(0.02)

    def get(self, path: str) -> bytes:
        """One answer's body."""
        return self.ask(path, "GET", {}, "")

    def ask(self, path: str, method: str, headers: dict[str, str], body: str) -> bytes:
        """One answer's body; anything but a 200 is refused."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            raise RefusedError(
                f"{self.server.title}, {method} {path}: {error}: {self._end_of_log()}"
            ) from None
        finally:
            connection.close()
        if answer.status != 200:
            raise RefusedError(f"{self.server.title}, {method} {path}: {answer.status} {content[:200]!r}")
        return content

    def verify(self, handler: Handler) -> None:
        """Asks once, before any load, so that nobody measures how fast the wrong answer is."""
        asked = FLOOR_REQUEST if self.server.answers_hello_only else handler
        for request in (asked.requests[0], asked.requests[-1]):
            got = self.ask(request.path, request.method, dict(request.headers), request.body)
            if asked.expected is not None and got != asked.expected:
                raise RefusedError(
                    f"{self.server.title}, {request.path}: {got[:200]!r} and not {asked.expected!r}"
                )

    def stop(self) -> None:
        """Asks it to end, then makes it; waits for its children too."""
        tree = procfs.process_tree(self.pid) if self._process.poll() is None else []
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        # Only those that were its children when it was asked: the number of a child that has ended could be
        # another's.
        for pid in tree[1:]:
            try:
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._log.close()
