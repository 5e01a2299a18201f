"""The same request gives the same bytes from each server, the Date header's value aside."""

import random

import pytest
from blackbox.client import compose, exchange, without_date
from blackbox.server import KINDS, Pool
from test_parameters import TestQuery
from test_smuggling import BROKEN, CHUNK_ERRORS

CHUNKED = {"Transfer-Encoding": "chunked"}

REQUESTS: dict[str, bytes] = {
    **{
        f"GET {path}": compose("GET", path)
        for path in [
            "/hello", "/sync", "/items/7", "/items/x", "/sync-items/x", "/users/me", "/users/%C3%A9", "/files/a/b",
            "/typed/int/5", "/typed/float/2.5", "/typed/uuid/00000000-0000-0000-0000-000000000005", "/colours/red",
            "/colours/green", "/nothing", "/", "/slashed", "/hello/", "/many", "/query", "/query?q=1&n=2&flag=on",
            "/query?n=x&ratio=y&flag=z", "/query-list?tag=a&tag=b&n=1", "/query-list?n=x", "/query-limits?n=0",
            "/headers", "/cookies", "/request/a?b=c", "/lifespan", "/errors/http", "/errors/http-detail",
            "/errors/http-default", "/errors/sync-http", "/errors/unhandled", "/errors/sync-unhandled",
            "/errors/after-wait", "/wait-for/sleep/3", "/wait-for/gather", "/wait-for/group", "/wait-for/group-unhandled",
            "/wait-for/timeout", "/cancel/first-step", "/cancel/escapes", "/cancel/never-waits", "/cancel/raised",
            "/stream/sync/3", "/stream/fails-at-once", "/stream/length", "/stream/context", "/threads/to_thread",
            "/threads/sync", "/threads/pool", "/threads/loop-thread", "/context/set/x", "/context/sync-set/x",
            "/users/%zz", "/users/%00", "/stream/async/0", "/stream/eager/0", "/disconnect/none",
        ]
    },
    **{
        f"GET {prefix}/{name}": compose("GET", f"/{prefix}/{name}")
        for prefix in ("results", "sync-results")
        for name in [
            "dict", "list", "str", "bytes", "none", "int", "float", "bool", "tuple", "text-tuple", "dataclass",
            "pydantic", "nested", "enum", "uuid", "nan", "response", "no-content", "not-modified", "json-response",
            "html", "plain", "redirect", "large", "bad-header", "unserialisable",
        ]
    },
    "GET cookies": compose("GET", "/results/cookies"),
    **{f"{m} /hello": compose(m, "/hello") for m in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "BREW")},
    **{f"{m} /many": compose(m, "/many") for m in ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")},
    "OPTIONS *": compose("OPTIONS", "*"),
    "HEAD stream": compose("HEAD", "/stream/async/3"),
    "HEAD nothing": compose("HEAD", "/nothing"),
    "HEAD result": compose("HEAD", "/results/large"),
    "HTTP/1.0": compose("GET", "/hello", version="HTTP/1.0"),
    "HTTP/1.0 keep-alive": compose("GET", "/hello", version="HTTP/1.0", headers={"Connection": "keep-alive"}),
    "HTTP/1.0 stream": compose("GET", "/stream/sync/3", version="HTTP/1.0"),
    "close": compose("GET", "/hello", headers={"Connection": "close"}),
    "absolute": compose("GET", "http://test/hello"),
    "json": compose("POST", "/body/dict", json={"a": [1, "é", None]}),
    "json list": compose("POST", "/body/list", json=[1, 2]),
    "json list wrong": compose("POST", "/body/list", json=[1, "x"]),
    "json broken": compose("POST", "/body/dict", headers={"Content-Type": "application/json"}, body=b'{"a": }'),
    "json text": compose("POST", "/body/dict", headers={"Content-Type": "text/plain"}, body=b"{}"),
    "json missing": compose("POST", "/body/dict"),
    "json empty": compose("POST", "/body/dict", headers={"Content-Type": "application/json"}, body=b""),
    "json utf-8 broken": compose("POST", "/body/dict", headers={"Content-Type": "application/json"}, body=b'{"a":"\xff"}'),
    "dataclass": compose("POST", "/body/dataclass", json={"x": 1}),
    "dataclass wrong": compose("POST", "/body/dataclass", json={"y": "z"}),
    "pydantic": compose("POST", "/body/pydantic", json={"name": "n"}),
    "pydantic wrong": compose("POST", "/body/pydantic", json={"age": "x"}),
    "two bodies": compose("POST", "/body/two", json={"user": {"name": "a"}, "n": 5}),
    "two bodies wrong": compose("POST", "/body/two", json={"user": {}, "n": "x"}),
    "raw": compose("POST", "/body/raw", body=bytes(range(256)) * 100),
    "chunked": compose("POST", "/body/raw", headers=CHUNKED, body=b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
    "upload": compose("POST", "/upload/count", body=b"x" * 100_000),
    "refused": compose("POST", "/upload/refused", body=b"x" * 100),
    "ignored": compose("POST", "/body/ignored", body=b"x" * 100),
    "too long": compose("GET", "/hello", headers={"X": "y" * 70_000}),
    "too long target": compose("GET", "/" + "x" * 70_000),
    "too large": compose("POST", "/body/raw", headers={"Content-Length": str(101 * 1024 * 1024)}),
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version": b"GET /hello HTTP/1.2\r\nHost: t\r\n\r\n",
    "empty": b"",
    "half a head": b"GET /hello HTTP/1.1\r\nHo",
    "half a body": b"POST /body/raw HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf",
    "pipeline": b"".join(compose("GET", f"/items/{n}") for n in range(50)),
    "pipeline mixed": compose("GET", "/wait-for/sleep/3") + compose("POST", "/body/raw", body=b"x") + compose("GET", "/nothing"),
    "pipeline broken": compose("GET", "/wait-for/sleep/3") + b"BROKEN\r\n\r\n" + compose("GET", "/hello"),
    "pipeline closed": compose("GET", "/sync", headers={"Connection": "close"}) + compose("GET", "/hello"),
    **{f"broken: {name}": data for name, data in BROKEN.items()},
    **{
        f"chunk: {name}": compose("POST", "/body/raw", headers=CHUNKED, body=body) for name, body in CHUNK_ERRORS.items()
    },
    "query defaults": compose("GET", "/query?q=" + "".join(sorted(TestQuery.DEFAULTS))),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_request_gives_the_same_bytes(pool: Pool, name: str) -> None:
    data = REQUESTS[name]
    got = {kind: without_date(exchange(pool.get(kind).address, data)) for kind in KINDS}
    assert len(set(got.values())) == 1, got
    assert got["stage3"] or not data or name.startswith("half"), "an answer, at least"


@pytest.mark.parametrize("seed", range(20))
def test_the_same_pipeline_gives_the_same_bytes(pool: Pool, seed: int) -> None:
    """Requests put together at random, cut at random."""
    rng = random.Random(seed)
    quick = [
        name for name in REQUESTS if name.startswith(("GET", "json", "HEAD", "raw", "chunked", "pydantic"))
    ]
    data = b"".join(REQUESTS[rng.choice(quick)] for _ in range(15))
    splits = tuple(rng.randrange(1, len(data)) for _ in range(10))
    got = {kind: without_date(exchange(pool.get(kind).address, data, splits)) for kind in KINDS}
    assert len(set(got.values())) == 1, got
