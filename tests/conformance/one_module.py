"""Runs one module of CPython's test_asyncio on the loop under test: a process of its own, started by run.py.

    python one_module.py --module test_streams --loop asioloop --report FILE

CPython's tests name asyncio's own classes (asyncio.SelectorEventLoop, the default policy), so the loop under test takes
their places before the module is imported. The report is one JSON object a line, written as it happens: when this
process hangs or crashes, its last line says in which test.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import importlib
import json
import os
import sys
import tempfile
import time
import types
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

PACKAGE = "test.test_asyncio"

# A test that hangs ends its process, with a traceback of every thread.
TEST_SECONDS = 60

# The same mixins once more with another selector; the loop under test has none to choose.
DUPLICATES = ("PollEventLoopTests", "SelectEventLoopTests", "KqueueEventLoopTests")


class Made:
    """How many loops the tests have made: of the class under test, and selector loops of asyncio beside it."""

    ours = 0
    others = 0


def install(factory: type[asyncio.AbstractEventLoop]) -> None:
    """Put a loop class where asyncio, its policies and CPython's tests look for one."""
    from asyncio import selector_events, unix_events

    class UnderTest(factory):  # type: ignore[misc, valid-type]
        def __init__(self, selector: Any = None) -> None:
            if selector is None:
                super().__init__()
            elif factory_takes_selectors:
                super().__init__(selector)
            else:
                selector.close()
                super().__init__()
            Made.ours += 1

    UnderTest.__name__ = UnderTest.__qualname__ = factory.__name__
    factory_takes_selectors = factory is asyncio.SelectorEventLoop
    original = selector_events.BaseSelectorEventLoop.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(self, UnderTest):
            Made.others += 1
        original(self, *args, **kwargs)

    base = selector_events.BaseSelectorEventLoop
    base.__init__ = counted  # type: ignore[method-assign]
    selector_events.BaseSelectorEventLoop = UnderTest  # type: ignore[misc]
    unix: Any = unix_events
    unix.SelectorEventLoop = UnderTest
    for name in ("_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy"):
        if policy := getattr(unix, name, None):
            policy._loop_factory = UnderTest
    for name in ("SelectorEventLoop", "EventLoop"):
        if hasattr(asyncio, name):
            setattr(asyncio, name, UnderTest)


def instead_of_base_loop(module: types.ModuleType) -> None:
    """test_base_events makes bare BaseEventLoops with a mock for a selector: give it whole ones."""
    base: Any = types.ModuleType("asyncio.base_events")
    real = importlib.import_module("asyncio.base_events")

    def find(name: str) -> Any:
        return getattr(real, name)

    base.__getattr__ = find
    base.BaseEventLoop = asyncio.SelectorEventLoop
    vars(module)["base_events"] = base


def flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """The single tests of a suite."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def short_id(test: unittest.TestCase) -> str:
    """test_streams.StreamTests.test_ctor_global_loop, as the exclusions name it."""
    return test.id().removeprefix(PACKAGE + ".")


class Report(unittest.TestResult):
    """Writes down what happens to each test."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self.out = out
        self.outcome = "passed"
        self.detail = ""

    def write(self, **line: Any) -> None:
        """One line of the report."""
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.outcome, self.detail = "passed", ""
        self.write(start=short_id(test))
        faulthandler.dump_traceback_later(TEST_SECONDS, exit=True)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()
        self.write(test=short_id(test), outcome=self.outcome, detail=self.detail[-4000:])

    def failed(self, test: unittest.TestCase, err: Any) -> None:
        """A failure of a test, or of what is set up around tests (then there is no stopTest)."""
        detail = "".join(self._exc_info_to_string(err, test))  # type: ignore[attr-defined]
        if not isinstance(test, unittest.TestCase) or type(test).__name__ == "_ErrorHolder":
            self.write(test=str(test), outcome="failed", detail=detail[-4000:])
        self.outcome, self.detail = "failed", self.detail + detail

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self.failed(test, err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.failed(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.failed(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        if type(test).__name__ == "_ErrorHolder":
            self.write(test=str(test), outcome="skipped", detail=reason)
        self.outcome, self.detail = "skipped", reason

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.outcome = "failed"
        self.detail = "an expected failure passed"


def chosen(
    module: types.ModuleType, only: set[str] | None, excluded: set[str]
) -> tuple[unittest.TestSuite, list[str]]:
    """The tests to run, and the names of all that the module has."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    tests = [t for t in flatten(suite) if type(t).__name__ not in DUPLICATES or only_one_class(module)]
    names = [short_id(t) for t in tests]
    wanted = [t for t in tests if (only is None or short_id(t) in only) and short_id(t) not in excluded]
    return unittest.TestSuite(wanted), names


def only_one_class(module: types.ModuleType) -> bool:
    """Whether the module has no class for epoll, which the ones for other selectors would repeat."""
    return not hasattr(module, "EPollEventLoopTests")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--module", required=True)
    parser.add_argument("--loop", choices=("asioloop", "asyncio"), required=True)
    parser.add_argument("--report", required=True)
    parser.add_argument("--excluded", default="[]", help="names of tests, as JSON")
    parser.add_argument("--only", default="null", help="names of tests, as JSON")
    options = parser.parse_args()
    only = json.loads(options.only)
    if options.loop == "asioloop":
        import asioloop

        install(asioloop.Loop)
    else:
        install(asyncio.SelectorEventLoop)
    module = importlib.import_module(f"{PACKAGE}.{options.module}")
    if options.module == "test_base_events" and options.loop == "asioloop":
        instead_of_base_loop(module)
    suite, names = chosen(module, None if only is None else set(only), set(json.loads(options.excluded)))
    since = time.monotonic()
    with Path(options.report).open("w") as out, tempfile.TemporaryDirectory() as scratch:
        report = Report(out)
        report.write(names=names)
        os.chdir(scratch)
        suite.run(report)
        report.write(
            ended=True, loops=Made.ours, other_loops=Made.others, seconds=round(time.monotonic() - since, 2)
        )
        os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
