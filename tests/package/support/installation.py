"""Virtual environments, and commands that nothing of this one leaks into."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(
    os.environ.get("ASIOSERVE_PACKAGE_DIR", ROOT / "build" / "package-{}.{}".format(*sys.version_info))
)


def run(
    *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end; `env` comes on top of an environment without Python's own variables."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_", "MYPY"))}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, **(env or {})}, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return done


def pip(*arguments: str | Path, **options: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run(
        *(sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "--no-cache-dir"),
        *arguments,
        **options,  # type: ignore[arg-type]
    )


def virtual_environment(folder: Path) -> Path:
    """Its Python; there is nothing in it, pip neither."""
    run(sys.executable, "-m", "venv", "--without-pip", "--clear", folder)
    return folder / "bin" / "python"


@dataclass(frozen=True)
class Installed:
    python: Path

    def __call__(
        self, code: str, *arguments: str | Path, env: dict[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs Python code in it, with every warning an error."""
        return run(*(self.python, "-W", "error", "-c", code, *arguments), cwd=FOLDER, env=env, check=check)

    @property
    def site(self) -> Path:
        return Path(self("import sysconfig; print(sysconfig.get_path('platlib'))").stdout.strip())
