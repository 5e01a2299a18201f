"""System calls per request, in a run of their own: strace makes everything slow, and batches larger."""

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.harness import procfs
from bench.harness.errors import BenchError

_LINE = re.compile(r"^\s*(\d+)\s+(\w+)\s*$", re.MULTILINE)


def parse(text: str) -> dict[str, int]:
    """The table of `strace -c -U calls,name`."""
    return {name: int(calls) for calls, name in _LINE.findall(text) if name != "total"}


def count(pids: Sequence[int], load: Callable[[], int]) -> dict[str, float] | None:
    """System calls per request by name, most frequent first, while `load` runs; None where tracing is not
    allowed."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table"
        line = ["strace", "-c", "-f", "-q", "-U", "calls,name", "-o", str(table)]
        for pid in pids:
            line += ["-p", str(pid)]
        with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                deadline = time.monotonic() + 10
                while not all(procfs.is_traced(pid) for pid in pids):
                    if process.poll() is not None:
                        return None
                    if time.monotonic() > deadline:
                        raise BenchError("strace did not attach in 10 s")
                    time.sleep(0.01)
                requests = load()
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
        calls = parse(table.read_text())
    return {name: n / requests for name, n in sorted(calls.items(), key=lambda item: -item[1])}
