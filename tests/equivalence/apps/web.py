"""Routes, parameters and results."""

import enum
import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from asioserve import (
    App,
    Body,
    Cookie,
    Header,
    HTMLResponse,
    HTTPException,
    JSONResponse,
    PlainTextResponse,
    Query,
    RedirectResponse,
    Request,
    Response,
)
from pydantic import BaseModel


@dataclass
class Point:
    """A body and a result."""

    x: int
    y: int = 0


class User(BaseModel):
    """A pydantic body."""

    name: str
    age: int = 0


class Colour(enum.Enum):
    """An enumerated parameter."""

    red = "red"
    blue = "blue"


class Unserialisable:
    """No JSON for this one."""


def add(app: App) -> None:
    """Declares everything."""
    _paths(app)
    _parameters(app)
    _bodies(app)
    _results(app)
    _errors(app)


def _paths(app: App) -> None:
    @app.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/sync")
    def sync() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @app.get("/sync-items/{item_id}")
    def sync_item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @app.get("/users/me")
    async def me() -> dict[str, str]:
        return {"user": "me"}

    @app.get("/users/{name}")
    async def user(name: str) -> dict[str, str]:
        return {"user": name}

    @app.get("/users/{name}/posts/{post}")
    async def post(name: str, post: int) -> dict[str, Any]:
        return {"user": name, "post": post}

    @app.get("/files/{name:path}")
    async def file(name: str) -> dict[str, str]:
        return {"file": name}

    @app.get("/typed/int/{x:int}")
    async def typed_int(x: int) -> dict[str, int]:
        return {"x": x}

    @app.get("/typed/float/{x:float}")
    async def typed_float(x: float) -> dict[str, float]:
        return {"x": x}

    @app.get("/typed/uuid/{x:uuid}")
    async def typed_uuid(x: uuid.UUID) -> dict[str, str]:
        return {"x": str(x), "type": type(x).__name__}

    @app.get("/colours/{colour}")
    async def coloured(colour: Colour) -> dict[str, str]:
        return {"colour": colour.name}

    @app.route("/many", methods=["PUT", "DELETE", "PATCH"])
    async def many(request: Request) -> dict[str, str]:
        return {"method": request.method}

    @app.options("/own-options")
    async def own_options() -> dict[str, str]:
        return {"options": "mine"}

    @app.get("/slashed/")
    async def slashed() -> dict[str, str]:
        return {"slash": "yes"}

    @app.post("/created", status_code=201)
    async def created() -> dict[str, bool]:
        return {"created": True}


def _parameters(app: App) -> None:
    @app.get("/query")
    async def query(
        q: str, n: int = 3, ratio: float = 0.5, flag: bool = False, maybe: str | None = None
    ) -> dict[str, Any]:
        return {"q": q, "n": n, "ratio": ratio, "flag": flag, "maybe": maybe}

    @app.get("/query-list")
    async def query_list(
        tag: Annotated[list[str], Query()] = [],  # noqa: B006
        n: Annotated[list[int], Query()] = [],  # noqa: B006
    ) -> Any:
        return {"tag": tag, "n": n}

    @app.get("/query-limits")
    async def query_limits(
        n: Annotated[int, Query(ge=1, le=10)], s: Annotated[str, Query(min_length=2, alias="the-s")] = "ab"
    ) -> Any:
        return {"n": n, "s": s}

    @app.get("/headers")
    async def headers(
        user_agent: Annotated[str | None, Header()] = None,
        x_number: Annotated[int, Header()] = 1,
        x_many: Annotated[list[str] | None, Header()] = None,
    ) -> Any:
        return {"user_agent": user_agent, "x_number": x_number, "x_many": x_many}

    @app.get("/cookies")
    async def cookies(
        session: Annotated[str | None, Cookie()] = None, n: Annotated[int, Cookie()] = 0
    ) -> Any:
        return {"session": session, "n": n}

    @app.route("/request/{rest:path}", methods=["GET", "POST"])
    async def show(request: Request) -> dict[str, Any]:
        body = await request.body()
        return {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "query_params": list(request.query_params.multi_items()),
            "path_params": request.path_params,
            "headers": [[k, v] for k, v in request.headers.multi_items() if k.startswith(("x-", "content-"))],
            "accept": request.headers.get("ACCEPT"),
            "cookies": request.cookies,
            "client": request.client is not None,
            "length": len(body),
        }

    @app.get("/lifespan")
    async def lifespan(request: Request) -> dict[str, Any]:
        return {"started": request.state.started}


