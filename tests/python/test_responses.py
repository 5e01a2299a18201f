"""Responses, and what becomes of the results of handlers."""

import dataclasses
from typing import Any

import pytest
from asioserve import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from asioserve._responses import to_response


@dataclasses.dataclass
class Point:
    x: int


TEXT, JSON, BYTES = "text/plain; charset=utf-8", "application/json", "application/octet-stream"


@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        ({"a": [1]}, 200, JSON, b'{"a":[1]}'), ([], 200, JSON, b"[]"), (None, 200, JSON, b"null"), (1, 200, JSON, b"1"),
        (True, 200, JSON, b"true"), (1.5, 200, JSON, b"1.5"), (Point(1), 200, JSON, b'{"x":1}'),
        ("h\u00e9", 200, TEXT, "h\u00e9".encode()), (b"b", 200, BYTES, b"b"), (bytearray(b"b"), 200, BYTES, b"b"),
        (({"a": 1}, 201), 201, JSON, b'{"a":1}'), (("x", 404), 404, TEXT, b"x"), ((None, 204), 204, None, b""),
        ((1, 2), 200, JSON, b"[1,2]"), ((1, True), 200, JSON, b"[1,true]"), ((1, 600), 200, JSON, b"[1,600]"),
        ((1, 200, 3), 200, JSON, b"[1,200,3]"), ((b"x", 304), 304, None, b""),
        ((Response("x"), 202), 202, None, b"x"), (Response("x", 203), 203, None, b"x"),
    ],
)  # fmt: skip
def test_any_result_is_an_answer(result: Any, status: int, content_type: str | None, body: bytes) -> None:
    response = to_response(result)
    assert (response.status_code, response.headers.get("content-type"), response.body) == (
        status,
        content_type,
        body,
    )


def test_the_routes_status_is_a_default() -> None:
    assert to_response("x", 201).status_code == 201
    assert to_response(("x", 202), 201).status_code == 202
    assert to_response(Response("x"), 201).status_code == 200
    assert (to_response(None, 204).body, to_response(None, 204).raw_headers) == (b"", [])


def test_a_response_renders_text_and_bytes_only() -> None:
    assert [Response(c).body for c in (None, "\u00e9", b"b", bytearray(b"c"), memoryview(b"d"))] == [
        b"", b"\xc3\xa9", b"b", b"c", b"d",
    ]  # fmt: skip
    with pytest.raises(TypeError, match="the content of a Response is str or bytes, not dict"):
        Response({})


@pytest.mark.parametrize(
    ("response", "content_type"),
    [
        (Response("x"), None),
        (Response("x", media_type="image/png"), "image/png"),
        (Response("x", media_type="text/csv"), "text/csv; charset=utf-8"),
        (Response("x", media_type="text/csv; charset=latin-1"), "text/csv; charset=latin-1"),
        (PlainTextResponse("x"), TEXT),
        (HTMLResponse("x"), "text/html; charset=utf-8"),
        (JSONResponse({}), JSON),
        (PlainTextResponse("x", headers={"Content-Type": "text/markdown"}), "text/markdown"),
        (RedirectResponse("/x"), None),
    ],
)
def test_the_content_type(response: Response, content_type: str | None) -> None:
    assert response.headers.get("content-type") == content_type


def test_headers_can_be_read_and_changed() -> None:
    response = Response("x", headers={"X-A": "1", "X-B": "2"})
    headers = response.headers
    assert dict(headers) == {"x-a": "1", "x-b": "2"}
    headers["X-A"] = "3"
    headers.append("x-a", "4")
    assert (headers.getlist("X-A"), len(headers)) == (["3", "4"], 2)
    headers["x-a"] = "5"
    assert response.raw_headers == [(b"x-a", b"5"), (b"x-b", b"2")]
    del headers["X-B"]
    assert "x-b" not in headers
    with pytest.raises(KeyError):
        del headers["x-b"]
    with pytest.raises(KeyError):
        headers["x-b"]
    headers.add_vary_header("accept")
    headers.add_vary_header("origin")
    assert headers["vary"] == "accept, origin"
    with pytest.raises(UnicodeEncodeError):
        headers["x"] = "\u20ac"


def test_a_redirect_keeps_what_a_url_may_have_and_quotes_the_rest() -> None:
    response = RedirectResponse("/a b?c=\u00e9&d=%20#x\r\nset-cookie: y")
    assert (response.status_code, response.headers["location"]) == (
        307, "/a%20b?c=%C3%A9&d=%20#x%0D%0Aset-cookie:%20y",
    )  # fmt: skip
    assert RedirectResponse("/", 303).status_code == 303


def test_cookies_are_fields_of_their_own() -> None:
    response = Response()
    response.set_cookie("a", "x y")
    response.set_cookie(
        "b", "1", max_age=3, domain="d.org", secure=True, httponly=True, samesite="strict", path=None
    )
    response.delete_cookie("c")
    assert response.headers.getlist("set-cookie") == [
        'a="x y"; Path=/; SameSite=lax',
        "b=1; Domain=d.org; HttpOnly; Max-Age=3; SameSite=strict; Secure",
        'c=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=lax',
    ]


def test_a_subclass_may_render_in_its_own_way() -> None:
    class Shout(Response):
        media_type = "text/shout"

        def render(self, content: Any) -> bytes:
            return str(content).upper().encode()

    response = Shout("x")
    assert (response.body, response.headers["content-type"], repr(response)) == (
        b"X", "text/shout; charset=utf-8", "<Shout 200>",
    )  # fmt: skip
