"""A server as a child process: started on port 0, watched, stopped by its pid, and read to its last log line."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
APPS = ROOT / "tests" / "equivalence" / "apps"
#: Every kind of server that must behave the same.
KINDS = ("stage1", "stage2", "stage3", "asioserve")
#: Sanitizer builds are slower: limits on waiting are stretched, nothing else depends on it.
SLOWNESS = float(os.environ.get("ASIOSERVE_TEST_SLOWNESS", "1"))

LISTENING = re.compile(r"listening on (\S+)")
SANITIZER = re.compile(r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error: )")
_PR_SET_PDEATHSIG = 1


@cache
def newest_build() -> Path:
    """The release build that was linked last, found once: another one may be linked while the tests run."""
    found = (ROOT / "build").glob("release-*/bin/stage1_server")
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        raise RuntimeError("no build/release-*/bin: run ./test.sh, or set ASIOSERVE_BIN")
    return newest.parent


def binaries() -> Path:
    """The folder of the programs under test: ASIOSERVE_BIN, or the newest release build."""
    given = os.environ.get("ASIOSERVE_BIN")
    return Path(given) if given else newest_build()


def command(kind: str) -> list[str]:
    """The program of a kind, with what is its own on the command line."""
    if kind == "asioserve":
        return [str(binaries() / "asioserve"), "--stage", "3"]
    if kind == "asioserve-any":  # The caller says which stage.
        return [str(binaries() / "asioserve")]
    return [str(binaries() / f"{kind}_server")]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(what: str, condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Polls until the condition holds; a TimeoutError that says what was waited for when it does not."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain: {what}")
        time.sleep(0.005)


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The tests' own environment without what would change a server's behaviour."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ASIOSERVE_", "PYTHON"))}
    env.update(extra or {})
    return env


class ServerProcess:
    """One server. Use it as a context manager: leaving it stops the process and checks how it ended."""

    def __init__(
        self,
        kind: str,
        app: str,
        *flags: str,
        env: dict[str, str] | None = None,
        cwd: Path = APPS,
        pass_fds: Sequence[int] = (),
        socket_flags: Sequence[str] = ("--host", "127.0.0.1", "--port", "0"),
    ) -> None:
        self.kind = kind
        # The subcommand-less form: flags first, as a newcomer may type them either way.
        self.args = [*command(kind), app, *socket_flags, *flags]
        self.process = subprocess.Popen(
            self.args,
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,  # noqa: PLW1509
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
        self.pid = self.process.pid
        self.urls: list[str] = []
        self._lines: list[str] = []
        self._event = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ended = False

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            with self._event:
                self._lines.append(line)
                if found := LISTENING.search(line):
                    self.urls.append(found.group(1))
                self._event.notify_all()
        self.process.stdout.close()
        with self._event:
            self._ended = True
            self._event.notify_all()

    @property
    def log(self) -> str:
        """All that was printed up to now, both streams."""
        with self._event:
            return "\n".join(self._lines)

    def wait_for_log(self, pattern: str, seconds: float = 10.0) -> re.Match[str]:
        """Waits until something matching was printed."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + seconds * SLOWNESS
        with self._event:
            while True:
                for line in self._lines:
                    if found := expression.search(line):
                        return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    log = "\n".join(self._lines)
                    raise AssertionError(f"no line matches {pattern!r} in the log of {self.args}:\n{log}")
                self._event.wait(left)

    def wait_listening(self, seconds: float = 30.0) -> ServerProcess:
        """Waits for the line that tells the address, and until the app answers there."""
        self.wait_for_log(LISTENING.pattern, seconds)
        return self

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].rstrip("/"))

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def serving_pid(self) -> int:
        """The process with Python in it: the supervisor's child, or the server itself."""
        if not self.kind.startswith("asioserve"):
            return self.pid
        children = children_of(self.pid)
        assert len(children) == 1, f"the supervisor has children {children}"
        return children[0]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit code; AssertionError when it does not come."""
        try:
            code = self.process.wait(seconds * SLOWNESS)
        except subprocess.TimeoutExpired:
            where = stacks(self.pid)
            self.kill()
            raise AssertionError(f"{self.args} did not end; log:\n{self.log}\n{where}") from None
        self._reader.join(5 * SLOWNESS)
        return code

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        pids = [*children_of(self.pid), self.pid]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        self._reader.join(5)

    def check_log(self) -> None:
        """What no server may ever print."""
        log = self.log
        assert not SANITIZER.search(log), f"a sanitizer complains:\n{log}"
        assert "Fatal Python error" not in log, log
        assert "was never awaited" not in log, log
        assert "Task was destroyed but it is pending" not in log, log

    def __enter__(self) -> ServerProcess:
        try:
            return self.wait_listening()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, kind: object, *rest: object) -> None:
        if self.process.poll() is None:
            if kind is not None:
                self.kill()
                return
            assert self.stop() == 0, self.log
        self.check_log()


def children_of(pid: int) -> list[int]:
    """The direct children, living ones only."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in text.split()]


def fds_of(pid: int) -> dict[str, str]:
    """Descriptor to what it is, for a process that may be closing some meanwhile."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except FileNotFoundError:
            continue
    return found


def rss_kib(pid: int) -> int:
    """Resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"no VmRSS of {pid}")


def stacks(pid: int) -> str:
    """What the threads of a process that hangs wait in, as far as the kernel tells."""
    out = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            out.append(
                f"thread {task.name}: {(task / 'wchan').read_text()} {(task / 'syscall').read_text().strip()}"
            )
    except OSError as error:
        out.append(str(error))
    return "\n".join(out)


def run(
    kind: str, *args: str, env: dict[str, str] | None = None, seconds: float = 30, cwd: Path = APPS
) -> tuple[int, str]:
    """Runs a server that is expected to end by itself: its exit code and all that it printed."""
    done = subprocess.run(
        [*command(kind), *args],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds * SLOWNESS,
        preexec_fn=_die_with_parent,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


class Pool:
    """Servers that live as long as the session: one for each kind, app and set of flags that a test asked for."""

    def __init__(self) -> None:
        self._servers: dict[tuple[object, ...], ServerProcess] = {}

    def get(self, kind: str, app: str = "main:app", *flags: str) -> ServerProcess:
        key = (kind, app, flags)
        server = self._servers.get(key)
        if server is None or server.process.poll() is not None:
            if server is not None:
                print(
                    f"{server.args} ended by itself with {server.process.returncode}:\n{server.log}",
                    file=sys.stderr,
                )
            server = ServerProcess(kind, app, *flags)
            self._servers[key] = server
            server.__enter__()
        return server

    def all(self) -> Iterator[ServerProcess]:
        return iter(list(self._servers.values()))

    def close(self) -> list[str]:
        """Stops all of them; what was wrong with any, one text each."""
        wrong = []
        for server in self.all():
            if server.process.poll() is None:
                server.signal(signal.SIGTERM)
        for server in self.all():
            try:
                code = server.wait()
                assert code == 0, f"{server.args} ended with {code}:\n{server.log}"
                server.check_log()
            except AssertionError as error:
                wrong.append(str(error))
        self._servers.clear()
        return wrong
