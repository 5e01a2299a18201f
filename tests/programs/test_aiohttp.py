"""An aiohttp server and client on one loop: plain, over TLS, over a Unix socket, and with websockets."""

from __future__ import annotations

import asyncio
import io
import ssl
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from processes import HERE, PATIENCE, python, python_environment, running

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]

WAITING = web.AppKey("waiting", asyncio.Future)
CANCELLED = web.AppKey("cancelled", asyncio.Future)

BIG = bytes(range(256)) * 8000


async def _echo(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async for piece in request.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


async def _who(request: web.Request) -> web.Response:
    return web.json_response({"peer": request.remote, "secure": request.secure})


async def _chat(request: web.Request) -> web.WebSocketResponse:
    chat = web.WebSocketResponse(compress=True)
    await chat.prepare(request)
    async for message in chat:
        await chat.send_bytes(message.data)
        if message.data == b"bye":
            await chat.close(code=4000, message=b"bye")
    return chat


async def _never(request: web.Request) -> web.Response:
    request.app[WAITING].set_result(None)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        request.app[CANCELLED].set_result(None)
        raise
    raise AssertionError


@asynccontextmanager
async def _serving(
    context: ssl.SSLContext | None = None, path: Path | None = None, **options: bool
) -> AsyncIterator[tuple[web.Application, int]]:
    app = web.Application()
    loop = asyncio.get_running_loop()
    app[WAITING], app[CANCELLED] = loop.create_future(), loop.create_future()
    app.router.add_post("/echo", _echo)
    app.router.add_get("/who", _who)
    app.router.add_get("/chat", _chat)
    app.router.add_get("/never", _never)
    runner = web.AppRunner(app, **options)
    await runner.setup()
    try:
        if path:
            await web.UnixSite(runner, path).start()
            yield app, 0
        else:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            yield app, runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture(params=["plain", "tls"])
def contexts(request: pytest.FixtureRequest, tls: Contexts) -> Contexts | tuple[None, None]:
    return tls if request.param == "tls" else (None, None)


def test_requests_at_once_and_one_after_the_other(
    runner: asyncio.Runner, contexts: Contexts | tuple[None, None]
) -> None:
    async def main() -> None:
        mine, theirs = contexts
        scheme = "https" if mine else "http"
        async with _serving(mine) as (_, port), aiohttp.ClientSession() as session:
            url = f"{scheme}://localhost:{port}"

            async def one(i: int) -> None:
                data = BIG[: i * 999]
                async with session.post(f"{url}/echo", data=data, ssl=theirs or True) as response:
                    assert await response.read() == data

            async with asyncio.TaskGroup() as group:
                for i in range(40):
                    group.create_task(one(i))
            for i in range(20):
                await one(i)
            async with session.post(f"{url}/echo", data=io.BytesIO(BIG), ssl=theirs or True) as response:
                assert await response.read() == BIG
            async with session.get(f"{url}/who", ssl=theirs or True) as response:
                assert await response.json() == {"peer": "127.0.0.1", "secure": mine is not None}

    runner.run(main())


def test_websockets(runner: asyncio.Runner, contexts: Contexts | tuple[None, None]) -> None:
    async def main() -> None:
        mine, theirs = contexts
        scheme = "wss" if mine else "ws"
        async with _serving(mine) as (_, port), aiohttp.ClientSession() as session:
            url = f"{scheme}://localhost:{port}/chat"
            async with session.ws_connect(url, ssl=theirs or True, compress=15) as chat:
                for size in (0, 1, 125, 126, 65535, 65536, 1_000_000):
                    await chat.send_bytes(BIG[:size])
                    assert await chat.receive_bytes() == BIG[:size]
                await chat.send_bytes(b"bye")
                assert await chat.receive_bytes() == b"bye"
                assert (await chat.receive()).type is aiohttp.WSMsgType.CLOSE
                assert chat.close_code == 4000

    runner.run(main())


def test_a_unix_socket(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "socket"
        async with _serving(path=path):
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
                async with session.post("http://server/echo", data=io.BytesIO(BIG)) as response:
                    assert await response.read() == BIG

    runner.run(main())


def test_a_time_limit_cancels_the_request_and_then_the_handler(
    runner: asyncio.Runner, contexts: Contexts | tuple[None, None]
) -> None:
    async def main() -> None:
        mine, theirs = contexts
        scheme = "https" if mine else "http"
        async with (
            _serving(mine, handler_cancellation=True) as (app, port),
            aiohttp.ClientSession() as session,
        ):

            async def ask() -> None:
                await session.get(f"{scheme}://localhost:{port}/never", ssl=theirs or True)

            asking = asyncio.create_task(ask())
            await asyncio.wait_for(asyncio.shield(app[WAITING]), 20)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asking, 0.01)
            await asyncio.wait_for(app[CANCELLED], 20)

    runner.run(main())


def test_a_certificate_that_is_not_trusted_is_refused(runner: asyncio.Runner, tls: Contexts) -> None:
    async def main() -> None:
        # The server may hear of it, now or when it ends: no concern of this test.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with _serving(tls[0]) as (_, port), aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"https://localhost:{port}/who")

    runner.run(main())


def test_run_app_takes_a_loop_and_ends_by_a_signal(loop_name: str) -> None:
    with running(
        python(str(HERE / "apps" / "with_run_app.py"), loop_name), env=python_environment()
    ) as process:
        port = process.wait_for(r"port (\d+)")[1]
        process.wait_for("Running on")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
            assert answer.read().decode() == loop_name
        assert process.end() == 0
        assert "cleaned up" in process.lines
