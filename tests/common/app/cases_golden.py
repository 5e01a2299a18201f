"""The same bytes as FastAPI, whose answers golden.py has recorded."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import asioserve
from harness import Server

HERE = Path(__file__).parent
KEPT = ("allow", "content-type", "location", "x-why")

sys.set_int_max_str_digits(0)
ROWS: list[dict[str, Any]] = json.loads((HERE / "golden.json").read_text())


def golden_app() -> Any:
    """The app of golden_app.py, over asioserve."""
    names: dict[str, Any] = {
        name: getattr(asioserve, name)
        for name in ("App", "HTTPException", "Query", "Header", "Cookie", "Body")
    }
    exec(compile((HERE / "golden_app.py").read_text(), "golden_app.py", "exec"), names)
    return names["app"]


def differs_on_purpose(row: dict[str, Any]) -> bool:
    """Where we do something else than FastAPI, and why."""
    body = row["answer"]["body"]
    # JSON has no inf and no nan: orjson writes null where FastAPI's encoder ends in a 500.
    if row["answer"]["status"] == 500 and "boom" not in row["target"]:
        return not row["target"].startswith("/http/")
    # orjson has no integers beyond 64 bits: what FastAPI echoes ends in a 500 here.
    if any(int(n) > 2**64 - 1 or int(n) < -(2**63) for n in re.findall(r"-?\d{19,}", body)):
        return "int_parsing_size" not in body
    # The golden answers are of Python 3.11; 3.13 words these itself otherwise (json, http.HTTPStatus).
    if sys.version_info >= (3, 13) and (row["body"] == '{"a":1,}' or row["target"] == "/http/plain/422"):
        return True
    # A 204 has no body, so it has no content type either.
    return bool(row["answer"]["status"] == 204 and row["method"] == "DELETE")


def check(prefixes: tuple[str, ...], two_threads: bool) -> None:
    """Asks every recorded request again whose path starts so."""
    server = Server(golden_app(), two_threads)
    wrong = []
    asked = 0
    for row in ROWS:
        if not row["target"].startswith(prefixes) or differs_on_purpose(row):
            continue
        asked += 1
        x = server.ask(row["method"], row["target"], row["headers"], row["body"].encode("latin-1"))
        headers = sorted([n, in_order(v.decode("latin-1"))] for n, v in x.headers if n in KEPT)
        got = {"status": x.status, "headers": headers, "body": x.body.decode("latin-1")}
        want = row["answer"]
        same = got["status"] == want["status"] and got["headers"] == want["headers"]
        if not same or not same_body(got["body"], want["body"]) or x.answers != 1:
            wrong.append(
                f"{row['method']} {row['target'][:80]} {row['headers']} {row['body'][:60]!r}\n   {str(got)[:400]}\n   {str(want)[:400]}"
            )
    assert asked > 0
    assert not wrong, f"{len(wrong)} of {asked} differ:\n" + "\n".join(wrong[:12])


def in_order(value: str) -> str:
    """FastAPI keeps the methods of a route in a set."""
    return ", ".join(sorted(value.split(", ")))


def same_body(got: str, want: str) -> bool:
    """Byte for byte; floats may be spelt in two ways (orjson's 1e16 is json's 1e+16)."""
    if got == want:
        return True
    try:
        return "e" in got and json.dumps(json.loads(got)) == json.dumps(json.loads(want))
    except ValueError:
        return False


def test_numbers_in_paths(two_threads: bool) -> None:
    check(("/int", "/float", "/bool", "/two"), two_threads)


def test_texts_and_convertors_in_paths(two_threads: bool) -> None:
    check(("/str", "/files", "/conv"), two_threads)


def test_queries(two_threads: bool) -> None:
    check(("/q/",), two_threads)


def test_headers_and_cookies(two_threads: bool) -> None:
    check(("/header", "/cookie"), two_threads)


def test_json_bodies(two_threads: bool) -> None:
    check(("/body",), two_threads)


def test_routes_methods_and_slashes(two_threads: bool) -> None:
    check(
        ("/nowhere", "//", "/%2F", "/?x", "/fixed", "/slash", "/many", "/both", "/created", "/gone"),
        two_threads,
    )


def test_errors(two_threads: bool) -> None:
    check(("/http", "/boom"), two_threads)
