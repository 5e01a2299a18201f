"""Middleware and exception handlers: who sees what, in which order."""

import asyncio
import contextvars
from typing import Any

import pytest
from asioserve import (
    App,
    BaseHTTPMiddleware,
    CallNext,
    HTTPException,
    JSONResponse,
    PlainTextResponse,
    Request,
    RequestValidationError,
    Response,
    StreamingResponse,
)  # fmt: skip

from tests.python.fake_native import Server

seen: list[str] = []


def noting(name: str) -> Any:
    async def middleware(request: Request, call_next: CallNext) -> Response:
        seen.append(f"{name} in")
        response = await call_next(request)
        seen.append(f"{name} out {response.status_code}")
        return response

    return middleware


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


def test_the_last_added_is_the_outermost() -> None:
    app = App()
    app.middleware("http")(noting("first"))
    app.middleware("http")(noting("second"))

    @app.get("/")
    async def root() -> str:
        seen.append("handler")
        return "hello"

    answer = Server(app).ask("GET", "/")
    assert (answer.status, answer.body, answer.header("content-type")) == (
        200,
        b"hello",
        "text/plain; charset=utf-8",
    )
    assert seen == ["second in", "first in", "handler", "first out 200", "second out 200"]


@pytest.mark.parametrize(
    ("method", "target", "status"), [("GET", "/none", 404), ("POST", "/", 405), ("GET", "/n/x", 422)]
)
def test_middleware_sees_the_answers_that_no_handler_gave(method: str, target: str, status: int) -> None:
    app = App()
    app.middleware("http")(noting("m"))

    @app.get("/")
    async def root() -> None: ...

    @app.get("/n/{n}")
    async def number(n: int) -> None: ...

    answer = Server(app).ask(method, target)
    assert answer.status == status
    assert seen == ["m in", f"m out {status}"]
    if status == 405:
        assert answer.header("allow") == "GET"


def test_middleware_may_answer_by_itself_and_may_change_the_answer() -> None:
    app = App()

    @app.middleware("http")
    async def guard(request: Request, call_next: CallNext) -> Response:
        if "token" not in request.headers:
            return PlainTextResponse("no", 401)
        response = await call_next(request)
        response.headers["x-seen"] = request.method
        return response

    @app.get("/", status_code=201)
    async def root() -> dict[str, int]:
        return {"a": 1}

    server = Server(app)
    assert server.ask("GET", "/").status == 401
    answer = server.ask("GET", "/", token="t")
    assert (answer.status, answer.body, answer.header("x-seen")) == (201, b'{"a":1}', "GET")


def test_middleware_may_read_the_body_before_the_handler_does() -> None:
    app = App()

    @app.middleware("http")
    async def reader(request: Request, call_next: CallNext) -> Response:
        seen.append((await request.body()).decode())
        return await call_next(request)

    @app.post("/")
    async def root(request: Request) -> Any:
        parts = [part async for part in request.stream()]
        return [p.decode() for p in parts], (await request.json())["a"]

    answer = Server(app).ask("POST", "/", [b'{"a":', b"201}"])
    assert (answer.status, answer.json()) == (201, ['{"a":201}'])
    assert seen[-1] == '{"a":201}'


def test_state_set_by_middleware_is_seen_by_the_handler() -> None:
    app = App()

    @app.middleware("http")
    async def user(request: Request, call_next: CallNext) -> Response:
        request.state.user = "ada"
        return await call_next(request)

    @app.get("/")
    async def root(request: Request) -> str:
        return str(request.state.user)

    assert Server(app).ask("GET", "/").body == b"ada"


def test_a_class_gets_its_options_and_any_callable_will_do() -> None:
    class Adding(BaseHTTPMiddleware):
        def __init__(self, app: App, name: str) -> None:
            super().__init__(app)
            self.name = name

        async def dispatch(self, request: Request, call_next: CallNext) -> Response:
            response = await call_next(request)
            response.headers.append("x-add", self.name)
            return response

    class Calling:
        def __init__(self, app: App) -> None:
            assert isinstance(app, App)

        async def __call__(self, request: Request, call_next: CallNext) -> Response:
            return await Adding(App(), "called").dispatch(request, call_next)

    async def plain(request: Request, call_next: CallNext) -> Response:
        return await Adding(App(), "plain").dispatch(request, call_next)

    app = App()
    app.add_middleware(Adding, name="one")
    app.add_middleware(Calling)
    app.add_middleware(BaseHTTPMiddleware, dispatch=plain)
    app.get("/")(lambda: "x")
    answer = Server(app).ask("GET", "/")
    assert [v for k, v in answer.headers if k == "x-add"] == ["one", "called", "plain"]


def test_what_is_no_middleware_is_refused() -> None:
    app = App()
    with pytest.raises(TypeError, match=r"not_async\(\): a middleware has to be async def"):

        @app.middleware("http")
        def not_async(request: Request, call_next: CallNext) -> None: ...

    with pytest.raises(ValueError, match="'http' only"):
        app.middleware("websocket")
    app.add_middleware(lambda app: object())
    with pytest.raises(TypeError, match="object is no middleware"):
        app._compile()


