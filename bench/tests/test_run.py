"""Whole runs, with stand-ins for every program: what is refused, what is ended, what is written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.harness import cli
from bench.harness.errors import RefusedError
from bench.harness.handlers import HANDLERS
from bench.harness.idle import IdleConnections, wake_ups
from bench.harness.launch import RunningServer
from bench.harness.servers import SERVERS, Places
from bench.tests.conftest import ROOT, Install

QUICK = ["--quick", "--rounds", "2", "--duration", "0.05", "--sections", "handlers", "--handlers", "async"]

pytestmark = pytest.mark.usefixtures("programs_on_path")


def _run(build: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    status = cli.main([*arguments, "--build-dir", str(build), "--output", str(build / "r.json")])
    path = build / "r.json"
    return status, json.loads(path.read_text()) if path.exists() else {}


def _places(build: Path) -> Places:
    return Places(ROOT, build, build)


def test_a_run_writes_its_result_and_its_report(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, result = _run(build, "stage3", *QUICK)
    assert status == 0
    assert [row["server"] for row in result["rows"]] == ["floor", "fake", "stage2", "stage3"]
    for row in result["rows"]:
        assert len(row["rounds"]) == 2 and row["refused"] is None
        assert row["rounds"][0]["cpu_us"] > 0
        assert row["rounds"][0]["load_busy"] == pytest.approx(0.5)
    assert result["rows"][3]["rounds"][0]["counters"]["gil_acquisitions"] == pytest.approx(2.0, rel=0.2)
    assert result["commit"] and result["versions"]["python"] and result["machine"]["kernel"]
    assert "<svg" in (build / "r.html").read_text()
    assert "Stage 3 against stage 2:" in capsys.readouterr().out


def test_a_row_with_wrong_answers_is_refused_and_the_others_stand(build: Path, install: Install) -> None:
    install("stage2_server", "server.py", "--wrong")
    status, result = _run(build, "stage3", *QUICK)
    assert status == 1
    refused = {row["server"]: row["refused"] for row in result["rows"]}
    assert "500" in refused.pop("stage2")
    assert set(refused.values()) == {None}


def test_a_server_that_dies_under_load_is_refused(build: Path, install: Install) -> None:
    install("stage3_server", "server.py", "--dies-after", "5")
    status, result = _run(build, "stage3", *QUICK)
    assert status == 1
    assert [row["server"] for row in result["rows"] if row["refused"]] == ["stage3"]


def test_a_load_that_kills_the_server_takes_one_row_away(build: Path, install: Install) -> None:
    install("stage3_server", "server.py", "--dies-of", "/sync")
    arguments = [argument.replace("async", "sync,async") for argument in QUICK]
    status, result = _run(build, "stage3", *arguments)
    assert status == 1
    rows = {row["handler"]: row for row in result["rows"] if row["server"] == "stage3"}
    assert rows["sync"]["refused"] and not rows["async"]["refused"]
    assert len(rows["async"]["rounds"]) == 2


def test_answers_that_only_wrk_finds_wrong_are_refused(build: Path, install: Install) -> None:
    install("wrk", "wrk.py", "--bad")
    status, result = _run(build, "floor", *QUICK)
    assert status == 1
    assert "12 answers" in result["rows"][0]["refused"]


def test_a_program_that_is_not_built_ends_the_run(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (build / "bin" / "stage3_server").unlink()
    status, result = _run(build, "stage3", *QUICK)
    assert (status, result) == (1, {})
    assert "stage3_server is not built" in capsys.readouterr().err


def test_idle_connections_are_held_and_weighed(build: Path) -> None:
    status, result = _run(build, "floor", *QUICK[:-3], "idle", "--idle", "150")
    assert status == 0
    for row in result["idle"]:
        assert (row["wanted"], row["held"]) == (150, 150)
        assert row["rate_while"] > 0


def test_a_server_without_connections_is_seen_asleep_and_one_that_works_is_not(build: Path) -> None:
    with RunningServer(SERVERS["floor"], _places(build), None) as server:
        assert wake_ups([server], 0.2, 0.3)["floor"].count == 0
        with IdleConnections(server.port, 1, HANDLERS["async"].requests[0].to_bytes("h").encode()) as one:
            assert one.held() == 1
        assert wake_ups([server], 0.0, 0.2)["floor"].count >= 0


def test_a_wrong_answer_is_noticed_before_any_load(build: Path, install: Install) -> None:
    install("stage3_server", "server.py", "--wrong")
    with RunningServer(SERVERS["stage3"], _places(build), None) as server:
        with pytest.raises(RefusedError, match="500"):
            server.verify(HANDLERS["async"])


def test_a_server_that_does_not_start_says_why(build: Path) -> None:
    program = build / "bin" / "floor_server"
    program.write_text("#!/bin/sh\necho no such luck >&2\nexit 4\n")
    with pytest.raises(RefusedError, match="did not start: no such luck"):
        with RunningServer(SERVERS["floor"], _places(build), None):
            pass


def test_settings_of_the_caller_do_not_reach_the_servers(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASIOSERVE_ACCESS_LOG", "true")
    monkeypatch.setenv("ASIOSERVE_ABLATE", "no-eager-step")
    places = _places(build)
    assert not [name for name in places.environment_of(SERVERS["stage3"]) if name.startswith("ASIOSERVE_")]
    assert places.environment_of(SERVERS["stage3-no-pooled-task"])["ASIOSERVE_ABLATE"] == "no-pooled-task"


def _servers_of(build: Path) -> list[int]:
    mine = str(build).encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (
                    mine in (folder / "environ").read_bytes()
                    and b"server.py" in (folder / "cmdline").read_bytes()
                ):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_the_bench(build: Path, number: signal.Signals) -> None:
    line = [sys.executable, "-m", "bench.harness", "floor", "--duration", "5", "--build-dir", str(build)]
    line += ["--output", str(build / "r.json")]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) as bench:
        deadline = time.monotonic() + 30
        while len(_servers_of(build)) < 3:
            assert time.monotonic() < deadline and bench.poll() is None
            time.sleep(0.02)
        os.kill(bench.pid, number)
        assert bench.wait(timeout=20) == (130 if number != signal.SIGKILL else -9)
        while _servers_of(build):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert bench.stderr is not None
        if number != signal.SIGKILL:
            assert "interrupted" in bench.stderr.read()
    assert not (build / "r.json").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--help"], 0, "peers"),
        ([], 0, "stage1"),
        (["loop", "--loops", "quickloop"], 2, "quickloop"),
        (["loop", "--rows", "nope"], 2, "tcp_1k_protocol"),
        (["stage9"], 2, "invalid choice"),
        (["all", "--rounds", "0"], 2, "at least 1"),
        (["all", "--handlers", "sync,nope"], 2, "nope"),
        (["all", "--duration", "fast"], 2, "--duration"),
    ],
)
def test_help_and_wrong_flags_need_no_build(arguments: list[str], status: int, words: str) -> None:
    line = [str(ROOT / "bench.sh"), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
