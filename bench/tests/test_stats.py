import random

import pytest

from bench.harness import stats


def test_the_median_of_an_even_count_is_between_the_two_in_the_middle() -> None:
    assert stats.median([4, 1, 3, 2]) == 2.5
    assert stats.median([9, 1, 5]) == 5


def test_the_median_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError):
        stats.median([])


@pytest.mark.parametrize(("count", "order"), [(5, None), (6, 1), (8, 1), (9, 2), (20, 6), (25, 8)])
def test_the_interval_of_a_median_has_the_order_that_tables_give(count: int, order: int | None) -> None:
    assert stats.order_of_interval(count) == order


def test_an_interval_is_not_moved_by_a_spoiled_round() -> None:
    rounds = [1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.15, 1.02, 0.98]
    calm = stats.median_interval(rounds)
    spoiled = stats.median_interval([*rounds[:-1], 900.0])
    assert calm is not None and spoiled is not None
    assert calm.low <= calm.median <= calm.high
    assert spoiled.high <= max(rounds)


def test_few_rounds_have_no_interval_rather_than_a_wrong_one() -> None:
    assert stats.median_interval([1.0, 2.0, 3.0]) is None


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    source = random.Random(7)
    hits = 0
    for _ in range(2000):
        interval = stats.median_interval([source.expovariate(1.0) for _ in range(9)])
        assert interval is not None
        hits += interval.low <= 0.6931 <= interval.high
    assert hits / 2000 > 0.945


def test_pairs_drop_what_both_rounds_share() -> None:
    drift = [1.0, 5.0, 9.0]
    assert stats.paired_differences([d + 2 for d in drift], drift) == [2, 2, 2]
    assert stats.paired_ratios([2 * d for d in drift], drift) == [0.5, 0.5, 0.5]


def test_a_round_without_a_partner_is_no_pair() -> None:
    assert stats.paired_differences([3.0, None, 5.0], [1.0, 1.0, None]) == [2.0]
    assert stats.paired_ratios([4.0, None, 5.0], [1.0, 1.0, None]) == [0.25]
