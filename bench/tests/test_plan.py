from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest

from bench.harness.plan import PROFILES, TARGETS, Cell, Group, Wanted, groups_of, servers_of, turns
from bench.harness.servers import PEERS, SERVERS


def _group(names: str, rounds: int) -> Group:
    return Group("handlers", tuple(Cell(name, "async") for name in names), rounds)


def test_rounds_take_turns_and_each_starts_with_another() -> None:
    order = ["ABC"[turn.cell] for turn in turns([_group("ABC", 4)], wrk_every=1)]
    assert "".join(order) == "ABCBCACABABC"


def test_every_row_gets_every_round_of_its_group() -> None:
    groups = [_group("ABC", 9), _group("DE", 3)]
    counts = Counter((turn.group, turn.cell) for turn in turns(groups, 1))
    assert counts == {(0, 0): 9, (0, 1): 9, (0, 2): 9, (1, 0): 3, (1, 1): 3}


def test_rows_that_are_compared_are_measured_next_to_each_other() -> None:
    groups = [_group("ABC", 5), _group("DEF", 5)]
    for (_, _), some in groupby(turns(groups, 1), key=lambda turn: (turn.round, turn.group)):
        assert sorted(turn.cell for turn in some) == [0, 1, 2]


def test_wrk_runs_in_some_rounds_only_where_asked() -> None:
    group = replace(_group("AB", 9), cells=(Cell("A", "async"), Cell("B", "async", with_wrk=False)))
    rounds = [(turn.cell, turn.round) for turn in turns([group], 4) if turn.with_wrk]
    assert rounds == [(0, 0), (0, 4), (0, 8)]


@pytest.mark.parametrize("target", TARGETS)
def test_the_floor_takes_turns_with_everything(target: str) -> None:
    groups = groups_of(Wanted(target, python=(3, 13)), PROFILES["full"])
    assert groups
    for group in groups:
        assert group.cells[0].server == "floor"
        assert len({cell.server for cell in group.cells}) == len(group.cells)


def test_a_stage_is_measured_with_the_stage_before() -> None:
    assert servers_of(Wanted("stage3")) == ("floor", "fake", "stage2", "stage3")
    assert servers_of(Wanted("stage1")) == ("floor", "fake", "stage1")


def test_all_has_every_stage_and_every_ablation() -> None:
    keys = servers_of(Wanted("all", python=(3, 12)))
    assert {"stage1", "stage2", "stage3", "fake", "floor-no-parser", "stage2-eager-start"} <= set(keys)
    assert {"stage3-no-pooled-task", "stage3-no-eager-step", "stage3-no-deferred-sends"} <= set(keys)


def test_eager_start_is_left_out_where_python_has_none() -> None:
    assert "stage2-eager-start" not in servers_of(Wanted("all", python=(3, 11)))


def test_peers_has_every_peer() -> None:
    assert set(PEERS) <= set(servers_of(Wanted("peers")))


def test_nothing_is_asked_of_a_server_that_it_cannot_do() -> None:
    for group in groups_of(Wanted("peers"), PROFILES["full"]):
        for cell in group.cells:
            server = SERVERS[cell.server]
            assert server.answers_hello_only or cell.handler in server.handlers


def test_only_the_handlers_asked_for_are_measured() -> None:
    groups = groups_of(
        Wanted("all", handlers=("json",), sections=("handlers", "pipelined")), PROFILES["full"]
    )
    assert [group.cells[0].handler for group in groups] == ["json"]
    assert groups[0].cells[0].with_wrk, "the floor's only row must have its requests/s"


def test_all_looks_at_one_to_a_thousand_connections_and_unpinned() -> None:
    groups = groups_of(Wanted("all"), PROFILES["full"])
    sweep = [group.cells[0].connections for group in groups if group.section == "sweep"]
    assert (sweep[0], sweep[-1]) == (1, 1000)
    assert [cell.pinned for group in groups if group.section == "unpinned" for cell in group.cells] == [
        False
    ] * 4


def test_targets_have_enough_rounds_for_intervals() -> None:
    assert PROFILES["full"].rounds >= 9 and PROFILES["stage"].rounds >= 9
