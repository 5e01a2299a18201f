"""The guide's table of what differs says what the loops do."""

from __future__ import annotations

import json

import asking
import pytest
import table


@pytest.mark.parametrize("loop", ["asyncio", "asioloop"])
@pytest.mark.parametrize("name", asking.asked())
def test_a_loop_does_as_the_guide_says(name: str, loop: str) -> None:
    wanted = table.recorded()["answers"][name][loop]
    assert asking.ask(loop, name, table.environment()) == wanted, (
        f"{asking.PROBES[name].question}: tests/loop/differences/table.py --record asks anew and mends the page"
    )


def test_the_page_has_what_was_recorded() -> None:
    text = table.PAGE.read_text()
    assert table.replaced(text) == text


def test_every_question_was_asked_of_every_loop() -> None:
    answers = json.loads(table.RECORDED.read_text())["answers"]
    assert list(answers) == list(asking.PROBES)
    assert all(set(said) == set(asking.LOOPS) for said in answers.values())


def test_a_probe_that_is_wrong_is_no_answer() -> None:
    assert asking.ask("asyncio", "private_queues", table.environment()) == "yes"
    with pytest.raises(RuntimeError, match="no_such_probe"):
        asking.ask("asyncio", "no_such_probe", table.environment())
    with pytest.raises(ValueError, match="markers"):
        table.replaced("a page without them")
