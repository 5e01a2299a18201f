"""A peer that leaves while its handler runs: nothing is freed under it, and nobody is cancelled who did not ask."""

import uuid
from collections.abc import Callable

import pytest
from blackbox.client import Client, Connect, compose
from blackbox.server import ServerProcess, wait_for


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def counted(client: Client, what: str) -> int:
    return int(client.get(f"/debug/count/{what}").json()["count"])


def begin(server: ServerProcess, connect: Connect, path: str, name: str) -> tuple[Client, Client]:
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/disconnect/{path}/{name}"))
    wait_for("the handler to begin", lambda: counted(other, f"begun-{name}") == 1)
    return client, other


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
def test_a_handler_is_not_cancelled(
    server: ServerProcess, connect: Connect, name: str, leave: Callable[[Client], None]
) -> None:
    client, other = begin(server, connect, "kept", name)
    leave(client)
    for _ in range(20):
        assert counted(other, f"ended-{name}") == 0
    other.request("POST", f"/debug/set/{name}")
    wait_for("its own end", lambda: counted(other, f"ended-{name}") == 1)
    assert counted(other, f"cancelled-{name}") == 0


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
def test_a_handler_can_see_that_its_peer_left(
    server: ServerProcess, connect: Connect, name: str, leave: Callable[[Client], None]
) -> None:
    client, other = begin(server, connect, "sees", name)
    wait_for("it to look", lambda: counted(other, f"looked-{name}") > 3)
    assert counted(other, f"saw-{name}") == 0
    leave(client)
    wait_for("it to be seen", lambda: counted(other, f"saw-{name}") == 1)


@pytest.mark.parametrize("leave", [Client.close, Client.reset, Client.end_sending])
def test_a_handler_that_asks_is_cancelled(
    server: ServerProcess, connect: Connect, name: str, leave: Callable[[Client], None]
) -> None:
    """A peer that closes in the usual way can not be told from one that ends sending: both have left, for this."""
    client, other = begin(server, connect, "cancelled", name)
    leave(client)
    wait_for("its cancellation", lambda: counted(other, f"cancelled-{name}") == 1)
    assert counted(other, f"ended-{name}") == 1


def test_a_handler_that_asks_is_not_cancelled_while_its_peer_is_there(
    server: ServerProcess, connect: Connect, name: str
) -> None:
    client, other = begin(server, connect, "cancelled", name)
    other.request("POST", f"/debug/set/{name}")
    assert client.read().json() == {"kept": True}
    assert counted(other, f"cancelled-{name}") == 0


def test_half_closing_leaves_other_handlers_alone(server: ServerProcess, connect: Connect, name: str) -> None:
    client, other = begin(server, connect, "kept", name)
    client.end_sending()
    for _ in range(20):
        other.get("/wait-for/sleep/3")
    other.request("POST", f"/debug/set/{name}")
    assert client.read().json() == {"kept": True}


def test_a_thread_of_the_pool_goes_on(server: ServerProcess, connect: Connect, name: str) -> None:
    client, other = begin(server, connect, "sync", name)
    client.reset()
    other.request("POST", f"/disconnect/go/{name}")
    wait_for("its own end", lambda: counted(other, f"ended-{name}") == 1)


def test_hundreds_that_leave_at_any_moment(server: ServerProcess, connect: Connect) -> None:
    data = [
        compose("GET", "/hello"),
        compose("GET", "/wait-for/sleep/3"),
        compose("GET", "/stream/async/50"),
        compose("POST", "/body/raw", body=b"x" * 5000),
        compose("POST", "/upload/echo", body=b"x" * 100_000),
        compose("GET", "/results/large"),
        compose("GET", "/threads/to_thread"),
        compose("GET", "/cancel/first-step"),
    ]
    for n in range(400):
        client = connect(server)
        whole = data[n % len(data)]
        client.send(whole[: 1 + (n * 37) % len(whole)])
        if n % 3 == 0:
            client.close()
        elif n % 3 == 1:
            client.reset()
        else:
            client.end_sending()
            client.close()
    assert connect(server).get("/hello").status == 200
