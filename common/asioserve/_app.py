"""The app: routes, middleware, exception handlers, lifespan."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, Unpack

from . import _calls, _json, _signature, _template
from ._datastructures import State
from ._exceptions import HTTPException
from ._middleware import Dispatch, ExceptionHandler, dispatch_of, make_entry, make_on_exception
from ._plan import Compiled, Route
from ._request import Request

F = TypeVar("F", bound=Callable[..., Any])
Lifespan = Callable[["App"], contextlib.AbstractAsyncContextManager[Mapping[str, Any] | None]]
"""Made by ``@contextlib.asynccontextmanager``; what it yields becomes state."""


class RouteOptions(TypedDict, total=False):
    """What the decorators take besides the path; see :meth:`App.route`."""

    status_code: int | None
    pool: bool | None
    cancel_on_disconnect: bool | None


class App:
    """A web application: endpoints by path and method, and what stands around them.

    ``lifespan`` runs around serving, once. ``cancel_on_disconnect`` cancels a handler's task when its peer
    leaves (a route can say otherwise); without it handlers run to their end. ``redirect_slashes`` sends
    ``/a/`` to ``/a`` and the other way round where only the other one exists.
    """

    def __init__(
        self,
        *,
        lifespan: Lifespan | None = None,
        cancel_on_disconnect: bool = False,
        redirect_slashes: bool = True,
    ) -> None:
        self.state = State()
        self._lifespan_factory = lifespan
        self._lifespan_state: dict[str, Any] = {}
        self._cancel_on_disconnect = cancel_on_disconnect
        self._redirect_slashes = redirect_slashes
        self._entries: list[Route | tuple[str, App]] = []
        self._middleware: list[Callable[[], Dispatch]] = []
        self._exception_handlers: dict[int | type[BaseException], ExceptionHandler] = {}

    # --- routes ---------------------------------------------------------------------------------------------
    def route(
        self,
        path: str,
        methods: Sequence[str] = ("GET",),
        *,
        status_code: int | None = None,
        pool: bool | None = None,
        cancel_on_disconnect: bool | None = None,
    ) -> Callable[[F], F]:
        """Declares an endpoint. Its parameters are read from the signature, and what is wrong with it raises
        here.

        HEAD of a GET route and OPTIONS are automatic. ``pool`` is for ``def`` endpoints: True runs them in
        the executor, False in line, which blocks everything else meanwhile.
        """
        if isinstance(methods, str):
            raise TypeError(f"methods is a list of methods, not the text {methods!r}")

        def decorate(endpoint: F) -> F:
            where = f"{_signature.name_of(endpoint)} at {' '.join(methods).upper()} {path}"
            try:
                self._declare(
                    endpoint,
                    path,
                    methods,
                    status_code=status_code,
                    pool=pool,
                    cancel_on_disconnect=cancel_on_disconnect,
                )
            except (TypeError, ValueError) as error:
                raise type(error)(f"{where}: {error}") from error
            return endpoint

        return decorate

    def _declare(
        self,
        endpoint: Callable[..., Any],
        path: str,
        methods: Sequence[str],
        *,
        status_code: int | None,
        pool: bool | None,
        cancel_on_disconnect: bool | None,
    ) -> None:
        if not callable(endpoint):
            raise TypeError("an endpoint has to be callable; the path goes into the decorator's parentheses")
        names = tuple(dict.fromkeys(m.upper() for m in methods))
        if not names or not all(m.isascii() and m.isalpha() for m in names):
            raise ValueError(f"{list(methods)!r} are no methods")
        if status_code is not None and not 200 <= status_code <= 599:
            raise ValueError(f"{status_code} is no status of a whole answer")
        kind = _signature.kind_of(endpoint)
        if pool is not None and kind == "coroutine":
            raise TypeError("pool= is for def endpoints; this one is async")
        params, body = _signature.plan(endpoint, path, names)
        self._entries.append(
            Route(path, names, endpoint, kind, pool, body, params, status_code, cancel_on_disconnect)
        )

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declares an endpoint for GET; the options are those of :meth:`route`."""
        return self.route(path, ("GET",), **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declares an endpoint for POST."""
        return self.route(path, ("POST",), **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declares an endpoint for PUT."""
        return self.route(path, ("PUT",), **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declares an endpoint for PATCH."""
        return self.route(path, ("PATCH",), **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declares an endpoint for DELETE."""
        return self.route(path, ("DELETE",), **options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declares an endpoint for HEAD, instead of the automatic one."""
        return self.route(path, ("HEAD",), **options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declares an endpoint for OPTIONS, instead of the automatic one."""
        return self.route(path, ("OPTIONS",), **options)

    def websocket(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Reserved: there are no WebSockets yet."""
        raise NotImplementedError(f"WebSockets are not supported yet, so nothing can be declared at {path!r}")

    def mount(self, prefix: str, app: App) -> None:
        """Puts the routes of another app under ``prefix``, at this place in the order of declaration.

        Its middleware and exception handlers are for its routes only; its lifespan runs inside this app's. A
        path under the prefix that it has not is a 404 or 405 of the root app.
        """
        if not isinstance(app, App):
            raise TypeError(f"only an App can be mounted at {prefix!r}, not {type(app).__name__}")
        prefix = prefix.rstrip("/")
        if prefix and _template.parse(prefix):
            raise ValueError(f"the prefix {prefix!r} of a mounted app cannot have parameters")
        if self in app._apps():
            raise ValueError(f"the app mounted at {prefix!r} would contain itself")
        self._entries.append((prefix, app))

    def _apps(self) -> list[App]:
        """This app and all that are mounted in it, each once, outer ones first."""
        found = {id(self): self}
        for entry in self._entries:
            if isinstance(entry, tuple):
                found.update((id(app), app) for app in entry[1]._apps())
        return list(found.values())

    # --- around the endpoints -------------------------------------------------------------------------------
    def middleware(self, kind: str = "http") -> Callable[[F], F]:
        """Adds ``async def name(request, call_next)`` around everything that was added before."""
        if kind != "http":
            raise ValueError(f"there is middleware for 'http' only, not for {kind!r}")

        def decorate(function: F) -> F:
            if _signature.kind_of(function) != "coroutine":
                raise TypeError(f"{_signature.name_of(function)}: a middleware has to be async def")
            self._middleware.append(lambda: function)
            return function

        return decorate

    def add_middleware(self, cls: Callable[..., Any], **options: Any) -> None:
        """Adds a middleware class around everything that was added before; made by ``cls(app,
        **options)``."""
        self._middleware.append(lambda: dispatch_of(cls(self, **options)))

    def _made_middleware(self) -> list[Dispatch]:
        return [make() for make in self._middleware]

    def exception_handler(self, key: int | type[BaseException]) -> Callable[[F], F]:
        """Registers ``(request, exception) -> response`` for a class of exceptions, or for a status."""

        def decorate(function: F) -> F:
            self.add_exception_handler(key, function)
            return function

        return decorate

    def add_exception_handler(self, key: int | type[BaseException], handler: ExceptionHandler) -> None:
        """Registers a handler; one for ``Exception`` or 500 is asked last, outside of all middleware."""
        if not isinstance(key, int) and not (isinstance(key, type) and issubclass(key, BaseException)):
            raise TypeError(f"a class of exceptions or a status is needed, not {key!r}")
        self._exception_handlers[key] = handler

    # --- for the server -------------------------------------------------------------------------------------
    @contextlib.asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        """Runs the lifespans, this app's and then those of mounted ones, around what is inside."""
        async with contextlib.AsyncExitStack() as stack:
            for app in self._apps():
                if app._lifespan_factory is None:
                    continue
                manager = app._lifespan_factory(app)
                if not hasattr(manager, "__aenter__"):
                    raise TypeError(
                        f"lifespan {_signature.name_of(app._lifespan_factory)} has to be decorated by "
                        "contextlib.asynccontextmanager"
                    )
                yielded = await stack.enter_async_context(manager)
                if yielded is not None and not isinstance(yielded, Mapping):
                    raise TypeError(f"a lifespan yields a dict or nothing, not {type(yielded).__name__}")
                app._lifespan_state.update(yielded or {})
                app.state._state.update(yielded or {})
            yield

    def _flat(self, prefix: str, outer: tuple[App, ...]) -> list[tuple[Route, tuple[App, ...]]]:
        chain = (*outer, self)
        found: list[tuple[Route, tuple[App, ...]]] = []
        for entry in self._entries:
            if isinstance(entry, tuple):
                found.extend(entry[1]._flat(prefix + entry[0], chain))
                continue
            cancel = entry.cancel_on_disconnect
            found.append((
                Route(
                    prefix + entry.path, entry.methods, entry.endpoint, entry.kind, entry.pool, entry.body,
                    entry.params, entry.status_code, self._cancel_on_disconnect if cancel is None else cancel,
                ),
                chain,
            ))  # fmt: skip
        return found

    def _compile(self) -> Compiled:
        """What native code needs to know, once and for all (see ``_plan``)."""
        flat = self._flat("", ())
        compiled: Compiled

        def later() -> Compiled:
            return compiled

        entries: dict[tuple[int, ...], Any] = {}
        for route, apps in flat:
            if len(apps) > 1 and any(app._middleware for app in apps[1:]):
                key = tuple(id(app) for app in apps)
                if key not in entries:
                    entries[key] = make_entry(later, apps)
                route.entry = entries[key]
        handlers = [key for app in self._apps() for key in app._exception_handlers]
        http = [
            k for k in handlers if k in (404, 405) or (isinstance(k, type) and issubclass(HTTPException, k))
        ]
        compiled = Compiled(
            routes=tuple(route for route, _ in flat),
            entry=make_entry(later, (self,)) if self._middleware else None,
            encode=_json.encode,
            encode_default=_json.encode_default,
            decode=_json.decode,
            decode_again=_json.decode_again,
            on_exception=make_on_exception(later, self) if handlers else None,
            native_errors=not self._middleware and not [k for k in http if k is not Exception],
            request_class=Request,
            redirect_slashes=self._redirect_slashes,
            cancel_on_disconnect=self._cancel_on_disconnect,
            sync_pool=_calls.sync_pool,
            encode_errors=_json.encode_errors,
            apps=tuple(apps for _, apps in flat),
        )
        compiled.request_class = type(
            "Request", (Request,), {"__slots__": (), "_compiled": compiled, "_root": self}
        )
        return compiled
