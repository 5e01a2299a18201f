"""The runner's counters, from the server's metrics page."""

import re
from collections.abc import Mapping

NAMES = ("requests", "gil_acquisitions", "hand_offs", "wake_ups", "tasks", "sends", "reads")
"""In the order of the tables. Each is a series of the metrics page that ends in this name, with or without
_total."""

_LINE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(\{[^}]*\})?\s+([-+0-9.eE]+)", re.MULTILINE)


def parse(text: str) -> dict[str, float]:
    """Prometheus' text format to the counters that we know; series with labels are added up."""
    totals: dict[str, float] = {}
    for name, _labels, value in _LINE.findall(text):
        known = name.removeprefix("asioserve_").removeprefix("runner_").removesuffix("_total")
        if known in NAMES:
            totals[known] = totals.get(known, 0.0) + float(value)
    return totals


def per_request(before: Mapping[str, float], after: Mapping[str, float], requests: int) -> dict[str, float]:
    """How often each happened in a request; the requests are the load's count, not the server's."""
    return {
        name: (after[name] - before[name]) / requests
        for name in NAMES
        if name in before and name in after and name != "requests"
    }
