"""A result of the loops' bench to make pages of."""

from bench.loop.result import LoopResult, LoopRound, LoopRow
from bench.tests.samples import a_result


def rounds(*rates: float, load_busy: float | None = None) -> list[LoopRound]:
    return [LoopRound(number, rate, 2.5, load_busy) for number, rate in enumerate(rates)]


def a_loop_result() -> LoopResult:
    """Seven rounds: ours is the first at call_soon, and behind at the echo, where others fail in two ways."""
    facts = a_result([], target="loop")
    seven = [1.0 + n / 100 for n in range(7)]
    echo = "tcp_1k_protocol"
    rows = [
        LoopRow("call_soon", "asyncio", rounds(*(1e6 * n for n in seven))),
        LoopRow("call_soon", "asioloop", rounds(*(4e6 * n for n in seven))),
        LoopRow("call_soon", "uvloop", rounds(*(2e6 * n for n in seven))),
        LoopRow("call_soon", "rloop", unsupported="NotImplementedError: no <such> thing"),
        LoopRow(
            echo, "asyncio", rounds(*(1e5 * n for n in seven), load_busy=0.5), {"recv": 1.0, "send": 1.0}
        ),
        LoopRow(echo, "asioloop", rounds(*(1.5e5 * n for n in seven), load_busy=0.6)),
        LoopRow(echo, "uvloop", rounds(*(1.8e5 * n for n in seven), load_busy=0.95)),
        LoopRow(echo, "rloop", refused="an answer has wrong bytes"),
        LoopRow("bulk_in", "asioloop", rounds(*(2.0 * 1024**3 * n for n in seven))),
    ]
    rows += [LoopRow("bulk_in", key, unsupported="TypeError") for key in ("asyncio", "uvloop", "rloop")]
    weighed = LoopRow("tcp_idle", "asioloop", rounds(1e5))
    weighed.rounds[0].kib_each = 1.25
    rows += [weighed, LoopRow("tcp_idle", "asyncio", rounds(1e5))]
    rows += [LoopRow("tcp_idle", key, unsupported="TypeError") for key in ("uvloop", "rloop")]
    return LoopResult(
        name="loop-sample",
        target="loop",
        started=facts.started,
        parameters={"rounds": 7, "connections": 64},
        machine=facts.machine,
        versions={"python": "3.13.0", "loop uvloop": "0.23.0"},
        commit=facts.commit,
        dirty=False,
        notes=["zloop is not there for this Python: ModuleNotFoundError"],
        rows=rows,
    )
