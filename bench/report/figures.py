"""How figures are written, the same in every page."""

from bench.harness.result import Row, Summary


def rate(value: float) -> str:
    """Requests per second."""
    return f"{value / 1000:.1f}k" if value >= 10_000 else f"{value:.0f}"


def micros(value: float | None) -> str:
    """A time in microseconds, with a unit that suits its size."""
    if value is None:
        return "–"
    if value >= 10_000:
        return f"{value / 1000:.0f} ms"
    return f"{value / 1000:.1f} ms" if value >= 1000 else f"{value:.0f} µs"


def per_request(value: float | None) -> str:
    """How often something happened in a request."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.4f}"


def above(summary: Summary) -> str:
    """µs above the floor with its interval."""
    if summary.above_floor_us is None:
        return "–"
    text = f"{summary.above_floor_us:+.2f}"
    if summary.above_floor is not None:
        text += f" ({summary.above_floor.low:+.2f} … {summary.above_floor.high:+.2f})"
    return text


def ratio(value: float | None) -> str:
    """The floor's part."""
    return "–" if value is None else f"{value:.2f}"


def marks(summary: Summary) -> str:
    """`*`: the load was the limit. `~`: other programs were busy. `°`: no turn of wrk."""
    return (
        ("*" if summary.load_was_limit else "")
        + ("~" if summary.noisy else "")
        + ("" if summary.by_wrk else "°")
    )


MARKS = {
    "*": "the load's core was over 90 % busy: the server could have served more requests/s",
    "~": "other programs used more than 5 % of a core meanwhile",
    "°": "no turn of wrk: requests/s of the light load",
}


def load_of(row: Row) -> str:
    """The load in words."""
    text = "1 connection" if row.connections == 1 else f"{row.connections} connections"
    if row.depth > 1:
        text += f", {row.depth} requests pipelined"
    return text if row.pinned else text + ", not pinned"


def counter(summary: Summary, name: str) -> str:
    """One of the runner's counters."""
    return per_request(summary.counters.get(name))


def system_calls(row: Row) -> str:
    """All of them."""
    return per_request(sum(row.system_calls.values()) if row.system_calls else None)
