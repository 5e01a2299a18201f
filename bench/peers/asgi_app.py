"""The peers' app in raw ASGI: what a framework could at best cost nothing on top of."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

Message = dict[str, Any]
_HEADERS = [(b"content-type", b"application/json")]


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    path = scope["path"]
    result: object = {"hello": "world"}
    if path == "/sleep0":
        await asyncio.sleep(0)
    elif path == "/json":
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        result = orjson.loads(body)
    elif path != "/async":
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    answer = orjson.dumps(result)
    headers = [*_HEADERS, (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
