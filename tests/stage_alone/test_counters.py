"""The counters that explain the speed, against what strace sees."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from blackbox.client import Client
from blackbox.server import ServerProcess, wait_for

# The stage is built first, by a machine that may have never done it.
pytestmark = pytest.mark.timeout(1200)
REQUESTS = 50
STRACE = ("strace", "-f", "-qq", "-y", "-e", "trace=sendto,write,epoll_ctl,recvfrom")
# A byte through the loop's own socket pair (stage 1), 8 bytes into an eventfd (stage 2), and Asio's way: arming the
# eventfd of its reactor anew.
LOOP_WAKE_UP = re.compile(r'sendto\(\d+<[^>]*>, "\\0", 1,|write\(\d+<anon_inode:\[eventfd\]>, "\\1\\0')
IO_WAKE_UP = re.compile(r"epoll_ctl\(\d+<[^>]*>, EPOLL_CTL_MOD, \d+<anon_inode:\[eventfd\]>")


def _counters(client: Client) -> dict[str, int]:
    text = client.get("/metrics").body.decode()
    return {
        name: int(value)
        for name, value in re.findall(r"^asioserve_(requests|wake_ups)_total (\d+)$", text, re.M)
    }


def test_wake_ups_are_the_system_calls_that_strace_sees(
    built: tuple[int, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    number, folder = built
    monkeypatch.setenv("ASIOSERVE_BIN", str(folder / "bin"))
    trace = tmp_path / "trace"
    with ServerProcess(f"stage{number}", "main:app", "--metrics-path", "/metrics") as server:
        with Client(server.address) as client:
            client.get("/hello")  # what happens once, has happened
            tracer = subprocess.Popen(
                [*STRACE, "-o", str(trace), "-p", str(server.serving_pid())],
                stderr=subprocess.PIPE,
            )

            def attached() -> bool:
                client.get("/metrics")
                return trace.exists() and "/metrics" in trace.read_text()

            try:
                wait_for("strace", attached)
                before, seen = _counters(client), len(trace.read_text())
                for _ in range(REQUESTS):
                    assert client.get("/hello").status == 200
                after = _counters(client)
            finally:
                tracer.terminate()
                tracer.communicate(timeout=20)
    calls = trace.read_text()[seen:]
    counted = after["wake_ups"] - before["wake_ups"]
    loop, io = len(LOOP_WAKE_UP.findall(calls)), len(IO_WAKE_UP.findall(calls))
    assert after["requests"] - before["requests"] == REQUESTS
    if number == 3:
        assert (counted, loop, io) == (0, 0, 0)
    else:
        assert loop == REQUESTS
        # Asio spares the call when the I/O thread has not gone to sleep yet, and the counter the wake-up when a job
        # still waits there: how often, is the machine's business. A call that nobody counted would be a defect.
        assert 0 < io <= counted - loop <= REQUESTS
