"""The peers' app on Robyn, one process and one worker: python robyn_app.py PORT."""

# Its packages are in the peers' environment, which the type checker does not look into.
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, no-any-return"

import asyncio
import sys

import orjson
from robyn import Request, Response, Robyn
from robyn.argument_parser import Config

_port = int(sys.argv[1])
# Robyn reads its settings from the command line of whoever runs it.
sys.argv = [sys.argv[0], "--processes", "1", "--workers", "1", "--log-level", "ERROR"]
app = Robyn(__file__, config=Config())


def _answer(result: object) -> Response:
    headers = {"content-type": "application/json"}
    return Response(status_code=200, headers=headers, description=orjson.dumps(result))


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
    return _answer(orjson.loads(request.body))


app.start(host="127.0.0.1", port=_port)
