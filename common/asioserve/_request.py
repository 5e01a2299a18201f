"""A request, as handlers and middleware see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from . import _json, _template
from ._datastructures import URL, Address, Headers, QueryParams, State

if TYPE_CHECKING:
    from ._app import App
    from ._plan import Compiled


class NativeRequest(Protocol):
    """What the native side offers (``_asioserve.Request``). Header names are in lower case."""

    method: str
    target: str
    path: str
    query_string: bytes
    headers: tuple[tuple[str, str], ...]
    path_params: dict[str, str]
    client: tuple[str, int] | None
    server: tuple[str, int] | None
    http_version: str
    route: int

    def body(self) -> Awaitable[bytes]:
        """The whole body."""
        ...

    def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes; can be read once."""
        ...

    def is_disconnected(self) -> bool:
        """Whether the peer has left."""
        ...

    def dispatch(self, request: Any) -> Any:
        """Binds and calls the endpoint: its result, or something to await."""
        ...


class Request:
    """One request. Everything is made when it is asked for, and once."""

    __slots__ = (
        "__weakref__", "_body", "_cookies", "_headers", "_native", "_query_params", "_state", "_stream_taken"
    )  # fmt: skip
    _compiled: ClassVar[Compiled | None] = None
    _root: ClassVar[App | None] = None

    def __init__(self, native: NativeRequest) -> None:
        self._native = native
        self._body: bytes | None = None
        self._cookies: dict[str, str] | None = None
        self._headers: Headers | None = None
        self._query_params: QueryParams | None = None
        self._state: State | None = None
        self._stream_taken = False

    @property
    def method(self) -> str:
        """The method as sent, e.g. ``GET``."""
        return self._native.method

    @property
    def target(self) -> str:
        """The request target as sent, e.g. ``/a%20b?x=1``."""
        return self._native.target

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return self._native.path

    @property
    def query_string(self) -> bytes:
        """What stands behind the question mark, as sent."""
        return self._native.query_string

    @property
    def http_version(self) -> str:
        """``1.1`` or ``1.0``."""
        return self._native.http_version

    @property
    def headers(self) -> Headers:
        """The fields; names ignore case."""
        if self._headers is None:
            self._headers = Headers(self._native.headers)
        return self._headers

    @property
    def query_params(self) -> QueryParams:
        """The query, decoded."""
        if self._query_params is None:
            self._query_params = QueryParams(self._native.query_string)
        return self._query_params

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies."""
        if self._cookies is None:
            self._cookies = {}
            for line in self.headers.getlist("cookie"):
                self._cookies.update(parse_cookies(line))
        return self._cookies

    @property
    def path_params(self) -> dict[str, Any]:
        """What the template took from the path; ``{id:int}`` gives an int."""
        values = self._native.path_params
        if self._compiled is None or self._native.route < 0:
            return dict(values)
        return _template.convert(self._compiled.routes[self._native.route].path, values)

    @property
    def client(self) -> Address | None:
        """The peer's address; None on a Unix socket."""
        address = self._native.client
        return None if address is None else Address(*address)

    @property
    def server(self) -> Address | None:
        """Our end's address; None on a Unix socket."""
        address = self._native.server
        return None if address is None else Address(*address)

    @property
    def url(self) -> URL:
        """The whole URL; its host is what the client's Host field says."""
        netloc = self.headers.get("host", "")
        if not netloc and (server := self.server) is not None:
            netloc = f"{server.host}:{server.port}"
        path, _, query = self._native.target.partition("?")
        if "://" in path and not path.startswith("/"):  # absolute form (RFC 9112 section 3.2.2)
            path = "/" + path.partition("://")[2].partition("/")[2]
        return URL("http", netloc, path, query)

    @property
    def base_url(self) -> URL:
        """The URL of the app's root."""
        return self.url._replace(path="/", query="")

    @property
    def route_path(self) -> str | None:
        """The template that matched, e.g. ``/user/{id}``; None for a 404. What metrics should group by."""
        if self._compiled is None or self._native.route < 0:
            return None
        return self._compiled.routes[self._native.route].path

    @property
    def app(self) -> App:
        """The app that declared the route: a mounted one for its routes, else the root."""
        if self._compiled is not None and self._native.route >= 0:
            owner: App = self._compiled.apps[self._native.route][-1]
            return owner
        if self._root is None:
            raise RuntimeError("this request belongs to no app")
        return self._root

    @property
    def state(self) -> State:
        """This request's own state; starts with what the lifespans yielded."""
        if self._state is None:
            values: dict[str, Any] = {}
            if self._root is not None:
                values.update(self._root._lifespan_state)
            if self._compiled is not None and self._native.route >= 0:
                for app in self._compiled.apps[self._native.route][1:]:
                    values.update(app._lifespan_state)
            self._state = State(values)
        return self._state

    async def body(self) -> bytes:
        """The whole body; may be asked for again."""
        if self._body is None:
            if self._stream_taken:
                raise RuntimeError("the body has been read as a stream already")
            self._body = await self._native.body()
        return self._body

    async def json(self) -> Any:
        """The body as JSON, whatever its content type. What is no JSON raises RequestValidationError
        (422)."""
        return _json.loads(await self.body())

    async def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece; the peer is not asked for more than is read. Can be read once.

        Raises :class:`ClientDisconnected` when the peer leaves before the end.
        """
        if self._body is not None:
            if self._body:
                yield self._body
            return
        if self._stream_taken:
            raise RuntimeError("the body has been read as a stream already")
        self._stream_taken = True
        async for chunk in self._native.stream():
            yield chunk

    async def is_disconnected(self) -> bool:
        """Whether the peer has left."""
        return self._native.is_disconnected()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.path}>"


def parse_cookies(line: str) -> dict[str, str]:
    """The cookies of one field line, as browsers send them: lenient, the last of a name wins."""
    from http.cookies import _unquote

    cookies: dict[str, str] = {}
    for part in line.split(";"):
        name, equals, value = part.partition("=")
        if not equals:
            name, value = "", part
        name, value = name.strip(), value.strip()
        if name or value:
            cookies[name] = _unquote(value)
    return cookies
