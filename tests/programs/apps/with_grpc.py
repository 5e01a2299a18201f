"""gRPC's asyncio API: its completion queue wakes the loop by a descriptor that it polls in a thread of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc import aio
from loops import FACTORIES


async def echo(request: bytes, context: Any) -> bytes:
    if request == b"fail":
        await context.abort(grpc.StatusCode.NOT_FOUND, "on purpose")
    return request


async def upper(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request.upper()


async def never(_request: bytes, _context: Any) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


async def main() -> None:
    server = aio.server()
    methods = {
        "echo": grpc.unary_unary_rpc_method_handler(echo),
        "never": grpc.unary_unary_rpc_method_handler(never),
        "upper": grpc.stream_stream_rpc_method_handler(upper),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Tests", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/Tests/echo")
        got = await asyncio.gather(*(call(b"%d" % i) for i in range(100)))
        assert got == [b"%d" % i for i in range(100)]

        async def words() -> AsyncIterator[bytes]:
            for i in range(200):
                yield b"word%d" % i

        shouted = [word async for word in channel.stream_stream("/Tests/upper")(words())]
        assert shouted == [b"WORD%d" % i for i in range(200)]
        try:
            await call(b"fail")
        except aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
        try:
            await channel.unary_unary("/Tests/never")(b"", timeout=0.05)
        except aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await server.stop(0)
    print(type(asyncio.get_running_loop()).__module__.partition(".")[0])


with asyncio.Runner(loop_factory=FACTORIES[sys.argv[1]]) as runner:
    runner.run(asyncio.wait_for(main(), 25))
