"""The programs in docs/guides/asioloop.md run, and print what the page says."""

from __future__ import annotations

import re
import subprocess

import pytest
from processes import PATIENCE, ROOT, python, python_environment

PAGE = ROOT / "docs" / "guides" / "asioloop.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$(?:\n```text\n(.*?)^```$)?", PAGE.read_text(), re.M | re.S)


@pytest.mark.parametrize(("program", "output"), PROGRAMS, ids=[str(n) for n in range(len(PROGRAMS))])
def test_a_program_of_the_guide_prints_what_the_guide_says(program: str, output: str) -> None:
    done = subprocess.run(
        python("-X", "dev", "-W", "error", "-c", program),
        env=python_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, output), done.stderr


def test_every_program_of_the_guide_says_what_it_prints() -> None:
    assert len(PROGRAMS) >= 4 and all(output for _, output in PROGRAMS)
