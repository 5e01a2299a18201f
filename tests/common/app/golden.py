"""Records what FastAPI answers to ``golden_requests.py`` into ``golden.json``.

Run it with a Python that has fastapi: ``python golden.py``. The tests need only its output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from golden_requests import REQUESTS, Request

KEPT = ("allow", "content-type", "location", "x-why")
"""The headers that are compared."""


async def ask(app: Any, request: Request) -> dict[str, Any]:
    """What the app answers, asked as uvicorn would."""
    method, target, headers, body = request
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"example.org"), *((n.encode(), v.encode("latin-1")) for n, v in headers)],
        "client": ("127.0.0.1", 4711),
        "server": ("127.0.0.1", 80),
    }
    answer: dict[str, Any] = {}
    received = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return received.pop() if received else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer["status"] = message["status"]
            answer["headers"] = sorted(
                [n.decode().lower(), ", ".join(sorted(v.decode("latin-1").split(", ")))]
                for n, v in message["headers"]
                if n.decode().lower() in KEPT
            )
            answer["body"] = ""
        else:
            answer["body"] += message.get("body", b"").decode("latin-1")

    # Starlette answers the 500 and raises the error again, for the server's log.
    with contextlib.suppress(ValueError):
        await app(scope, receive, send)
    return answer


def main() -> None:
    """Writes golden.json."""
    import fastapi

    here = Path(__file__).parent
    names: dict[str, Any] = {
        "App": fastapi.FastAPI,
        "HTTPException": fastapi.HTTPException,
        "Query": fastapi.Query,
        "Header": fastapi.Header,
        "Cookie": fastapi.Cookie,
        "Body": fastapi.Body,
    }
    exec(compile((here / "golden_app.py").read_text(), "golden_app.py", "exec"), names)
    rows = []
    for request in REQUESTS:
        method, target, headers, body = request
        rows.append(
            {
                "method": method,
                "target": target,
                "headers": headers,
                "body": body.decode("latin-1"),
                "answer": asyncio.run(ask(names["app"], request)),
            }
        )
    (here / "golden.json").write_text(json.dumps(rows, indent=0, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
