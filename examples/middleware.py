"""What stands around handlers: middleware, exception handlers, a mounted app with its own.

curl -i http://127.0.0.1:8000/           curl -i http://127.0.0.1:8000/admin/secret           curl -i
http://127.0.0.1:8000/divide/1/0
"""

import time

from asioserve import App, BaseHTTPMiddleware, CallNext, HTTPException, JSONResponse, Request, Response

app = App()


@app.middleware("http")
async def timing(request: Request, call_next: CallNext) -> Response:
    """Around every request, those without a route too."""
    begin = time.perf_counter()
    response = await call_next(request)
    response.headers["server-timing"] = f"app;dur={(time.perf_counter() - begin) * 1000:.3f}"
    return response


@app.exception_handler(ZeroDivisionError)
async def cannot_divide(request: Request, error: ZeroDivisionError) -> JSONResponse:
    """Turns an exception into an answer."""
    return JSONResponse({"detail": str(error), "path": request.path}, status_code=400)


@app.get("/")
async def root() -> dict[str, str]:
    """Nothing to it."""
    return {"hello": "middleware"}


@app.get("/divide/{a}/{b}")
async def divide(a: float, b: float) -> dict[str, float]:
    """Raises for b = 0."""
    return {"quotient": a / b}


class TokenMiddleware(BaseHTTPMiddleware):
    """A middleware as a class has options."""

    def __init__(self, app: App, token: str) -> None:
        """``add_middleware`` passes the options on."""
        super().__init__(app)
        self._expected = f"Bearer {token}"

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Lets nobody in without the token."""
        if request.headers.get("authorization") != self._expected:
            return JSONResponse({"detail": "Not authenticated"}, 401, {"www-authenticate": "Bearer"})
        request.state.user = "admin"
        return await call_next(request)


admin = App()
admin.add_middleware(TokenMiddleware, token="open-sesame")


@admin.get("/secret")
async def secret(request: Request) -> dict[str, str]:
    """Sees what the middleware left in the state."""
    return {"user": request.state.user}


@admin.get("/gone")
async def gone() -> None:
    """An HTTPException can be raised from anywhere in a handler."""
    raise HTTPException(410, "It was here yesterday")


app.mount("/admin", admin)
