from pathlib import Path

import pytest

from bench.harness import result
from bench.harness.errors import BenchError
from bench.harness.result import summarise
from bench.tests.samples import a_full_result, a_result, a_round, a_row


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    original = a_full_result()
    original.save(tmp_path / "r.json")
    assert result.load(tmp_path / "r.json") == original


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', '{"format": 1, "rows": [{"x": 1}]}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(BenchError):
        result.load(tmp_path / "r.json")


def test_what_a_row_costs_above_the_floor_is_taken_round_by_round() -> None:
    # The machine gets slower all the time: medians of each row alone would have it in them.
    drift = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    rows = [a_row("floor", drift), a_row("stage3", [d + 0.5 for d in drift])]
    summary = summarise(rows[1], a_result(rows).control_of(rows[1]))
    assert summary is not None and summary.above_floor is not None
    assert summary.above_floor_us == pytest.approx(0.5)
    assert summary.above_floor.low == pytest.approx(0.5)
    assert summary.above_floor.high == pytest.approx(0.5)


def test_the_floor_of_another_group_is_no_partner() -> None:
    rows = [a_row("floor", [4.0] * 9, group=0), a_row("stage3", [5.0] * 9, group=1)]
    assert a_result(rows).control_of(rows[1]) is None


def test_of_the_floor_is_the_floors_cost_by_the_rows() -> None:
    rows = [a_row("floor", [4.0] * 9), a_row("stage3", [5.0] * 9)]
    summary = summarise(rows[1], rows[0])
    assert summary is not None and summary.of_floor == pytest.approx(0.8)


def test_a_refused_row_has_no_figures_even_if_it_had_rounds() -> None:
    assert summarise(a_row("stage3", [5.0] * 9, refused="socket errors"), None) is None


def test_a_row_beside_a_refused_floor_has_no_ratio() -> None:
    rows = [a_row("floor", [4.0] * 9, refused="died"), a_row("stage3", [5.0] * 9)]
    summary = summarise(rows[1], rows[0])
    assert summary is not None and summary.of_floor is None and summary.above_floor is None


def test_a_row_says_that_its_load_was_the_limit() -> None:
    summary = summarise(a_row("stage3", [5.0] * 9), None)
    assert summary is not None and summary.load_was_limit and summary.by_wrk


def test_without_wrk_the_light_loads_rate_stands_in_and_says_so() -> None:
    rounds = [a_round(n, 5.0, wrk_rate=None) for n in range(3)]
    summary = summarise(a_row("stage3", [], rounds=rounds), None)
    assert summary is not None and not summary.by_wrk and summary.p50_us is None
    assert summary.rate == 150_000 and not summary.load_was_limit
