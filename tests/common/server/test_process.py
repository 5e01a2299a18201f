"""The life of a server process: what it tells its supervisor, how it starts, how it ends."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blackbox.server import SLOWNESS, ServerProcess, run

APPS = Path(__file__).parent / "apps"
STAGES = ("stage1", "stage2", "stage3")


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def finish(server: ServerProcess) -> None:
    """Nothing of a server outlives its test, and its log is clean."""
    if server.process.poll() is None:
        server.kill()
    server.wait()
    if server.process.stdout is not None:
        server.process.stdout.close()
    server.check_log()


class Supervised:
    """A server that writes into our pipe."""

    def __init__(self, stage: str, *flags: str, life: str = "") -> None:
        self.read_end, write_end = os.pipe()
        self.text = ""
        self.server = ServerProcess(
            stage,
            "lives:app",
            "--supervisor-fd",
            str(write_end),
            *flags,
            env={"LIFE": life},
            cwd=APPS,
            pass_fds=(write_end,),
        )
        os.close(write_end)

    def close_pipe(self) -> None:
        if self.read_end >= 0:
            os.close(self.read_end)
            self.read_end = -1

    def lines(self, until: str, seconds: float = 20) -> list[str]:
        """What it has said, up to and with the line `until`, or to the end of the pipe."""
        deadline = time.monotonic() + seconds * SLOWNESS
        while f"{until}\n" not in self.text:
            if not select.select([self.read_end], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"no {until!r} in {self.text!r}; log:\n{self.server.log}")
            got = os.read(self.read_end, 4096)
            if not got:
                break
            self.text += got.decode()
        return self.text.splitlines()

    def beats_within(self, seconds: float) -> bool:
        """Whether another beat comes."""
        while select.select([self.read_end], [], [], 0)[0]:
            os.read(self.read_end, 4096)
        return bool(select.select([self.read_end], [], [], seconds * SLOWNESS)[0])


@contextmanager
def supervised(stage: str, *flags: str, life: str = "") -> Iterator[Supervised]:
    child = Supervised(stage, *flags, life=life)
    try:
        yield child
    finally:
        child.close_pipe()
        finish(child.server)


@contextmanager
def serving(stage: str, *flags: str, life: str = "", ready: bool = True) -> Iterator[ServerProcess]:
    server = ServerProcess(stage, "lives:app", *flags, env={"LIFE": life}, cwd=APPS)
    try:
        if ready:
            server.wait_listening()
        yield server
    finally:
        finish(server)


def get(server: ServerProcess, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20 * SLOWNESS)
    try:
        connection.request("GET", path, headers={"connection": "close"})
        answer = connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, (answer.status, body)
        return json.loads(body) if body.startswith("{") else body
    finally:
        connection.close()


class TestSupervised:
    def test_it_says_how_far_it_is_and_beats(self, stage: str) -> None:
        with supervised(stage) as child:
            assert child.lines("beat") == ["importing", "imported", "proving", "proved", "ready", "beat"]
            child.server.wait_listening()
            assert get(child.server, "/plain") == "plain"
            assert child.beats_within(10)
            assert child.server.stop() == 0

    def test_a_proof_that_fails_is_exit_1_without_proved(self, stage: str) -> None:
        with supervised(stage, "--fault-proof") as child:
            assert child.lines("proved") == ["importing", "imported", "proving"]
            assert child.server.wait() == 1
            assert "the proof failed" in child.server.log

    def test_a_proof_that_hangs_says_nothing(self, stage: str) -> None:
        with supervised(stage, "--fault-proof-hang") as child:
            child.lines("proving")
            assert not child.beats_within(0.3)
            assert child.server.process.poll() is None
            # Its loop turns, so it can still be ended properly.
            assert child.server.stop() == 128 + signal.SIGTERM

    def test_an_app_that_fails_to_start_says_so(self, stage: str) -> None:
        with supervised(stage, life="startup-raises") as child:
            assert child.lines("failed startup") == [
                "importing",
                "imported",
                "proving",
                "proved",
                "failed startup",
            ]
            assert child.server.wait() == 3
            assert "the database is away" in child.server.log

    def test_it_drains_when_its_supervisor_is_gone(self, stage: str) -> None:
        with supervised(stage) as child:
            child.lines("ready")
            child.close_pipe()
            assert child.server.wait() == 0
            assert "the app shuts down" in child.server.log

    def test_a_crash_on_purpose(self, stage: str) -> None:
        with supervised(stage, "--fault-crash-after", "2") as child:
            child.server.wait_listening()
            assert get(child.server, "/plain") == "plain"
            assert get(child.server, "/plain") == "plain"
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                get(child.server, "/plain")
            assert child.server.wait() == -signal.SIGABRT

    def test_a_hang_on_purpose_stops_the_beats(self, stage: str) -> None:
        with supervised(stage, "--fault-hang-after", "1") as child:
            child.server.wait_listening()
            assert get(child.server, "/plain") == "plain"
            connection = http.client.HTTPConnection("127.0.0.1", child.server.port, timeout=5)
            connection.request("GET", "/")
            time.sleep(0.3)  # the request has to arrive; nothing tells when
            child.beats_within(0)
            assert not child.beats_within(1.8)
            connection.close()

    def test_the_app_s_wish_to_leave_is_told(self, stage: str) -> None:
        with supervised(stage) as child:
            child.lines("ready")
            child.server.wait_listening()
            assert get(child.server, "/exit-in-task") == "on its way"
            assert "leaving" in child.lines("leaving")
            assert child.server.wait() == 7

    def test_a_signal_for_both_of_them_is_one_wish(self, stage: str) -> None:
        with supervised(stage) as child:
            child.lines("ready")
            child.server.signal(signal.SIGINT)
            child.server.signal(signal.SIGTERM)
            assert child.server.wait() == 0

    def test_the_second_half_of_a_wish_may_come_very_late(self, stage: str) -> None:
        with supervised(stage, life="lingers") as child:
            child.lines("ready")
            child.server.signal(signal.SIGINT)
            child.server.wait_for_log("lingering")
            child.server.signal(signal.SIGTERM)
            assert child.server.wait() == 0


class TestStarting:
    def test_a_descriptor_that_is_not_open(self, stage: str) -> None:
        code, log = run(stage, "lives:app", "--port", "0", "--supervisor-fd", "77", cwd=APPS)
        assert code == 1
        assert "--supervisor-fd: 77 is not open" in log

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_cancels_the_startup(self, stage: str, number: signal.Signals) -> None:
        with serving(stage, life="startup-hangs", ready=False) as server:
            server.wait_for_log("starting for ever")
            server.signal(number)
            assert server.wait() == 128 + number
            assert "the startup was cancelled" in server.log
            assert "Traceback" not in server.log

    def test_a_startup_that_cannot_be_cancelled_is_ended_by_a_second_signal(self, stage: str) -> None:
        with serving(stage, life="startup-hangs-in-c", ready=False) as server:
            server.wait_for_log("starting for ever")
            server.signal(signal.SIGTERM)
            time.sleep(0.1)  # two at once are one
            server.signal(signal.SIGTERM)
            assert server.wait() == 128 + signal.SIGTERM

    def test_an_exit_in_the_startup_is_the_exit_code(self, stage: str) -> None:
        code, log = run(stage, "lives:app", "--port", "0", env={"LIFE": "startup-exits"}, cwd=APPS)
        assert code == 9, log
        assert "Traceback" not in log

    def test_the_heap_of_the_start_is_frozen_unless_told_otherwise(self, stage: str) -> None:
        with serving(stage) as server:
            assert get(server, "/")["frozen"] > 1000
        bare = [sys.executable, "-c", "import gc; print(gc.get_freeze_count())"]  # 3.12 has some of its own
        of_python = int(subprocess.run(bare, check=True, capture_output=True, text=True).stdout)
        with serving(stage, "--no-gc-freeze") as server:
            assert get(server, "/")["frozen"] == of_python


class TestEnding:
    def test_an_exit_in_a_task_drains_first(self, stage: str) -> None:
        """Under asyncio.run it would end the loop with requests unanswered."""
        with serving(stage) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("GET", "/slow")
            server.wait_for_log("slow has begun")
            assert get(server, "/exit-in-task") == "on its way"
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"slow but there")
            assert server.wait() == 7
            assert "the app shuts down" in server.log

    def test_a_loop_that_the_app_stops(self, stage: str) -> None:
        with serving(stage) as server:
            get(server, "/stop-the-loop")
            assert server.wait() == 1
            assert "Event loop stopped" in server.log
            assert "the app shuts down" in server.log

    def test_an_app_that_cancels_every_task(self, stage: str) -> None:
        with serving(stage) as server:
            assert get(server, "/cancel-all") == "all cancelled"
            assert server.wait() == 0
            assert "the app shuts down" in server.log

    def test_a_shutdown_that_raises_is_exit_1_with_a_traceback(self, stage: str) -> None:
        with serving(stage, life="shutdown-raises") as server:
            assert server.stop() == 1
            assert "RuntimeError: the database hangs up" in server.log

    def test_a_shutdown_that_exits(self, stage: str) -> None:
        with serving(stage, life="shutdown-exits") as server:
            assert server.stop() == 8

    # Five seconds each, so not in every combination.
    @pytest.mark.parametrize(
        ("stage", "path"), [("stage1", "/executor-for-ever"), ("stage3", "/thread-for-ever")]
    )
    def test_a_thread_that_never_ends_does_not_hold_it_up_for_ever(self, stage: str, path: str) -> None:
        with serving(stage, "--timeout-graceful-shutdown", "100ms") as server:
            assert get(server, path) == "started"
            server.signal(signal.SIGTERM)
            assert server.wait() == 0, "the app itself has shut down as it should"
            assert "did not end within --timeout-graceful-shutdown" in server.log

    @pytest.mark.parametrize("stage", ["stage2"])
    def test_a_shutdown_that_hangs_is_bounded(self, stage: str) -> None:
        with serving(stage, "--timeout-graceful-shutdown", "100ms", life="shutdown-hangs") as server:
            assert server.stop() == 1
            assert "did not end within --timeout-graceful-shutdown" in server.log

    def test_a_second_signal_ends_an_interpreter_that_takes_its_time(self, stage: str) -> None:
        with serving(stage, life="lingers") as server:
            server.signal(signal.SIGTERM)
            server.wait_for_log("lingering")
            server.signal(signal.SIGTERM)
            assert server.wait() == 128 + signal.SIGTERM
            assert "second signal, ending at once" in server.log

    def test_a_loop_that_hangs_is_bounded(self, stage: str) -> None:
        with serving(stage, "--timeout-graceful-shutdown", "100ms") as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("GET", "/hang")
            server.wait_for_log("hanging")
            assert server.stop() == 1
            connection.close()

    def test_the_counters_are_in_the_log(self, stage: str) -> None:
        with serving(stage) as server:
            get(server, "/plain")
            assert server.stop() == 0
            assert server.wait_for_log(r"counters: requests 1, GIL acquisitions \d+, hand-offs \d+")


class TestProcess:
    def test_a_forked_child_is_no_server(self, stage: str) -> None:
        with serving(stage) as server:
            assert get(server, "/fork") == {"status": -signal.SIGTERM}
            assert get(server, "/plain") == "plain"
            assert server.stop() == 0

    def test_no_thread_of_python_s_is_left_by_the_proof(self, stage: str) -> None:
        with supervised(stage) as child:
            child.server.wait_listening()
            assert get(child.server, "/threads") in ("1", "2")
            assert child.server.stop() == 0
