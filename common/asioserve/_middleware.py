"""Middleware, exception handlers, and the order in which they see a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _calls
from ._exceptions import HTTPException, RequestValidationError
from ._json import encode_errors
from ._plan import Compiled, Entry
from ._request import Request
from ._responses import JSONResponse, Response, has_no_body, to_response

if TYPE_CHECKING:
    from ._app import App

CallNext = Callable[[Request], Awaitable[Response]]
"""What a middleware calls to go on inwards."""

Dispatch = Callable[[Request, CallNext], Awaitable[Response]]
"""A middleware: ``async def timing(request, call_next): …``."""

ExceptionHandler = Callable[[Request, Any], Any]
"""``def`` or ``async def``: what it returns answers the request."""


class BaseHTTPMiddleware:
    """A middleware as a class: override :meth:`dispatch`.

    ``app.add_middleware(Cls, option=1)`` makes it by ``Cls(app, option=1)``. Any class whose instances have
    ``dispatch(request, call_next)``, or can be called like that, will do.
    """

    def __init__(self, app: App, dispatch: Dispatch | None = None) -> None:
        self.app = app
        if dispatch is not None:
            self.dispatch = dispatch  # type: ignore[method-assign,assignment]

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Answers the request, mostly by ``await call_next(request)``."""
        return await call_next(request)


def dispatch_of(middleware: Any) -> Dispatch:
    """How an instance of a middleware class is called."""
    dispatch: Dispatch | None = getattr(middleware, "dispatch", None)
    if dispatch is None:
        if not callable(middleware):
            raise TypeError(
                f"{type(middleware).__name__} is no middleware: it has no dispatch(request, call_next)"
            )
        dispatch = middleware
    return dispatch


class Handlers:
    """The exception handlers of an app inside another one: the innermost app is asked first."""

    def __init__(self, apps: Sequence[App]) -> None:
        self._tables: list[Mapping[int | type[BaseException], ExceptionHandler]] = [
            app._exception_handlers for app in reversed(apps)
        ]

    def find(self, error: BaseException) -> ExceptionHandler | None:
        """By status, then by class; a handler for ``Exception`` or 500 is not looked at here."""
        for table in self._tables:
            if isinstance(error, HTTPException) and error.status_code != 500 and error.status_code in table:
                return table[error.status_code]
            for cls in type(error).__mro__:
                if cls is not Exception and cls in table:
                    return table[cls]
        return None

    def find_last(self, error: BaseException) -> ExceptionHandler | None:
        """The handler for everything that nobody handled."""
        if isinstance(error, Exception) and not isinstance(error, (HTTPException, RequestValidationError)):
            for table in self._tables:
                for key in (500, Exception):
                    if key in table:
                        return table[key]
        return None


def default_answer(error: BaseException) -> Response | None:
    """What FastAPI answers to the two exceptions of its own; None for any other."""
    if isinstance(error, HTTPException):
        if has_no_body(error.status_code):
            return Response(status_code=error.status_code, headers=error.headers)
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
    if isinstance(error, RequestValidationError):
        return Response(encode_errors(error.errors()), 422, media_type="application/json")
    return None


async def _handled(result: Any) -> Response:
    if hasattr(type(result), "__await__"):
        result = await result
    return to_response(result)


def make_on_exception(
    compiled: Callable[[], Compiled], root: App
) -> Callable[[Request, BaseException], object]:
    """``Compiled.on_exception``: asked about whatever comes out of an endpoint or of the middleware."""
    cache: dict[int, Handlers] = {}

    def on_exception(request: Request, error: BaseException) -> object:
        route = request._native.route
        if route not in cache:
            cache[route] = Handlers((root,) if route < 0 else compiled().apps[route])
        handler = cache[route].find(error) or cache[route].find_last(error)
        if handler is None:
            return None
        result = handler(request, error)
        return _handled(result) if hasattr(type(result), "__await__") else to_response(result)

    return on_exception


def make_entry(compiled: Callable[[], Compiled], apps: Sequence[App]) -> Entry:
    """The chain of all middleware of ``apps``, from the root inwards; the last added of an app is its
    outermost."""
    handlers = Handlers(apps)

    async def innermost(request: Request) -> Response:
        native = request._native
        route = compiled().routes[native.route] if native.route >= 0 else None
        try:
            if route is not None and route.kind == "plain":
                result = _calls.without_loop(native.dispatch, request)
            else:
                result = native.dispatch(request)
            if hasattr(type(result), "__await__"):
                result = await result
            return to_response(result, None if route is None else route.status_code)
        except Exception as error:
            handler = handlers.find(error)
            if handler is not None:
                return await _handled(handler(request, error))
            answer = default_answer(error)
            if answer is None:
                raise
            return answer

    entry: Entry = innermost
    for app in reversed(apps):
        for dispatch in app._made_middleware():
            entry = _link(dispatch, entry)
    return entry


def _link(dispatch: Dispatch, inner: Entry) -> Entry:
    async def entry(request: Request) -> Response:
        return to_response(await dispatch(request, inner))

    return entry
