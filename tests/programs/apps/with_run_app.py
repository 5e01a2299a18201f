"""aiohttp's own way to run an app, which is given a loop."""

from __future__ import annotations

import asyncio
import socket
import sys

from aiohttp import web
from loops import FACTORIES


async def loop(_request: web.Request) -> web.Response:
    return web.Response(text=type(asyncio.get_running_loop()).__module__.partition(".")[0])


async def clean_up(_app: web.Application) -> None:
    print("cleaned up", flush=True)


app = web.Application()
app.router.add_get("/", loop)
app.on_cleanup.append(clean_up)
listener = socket.create_server(("127.0.0.1", 0))
print(f"port {listener.getsockname()[1]}", flush=True)
web.run_app(app, sock=listener, loop=FACTORIES[sys.argv[1]]())
