"""Apps: mounting, lifespans, state, and what the plan says of them."""

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import asioserve
import pytest
from asioserve import App, Body, CallNext, Header, HTTPException, PlainTextResponse, Query, Request, Response
from asioserve._calls import sync_pool

from tests.python.fake_native import Server


def test_routes_are_in_the_order_of_declaration_with_mounted_ones_at_their_place() -> None:
    app, inner, innermost = App(), App(), App()
    app.get("/a")(lambda: None)
    app.mount("/in/", inner)
    app.get("/b")(lambda: None)
    inner.post("/c")(lambda: None)
    inner.mount("/deep", innermost)
    innermost.get("/")(lambda: None)
    routes = app._compile().routes
    assert [(r.path, r.methods) for r in routes] == [
        ("/a", ("GET",)), ("/in/c", ("POST",)), ("/in/deep/", ("GET",)), ("/b", ("GET",)),
    ]  # fmt: skip
    # What was declared is not changed by being compiled as part of another.
    assert [r.path for r in inner._compile().routes] == ["/c", "/deep/"]


def test_what_cannot_be_mounted_is_refused() -> None:
    app, inner = App(), App()
    with pytest.raises(TypeError, match="only an App can be mounted at '/x', not object"):
        app.mount("/x", object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot have parameters"):
        app.mount("/{x}", inner)
    with pytest.raises(ValueError, match="does not start with '/'"):
        app.mount("x", inner)
    app.mount("/x", inner)
    with pytest.raises(ValueError, match="would contain itself"):
        inner.mount("/y", app)
    with pytest.raises(ValueError, match="would contain itself"):
        app.mount("/y", app)


def tagging(name: str) -> Any:
    async def middleware(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        response.headers.append("x-tag", name)
        return response

    return middleware


def test_a_mounted_apps_middleware_and_handlers_are_for_its_routes() -> None:
    app, inner = App(), App()
    app.middleware("http")(tagging("outer"))
    inner.middleware("http")(tagging("inner"))
    app.mount("/in", inner)
    app.add_exception_handler(ValueError, lambda r, e: PlainTextResponse("outer value", 400))
    app.add_exception_handler(KeyError, lambda r, e: PlainTextResponse("outer key", 400))
    inner.add_exception_handler(ValueError, lambda r, e: PlainTextResponse("inner value", 400))

    @app.get("/{what}")
    @inner.get("/{what}")
    async def broken(what: str) -> None:
        raise {"v": ValueError, "k": KeyError}[what]

    server = Server(app)

    def tags(target: str) -> tuple[bytes, list[str]]:
        answer = server.ask("GET", target)
        return answer.body, [v for k, v in answer.headers if k == "x-tag"]

    assert tags("/v") == (b"outer value", ["outer"])
    assert tags("/in/v") == (b"inner value", ["inner", "outer"])
    assert tags("/in/k") == (b"outer key", ["inner", "outer"])
    assert tags("/in/none/") == (b'{"detail":"Not Found"}', ["outer"])


def test_a_mounted_apps_handlers_work_without_any_middleware() -> None:
    app, inner = App(), App()
    app.mount("/in", inner)

    @inner.exception_handler(ValueError)
    async def handle(request: Request, error: ValueError) -> Any:
        return {"app": request.app is inner}, 418

    @inner.get("/")
    async def broken() -> None:
        raise ValueError

    @app.get("/outer")
    async def outer() -> None:
        raise ValueError

    server = Server(app)
    assert (server.ask("GET", "/in/").status, server.ask("GET", "/in/").json()) == (418, {"app": True})
    assert server.ask("GET", "/outer").status == 500


def test_lifespans_run_inside_each_other_and_what_they_yield_is_state() -> None:
    log: list[str] = []

    def lifespan(name: str, value: Any) -> Any:
        @contextlib.asynccontextmanager
        async def manager(app: App) -> AsyncIterator[Any]:
            log.append(f"{name} up")
            yield value
            log.append(f"{name} down")

        return manager

    app = App(lifespan=lifespan("outer", {"db": "outer db", "pool": 1}))
    inner = App(lifespan=lifespan("inner", {"db": "inner db"}))
    plain = App(lifespan=lifespan("plain", None))
    app.mount("/in", inner)
    app.mount("/again", inner)
    app.mount("/plain", plain)
    app.state.set_by_hand = 7

    @inner.get("/")
    @app.get("/")
    async def show(request: Request) -> list[Any]:
        request.state.mine = 1
        return [request.state.db, request.state.pool, request.app.state.db, "mine" in request.app.state]

    async def main() -> None:
        server = Server(app)
        async with app._lifespan():
            assert log == ["outer up", "inner up", "plain up"]
            assert (await server.request("GET", "/")).json() == ["outer db", 1, "outer db", False]
            assert (await server.request("GET", "/in/")).json() == ["inner db", 1, "inner db", False]
        assert app.state.set_by_hand == 7

    asyncio.run(main())
    assert log[3:] == ["plain down", "inner down", "outer down"]


def test_a_lifespan_that_fails_undoes_those_before_it() -> None:
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def good(app: App) -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append("good down")

    @contextlib.asynccontextmanager
    async def bad(app: App) -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    app = App(lifespan=good)
    app.mount("/in", App(lifespan=bad))

    async def main() -> None:
        async with app._lifespan():
            raise AssertionError("it has not started")

    with pytest.raises(OSError, match="no database"):
        asyncio.run(main())
    assert log == ["good down"]


def test_a_lifespan_of_the_wrong_kind_says_so() -> None:
    async def generator(app: App) -> AsyncIterator[None]:
        yield

    @contextlib.asynccontextmanager
    async def number(app: App) -> AsyncIterator[Any]:
        yield 5

    async def enter(lifespan: Any) -> None:
        async with App(lifespan=lifespan)._lifespan():
            raise AssertionError("it has not started")

    with pytest.raises(
        TypeError, match=r"generator\(\) has to be decorated by contextlib.asynccontextmanager"
    ):
        asyncio.run(enter(generator))
    with pytest.raises(TypeError, match="a lifespan yields a dict or nothing, not int"):
        asyncio.run(enter(number))


@pytest.mark.parametrize(
    ("of_app", "of_route", "expected"), [(False, None, False), (True, None, True), (True, False, False)]
)
def test_cancelling_is_asked_for_by_the_app_or_the_route(
    of_app: bool, of_route: bool | None, expected: bool
) -> None:
    app = App(cancel_on_disconnect=of_app)
    app.get("/", cancel_on_disconnect=of_route)(lambda: None)
    outer = App()
    outer.mount("", app)
    for plan in (app._compile(), outer._compile()):
        assert plan.routes[0].cancel_on_disconnect is expected


def test_def_handlers_in_the_pool_are_on_another_thread_with_a_copy_of_the_context() -> None:
    def endpoint(n: int) -> tuple[int, bool]:
        return n, threading.current_thread() is threading.main_thread()

    def stops() -> None:
        raise StopIteration

    async def main() -> None:
        assert await sync_pool(endpoint, {"n": 3}) == (3, False)
        with pytest.raises(RuntimeError, match="stops raised StopIteration"):
            await sync_pool(stops, {})

    asyncio.run(asyncio.wait_for(main(), 30))


def test_parameters_of_all_sources_arrive() -> None:
    app = App()

    @app.put("/{kind}/{id:int}")
    async def endpoint(
        kind: str, id: int, left: dict[str, Any], right: Annotated[int, Body()], q: Annotated[list[float], Query()],
        request: Request, x_token: Annotated[str, Header()] = "none", flag: bool = False,
    ) -> Any:  # fmt: skip
        return [kind, id, left, right, q, request.method, x_token, flag]

    server = Server(app)
    body = b'{"left": {"a": 1}, "right": "2"}'
    answer = server.ask("PUT", "/x/7?q=1&q=2.5&flag=yes", body, content_type="application/json", x_token="t")
    assert answer.json() == ["x", 7, {"a": 1}, 2, [1.0, 2.5], "PUT", "t", True]
    wrong = server.ask("PUT", "/x/7?flag=perhaps", b'{"right": "x"}', content_type="application/json")
    assert [(e["type"], e["loc"]) for e in wrong.json()["detail"]] == [
        ("missing", ["body", "left"]), ("int_parsing", ["body", "right"]), ("missing", ["query", "q"]),
        ("bool_parsing", ["query", "flag"]),
    ]  # fmt: skip


def test_http_exceptions_carry_headers() -> None:
    app = App()
    app.middleware("http")(tagging("m"))

    @app.get("/")
    async def root() -> None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})

    @app.get("/empty")
    async def empty() -> None:
        raise HTTPException(304)

    answer = Server(app).ask("GET", "/")
    assert (answer.status, answer.header("www-authenticate")) == (401, "Basic")
    answer = Server(app).ask("GET", "/empty")
    assert (answer.status, answer.body, answer.header("content-type")) == (304, b"", None)


def test_importing_the_package_brings_neither_pydantic_nor_anything_else_that_is_slow() -> None:
    code = (
        "import asyncio, sys; before = set(sys.modules); import asioserve; "
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before} "
        "& {'pydantic', 'pydantic_core', 'aiosqlite', 'email', 'unittest', 'multiprocessing', 'xml'}))"
    )
    path = str(Path(asioserve.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.strip() == "[]"
