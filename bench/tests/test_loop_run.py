"""Whole runs of the loops' bench, with stand-ins for the load, for strace and for our loop."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.harness import cli
from bench.harness.errors import BenchError
from bench.loop.child import Child, Site, UnsupportedError
from bench.loop.loops import find_loops
from bench.loop.rows import WORKLOADS
from bench.tests.conftest import ROOT, Install

pytestmark = pytest.mark.usefixtures("programs_on_path")

LIKE_ASYNCIO = "from asyncio import new_event_loop\n"
WITHOUT_SERVERS = """import asyncio
class Loop(asyncio.SelectorEventLoop):
    async def create_server(self, *args, **kwargs):
        raise NotImplementedError("no servers")
new_event_loop = Loop
"""
DEAF = """import asyncio
class Loop(asyncio.SelectorEventLoop):
    def _accept_connection(self, *args, **kwargs):
        raise SystemExit(9)
new_event_loop = Loop
"""


@pytest.fixture
def places(build: Path) -> Path:
    """A build folder with an interpreter, and an asioloop that is asyncio's."""
    (build / "ext").mkdir()
    python = build / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    _our_loop(build, LIKE_ASYNCIO)
    return build


def _our_loop(build: Path, source: str) -> None:
    (build / "ext" / "asioloop.py").write_text(source)


def _run(build: Path, rows: str, loops: str = "asioloop") -> tuple[int, dict[str, Any]]:
    line = ["loop", "--quick", "--duration", "0.02", "--rows", rows, "--loops", loops]
    line += ["--build-dir", str(build), "--loops-dir", str(build), "--output", str(build / "r.json")]
    status = cli.main(line)
    path = build / "r.json"
    return status, json.loads(path.read_text()) if path.exists() else {}


def _site(build: Path) -> Site:
    return Site(build / "bin" / "python", ROOT, (build / "ext", ROOT), build, None)


def test_a_run_writes_its_result_and_its_report(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, result = _run(places, "call_soon,tcp_1k_protocol")
    assert status == 0
    rows = [(row["workload"], row["loop"]) for row in result["rows"]]
    loops = ("asyncio", "asioloop")
    assert rows == [(key, loop) for key in ("call_soon", "tcp_1k_protocol") for loop in loops]
    for row in result["rows"]:
        assert [one["number"] for one in row["rounds"]] == [0, 1]
        assert row["rounds"][0]["rate"] > 0 and row["rounds"][0]["cpu_us"] > 0
        assert row["refused"] is None and row["unsupported"] is None
    assert result["rows"][2]["rounds"][0]["load_busy"] == pytest.approx(0.5)
    assert result["commit"] and result["versions"]["python"] and result["machine"]["kernel"]
    assert "<svg" in (places / "r.html").read_text()
    assert "TCP 1 KiB, Protocol" in capsys.readouterr().out


def test_idle_connections_are_weighed(places: Path) -> None:
    status, result = _run(places, "tcp_idle", "asyncio")
    assert status == 0
    assert result["rows"][0]["rounds"][0]["kib_each"] is not None


def test_a_loop_that_is_not_there_is_said_so_and_no_failure(places: Path) -> None:
    (places / "ext" / "zuvloop.py").write_text("raise ImportError('not for this Python')\n")
    status, result = _run(places, "call_soon", "asioloop,zuvloop")
    assert status == 0
    assert {row["loop"] for row in result["rows"]} == {"asyncio", "asioloop"}
    assert result["notes"][-1].endswith("ImportError: not for this Python")


def test_our_loop_must_be_there(places: Path) -> None:
    (places / "ext" / "asioloop.py").unlink()
    site = _site(places)
    with pytest.raises(BenchError, match="asioloop"):
        find_loops(site.python, {"PYTHONPATH": str(ROOT)}, ("asioloop",))


def test_what_our_loop_cannot_do_is_told_and_a_failure(places: Path) -> None:
    _our_loop(places, WITHOUT_SERVERS)
    status, result = _run(places, "tcp_1k_protocol,call_soon")
    assert status == 1
    by_row = {(row["workload"], row["loop"]): row for row in result["rows"]}
    assert by_row["tcp_1k_protocol", "asioloop"]["unsupported"] == "NotImplementedError: no servers"
    assert not by_row["tcp_1k_protocol", "asioloop"]["refused"]
    assert by_row["call_soon", "asioloop"]["rounds"] and by_row["tcp_1k_protocol", "asyncio"]["rounds"]


def test_a_row_with_wrong_bytes_is_refused(places: Path, install: Install) -> None:
    install("echo_load", "echo_load.py", "--wrong")
    status, result = _run(places, "tcp_1k_protocol,call_soon")
    assert status == 1
    refused = {row["workload"]: row["refused"] for row in result["rows"]}
    assert "wrong bytes" in refused["tcp_1k_protocol"] and refused["call_soon"] is None


def test_a_loop_that_dies_is_refused(places: Path) -> None:
    _our_loop(places, DEAF)
    status, result = _run(places, "tcp_1k_protocol")
    assert status == 1
    by_loop = {row["loop"]: row for row in result["rows"]}
    assert by_loop["asioloop"]["refused"].startswith("echo_load: ")
    assert by_loop["asyncio"]["refused"] is None


def test_workers_are_without_debug_mode_and_the_callers_paths(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    environment = _site(places).environment()
    assert [name for name in environment if name.startswith("PYTHON")] == ["PYTHONPATH"]
    assert "/nowhere" not in environment["PYTHONPATH"]


def test_a_worker_that_says_nothing_sensible_is_refused_with_its_last_words(places: Path) -> None:
    (places / "ext" / "asioloop.py").write_text("raise SystemExit('no such luck')\n")
    with Child(_site(places), "asioloop", WORKLOADS["call_soon"], 0.01) as child:
        with pytest.raises(Exception, match="no such luck") as raised:
            child.say()
    assert not isinstance(raised.value, UnsupportedError)


def test_a_load_that_is_not_built_ends_the_run(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (places / "bin" / "echo_load").unlink()
    assert _run(places, "call_soon") == (1, {})
    assert "echo_load is not built" in capsys.readouterr().err
