"""The peers' app on aiohttp with uvloop: python aiohttp_app.py PORT."""

# Its packages are in the peers' environment, which the type checker does not look into.
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, no-any-return"

import asyncio
import sys

import orjson
import uvloop
from aiohttp import web


def _answer(result: object) -> web.Response:
    return web.Response(body=orjson.dumps(result), content_type="application/json")


async def hello(request: web.Request) -> web.Response:
    return _answer({"hello": "world"})


async def sleep0(request: web.Request) -> web.Response:
    await asyncio.sleep(0)
    return _answer({"hello": "world"})


async def json_body(request: web.Request) -> web.Response:
    return _answer(orjson.loads(await request.read()))


def main() -> None:
    app = web.Application()
    app.router.add_get("/async", hello)
    app.router.add_get("/sleep0", sleep0)
    app.router.add_post("/json", json_body)
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        keepalive_timeout=3600,
        loop=uvloop.new_event_loop(),
        print=lambda *_: None,
    )


main()
