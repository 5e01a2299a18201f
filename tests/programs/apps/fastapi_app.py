"""What uvicorn serves in test_uvicorn.py. It says which loop it runs on, and when it starts and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.background = asyncio.create_task(asyncio.Event().wait())
    print("the app is up", flush=True)
    yield
    app.state.background.cancel()
    print("the app is down", flush=True)


app = FastAPI(lifespan=lifespan)


class Item(BaseModel):
    name: str
    price: float


@app.get("/loop")
async def loop() -> dict[str, str]:
    running = type(asyncio.get_running_loop())
    return {"module": running.__module__.partition(".")[0], "name": running.__name__}


@app.post("/items")
async def make_item(item: Item) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"name": item.name, "with_tax": item.price * 2}


@app.get("/threads/{n}")
def in_a_thread(n: int) -> int:
    if n < 0:
        raise HTTPException(404, "no such number")
    return n * n


@app.get("/fails")
async def fails() -> float:
    return 1 / 0


@app.get("/stream")
async def stream(chunks: int, size: int) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        for i in range(chunks):
            yield bytes([i % 256]) * size
            await asyncio.sleep(0)

    return StreamingResponse(body())


@app.post("/length")
async def length(request: Request) -> int:
    total = 0
    async for piece in request.stream():
        total += len(piece)
    return total


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    await socket.accept(subprotocol="chat")
    try:
        while True:
            message = await socket.receive_text()
            if message == "bye":
                await socket.close(4001, "as you wish")
                return
            await socket.send_text(message.upper())
    except WebSocketDisconnect as gone:
        print(f"the peer left with {gone.code}", flush=True)
