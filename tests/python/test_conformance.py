"""The harness of tests/conformance finds what it is there for, and its data say what is so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import page
import pytest
import run
import selection
from child import Outcome, run_module

TESTS = """
import asyncio, os, unittest

class Tests(unittest.TestCase):
    def test_a_passes(self):
        asyncio.SelectorEventLoop().close()
        asyncio.new_event_loop().close()
    def test_b_fails(self):
        self.fail("as it must")
    def test_c_dies(self):
        os._exit(3)
    def test_d_is_reached(self):
        with self.subTest("inner"):
            self.fail("in a subtest")
    def test_e_skips(self):
        raise unittest.SkipTest("by CPython")
    def test_f_is_excluded(self):
        os._exit(4)

class PollEventLoopTests(unittest.TestCase):
    def test_runs_where_there_is_none_for_epoll(self):
        pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that stands for one of CPython's."""
    folder = tmp_path / "test" / "test_asyncio"
    folder.mkdir(parents=True)
    (tmp_path / "test" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "test_it.py").write_text(TESTS)
    monkeypatch.setenv("ASIOSERVE_EXT_DIR", str(tmp_path))
    return "test_it"


def chosen(**expected: int) -> selection.Selection:
    exclusion = selection.Exclusion(
        "because", ("test_it.Tests.test_f_is_excluded", "test_it.Tests.test_gone")
    )
    return selection.Selection("3.11", (exclusion,), {}, {"test_it": expected} if expected else {})


def test_every_test_is_accounted_for_whatever_the_others_do(module: str) -> None:
    outcome = run_module(module, "asyncio", frozenset({"test_it.Tests.test_f_is_excluded"}))
    assert len(outcome.names) == 7
    assert (outcome.ran, outcome.skipped) == (5, 1)
    assert set(outcome.failed) == {f"test_it.Tests.test_{n}" for n in ("b_fails", "c_dies", "d_is_reached")}
    assert "as it must" in outcome.failed["test_it.Tests.test_b_fails"]
    only = run_module(module, "asyncio", frozenset(), only=frozenset({"test_it.Tests.test_a_passes"}))
    assert (only.ran, only.loops, only.failed) == (1, 2, {})


def test_a_module_that_cannot_be_imported_is_a_failure(module: str, tmp_path: Path) -> None:
    (tmp_path / "test" / "test_asyncio" / "test_it.py").write_text("import not_there\n")
    outcome = run_module(module, "asyncio", frozenset())
    assert "not_there" in outcome.failed["test_it"]


def test_a_run_of_too_few_tests_or_of_exclusions_that_are_gone_is_wrong() -> None:
    names = ["test_it.Tests.test_a", "test_it.Tests.test_f_is_excluded"]
    good = Outcome("test_it", names=[*names, "test_it.Tests.test_gone"], ran=2, loops=2)
    assert not list(run.problems(good, chosen(tests=2, loops=2)))
    (gone,) = run.problems(Outcome("test_it", names=names, ran=2, loops=2), chosen(tests=2, loops=2))
    assert "test_gone" in gone
    (fewer,) = run.problems(good, chosen(tests=3, loops=2))
    assert "at least 3" in fewer
    excused = replace(good, failed_on_asyncio={"test_it.Tests.test_of_the_machine": "why"})
    assert not list(run.problems(excused, chosen(tests=3, loops=2)))
    (other_loops,) = run.problems(good, chosen(tests=2, loops=3))
    assert "at least 3" in other_loops
    (unknown,) = run.problems(good, chosen())
    assert "no numbers" in unknown
    bad = Outcome("test_it", names=good.names, ran=2, loops=2, failed={"test_it.Tests.test_a": "why"})
    assert [p for p in run.problems(bad, chosen(tests=2, loops=2)) if "why" in p]


def test_what_fails_on_asyncio_too_is_set_apart_and_does_not_count_as_run() -> None:
    ours = Outcome("test_it", ran=5, failed={"a": "", "b": ""})
    ours.excuse(Outcome("test_it", ran=2, failed={"b": ""}))
    assert (ours.ran, list(ours.failed), list(ours.failed_on_asyncio)) == (4, ["a"], ["b"])


def test_each_exclusion_has_a_reason_and_names_each_test_once() -> None:
    data = selection.load("3.13")
    tests = [test for e in data.exclusions for test in e.tests]
    assert len(tests) == len(set(tests)) > 0
    assert all(len(e.reason) > 20 and e.tests for e in data.exclusions)
    assert all(test.count(".") == 2 for test in tests)
    assert not {test.partition(".")[0] for test in tests} & set(data.left_out)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_most_of_cpythons_tests_are_written_down(version: str) -> None:
    counts = selection.load(version).expected
    assert sum(c["tests"] for c in counts.values()) > 1800
    assert sum(c["loops"] for c in counts.values()) > 1000


def test_the_page_shows_what_the_files_say() -> None:
    """`tests/conformance/page.py --write` mends it."""
    text = page.PAGE.read_text()
    assert page.replaced(text) == text
    with pytest.raises(ValueError, match="markers"):
        page.replaced("a page without any")
