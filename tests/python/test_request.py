"""Request and what it is made of."""

import asyncio
import uuid
from typing import Any

import pytest
from asioserve import App, Headers, HTTPException, QueryParams, Request, RequestValidationError, State
from asioserve._request import parse_cookies

from tests.python.fake_native import Native, Server


def request(method: str = "GET", target: str = "/", *chunks: bytes, **headers: str) -> Request:
    plan = App()._compile()
    native = Native(plan, method, target, {n.replace("_", "-"): v for n, v in headers.items()}, list(chunks))
    return plan.request_class(native)


def test_headers_ignore_case_and_keep_repeats() -> None:
    headers = Headers((("accept", "a"), ("x", "1"), ("accept", "b")))
    assert (headers["Accept"], headers.get("ACCEPT"), headers.get("none"), "X" in headers) == (
        "a",
        "a",
        None,
        True,
    )
    assert headers.getlist("Accept") == ["a", "b"]
    assert (len(headers), list(headers), dict(headers)) == (2, ["accept", "x"], {"accept": "a", "x": "1"})
    assert headers.multi_items() == [("accept", "a"), ("x", "1"), ("accept", "b")]
    assert not headers.__contains__(5)
    with pytest.raises(KeyError):
        headers["y"]


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        (b"a=&b", [("a", ""), ("b", "")]),
        (b"a=x+y%20z&%C3%A9=%E2%82%AC", [("a", "x y z"), ("\u00e9", "\u20ac")]),
        (b"a=%ff&b=%zz", [("a", "\ufffd"), ("b", "%zz")]),
        (b"", []),
        (b"a=1;b=2", [("a", "1;b=2")]),
    ],
)
def test_queries_are_read_as_forms_are(query: bytes, pairs: list[tuple[str, str]]) -> None:
    params = QueryParams(query)
    assert params.multi_items() == pairs
    assert dict(params) == dict(params.items()) == dict(pairs)
    assert QueryParams(str(params)).multi_items() == pairs
    if pairs:
        name = pairs[0][0]
        assert params.getlist(name) == [v for n, v in pairs if n == name]
        assert params[name] == params.getlist(name)[-1]


@pytest.mark.parametrize(
    ("line", "cookies"),
    [
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ('a="x y"; b="q\\"q"; c="\\303"', {"a": "x y", "b": 'q"q', "c": "\xc3"}),
        ("a=1;a=2", {"a": "2"}),
        ("a=b=c; ; novalue;=x", {"a": "b=c", "": "x"}),
        ("", {}),
        ("a=1; expires=Wed, 01 Jan 2020", {"a": "1", "expires": "Wed, 01 Jan 2020"}),
    ],
)
def test_cookies_are_read_leniently(line: str, cookies: dict[str, str]) -> None:
    assert parse_cookies(line) == cookies


def test_several_cookie_fields_are_one() -> None:
    native = request()._native
    native.headers = (("cookie", "a=1"), ("cookie", "b=2"))
    assert Request(native).cookies == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("target", "host", "url", "hostname", "port"),
    [
        ("/a%20b?x=1", "example.org:8000", "http://example.org:8000/a%20b?x=1", "example.org", 8000),
        ("/", "EXAMPLE.org", "http://EXAMPLE.org/", "example.org", None),
        ("/", "[::1]:80", "http://[::1]:80/", "::1", 80),
        ("/", "[::1]", "http://[::1]/", "::1", None),
        ("/", "", "http://127.0.0.1:80/", "127.0.0.1", 80),
        ("http://other.org/p?q", "example.org", "http://example.org/p?q", "example.org", None),
        ("/", "h:x", "http://h:x/", "h", None),
    ],
)
def test_the_url_is_what_the_client_wrote(
    target: str, host: str, url: str, hostname: str, port: int | None
) -> None:
    r = request("GET", target, host=host)
    assert (str(r.url), r.url.hostname, r.url.port) == (url, hostname, port)
    assert (
        str(r.base_url) == url.partition(r.url.path)[0] + "/"
        if r.url.path == "/p"
        else str(r.base_url).endswith("/")
    )


