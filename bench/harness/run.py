"""One run of the bench, from starting the servers to the result."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from bench.harness import idle, procfs, strace
from bench.harness.burst import Bursts
from bench.harness.errors import RefusedError
from bench.harness.handlers import FLOOR_REQUEST, HANDLERS
from bench.harness.launch import HOST, RunningServer
from bench.harness.light import LightLoad
from bench.harness.machine import allowed_cores
from bench.harness.plan import Cell, Group, Profile, Turn, Wanted, groups_of, sections_of, servers_of, turns
from bench.harness.progress import Progress
from bench.harness.result import IdleRow, Result, Row, WakeUpRow
from bench.harness.servers import SERVERS, Places

# What a turn takes besides its load: starting the load, connecting, warming up, reading /proc.
_TURN_COST = 0.12
_WRK_COST = 0.1
_STRACE_COST = 0.3
# There is one burst before and one while connections are held, so it must not be a short one.
_IDLE_BURST = 0.5
# Longer than connections are kept alive: a deadline that was taken back still passes, once.
_SETTLE_SECONDS = 6.0


def _requests(load: LightLoad, seconds: float) -> int:
    return load.run(seconds).requests


class Run:
    """The state of a run; `result` grows as it goes on."""

    def __init__(
        self, wanted: Wanted, profile: Profile, places: Places, cores: tuple[int, int] | None, result: Result
    ) -> None:
        self._wanted = wanted
        self._profile = profile
        self._places = places
        self._cores = cores
        self._result = result
        self._sections = sections_of(wanted)
        self._servers = servers_of(wanted)
        self._groups = groups_of(wanted, profile)
        self._turns = list(turns(self._groups, profile.wrk_every))
        self._rows: dict[tuple[int, int], Row] = {}
        self._up: dict[str, RunningServer] = {}
        self._stack = ExitStack()
        self._progress = Progress(self._estimate())

    def run(self) -> None:
        """Fills the result."""
        begin = time.monotonic()
        self._make_rows()
        try:
            with Bursts(self._places.build / "bin" / "light_load", self._cores) as bursts:
                if self._turns or "wakeups" in self._sections:
                    self._measure(bursts)
                # Their own servers, as these need another keep-alive time and nothing else that remembers
                # load.
                if "idle" in self._sections and self._profile.idle_connections:
                    self._hold_idle_connections(bursts)
        finally:
            self._progress.end()
        self._result.seconds = round(time.monotonic() - begin, 1)

    def _measure(self, bursts: Bursts) -> None:
        with self._stack:
            self._start_all()
            self._warm_up(bursts)
            for turn in self._turns:
                self._take(bursts, turn)
            self._explain(bursts)
            if "wakeups" in self._sections:
                self._watch_idle_servers()

    # --- before ------------------------------------------------------------------------------------------

    def _estimate(self) -> float:
        profile = self._profile
        seconds = 0.4 * len(self._servers) + profile.warm_up_seconds * sum(len(g.cells) for g in self._groups)
        seconds += sum(self._turn_seconds(turn) for turn in self._turns)
        explained = [cell for group in self._groups for cell in group.cells if cell.explained]
        seconds += len(explained) * (profile.explain_seconds + _STRACE_COST)
        if "wakeups" in self._sections:
            seconds += _SETTLE_SECONDS + profile.wakeup_seconds
        if "idle" in self._sections:
            seconds += len(self._idle_servers()) * self._idle_seconds()
        return seconds

    def _turn_seconds(self, turn: Turn) -> float:
        wrk = self._profile.wrk_seconds + _WRK_COST if turn.with_wrk else 0.0
        return self._profile.light_seconds + _TURN_COST + wrk

    def _idle_seconds(self) -> float:
        profile = self._profile
        return (
            3
            + 1.5 * profile.idle_seconds
            + 2 * max(_IDLE_BURST, profile.light_seconds)
            + profile.idle_connections * 4e-4
        )

    def _make_rows(self) -> None:
        for index, group in enumerate(self._groups):
            for place, cell in enumerate(group.cells):
                server = SERVERS[cell.server]
                row = Row(
                    section=group.section,
                    group=index,
                    server=cell.server,
                    title=server.title,
                    kind=server.kind,
                    handler=cell.handler,
                    connections=cell.connections,
                    depth=cell.depth,
                    pinned=cell.pinned,
                )
                self._rows[index, place] = row
                self._result.rows.append(row)

    def _cells(self) -> list[tuple[Group, Cell, Row]]:
        return [
            (group, cell, self._rows[index, place])
            for index, group in enumerate(self._groups)
            for place, cell in enumerate(group.cells)
        ]

    def _refuse(self, row: Row, error: RefusedError) -> None:
        if row.refused is None:
            row.refused = str(error)
            self._progress.say(f"REFUSED {row.title}, {row.handler}: {error}")
        # One load that a server does not survive takes only that row away: the others get a new process.
        server = self._up.get(row.server)
        if server is not None and not server.is_alive(grace=0.5):
            self._start(row.server)

    def _start(self, key: str) -> None:
        core = self._cores[0] if self._cores else None
        self._up.pop(key, None)
        try:
            self._up[key] = self._stack.enter_context(RunningServer(SERVERS[key], self._places, core))
        except RefusedError as error:
            for _, cell, row in self._cells():
                if cell.server == key:
                    self._refuse(row, error)

    def _start_all(self) -> None:
        for key in self._servers:
            self._progress.step(f"starting {SERVERS[key].title}", 0.4)
            self._start(key)

    def _warm_up(self, bursts: Bursts) -> None:
        """Asks every server for everything, checks the answers, then lets caches and branch predictors
        settle."""
        for _, cell, row in self._cells():
            if row.refused:
                continue
            self._progress.step(f"warming up {row.title}, {row.handler}", self._profile.warm_up_seconds)
            try:
                self._up[cell.server].verify(HANDLERS[cell.handler])
                bursts.measure(self._up[cell.server], cell, 0, self._profile.warm_up_seconds)
            except RefusedError as error:
                self._refuse(row, error)

    # --- the rounds --------------------------------------------------------------------------------------

    def _take(self, bursts: Bursts, turn: Turn) -> None:
        cell = self._groups[turn.group].cells[turn.cell]
        row = self._rows[turn.group, turn.cell]
        load = f"{cell.connections} connections" + (f", {cell.depth} deep" if cell.depth > 1 else "")
        what = f"round {turn.round + 1}: {row.title}, {cell.handler}, {load}"
        self._progress.step(what, self._turn_seconds(turn))
        if row.refused:
            return
        server = self._up[cell.server]
        try:
            if not cell.pinned:
                server.move_to(allowed_cores())
            one = bursts.measure(server, cell, turn.round, self._profile.light_seconds)
            if turn.with_wrk:
                one = bursts.measure_wrk(server, cell, self._profile.wrk_seconds, one)
            row.rounds.append(one)
        except RefusedError as error:
            self._refuse(row, error)
        finally:
            if not cell.pinned and self._cores and server.is_alive():
                server.move_to([self._cores[0]])

    def _explain(self, bursts: Bursts) -> None:
        """System calls, in a run of their own that no other figure comes from: strace makes everything slow."""
        seconds = self._profile.explain_seconds
        for _, cell, row in self._cells():
            if not cell.explained:
                continue
            self._progress.step(f"system calls: {row.title}, {row.handler}", seconds + _STRACE_COST)
            if row.refused:
                continue
            server = self._up[cell.server]
            try:
                with bursts.light_load(server, cell) as load:
                    row.system_calls = strace.count(server.tree(), partial(_requests, load, seconds))
            except RefusedError as error:
                self._refuse(row, error)

    # --- idle --------------------------------------------------------------------------------------------

    def _watch_idle_servers(self) -> None:
        seconds = self._profile.wakeup_seconds
        self._progress.step(f"watching idle servers for {seconds:.0f} s", _SETTLE_SECONDS + seconds)
        alive = [server for server in self._up.values() if server.is_alive()]
        for key, seen in idle.wake_ups(alive, _SETTLE_SECONDS, seconds).items():
            row = WakeUpRow(key, SERVERS[key].title, round(seen.seconds, 2), seen.count)
            self._result.wake_ups.append(row)

    def _idle_servers(self) -> Sequence[str]:
        kinds = ("control", "stage", "peer")
        return [key for key in self._servers if SERVERS[key].kind in kinds and key != "floor-no-parser"]

    def _hold_idle_connections(self, bursts: Bursts) -> None:
        wanted = self._profile.idle_connections
        count = idle.allow_descriptors(wanted)
        if count < wanted:
            self._result.notes.append(
                f"The limit on open files allows {count} idle connections, not {wanted}."
            )
        core = self._cores[0] if self._cores else None
        for key in self._idle_servers():
            server = SERVERS[key]
            row = IdleRow(key, server.title, wanted)
            self._result.idle.append(row)
            self._progress.step(f"{count} idle connections: {server.title}", self._idle_seconds())
            try:
                with RunningServer(server, self._places, core, server.idle_arguments) as running:
                    self._hold(bursts, running, count, row)
            except RefusedError as error:
                row.refused = str(error)
                self._progress.say(f"REFUSED {server.title}, idle connections: {error}")

    def _hold(self, bursts: Bursts, running: RunningServer, count: int, row: IdleRow) -> None:
        cell = Cell(server=row.server, handler="async", connections=self._wanted.connections)
        running.verify(FLOOR_REQUEST)
        bursts.measure(running, cell, 0, self._profile.warm_up_seconds)
        seconds = max(_IDLE_BURST, self._profile.light_seconds)
        before = bursts.measure(running, cell, 0, seconds)
        time.sleep(self._profile.idle_seconds / 2)
        empty = procfs.resident_bytes(running.tree())
        request = FLOOR_REQUEST.requests[0].to_bytes(f"{HOST}:{running.port}")
        with idle.IdleConnections(running.port, count, request.encode()) as connections:
            time.sleep(self._profile.idle_seconds)
            full = procfs.resident_bytes(running.tree())
            row.held = connections.held()
            after = bursts.measure(running, cell, 0, seconds)
        row.kib_each = (full - empty) / 1024 / max(row.held, 1)
        row.rate_before, row.rate_while = before.rate, after.rate
        row.cpu_us_before, row.cpu_us_while = before.cpu_us, after.cpu_us


def with_changes(
    profile: Profile,
    rounds: int | None,
    duration: float | None,
    idle_connections: int | None,
    wrk_every: int | None,
) -> Profile:
    """The profile with what the command line said."""
    if rounds is not None:
        profile = replace(profile, rounds=rounds)
    if duration is not None:
        profile = replace(profile, light_seconds=duration, wrk_seconds=duration)
    if idle_connections is not None:
        profile = replace(profile, idle_connections=idle_connections)
    if wrk_every is not None:
        profile = replace(profile, wrk_every=wrk_every)
    return profile
