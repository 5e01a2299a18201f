"""The native side in a page of Python, by the contract in ``_plan``: slow and plain, to test the package
alone."""

import asyncio
import contextvars
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from asioserve import App, HTTPException, Request, RequestValidationError, Response, StreamingResponse
from asioserve._markers import MISSING
from asioserve._middleware import default_answer
from asioserve._plan import Compiled, Param, Route
from asioserve._responses import to_response
from asioserve._signature import Convert
from asioserve._validate import Builder

_PATTERNS = {
    "str": "[^/]+",
    "path": ".*",
    "int": "[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": "[0-9a-fA-F-]{32,36}",
}
_CONVERTERS = {
    name: Convert(Builder().build(cls)) for name, cls in [("int", int), ("float", float), ("bool", bool)]
}


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    error: BaseException | None = None
    trailers: list[tuple[bytes, bytes]] | None = None

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class Sink:
    """Takes a streamed answer; ``credit`` chunks without waiting, then every write waits one turn of the
    loop."""

    has_body: bool = True
    credit: int = 1
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    length: int = -1
    chunks: list[bytes] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] | None = None
    finished: bool = False

    def wants_body(self, status: int) -> bool:
        return self.has_body

    def begin(self, status: int, headers: list[tuple[bytes, bytes]], content_length: int) -> bool:
        self.status, self.headers, self.length = status, headers, content_length
        return self.has_body

    def write(self, chunk: bytes) -> asyncio.Future[None] | None:
        self.chunks.append(chunk)
        if len(self.chunks) <= self.credit:
            return None
        loop = asyncio.get_running_loop()
        room = loop.create_future()
        loop.call_soon(_resolve, room)
        return room

    def finish(self, trailers: list[tuple[bytes, bytes]] | None) -> None:
        self.trailers, self.finished = trailers, True


def _resolve(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)


