"""The process that runs a workload: started, listened to, ended."""

import contextlib
import json
import os
import select
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from bench.harness import procfs
from bench.harness.errors import RefusedError
from bench.loop.rows import Workload

# The worker's own patience with a loop is shorter.
_PATIENCE = 45.0


class UnsupportedError(Exception):
    """The loop says that it cannot do this; the text begins with the class of its error."""


@dataclass(frozen=True)
class Site:
    """Where workers are started."""

    python: Path
    root: Path
    modules: tuple[Path, ...]
    """Folders to import from: our extension's, and the bench's."""
    folder: Path
    cores: tuple[int, int] | None

    def environment(self) -> dict[str, str]:
        """The caller's, without what would change Python: no debug mode, no other hash seed, no other paths."""
        own = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ASIOSERVE_", "VIRTUAL_ENV"))
        }
        return {**own, "PYTHONPATH": os.pathsep.join(str(path) for path in self.modules)}

    def on_core(self, which: int) -> list[str]:
        """The prefix that pins a program: 0 is the measured one's core, 1 the load's."""
        return ["taskset", "-c", str(self.cores[which])] if self.cores else []

    def line_of(self, loop: str, workload: Workload, seconds: float) -> list[str]:
        """The command line of a worker, without what pins it."""
        line = [str(self.python), "-m", "bench.loop.worker", loop, workload.key, str(seconds)]
        line += ["--folder", str(self.folder)]
        return line + (["--other-core", str(self.cores[1])] if self.cores else [])


class Child:
    """A worker. It dies with the bench."""

    def __init__(self, site: Site, loop: str, workload: Workload, seconds: float) -> None:
        with contextlib.suppress(FileNotFoundError):
            (site.folder / "echo.sock").unlink()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _end()
        self._patience = _PATIENCE + 3 * seconds
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *site.on_core(0), *site.line_of(loop, workload, seconds)],
            cwd=site.root,
            env=site.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def tree(self) -> list[int]:
        """Its process and all children; one that has ended is refused."""
        if self._process.poll() is not None:
            raise RefusedError(f"it ended with {self._process.returncode}: {self.last_words()}")
        return procfs.process_tree(self.pid)

    def say(self) -> dict[str, Any]:
        """The line that it prints: figures, or an address."""
        stdout = self._process.stdout
        assert stdout is not None
        poll = select.poll()
        poll.register(stdout, select.POLLIN | select.POLLHUP)
        if not poll.poll(self._patience * 1000):
            raise RefusedError(f"it said nothing for {self._patience:.0f} s: {self.last_words()}")
        line = stdout.readline()
        if not line:
            code = self._process.wait(timeout=10)
            raise RefusedError(f"it ended with {code}: {self.last_words()}")
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            raise RefusedError(f"it printed {line[:200]!r}") from None
        if "unsupported" in said:
            raise UnsupportedError(said["unsupported"])
        return said

    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing to stderr"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()
