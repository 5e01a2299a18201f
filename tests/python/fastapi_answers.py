"""Writes down what FastAPI answers: ``python tests/python/fastapi_answers.py`` where FastAPI is installed.

The result, ``fastapi_answers.json``, is what ``test_fastapi_answers.py`` compares with; FastAPI itself is not
needed for that. To be run again for a new version of FastAPI.
"""

import asyncio
import contextlib
import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

KEPT = ("allow", "x-a")
"""Header fields that are compared, besides the content type."""


async def ask(app: Any, method: str, target: str, body: str, headers: dict[str, str]) -> list[Any]:
    """One request by ASGI: status, content type, other headers, body."""
    path, _, query = target.partition("?")
    raw = [(b"host", b"example.org"), *((k.lower().encode(), v.encode()) for k, v in headers.items())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": raw, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    messages = [{"type": "http.request", "body": body.encode(), "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with contextlib.suppress(ValueError):  # Starlette answers by a 500 and raises it again, for the log
        await app(scope, receive, send)
    found = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    text = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    kept = {name: found[name] for name in KEPT if name in found}
    return [sent[0]["status"], found.get("content-type"), kept, text]


async def main() -> None:
    """Asks everything."""
    fastapi, pydantic = importlib.import_module("fastapi"), importlib.import_module("pydantic")
    fastapi_app = importlib.import_module("tests.python.fastapi_app")
    app = fastapi_app.make(SimpleNamespace(**{**vars(fastapi), "App": fastapi.FastAPI}))
    answers = [[*case, *await ask(app, *case)] for case in fastapi_app.cases()]
    versions = {"fastapi": fastapi.__version__, "pydantic": pydantic.__version__}
    lines = ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
    place = Path(__file__).with_suffix(".json")
    place.write_text(f'{{"versions": {json.dumps(versions)}, "answers": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
