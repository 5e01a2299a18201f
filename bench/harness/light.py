"""light_load (bench/load): the load that the figures per request are taken under."""

import contextlib
import json
import select
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bench.harness.errors import RefusedError


@dataclass(frozen=True)
class LightFigures:
    """What one run measured."""

    requests: int
    seconds: float
    load_busy: float


class LightLoad:
    """The program, connected and warmed up; nothing is under way until run(), and nothing is when run() has
    returned.

    So whoever reads the server's CPU time before and after run() has exactly that many requests' worth.
    """

    def __init__(self, line: list[str]) -> None:
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        try:
            self._read_line(30)
        except BaseException:
            self._end()
            raise
        return self

    def run(self, seconds: float) -> LightFigures:
        """Loads the server for so long."""
        assert self._process.stdin is not None
        print(seconds, file=self._process.stdin, flush=True)
        figures = json.loads(self._read_line(seconds + 30))
        return LightFigures(
            requests=figures["requests"],
            seconds=figures["seconds"],
            load_busy=figures["cpu_seconds"] / figures["seconds"],
        )

    def _read_line(self, seconds: float) -> str:
        process = self._process
        assert process.stdout is not None and process.stderr is not None
        # Not select(), which ends at descriptor 1023: the bench may hold ten thousand idle connections.
        # The program writes one line at a time, so the pipe's buffer never hides a second one.
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise RefusedError(f"the load said nothing for {seconds:.0f} s")
        if line := process.stdout.readline():
            return line
        process.wait(timeout=10)
        raise RefusedError(process.stderr.read().strip() or f"the load ended with {process.returncode}")

    def _end(self) -> None:
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


def command(
    program: str, address: tuple[str, int], connections: int, depth: int, requests: Sequence[str]
) -> list[str]:
    """The command line of light_load."""
    host, port = address
    line = [program, "--host", host, "--port", str(port), "--connections", str(connections)]
    line += ["--depth", str(depth)]
    for request in requests:
        line += ["--request", request]
    return line
