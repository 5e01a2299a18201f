"""Results to make pages of."""

from typing import Any

from bench.harness.result import IdleRow, Result, Round, Row, WakeUpRow
from bench.harness.servers import SERVERS


def a_round(number: int, cpu_us: float, wrk_rate: float | None = 100_000.0) -> Round:
    return Round(
        number=number,
        cpu_us=cpu_us,
        rate=150_000.0,
        requests=30_000,
        load_busy=0.7,
        voluntary=0.01,
        involuntary=0.001,
        other_busy=0.0,
        counters={"gil_acquisitions": 1.0, "tasks": 0.0},
        wrk_rate=wrk_rate,
        wrk_p50_us=350.0 if wrk_rate else None,
        wrk_p99_us=1200.0 if wrk_rate else None,
        wrk_load_busy=0.95 if wrk_rate else None,
    )


def a_row(server: str, cpu: list[float], group: int = 0, section: str = "handlers", **more: Any) -> Row:
    values: dict[str, Any] = {
        "section": section,
        "group": group,
        "server": server,
        "title": SERVERS[server].title,
        "kind": SERVERS[server].kind,
        "handler": "async",
        "connections": 64,
        "depth": 1,
        "pinned": True,
        "rounds": [a_round(number, one) for number, one in enumerate(cpu)],
    }
    return Row(**{**values, **more})


def a_result(rows: list[Row], target: str = "stage3") -> Result:
    return Result(
        name="sample",
        target=target,
        started="2026-01-02 03:04:05 +0000",
        parameters={"rounds": 9, "connections": 64},
        machine={
            "cpu": "A <CPU>",
            "cores": 2,
            "server_core": 1,
            "load_core": 0,
            "kernel": "6.1",
            "system": "Debian",
        },
        versions={"python": "3.13.0"},
        commit="0123456789abcdef",
        dirty=False,
        rows=rows,
    )


def a_full_result() -> Result:
    nine = range(9)
    calls: dict[str, Any] = {
        "system_calls": {"sendto": 1.0, "recvfrom": 1.25},
    }
    rows = [
        a_row("floor", [4.0 + n / 10 for n in nine]),
        a_row("stage2", [10.0 + n / 10 for n in nine], **calls),
        a_row("stage3", [5.0 + n / 10 for n in nine], **calls),
        a_row("stage3-no-pooled-task", [6.0 + n / 10 for n in nine]),
        a_row("uvicorn", [], refused="wrk saw 3 answers of status 400 or above"),
        a_row("floor", [0.5] * 9, 1, "pipelined", depth=16),
        a_row("stage3", [0.8] * 9, 1, "pipelined", depth=16),
    ]
    for group, connections in enumerate((1, 64, 1000), start=2):
        rows += [
            a_row(key, [5.0] * 3, group, "sweep", connections=connections) for key in ("floor", "stage3")
        ]
    result = a_result(rows)
    result.idle = [IdleRow("stage3", "stage 3", 10_000, 10_000, 1.52, 1e5, 9.9e4, 5.0, 5.1)]
    result.idle.append(IdleRow("uvicorn", "uvicorn", 10_000, refused="it died"))
    result.wake_ups = [WakeUpRow("stage3", "stage 3", 10.0, 0)]
    return result
