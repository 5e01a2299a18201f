"""Request bodies: lengths, chunks, trailers, 100-continue, and back-pressure on the peer that sends."""

import socket
import threading
import uuid

import pytest
from blackbox.client import Client, Closed, Connect, compose
from blackbox.server import SLOWNESS, ServerProcess, rss_kib, wait_for

CHUNKED = b"Host: t\r\nTransfer-Encoding: chunked\r\n"


def chunked(path: str, body: bytes, more: bytes = b"") -> bytes:
    return b"POST " + path.encode() + b" HTTP/1.1\r\n" + CHUNKED + more + b"\r\n" + body


@pytest.mark.parametrize("path", ["/body/raw", "/upload/echo"])
@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 1_000_000])
def test_a_body_comes_back_whole(client: Client, path: str, size: int) -> None:
    body = bytes(n % 251 for n in range(size))
    # Sent beside reading: an echo that nobody reads rightly stops reading, too.
    sender = threading.Thread(target=client.send, args=(compose("POST", path, body=body),))
    sender.start()
    answer = client.read()
    sender.join()
    assert answer.body == body
    # An answer that begins before its request has ended may have to announce the end of the connection.
    if answer.keeps_alive:
        assert client.get("/hello").status == 200


@pytest.mark.parametrize("path", ["/body/raw", "/upload/echo"])
@pytest.mark.parametrize(
    "wire",
    [
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        b"b\r\nhello world\r\n0\r\n\r\n",
        b"B\r\nhello world\r\n0\r\n\r\n",
        b"00000b\r\nhello world\r\n000\r\n\r\n",
        b"b;name=value\r\nhello world\r\n0;last\r\n\r\n",
        b'b;q="quoted"\r\nhello world\r\n0\r\n\r\n',
        b"1\r\nh\r\n1\r\ne\r\n9\r\nllo world\r\n0\r\n\r\n",
        b"b\r\nhello world\r\n0\r\nX-Trailer: 1\r\nX-Other: 2\r\n\r\n",
    ],
)
def test_chunks_are_put_together(client: Client, path: str, wire: bytes) -> None:
    client.send(chunked(path, wire))
    assert client.read().body == b"hello world"
    assert client.get("/hello").status == 200


