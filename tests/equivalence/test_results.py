"""What a handler gives, and what a peer gets; what it raises, and what a peer never gets to see."""

import pytest
from blackbox.client import Client
from blackbox.server import ServerProcess

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@pytest.mark.parametrize("prefix", ["results", "sync-results"])
@pytest.mark.parametrize(
    ("name", "status", "content_type", "body"),
    [
        ("dict", 200, JSON, '{"ключ":"é€","n":[1,2.5,null,true]}'.encode()),
        ("list", 200, JSON, b'[1,"two"]'),
        ("str", 200, TEXT, "text é".encode()),
        ("bytes", 200, "application/octet-stream", b"\x00\xff"),
        ("none", 200, JSON, b"null"),
        ("int", 200, JSON, b"7"),
        ("float", 200, JSON, b"1e+300"),
        ("bool", 200, JSON, b"true"),
        ("tuple", 201, JSON, b'{"made":1}'),
        ("text-tuple", 418, TEXT, b"teapot"),
        ("dataclass", 200, JSON, b'{"x":1,"y":2}'),
        ("pydantic", 200, JSON, b'{"name":"n","age":3}'),
        ("nested", 200, JSON, b'{"points":[{"x":1,"y":2}],"user":{"name":"n","age":0}}'),
        ("enum", 200, JSON, b'{"colour":"red"}'),
        ("uuid", 200, JSON, b'{"id":"00000000-0000-0000-0000-000000000005"}'),
        ("nan", 200, JSON, b'{"nan":null}'),
        ("response", 202, "text/x-own; charset=utf-8", b"raw"),
        ("json-response", 203, JSON, b'{"a":1}'),
        ("html", 200, "text/html; charset=utf-8", "<p>é</p>".encode()),
        ("plain", 200, TEXT, b"plain"),
    ],
)
def test_a_result_becomes(
    client: Client, prefix: str, name: str, status: int, content_type: str, body: bytes
) -> None:
    answer = client.get(f"/{prefix}/{name}")
    assert (answer.status, answer.header("content-type"), answer.body) == (status, content_type, body)


def test_headers_of_a_response(client: Client) -> None:
    assert client.get("/results/response").header("x-own") == "1"


def test_a_redirect_is_escaped(client: Client) -> None:
    answer = client.get("/results/redirect")
    assert answer.status == 307
    assert answer.header("location") == "/hello?%C3%A9"


def test_each_cookie_has_its_own_field(client: Client) -> None:
    cookies = client.get("/results/cookies").all("set-cookie")
    assert [c.split(";")[0] for c in cookies] == ["a=1", "b=2"]
    assert "httponly" in cookies[1].lower()


@pytest.mark.parametrize("prefix", ["results", "sync-results"])
def test_a_header_with_a_line_end_is_a_500_and_steals_nothing(
    server: ServerProcess, client: Client, prefix: str
) -> None:
    answer = client.get(f"/{prefix}/bad-header")
    assert answer.status == 500
    assert b"stolen" not in answer.raw
    assert client.get("/hello").status == 200


@pytest.mark.parametrize("prefix", ["results", "sync-results"])
def test_what_is_no_json_is_a_500(server: ServerProcess, client: Client, prefix: str) -> None:
    answer = client.get(f"/{prefix}/unserialisable")
    assert (answer.status, answer.text, answer.header("content-type")) == (500, "Internal Server Error", TEXT)
    server.wait_for_log("Unserialisable")


@pytest.mark.parametrize(
    "path", ["/errors/unhandled", "/errors/sync-unhandled", "/errors/after-wait", "/wait-for/group-unhandled"]
)
def test_an_exception_is_a_500_and_its_traceback_is_in_the_log_only(
    server: ServerProcess, client: Client, path: str
) -> None:
    answer = client.get(path)
    assert (answer.status, answer.text, answer.header("content-type")) == (500, "Internal Server Error", TEXT)
    assert b"secret" not in answer.raw
    server.wait_for_log("Traceback")
    server.wait_for_log("secret one" if "group" in path else "secret of the house")
    assert client.get("/hello").status == 200


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/errors/http", 418, "teapot"),
        ("/errors/http-detail", 400, {"why": ["this", 1]}),
        ("/errors/http-default", 404, "Not Found"),
        ("/errors/sync-http", 403, "no"),
    ],
)
def test_an_http_exception(client: Client, path: str, status: int, detail: object) -> None:
    answer = client.get(path)
    assert (answer.status, answer.json(), answer.header("content-type")) == (status, {"detail": detail}, JSON)


def test_an_http_exception_has_headers(client: Client) -> None:
    assert client.get("/errors/http").header("x-tea") == "green"
