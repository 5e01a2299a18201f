"""One workload on one loop, in a process of its own: python -m bench.loop.worker LOOP ROW SECONDS --folder F.

It prints one line of JSON: figures of a workload that runs inside, the address of one that serves (which then serves
until it is ended), or why the loop cannot do it.
"""

import argparse
import asyncio
import importlib
import json
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.harness.procfs import machine_busy_seconds
from bench.loop.loops import make_loop
from bench.loop.rows import WORKLOADS
from bench.loop.work import Batch, Site

WARM_UP = 0.05
FIRST_BATCH_TIMEOUT = 10.0


def function_of(work: str) -> Callable[[Site], Awaitable[Any]]:
    """The workload that a row names."""
    module, _, name = work.partition(".")
    found: Callable[[Site], Awaitable[Any]] = getattr(
        importlib.import_module(f"bench.loop.work.{module}"), name
    )
    return found


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


async def _repeat(batch: Batch, seconds: float) -> tuple[int, float]:
    count = 0
    begin = now = time.perf_counter()
    while count == 0 or now < begin + seconds:
        count += await batch()
        now = time.perf_counter()
    return count, now - begin


async def run_inside(site: Site, work: str, seconds: float) -> dict[str, float]:
    """Warms up, then counts."""
    batch: Batch = await function_of(work)(site)
    await asyncio.wait_for(batch(), FIRST_BATCH_TIMEOUT)
    await _repeat(batch, min(WARM_UP, seconds))
    busy, cpu = machine_busy_seconds(), _cpu_seconds()
    count, elapsed = await _repeat(batch, seconds)
    busy, cpu = machine_busy_seconds() - busy, _cpu_seconds() - cpu
    return {
        "count": count,
        "seconds": elapsed,
        "cpu_seconds": cpu,
        "other_busy": max(0.0, (busy - cpu) / elapsed),
    }


async def _serve(site: Site, work: str) -> None:
    address = await function_of(work)(site)
    print(json.dumps({"address": asdict(address)}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Runs it."""
    cli = argparse.ArgumentParser()
    cli.add_argument("loop")
    cli.add_argument("row")
    cli.add_argument("seconds", type=float)
    cli.add_argument("--folder", type=Path, required=True)
    cli.add_argument("--other-core", type=int)
    options = cli.parse_args()
    workload = WORKLOADS[options.row]
    loop = make_loop(options.loop)
    asyncio.set_event_loop(loop)
    site = Site(loop, options.folder, options.other_core)
    try:
        if workload.load is not None:
            loop.run_until_complete(_serve(site, workload.work))
        else:
            figures = loop.run_until_complete(run_inside(site, workload.work, options.seconds))
            print(json.dumps(figures), flush=True)
    except Exception as error:
        print(json.dumps({"unsupported": f"{type(error).__name__}: {error}".strip(": ")}), flush=True)


if __name__ == "__main__":
    main()
