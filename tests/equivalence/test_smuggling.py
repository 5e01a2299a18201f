"""Requests that two readers could understand differently: 400 and the connection is closed, whatever follows."""

import contextlib

import pytest
from blackbox.client import Client, compose

#: Each followed by what an attacker would hide behind it.
HIDDEN = b"GET /items/666 HTTP/1.1\r\nHost: t\r\n\r\n"


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /body/raw HTTP/1.1\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


HOST = b"Host: t"
CHUNKS = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"

BROKEN = {
    "length and chunked": post(HOST, b"Content-Length: 5", CHUNKED, body=CHUNKS),
    "chunked and length": post(HOST, CHUNKED, b"Content-Length: 5", body=CHUNKS),
    "two lengths": post(HOST, b"Content-Length: 5", b"Content-Length: 6", body=b"hello"),
    "two equal lengths": post(HOST, b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "length list": post(HOST, b"Content-Length: 5, 5", body=b"hello"),
    "negative length": post(HOST, b"Content-Length: -5", body=b"hello"),
    "signed length": post(HOST, b"Content-Length: +5", body=b"hello"),
    "hex length": post(HOST, b"Content-Length: 0x5", body=b"hello"),
    "length with a letter": post(HOST, b"Content-Length: 5a", body=b"hello"),
    "length with a space": post(HOST, b"Content-Length: 1 0", body=b"hello"),
    "empty length": post(HOST, b"Content-Length:", body=b"hello"),
    "huge length": post(HOST, b"Content-Length: 99999999999999999999999", body=b"hello"),
    "length beyond 64 bits": post(HOST, b"Content-Length: 18446744073709551621", body=b"hello"),
    "unknown coding": post(HOST, b"Transfer-Encoding: gzip", body=CHUNKS),
    "chunked is not last": post(HOST, b"Transfer-Encoding: chunked, gzip", body=CHUNKS),
    "chunked twice": post(HOST, b"Transfer-Encoding: chunked, chunked", body=CHUNKS),
    "two codings fields": post(HOST, CHUNKED, CHUNKED, body=CHUNKS),
    "chunked and identity": post(HOST, CHUNKED, b"Transfer-Encoding: identity", body=CHUNKS),
    "misspelt chunked": post(HOST, b"Transfer-Encoding: xchunked", body=CHUNKS),
    "quoted chunked": post(HOST, b'Transfer-Encoding: "chunked"', body=CHUNKS),
    "chunked in 1.0": b"POST /body/raw HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "folded field": post(HOST, b"X-Folded: a\r\n b"),
    "folded by a tab": post(HOST, b"X-Folded: a\r\n\tb"),
    "folded coding": post(HOST, b"Transfer-Encoding:\r\n chunked", body=CHUNKS),
    "folded first": b"GET /hello HTTP/1.1\r\n Host: t\r\n\r\n",
    "space before the colon": post(HOST, b"X-Space : a"),
    "tab before the colon": post(HOST, b"X-Space\t: a"),
    "space before the length's colon": post(HOST, b"Content-Length : 5", body=b"hello"),
    "no colon": post(HOST, b"X-Nothing"),
    "empty name": post(HOST, b": a"),
    "space in a name": post(HOST, b"X Y: a"),
    "control in a name": post(HOST, b"X\x01Y: a"),
    "latin-1 in a name": post(HOST, b"X\xe9: a"),
    "NUL in a value": post(HOST, b"X-Nul: a\x00b"),
    "bare CR in a value": post(HOST, b"X-Cr: a\rb"),
    "bare CR ends a field": b"GET /hello HTTP/1.1\rHost: t\r\n\r\n",
    "bare LF ends a field": b"GET /hello HTTP/1.1\r\nHost: t\nX: y\r\n\r\n",
    "bare LF everywhere": b"GET /hello HTTP/1.1\nHost: t\n\n",
    "bare LF at the end": b"GET /hello HTTP/1.1\r\nHost: t\r\n\n",
    "bare LF after the request line": b"GET /hello HTTP/1.1\nHost: t\r\n\r\n",
    "no host": b"GET /hello HTTP/1.1\r\nX: y\r\n\r\n",
    "no field at all": b"GET /hello HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two equal hosts": b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  /hello HTTP/1.1\r\nHost: t\r\n\r\n",
    "two spaces before the version": b"GET /hello  HTTP/1.1\r\nHost: t\r\n\r\n",
    "tab between": b"GET\t/hello\tHTTP/1.1\r\nHost: t\r\n\r\n",
    "space at the end of the line": b"GET /hello HTTP/1.1 \r\nHost: t\r\n\r\n",
    "space before the method": b" GET /hello HTTP/1.1\r\nHost: t\r\n\r\n",
    "space in the target": b"GET /he llo HTTP/1.1\r\nHost: t\r\n\r\n",
    "control in the target": b"GET /he\x01llo HTTP/1.1\r\nHost: t\r\n\r\n",
    "fragment of a method": b"G@T /hello HTTP/1.1\r\nHost: t\r\n\r\n",
    "no version": b"GET /hello\r\nHost: t\r\n\r\n",
    "relative target": b"GET hello HTTP/1.1\r\nHost: t\r\n\r\n",
    "rubbish": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03rubbish\r\n\r\n",
    "lower-case protocol": b"GET /hello http/1.1\r\nHost: t\r\n\r\n",
}

CHUNK_ERRORS = {
    "no hex": b"x\r\n",
    "hex prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "empty": b"\r\nhello\r\n0\r\n\r\n",
    "huge": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "longer than it says": b"4\r\nhello\r\n0\r\n\r\n",
    "shorter than it says": b"6\r\nhello\r\n0\r\n\r\n",
    "LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "CR after the size": b"5\rhello\r\n0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "broken trailer": b"0\r\nno colon\r\n\r\n",
    "folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "space in a trailer": b"0\r\nX : a\r\n\r\n",
}


def refused(client: Client, data: bytes, allowed: tuple[int, ...] = (400,)) -> None:
    client.send(data)
    answer = client.read()
    assert answer.status in allowed, answer.raw
    assert (answer.header("connection") or "").lower() == "close"
    assert client.is_closed_by_server(), "something behind it was answered"


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_refused(client: Client, name: str) -> None:
    # A coding that nobody knows may also be "not implemented", and a wrong end of the line a wrong version.
    allowed = (
        (400, 501, 505) if "coding" in name or "chunked" in name else (400, 505) if "line" in name else (400,)
    )
    refused(client, BROKEN[name] + HIDDEN, allowed)


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_refused_in_pieces(client: Client, name: str) -> None:
    client.send(BROKEN[name][:9])
    # Suppressed: it may be refused before the rest was sent.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        refused(client, BROKEN[name][9:] + HIDDEN, (400, 501, 505))


@pytest.mark.parametrize("path", [b"/body/raw", b"/upload/count", b"/body/ignored"])
@pytest.mark.parametrize("name", CHUNK_ERRORS)
def test_a_broken_chunk_ends_the_connection(client: Client, path: bytes, name: str) -> None:
    client.send(
        b"POST " + path + b" HTTP/1.1\r\nHost: t\r\n" + CHUNKED + b"\r\n\r\n" + CHUNK_ERRORS[name] + HIDDEN
    )
    got = client.read_to_end()
    assert b'"id":666' not in got, "the hidden request was answered"
    assert got.count(b"HTTP/1.1 ") <= 1, got
    if path == b"/body/raw":
        assert got.startswith(b"HTTP/1.1 400"), got


@pytest.mark.parametrize(
    "version", [b"HTTP/2.0", b"HTTP/3.0", b"HTTP/1.2", b"HTTP/0.9", b"HTTP/9.9", b"HTTP/1.10"]
)
def test_other_versions_are_refused(client: Client, version: bytes) -> None:
    refused(client, b"GET /hello " + version + b"\r\nHost: t\r\n\r\n" + HIDDEN, (400, 505))


def test_the_preface_of_http_2_is_refused(client: Client) -> None:
    refused(client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, (400, 505))


def test_an_upgrade_that_is_not_known_is_ignored(client: Client) -> None:
    client.send(
        compose("GET", "/hello", headers={"Connection": "Upgrade", "Upgrade": "h2c"})
        + compose("GET", "/items/1")
    )
    assert client.read().status == 200
    assert client.read().json() == {"id": 1}


def test_the_hidden_request_is_answered_when_nothing_is_broken(client: Client) -> None:
    """The check itself: what these tests look for is there when it should be."""
    client.send(compose("GET", "/hello") + HIDDEN)
    assert client.read().status == 200
    assert client.read().json() == {"id": 666}
