"""The peers' app in RSGI, granian's own interface."""

import asyncio
from typing import Any

import orjson

_HEADERS = [("content-type", "application/json")]


async def app(scope: Any, protocol: Any) -> None:
    result: object = {"hello": "world"}
    if scope.path == "/sleep0":
        await asyncio.sleep(0)
    elif scope.path == "/json":
        result = orjson.loads(await protocol())
    elif scope.path != "/async":
        protocol.response_empty(404, [])
        return
    protocol.response_bytes(200, _HEADERS, orjson.dumps(result))
