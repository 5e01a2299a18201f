"""What endpoints see of a request."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated, Any

import asioserve
from asioserve import Body, Header, Query, Request
from harness import Server, header, json_of

JSON = [("content-type", "application/json")]


def test_the_request_object_says_what_was_asked(two_threads: bool) -> None:
    app = asioserve.App()
    seen: list[Any] = []

    @app.get("/a/{b}/{c:path}")
    async def endpoint(request: Request) -> Any:
        seen.append(request)
        return {
            "method": request.method,
            "target": request._native.target,
            "path": request._native.path,
            "query": request._native.query_string.decode(),
            "headers": request._native.headers,
            "params": request._native.path_params,
            "client": request._native.client,
            "server": request._native.server,
            "version": request._native.http_version,
            "route": request._native.route,
        }

    server = Server(app, two_threads)
    x = server.ask("GET", "/a/x%20y/p/q%C3%A9?k=v&z=%20", [("x-a", "caf\xe9"), ("x-a", "2")])
    assert json_of(x) == {
        "method": "GET",
        "target": "/a/x%20y/p/q%C3%A9?k=v&z=%20",
        "path": "/a/x y/p/qé",
        "query": "k=v&z=%20",
        "headers": [["host", "example.org"], ["x-a", "café"], ["x-a", "2"]],
        "params": {"b": "x y", "c": "p/qé"},
        "client": ["127.0.0.1", 4711],
        "server": ["::1", 80],
        "version": "1.1",
        "route": 0,
    }
    assert seen[0]._native.method == "GET", "a request outlives its answer"
    seen.clear()


def test_the_same_request_object_everywhere(two_threads: bool) -> None:
    app = asioserve.App()
    seen: list[Any] = []

    @app.middleware("http")
    async def outer(request: Request, call_next: Any) -> Any:
        request.state.user = "me"
        seen.append(request)
        return await call_next(request)

    @app.exception_handler(KeyError)
    async def on_key_error(request: Request, error: KeyError) -> Any:
        seen.append(request)
        return asioserve.JSONResponse({"user": request.state.user}, 418)

    @app.get("/")
    async def endpoint(request: Request) -> Any:
        seen.append(request)
        raise KeyError("x")

    server = Server(app, two_threads)
    x = server.ask()
    assert (x.status, x.body) == (418, b'{"user":"me"}')
    assert len(seen) == 3 and seen[0] is seen[1] is seen[2]
    seen.clear()


def test_many_parameters_of_all_sources(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}")
    async def endpoint(
        j: int, a: str, b: str, c: str, d: str, e: str, f: str, g: str, h: str, i: str, data: dict[str, Any],
        q: Annotated[list[int], Query()], x_h: Annotated[str, Header()], k: int = 5,
    ) -> Any:  # fmt: skip
        return [a, b, c, d, e, f, g, h, i, j, data, q, x_h, k]

    server = Server(app, two_threads)
    x = server.ask("POST", "/1/2/3/4/5/6/7/8/9/10?q=1&q=2", [*JSON, ("x-h", "v")], b'{"z":1}')
    assert json_of(x) == ["1", "2", "3", "4", "5", "6", "7", "8", "9", 10, {"z": 1}, [1, 2], "v", 5]


def test_errors_come_in_fastapis_order(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/{p}")
    async def endpoint(data: dict[str, Any], x_h: Annotated[int, Header()], q: int, p: int) -> Any:
        return None

    server = Server(app, two_threads)
    x = server.ask("POST", "/x", JSON, b"[]")
    assert [e["loc"] for e in json_of(x)["detail"]] == [
        ["path", "p"],
        ["query", "q"],
        ["header", "x-h"],
        ["body"],
    ]


def test_default_factories_are_called_each_time(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/")
    async def endpoint(v: Annotated[list[int], Query(default_factory=list)]) -> Any:
        v.append(1)
        return v

    server = Server(app, two_threads)
    assert [server.ask().body for _ in range(2)] == [b"[1]", b"[1]"]


def test_python_converters_join_the_errors(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/{u}")
    async def endpoint(u: uuid.UUID, n: int, many: Annotated[list[uuid.UUID], Query()]) -> Any:
        return {"u": u, "n": n, "many": many}

    server = Server(app, two_threads)
    good = "01234567-89ab-cdef-0123-456789abcdef"
    assert json_of(server.ask("GET", f"/{good}?n=1&many={good}")) == {"u": good, "n": 1, "many": [good]}
    bad = json_of(server.ask("GET", f"/x?n=y&many={good}&many=z"))["detail"]
    assert [e["loc"] for e in bad] == [["path", "u"], ["query", "n"], ["query", "many", 1]]


def test_bodies_come_whole_as_bytes(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/raw")
    async def raw(data: Annotated[bytes, Body()]) -> Any:
        return {"size": len(data)}

    server = Server(app, two_threads)
    assert server.ask("POST", "/raw", (), b"\x00" * 1000).body == b'{"size":1000}'


def test_huge_integers_in_a_body_keep_their_digits(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/")
    async def endpoint(data: dict[str, Any]) -> Any:
        return {"n": str(data["n"])}

    server = Server(app, two_threads)
    for n in (2**64, 2**63, 10**30, -(10**19), 1):
        assert json_of(server.ask("POST", "/", JSON, b'{"n":%d}' % n)) == {"n": str(n)}


def test_a_body_can_be_awaited_and_iterated(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/body")
    async def body(request: Request) -> Any:
        first = await request._native.body()
        again = await request._native.body()
        chunks = [c async for c in request._native.stream()]
        return {"same": first == again, "size": len(first), "chunks": [len(c) for c in chunks]}

    @app.post("/stream")
    async def stream(request: Request) -> Any:
        return {"chunks": [c.decode() async for c in request._native.stream()]}

    server = Server(app, two_threads)

    def asked(path: str, chunks: list[tuple[bytes, bool]]) -> Any:
        x = server.exchange("POST", path, (), b"not collected")
        assert (x.kind, x.mode) == (2, 2)

        async def main() -> None:
            task = asyncio.ensure_future(server.drive(x))
            for chunk, last in chunks:
                await server.jobs()
                assert not task.done()
                x.feed(chunk, last)
            await task

        server.run(main)
        return x

    x = asked("/body", [(b"ab", False), (b"", False), (b"cd", False), (b"e", True)])
    assert json_of(x) == {"same": True, "size": 5, "chunks": [5]}
    assert x.reads == 4
    x = asked("/stream", [(b"ab", False), (b"cd", False), (b"", True)])
    assert json_of(x) == {"chunks": ["ab", "cd"]}
    assert x.reads == 3, "one chunk is asked for at a time"
    x = asked("/stream", [(b"ab", True)])
    assert json_of(x) == {"chunks": ["ab"]}
    x = asked("/stream", [(b"", True)])
    assert json_of(x) == {"chunks": []}
    x = asked("/body", [(b"", True)])
    assert json_of(x) == {"same": True, "size": 0, "chunks": []}


def test_a_reader_that_was_cancelled_loses_nothing(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/")
    async def endpoint(request: Request) -> Any:
        stream = request._native.stream()
        try:
            async with asyncio.timeout(0):
                await anext(stream)
        except TimeoutError:
            pass
        return {"chunks": [c.decode() async for c in stream]}

    server = Server(app, two_threads)
    x = server.exchange("POST", "/", (), b"...")

    async def main() -> None:
        task = asyncio.ensure_future(server.drive(x))
        await asyncio.sleep(0.01)
        await server.jobs()
        x.feed(b"first", False)
        await server.jobs()
        x.feed(b"second", True)
        await task

    server.run(main)
    assert json_of(x) == {"chunks": ["first", "second"]}


def test_only_one_reads_the_body_at_a_time(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/")
    async def endpoint(request: Request) -> Any:
        task = asyncio.ensure_future(request._native.body())
        await asyncio.sleep(0)
        try:
            await anext(request._native.stream())
        except RuntimeError as error:
            task.cancel()
            return {"error": str(error)}
        return None

    server = Server(app, two_threads)
    x = server.exchange("POST", "/", (), b"...")
    server.run(lambda: server.drive(x))
    assert "already" in json_of(x)["error"]


def test_a_body_that_breaks_off_says_why(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/")
    async def endpoint(request: Request) -> Any:
        try:
            return {"size": len(await request._native.body())}
        except asioserve.ClientDisconnected:
            return {"left": True}

    server = Server(app, two_threads)
    for why, status in (
        ("peer_left", 200),
        ("draining", 200),
        ("too_large", 413),
        ("timed_out", 408),
        ("malformed", 400),
    ):
        x = server.exchange("POST", "/", (), b"...")

        async def main(x: Any = x, why: str = why) -> None:
            task = asyncio.ensure_future(server.drive(x))
            await server.jobs()
            x.feed(b"some", False)
            await server.jobs()
            x.leave(why)
            await task

        server.run(main)
        assert x.status == status, why


def test_a_request_knows_that_its_peer_left(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/")
    async def endpoint(request: Request) -> Any:
        seen = [request._native.is_disconnected()]
        while not request._native.is_disconnected():
            await asyncio.sleep(0)
        return {"seen": seen}

    server = Server(app, two_threads)
    for how in ("leave", "end"):
        x = server.exchange()

        async def main(x: Any = x, how: str = how) -> None:
            task = asyncio.ensure_future(server.drive(x))
            await server.jobs()
            assert not task.done()
            getattr(x, how)()
            await task

        server.run(main)
        assert json_of(x) == {"seen": [False]}


def test_disconnect_cancels_only_where_it_was_asked_for(two_threads: bool) -> None:
    for wanted, how in ((True, "leave"), (True, "end"), (False, "leave"), (False, "end")):
        app = asioserve.App()

        @app.get("/", cancel_on_disconnect=wanted)
        async def endpoint() -> Any:
            await asyncio.Event().wait()

        server = Server(app, two_threads)
        x = server.exchange()

        async def main(server: Server = server, x: Any = x, wanted: bool = wanted, how: str = how) -> None:
            step = asyncio.ensure_future(x.start())
            await server.jobs()
            assert x.listening == wanted
            getattr(x, how)()
            await server.jobs()
            assert server.native.cancels == int(wanted)
            assert x.finish(asyncio.CancelledError(), False) is None
            step.cancel()

        server.run(main)
        assert x.status == 500
        assert len(server.native.errors) == int(not wanted), "a cancel that was asked for is no error"
        assert not x.listening


def test_a_peer_that_ended_with_its_request_gets_its_answer(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/", cancel_on_disconnect=True)
    async def endpoint() -> Any:
        await asyncio.sleep(0)
        return {"a": 1}

    server = Server(app, two_threads)
    x = server.exchange()
    x.end()
    server.run(lambda: server.drive(x))
    assert (x.status, server.native.cancels) == (200, 0)


def test_middleware_may_read_any_body(two_threads: bool) -> None:
    app = asioserve.App()

    @app.middleware("http")
    async def reader(request: Request, call_next: Any) -> Any:
        size = len(await request.body())
        response = await call_next(request)
        response.headers["x-size"] = str(size)
        return response

    @app.post("/json")
    async def endpoint(data: dict[str, Any]) -> Any:
        return data

    server = Server(app, two_threads)
    x = server.ask("POST", "/json", JSON, b'{"a":1}')
    assert (x.status, x.body, header(x, "x-size")) == (200, b'{"a":1}', ["7"])
    x = server.exchange("POST", "/nowhere", (), b"abc")
    assert x.mode == 2

    async def main() -> None:
        task = asyncio.ensure_future(server.drive(x))
        await server.jobs()
        x.feed(b"abc", True)
        await task

    server.run(main)
    assert (x.status, header(x, "x-size")) == (404, ["3"])


def test_middleware_sees_every_request(two_threads: bool) -> None:
    app = asioserve.App()
    seen = []

    @app.middleware("http")
    async def spy(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        seen.append((request.method, request._native.route, response.status_code))
        return response

    @app.get("/a/")
    async def a() -> Any:
        return "a"

    server = Server(app, two_threads)
    for method, target in (
        ("GET", "/a/"),
        ("GET", "/a"),
        ("POST", "/a/"),
        ("OPTIONS", "/a/"),
        ("GET", "/b"),
        ("HEAD", "/a/"),
    ):
        server.ask(method, target)
    assert seen == [
        ("GET", 0, 200), ("GET", -1, 307), ("POST", -1, 405), ("OPTIONS", -1, 200), ("GET", -1, 404), ("HEAD", 0, 200)
    ]  # fmt: skip
