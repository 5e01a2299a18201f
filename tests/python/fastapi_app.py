"""Endpoints that FastAPI and this package both take, and what to ask them; see ``fastapi_answers.py``."""

import datetime
import enum
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Case = tuple[str, str, str, dict[str, str]]
"""Method, target, body, headers."""


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: str = "d"
    z: list[int] = field(default_factory=list)


class Model(BaseModel):
    name: str = Field(min_length=2)
    n: int = 3
    point: Point | None = None
    when: datetime.datetime | None = None


def make(kit: Any) -> Any:
    """The app; ``kit`` has App, HTTPException and the markers."""
    app = kit.App()
    for kind, name in [
        (int, "int"), (float, "float"), (bool, "bool"), (str, "str"), (Colour, "enum"), (uuid.UUID, "uuid"),
        (datetime.date, "date"), (Literal["a", "b"], "literal"), (Annotated[int, kit.Path(ge=0, lt=5)], "small"),
        (Annotated[str, kit.Path(min_length=2, pattern="^[a-z]+$")], "word"),
    ]:  # fmt: skip

        async def path(v: Any) -> Any:
            return {"v": v}

        path.__annotations__["v"] = kind
        app.get(f"/{name}/{{v}}")(path)

    for kind, name in [
        (dict, "dict"), (dict[str, int], "dict-int"), (list[int], "list-int"), (Point, "point"), (Model, "model"),
        (list[Point], "points"), (Point | None, "optional"), (Annotated[Point, kit.Body(embed=True)], "embedded"),
        (Annotated[int, kit.Body()], "number"), (tuple[int, str], "tuple"), (Annotated[set[int], kit.Body()], "set"),
    ]:  # fmt: skip

        async def body(v: Any) -> Any:
            return {"v": v}

        body.__annotations__["v"] = kind
        app.post(f"/{name}")(body)

    async def query(
        a: int, b: str | None = None, c: float = 1.5, d: bool = False, e: Annotated[list[int], kit.Query()] = [],  # noqa: B006
        f: Annotated[int, kit.Query(ge=3, alias="F")] = 4, g: Annotated[set[Colour] | None, kit.Query()] = None,
    ) -> Any:  # fmt: skip
        return [a, b, c, d, e, f, g and sorted(x.value for x in g)]

    async def headers(
        x_token: Annotated[str, kit.Header()], n: Annotated[int | None, kit.Header(alias="X-Num")] = None,
        many: Annotated[list[str] | None, kit.Header()] = None, c: Annotated[str, kit.Cookie()] = "no",
    ) -> Any:  # fmt: skip
        return [x_token, n, many, c]

    async def two(a: Point, b: Model, q: int = 0) -> Any:
        return [a.x, b.name, q]

    async def raising(code: int) -> Any:
        raise kit.HTTPException(code, headers={"x-a": "b"})

    async def detail() -> Any:
        raise kit.HTTPException(418, detail={"a": [1]})

    async def broken() -> Any:
        raise ValueError("secret")

    async def created() -> Any:
        return {"a": None}

    app.get("/query")(query)
    app.get("/headers")(headers)
    app.post("/two")(two)
    app.get("/raise/{code}")(raising)
    app.get("/detail")(detail)
    app.get("/broken")(broken)
    app.post("/created", status_code=201)(created)
    return app


TEXTS = (
    "1 -1 +1 01 1.0 1.5 1e3 abc %20 %201%20 1_000 1__0 _1 %D9%A3 true TRUE on off f 1. .5 2 4 5 %FF %C3%A9 0x1 red RED a c "
    "2020-01-02 2020-13-01 1234567812345678123456781234567a x-y ab aB"
).split()
BODIES = [
    "", "{}", "[]", "null", "1", '"s"', "{", '{"v":}', "nope", '{"x":1}', '{"x":"1","y":2,"z":["a"]}', '{"x":1.0,"z":[1,"2"]}',
    '{"a":{"x":1},"b":{"name":"ab"}}', '{"a":{},"b":{"name":"a","point":{"x":"q"},"when":"x"}}', '{"v":{"x":1}}', '{"v":null}',
    "[1,2]", '["1","x",null]', '[1,"a"]', '[{"x":1},{"x":null}]', '{"name":"ab","point":{"x":1},"when":"2020-01-02T03:04:05Z"}',
    '{"name":"ab","n":1.5}', '"\u00e9"', "true", "[[[]]]", ' {"x": 3} ', '{"x":1}x', '{"a":"1","b":"x"}',
]  # fmt: skip
QUERIES = [
    "a=1", "", "a=x", "a=", "a=1&a=2", "a=1&b=", "a=1&b=x%20y+z", "a=1&c=x&d=maybe&e=1&e=x&e=2&F=1", "a=1&F=3", "a=1&f=3",
    "a=1&e=", "a=1&e=5", "a=%FF", "a=1&b=%C3%A9&b=2", "&&a=1", "a", "a=1&d=1&c=-1e5", "=1&a=2", "a=1&g=red&g=blue", "a=1&g=x",
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {}, {"x-token": "t"}, {"X-Token": "t", "x-num": "5", "many": "a,b", "cookie": "c=1; d=2"}, {"x-token": "", "X-NUM": "z"},
    {"x-token": "t", "cookie": "c"}, {"x-token": "t", "cookie": 'c="q w"'},
]  # fmt: skip
TYPES: list[dict[str, str]] = [
    {}, {"content-type": "text/plain"}, {"content-type": "application/vnd.api+json"},
    {"content-type": "application/json; charset=utf-8"}, {"content-type": "APPLICATION/JSON"},
]  # fmt: skip
PATHS = ["int", "float", "bool", "str", "enum", "uuid", "date", "literal", "small", "word"]
POSTS = [
    "dict", "dict-int", "list-int", "point", "model", "points", "optional", "embedded", "number", "tuple", "set", "two", "created",
]  # fmt: skip


def cases() -> Iterator[Case]:
    """Everything that is asked."""
    for name, text in itertools.product(PATHS, TEXTS):
        yield "GET", f"/{name}/{text}", "", {}
    for name, body in itertools.product(POSTS, BODIES):
        yield "POST", f"/{name}", body, {"content-type": "application/json"}
    for name, kind in itertools.product(POSTS, TYPES):
        yield "POST", f"/{name}", '{"x":1}', kind
    for query in QUERIES:
        yield "GET", f"/query?{query}", "", {}
    for headers in HEADERS:
        yield "GET", "/headers", "", headers
    # Not 422, whose phrase is another one since Python 3.13.
    for code in (400, 401, 403, 404, 405, 409, 418, 451, 500, 503, 599, 204, 304):
        yield "GET", f"/raise/{code}", "", {}
    for method, target in [
        ("GET", "/detail"), ("GET", "/broken"), ("GET", "/none"), ("GET", "/"), ("PUT", "/query"), ("GET", "/created"),
        ("DELETE", "/int/1"), ("GET", "/int"), ("GET", "/int/1/2"), ("GET", "//"), ("PATCH", "/none"),
    ]:  # fmt: skip
        yield method, target, "", {}
