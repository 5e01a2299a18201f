"""The plan: what an :class:`~asioserve.App` comes to when it is compiled for the native side.

This page is the written contract between the Python package and the native handler (module ``_asioserve``).
Native code calls ``app._compile()`` once, before the first request, and copies what it needs.

The app
    * ``app._compile() -> Compiled``; routes are final afterwards.
    * ``async with app._lifespan():`` around serving runs the lifespans, its own and those of mounted apps,
      and puts what they yield into the state. An exception from entering it is an app that fails to start.

A request
    * There is one request object per exchange: ``Compiled.request_class(native_request)``, made when it is
      needed first and kept, so that its state and its body are the same for middleware, endpoint and
      exception handlers.
    * The native request has, besides what ``_request.NativeRequest`` lists, ``route``: the index of the
      matched route in ``Compiled.routes``, -1 where none matched. ``path_params`` are decoded strings;
      ``Request`` converts them.
    * ``entry`` (middleware): native code awaits ``route.entry or compiled.entry`` where a route matched, and
      ``compiled.entry`` where none did. ``route.entry`` of a mounted app's route holds the outer app's
      middleware too. ``native_request.dispatch(request)`` never calls an entry: it binds and calls the
      endpoint, or raises HTTPException (404, 405 with ``Allow``) or RequestValidationError. It hands
      ``request`` to parameters of source "request". With an entry the body mode "ignore" means "stream", as
      middleware may read the body. An entry always returns a Response.
    * A ``def`` endpoint that runs in line under an entry is called by ``dispatch`` itself; the Python side
      hides the running loop and gives a context of its own around that call. With a pool, ``dispatch``
      returns what ``sync_pool(endpoint, kwargs)`` returned.

Parameters
    * ``convert(raw, loc)``: ``raw`` is a str (a list of str where ``many``), or the parsed JSON for the
      source "body"; ``loc`` is e.g. ``("query", "q")`` or ``("body",)``, ``("body", name)`` where ``embed``.
      It raises RequestValidationError, whose ``_errors`` is a list of dicts.
    * A missing value is native's business: ``default`` where not ``required``, else an error of type
      "missing". A default that needs to be made anew for each request has ``default_factory``: called without
      arguments.
    * A body whose content type is neither ``application/json`` nor ``application/…+json`` (or is missing) is
      not parsed, as in FastAPI: its bytes are the raw value, which is then no dict (``dict_type``, …).
    * JSON bodies: ``decode(bytes)``; if that raises anything, ``decode_again(bytes)``, which either finds the
      value after all (NaN, huge integers) or raises RequestValidationError ("json_invalid") or
      HTTPException(400).

Results
    * ``(body, status)`` is a tuple of exactly two whose second is an int (no bool) from 100 to 599; any other
      tuple is a JSON array.
    * A status of 1xx, 204 or 304 has neither body nor content type, whatever the result.
    * ``Response.raw_headers``: names are in lower case; the connection adds content-length, one in here is
      dropped. ``StreamingResponse`` is a subclass of Response: look for it first; its ``body`` is empty.
    * ``sink.begin(...)`` returns False where no body is wanted (HEAD), anything else otherwise.

Exceptions
    * HTTPException has ``status_code: int``, ``detail: object`` (JSON) and ``headers: dict[str, str] |
      None``.
    * ``native_errors``: True when 404, 405 and OPTIONS can be answered without asking Python. When it is
      False they go to ``on_exception(request, HTTPException(...))`` first, or to ``entry`` where there is
      one.
    * ``on_exception`` gives a Response, a coroutine giving one, or None for "not handled": then native code
      answers HTTPException and RequestValidationError in the usual way, and anything else by a 500 and a log
      entry.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ._request import Request
    from ._responses import Response

Source = Literal["path", "query", "header", "cookie", "body", "request"]
"""Where a parameter comes from."""

ParamType = Literal["str", "int", "float", "bool", "json", "bytes", "python"]
"""How a parameter is converted; "python" calls ``Param.convert``, the others are native."""

Convert = Callable[[Any, tuple[str | int, ...]], Any]
"""``convert(raw, loc)``: the value, or RequestValidationError."""

Entry = Callable[["Request"], Coroutine[Any, Any, "Response"]]
"""Answers a request from outside in: the chain of middleware."""


@dataclass(slots=True)
class Param:
    """One parameter of an endpoint."""

    name: str
    """The keyword that the endpoint takes it by."""
    source: Source
    alias: str
    """What it is looked up by; for headers in lower case with dashes. Of several values where not ``many``:
    the last of a query, the first of a header, the last of a cookie."""
    type: ParamType = "str"
    json_kind: Literal["", "dict", "list"] = ""
    """For "json": what the value has to be."""
    many: bool = False
    """All values of that name, as a list (query, header)."""
    required: bool = True
    default: object = None
    default_factory: Callable[[], object] | None = None
    optional: bool = False
    """None is allowed (a JSON null in a body)."""
    embed: bool = False
    """The body is an object of several parameters, and this is the one named ``alias``."""
    convert: Convert | None = None
    label: str = ""
    """What an error's ``loc`` calls it; where empty, the alias. Headers differ: ``X-Token`` is looked up by
    ``x-token``."""


@dataclass(slots=True)
class Route:
    """One declared route, mounted apps' prefixes included."""

    path: str
    """The template: ``/user/{id}``, ``/files/{name:path}``, ``{x:int}``, ``{x:float}``, ``{x:uuid}``,
    ``{x:str}``."""
    methods: tuple[str, ...]
    """In capitals, in the order declared. HEAD of a GET route and OPTIONS are automatic and not listed."""
    endpoint: Callable[..., Any]
    kind: Literal["plain", "coroutine"]
    pool: bool | None = None
    """For ``def`` endpoints: in the executor, in line, or as the server's --sync says."""
    body: Literal["ignore", "collect", "stream"] = "ignore"
    params: tuple[Param, ...] = ()
    status_code: int | None = None
    cancel_on_disconnect: bool | None = None
    entry: Entry | None = None
    """The whole chain of middleware for this route, where it differs from ``Compiled.entry``."""


@dataclass(slots=True)
class Compiled:
    """What native code asks an app for, once."""

    routes: tuple[Route, ...]
    """In the order of declaration; the first that matches wins."""
    entry: Entry | None
    encode: Callable[..., bytes]
    """``encode(value, encode_default)`` gives JSON: orjson.dumps or the stand-in that gives the same
    bytes."""
    encode_default: Callable[[Any], Any]
    decode: Callable[[bytes], Any]
    """Parses JSON: orjson.loads, or the standard library's."""
    decode_again: Callable[[bytes], Any]
    """Asked when ``decode`` has raised: a value, RequestValidationError or HTTPException."""
    on_exception: Callable[[Request, BaseException], object] | None
    native_errors: bool
    request_class: type[Request]
    redirect_slashes: bool
    cancel_on_disconnect: bool
    sync_pool: Callable[[Callable[..., Any], dict[str, Any]], Coroutine[Any, Any, Any]]
    encode_errors: Callable[[list[Any]], bytes]
    """The body of a 422: ``{"detail": errors}``, whatever cannot be said in JSON replaced. Never raises."""
    apps: tuple[Any, ...] = field(default=())
    """For each route the app that declared it; for the Python side only."""
