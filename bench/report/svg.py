"""Plots as SVG text: bars with intervals, and lines. Colours come from CSS classes, so that dark pages look
right too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 640
_LABEL = 236
_VALUE = 175
_ROW = 26
_BAR = 15


@dataclass(frozen=True)
class Bar:
    """One line of a bar chart."""

    label: str
    value: float
    text: str
    colour: str
    """A CSS class: see page.py."""
    base: float = 0.0
    """A part of the value, from the left, that is drawn in grey: the floor's."""
    low: float | None = None
    high: float | None = None


def ticks(top: float, count: int = 5) -> list[float]:
    """Round numbers from 0 to `top` or a little below."""
    if top <= 0:
        return [0.0]
    raw = top / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [step * i for i in range(int(top / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A tick's label."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:.4g}"


def _svg(width: int, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars, one scale from zero."""
    top = max((max(row.value, row.high or 0.0) for row in rows), default=0.0) or 1.0
    inner = _WIDTH - _LABEL - _VALUE
    height = _ROW * len(rows) + 34

    def x(value: float) -> float:
        return _LABEL + max(value, 0.0) / top * inner

    parts = []
    for tick in ticks(top):
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="4" y2="{height - 28}"/>')
        parts.append(
            f'<text class="tick" x="{x(tick):.1f}" y="{height - 14}" '
            f'text-anchor="middle">{number(tick)}</text>'
        )
    parts.append(f'<text class="tick" x="{_WIDTH}" y="{height - 14}" text-anchor="end">{escape(unit)}</text>')
    for index, row in enumerate(rows):
        y = 6 + index * _ROW
        middle = y + _BAR / 2 + 4.5
        base = min(row.base, row.value)
        parts.append(f'<text x="{_LABEL - 10}" y="{middle:.1f}" text-anchor="end">{escape(row.label)}</text>')
        parts.append(
            f'<rect class="{row.colour}" x="{x(base):.1f}" y="{y}" '
            f'width="{x(row.value) - x(base):.1f}" height="{_BAR}"/>'
        )
        if base > 0:
            parts.append(
                f'<rect class="floor" x="{_LABEL}" y="{y}" width="{x(base) - _LABEL:.1f}" height="{_BAR}"/>'
            )
        end = row.value
        if row.low is not None and row.high is not None:
            y_middle = y + _BAR / 2
            parts.append(f'<path class="whisker" d="M{x(row.low):.1f} {y_middle}H{x(row.high):.1f}')
            for edge in (row.low, row.high):
                parts.append(f"M{x(edge):.1f} {y_middle - 4}v8")
            parts.append('"/>')
            end = max(end, row.high)
        parts.append(f'<text class="value" x="{x(end) + 8:.1f}" y="{middle:.1f}">{escape(row.text)}</text>')
    return _svg(_WIDTH, height, title, parts)


@dataclass(frozen=True)
class Line:
    """One line of a line chart."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]


def _spread(wanted: Sequence[float], least: float) -> list[float]:
    """Moves labels down so far that none hides another."""
    placed: list[float] = []
    for y in wanted:
        placed.append(max(y, placed[-1] + least) if placed else y)
    return placed


def lines(title: str, x_unit: str, y_unit: str, series: Sequence[Line]) -> str:
    """Lines over a logarithmic x axis; y starts at zero."""
    width, height, left, right, bottom = 420, 290, 48, 92, 40
    xs = sorted({x for line in series for x, _ in line.points})
    top = max((y for line in series for _, y in line.points), default=1.0) * 1.05
    low, high = math.log10(xs[0]), math.log10(xs[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / ((high - low) or 1.0)
        return left + across * (width - left - right), height - bottom - y / top * (height - bottom - 24)

    parts = [f'<text class="tick" x="{left}" y="12">{escape(y_unit)}</text>']
    for tick in ticks(top):
        _, y = at(xs[0], tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    for tick in xs:
        x, _ = at(tick, 0)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 22}" text-anchor="middle">{tick:g}</text>')
    parts.append(
        f'<text class="tick" x="{(left + width - right) / 2}" y="{height - 5}" '
        f'text-anchor="middle">{escape(x_unit)}</text>'
    )
    ends = sorted(((at(*line.points[-1])[1], line) for line in series), key=lambda pair: pair[0])
    heights = _spread([y for y, _ in ends], 14)
    for (_, line), label_y in zip(ends, heights, strict=True):
        places = [at(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line {line.colour}" points="{path}"/>')
        parts += [f'<circle class="{line.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
        parts.append(
            f'<text class="end" x="{width - right + 8}" y="{label_y + 4:.1f}">{escape(line.label)}</text>'
        )
    return _svg(width, height, title, parts)
