"""The table of functions for extension modules that are built apart (asioloop.h)."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import re
import subprocess
import sys
import sysconfig
import threading
import weakref
from pathlib import Path
from typing import Any

import asioloop
import foreign_probe as probe
import own_thread
import pytest

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="default")


def test_the_example_computes_while_the_loop_is_free(runner: asyncio.Runner) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(own_thread.sum_of_squares(n) for n in (0, 1, 3, 100)))

    assert runner.run(main()) == [0, 1, 14, 338350]
    own_thread.join_threads()


def test_a_cancelled_future_takes_no_result(runner: asyncio.Runner) -> None:
    async def main() -> None:
        future = own_thread.sum_of_squares(1000)
        future.cancel()
        await asyncio.to_thread(own_thread.join_threads)
        # What the thread has posted comes before this.
        await own_thread.sum_of_squares(1)
        assert future.cancelled()

    runner.run(main())
    own_thread.join_threads()


def test_the_example_outlives_its_loop() -> None:
    async def main() -> asyncio.Future[int]:
        return own_thread.sum_of_squares(1)

    with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
        future = runner.run(main())
    own_thread.join_threads()
    seen = weakref.ref(future)
    del future
    gc.collect()
    assert seen() is None, "something keeps the Future"


def test_a_wrong_argument_and_no_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        own_thread.sum_of_squares(1)
    with pytest.raises(TypeError):
        own_thread.sum_of_squares("1")  # type: ignore[arg-type]


def test_the_versions_are_those_of_the_header() -> None:
    header = (Path(asioloop.get_include()) / "asioloop.h").read_text()
    abi, asio = probe.versions()
    assert re.search(r"#define ASIOLOOP_ABI (\d+)", header)[1] == str(abi)  # type: ignore[index]
    assert asio >= 102200


def test_the_header_is_plain_c() -> None:
    folders = (asioloop.get_include(), sysconfig.get_path("include"))
    done = subprocess.run(
        ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-"]
        + [f"-isystem{folder}" if folder != folders[0] else f"-I{folder}" for folder in folders],
        input="#include <asioloop.h>\nasioloop_api const *api;\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_is_no_loop_or_a_closed_one_is_refused() -> None:
    other = asyncio.new_event_loop()
    other.close()
    with pytest.raises(TypeError, match=r"asioloop\.Loop is needed, not"):
        probe.acquire(other)
    closed = asioloop.new_event_loop()
    closed.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        probe.acquire(closed)


def test_a_post_sees_the_loop_the_context_and_no_task(runner: asyncio.Runner) -> None:
    seen: list[Any] = []

    async def main() -> None:
        done = asyncio.get_running_loop().create_future()

        def look() -> None:
            seen.append((var.get(), asyncio.get_running_loop(), asyncio.current_task()))
            var.set("posted")
            done.set_result(None)

        var.set("acquired")
        loop = probe.acquire(None)
        var.set("later")
        assert probe.post(loop, look) == 0
        assert not seen  # never inside the caller
        await done
        assert var.get() == "later"

    runner.run(main())
    assert seen == [("acquired", runner.get_loop(), None)]


def test_posts_of_a_thread_come_in_order_and_wake_the_loop(runner: asyncio.Runner) -> None:
    got: list[int] = []
    threads = set()
    count = 1000

    async def main() -> None:
        done = asyncio.Event()

        def take() -> None:
            threads.add(threading.get_ident())
            got.append(len(got))
            if len(got) == count:
                done.set()

        loop = probe.acquire(None)
        await asyncio.to_thread(probe.post_from_thread, loop, take, count)
        await done.wait()

    runner.run(main())
    assert got == list(range(count))
    assert threads == {threading.get_ident()}


def test_a_loop_that_does_not_run_yet_runs_what_was_posted(runner: asyncio.Runner) -> None:
    got: list[int] = []
    loop = probe.acquire(runner.get_loop())
    assert probe.post(loop, lambda: got.append(1)) == 0
    probe.post_from_thread(loop, lambda: got.append(2), 1)
    runner.run(asyncio.sleep(0.001))
    assert got == [1, 2]


def test_an_exception_goes_to_the_loops_handler(
    runner: asyncio.Runner, unexpected: list[dict[str, Any]]
) -> None:
    async def main() -> None:
        loop = probe.acquire(None)
        done = asyncio.Event()
        probe.post(loop, lambda: 1 // 0)
        probe.post(loop, done.set)
        await done.wait()

    runner.run(main())
    (context,) = unexpected
    assert isinstance(context["exception"], ZeroDivisionError)
    unexpected.clear()


def test_a_closed_loop_drops_what_it_has_not_run() -> None:
    loop = asioloop.new_event_loop()
    ref = probe.acquire(loop)
    before = probe.dropped()
    assert probe.post(ref, lambda: pytest.fail("called")) == 0
    loop.close()
    assert probe.dropped() == before + 1
    assert probe.post(ref, lambda: pytest.fail("called")) == 0
    probe.post_from_thread(ref, lambda: pytest.fail("called"), 3)
    assert probe.dropped() == before + 5


def test_the_interpreter_ends_while_the_example_computes() -> None:
    program = """
import asyncio, asioloop, own_thread
async def main():
    own_thread.sum_of_squares(3_000_000)
with asyncio.Runner(loop_factory=asioloop.new_event_loop) as runner:
    runner.run(main())
print("end")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
