"""What endpoints give, and what goes out for it."""

from __future__ import annotations

import dataclasses
import functools
import sys
from typing import Any

import _harness
import asioserve
from harness import Server, header, json_of


@dataclasses.dataclass
class Point:
    """A result that is no dict."""

    x: int
    y: list[int]


def _answers(results: dict[str, Any], two_threads: bool) -> tuple[Server, dict[str, Any]]:
    app = asioserve.App()
    for name, result in results.items():
        app.get(f"/{name}")(functools.partial(_give, result))
    server = Server(app, two_threads)
    return server, {name: server.ask("GET", f"/{name}") for name in results}


def _give(result: Any) -> Any:
    if isinstance(result, Exception):
        raise result
    return result


def test_values_become_json(two_threads: bool) -> None:
    values: dict[str, Any] = {
        "dict": {"a": 1, "é": [None, True, 1.5]},
        "list": [1, "x"],
        "tuple": (1, 2, 3),
        "int": 5,
        "bool": True,
        "none": None,
        "float": 1.0,
        "empty": {},
        "pair": (1, 99),
        "pair_of_texts": ("a", "b"),
    }
    _, answers = _answers(values, two_threads)
    for name, value in values.items():
        x = answers[name]
        assert x.status == 200, name
        assert header(x, "content-type") == ["application/json"], name
        assert json_of(x) == (list(value) if isinstance(value, tuple) else value), name
    assert answers["dict"].body == '{"a":1,"é":[null,true,1.5]}'.encode()


def _orjson_keeps_a_namespace() -> None:
    """From 3.12 on orjson (3.13.0) takes a reference to the namespace of each type that it does not know
    and never gives it back; with its methods that keeps whatever their modules have made."""
    if sys.version_info >= (3, 12):
        _harness.look_for_no_leaks()


def test_dataclasses_become_json(two_threads: bool) -> None:
    _orjson_keeps_a_namespace()
    _, answers = _answers({"point": Point(1, [2])}, two_threads)
    assert answers["point"].body == b'{"x":1,"y":[2]}'


def test_models_become_json(two_threads: bool) -> None:
    import pydantic

    _orjson_keeps_a_namespace()
    model = pydantic.create_model("Model", a=(int, 5), b=(str, "x"))
    _, answers = _answers({"model": model()}, two_threads)
    assert answers["model"].body == b'{"a":5,"b":"x"}'


def test_text_and_bytes_keep_what_they_are(two_threads: bool) -> None:
    results = {
        "text": "grüß",
        "empty": "",
        "bytes": b"\x00\xff",
        "array": bytearray(b"ab"),
        "view": memoryview(b"cd"),
    }
    _, answers = _answers(results, two_threads)
    assert answers["text"].body == "grüß".encode()
    assert header(answers["text"], "content-type") == ["text/plain; charset=utf-8"]
    assert answers["empty"].body == b""
    for name, body in (("bytes", b"\x00\xff"), ("array", b"ab"), ("view", b"cd")):
        assert answers[name].body == body
        assert header(answers[name], "content-type") == ["application/octet-stream"]


def test_a_pair_with_a_status_sets_it(two_threads: bool) -> None:
    results: dict[str, Any] = {
        "d": ({"a": 1}, 201),
        "t": ("x", 404),
        "n": (None, 204),
        "b": (b"z", 599),
        "l": ([1], True),
    }
    _, answers = _answers(results, two_threads)
    assert (answers["d"].status, answers["d"].body) == (201, b'{"a":1}')
    assert (answers["t"].status, answers["t"].body) == (404, b"x")
    assert (answers["n"].status, answers["n"].body, answers["n"].headers) == (204, b"", [])
    assert answers["b"].status == 599
    assert (answers["l"].status, answers["l"].body) == (200, b"[[1],true]")


def test_a_response_says_everything_itself(two_threads: bool) -> None:
    response = asioserve.Response(
        b"body", 202, headers={"X-One": "1", "Content-Length": "999"}, media_type="text/x"
    )
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    _, answers = _answers({"r": response}, two_threads)
    x = answers["r"]
    assert (x.status, x.body) == (202, b"body")
    assert header(x, "x-one") == ["1"]
    assert len(header(x, "set-cookie")) == 2
    assert header(x, "content-length") == [], "framing is the connection's business"
    assert len(header(x, "content-type")) == 1


