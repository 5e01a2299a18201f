"""Thousands of cycles leave nothing behind: references, objects, descriptors, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asioloop
import pytest

CYCLES = 1000
SANITIZED = "san.so" in Path("/proc/self/maps").read_text()


def _resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


class Counted:
    """What the callbacks carry: the test counts who refers to it."""

    def __call__(self, *_: object) -> None:
        """Runs."""


async def _schedules(thing: Counted) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(thing, thing, thing)
    loop.call_soon_threadsafe(thing, thing).cancel()
    loop.call_soon(thing).cancel()
    loop.call_later(3600, thing, thing).cancel()
    loop.call_later(0, thing, thing)
    loop.call_soon(thing, thing)  # never runs, if the loop is closed first
    await asyncio.sleep(0)


async def _tasks(thing: Counted) -> None:
    async def carry(what: Counted) -> Counted:
        await asyncio.sleep(0)
        return what

    await asyncio.gather(*[carry(thing) for _ in range(3)])
    task = asyncio.get_running_loop().create_task(carry(thing), name="cancelled")
    task.cancel()
    await asyncio.wait([task])


async def _transports(thing: Counted) -> None:
    a, b = socket.socketpair()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    protocol.thing = thing  # type: ignore[attr-defined]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, sock=a)
    transport.write(b"x")
    b.close()
    transport.close()
    await asyncio.sleep(0)


async def _readers(thing: Counted) -> None:
    a, b = socket.socketpair()
    loop = asyncio.get_running_loop()
    with a, b:
        loop.add_reader(a, thing, thing)
        loop.add_writer(a, thing, thing)
        await asyncio.sleep(0)
        loop.remove_reader(a)
        loop.remove_writer(a)


WORK = [_schedules, _tasks, _transports, _readers]


def _now(thing: Counted) -> tuple[int, int, int, int]:
    gc.collect()
    references, descriptors = sys.getrefcount(thing), len(os.listdir("/proc/self/fd"))
    return references, descriptors, sys.getallocatedblocks(), _resident_kib()


def _repeat(once: Callable[[], object], thing: Counted) -> None:
    """The first cycles fill caches and pools; what the others add must not grow with their number."""
    for _ in range(CYCLES // 4):
        once()
    before = _now(thing)
    for _ in range(CYCLES):
        once()
    after = _now(thing)
    assert after[:2] == before[:2]
    # One small object for each cycle would be twice as much.
    assert after[2] - before[2] < CYCLES // 2
    # What C++ allocates is not in that: a callback is 100 bytes, a loop many KiB.
    # A sanitizer keeps what is freed for a while, and looks for leaks itself.
    assert after[3] - before[3] < 4096 or SANITIZED


@pytest.mark.parametrize("work", WORK)
def test_a_loop_that_goes_on_keeps_nothing(work: Callable[[Counted], object]) -> None:
    thing = Counted()
    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        _repeat(lambda: runner.run(work(thing)), thing)  # type: ignore[arg-type]


@pytest.mark.parametrize("work", WORK)
def test_loops_that_are_closed_keep_nothing(work: Callable[[Counted], object]) -> None:
    thing = Counted()

    def once() -> None:
        asioloop.run(work(thing))  # type: ignore[arg-type]

    _repeat(once, thing)


def test_loops_that_never_ran_keep_nothing() -> None:
    thing = Counted()

    def once() -> None:
        loop = asioloop.new_event_loop()
        loop.call_soon(thing, thing)
        loop.call_later(1, thing)
        loop.close()

    _repeat(once, thing)


def test_a_module_that_nobody_uses_goes_and_one_whose_loop_is_used_stays() -> None:
    # In a process of its own: the package has the module for good.
    program = """
import gc, sys, weakref

def load():
    import _asioloop
    del sys.modules["_asioloop"]
    return _asioloop

def cycle():
    module = load()
    loop = module.LoopCore()
    loop.call_soon(print)
    loop.call_later(1, print)
    module.literal_addresses("127.0.0.1", 80, 0, 0, 0, 0)
    loop._close_core()
    own = (thing for thing in vars(module).values() if isinstance(thing, type) and thing.__module__ == "_asioloop")
    return [weakref.ref(thing) for thing in own]

def blocks():
    gc.collect()
    return sys.getallocatedblocks()

types = cycle()
gc.collect()
assert len(types) > 5 and not any(reference() for reference in types), types
for _ in range(10): cycle()
before = blocks()
for _ in range(50): cycle()
# CPython itself keeps some for every extension that is loaded; a module that stays is hundreds.
assert (blocks() - before) / 50 < 60, (before, blocks())

# The collector clears a type, and its reference to the module, before or after the loops that hold on to one another.
for _ in range(50):
    module = load()
    loops = [type("Loop", (module.LoopCore,), {})() for _ in range(3)]
    for loop in loops:
        loop.all, loop.own_type = loops, type(loop)
        loop.call_later(1, loop.call_soon, print)
        loop.handle = loop.call_soon(loop.stop)
    del module, loop, loops
gc.collect()
loop = load().LoopCore()
gc.collect()
ran = []
loop.call_soon(ran.append, 1)
loop.call_soon(loop.stop)
loop._run_core()
assert ran == [1]
print("whole")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("whole\n", "", 0)
