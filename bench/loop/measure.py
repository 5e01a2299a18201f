"""One turn of one loop at one workload, each in a process of its own."""

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.harness import procfs, strace, wrk
from bench.harness.errors import RefusedError
from bench.harness.handlers import HANDLERS
from bench.harness.idle import IdleConnections
from bench.harness.launch import HOST, RunningServer
from bench.harness.light import LightFigures, LightLoad
from bench.harness.servers import Places, Server
from bench.loop.child import Child, Site, UnsupportedError
from bench.loop.loops import LOOPS
from bench.loop.result import LoopRound
from bench.loop.rows import Load, Workload
from bench.loop.work.protocols import MESSAGE

_HELLO = HANDLERS["async"]
_SETTLE = 0.3
_WRK_WARM_UP = 0.2
_ERROR = re.compile(r"\b([A-Za-z_.]*(?:Error|Exception)\b.*)")


@dataclass(frozen=True)
class Measuring:
    """What every turn needs to know."""

    site: Site
    places: Places
    echo_load: Path
    connections: int
    seconds: float

    def measure(self, loop: str, workload: Workload, number: int) -> LoopRound:
        """The figures of one turn."""
        if not workload.work:
            return self._by_wrk(loop, number)
        if workload.load is None:
            return self._inside(loop, workload, number)
        return self._served(loop, workload, workload.load, number)

    def system_calls(self, loop: str, workload: Workload, seconds: float) -> dict[str, float] | None:
        """By name, per operation, under strace; None where tracing is not allowed."""
        assert workload.load is not None
        with Child(self.site, loop, workload, seconds) as child:
            line = self.line_of(workload.load, child.say()["address"])
            with LightLoad(line) as load:
                return strace.count(child.tree(), partial(_requests, load, seconds))

    def line_of(self, load: Load, address: dict[str, object]) -> list[str]:
        """The command line of echo_load."""
        line = [*self.site.on_core(1), str(self.echo_load), "--transport", load.transport]
        line += ["--path", str(address["path"])] if address["path"] else ["--port", str(address["port"])]
        line += ["--request", str(load.request), "--answer", str(load.answer), "--depth", str(load.depth)]
        return [*line, "--connections", str(load.connections or self.connections)]

    # --- the three ways --------------------------------------------------------------------------------------

    def _inside(self, loop: str, workload: Workload, number: int) -> LoopRound:
        with Child(self.site, loop, workload, self.seconds) as child:
            said = child.say()
        # Of bytes, the time for a KiB is what can be read.
        unit = 1024 if workload.bytes_each else 1
        return LoopRound(
            number=number,
            rate=said["count"] / said["seconds"],
            cpu_us=said["cpu_seconds"] * 1e6 * unit / said["count"],
            other_busy=said["other_busy"],
        )

    def _served(self, loop: str, workload: Workload, load: Load, number: int) -> LoopRound:
        with ExitStack() as stack:
            child = stack.enter_context(Child(self.site, loop, workload, self.seconds))
            address = child.say()["address"]
            try:
                client = stack.enter_context(LightLoad(self.line_of(load, address)))
                kib_each = None
                if workload.idle:
                    empty = _settled_memory(child)
                    held = IdleConnections(address["port"], workload.idle, MESSAGE[:1024], MESSAGE[:64])
                    stack.enter_context(held)
                    kib_each = (_settled_memory(child) - empty) / 1024 / workload.idle
                    if held.held() != workload.idle:
                        raise RefusedError(f"{workload.idle - held.held()} idle connections were closed")
                return self._under(child, client, workload, number, kib_each)
            except RefusedError as error:
                # A loop that fails at a connection, or a write, has said so to stderr only.
                words = child.last_words()
                if found := _ERROR.search(words):
                    raise UnsupportedError(found[1]) from error
                raise RefusedError(f"{error}; {words}") from error

    def _under(
        self, child: Child, client: LightLoad, workload: Workload, number: int, kib_each: float | None
    ) -> LoopRound:
        busy, begin = procfs.machine_busy_seconds(), time.monotonic()
        before = procfs.sample(child.tree())
        figures = client.run(self.seconds)
        used = procfs.used_between(before, procfs.sample(child.tree()))
        busy, elapsed = procfs.machine_busy_seconds() - busy, time.monotonic() - begin
        ours = used.cpu_ns * 1e-9 + figures.load_busy * figures.seconds
        each = workload.bytes_each or 1
        kib = each / 1024 if workload.bytes_each else 1.0
        return LoopRound(
            number=number,
            rate=_rate(figures) * each,
            cpu_us=used.cpu_ns / 1e3 / figures.requests / kib,
            load_busy=figures.load_busy,
            other_busy=max(0.0, (busy - ours) / elapsed),
            kib_each=kib_each,
        )

    def _by_wrk(self, loop: str, number: int) -> LoopRound:
        core = self.site.cores[0] if self.site.cores else None
        try:
            server = RunningServer(_uvicorn(loop, self.site), self.places, core)
            with server:
                server.verify(_HELLO)
                line = [*self.site.on_core(1)]
                url = server.url + _HELLO.requests[0].path
                line += wrk.command(url, self.connections, self.seconds, None)
                wrk.run(line, _WRK_WARM_UP)
                busy, begin = procfs.machine_busy_seconds(), time.monotonic()
                before = procfs.sample(server.tree())
                figures = wrk.run(line, self.seconds)
                used = procfs.used_between(before, procfs.sample(server.tree()))
                busy, elapsed = procfs.machine_busy_seconds() - busy, time.monotonic() - begin
        except RefusedError as error:
            if "did not start" in str(error) and (found := _ERROR.search(str(error).rpartition(" | ")[2])):
                raise UnsupportedError(found[1]) from error
            raise
        ours = used.cpu_ns * 1e-9 + figures.load_busy * elapsed
        return LoopRound(
            number=number,
            rate=figures.requests_per_second,
            cpu_us=used.cpu_ns / 1e3 / figures.requests,
            load_busy=figures.load_busy,
            other_busy=max(0.0, (busy - ours) / elapsed),
        )


def _rate(figures: LightFigures) -> float:
    return figures.requests / figures.seconds


def _requests(load: LightLoad, seconds: float) -> int:
    return load.run(seconds).requests


def _settled_memory(child: Child) -> int:
    time.sleep(_SETTLE)
    return procfs.resident_bytes(child.tree())


def _uvicorn(loop: str, site: Site) -> Server:
    """uvicorn at its best, on this loop."""
    line = ["{peers}/python", "-m", "uvicorn", "--host", HOST, "--port", "{port}"]
    line += ["--loop", LOOPS[loop].factory, "--http", "httptools", "--lifespan", "off", "--no-access-log"]
    line += ["--log-level", "warning", "--app-dir", "bench/peers", "asgi_app:app"]
    modules = site.environment()["PYTHONPATH"]
    environment = {"PYTHONPATH": modules, "PYTHONASYNCIODEBUG": "", "PYTHONDEVMODE": ""}
    title = f"uvicorn on {loop}"
    return Server(f"uvicorn-{loop}", title, "peer", tuple(line), environment, port_is_given=True)
