"""The peers' app on socketify: python socketify_app.py PORT."""

# Its packages are in the peers' environment, which the type checker does not look into.
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, no-any-return"

import asyncio
import sys
from typing import Any

import orjson
from socketify import App, AppListenOptions


def _answer(response: Any, result: object) -> None:
    response.cork(lambda r: r.write_header("Content-Type", "application/json").end(orjson.dumps(result)))


async def hello(response: Any, request: Any) -> None:
    _answer(response, {"hello": "world"})


async def sleep0(response: Any, request: Any) -> None:
    await asyncio.sleep(0)
    _answer(response, {"hello": "world"})


def json_body(response: Any, request: Any) -> None:
    # Awaiting get_data() crashes the process under load: its request is gone by then.
    chunks: list[bytes] = []

    def on_data(response: Any, chunk: Any, is_last: bool, *_: object) -> None:
        chunks.append(bytes(chunk or b""))
        if is_last:
            _answer(response, orjson.loads(b"".join(chunks)))

    response.on_aborted(lambda *_: None)
    response.on_data(on_data)


def main() -> None:
    app = App()
    app.get("/async", hello)
    app.get("/sleep0", sleep0)
    app.post("/json", json_body)
    app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"), lambda _: None)
    app.run()


main()
