"""The peers' app in FastAPI, with orjson called by hand: quicker than its own way to JSON."""

# Its packages are in the peers' environment, which the type checker does not look into.
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, no-any-return"

import asyncio
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None)


def _answer(result: object) -> Response:
    return Response(orjson.dumps(result), media_type="application/json")


@app.get("/sync")
def sync() -> Response:
    return _answer({"hello": "world"})


@app.get("/async")
async def hello() -> Response:
    return _answer({"hello": "world"})


@app.get("/sleep0")
async def sleep0() -> Response:
    await asyncio.sleep(0)
    return _answer({"hello": "world"})


@app.post("/json")
async def json_body(request: Request) -> Response:
    body: dict[str, Any] = orjson.loads(await request.body())
    return _answer(body)