def test_chunks_may_be_cut_anywhere(client: Client) -> None:
    data = chunked("/body/raw", b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n")
    client.send_pieces([data[i : i + 1] for i in range(len(data))])
    assert client.read().body == b"hello world"


def test_a_trailer_does_not_become_a_header(client: Client) -> None:
    client.send(chunked("/request/x", b"0\r\nX-Late: 1\r\n\r\n", b"X-Early: 1\r\n"))
    assert [name for name, _ in client.read().json()["headers"]] == ["x-early"]


def test_get_may_have_a_body(client: Client) -> None:
    client.send(compose("GET", "/hello", body=b"unexpected") + compose("GET", "/items/1"))
    assert client.read().status == 200
    assert client.read().json() == {"id": 1}


class TestExpect:
    HEAD = b"POST %s HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

    @pytest.mark.parametrize("path", [b"/body/raw", b"/upload/read"])
    def test_continue_is_sent_when_the_body_is_asked_for(self, client: Client, path: bytes) -> None:
        client.send(self.HEAD % path)
        assert client.read_head().raw == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.read().body == b"hello"
        assert client.get("/hello").status == 200

    def test_continue_waits_for_a_handler_that_waits(self, server: ServerProcess, connect: Connect) -> None:
        event = uuid.uuid4().hex
        client, other = connect(server), connect(server)
        client.send(self.HEAD % f"/upload/held/{event}".encode())
        wait_for("the handler", lambda: other.get(f"/debug/count/held-{event}").json()["count"] == 1)
        client.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.socket.recv(1)
        client.socket.settimeout(10 * SLOWNESS)
        other.request("POST", f"/debug/set/{event}")
        assert client.read_head().status == 100
        client.send(b"hello")
        assert client.read().json() == {"size": 5}

    @pytest.mark.parametrize("path", [b"/body/ignored", b"/upload/refused", b"/no-such-page"])
    def test_no_continue_when_nobody_asks_for_the_body(self, client: Client, path: bytes) -> None:
        """The peer may keep its body: so the connection can not be used again, or the body has to be sent first."""
        client.send(self.HEAD % path)
        answer = client.read_head()
        assert answer.status in (200, 403, 404)
        answer.body = client._exactly(int(answer.header("content-length") or 0))
        if answer.keeps_alive:
            client.send(b"hello" + compose("GET", "/items/1"))
            assert client.read().json() == {"id": 1}
        else:
            assert client.is_closed_by_server()

    def test_a_body_that_comes_without_waiting_needs_no_continue(self, client: Client) -> None:
        client.send(self.HEAD % b"/body/raw" + b"hello" + compose("GET", "/items/1"))
        answer = client.read()
        assert answer.body == b"hello"
        assert client.read().json() == {"id": 1}

    def test_no_continue_inside_an_answer_that_has_begun(self, client: Client) -> None:
        """A 100 after it has begun would be a broken answer."""
        client.send(self.HEAD % b"/upload/begun")
        assert client.read_head().status == 200
        assert client.read_chunk() == b"begun"
        client.send(b"hello")
        assert client.read_chunk() == b"hello"

    def test_a_continue_comes_before_an_answer_that_waits_for_the_body(self, client: Client) -> None:
        client.send(self.HEAD % b"/upload/echo")
        assert client.read_head().status == 100
        assert client.read_head().status == 200
        client.send(b"hello")
        assert client.read_chunk() == b"hello"

    def test_http_1_0_gets_no_continue(self, client: Client) -> None:
        client.send(b"POST /body/raw HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
        answer = client.read()
        assert answer.raw.startswith(b"HTTP/1.1 200"), "no 100 before it"
        assert answer.body == b"hello"

    def test_chunked_bodies_too(self, client: Client) -> None:
        client.send(chunked("/body/raw", b"", b"Expect: 100-continue\r\n"))
        assert client.read_head().status == 100
        client.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert client.read().body == b"hello"


class TestBackPressure:
    def test_a_handler_that_does_not_read_stops_the_peer(
        self, server: ServerProcess, connect: Connect
    ) -> None:
        """The peer can not push what nobody takes: its socket fills up, the server's memory does not."""
        event = uuid.uuid4().hex
        size = 96 * 1024 * 1024
        client, other = connect(server), connect(server)
        before = rss_kib(server.serving_pid())
        client.send(
            b"POST /upload/held/%s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % (event.encode(), size)
        )
        wait_for("the handler", lambda: other.get(f"/debug/count/held-{event}").json()["count"] == 1)
        block = bytes(1024 * 1024)
        sent = _send_until_blocked(client, block, size)
        assert sent < size // 2, "the server took a body that no handler asked for"
        assert rss_kib(server.serving_pid()) - before < 16 * 1024
        other.request("POST", f"/debug/set/{event}")
        client.socket.settimeout(30 * SLOWNESS)
        while sent < size:
            part = block[: size - sent]
            client.send(part)
            sent += len(part)
        assert client.read().json() == {"size": size}
        assert rss_kib(server.serving_pid()) - before < 32 * 1024

    def test_a_slow_reader_in_the_middle_stops_the_peer(
        self, server: ServerProcess, connect: Connect
    ) -> None:
        event = uuid.uuid4().hex
        size = 64 * 1024 * 1024
        client, other = connect(server), connect(server)
        client.send(
            b"POST /upload/first/%s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
            % (event.encode(), size)
        )
        block = bytes(1024 * 1024)
        sent = _send_until_blocked(client, block, size)
        assert sent < size // 2
        wait_for("the first chunk", lambda: other.get(f"/debug/count/first-{event}").json()["count"] == 1)
        other.request("POST", f"/debug/set/{event}")
        client.socket.settimeout(30 * SLOWNESS)
        while sent < size:
            part = block[: size - sent]
            client.send(part)
            sent += len(part)
        got = client.read().json()
        assert got["first"] + got["rest"] == size
        assert 0 < got["first"] <= 1024 * 1024

    def test_an_echo_is_stopped_by_its_reader(self, server: ServerProcess, connect: Connect) -> None:
        """Nobody reads the answer, so nobody reads the request: both directions at once."""
        size = 64 * 1024 * 1024
        client = connect(server, rcvbuf=65536)
        client.send(b"POST /upload/echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size)
        assert _send_until_blocked(client, bytes(1024 * 1024), size) < size // 2
        client.reset()


def _send_until_blocked(client: Client, block: bytes, limit: int) -> int:
    """Sends until the socket takes nothing for a while: how much it took."""
    client.socket.settimeout(0.3 * SLOWNESS)
    sent = 0
    while sent < limit:
        try:
            sent += client.socket.send(block[: limit - sent])
        except (TimeoutError, socket.timeout):  # noqa: UP041
            break
    return sent


@pytest.mark.parametrize("body", [b"half of it", b""])
def test_a_peer_that_leaves_in_its_body_is_told_to_the_handler(
    server: ServerProcess, connect: Connect, body: bytes
) -> None:
    name = uuid.uuid4().hex
    client, other = connect(server), connect(server)
    client.send(
        b"POST /upload/left/%s HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n" % name.encode() + body
    )
    if body:
        wait_for("a chunk", lambda: other.get(f"/debug/count/chunk-{name}").json()["count"] > 0)
    client.close()
    wait_for("the handler to be told", lambda: other.get(f"/debug/count/left-{name}").json()["count"] == 1)
    assert other.get(f"/debug/count/whole-{name}").json()["count"] == 0


def test_a_body_that_ends_early_reaches_no_collecting_handler(
    server: ServerProcess, connect: Connect
) -> None:
    client = connect(server)
    client.send(
        b"POST /body/dict HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}"
    )
    client.end_sending()
    rest = client.read_to_end()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400")


def test_an_answer_before_the_body_is_read_does_not_wait_for_it(client: Client) -> None:
    client.send(b"POST /upload/refused HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n")
    answer = client.read()
    assert (answer.status, answer.text) == (403, "no, thank you")


def test_an_unread_rest_of_a_body_is_dropped_or_the_connection_closed(client: Client) -> None:
    client.send(b"POST /upload/refused HTTP/1.1\r\nHost: t\r\nContent-Length: 50000\r\n\r\n")
    answer = client.read()
    assert answer.status == 403
    try:
        client.send(b"x" * 50000 + compose("GET", "/items/1"))
        assert client.read().json() == {"id": 1}
    except (Closed, BrokenPipeError, ConnectionResetError):
        pass  # Allowed: a server that is not going to read a body may close instead.
