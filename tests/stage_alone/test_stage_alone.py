"""Each stage configures, builds and serves by itself: `cmake -S stage2_cached_locals -B ...` and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from blackbox.client import Client, compose
from blackbox.server import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
STAGES = {1: "stage1_cross_thread", 2: "stage2_cached_locals", 3: "stage3_native_loop"}
PYTHON = os.environ.get("ASIOSERVE_PYTHON", sys.executable)
BUILDS = Path(os.environ.get("ASIOSERVE_ALONE", ROOT / "build" / "alone"))

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module", params=STAGES)
def built(request: pytest.FixtureRequest) -> tuple[int, Path]:
    """A stage's own build folder, built."""
    number: int = request.param
    folder = BUILDS / str(number)
    source = ROOT / STAGES[number]
    configure = ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run([*configure, f"-DPython_EXECUTABLE={PYTHON}"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder], check=True)
    return number, folder


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
    others = {n for n in STAGES if n != number}
    assert not {name for name in programs for n in others if name.startswith(f"stage{n}")}
    commands = (folder / "compile_commands.json").read_text()
    assert not [STAGES[n] for n in others if STAGES[n] in commands]


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
