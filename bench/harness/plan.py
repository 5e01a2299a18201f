"""Which servers are measured with which load, how long, and in which order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.harness.errors import BenchError
from bench.harness.handlers import HANDLERS
from bench.harness.servers import ABLATIONS, PEERS, SERVERS

SWEEP = (1, 8, 64, 256, 1000)
PIPELINE = 16
WITH_GOALS = ("sync", "async", "sleep0")
SECTIONS = ("handlers", "pipelined", "unpinned", "sweep", "idle", "wakeups")
TARGETS = ("stage1", "stage2", "stage3", "all", "floor", "peers")


@dataclass(frozen=True)
class Cell:
    """One row: a server under one load."""

    server: str
    handler: str
    connections: int = 64
    depth: int = 1
    pinned: bool = True
    with_wrk: bool = True
    explained: bool = True
    """Counters and system calls are taken too."""


@dataclass(frozen=True)
class Group:
    """Rows that are compared with each other, so they take turns. The first is the control, if it is the
    floor."""

    section: str
    cells: tuple[Cell, ...]
    rounds: int


@dataclass(frozen=True)
class Profile:
    """How long to look."""

    rounds: int = 9
    other_rounds: int | None = None
    """Rounds of handlers that no goal is set for, if fewer."""
    light_seconds: float = 0.5
    wrk_seconds: float = 1.0
    wrk_every: int = 1
    """wrk runs in every so many rounds; its requests per second need fewer of them than the CPU time's
    difference."""
    explain_seconds: float = 0.3
    warm_up_seconds: float = 0.3
    idle_connections: int = 10_000
    idle_seconds: float = 3.0
    """Until idle connections are weighed; their buffers are given back after a second without requests."""
    wakeup_seconds: float = 10.0


PROFILES: Mapping[str, Profile] = {
    # A stage is asked about while it is being changed, so the answer may take two minutes and no more.
    "stage": Profile(
        other_rounds=6,
        light_seconds=0.12,
        wrk_seconds=0.4,
        wrk_every=4,
        explain_seconds=0.1,
        warm_up_seconds=0.05,
    ),
    "full": Profile(),
    "quick": Profile(
        rounds=3,
        light_seconds=0.15,
        wrk_seconds=0.3,
        wrk_every=2,
        explain_seconds=0.1,
        warm_up_seconds=0.1,
        idle_connections=1000,
        idle_seconds=1.5,
    ),
}


@dataclass(frozen=True)
class Wanted:
    """What the command line asked for."""

    target: str
    handlers: tuple[str, ...] = tuple(HANDLERS)
    sections: tuple[str, ...] | None = None
    connections: int = 64
    python: tuple[int, int] = (3, 11)
    ablations: bool = False
    """With stageN: its ablations too. `all` always has them."""


def stage_before(target: str) -> str | None:
    """The stage that a stage is compared with."""
    return {"stage2": "stage1", "stage3": "stage2"}.get(target)


def sections_of(wanted: Wanted) -> tuple[str, ...]:
    """The sections that the user wants, or else those that the target has."""
    if wanted.sections is not None:
        return tuple(section for section in SECTIONS if section in wanted.sections)
    return {
        "all": SECTIONS,
        "floor": ("handlers", "pipelined", "idle", "wakeups"),
        "peers": ("handlers", "idle", "wakeups"),
    }.get(wanted.target, ("handlers", "pipelined", "wakeups"))


def servers_of(wanted: Wanted) -> tuple[str, ...]:
    """The servers of a target, the floor first."""
    if wanted.target == "floor":
        keys: Sequence[str] = ("floor", "floor-no-parser", "fake")
    elif wanted.target == "peers":
        keys = ("floor", "stage3", *PEERS)
    elif wanted.target == "all":
        keys = ("floor", "floor-no-parser", "fake", "stage1", "stage2", "stage3", *ABLATIONS)
    elif wanted.target in TARGETS:
        before = stage_before(wanted.target)
        ablations = [key for key in ABLATIONS if key.startswith(wanted.target) and wanted.ablations]
        keys = ("floor", "fake", *([before] if before else []), wanted.target, *ablations)
    else:
        raise BenchError(f"nothing is called {wanted.target!r}: {', '.join(TARGETS)}")
    return tuple(key for key in keys if SERVERS[key].since_python <= wanted.python)


def _belongs(key: str, handler: str, depth: int) -> bool:
    """Whether a server has a row for this load. Only what a row can teach is measured: the rest costs
    minutes."""
    server = SERVERS[key]
    if key == "floor":
        return True
    if key == "floor-no-parser":
        return handler == "async" and depth == 1
    if server.kind == "control":
        return handler == "async"
    if server.kind == "ablation":
        return handler in ("async", "sleep0") and (depth == 1 or handler == "async")
    return handler in server.handlers


def _group(wanted: Wanted, section: str, rounds: int, cell: Cell, servers: Sequence[str]) -> Group:
    handler = cell.handler
    cells = []
    for key in servers:
        if _belongs(key, handler, cell.depth):
            # The floor answers hello in every group: as the partner of each round, but one row of it is
            # enough to see.
            repeats = (
                key == "floor" and section == "handlers" and handler != "async" and "async" in wanted.handlers
            )
            cells.append(
                replace(cell, server=key, with_wrk=not repeats, explained=cell.explained and not repeats)
            )
    return Group(section, tuple(cells), rounds)


def groups_of(wanted: Wanted, profile: Profile) -> list[Group]:
    """Everything that takes turns, in the order of the report."""
    servers = servers_of(wanted)
    sections = sections_of(wanted)
    base = Cell(server="", handler="", connections=wanted.connections)
    plain = [key for key in servers if SERVERS[key].kind == "stage" or key == "floor"]
    groups = []
    if "handlers" in sections:
        has = {
            handler
            for key in servers
            if SERVERS[key].kind in ("stage", "peer")
            for handler in SERVERS[key].handlers
        }
        if wanted.target == "peers":
            has = {handler for key in PEERS for handler in SERVERS[key].handlers}
        handlers = [h for h in wanted.handlers if h in (has or {"async"})]
        for handler in handlers:
            cell = replace(base, handler=handler)
            rounds = (
                profile.rounds
                if handler in WITH_GOALS
                else min(profile.rounds, profile.other_rounds or profile.rounds)
            )
            groups.append(_group(wanted, "handlers", rounds, cell, servers))
    if "pipelined" in sections:
        for handler in ("sync", "async") if wanted.target == "all" else ("async",):
            if handler in wanted.handlers:
                cell = replace(base, handler=handler, depth=PIPELINE)
                groups.append(_group(wanted, "pipelined", profile.rounds, cell, servers))
    if "unpinned" in sections:
        cell = replace(base, handler="async", pinned=False, explained=False)
        groups.append(_group(wanted, "unpinned", profile.rounds, cell, plain))
    if "sweep" in sections:
        for connections in SWEEP:
            cell = replace(base, handler="async", connections=connections, explained=False)
            groups.append(_group(wanted, "sweep", max(3, profile.rounds // 3), cell, plain))
    return groups


@dataclass(frozen=True)
class Turn:
    """One measurement to make."""

    round: int
    group: int
    cell: int
    with_wrk: bool


def turns(groups: Sequence[Group], wrk_every: int) -> Iterator[Turn]:
    """A B C … A B C …, each round starting with another one: what drifts (heat, neighbours) meets all of
    them alike.

    Rows of a group are measured within seconds of each other, which is what makes their differences pairs.
    """
    for number in range(max((group.rounds for group in groups), default=0)):
        for index, group in enumerate(groups):
            if number >= group.rounds:
                continue
            count = len(group.cells)
            for step in range(count):
                cell = (number + step) % count
                yield Turn(number, index, cell, group.cells[cell].with_wrk and number % wrk_every == 0)
