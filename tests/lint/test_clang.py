"""What Clang sees and GCC does not: the GIL and the thread roles as capabilities, clang-tidy; and lone headers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from checked import BUILD, Unit, compile_all, run_all, units
from rules import ROOT, files, includes, text_of

#: Checked by clang-tidy every time; with what has changed. ./test.sh --full checks all of them.
KEY_FILES = (
    "common/http/connection.cpp",
    "common/http/connection_in.cpp",
    "common/http/request_parser.cpp",
    "common/http/server.cpp",
    "common/app/app_handler.cpp",
    "common/app/run_server.cpp",
    "stage1_cross_thread/runner.cpp",
    "stage2_cached_locals/runner.cpp",
    "stage3_native_loop/runner.cpp",
)

pytestmark = pytest.mark.timeout(1500)


def flags_for(header: str, all_units: list[Unit]) -> tuple[str, ...]:
    """Those of a source beside it: same folder if there is one, else the nearest above; the one with most of them."""
    all_units = sorted(all_units, key=lambda unit: -len(unit.arguments))
    folder = Path(header).parent
    for where in (folder, *folder.parents):
        for unit in all_units:
            if Path(unit.name).is_relative_to(where) and Path(unit.name).parent == where:
                return unit.arguments
        for unit in all_units:
            if str(where) != "." and Path(unit.name).is_relative_to(where):
                return unit.arguments
    return all_units[0].arguments


def changed() -> set[str]:
    """Sources that differ from the commit before this one, committed or not."""
    base = ["git", "diff", "--name-only", "HEAD~1"]
    done = subprocess.run(base, cwd=ROOT, capture_output=True, text=True, check=False)
    return {name for name in done.stdout.split() if name.endswith(".cpp")}


def test_every_source_is_clean_under_clang_with_thread_safety() -> None:
    jobs = {unit.name: [*unit.arguments, "-fsyntax-only", str(unit.source)] for unit in units()}
    assert len(jobs) > 20, "the compile commands are not those of the whole tree"
    assert not [name for name, command in jobs.items() if "-Wthread-safety" not in command]
    wrong = compile_all("syntax", jobs)
    assert not wrong, "\n".join(wrong)


def test_every_header_stands_alone() -> None:
    """A header that a source includes first has been read alone by the test above."""
    all_units = units()
    first = {
        next((path for mark, path in includes(text_of(unit.name)) if mark == '"'), "") for unit in all_units
    }
    headers = [name for name in files() if name.endswith(".hpp") and name not in first]
    jobs = {
        name: [
            *flags_for(name, all_units),
            "-fsyntax-only",
            "-Wno-pragma-once-outside-header",
            "-x",
            "c++",
            str(ROOT / name),
        ]
        for name in headers
    }
    wrong = compile_all("headers", jobs)
    assert not wrong, "\n".join(wrong)


def test_thread_safety_is_really_checked(tmp_path: Path) -> None:
    """A function that needs the GIL, called without it, must not compile."""
    arguments = next(u.arguments for u in units() if u.name.startswith("common/app/"))
    source = tmp_path / "wrong.cpp"
    template = """
        #include "common/python/gil.hpp"
        void needs() ASIOSERVE_REQUIRES(asioserve::py::gil);
        void calls() %s { needs(); }
    """
    source.write_text(template % "ASIOSERVE_REQUIRES(asioserve::py::gil)")
    good = subprocess.run(
        [*arguments, "-fsyntax-only", str(source)], capture_output=True, text=True, check=False
    )
    assert good.returncode == 0, good.stderr
    source.write_text(template % "")
    bad = subprocess.run(
        [*arguments, "-fsyntax-only", str(source)], capture_output=True, text=True, check=False
    )
    assert bad.returncode != 0
    assert "thread-safety" in bad.stderr


def test_clang_tidy_finds_nothing() -> None:
    everything = os.environ.get("ASIOSERVE_LINT_ALL")
    wanted = {unit.name for unit in units()} if everything else {*KEY_FILES, *changed()}
    chosen = [unit for unit in units() if unit.name in wanted]
    assert len(chosen) >= len(KEY_FILES), "key files have moved"

    def one(unit: Unit) -> str | None:
        done = subprocess.run(
            ["clang-tidy", "--quiet", "-p", str(BUILD), str(unit.source)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{unit.name}:\n{done.stdout[:4000]}" if done.returncode else None

    wrong = run_all(one, chosen)
    assert not wrong, "\n".join(wrong)
