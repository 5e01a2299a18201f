"""Exceptions: what the client gets, what the log gets, and what ends the program."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import asioserve
from asioserve import HTTPException, Request
from harness import Server, header, json_of


def test_an_exception_is_a_500_without_its_text(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/sync")
    def sync() -> Any:
        raise ValueError("secret")

    @app.get("/async")
    async def coroutine() -> Any:
        await asyncio.sleep(0)
        raise ValueError("secret")

    server = Server(app, two_threads)
    for path in ("/sync", "/async"):
        x = server.ask("GET", path)
        assert (x.status, x.body, x.answers) == (500, b"Internal Server Error", 1)
        assert header(x, "content-type") == ["text/plain; charset=utf-8"]
    assert [(t, m) for t, m, _ in server.native.errors] == [("ValueError", "secret")] * 2
    assert all("Traceback" in traceback for _, _, traceback in server.native.errors)


def test_http_exceptions_say_what_they_say(two_threads: bool) -> None:
    app = asioserve.App()
    details: list[Any] = ["text", {"a": [1]}, None, object()]

    @app.get("/{which}")
    async def endpoint(which: int) -> Any:
        raise HTTPException(403, details[which], {"X-A": "1", "content-type": "application/problem+json"})

    server = Server(app, two_threads)
    x = server.ask("GET", "/0")
    assert (x.status, json_of(x)) == (403, {"detail": "text"})
    assert header(x, "content-type") == ["application/problem+json"] and header(x, "x-a") == ["1"]
    assert json_of(server.ask("GET", "/1")) == {"detail": {"a": [1]}}
    assert json_of(server.ask("GET", "/2")) == {"detail": "Forbidden"}
    assert server.ask("GET", "/3").status == 500
    assert [t for t, _, _ in server.native.errors] != []


def test_http_exceptions_with_forged_headers_are_a_500(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/")
    async def endpoint() -> Any:
        raise HTTPException(400, "x", {"x-a": "1\r\nx-b: 2"})

    server = Server(app, two_threads)
    x = server.ask()
    assert (x.status, x.answers) == (500, 1)


def test_program_ending_exceptions_end_the_program(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/exit")
    async def leave() -> Any:
        raise SystemExit(3)

    @app.get("/interrupt")
    def interrupt() -> Any:
        raise KeyboardInterrupt

    server = Server(app, two_threads)
    x = server.exchange("GET", "/exit")
    assert x.finish(SystemExit(3), False) is None
    assert (x.status, x.answers) == (500, 1)
    x = server.exchange("GET", "/interrupt")
    assert x.start() is None
    assert x.status == 500
    assert server.native.exits == ["SystemExit", "KeyboardInterrupt"]
    assert server.native.errors == []


def test_a_cancelled_handler_is_a_500(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/")
    async def endpoint() -> Any:
        raise asyncio.CancelledError

    server = Server(app, two_threads)
    x = server.ask()
    assert (x.status, x.answers) == (500, 1)


def test_exception_handlers_are_asked_first(two_threads: bool) -> None:
    app = asioserve.App()

    @app.exception_handler(404)
    async def on_404(request: Request, error: Exception) -> Any:
        return asioserve.JSONResponse({"lost": request.path}, 404)

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> Any:
        return asioserve.PlainTextResponse(f"{error.status_code} {error.headers}", error.status_code)

    @app.exception_handler(asioserve.RequestValidationError)
    async def on_invalid(request: Request, error: asioserve.RequestValidationError) -> Any:
        return {"wrong": [e["loc"] for e in error.errors()]}, 400

    @app.exception_handler(ZeroDivisionError)
    async def on_zero(request: Request, error: ZeroDivisionError) -> Any:
        raise ValueError("in the handler")

    @app.get("/{n}")
    async def endpoint(n: int) -> Any:
        return {"n": 1 // n}

    server = Server(app, two_threads)
    assert json_of(server.ask("GET", "/a/b")) == {"lost": "/a/b"}
    x = server.ask("POST", "/1")
    assert (x.status, x.body) == (405, b"405 {'Allow': 'GET'}")
    x = server.ask("GET", "/x")
    assert (x.status, json_of(x)) == (400, {"wrong": [["path", "n"]]})
    x = server.ask("GET", "/0")
    assert (x.status, x.body, x.answers) == (500, b"Internal Server Error", 1)
    assert [m for _, m, _ in server.native.errors] == ["in the handler"]
    assert server.ask("OPTIONS", "/1").status == 200


def test_without_a_fitting_handler_the_usual_answer_goes_out(two_threads: bool) -> None:
    app = asioserve.App()

    @app.exception_handler(KeyError)
    async def on_key(request: Request, error: KeyError) -> Any:
        return "key"

    @app.get("/{n}")
    async def endpoint(n: int) -> Any:
        raise [ValueError("v"), HTTPException(418, "h")][n]

    server = Server(app, two_threads)
    assert server.ask("GET", "/0").status == 500
    assert json_of(server.ask("GET", "/1")) == {"detail": "h"}
    assert server.ask("GET", "/x").status == 422
    assert json_of(server.ask("GET", "/a/b")) == {"detail": "Not Found"}
    assert len(server.native.errors) == 1


def test_an_aborted_request_lets_go(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/")
    async def endpoint(request: Request) -> Any:
        await asyncio.Event().wait()

    server = Server(app, two_threads)
    x = server.exchange()

    async def main() -> None:
        task = asyncio.ensure_future(x.start())
        await server.jobs()
        x.abort()
        task.cancel()
        await asyncio.wait([task])

    server.run(main)
    assert x.answers == 0


def test_an_app_that_is_none_is_refused_with_a_sentence(two_threads: bool) -> None:
    for wrong in (object(), None, "x"):
        try:
            Server(wrong, two_threads)
        except RuntimeError as error:
            assert "no app" in str(error)
        else:
            raise AssertionError("an app was made of nothing")


def test_references_do_not_pile_up(two_threads: bool) -> None:
    app = asioserve.App()
    marker = object()

    @app.get("/{which}")
    async def endpoint(which: int, request: Request, q: str = "x") -> Any:
        marker_here = marker  # held by the frame
        if which == 1:
            raise HTTPException(400, "x")
        if which == 2:
            raise ValueError("x")
        if which == 3:
            return asioserve.Response(b"x")
        return {"which": which, "marker": marker_here is marker}

    server = Server(app, two_threads)

    def all_kinds() -> None:
        for target in ("/0", "/1", "/2", "/3", "/x", "/0?q=y", "/nowhere/at/all", "/0%20"):
            server.ask("GET", target)
            server.ask("POST", target)

    for _ in range(3):
        all_kinds()
    gc.collect()
    before = sys.getrefcount(marker), sys.getrefcount(endpoint), sys.getrefcount(app)
    for _ in range(20):
        all_kinds()
    gc.collect()
    assert (sys.getrefcount(marker), sys.getrefcount(endpoint), sys.getrefcount(app)) == before
