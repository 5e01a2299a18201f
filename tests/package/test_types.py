"""What type checkers see of the installed package, and that it is what there is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from installation import ROOT, Installed, run

pytestmark = pytest.mark.timeout(600)

PROGRAM = """
import asyncio
import _asioloop
import asioloop
from asioserve import App

async def main() -> int:
    loop = asyncio.get_running_loop()
    handle = loop.call_later(1, print, "x")
    handle.cancel()
    own = asioloop.new_event_loop()
    reveal_type(await own.create_connection(asyncio.Protocol, "::1", 80, ssl=True))
    return 1

reveal_type(asioloop.run(main()))
reveal_type(asioloop.new_event_loop())
reveal_type(asioloop.new_event_loop().call_soon(print))
reveal_type(asioloop.EventLoopPolicy())
reveal_type(asioloop.__version__)
reveal_type(_asioloop.build_id)
reveal_type(asyncio.run(main(), loop_factory=asioloop.new_event_loop))
reveal_type(App())
asioloop.run(main)
"""

REVEALED = [
    "tuple[asyncio.transports.Transport, asyncio.protocols.BaseProtocol]",
    "int",
    "asioloop._loop.Loop",
    "asyncio.events.Handle",
    "asioloop._policy.EventLoopPolicy",
    "str",
    "str",
    "int",
    "asioserve._app.App",
]


def test_mypy_finds_the_types_of_what_is_installed(from_wheel: Installed, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = run(
        *(sys.executable, "-m", "mypy", "--strict", "--python-executable", from_wheel.python),
        *("--python-version", "3.12", "--cache-dir", tmp_path / "cache", "--config-file", os.devnull),
        tmp_path / "program.py",
        check=False,
    )
    lines = done.stdout.splitlines()
    assert [line.split('"')[1] for line in lines if "Revealed type" in line] == REVEALED
    errors = [line for line in lines if ": error:" in line]
    assert len(errors) == 1, errors
    assert "[arg-type]" in errors[0]


def test_the_stubs_say_what_there_is() -> None:
    run(
        *(sys.executable, "-m", "mypy.stubtest", "--mypy-config-file", ROOT / "pyproject.toml"),
        *(
            "--ignore-unused-allowlist",
            "--allowlist",
            Path(__file__).with_name("stubtest_allowlist.txt"),
            "asioloop",
            "_asioloop",
        ),
        env={"PYTHONPATH": os.environ["ASIOSERVE_EXT_DIR"], "MYPYPATH": str(ROOT / "stage3_native_loop")},
    )
