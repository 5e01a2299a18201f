"""Statistics of a few noisy rounds: medians, and intervals that assume no shape of the noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A median with the range that it lies in with at least the confidence asked for."""

    median: float
    low: float
    high: float


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    if not values:
        raise ValueError("median of nothing")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def order_of_interval(count: int, confidence: float = 0.95) -> int | None:
    """Which of the sorted values (counted from 1, from both ends) bound the median; None: too few values.

    Each value lies below the true median with probability 1/2, so the number that do is binomial. Nothing is
    assumed about
    the noise but that rounds do not depend on each other: a round that another program spoiled moves one
    value to one
    end, whereas it would move a mean and its t interval as far as it likes. Six values are the fewest for 95
    %.
    """
    allowed = (1 - confidence) / 2
    below = 0.0
    order = 0
    for k in range(count // 2):
        below += math.comb(count, k) / 2**count
        if below > allowed:
            break
        order = k + 1
    return order or None


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The median and its interval; None when there are too few values for one."""
    order = order_of_interval(len(values), confidence)
    if order is None:
        return None
    ordered = sorted(values)
    return Interval(median(ordered), ordered[order - 1], ordered[-order])


def paired_differences(values: Sequence[float | None], controls: Sequence[float | None]) -> list[float]:
    """value - control of each round that has both: what the two have in common, the machine's mood, drops
    out."""
    return [v - c for v, c in zip(values, controls, strict=True) if v is not None and c is not None]


def paired_ratios(values: Sequence[float | None], controls: Sequence[float | None]) -> list[float]:
    """control / value of each round that has both: 1 is as good as the control, less is dearer."""
    return [c / v for v, c in zip(values, controls, strict=True) if v and c is not None]
