"""Streamed answers: framing, contexts, errors in the middle, back-pressure, and the end of their generators."""

import uuid

import pytest
from blackbox.client import Client, Closed, Connect, compose
from blackbox.server import ServerProcess, rss_kib, wait_for


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("how", ["async", "eager", "sync", "from-sync"])
@pytest.mark.parametrize("n", [0, 1, 3, 500])
def test_a_stream_arrives_whole(client: Client, how: str, n: int) -> None:
    answer = client.get(f"/stream/{how}/{n}")
    assert answer.body == b"".join(b"chunk %d\n" % i for i in range(n))
    assert answer.header("transfer-encoding") == "chunked"
    assert answer.header("content-length") is None
    assert client.get("/hello").status == 200


def test_status_and_headers_of_a_stream(client: Client) -> None:
    answer = client.get("/stream/eager/1")
    assert answer.status == 201
    assert answer.header("x-stream") == "1"


def test_a_stream_with_a_length_is_not_chunked(client: Client) -> None:
    answer = client.get("/stream/length")
    assert answer.header("content-length") == "10"
    assert answer.header("transfer-encoding") is None
    assert answer.body == b"1234567890"
    assert client.get("/hello").status == 200


def test_a_chunk_is_sent_when_it_is_there(server: ServerProcess, connect: Connect, name: str) -> None:
    """The second one is made only after the first was read."""
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/stream/step/{name}"))
    assert client.read_head().status == 200
    assert client.read_chunk() == b"first"
    other.request("POST", f"/debug/set/{name}")
    assert client.read_chunk() == b"second"
    assert client.read_chunk() == b""
    wait_for("its end", lambda: other.get(f"/debug/count/closed-{name}").json()["count"] == 1)


def test_a_stream_runs_in_its_handlers_context(client: Client) -> None:
    assert client.get("/stream/context").body == b"from the handler\nfrom the stream\n"
    assert client.get("/stream/context").body == b"from the handler\nfrom the stream\n"


def test_an_error_that_comes_at_once_is_answered_as_one_of_the_endpoint(
    server: ServerProcess, client: Client
) -> None:
    answer = client.get("/stream/fails-at-once")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    server.wait_for_log("secret of the stream")
    refused = client.get("/stream/refuses-at-once")
    assert (refused.status, refused.json()) == (410, {"detail": "no more of these"})
    assert client.get("/hello").status == 200


@pytest.mark.parametrize("how", ["a-wait", "the-executor"])
def test_an_error_after_a_wait_for_the_first_chunk_never_looks_like_a_whole_answer(
    client: Client, how: str
) -> None:
    # The head is sent as soon as the generator has to wait, so it is there; the body breaks off.
    client.send(compose("GET", f"/stream/fails-after/{how}"))
    assert client.read_head().status == 200
    assert client.read_to_end() == b""


def test_the_head_does_not_wait_for_the_first_chunk(
    server: ServerProcess, connect: Connect, name: str
) -> None:
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/stream/first-step/{name}"))
    assert client.read_head().status == 200
    other.request("POST", f"/debug/set/{name}")
    assert client.read_chunk() == b"first"
    assert client.read_chunk() == b""


def test_an_error_in_the_middle_cuts_the_connection(server: ServerProcess, client: Client) -> None:
    client.send(compose("GET", "/stream/fails-later"))
    assert client.read_head().status == 200
    assert client.read_chunk() == b"before"
    with pytest.raises(Closed):
        assert client.read_chunk() == b"never an ending chunk", "a broken stream must not look whole"
    server.wait_for_log("secret of the stream")


def _produced(client: Client, name: str) -> int:
    return int(client.get(f"/debug/count/produced-{name}").json()["count"])