def _bodies(app: App) -> None:
    @app.post("/body/dict")
    async def body_dict(body: dict[str, Any]) -> dict[str, Any]:
        return {"got": body}

    @app.post("/body/list")
    async def body_list(body: list[int]) -> dict[str, Any]:
        return {"sum": sum(body)}

    @app.post("/body/dataclass")
    async def body_dataclass(point: Point) -> Point:
        return Point(point.y, point.x)

    @app.post("/body/pydantic")
    async def body_pydantic(user: User) -> User:
        return User(name=user.name.upper(), age=user.age + 1)

    @app.post("/body/two")
    async def body_two(user: User, n: Annotated[int, Body()]) -> dict[str, Any]:
        return {"name": user.name, "n": n}

    @app.post("/body/sync")
    def body_sync(body: dict[str, Any]) -> dict[str, Any]:
        return {"got": body}

    @app.post("/body/raw")
    async def body_raw(request: Request) -> Response:
        return Response(await request.body(), media_type="application/x-echo")

    @app.post("/body/json")
    async def body_json(request: Request) -> dict[str, Any]:
        return {"json": await request.json()}

    @app.post("/body/ignored")
    async def body_ignored() -> dict[str, bool]:
        return {"ignored": True}


def _results(app: App) -> None:
    results: dict[str, Any] = {
        "dict": {"ключ": "é€", "n": [1, 2.5, None, True]},
        "list": [1, "two"],
        "str": "text é",
        "bytes": b"\x00\xff",
        "none": None,
        "int": 7,
        "float": 1e300,
        "bool": True,
        "tuple": ({"made": 1}, 201),
        "text-tuple": ("teapot", 418),
        "dataclass": Point(1, 2),
        "nested": {"points": [Point(1, 2)], "user": User(name="n")},
        "pydantic": User(name="n", age=3),
        "enum": {"colour": Colour.red},
        "uuid": {"id": uuid.UUID(int=5)},
        "nan": {"nan": float("nan")},
        "response": Response(b"raw", 202, {"X-Own": "1"}, "text/x-own"),
        "no-content": Response(status_code=204),
        "not-modified": Response(status_code=304, headers={"etag": '"x"'}),
        "json-response": JSONResponse({"a": 1}, 203),
        "html": HTMLResponse("<p>é</p>"),
        "plain": PlainTextResponse("plain"),
        "redirect": RedirectResponse("/hello?é"),
        "large": "x" * 300_000,
        "bad-header": Response(b"", headers={"x-bad": "a\r\nset-cookie: stolen=1"}),
        "unserialisable": {"x": Unserialisable()},
    }

    def declare(name: str, value: Any) -> None:
        @app.get(f"/results/{name}")
        async def result() -> Any:
            return value

        @app.get(f"/sync-results/{name}")
        def sync_result() -> Any:
            return value

    for name, value in results.items():
        declare(name, value)

    @app.get("/results/cookies")
    async def cookies() -> Response:
        response = PlainTextResponse("two cookies")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2", path="/b", httponly=True)
        return response


def _errors(app: App) -> None:
    @app.get("/errors/http")
    async def http() -> None:
        raise HTTPException(418, "teapot", {"X-Tea": "green"})

    @app.get("/errors/http-detail")
    async def http_detail() -> None:
        raise HTTPException(400, {"why": ["this", 1]})

    @app.get("/errors/http-default")
    async def http_default() -> None:
        raise HTTPException(404)

    @app.get("/errors/sync-http")
    def sync_http() -> None:
        raise HTTPException(403, "no")

    @app.get("/errors/unhandled")
    async def unhandled() -> None:
        raise ValueError("secret of the house")

    @app.get("/errors/sync-unhandled")
    def sync_unhandled() -> None:
        raise ValueError("secret of the house")

    @app.get("/errors/after-wait")
    async def after_wait() -> None:
        import asyncio

        await asyncio.sleep(0)
        raise ValueError("secret of the house")
