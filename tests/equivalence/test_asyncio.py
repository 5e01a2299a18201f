"""Inside a handler everything is as under asyncio.run."""

import uuid
from typing import Any

import pytest
from blackbox.client import Client, Connect, compose
from blackbox.server import ServerProcess, wait_for

#: Path, and what the handler has to have seen.
SEEN: dict[str, dict[str, Any]] = {
    "/task/current": {
        "is_task": True,
        "same": True,
        "among": True,
        "done": False,
        "loop": True,
        "same_loop": True,
    },
    "/task/current/first": {"is_task": True, "among": True},
    "/task/name": {"before": True, "during": "mine", "after": "mine"},
    "/task/coro": {"first": True, "later": True, "stack": True},
    "/wait-for/timeout": {"timed_out": True, "expired": True, "cancelling": 0},
    "/wait-for/zero": {"timed_out": True},
    "/wait-for/in-time": {"in_time": True},
    "/wait-for/wait_for": {"timed_out": True},
    "/wait-for/group": {"doubled": [0, 2, 4]},
    "/wait-for/group-fails": {"seen": ["cancelled", "one"]},
    "/wait-for/gather": {"gathered": [1, 2, 3]},
    "/wait-for/future": {"got": ["soon", "later"]},
    "/wait-for/queue": {"got": [0, 1, 2, 3, 4]},
    "/wait-for/sleep/0": {"slept": 0},
    "/wait-for/sleep/100": {"slept": 100},
    "/wait-for/custom": {"got": "own"},
    "/wait-for/nonsense": {"error": True},
    "/wait-for/asyncgen": {"got": [0, 1, 2]},
    "/cancel/first-step": {"cancelled": True, "message": "why", "cancelling": 1, "left": 0},
    "/cancel/by-another": {"cancelled": True},
    "/cancel/child": {"cancelled": True},
    "/cancel/shield": {"result": "kept"},
    "/context/reset/x": {"value": "unset"},
    "/threads/to_thread": {"doubled": 42, "on_main": False},
    "/threads/executor": {"squares": [0, 1, 4, 9, 16]},
    "/threads/threadsafe": {"got": ["from a thread", "from a coroutine"]},
    "/threads/loop-thread": {"main": True},
    "/threads/sync": {"loop": "none"},
    "/threads/pool": {"loop": "none", "main": False},
    "/threads/sync-run": {"inner": "ran"},
    "/threads/busy": {"progressed": True},
    "/signal/loop/x": {"signal": "x", "removed": True},
    "/signal/plain": {"signal": True},
}


@pytest.mark.parametrize("path", SEEN)
def test_a_handler_sees(client: Client, path: str) -> None:
    for _ in range(3):
        answer = client.get(path)
        assert (answer.status, answer.json()) == (200, SEEN[path])


@pytest.mark.parametrize("path", SEEN)
def test_many_handlers_at_once_see(server: ServerProcess, connect: Connect, path: str) -> None:
    if path.startswith("/signal"):
        path = "/task/current"  # A signal has one handler at a time.
    clients = [connect(server) for _ in range(8)]
    for client in clients:
        client.send(compose("GET", path))
    for client in clients:
        answer = client.read()
        assert (answer.status, answer.json()) == (200, SEEN[path])


@pytest.mark.parametrize("path", ["/cancel/escapes", "/cancel/raised", "/cancel/never-waits"])
def test_a_cancelled_handler_is_a_500(client: Client, path: str) -> None:
    """`never-waits` too: a task that is cancelled in its last step is cancelled, says asyncio.Task."""
    answer = client.get(path)
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    assert client.get("/hello").status == 200


def test_a_task_that_was_kept_stays_what_it_was(client: Client) -> None:
    """However tasks are pooled: one that somebody keeps is done, named as it was, and nobody else's."""
    assert client.get("/task/keep").json() == {"kept": True}
    for _ in range(3):
        assert client.get("/task/kept").json() == {
            "done": True,
            "name": "kept",
            "same": False,
            "cancelled": False,
            "my_name": True,
        }


def test_a_done_callback_of_ones_own_task_is_called(client: Client) -> None:
    assert client.get("/task/callback").json() == {"added": True}
    wait_for("the callback", lambda: client.get("/task/called").json() == {"called": [[True, True]]})


class TestContexts:
    def test_a_value_is_kept_across_waits_and_handed_down(self, client: Client) -> None:
        for value in ("a", "b"):
            assert client.get(f"/context/set/{value}").json() == {
                "before": "unset",
                "after": value,
                "child": value,
                "callback": [value],
                "thread": value,
            }

    @pytest.mark.parametrize("how", ["sync-set", "pool-set"])
    def test_def_handlers_have_one_of_their_own(self, client: Client, how: str) -> None:
        for value in ("a", "b"):
            assert client.get(f"/context/{how}/{value}").json() == {"before": "unset", "after": value}
        assert client.get("/context/get").json() == {"value": "unset"}
        assert client.get("/context/sync-get").json() == {"value": "unset"}

    def test_requests_at_once_do_not_see_each_other(self, server: ServerProcess, connect: Connect) -> None:
        clients = [connect(server) for _ in range(20)]
        for n, client in enumerate(clients):
            client.send(compose("GET", f"/context/held/{n}") * 3)
        for n, client in enumerate(clients):
            for _ in range(3):
                assert client.read().json() == {"seen": [str(n)]}

    def test_the_next_request_starts_from_nothing(self, client: Client) -> None:
        client.get("/context/set/left-behind")
        client.get("/stream/context")
        assert client.get("/context/get").json() == {"value": "unset"}


class TestOutliving:
    def test_a_task_outlives_its_response_and_its_connection(
        self, server: ServerProcess, connect: Connect
    ) -> None:
        name = uuid.uuid4().hex
        client, other = connect(server), connect(server)
        assert client.request("POST", f"/background/{name}").json() == {"begun": True}
        client.reset()
        for _ in range(20):
            assert other.get(f"/debug/count/background-{name}").json() == {"count": 0}
        other.request("POST", f"/debug/set/{name}")
        wait_for("its end", lambda: other.get(f"/debug/count/background-{name}").json()["count"] == 1)

    def test_thousands_of_requests_leave_no_task_and_no_object(
        self, server: ServerProcess, connect: Connect
    ) -> None:
        """Counts objects by type before and after: what a request makes must go with it."""
        client = connect(server)
        paths = [
            "/hello",
            "/sync",
            "/wait-for/sleep/2",
            "/wait-for/gather",
            "/stream/async/3",
            "/errors/after-wait",
            "/items/x",
        ]
        data = b"".join(compose("GET", path) for path in paths) + compose(
            "POST", "/body/dict", json={"a": [1]}
        )

        def many(rounds: int) -> None:
            for _ in range(rounds):
                client.send(data)
                for _ in range(len(paths) + 1):
                    assert client.read().status in (200, 422, 500)

        many(20)
        before = client.get("/debug/objects").json()
        many(300)
        after = client.get("/debug/objects").json()
        grown = {k: (before.get(k, 0), n) for k, n in after.items() if n > before.get(k, 0) + 100}
        assert not grown


def test_a_busy_loop_does_not_starve_other_connections(server: ServerProcess, connect: Connect) -> None:
    busy = [connect(server) for _ in range(4)]
    for client in busy:
        client.send(compose("GET", "/wait-for/sleep/20000"))
    assert connect(server).get("/hello").status == 200
    for client in busy:
        assert client.read().json() == {"slept": 20000}
