"""Bounds on what a peer may make the server do: each has a flag, and a default that is on."""

import uuid
from collections.abc import Callable

import pytest
from blackbox.client import Client, Closed, Connect, compose
from blackbox.server import SLOWNESS, Pool, ServerProcess, wait_for

Start = Callable[..., ServerProcess]


class TestHead:
    def test_64_kib_is_the_default(self, client: Client) -> None:
        assert client.get("/hello", headers={"X-Long": "x" * 60_000}).status == 200

    def test_a_longer_target_is_414(self, client: Client) -> None:
        client.send(b"GET /hello?" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.read().status == 414
        assert client.is_closed_by_server()

    def test_a_longer_head_is_431(self, client: Client) -> None:
        client.send(compose("GET", "/hello", headers={"X-Long": "x" * 70_000}))
        assert client.read().status == 431
        assert client.is_closed_by_server()

    def test_many_small_headers_are_431_too(self, client: Client) -> None:
        client.send(compose("GET", "/hello", headers={f"x-{n}": "y" for n in range(8000)}))
        assert client.read().status == 431
        assert client.is_closed_by_server()

    def test_an_endless_line_is_refused_before_it_ends(self, client: Client) -> None:
        client.send(b"GET /" + b"x" * 100_000)
        assert client.read().status == 414
        assert client.is_closed_by_server()

    def test_an_endless_header_is_refused_before_it_ends(self, client: Client) -> None:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 100_000)
        assert client.read().status == 431
        assert client.is_closed_by_server()

    def test_trailers_are_bounded(self, client: Client) -> None:
        client.send(b"POST /body/raw HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError, Closed)):
            for _ in range(100):
                client.send(b"x-trailer: " + b"y" * 10_000 + b"\r\n")
            assert client.read().status in (400, 431)
            client.read()

    def test_chunk_extensions_are_bounded(self, client: Client) -> None:
        client.send(b"POST /body/raw HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1")
        with pytest.raises((BrokenPipeError, ConnectionResetError, Closed)):
            for _ in range(300):
                client.send(b";x=" + b"y" * 10_000)
            assert client.read().status in (400, 413, 431)
            client.read()

    def test_the_flag_moves_it(self, kind: str, pool: Pool, connect: Connect) -> None:
        server = pool.get(kind, "main:app", "--limit-head", "1KiB")
        assert connect(server).get("/hello", headers={"X-Long": "x" * 500}).status == 200
        assert connect(server).get("/hello", headers={"X-Long": "x" * 1100}).status == 431
        assert connect(server).get("/hello?" + "x" * 1100).status == 414


class TestBody:
    @pytest.fixture
    def small(self, kind: str, pool: Pool) -> ServerProcess:
        return pool.get(kind, "main:app", "--limit-body", "10KiB")

    @pytest.mark.parametrize("path", ["/body/raw", "/upload/count"])
    def test_at_the_limit_is_well(self, small: ServerProcess, connect: Connect, path: str) -> None:
        assert connect(small).request("POST", path, body=b"x" * 10240).status == 200

    @pytest.mark.parametrize("path", ["/body/raw", "/upload/count", "/body/ignored"])
    def test_a_longer_length_is_413_before_the_body(
        self, small: ServerProcess, connect: Connect, path: str
    ) -> None:
        client = connect(small)
        client.send(b"POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: 10241\r\n\r\n" % path.encode())
        assert client.read().status == 413
        assert client.is_closed_by_server()

    def test_more_chunks_are_413(self, small: ServerProcess, connect: Connect) -> None:
        client = connect(small)
        client.send(b"POST /body/raw HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        for _ in range(9):
            client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        client.send(b"1\r\nx\r\n")
        assert client.read().status == 413
        assert client.is_closed_by_server()

    def test_more_chunks_in_a_stream_are_413(self, small: ServerProcess, connect: Connect) -> None:
        client = connect(small)
        client.send(b"POST /upload/count HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"2801\r\n" + b"x" * 10241)
        assert client.read().status == 413
        assert client.is_closed_by_server()

    def test_expect_is_answered_by_413(self, small: ServerProcess, connect: Connect) -> None:
        client = connect(small)
        client.send(
            b"POST /body/raw HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n"
        )
        assert client.read_head().status == 413

    def test_100_mib_is_the_default(self, client: Client) -> None:
        client.send(
            b"POST /body/raw HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % (100 * 1024 * 1024 + 1)
        )
        assert client.read().status == 413
        assert client.is_closed_by_server()


class TestTime:
    """The limits are made short here; what is looked at is what happens, not when."""

    @pytest.fixture
    def hasty(self, kind: str, pool: Pool) -> ServerProcess:
        return pool.get(
            kind,
            "main:app",
            "--timeout-header",
            "300ms",
            "--timeout-body",
            "300ms",
            "--timeout-keep-alive",
            "300ms",
        )

    def test_a_head_that_does_not_end_is_408(self, hasty: ServerProcess, connect: Connect) -> None:
        client = connect(hasty)
        client.send(b"GET /hello HTTP/1.1\r\nHost: t\r\n")
        assert client.read().status == 408
        assert client.is_closed_by_server()

    def test_a_trickle_does_not_renew_the_time_of_a_head(
        self, hasty: ServerProcess, connect: Connect
    ) -> None:
        client = connect(hasty)
        client.socket.settimeout(0.02)
        client.send(b"GET /hello HTTP/1.1\r\nHost: t\r\nX-Slow: ")
        assert _trickle(client, b"x").startswith(b"HTTP/1.1 408")

    @pytest.mark.parametrize("path", [b"/body/raw", b"/upload/count"])
    def test_a_body_that_does_not_end_is_408(
        self, hasty: ServerProcess, connect: Connect, path: bytes
    ) -> None:
        client = connect(hasty)
        client.send(b"POST " + path + b" HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nhalf")
        assert client.read().status == 408
        assert client.is_closed_by_server()

    def test_a_trickle_does_not_renew_the_time_of_a_body(
        self, hasty: ServerProcess, connect: Connect
    ) -> None:
        client = connect(hasty)
        client.socket.settimeout(0.02)
        client.send(b"POST /body/raw HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n")
        assert _trickle(client, b"x").startswith(b"HTTP/1.1 408")

    def test_an_idle_connection_is_closed_without_a_word(
        self, hasty: ServerProcess, connect: Connect
    ) -> None:
        client = connect(hasty)
        assert client.get("/hello").status == 200
        assert client.is_closed_by_server()

    def test_a_connection_that_never_said_anything_is_closed(
        self, hasty: ServerProcess, connect: Connect
    ) -> None:
        got = connect(hasty).read_to_end()
        assert got == b"" or got.startswith(b"HTTP/1.1 408")

    def test_a_running_handler_is_not_idle(self, hasty: ServerProcess, connect: Connect) -> None:
        """Longer than every limit of this server: no limit is on the handler's own time."""
        event = uuid.uuid4().hex
        client, watched = connect(hasty), connect(hasty)
        client.send(compose("GET", f"/wait/{event}"))
        assert watched.get("/hello").status == 200
        assert watched.is_closed_by_server(), "the idle one goes first"
        with connect(hasty) as other:
            other.request("POST", f"/debug/set/{event}")
        assert client.read().json() == {"waited": event}

    def test_a_stream_is_not_idle(self, hasty: ServerProcess, connect: Connect) -> None:
        name = uuid.uuid4().hex
        client, watched = connect(hasty), connect(hasty)
        client.send(compose("GET", f"/stream/step/{name}"))
        assert client.read_head().status == 200
        assert client.read_chunk() == b"first"
        assert watched.get("/hello").status == 200
        assert watched.is_closed_by_server()
        with connect(hasty) as other:
            other.request("POST", f"/debug/set/{name}")
        assert client.read_chunk() == b"second"

    def test_keep_alive_0_closes_after_each_answer(self, kind: str, pool: Pool, connect: Connect) -> None:
        client = connect(pool.get(kind, "main:app", "--timeout-keep-alive", "0"))
        answer = client.get("/hello")
        assert answer.status == 200
        assert client.is_closed_by_server()

    def test_a_reader_that_takes_nothing_is_cut(self, kind: str, pool: Pool, connect: Connect) -> None:
        server = pool.get(kind, "main:app", "--timeout-write", "300ms")
        name = uuid.uuid4().hex
        client = connect(server, rcvbuf=4096)
        client.send(compose("GET", f"/stream/endless/{name}"))
        with connect(server) as other:
            wait_for(
                "the generator to be closed",
                lambda: other.get(f"/debug/count/closed-{name}").json()["count"] == 1,
                20,
            )


class TestConnections:
    def test_more_than_the_limit_wait_until_one_leaves(self, start: Start, connect: Connect) -> None:
        server = start("main:app", "--limit-connections", "2")
        first, second = connect(server), connect(server)
        assert first.get("/hello").status == second.get("/hello").status == 200
        third = connect(server)
        third.send(compose("GET", "/items/3"))
        third.socket.settimeout(0.2 * SLOWNESS)
        with pytest.raises(TimeoutError):
            third.socket.recv(1)
        third.socket.settimeout(10 * SLOWNESS)
        assert second.get("/hello").status == 200
        first.close()
        assert third.read().json() == {"id": 3}


def _trickle(client: Client, byte: bytes) -> bytes:
    """Sends a byte whenever nothing came, until something does."""
    for _ in range(int(500 * SLOWNESS)):
        try:
            got = client.socket.recv(4096)
        except TimeoutError:
            try:
                client.send(byte)
            except (BrokenPipeError, ConnectionResetError):
                continue
            continue
        return got
    raise AssertionError("a trickle kept it open")
