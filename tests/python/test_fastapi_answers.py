"""The answers of FastAPI, written down once, are ours too: status, content type, errors to the letter."""

import json
from pathlib import Path
from typing import Any

import asioserve
import pytest

from tests.python import fastapi_app
from tests.python.fake_native import Server

GOLDEN = json.loads(Path(__file__).with_name("fastapi_answers.json").read_text(encoding="utf-8"))["answers"]
SERVER = Server(fastapi_app.make(asioserve))


def test_what_was_written_down_is_what_is_asked_now() -> None:
    assert [tuple(answer[:4]) for answer in GOLDEN] == [tuple(case) for case in fastapi_app.cases()]
    assert {answer[4] for answer in GOLDEN} >= {200, 201, 204, 400, 404, 405, 418, 422, 500}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: f"{golden[0]} {golden[1]} {golden[2]}"[:60])
def test_the_answer_is_fastapis(golden: list[Any]) -> None:
    method, target, body, headers, status, content_type, kept, text = golden
    answer = SERVER.ask(method, target, body.encode(), **headers)
    assert (answer.status, answer.header("content-type")) == (status, content_type)
    assert {name: answer.header(name) for name in ("allow", "x-a") if answer.header(name) is not None} == kept
    if content_type == "application/json" and text:
        assert answer.json() == json.loads(text)
    else:
        assert answer.body.decode() == text
