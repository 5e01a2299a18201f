"""asioserve: what handlers import.

    from asioserve import App

    app = App()

    @app.get("/user/{id}")
    async def user(id: int, verbose: bool = False):
        return {"id": id, "verbose": verbose}

The package is plain Python and can be imported anywhere, for tests and type checkers; apps are served by the
programs of this project, such as ``asioserve``.
"""

from ._app import App
from ._datastructures import URL, Address, Headers, MutableHeaders, QueryParams, State
from ._exceptions import ClientDisconnected, HTTPException, RequestValidationError
from ._markers import Body, Cookie, Header, Path, Query
from ._middleware import BaseHTTPMiddleware, CallNext
from ._request import Request
from ._responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from ._streaming import StreamingResponse

__version__ = "0.1.0"

__all__ = [
    "URL",
    "Address",
    "App",
    "BaseHTTPMiddleware",
    "Body",
    "CallNext",
    "ClientDisconnected",
    "Cookie",
    "HTMLResponse",
    "HTTPException",
    "Header",
    "Headers",
    "JSONResponse",
    "MutableHeaders",
    "Path",
    "PlainTextResponse",
    "Query",
    "QueryParams",
    "RedirectResponse",
    "Request",
    "RequestValidationError",
    "Response",
    "State",
    "StreamingResponse",
]
