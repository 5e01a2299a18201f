"""A build of each stage by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGES = {1: "stage1_cross_thread", 2: "stage2_cached_locals", 3: "stage3_native_loop"}
PYTHON = os.environ.get("ASIOSERVE_PYTHON", sys.executable)
BUILDS = Path(os.environ.get("ASIOSERVE_ALONE", ROOT / "build" / "alone"))


@pytest.fixture(scope="module", params=STAGES)
def built(request: pytest.FixtureRequest) -> tuple[int, Path]:
    """A stage's own build folder, built."""
    number: int = request.param
    # As deep as every other build: the paths are the same then, and the compiler's cache knows them.
    folder = BUILDS.with_name(f"{BUILDS.name}-{number}")
    source = ROOT / STAGES[number]
    configure = ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run([*configure, f"-DPython_EXECUTABLE={PYTHON}"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder], check=True)
    return number, folder
