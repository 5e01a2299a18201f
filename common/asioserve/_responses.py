"""Answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from . import _json
from ._datastructures import MutableHeaders

Result = Any
"""What an endpoint may return: a Response, dict, list, model, str, bytes, ``(body, status)``, …"""


def _raw(headers: Mapping[str, str] | None) -> list[tuple[bytes, bytes]]:
    if not headers:
        return []
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


class Response:
    """A whole answer. ``content`` is str or bytes; the connection adds content-length, date and server.

    Header names and values with a line break never reach the wire: they are a 500 and a log entry.
    """

    media_type: str | None = None
    charset: ClassVar[str] = "utf-8"

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self.status_code = status_code
        self.raw_headers = _raw(headers)
        if media_type is not None:
            self.media_type = media_type
        if self.media_type is not None and not any(name == b"content-type" for name, _ in self.raw_headers):
            self.raw_headers.append((b"content-type", self._content_type(self.media_type)))
        self.body = self.render(content)

    def _content_type(self, media_type: str) -> bytes:
        if media_type.startswith("text/") and "charset=" not in media_type.lower():
            media_type += f"; charset={self.charset}"
        return media_type.encode("latin-1")

    def render(self, content: Any) -> bytes:
        """The bytes of ``content``; for subclasses to override."""
        if content is None:
            return b""
        if isinstance(content, bytes):
            return content
        if isinstance(content, (bytearray, memoryview)):
            return bytes(content)
        if isinstance(content, str):
            return content.encode(self.charset)
        raise TypeError(
            f"the content of a {type(self).__name__} is str or bytes, not {type(content).__name__}"
        )

    @property
    def headers(self) -> MutableHeaders:
        """The fields of the answer, to read and to change."""
        return MutableHeaders(self.raw_headers)

    def set_cookie(
        self,
        key: str,
        value: str = "",
        *,
        max_age: int | None = None,
        expires: str | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Literal["lax", "strict", "none"] | None = "lax",
    ) -> None:
        """Adds a ``set-cookie`` field. ``expires`` is text in the form of an HTTP date."""
        from http.cookies import SimpleCookie

        cookie: SimpleCookie = SimpleCookie()
        cookie[key] = value
        morsel = cookie[key]
        attributes: list[tuple[str, object]] = [
            ("max-age", max_age), ("expires", expires), ("path", path), ("domain", domain),
            ("secure", secure or None), ("httponly", httponly or None), ("samesite", samesite),
        ]  # fmt: skip
        for name, attribute in attributes:
            if attribute is not None:
                morsel[name] = attribute if isinstance(attribute, bool) else str(attribute)
        self.raw_headers.append((b"set-cookie", morsel.OutputString().encode("latin-1")))

    def delete_cookie(self, key: str, path: str = "/", domain: str | None = None) -> None:
        """Tells the client to forget a cookie."""
        self.set_cookie(key, max_age=0, expires="Thu, 01 Jan 1970 00:00:00 GMT", path=path, domain=domain)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code}>"


class PlainTextResponse(Response):
    """Text."""

    media_type = "text/plain"


class HTMLResponse(Response):
    """A page."""

    media_type = "text/html"


class JSONResponse(Response):
    """Anything that JSON can say, encoded as the result of a handler is."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The JSON of ``content``."""
        return _json.dumps(content)


class RedirectResponse(Response):
    """Sends the client elsewhere; 307 keeps its method and body."""

    def __init__(self, url: object, status_code: int = 307, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(b"", status_code, headers)
        self.headers["location"] = quote(str(url), safe=":/%#?=@[]!$&'()*+,;")


def has_no_body(status: int) -> bool:
    """Statuses that never carry a body (RFC 9110 section 6.4.1)."""
    return status < 200 or status in (204, 304)


def to_response(result: Result, default_status: int | None = None) -> Response:
    """What native code makes of a handler's result, as a Response; for middleware, which looks at
    responses."""
    if isinstance(result, Response):
        return result
    status = default_status or 200
    if type(result) is tuple and len(result) == 2 and type(result[1]) is int and 100 <= result[1] <= 599:
        result, status = result
        if isinstance(result, Response):
            result.status_code = status
            return result
    if has_no_body(status):
        return Response(status_code=status)
    if isinstance(result, str):
        return PlainTextResponse(result, status)
    if isinstance(result, (bytes, bytearray, memoryview)):
        return Response(result, status, media_type="application/octet-stream")
    return JSONResponse(result, status)
