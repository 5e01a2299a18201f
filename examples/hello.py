"""The smallest app.

./serve.sh examples/hello.py:app       and then   curl http://127.0.0.1:8000/hello/Ada?times=2
"""

from asioserve import App

app = App()


@app.get("/")
async def root() -> dict[str, str]:
    """A coroutine that never waits: its first step runs right where the request was parsed (stage 3)."""
    return {"hello": "world"}


@app.get("/plain")
def plain() -> dict[str, str]:
    """A plain function. It runs in line and blocks everything else meanwhile, so it had better be quick."""
    return {"hello": "world"}


@app.get("/hello/{name}")
async def hello(name: str, times: int = 1) -> list[str]:
    """Parameters come from the path and the query; ``times=x`` is a 422 that says why."""
    return [f"Hello, {name}!"] * min(times, 10)


@app.post("/text", status_code=201)
async def text(body: bytes) -> str:
    """Raw bytes in, text out."""
    return body.decode(errors="replace").upper()
