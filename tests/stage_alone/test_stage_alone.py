"""Each stage configures, builds and serves by itself: `cmake -S stage2_cached_locals -B ...` and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from blackbox.client import Client, compose
from blackbox.server import ServerProcess

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(1200)


def test_it_serves(built: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    number, folder = built
    monkeypatch.setenv("ASIOSERVE_BIN", str(folder / "bin"))
    with ServerProcess(f"stage{number}", "main:app", "--status-path", "/status") as server:
        with Client(server.address) as client:
            client.send(
                compose("GET", "/hello") + compose("GET", "/sync") + compose("GET", "/wait-for/group")
            )
            assert [client.read().status for _ in range(3)] == [200, 200, 200]
            assert client.get("/status").json()["stage"] == number


def test_it_has_no_other_stage_in_it(built: tuple[int, Path]) -> None:
    number, folder = built
    programs = {path.name for path in (folder / "bin").iterdir()}
    assert f"stage{number}_server" in programs
    stages = {int(path.name[5]): path.name for path in ROOT.glob("stage?_*")}
    others = {n for n in stages if n != number}
    assert not {name for name in programs for n in others if name.startswith(f"stage{n}")}
    commands = (folder / "compile_commands.json").read_text()
    assert not [stages[n] for n in others if stages[n] in commands]


def test_its_contract_holds(built: tuple[int, Path]) -> None:
    """A few of its own tests run there too; all of them run in the whole build."""
    number, folder = built
    program = folder / "bin" / f"stage{number}_contract"
    listed = subprocess.run(
        [program, "--gtest_list_tests"], check=True, capture_output=True, text=True
    ).stdout
    assert listed.count("\n  ") > 10
    done = subprocess.run(
        [program, "--gtest_filter=*Answer*"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "[  PASSED  ]" in done.stdout