@pytest.mark.parametrize("how", ["endless", "endless-sync"])
class TestBackPressure:
    def test_a_reader_that_stops_stops_the_producer(
        self, server: ServerProcess, connect: Connect, name: str, how: str
    ) -> None:
        """Looked at by counting: the producer's count stands still while other requests are answered."""
        client, other = connect(server, rcvbuf=65536), connect(server)
        before = rss_kib(server.serving_pid())
        client.send(compose("GET", f"/stream/{how}/{name}"))
        assert client.read_head().status == 200
        stands = self._wait_until_it_stands_still(other, name)
        for _ in range(50):
            assert other.get("/hello").status == 200
        assert _produced(other, name) == stands
        assert stands * 65536 < 32 * 1024 * 1024, "what nobody reads is piling up"
        assert rss_kib(server.serving_pid()) - before < 32 * 1024
        for _ in range(3 * stands):
            assert len(client.read_chunk()) == 65536
        assert _produced(other, name) > stands, "it goes on when it is read again"
        client.close()
        wait_for("its end", lambda: other.get(f"/debug/count/closed-{name}").json()["count"] == 1)

    def test_a_peer_that_leaves_ends_the_generator(
        self, server: ServerProcess, connect: Connect, name: str, how: str
    ) -> None:
        client, other = connect(server, rcvbuf=65536), connect(server)
        client.send(compose("GET", f"/stream/{how}/{name}"))
        assert client.read_head().status == 200
        client.read_chunk()
        client.reset()
        wait_for("its end", lambda: other.get(f"/debug/count/closed-{name}").json()["count"] == 1)

    def test_many_that_leave_end_all_their_generators(
        self, server: ServerProcess, connect: Connect, name: str, how: str
    ) -> None:
        other = connect(server)
        clients = [connect(server, rcvbuf=65536) for _ in range(10)]
        for client in clients:
            client.send(compose("GET", f"/stream/{how}/{name}"))
        for client in clients:
            assert client.read_head().status == 200
        for n, client in enumerate(clients):
            if n % 2:
                client.reset()
            else:
                client.close()
        wait_for("their end", lambda: other.get(f"/debug/count/closed-{name}").json()["count"] == 10, 20)

    @staticmethod
    def _wait_until_it_stands_still(other: Client, name: str) -> int:
        seen = [-1]

        def same() -> bool:
            now = _produced(other, name)
            # Unchanged over many turns of the loop, each of which a producer that may go on would use.
            for _ in range(200):
                other.get("/wait-for/sleep/5")
            then = _produced(other, name)
            seen.append(then)
            return now == then and then > 0

        wait_for("the producer to stop", same, 30)
        return seen[-1]


def test_a_waiting_generator_is_closed_when_its_peer_leaves(
    server: ServerProcess, connect: Connect, name: str
) -> None:
    """It waits for something that never comes: the peer's leaving must reach it there.

    A reset, as a FIN alone may also be a peer that has only ended sending.
    """
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/stream/idle/{name}"))
    assert client.read_head().status == 200
    assert client.read_chunk() == b"first"
    client.reset()
    wait_for("its end", lambda: other.get(f"/debug/count/closed-{name}").json()["count"] == 1)


def test_a_stream_behind_a_slow_answer_waits_its_turn(
    server: ServerProcess, connect: Connect, name: str
) -> None:
    client, other = connect(server), connect(server)
    client.send(
        compose("GET", f"/wait/{name}") + compose("GET", "/stream/async/200") + compose("GET", "/items/1")
    )
    wait_for("the first", lambda: other.get(f"/debug/count/wait-{name}").json()["count"] == 1)
    other.request("POST", f"/debug/set/{name}")
    assert client.read().json() == {"waited": name}
    assert client.read().body.count(b"\n") == 200
    assert client.read().json() == {"id": 1}


def test_streams_side_by_side(server: ServerProcess, connect: Connect) -> None:
    clients = [connect(server) for _ in range(20)]
    for client in clients:
        client.send(compose("GET", "/stream/async/300"))
    for client in clients:
        assert client.read().body.count(b"\n") == 300
