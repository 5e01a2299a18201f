"""HTTP/1.1 and 1.0 on a connection: what is kept open, what is closed, what an answer's head says."""

import email.utils
import time

import pytest
from blackbox.client import Client, Connect, compose
from blackbox.server import ServerProcess

HELLO = b'{"hello":"world"}'


@pytest.mark.parametrize("path", ["/hello", "/sync"])
def test_an_answer_has_exactly_this_head(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.reason, answer.version) == (200, "OK", "HTTP/1.1")
    assert answer.body == HELLO
    assert sorted(name.lower() for name, _ in answer.headers) == [
        "content-length",
        "content-type",
        "date",
        "server",
    ]
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-length") == str(len(HELLO))
    assert answer.header("server") == "asioserve"


def test_the_date_is_now(client: Client) -> None:
    date = client.get("/hello").header("date")
    assert date is not None
    assert date.endswith(" GMT")
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < 30


@pytest.mark.parametrize("path", ["/hello", "/sync", "/wait-for/sleep/1"])
def test_a_connection_is_kept_for_many_requests(client: Client, path: str) -> None:
    for _ in range(50):
        assert client.get(path).status == 200


def test_connection_close_closes_after_the_answer(client: Client) -> None:
    answer = client.get("/hello", headers={"Connection": "close"})
    assert answer.body == HELLO
    assert (answer.header("connection") or "").lower() == "close"
    assert client.is_closed_by_server()


@pytest.mark.parametrize("value", ["Close", "foo, close", "close , foo", "CLOSE"])
def test_connection_close_is_found_in_any_spelling(client: Client, value: str) -> None:
    assert client.get("/hello", headers={"Connection": value}).status == 200
    assert client.is_closed_by_server()


def test_http_1_0_closes(client: Client) -> None:
    client.send(b"GET /hello HTTP/1.0\r\n\r\n")
    answer = client.read()
    assert answer.body == HELLO
    assert client.is_closed_by_server()


def test_http_1_0_with_keep_alive_keeps(client: Client) -> None:
    for _ in range(3):
        client.send(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = client.read()
        assert answer.body == HELLO
        assert answer.keeps_alive
        assert (answer.header("connection") or "").lower() == "keep-alive"


def test_http_1_0_needs_no_host(client: Client) -> None:
    client.send(b"GET /hello HTTP/1.0\r\nX: y\r\n\r\n")
    assert client.read().status == 200


def test_a_stream_to_http_1_0_ends_with_the_connection(client: Client) -> None:
    client.send(b"GET /stream/async/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = client.read()
    assert answer.header("transfer-encoding") is None
    assert answer.header("content-length") is None
    assert answer.body == b"chunk 0\nchunk 1\nchunk 2\n"


@pytest.mark.parametrize("path", ["/hello", "/sync", "/results/large", "/results/str"])
def test_head_has_the_head_of_get_and_no_body(client: Client, path: str) -> None:
    got = client.get(path)
    head = client.request("HEAD", path)
    assert head.status == got.status
    assert head.body == b""
    without = [(k, v) for k, v in head.headers if k.lower() != "date"]
    assert without == [(k, v) for k, v in got.headers if k.lower() != "date"]
    assert client.get("/hello").body == HELLO, "the connection is still in step"


def test_head_of_a_stream_sends_no_body_and_closes_the_generator(client: Client) -> None:
    answer = client.request("HEAD", "/stream/async/3")
    assert answer.status == 200
    assert client.get("/hello").body == HELLO


@pytest.mark.parametrize("path", ["/results/no-content", "/results/not-modified"])
def test_204_and_304_have_no_body_and_keep_the_connection(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status in (204, 304)
    assert answer.header("transfer-encoding") is None
    assert answer.status == 304 or answer.header("content-length") is None
    assert client.get("/hello").body == HELLO


def test_an_empty_line_before_a_request_is_skipped(client: Client) -> None:
    client.send(b"\r\n" + compose("GET", "/hello"))
    assert client.read().body == HELLO


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_request_may_come_in_pieces(client: Client, size: int) -> None:
    data = compose("POST", "/body/raw", headers={"X-Pieces": "yes"}, body=b"0123456789")
    client.send_pieces([data[i : i + size] for i in range(0, len(data), size)])
    assert client.read().body == b"0123456789"


def test_a_half_closed_peer_still_gets_its_answer(client: Client) -> None:
    client.send(compose("GET", "/wait-for/sleep/3"))
    client.end_sending()
    assert client.read().json() == {"slept": 3}
    assert client.is_closed_by_server()


def test_a_half_closed_peer_gets_all_pipelined_answers(client: Client) -> None:
    client.send(
        compose("GET", "/wait-for/sleep/3") + compose("GET", "/hello") + compose("GET", "/stream/async/2")
    )
    client.end_sending()
    assert client.read().json() == {"slept": 3}
    assert client.read().body == HELLO
    assert client.read().body == b"chunk 0\nchunk 1\n"
    assert client.is_closed_by_server()


def test_a_half_closed_peer_gets_a_whole_stream(client: Client) -> None:
    client.send(compose("GET", "/stream/async/1000"))
    client.end_sending()
    assert client.read().body.count(b"\n") == 1000


def test_absolute_form_targets_are_understood(client: Client) -> None:
    assert client.get("http://test/hello").body == HELLO


def test_options_of_the_server_itself(client: Client) -> None:
    assert client.request("OPTIONS", "*").status == 200
    assert client.get("/hello").body == HELLO


def test_header_names_ignore_case_and_values_lose_their_spaces(client: Client) -> None:
    client.send(b"GET /request/x HTTP/1.1\r\nhOsT: test\r\nX-MiXeD:  \t spaced \t \r\nx-empty:\r\n\r\n")
    assert client.read().json()["headers"] == [["x-mixed", "spaced"], ["x-empty", ""]]


def test_header_values_are_latin_1(client: Client) -> None:
    client.send(b"GET /request/x HTTP/1.1\r\nHost: t\r\nX-L: \xe9\xff\r\n\r\n")
    assert client.read().json()["headers"] == [["x-l", "\u00e9\u00ff"]]


@pytest.mark.parametrize("method", ["BREW", "PROPFIND", "LOCK", "M-SEARCH"])
def test_a_method_that_no_route_has_is_405_or_refused(client: Client, method: str) -> None:
    client.send(compose(method, "/hello"))
    assert client.read().status in (400, 405, 501)


def test_connect_is_refused(client: Client) -> None:
    client.send(b"CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.read().status in (400, 404, 405, 501)


def test_a_large_answer_arrives_whole(client: Client) -> None:
    assert client.get("/results/large").body == b"x" * 300_000


def test_many_connections_at_once(server: ServerProcess, connect: Connect) -> None:
    clients = [connect(server) for _ in range(200)]
    for client in clients:
        client.send(compose("GET", "/wait-for/sleep/2"))
    for client in clients:
        assert client.read().json() == {"slept": 2}
