"""httpx's AsyncClient against a server of streams: connections kept and closed, streams, time limits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


class Handlers:
    """What serves: each connection ends when its client has hung up, and that is waited for."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.running.add(task)
        await _serve(reader, writer)

    async def ended(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self.running), 20)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with its own body; never to /never; hangs up on /cut."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1]
            length = next(
                (int(h[15:]) for h in head.lower().split("\r\n") if h.startswith("content-length:")), 0
            )
            body = await reader.readexactly(length)
            if path == "/never":
                await reader.read()
                break
            if path == "/cut":
                break
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # The client has gone, as clients do.
    finally:
        writer.close()


@pytest.fixture(params=["plain", "tls"])
def contexts(request: pytest.FixtureRequest, tls: Contexts) -> Contexts | tuple[None, None]:
    return tls if request.param == "tls" else (None, None)


async def _client(port: int, contexts: Contexts | tuple[None, None]) -> AsyncIterator[httpx.AsyncClient]:
    scheme = "https" if contexts[1] else "http"
    async with httpx.AsyncClient(
        base_url=f"{scheme}://localhost:{port}", verify=contexts[1] or True, trust_env=False, timeout=20
    ) as client:
        yield client


def test_requests_time_limits_and_hang_ups(
    runner: asyncio.Runner, contexts: Contexts | tuple[None, None]
) -> None:
    async def main() -> None:
        handlers = Handlers()
        async with await asyncio.start_server(handlers, "127.0.0.1", 0, ssl=contexts[0]) as server:
            async for client in _client(server.sockets[0].getsockname()[1], contexts):
                async with asyncio.TaskGroup() as group:
                    asked = [
                        group.create_task(client.post("/", content=bytes([i]) * 50_000)) for i in range(20)
                    ]
                assert [t.result().content for t in asked] == [bytes([i]) * 50_000 for i in range(20)]
                async with client.stream("POST", "/", content=bytes(1_000_000)) as response:
                    assert sum([len(piece) async for piece in response.aiter_bytes()]) == 1_000_000
                with pytest.raises(httpx.ReadTimeout):
                    await client.get("/never", timeout=httpx.Timeout(20, read=0.02))
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                    await client.get("/cut")
                assert (await client.post("/", content=b"still here")).content == b"still here"
            await handlers.ended()

    runner.run(main())


def test_nobody_listens(runner: asyncio.Runner, unused_port: int) -> None:
    async def main() -> None:
        async for client in _client(unused_port, (None, None)):
            with pytest.raises(httpx.ConnectError):
                await client.get("/")

    runner.run(main())
