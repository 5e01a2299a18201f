"""Several requests on a connection before the first answer: answered in order, whatever takes how long."""

import json
import uuid

from blackbox.client import Client, Connect, compose
from blackbox.server import ServerProcess, wait_for


def name() -> str:
    return uuid.uuid4().hex


def test_sixteen_at_once_are_answered_in_order(client: Client) -> None:
    for _ in range(5):
        client.send(b"".join(compose("GET", f"/items/{n}") for n in range(16)))
        assert [client.read().json()["id"] for _ in range(16)] == list(range(16))


def test_a_thousand_at_once_are_answered_in_order(client: Client) -> None:
    paths = ["/items/{}", "/sync-items/{}"]
    client.send(b"".join(compose("GET", paths[n % 2].format(n)) for n in range(1000)))
    assert [client.read().json()["id"] for _ in range(1000)] == list(range(1000))


def test_a_slow_answer_holds_back_the_quick_ones_behind_it(server: ServerProcess, connect: Connect) -> None:
    event = name()
    client, other = connect(server), connect(server)
    client.send(
        compose("GET", f"/wait/{event}") + compose("GET", "/items/1") + compose("GET", "/sync-items/2")
    )
    wait_for("the first to run", lambda: other.get(f"/debug/count/wait-{event}").json()["count"] == 1)
    assert other.get("/hello").status == 200
    client.socket.setblocking(False)
    try:
        early = client.socket.recv(100)
    except BlockingIOError:
        early = b""
    client.socket.settimeout(10)
    assert early == b"", "an answer overtook the one before it"
    other.request("POST", f"/debug/set/{event}")
    assert client.read().json() == {"waited": event}
    assert client.read().json() == {"id": 1}
    assert client.read().json() == {"id": 2}


def test_safe_requests_behind_a_slow_one_run_beside_it(client: Client) -> None:
    """The second one sets what the first one waits for: one after the other this would never end."""
    event = name()
    client.send(compose("GET", f"/wait/{event}") + compose("GET", f"/debug/set/{event}"))
    assert client.read().json() == {"waited": event}
    assert client.read().json() == {"set": True}


def test_an_unsafe_request_waits_for_those_before_it(server: ServerProcess, connect: Connect) -> None:
    event = name()
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/wait/{event}") + compose("POST", f"/debug/set/{event}"))
    wait_for("the first to run", lambda: other.get(f"/debug/count/wait-{event}").json()["count"] == 1)
    for _ in range(20):
        assert other.get(f"/debug/is_set/{event}").json() == {"set": False}, "it must not have begun"
    other.request("POST", f"/debug/set/{event}")
    assert client.read().json() == {"waited": event}
    assert client.read().json() == {"set": True}


def test_requests_behind_an_unsafe_one_wait_for_it(server: ServerProcess, connect: Connect) -> None:
    event = name()
    client, other = connect(server), connect(server)
    client.send(compose("POST", f"/wait/{event}") + compose("GET", f"/debug/set/{event}"))
    wait_for("the first to run", lambda: other.get(f"/debug/count/wait-{event}").json()["count"] == 1)
    for _ in range(20):
        assert other.get(f"/debug/is_set/{event}").json() == {"set": False}, "it must not have begun"
    other.request("POST", f"/debug/set/{event}")
    assert client.read().json() == {"waited": event}
    assert client.read().json() == {"set": True}


def test_bodies_and_plain_requests_mixed(client: Client) -> None:
    chunked = b"POST /body/raw HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    client.send(
        compose("POST", "/body/raw", body=b"first")
        + compose("GET", "/items/1")
        + chunked
        + compose("POST", "/body/dict", json={"a": 1})
        + compose("GET", "/stream/async/2")
        + compose("HEAD", "/hello")
        + compose("GET", "/no-such-page")
        + compose("GET", "/items/2")
    )
    assert client.read().body == b"first"
    assert client.read().json() == {"id": 1}
    assert client.read().body == b"abc"
    assert client.read().json() == {"got": {"a": 1}}
    assert client.read().body == b"chunk 0\nchunk 1\n"
    assert client.read(head=True).status == 200
    assert client.read().status == 404
    assert client.read().json() == {"id": 2}


def test_an_ignored_body_does_not_put_the_next_request_out_of_step(client: Client) -> None:
    client.send(
        compose("POST", "/body/ignored", body=b"GET /evil HTTP/1.1\r\n\r\n" * 50) + compose("GET", "/items/9")
    )
    assert client.read().json() == {"ignored": True}
    assert client.read().json() == {"id": 9}


def test_nothing_behind_connection_close_is_answered(client: Client) -> None:
    client.send(compose("GET", "/items/1", headers={"Connection": "close"}) + compose("GET", "/items/2"))
    assert client.read().json() == {"id": 1}
    assert client.is_closed_by_server()


def test_answers_before_a_broken_request_are_sent_first(client: Client) -> None:
    client.send(compose("GET", "/wait-for/sleep/5") + compose("GET", "/items/1") + b"GET /broken\r\n\r\n")
    assert client.read().json() == {"slept": 5}
    assert client.read().json() == {"id": 1}
    assert client.read().status == 400
    assert client.is_closed_by_server()


def test_a_peer_that_leaves_with_requests_in_flight_harms_nobody(
    server: ServerProcess, connect: Connect
) -> None:
    event = name()
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/wait/{event}") * 8 + compose("GET", "/results/large") * 8)
    wait_for("all to run", lambda: other.get(f"/debug/count/wait-{event}").json()["count"] == 8)
    client.reset()
    other.request("POST", f"/debug/set/{event}")
    wait_for("all to end", lambda: other.get(f"/debug/count/done-{event}").json()["count"] == 8)
    assert other.get("/hello").status == 200


def test_pipelined_posts_run_one_after_the_other_in_order(client: Client) -> None:
    bodies = [json.dumps({"n": n}).encode() for n in range(50)]
    client.send(
        b"".join(
            compose("POST", "/body/dict", headers={"Content-Type": "application/json"}, body=b)
            for b in bodies
        )
    )
    assert [client.read().json()["got"]["n"] for _ in range(50)] == list(range(50))
