"""Paths: who answers what, and FastAPI's answers to the letter when nobody does."""

import pytest
from blackbox.client import Client

NOT_FOUND = {"detail": "Not Found"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/hello", {"hello": "world"}),
        ("/sync", {"hello": "world"}),
        ("/items/7", {"id": 7}),
        ("/sync-items/-7", {"id": -7}),
        ("/users/me", {"user": "me"}),
        ("/users/you", {"user": "you"}),
        ("/users/a%20b", {"user": "a b"}),
        ("/users/%C3%A9", {"user": "é"}),
        ("/users/a+b", {"user": "a+b"}),
        ("/users/a.b~c_d-e", {"user": "a.b~c_d-e"}),
        ("/users/x/posts/3", {"user": "x", "post": 3}),
        ("/files/a/b/c.txt", {"file": "a/b/c.txt"}),
        ("/files/a", {"file": "a"}),
        ("/files/", {"file": ""}),
        ("/files//etc/passwd", {"file": "/etc/passwd"}),
        ("/files/a%2Fb", {"file": "a/b"}),
        ("/files/../x", {"file": "../x"}),
        ("/typed/int/5", {"x": 5}),
        ("/typed/float/5", {"x": 5.0}),
        ("/typed/float/5.25", {"x": 5.25}),
        (
            "/typed/uuid/00000000-0000-0000-0000-000000000005",
            {"x": "00000000-0000-0000-0000-000000000005", "type": "UUID"},
        ),
        ("/colours/red", {"colour": "red"}),
        ("/lifespan", {"started": "yes"}),
    ],
)
def test_a_path_finds_its_handler(client: Client, path: str, expected: object) -> None:
    answer = client.get(path)
    assert (answer.status, answer.json()) == (200, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/hello/x",
        "/",
        "/Hello",
        "/users/",
        "/items",
        "/typed/int/x",
        "/typed/int/-5",
        "/typed/uuid/5",
        "/users/x/posts",
    ],
)
def test_nobody_is_404(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.json()) == (404, NOT_FOUND)
    assert answer.header("content-type") == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/hello", {"GET"}),
        ("DELETE", "/items/1", {"GET"}),
        ("GET", "/created", {"POST"}),
        ("GET", "/many", {"PUT", "DELETE", "PATCH"}),
        ("HEAD", "/created", {"POST"}),
    ],
)
def test_another_method_is_405_and_says_which_are_allowed(
    client: Client, method: str, path: str, allow: set[str]
) -> None:
    answer = client.request(method, path)
    assert answer.status == 405
    if method != "HEAD":
        assert answer.json() == {"detail": "Method Not Allowed"}
    listed = {m.strip() for m in (answer.header("allow") or "").split(",")}
    assert listed - {"HEAD", "OPTIONS"} == allow


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_route_of_several_methods(client: Client, method: str) -> None:
    assert client.request(method, "/many").json() == {"method": method}


def test_options_is_automatic(client: Client) -> None:
    answer = client.request("OPTIONS", "/hello")
    assert answer.status == 200
    assert answer.body == b""
    listed = {m.strip() for m in (answer.header("allow") or "").split(",")}
    assert {"GET", "HEAD", "OPTIONS"} <= listed


def test_options_of_ones_own_win(client: Client) -> None:
    assert client.request("OPTIONS", "/own-options").json() == {"options": "mine"}


def test_options_of_nothing_is_404(client: Client) -> None:
    assert client.request("OPTIONS", "/nothing").status == 404


@pytest.mark.parametrize(
    ("path", "location"),
    [("/slashed", "/slashed/"), ("/hello/", "/hello"), ("/slashed?a=1&b=%20", "/slashed/?a=1&b=%20")],
)
def test_the_other_slash_is_a_redirect(client: Client, path: str, location: str) -> None:
    answer = client.get(path)
    assert answer.status == 307
    assert answer.header("location") == f"http://test{location}"


def test_a_query_does_not_matter_to_a_path(client: Client) -> None:
    assert client.get("/hello?x=/y").status == 200
    assert client.get("/hello?").status == 200


def test_a_status_of_the_route(client: Client) -> None:
    answer = client.request("POST", "/created")
    assert (answer.status, answer.json()) == (201, {"created": True})


@pytest.mark.parametrize("path", ["/users/%ff", "/users/%zz", "/users/%", "/users/%4", "/users/%00"])
def test_broken_escapes_do_no_harm(client: Client, path: str) -> None:
    assert client.get(path).status in (200, 400, 404)
    assert client.get("/hello").status == 200
