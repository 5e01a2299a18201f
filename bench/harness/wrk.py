"""wrk: how it is called, what it says. Requests per second and latencies come from it."""

import math
import re
import resource
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.harness.errors import BenchError, RefusedError
from bench.harness.handlers import Request

_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_TOTAL = re.compile(r"^\s+(\d+) requests in ([\d.]+)(us|ms|s|m|h),", re.MULTILINE)
_BAD_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


@dataclass(frozen=True)
class WrkFigures:
    """What one run of wrk measured."""

    requests: int
    seconds: float
    p50_us: float | None
    """None: wrk gives 0 now and then when it is short of samples."""
    p99_us: float | None
    load_busy: float
    """The part of a core that wrk needed; near 1 it was wrk that was slow and not the server."""

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


def parse(text: str, load_busy: float = 0.0) -> WrkFigures:
    """Reads wrk's output; refuses it when not every answer was a good one."""
    if bad := _BAD_STATUS.search(text):
        raise RefusedError(f"wrk saw {bad[1]} answers of status 400 or above")
    if errors := _SOCKET_ERRORS.search(text):
        names = ("connect", "read", "write", "timeout")
        seen = [f"{count} {name}" for name, count in zip(names, errors.groups(), strict=True) if count != "0"]
        raise RefusedError(f"wrk saw socket errors: {', '.join(seen)}")
    total = _TOTAL.search(text)
    latency = {percent: float(value) * _UNITS[unit] for percent, value, unit in _LATENCY.findall(text)}
    if total is None or set(latency) != {"50", "99"}:
        raise BenchError(f"wrk's output was not understood:\n{text}")
    if total[1] == "0":
        raise RefusedError("wrk got no answer at all")
    return WrkFigures(
        requests=int(total[1]),
        seconds=float(total[2]) * _UNITS[total[3]] / 1e6,
        p50_us=latency["50"] or None,
        p99_us=latency["99"] or None,
        load_busy=load_busy,
    )


def _quote(text: str) -> str:
    """A Lua string."""
    special = {"\\": "\\\\", '"': '\\"', "\r": "\\r", "\n": "\\n"}
    return '"' + "".join(special.get(c, c) for c in text) + '"'


def script(requests: list[Request], depth: int) -> str | None:
    """The Lua for wrk, None when a plain GET does. `depth` requests go out in one write, and the requests
    take turns."""
    if len(requests) == 1 and depth == 1 and requests[0].method == "GET":
        return None
    formatted = []
    for request in requests:
        headers = ", ".join(f"[{_quote(k)}] = {_quote(v)}" for k, v in request.headers.items())
        body = _quote(request.body) if request.body else "nil"
        formatted.append(
            f"wrk.format({_quote(request.method)}, {_quote(request.path)}, {{{headers}}}, {body})"
        )
    return f"""local batches, turn = {{}}, 0
function init(args)
  for i, one in ipairs({{{", ".join(formatted)}}}) do batches[i] = string.rep(one, {depth}) end
end
function request()
  turn = turn % #batches + 1
  return batches[turn]
end
"""


def command(url: str, connections: int, seconds: float, script_file: Path | None) -> list[str]:
    """One thread, as it has one core; it wants whole seconds."""
    line = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--latency", "--timeout", "5s"]
    if script_file is not None:
        line += ["-s", str(script_file)]
    return [*line, url]


def run(line: list[str], seconds: float) -> WrkFigures:
    """Runs wrk. Shorter runs than the whole seconds that it knows are ended by SIGINT, after which it
    reports as usual."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            try:
                text, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                text, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            raise RefusedError("wrk did not end: the server hangs") from None
        finally:
            if process.poll() is None:
                process.kill()
    elapsed = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        raise RefusedError(f"wrk ended with {process.returncode}: {text.strip()[-300:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return parse(text, load_busy=cpu / elapsed)
