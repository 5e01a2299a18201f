"""Middleware, exception handlers and mounted sub-apps."""

from collections.abc import Iterator

import pytest
from blackbox.client import Client, Connect, compose
from blackbox.leaks import Watch
from blackbox.server import Pool, ServerProcess


@pytest.fixture
def wrapped(kind: str, pool: Pool) -> Iterator[ServerProcess]:
    server = pool.get(kind, "wrapped:app")
    watch = Watch(server)
    yield server
    watch.check()


@pytest.fixture
def client(wrapped: ServerProcess) -> Iterator[Client]:
    with Client(wrapped.address) as opened:
        yield opened


def test_middleware_runs_from_outside_in(client: Client) -> None:
    answer = client.get("/seen")
    assert answer.json() == {"seen": ["outer", "inner"], "variable": "from the middleware"}
    assert (answer.header("x-inner"), answer.header("x-outer")) == ("1", "200")


def test_def_handlers_are_wrapped_too(client: Client) -> None:
    answer = client.get("/sync-seen")
    assert answer.json() == {"seen": ["outer", "inner"]}
    assert answer.header("x-outer") == "200"


def test_middleware_may_answer_itself(client: Client) -> None:
    answer = client.get("/short")
    assert (answer.status, answer.text, answer.header("x-inner")) == (299, "cut short", None)


def test_middleware_that_raises_is_a_500(wrapped: ServerProcess, client: Client) -> None:
    answer = client.get("/middleware-raises")
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    wrapped.wait_for_log("secret of the middleware")


def test_404_and_405_go_through_it(client: Client) -> None:
    answer = client.get("/nothing")
    assert (answer.status, answer.json(), answer.header("x-outer")) == (
        404,
        {"nothing_at": "/nothing"},
        "404",
    )
    answer = client.request("POST", "/seen")
    assert (answer.status, answer.header("x-outer")) == (405, "405")
    assert "GET" in (answer.header("allow") or "")


@pytest.mark.parametrize("path", ["/own-error", "/sync-own-error"])
def test_an_exception_handler_answers(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.json(), answer.header("x-inner")) == (409, {"own": "mine"}, "1")


def test_an_exception_handler_for_what_is_invalid(client: Client) -> None:
    answer = client.get("/number/x")
    assert (answer.status, answer.json()) == (400, {"invalid": True})
    assert client.get("/number/4").json() == {"n": 4}


def test_others_are_as_ever(wrapped: ServerProcess, client: Client) -> None:
    answer = client.get("/unhandled")
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    assert b"secret" not in answer.raw
    wrapped.wait_for_log("secret of the house")
    assert client.get("/teapot").json() == {"detail": "teapot"}


def test_bodies_and_streams_pass_through(client: Client) -> None:
    assert client.request("POST", "/echo", body=b"x" * 100_000).body == b"x" * 100_000
    answer = client.get("/stream")
    assert (answer.body, answer.header("x-outer")) == (b"012", "200")


class TestMounted:
    def test_a_sub_app_answers_below_its_prefix(self, client: Client) -> None:
        answer = client.get("/sub/hello")
        assert answer.json() == {"sub": "hello", "seen": ["outer", "inner"]}
        assert (answer.header("x-sub"), answer.header("x-outer")) == ("1", "200")

    def test_its_lifespan_runs_too(self, client: Client) -> None:
        assert client.get("/sub/state").json() == {"inner": True}

    def test_one_without_middleware(self, client: Client) -> None:
        answer = client.get("/plain/x")
        assert (answer.json(), answer.header("x-sub"), answer.header("x-outer")) == (
            {"plain": "x"},
            None,
            "200",
        )

    def test_nothing_there_is_404(self, client: Client) -> None:
        assert client.get("/sub/nothing").status == 404
        assert client.get("/subhello").status == 404


def test_pipelined_and_at_once(wrapped: ServerProcess, connect: Connect) -> None:
    clients = [connect(wrapped) for _ in range(10)]
    for client in clients:
        client.send(compose("GET", "/seen") * 5 + compose("GET", "/nothing") + compose("GET", "/stream"))
    for client in clients:
        assert [client.read().status for _ in range(7)] == [200] * 5 + [404, 200]