class Native:
    """``_asioserve.Request``."""

    def __init__(
        self, plan: Compiled, method: str, target: str, headers: Mapping[str, str], chunks: list[bytes]
    ) -> None:
        path, _, query = target.partition("?")
        self.method, self.target, self.path, self.query_string = method, target, unquote(path), query.encode()
        self.headers = tuple((name.lower(), value) for name, value in headers.items())
        self.path_params: dict[str, str] = {}
        self.client: tuple[str, int] | None = ("127.0.0.1", 4711)
        self.server: tuple[str, int] | None = ("127.0.0.1", 80)
        self.http_version = "1.1"
        self.chunks, self.left = chunks, False
        self._plan = plan
        self.route, self.allow = self._match()

    def _match(self) -> tuple[int, list[str]]:
        allow: list[str] = []
        for number, route in enumerate(self._plan.routes):
            parts = re.split(r"\{(\w+)(?::(\w+))?\}", route.path)
            pattern = re.escape(parts[0])
            for name, convertor, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
                pattern += f"(?P<{name}>{_PATTERNS[convertor or 'str']})" + re.escape(text)
            match = re.fullmatch(pattern, self.path)
            if match and (self.method in route.methods or (self.method == "HEAD" and "GET" in route.methods)):
                self.path_params = match.groupdict()
                return number, []
            if match and not allow:
                allow.extend(route.methods)
        return -1, allow

    async def body(self) -> bytes:
        return b"".join([chunk async for chunk in self.stream()])

    async def stream(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            await asyncio.sleep(0)
            yield chunk

    def is_disconnected(self) -> bool:
        return self.left

    def dispatch(self, request: Request) -> Any:
        if self.route < 0:
            raise (
                HTTPException(405, headers={"allow": ", ".join(self.allow)})
                if self.allow
                else HTTPException(404)
            )
        route = self._plan.routes[self.route]
        arguments = self._bind(route, request)
        if route.kind == "plain" and route.pool:
            return self._plan.sync_pool(route.endpoint, arguments)
        return route.endpoint(**arguments)

    def _bind(self, route: Route, request: Request) -> dict[str, Any]:
        errors: list[Any] = []
        document: Any = MISSING
        raw = b"".join(self.chunks)
        if any(p.source == "body" and p.type != "bytes" for p in route.params) and raw:
            content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            document = raw
            if re.fullmatch(r"application/(.*\+)?json", content_type):
                try:
                    document = self._plan.decode(raw)
                except ValueError:
                    document = self._plan.decode_again(raw)
        values: dict[str, Any] = {}
        for p in route.params:
            if p.source == "request":
                values[p.name] = request
            elif p.type == "bytes":
                values[p.name] = raw
            else:
                self._bind_one(p, request, document, values, errors)
        if errors:
            raise RequestValidationError(errors)
        return values

    def _bind_one(
        self, p: Param, request: Request, document: Any, values: dict[str, Any], errors: list[Any]
    ) -> None:
        loc: tuple[str | int, ...] = (p.source, p.label or p.alias)
        required = p.required
        if p.source != "body":
            found = self._look_up(p, request)
        elif not p.embed:
            loc, found = ("body",), document
        else:
            loc, found = ("body", p.alias), MISSING
            if isinstance(document, dict):
                found = document.get(p.alias, MISSING)
            else:  # to FastAPI all of them are missing then, also those with a default
                required = required or document is not MISSING
        if found is MISSING:
            if required:
                errors.append({"type": "missing", "loc": loc, "msg": "Field required", "input": None})
            else:
                values[p.name] = p.default_factory() if p.default_factory else p.default
            return
        try:
            values[p.name] = self._convert(p, found, loc)
        except RequestValidationError as error:
            errors.extend(error.errors())

    def _look_up(self, p: Param, request: Request) -> Any:
        if p.source == "path":
            return self.path_params.get(p.alias, MISSING)
        if p.source == "cookie":
            return request.cookies.get(p.alias, MISSING)
        table = request.query_params if p.source == "query" else request.headers
        return (table.getlist(p.alias) or MISSING) if p.many else table.get(p.alias, MISSING)

    def _convert(self, p: Param, raw: Any, loc: tuple[str | int, ...]) -> Any:
        if p.type == "python":
            assert p.convert is not None
            return p.convert(raw, loc)
        if p.type == "json":
            kind = {"dict": dict, "list": list, "": Any}[p.json_kind]
            return Convert(Builder().build(kind))(raw, loc)
        if p.type == "str":
            return raw
        convert = _CONVERTERS[p.type]
        return [convert(item, (*loc, i)) for i, item in enumerate(raw)] if p.many else convert(raw, loc)


class Server:
    """Serves an app, one request at a time."""

    def __init__(self, app: App) -> None:
        self.plan = app._compile()
        self.natives: list[Native] = []

    def ask(self, method: str, target: str, body: bytes | list[bytes] = b"", **headers: str) -> Answer:
        return asyncio.run(self.request(method, target, body, **headers))

    async def request(
        self, method: str, target: str, body: bytes | list[bytes] = b"", **headers: str
    ) -> Answer:
        chunks = body if isinstance(body, list) else [body] if body else []
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        native = Native(self.plan, method, target, {"host": "example.org", **named}, chunks)
        self.natives.append(native)
        request = self.plan.request_class(native)
        try:
            result = await self._result(native, request)
        except Exception as error:
            return await self._answer(await self._failed(request, error), None, error)
        route = self.plan.routes[native.route] if native.route >= 0 else None
        return await self._answer(to_response(result, route.status_code if route else None), method)

    async def _result(self, native: Native, request: Request) -> Any:
        route = self.plan.routes[native.route] if native.route >= 0 else None
        entry = (route and route.entry) or self.plan.entry
        if entry is not None:
            return await entry(request)
        if route is not None and route.kind == "plain" and not route.pool:
            return await asyncio.to_thread(contextvars.copy_context().run, native.dispatch, request)
        result = native.dispatch(request)
        return await result if hasattr(type(result), "__await__") else result

    async def _failed(self, request: Request, error: Exception) -> Response:
        if self.plan.on_exception is not None:
            result = self.plan.on_exception(request, error)
            if hasattr(type(result), "__await__"):
                result = await result  # type: ignore[misc]
            if result is not None:
                assert isinstance(result, Response)
                return result
        return default_answer(error) or Response("Internal Server Error", 500, media_type="text/plain")

    async def _answer(
        self, response: Response, method: str | None, error: BaseException | None = None
    ) -> Answer:
        headers = [(name.decode(), value.decode("latin-1")) for name, value in response.raw_headers]
        if isinstance(response, StreamingResponse):
            sink = Sink(has_body=method != "HEAD")
            await response._pump(sink)
            return Answer(sink.status, headers, b"".join(sink.chunks), error, sink.trailers)
        return Answer(response.status_code, headers, response.body, error)