def test_a_request_shows_what_came() -> None:
    r = request("PUT", "/a%20b?x=1&x=2", x_token="t")
    assert (r.method, r.path, r.target, r.http_version) == ("PUT", "/a b", "/a%20b?x=1&x=2", "1.1")
    assert (r.query_string, r.query_params["x"], r.headers["X-Token"]) == (b"x=1&x=2", "2", "t")
    assert r.client is not None
    assert (r.client.host, r.client.port, r.server) == ("127.0.0.1", 4711, ("127.0.0.1", 80))
    assert (r.headers is r.headers, r.query_params is r.query_params, r.cookies is r.cookies) == (
        True,
        True,
        True,
    )
    r._native.client = r._native.server = None
    assert [r.client, r.server].count(None) == 2
    assert (repr(r), r.route_path) == ("<Request PUT /a b>", None)


def test_the_body_can_be_read_again_and_a_stream_only_once() -> None:
    async def main() -> None:
        r = request("POST", "/", b'{"a":', b" 1}")
        assert await r.body() == await r.body() == b'{"a": 1}'
        assert await r.json() == {"a": 1}
        assert [c async for c in r.stream()] == [b'{"a": 1}']
        assert [c async for c in r.stream()] == [b'{"a": 1}']

        r = request("POST", "/", b"x", b"y")
        assert [c async for c in r.stream()] == [b"x", b"y"]
        with pytest.raises(RuntimeError, match="read as a stream already"):
            await r.body()
        with pytest.raises(RuntimeError, match="read as a stream already"):
            await anext(r.stream())

        r = request("POST", "/")
        assert (await r.body(), [c async for c in r.stream()]) == (b"", [])
        with pytest.raises(RequestValidationError):
            await r.json()
        assert not await r.is_disconnected()
        r._native.left = True  # type: ignore[attr-defined]
        assert await r.is_disconnected()

    asyncio.run(main())


def test_a_huge_integer_in_json_keeps_its_digits_or_is_refused() -> None:
    async def main() -> None:
        for number in (2**63, -(2**64) - 1, 10**30, 10**400):
            assert await request("POST", "/", b'{"a": %d}' % number).json() == {"a": number}
        assert await request("POST", "/", b"[1e30, 0.12345678901234567890]").json() == [
            1e30,
            0.12345678901234568,
        ]
        with pytest.raises(HTTPException) as refused:
            await request("POST", "/", b"[" + b"9" * 5000 + b"]").json()
        assert refused.value.status_code == 400

    asyncio.run(main())


def test_path_parameters_have_the_type_of_their_convertor() -> None:
    app = App()
    seen: list[Any] = []

    @app.get("/{a}/{b:int}/{c:float}/{d:uuid}/{e:path}")
    async def endpoint(request: Request) -> None:
        seen.append((request.path_params, request.route_path, request.app is app))

    id = uuid.uuid4()
    Server(app).ask("GET", f"/x/7/1.5/{id}/y/z")
    params = {"a": "x", "b": 7, "c": 1.5, "d": id, "e": "y/z"}
    assert seen == [(params, "/{a}/{b:int}/{c:float}/{d:uuid}/{e:path}", True)]


def test_a_request_without_an_app_says_so() -> None:
    r = Request(request()._native)
    with pytest.raises(RuntimeError, match="belongs to no app"):
        _ = r.app
    assert r.path_params == {}
    r.state.x = 1
    assert r.state.x == 1


def test_state_is_attributes_and_items() -> None:
    state = State({"a": 1})
    state.b = 2
    state["c"] = 3
    assert (state.a, state["b"], state.c, "c" in state, "d" in state) == (1, 2, 3, True, False)
    del state.a
    with pytest.raises(AttributeError, match="the state has no 'a'"):
        _ = state.a
    with pytest.raises(AttributeError, match="the state has no 'a'"):
        del state.a
    assert repr(state) == "State({'b': 2, 'c': 3})"


def test_exceptions_say_what_they_are() -> None:
    assert (HTTPException(404).detail, HTTPException(404, "x").detail, HTTPException(599).detail) == (
        "Not Found",
        "x",
        "",
    )
    assert (str(HTTPException(404)), repr(HTTPException(404))) == (
        "404: Not Found", "HTTPException(status_code=404, detail='Not Found')",
    )  # fmt: skip
    assert HTTPException(401, headers={"a": "b"}).headers == {"a": "b"}
    assert (
        str(RequestValidationError([{"loc": ("query", "q"), "msg": "bad"}]))
        == "1 validation error\n  query.q: bad"
    )