def test_an_exception_of_the_handler_goes_through_the_middleware() -> None:
    app = App()

    @app.middleware("http")
    async def catching(request: Request, call_next: CallNext) -> Response:
        try:
            return await call_next(request)
        except ZeroDivisionError:
            return JSONResponse({"caught": True}, 503)

    @app.get("/")
    async def root() -> float:
        return 1 / 0

    assert (Server(app).ask("GET", "/").status, Server(app).ask("GET", "/").json()) == (503, {"caught": True})


def test_an_exception_that_nobody_handles_is_a_500_without_words() -> None:
    app = App()
    app.middleware("http")(noting("m"))

    @app.get("/")
    async def root() -> None:
        raise RuntimeError("secret")

    answer = Server(app).ask("GET", "/")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert isinstance(answer.error, RuntimeError)
    assert seen == ["m in"]


@pytest.mark.parametrize("middleware", [False, True])
def test_handlers_are_found_by_status_and_then_by_class(middleware: bool) -> None:
    app = App()
    if middleware:
        app.middleware("http")(noting("m"))

    class Special(LookupError):
        pass

    @app.exception_handler(LookupError)
    async def lookup(request: Request, error: LookupError) -> Response:
        return PlainTextResponse(f"lookup {request.path}", 410)

    @app.exception_handler(404)
    def missing(request: Request, error: HTTPException) -> Any:
        return {"nothing": error.detail}, 404

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Any:
        return {"fields": [e["loc"][-1] for e in error.errors()]}, 400

    @app.exception_handler(Exception)
    async def anything(request: Request, error: Exception) -> Response:
        seen.append("last")
        return JSONResponse({"type": type(error).__name__}, 500)

    @app.get("/special")
    async def special() -> None:
        raise Special

    @app.get("/n/{n}")
    async def number(n: int) -> None: ...

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, {"short": "stout"})

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    server = Server(app)
    assert (server.ask("GET", "/special").status, server.ask("GET", "/special").body) == (
        410,
        b"lookup /special",
    )
    assert server.ask("GET", "/none").json() == {"nothing": "Not Found"}
    assert server.ask("GET", "/n/x").json() == {"fields": ["n"]}
    assert (server.ask("GET", "/teapot").status, server.ask("GET", "/teapot").json()) == (
        418,
        {"detail": {"short": "stout"}},
    )
    assert server.ask("POST", "/teapot").status == 405
    assert server.ask("GET", "/broken").json() == {"type": "RuntimeError"}
    # The handler for everything is outside of the middleware, which has seen the exception go by.
    assert seen[-2:] == (["m in", "last"] if middleware else ["last"])


def test_a_def_handler_under_middleware_sees_no_running_loop_and_has_its_own_context() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="unset")
    app = App()

    @app.middleware("http")
    async def around(request: Request, call_next: CallNext) -> Response:
        name.set("outer")
        response = await call_next(request)
        assert name.get() == "outer"
        assert asyncio.get_running_loop().is_running()
        return response

    @app.get("/inline")
    def inline() -> str:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        before = name.get()
        name.set("inner")
        return before

    @app.get("/pool", pool=True)
    def pool() -> str:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return name.get()

    @app.get("/raises")
    def raises() -> None:
        raise KeyError("x")

    server = Server(app)
    assert server.ask("GET", "/inline").body == b"outer"
    assert server.ask("GET", "/pool").body == b"outer"
    assert server.ask("GET", "/raises").status == 500


def test_a_streamed_answer_can_be_wrapped() -> None:
    app = App()

    @app.middleware("http")
    async def shout(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        assert isinstance(response, StreamingResponse)
        inner: Any = response.body_iterator

        async def louder() -> Any:
            async for chunk in inner:
                yield chunk.upper()

        response.body_iterator = louder()
        return response

    @app.get("/")
    async def root() -> StreamingResponse:
        async def chunks() -> Any:
            yield "a"
            yield "b"

        return StreamingResponse(chunks())

    assert Server(app).ask("GET", "/").body == b"AB"


def test_without_handlers_and_middleware_native_code_answers_alone() -> None:
    app = App()
    plan = app._compile()
    assert (plan.entry, plan.on_exception, plan.native_errors) == (None, None, True)
    app.add_exception_handler(ValueError, lambda request, error: None)
    assert app._compile().native_errors
    app.add_exception_handler(404, lambda request, error: None)
    assert not app._compile().native_errors


@pytest.mark.parametrize("key", ["404", ValueError("x"), int, None])
def test_a_handler_for_what_is_no_exception_is_refused(key: Any) -> None:
    with pytest.raises(TypeError, match="a class of exceptions or a status"):
        App().exception_handler(key)(lambda request, error: None)
