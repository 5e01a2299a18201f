"""An app with all that wraps handlers: middleware, exception handlers, mounted sub-apps, lifespans."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import main
from asioserve import (
    App,
    HTTPException,
    JSONResponse,
    PlainTextResponse,
    Request,
    RequestValidationError,
    Response,
    StreamingResponse,
)

Next = Callable[[Request], Awaitable[Response]]
variable: contextvars.ContextVar[str] = contextvars.ContextVar("wrapped_variable", default="unset")


class OwnError(Exception):
    """Handled by the app."""


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    yield {"outer": True}


@asynccontextmanager
async def sub_lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    yield {"inner": True}


app = App(lifespan=lifespan)
sub = App(lifespan=sub_lifespan)
plain_sub = App()


@app.middleware("http")
async def inner(request: Request, call_next: Next) -> Response:
    variable.set("from the middleware")
    request.state.seen = [*getattr(request.state, "seen", []), "inner"]
    response = await call_next(request)
    response.headers["x-inner"] = "1"
    return response


@app.middleware("http")
async def outer(request: Request, call_next: Next) -> Response:
    """Added last, so it is outermost, as in Starlette."""
    if request.url.path == "/short":
        return PlainTextResponse("cut short", 299)
    if request.url.path == "/middleware-raises":
        raise ValueError("secret of the middleware")
    request.state.seen = ["outer"]
    response = await call_next(request)
    await asyncio.sleep(0)
    response.headers["x-outer"] = str(response.status_code)
    return response


@app.exception_handler(OwnError)
async def own_error(request: Request, error: Exception) -> Response:
    await asyncio.sleep(0)
    return JSONResponse({"own": str(error)}, 409)


@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: Exception) -> Response:
    return JSONResponse({"invalid": True}, 400)


@app.exception_handler(404)
async def not_found(request: Request, error: Exception) -> Response:
    return JSONResponse({"nothing_at": request.url.path}, 404)


@app.get("/seen")
async def seen(request: Request) -> dict[str, Any]:
    return {"seen": request.state.seen, "variable": variable.get()}


@app.get("/sync-seen")
def sync_seen(request: Request) -> dict[str, Any]:
    return {"seen": request.state.seen}


@app.get("/own-error")
async def raises_own() -> None:
    raise OwnError("mine")


@app.get("/sync-own-error")
def raises_own_sync() -> None:
    raise OwnError("mine")


@app.get("/unhandled")
async def unhandled() -> None:
    raise ValueError("secret of the house")


@app.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418, "teapot")


@app.get("/number/{n}")
async def number(n: int) -> dict[str, int]:
    return {"n": n}


@app.post("/echo")
async def echo(request: Request) -> Response:
    return Response(await request.body())


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def produce() -> AsyncIterator[bytes]:
        for n in range(3):
            await asyncio.sleep(0)
            yield b"%d" % n

    return StreamingResponse(produce())


@sub.get("/hello")
async def sub_hello(request: Request) -> dict[str, Any]:
    return {"sub": "hello", "seen": request.state.seen}


@sub.get("/state")
async def sub_state(request: Request) -> dict[str, Any]:
    return {"inner": request.state.inner}


@sub.middleware("http")
async def sub_middleware(request: Request, call_next: Next) -> Response:
    response = await call_next(request)
    response.headers["x-sub"] = "1"
    return response


@plain_sub.get("/{name}")
async def plain_hello(name: str) -> dict[str, str]:
    return {"plain": name}


app.mount("/sub", sub)
app.mount("/plain", plain_sub)


@app.get("/debug/state")
async def state() -> dict[str, Any]:
    return await main.state()
