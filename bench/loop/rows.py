"""The rows of the loops' bench: what each workload is called, what it counts, and who loads it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Transport = Literal["tcp", "unix", "udp", "tls"]
KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Load:
    """What echo_load sends to a workload that serves."""

    transport: Transport
    request: int
    answer: int
    connections: int | None = None
    """None: as many as the command line says."""
    depth: int = 1
    """Messages under way on each connection."""


@dataclass(frozen=True)
class Workload:
    """One row. Without a load it runs inside the measured process alone."""

    key: str
    title: str
    section: str
    work: str
    """`module.function` in bench/loop/work; empty for uvicorn, which is a program of its own."""
    load: Load | None = None
    bytes_each: int = 0
    """Not 0: the row's figure is bytes per second, and each operation moves so many."""
    idle: int = 0
    """Connections held that have had one answer; the row says what they weigh."""
    traced: bool = False
    """System calls per operation are counted too."""


def _echo(key: str, title: str, work: str, load: Load, *, traced: bool = False, idle: int = 0) -> Workload:
    return Workload(key, title, "Echo", work, load, traced=traced, idle=idle)


def _same(transport: Transport, size: int) -> Load:
    return Load(transport, size, size)


def _bulk(key: str, title: str, work: str, load: Load) -> Workload:
    # One connection: what a single transfer gets. Two messages under way, so that no side ever waits for a turn.
    load = replace(load, connections=1, depth=2)
    return Workload(key, title, "Streams", work, load, bytes_each=max(load.request, load.answer))


SIZES = {"64b": (64, "64 B"), "1k": (KIB, "1 KiB"), "100k": (100 * KIB, "100 KiB")}
STYLES = {"protocol": "Protocol", "buffered": "BufferedProtocol", "streams": "streams"}

_SCHEDULING = (
    Workload("call_soon", "call_soon", "Scheduling", "scheduling.call_soon"),
    Workload("call_soon_args", "call_soon with three arguments", "Scheduling", "scheduling.call_soon_args"),
    Workload("threadsafe", "call_soon_threadsafe", "Scheduling", "scheduling.threadsafe"),
    Workload("sleep0", "sleep(0)", "Scheduling", "scheduling.sleep_zero"),
    Workload(
        "ready_with_idle",
        "a callback each turn, 250 idle connections",
        "Scheduling",
        "scheduling.ready_with_idle",
    ),
    Workload("timers", "schedule and cancel a timer", "Scheduling", "timers.schedule_and_cancel"),
    Workload("timers_due", "schedule a timer that is due", "Scheduling", "timers.due"),
    Workload("task", "create a task and await it", "Scheduling", "tasks.create_and_await"),
    Workload("gather", "gather of 100", "Scheduling", "tasks.gather_hundred"),
)
_ECHO = (
    *(
        _echo(
            f"tcp_{size}_{style}",
            f"TCP {words}, {name}",
            f"tcp.{style}",
            _same("tcp", count),
            traced=size == "1k",
        )
        for size, (count, words) in SIZES.items()
        for style, name in STYLES.items()
    ),
    _echo("tcp_split", "TCP 1 KiB, answer in two writes", "tcp.split_writes", _same("tcp", KIB), traced=True),
    _echo("unix_1k", "Unix socket 1 KiB", "unix.protocol", _same("unix", KIB), traced=True),
    _echo("udp_512", "UDP 512 B", "udp.protocol", _same("udp", 512), traced=True),
    _echo("tls_1k", "TLS 1 KiB", "tls.protocol", _same("tls", KIB), traced=True),
    _echo("tcp_idle", "TCP 1 KiB, 1,000 idle connections", "tcp.protocol", _same("tcp", KIB), idle=1000),
)
_STREAMS = (
    _bulk("bulk_in", "TCP stream, received", "tcp.sink", Load("tcp", MIB, 64)),
    _bulk("bulk_out", "TCP stream, sent", "tcp.source", Load("tcp", 64, MIB)),
    _bulk("tls_bulk_in", "TLS stream, received", "tls.sink", Load("tls", MIB, 64)),
    _bulk("tls_bulk_out", "TLS stream, sent", "tls.source", Load("tls", 64, MIB)),
)
_SYSTEM = (
    Workload("connect", "connect, accept and close", "System", "connections.connect_and_close"),
    Workload("getaddrinfo", "getaddrinfo, numeric", "System", "dns.numeric"),
    Workload("spawn", "spawn a process and wait", "System", "processes.spawn"),
    Workload("pipe", "read a process's output", "System", "processes.pipe", bytes_each=1),
    Workload("uvicorn", "uvicorn, plain text, by wrk", "System", ""),
)

WORKLOADS: Mapping[str, Workload] = {row.key: row for row in (*_SCHEDULING, *_ECHO, *_STREAMS, *_SYSTEM)}
