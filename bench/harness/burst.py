"""One turn of one row: the light load with the server's CPU time around it, and wrk."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.harness import counters, light, procfs, wrk
from bench.harness.handlers import FLOOR_REQUEST, HANDLERS, Request
from bench.harness.launch import HOST, RunningServer
from bench.harness.plan import Cell
from bench.harness.result import Round
from bench.harness.servers import METRICS_PATH


class Bursts:
    """Makes loads: knows the programs, the cores and wrk's scripts."""

    def __init__(self, program: Path, cores: tuple[int, int] | None) -> None:
        self._program = program
        self._cores = cores
        self._scripts = tempfile.TemporaryDirectory()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scripts.cleanup()

    def requests_of(self, server: RunningServer, cell: Cell) -> tuple[Request, ...]:
        """What this server is asked for in this row."""
        return (FLOOR_REQUEST if server.server.answers_hello_only else HANDLERS[cell.handler]).requests

    def light_load(self, server: RunningServer, cell: Cell) -> light.LightLoad:
        """The light load, not yet connected."""
        host = f"{HOST}:{server.port}"
        requests = [request.to_bytes(host) for request in self.requests_of(server, cell)]
        line = light.command(str(self._program), (HOST, server.port), cell.connections, cell.depth, requests)
        return light.LightLoad([*self._on_core(cell), *line])

    def _on_core(self, cell: Cell) -> list[str]:
        return ["taskset", "-c", str(self._cores[1])] if cell.pinned and self._cores else []

    def measure(self, server: RunningServer, cell: Cell, number: int, seconds: float) -> Round:
        """The figures per request."""
        with self.light_load(server, cell) as load:
            counted = self._counters(server)
            pids = server.tree()
            busy = procfs.machine_busy_seconds()
            begin = time.monotonic()
            before = procfs.sample(pids)
            figures = load.run(seconds)
            used = procfs.used_between(before, procfs.sample(pids))
            elapsed = time.monotonic() - begin
            busy = procfs.machine_busy_seconds() - busy
            counted_after = self._counters(server)
        server.tree()  # refuses a server that has died
        ours = used.cpu_ns * 1e-9 + figures.load_busy * figures.seconds
        return Round(
            number=number,
            cpu_us=used.cpu_ns / 1e3 / figures.requests,
            rate=figures.requests / figures.seconds,
            requests=figures.requests,
            load_busy=figures.load_busy,
            voluntary=used.voluntary / figures.requests,
            involuntary=used.involuntary / figures.requests,
            other_busy=max(0.0, (busy - ours) / elapsed),
            threads_ended=used.threads_ended,
            counters=counters.per_request(counted, counted_after, figures.requests) or None,
        )

    @staticmethod
    def _counters(server: RunningServer) -> dict[str, float]:
        """Read outside of what is measured: the page is a request too."""
        return counters.parse(server.get(METRICS_PATH).decode()) if server.server.has_metrics else {}

    def measure_wrk(self, server: RunningServer, cell: Cell, seconds: float, one: Round) -> Round:
        """Adds requests per second and latencies to a round."""
        requests = list(self.requests_of(server, cell))
        script_file = None
        if (text := wrk.script(requests, cell.depth)) is not None:
            script_file = Path(self._scripts.name) / f"{cell.handler}-{cell.depth}.lua"
            script_file.write_text(text)
        line = wrk.command(server.url + requests[0].path, cell.connections, seconds, script_file)
        figures = wrk.run([*self._on_core(cell), *line], seconds)
        return replace(
            one,
            wrk_rate=figures.requests_per_second,
            wrk_p50_us=figures.p50_us,
            wrk_p99_us=figures.p99_us,
            wrk_load_busy=figures.load_busy,
        )
