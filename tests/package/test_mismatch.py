"""Module and package of two builds refuse each other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from installation import ROOT, Installed

pytestmark = pytest.mark.timeout(600)

IMPORT = "import asioloop"


def test_another_builds_package_is_refused(from_wheel: Installed, tmp_path: Path) -> None:
    shutil.copytree(from_wheel.site / "asioloop", tmp_path / "asioloop")
    (tmp_path / "asioloop" / "_build_id.py").write_text('BUILD_ID = "9.9-other"\nVERSION = "9.9"\n')
    done = from_wheel(IMPORT, env={"PYTHONPATH": str(tmp_path)}, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith(
        f"ImportError: asioloop in {tmp_path / 'asioloop'} is of build 9.9-other, but its native"
    )
    assert str(from_wheel.site) in last
    assert "install both from one build" in last


def test_a_module_that_tells_no_build_is_refused(from_wheel: Installed, tmp_path: Path) -> None:
    (tmp_path / "_asioloop.py").write_text("class LoopCore: pass\n")
    done = from_wheel(IMPORT, env={"PYTHONPATH": str(tmp_path)}, check=False)
    assert "is of build of unknown origin" in done.stderr.strip().splitlines()[-1]
    assert str(tmp_path / "_asioloop.py") in done.stderr.strip().splitlines()[-1]


def test_the_source_is_refused_before_it_is_built(from_wheel: Installed) -> None:
    done = from_wheel(IMPORT, env={"PYTHONPATH": str(ROOT / "stage3_native_loop")}, check=False)
    assert "is the source, which is not built: install it" in done.stderr.strip().splitlines()[-1]


def test_the_builds_copy_beside_an_installed_one_is_the_one_that_comes_first(from_wheel: Installed) -> None:
    """Both have module and package: whichever is found first is found whole."""
    ext = os.environ["ASIOSERVE_EXT_DIR"]
    code = "import asioloop, _asioloop; print(asioloop.__file__, _asioloop.__file__)"
    assert from_wheel(code).stdout.split()[0] == str(from_wheel.site / "asioloop" / "__init__.py")
    package, module = from_wheel(code, env={"PYTHONPATH": ext}).stdout.split()
    assert Path(package).is_relative_to(ext)
    assert Path(module).is_relative_to(ext)
