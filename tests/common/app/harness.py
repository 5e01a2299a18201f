"""What the cases need: a server of one app, requests, and a loop that drives them."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import _harness


class Server:
    """An app behind the native handler; ``two_threads``: jobs between I/O and Python wait in queues."""

    def __init__(self, app: Any, two_threads: bool, *, sync_pool: bool = False) -> None:
        self.native = _harness.Harness(app, two_threads, sync_pool)

    def exchange(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Any = (),
        body: bytes = b"",
        version: int = 1,
    ) -> Any:
        """A request that has been routed, and its answer if that was all."""
        fields = [(b"host", b"example.org"), *((n.encode(), v.encode("latin-1")) for n, v in headers)]
        return self.native.exchange(method, target, fields, body, version)

    async def drive(self, x: Any) -> None:
        """What a runner does between start and the answer."""
        if x.kind == 0:
            return
        step = x.start()
        while step is not None:
            try:
                value, ok = await step, True
            except BaseException as error:
                value, ok = error, False
            step = x.finish(value, ok)

    async def jobs(self) -> None:
        """Lets jobs and callbacks run until there are none."""
        for _ in range(20):
            self.native.run_jobs()
            await asyncio.sleep(0)

    async def pump(self) -> None:
        """Runs jobs for as long as the loop turns."""
        while True:
            self.native.run_jobs()
            await asyncio.sleep(0)

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        """Runs a coroutine function on a loop of its own, with the jobs."""

        async def both() -> Any:
            pump = asyncio.ensure_future(self.pump())
            try:
                return await main()
            finally:
                pump.cancel()
                self.native.run_jobs()

        return asyncio.run(both())

    def ask(self, method: str = "GET", target: str = "/", headers: Any = (), body: bytes = b"") -> Any:
        """A request to its end."""
        x = self.exchange(method, target, headers, body)
        if x.kind == 1:
            step = x.start()  # no loop is running, as for a def handler
            if step is None:
                return x

            async def rest() -> None:
                nonlocal step
                while step is not None:
                    try:
                        value, ok = await step, True
                    except BaseException as error:
                        value, ok = error, False
                    step = x.finish(value, ok)

            self.run(rest)
        elif x.kind == 2:
            self.run(lambda: self.drive(x))
        return x


def json_of(x: Any) -> Any:
    """The body of an answer."""
    return json.loads(x.body)


def header(x: Any, name: str) -> list[str]:
    """The values of a field of the answer."""
    return [v.decode("latin-1") for n, v in x.headers if n == name]


def without_leaks(case: Callable[[bool], None]) -> Callable[[bool], None]:
    """Every exchange that a case made must be gone after it."""

    def checked(two_threads: bool) -> None:
        before = _harness.alive()
        case(two_threads)
        gc.collect()
        left = _harness.alive() - before
        assert left == 0, f"{left} exchanges are still alive"

    return checked


def cases(name: str) -> list[tuple[str, Callable[[bool], None]]]:
    """The tests of a module."""
    module = importlib.import_module(name)
    return [(key, without_leaks(value)) for key, value in vars(module).items() if key.startswith("test_")]
