"""What the kernel knows about a process: CPU time to the nanosecond, context switches, memory."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_SWITCHES = re.compile(r"^(voluntary|nonvoluntary)_ctxt_switches:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class ThreadSample:
    """Totals of one thread since it began."""

    cpu_ns: int
    voluntary: int
    involuntary: int


Sample = Mapping[int, ThreadSample]
"""The threads of a server and its children, by thread id."""


@dataclass(frozen=True)
class Used:
    """What was used between two samples."""

    cpu_ns: int
    voluntary: int
    involuntary: int
    threads_ended: int
    """Threads that were gone at the second sample took their last figures with them: the CPU time is too low
    then."""


def process_tree(pid: int, proc: Path = PROC) -> list[int]:
    """The process and everything that descends from it."""
    children: dict[int, list[int]] = {}
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                # The name in parentheses may hold anything, so the fields are counted from its end.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    tree = [pid]
    for member in tree:
        tree.extend(children.get(member, []))
    return tree


def sample(pids: Iterable[int], proc: Path = PROC) -> dict[int, ThreadSample]:
    """Reads every thread of these processes. Exact while they are asleep; a running thread's last tick may
    be missing."""
    threads: dict[int, ThreadSample] = {}
    for pid in pids:
        try:
            tasks = list((proc / str(pid) / "task").iterdir())
        except OSError:
            continue
        for task in tasks:
            try:
                cpu_ns = int((task / "schedstat").read_text().split()[0])
                switches = dict(_SWITCHES.findall((task / "status").read_text()))
            except OSError:
                continue
            threads[int(task.name)] = ThreadSample(
                cpu_ns, int(switches.get("voluntary", 0)), int(switches.get("nonvoluntary", 0))
            )
    return threads


def used_between(before: Sample, after: Sample) -> Used:
    """The difference; threads born in between count from zero."""
    nothing = ThreadSample(0, 0, 0)
    pairs = [(before.get(thread, nothing), now) for thread, now in after.items()]
    return Used(
        cpu_ns=sum(b.cpu_ns - a.cpu_ns for a, b in pairs),
        voluntary=sum(b.voluntary - a.voluntary for a, b in pairs),
        involuntary=sum(b.involuntary - a.involuntary for a, b in pairs),
        threads_ended=len(set(before) - set(after)),
    )


def resident_bytes(pids: Iterable[int], proc: Path = PROC) -> int:
    """Memory that is really there (RSS)."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in pids:
        try:
            total += int((proc / str(pid) / "statm").read_text().split()[1]) * page
        except OSError:
            continue
    return total


def machine_busy_seconds(proc: Path = PROC) -> float:
    """Time that all cores together have spent on anything, the hypervisor's theft included."""
    fields = [int(f) for f in (proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def is_traced(pid: int, proc: Path = PROC) -> bool:
    """Whether a tracer has every thread of the process."""
    tasks = list((proc / str(pid) / "task").iterdir())
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)
