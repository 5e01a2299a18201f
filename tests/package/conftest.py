"""Builds the wheel and the sdist once, and installs each into a virtual environment of its own.

Nothing but the build's own requirements comes from an index: the wheel is built without isolation, where those are
installed already; the sdist as a user would, so that pyproject.toml is shown to name them all.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from installation import FOLDER, ROOT, Installed, pip, run, virtual_environment


@pytest.fixture(scope="session")
def dist() -> Path:
    folder = FOLDER / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", dist, ROOT)
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    code = "import sys, scikit_build_core.build as b; b.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", code, dist)
    (found,) = dist.glob("*.tar.gz")
    return found


@pytest.fixture(scope="session")
def from_wheel(wheel: Path) -> Installed:
    python = virtual_environment(FOLDER / "venv-wheel")
    pip("--python", python, "install", "--no-index", wheel)
    return Installed(python)


@pytest.fixture(scope="session")
def from_sdist(sdist: Path) -> Installed:
    python = virtual_environment(FOLDER / "venv-sdist")
    # It is unpacked somewhere else each time: what counts for ccache is what is below that.
    pip("--python", python, "install", "--no-deps", sdist, env={"CCACHE_BASEDIR": tempfile.gettempdir()})
    return Installed(python)