def test_forged_headers_become_a_500_and_a_log_entry(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/{which}")
    def bad(which: int) -> Any:
        response = asioserve.Response(b"x")
        forged: list[Any] = [
            (b"x-a", b"1\r\nset-cookie: a=b"),
            (b"x a", b"1"),
            (b"x-a", b"\x00"),
            (b"", b"1"),
            ("x", "y"),
        ]
        response.raw_headers.append(forged[which])
        return response

    server = Server(app, two_threads)
    for which in range(5):
        x = server.ask("GET", f"/{which}")
        assert (x.status, x.body, x.answers) == (500, b"Internal Server Error", 1)
        assert all(b"set-cookie" not in v for _, v in x.headers)
    assert len(server.native.errors) == 5


def test_header_names_go_out_in_lower_case(two_threads: bool) -> None:
    response = asioserve.Response(b"x")
    response.raw_headers.append((b"X-Mixed-CASE", b"Kept As It Is"))
    _, answers = _answers({"r": response}, two_threads)
    assert header(answers["r"], "x-mixed-case") == ["Kept As It Is"]


def test_what_cannot_be_encoded_becomes_a_500(two_threads: bool) -> None:
    results = {
        "object": object(),
        "inside": {"a": object()},
        "surrogate": "\ud800",
        "keys": {1: 2, (1,): 3},
        "set": {1},
    }
    server, answers = _answers(results, two_threads)
    for name in ("object", "inside", "surrogate", "keys"):
        assert (answers[name].status, answers[name].body) == (500, b"Internal Server Error"), name
        assert header(answers[name], "content-type") == ["text/plain; charset=utf-8"]
    assert answers["set"].body == b"[1]"
    assert len(server.native.errors) == 4
    assert all("Traceback" in traceback or traceback for _, _, traceback in server.native.errors)


def test_a_status_that_cannot_be_sent_becomes_a_500(two_threads: bool) -> None:
    high = asioserve.Response(b"", 200)
    high.status_code = 1000
    results = {"early": asioserve.Response(b"", 101), "high": high, "pair": ("x", 100)}
    server, answers = _answers(results, two_threads)
    assert [answers[n].status for n in results] == [500, 500, 500]
    assert len(server.native.errors) == 3


def test_the_route_has_a_status_of_its_own(two_threads: bool) -> None:
    app = asioserve.App()

    @app.post("/made", status_code=201)
    async def made() -> Any:
        return {"a": 1}

    @app.delete("/gone", status_code=204)
    async def gone() -> None:
        return None

    server = Server(app, two_threads)
    assert server.ask("POST", "/made").status == 201
    x = server.ask("DELETE", "/gone")
    assert (x.status, x.body, x.headers) == (204, b"", [])


def test_no_body_goes_with_a_status_that_has_none(two_threads: bool) -> None:
    _, answers = _answers({"a": ({"a": 1}, 204), "b": ("x", 304)}, two_threads)
    for x in answers.values():
        assert (x.body, x.headers) == (b"", [])


def test_coroutines_behind_plain_callables_are_driven(two_threads: bool) -> None:
    async def late(v: int) -> Any:
        return {"v": v}

    app = asioserve.App()

    @app.get("/{v}")
    def early(v: int) -> Any:
        return late(v)

    server = Server(app, two_threads)
    assert server.ask("GET", "/7").body == b'{"v":7}'


def test_callable_objects_serve(two_threads: bool) -> None:
    class Endpoint:
        async def __call__(self, v: int) -> Any:
            return {"v": v}

    app = asioserve.App()
    app.get("/{v}")(Endpoint())
    server = Server(app, two_threads)
    assert server.ask("GET", "/7").body == b'{"v":7}'


def test_a_pool_runs_def_handlers_elsewhere(two_threads: bool) -> None:
    import threading

    app = asioserve.App()

    @app.get("/{v}")
    def where(v: int) -> Any:
        return {"main": threading.current_thread() is threading.main_thread(), "v": v}

    @app.get("/here/{v}", pool=False)
    def here(v: int) -> Any:
        return {"main": threading.current_thread() is threading.main_thread(), "v": v}

    assert json_of(Server(app, two_threads).ask("GET", "/1")) == {"main": True, "v": 1}
    pooled = Server(app, two_threads, sync_pool=True)
    assert json_of(pooled.ask("GET", "/2")) == {"main": False, "v": 2}
    assert json_of(pooled.ask("GET", "/here/3")) == {"main": True, "v": 3}


def test_native_pages_answer_without_python(two_threads: bool) -> None:
    app = asioserve.App()
    server = Server(app, two_threads)
    server.native.add_native("/status", "application/json", "{}")
    x = server.exchange("GET", "/status?x=1")
    assert (x.kind, x.status, x.body, header(x, "content-type")) == (0, 200, b"{}", ["application/json"])
    assert server.exchange("HEAD", "/status").status == 200
    assert server.exchange("POST", "/status").status == 404


def test_options_and_head_are_automatic(two_threads: bool) -> None:
    app = asioserve.App()

    @app.get("/a")
    async def get() -> Any:
        return {"a": 1}

    @app.post("/a")
    async def post() -> Any:
        return {"a": 2}

    @app.options("/own")
    async def own() -> Any:
        return {"own": True}

    server = Server(app, two_threads)
    x = server.ask("OPTIONS", "/a")
    assert (x.status, x.body, header(x, "allow")) == (200, b"", ["GET, HEAD, POST, OPTIONS"])
    assert server.ask("OPTIONS", "/own").body == b'{"own":true}'
    assert server.ask("OPTIONS", "/nowhere").status == 404
    x = server.ask("HEAD", "/a")
    assert (x.status, x.body) == (200, b'{"a":1}'), "the connection leaves the body out"
    assert header(server.ask("PUT", "/a"), "allow") == ["GET"], "as FastAPI: of the first route"
