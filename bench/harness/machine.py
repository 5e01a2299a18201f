"""What the figures were taken on, with and from."""

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("orjson", "pydantic", "aiosqlite")
DEBIAN = {"asio": "libasio-dev", "llhttp": "node-llhttp", "wrk": "wrk", "strace": "strace"}


def _output(*line: str, cwd: Path | None = None) -> str:
    try:
        return subprocess.run(
            line, cwd=cwd, capture_output=True, text=True, timeout=20, check=False
        ).stdout.strip()
    except OSError:
        return ""


def _field(path: str, name: str) -> str:
    try:
        text = Path(path).read_text()
    except OSError:
        return ""
    found = re.search(rf"^{name}\s*[:=]\s*\"?([^\"\n]*)", text, re.MULTILINE)
    return found[1].strip() if found else ""


def allowed_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def _siblings(core: int) -> set[int]:
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return {core}
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def choose_cores() -> tuple[int, int] | None:
    """One core for the server and one for the load, on two real cores if there are; None on a single one."""
    cores = allowed_cores()
    if len(cores) < 2:
        return None
    # The first core gets most of the machine's interrupts, so the load has it.
    load = cores[0]
    real = [core for core in cores if core not in _siblings(load)]
    return (real or cores[1:])[0], load


def describe() -> dict[str, Any]:
    """The machine."""
    cores = choose_cores()
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(allowed_cores()),
        "server_core": cores[0] if cores else None,
        "load_core": cores[1] if cores else None,
        "shares_a_core": bool(cores and cores[1] in _siblings(cores[0])),
        "memory_mib": int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) // 1024,
        "kernel": platform.release(),
        "system": _field("/etc/os-release", "PRETTY_NAME"),
        "hypervisor": "hypervisor" in _field("/proc/cpuinfo", "flags").split(),
    }


def versions(build: Path, peers: Path | None) -> dict[str, str]:
    """Of everything that the figures depend on."""
    found = {"python": platform.python_version(), "python_build": sys.version.split("[")[-1].rstrip("]")}
    compiler = _field(str(build / "CMakeCache.txt"), "CMAKE_CXX_COMPILER:[A-Z]+")
    if compiler:
        found["compiler"] = _output(compiler, "--version").split("\n")[0]
    for name, package in DEBIAN.items():
        if version := _output("dpkg-query", "-W", "-f", "${Version}", package):
            found[name] = version
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    if peers is not None:
        for line in _output(
            str(peers / "bin" / "python"), "-m", "pip", "list", "--format=freeze"
        ).splitlines():
            name, _, version = line.partition("==")
            found[f"peer {name}"] = version
    return found


def commit(root: Path) -> tuple[str, bool]:
    """The commit, and whether the tree has changes that no commit has."""
    head = _output("git", "rev-parse", "HEAD", cwd=root)
    changes = _output("git", "status", "--porcelain", "--", ".", ":!bench/results", ":!README.md", cwd=root)
    return head or "unknown", bool(changes)
