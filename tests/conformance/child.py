"""One module of CPython's tests in a process of its own, started again behind a test that hangs or crashes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: For a whole module. A single test has TEST_SECONDS (one_module.py).
MODULE_SECONDS = 600


@dataclass
class Outcome:
    """What a module's tests have come to."""

    module: str
    names: list[str] = field(default_factory=list)
    ran: int = 0
    skipped: int = 0
    loops: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    failed_on_asyncio: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    ended: bool = False

    def excuse(self, oracle: Outcome) -> None:
        """Sets apart what fails on asyncio's own loop too."""
        for name in list(self.failed):
            if name in oracle.failed:
                self.failed_on_asyncio[name] = self.failed.pop(name)
                self.ran -= 1

    def read(self, lines: list[str]) -> str | None:
        """Takes a report in; the test that never ended, if there is one."""
        running = None
        for line in lines:
            said = json.loads(line)
            if "names" in said:
                self.names = said["names"]
            elif "start" in said:
                running = said["start"]
            elif "test" in said:
                running = None
                self.done.add(said["test"])
                if said["outcome"] == "skipped":
                    self.skipped += 1
                else:
                    self.ran += 1
                if said["outcome"] == "failed":
                    self.failed[said["test"]] = said["detail"]
            elif "loops" in said:
                self.loops += said["loops"]
                self.seconds += said["seconds"]
                self.ended = said["ended"]
        return running


def environment() -> dict[str, str]:
    """The loop's module can be imported, and nothing that changes how asyncio works is set."""
    env = {
        k: v
        for k, v in os.environ.items()
        if k not in ("PYTHONASYNCIODEBUG", "PYTHONWARNINGS", "PYTHONDEVMODE")
    }
    folder = os.environ.get("ASIOSERVE_EXT_DIR")
    if folder:
        env["PYTHONPATH"] = folder
    return env


def run_module(
    module: str, loop: str, excluded: frozenset[str], only: frozenset[str] | None = None
) -> Outcome:
    """Run it to its end, whatever its tests do to their process."""
    outcome = Outcome(module)
    while not outcome.ended:
        before = len(outcome.done)
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report"
            report.touch()
            command = [
                *(sys.executable, "-X", "faulthandler", str(Path(__file__).with_name("one_module.py"))),
                *("--module", module, "--loop", loop, "--report", str(report)),
                *("--excluded", json.dumps(sorted(excluded | outcome.done))),
                *("--only", json.dumps(None if only is None else sorted(only))),
            ]
            try:
                said = subprocess.run(
                    command,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    timeout=MODULE_SECONDS,
                    check=False,
                ).stdout
            except subprocess.TimeoutExpired as error:
                said = f"no end after {error.timeout} s"
            running = outcome.read(report.read_text().splitlines())
        if running is not None:
            outcome.done.add(running)
            outcome.ran += 1
            outcome.failed[running] = said[-4000:]
        elif not outcome.ended and len(outcome.done) == before:
            # It dies outside of its tests: there is nothing to go on with.
            outcome.failed[module] = said[-4000:]
            break
    return outcome
