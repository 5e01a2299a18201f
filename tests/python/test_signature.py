"""What a signature comes to, and what is refused when a handler is declared."""

import dataclasses
import datetime
import enum
import functools
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import pydantic
import pytest
from asioserve import App, Body, Cookie, Header, Path, Query, Request
from asioserve._plan import Param


@dataclasses.dataclass
class Item:
    name: str


class Model(pydantic.BaseModel):
    name: str


class Colour(enum.Enum):
    RED = "red"


def params(endpoint: Callable[..., Any], path: str = "/", method: str = "POST") -> dict[str, Param]:
    app = App()
    app.route(path, [method])(endpoint)
    (route,) = app._compile().routes
    return {p.name: p for p in route.params}


def one(annotation: Any, default: Any = ..., path: str = "/", method: str = "POST") -> Param:
    def endpoint(p: Any = default) -> None: ...

    if default is ...:

        def endpoint(p: Any) -> None: ...  # type: ignore[misc]

    endpoint.__annotations__["p"] = annotation
    return params(endpoint, path, method)["p"]


@pytest.mark.parametrize(
    ("annotation", "source", "kind"),
    [
        (str, "query", "str"), (int, "query", "int"), (float, "query", "float"), (bool, "query", "bool"),
        (Any, "query", "str"), (int | None, "query", "int"), (Annotated[int, "words"], "query", "int"),
        (uuid.UUID, "query", "python"), (datetime.date, "query", "python"), (Colour, "query", "python"),
        (Literal["a"], "query", "python"), (int | str, "query", "python"),
        (dict, "body", "json"), (dict[str, Any], "body", "json"), (list, "body", "json"), (list[Any] | None, "body", "json"),
        (dict[str, int], "body", "python"), (list[int], "body", "python"), (Item, "body", "python"),
        (Item | None, "body", "python"), (list[Item], "body", "python"), (Model, "body", "python"),
        (set[int], "body", "python"), (tuple[int, str], "body", "python"), (bytes, "body", "bytes"),
        (Annotated[int, Body()], "body", "python"), (Annotated[Any, Body()], "body", "json"),
        (Annotated[int, Query()], "query", "int"), (Annotated[int, Query(ge=1)], "query", "python"),
        (Annotated[str, Header()], "header", "str"), (Annotated[str, Cookie()], "cookie", "str"),
        (Annotated[int, pydantic.Field(ge=1)], "query", "python"), (Request, "request", "str"),
    ],
)  # fmt: skip
def test_the_type_says_where_a_parameter_comes_from_and_who_converts_it(
    annotation: Any, source: str, kind: str
) -> None:
    p = one(annotation)
    assert (p.source, p.type, p.required, p.many) == (source, kind, True, False)
    assert (p.convert is not None) == (kind == "python")


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [(list[int], "int"), (list[str], "str"), (list, "str"), (Sequence[float], "float"), (list[bool] | None, "bool"),
     (set[int], "python"), (tuple[int, ...], "python"), (list[uuid.UUID], "python"), (list[Colour], "python")],
)  # fmt: skip
@pytest.mark.parametrize("marker", [Query, Header])
def test_lists_are_gathered_from_query_and_headers_where_they_are_marked(
    annotation: Any, kind: str, marker: Any
) -> None:
    p = one(Annotated[annotation, marker()])
    assert (p.many, p.type) == (True, kind)


def test_defaults_of_all_spellings() -> None:
    def endpoint(
        a: int, b: int = 1, c: int = Query(2), d: int = Query(), e: int = Query(...), f: Annotated[int, Query()] = 6,
        g: int | None = None, h: list[str] = Query(default_factory=list),  # noqa: B008
        i: Annotated[int, Query(9)] = ...,
        j: str = Header("x", alias="X-Jay"), k: str = Header("y", convert_underscores=False),
    ) -> None: ...  # fmt: skip

    found = params(endpoint)
    assert {n: (p.required, p.default) for n, p in found.items()} == {
        "a": (True, None), "b": (False, 1), "c": (False, 2), "d": (True, None), "e": (True, None), "f": (False, 6),
        "g": (False, None), "h": (False, None), "i": (False, 9), "j": (False, "x"), "k": (False, "y"),
    }  # fmt: skip
    assert found["h"].default_factory is list
    assert (found["g"].optional, found["b"].optional) == (True, False)
    assert (found["j"].alias, found["j"].label) == ("x-jay", "X-Jay")


def test_names_are_looked_up_by_their_alias() -> None:
    def endpoint(
        user_agent: Annotated[str, Header()], raw_name: Annotated[str, Header(convert_underscores=False)],
        q: Annotated[str, Query(alias="query")], session: Annotated[str, Cookie(alias="sid")],
        number: Annotated[int, Path(alias="n")],
    ) -> None: ...  # fmt: skip

    aliases = {n: p.alias for n, p in params(endpoint, "/{n}").items()}
    assert aliases == {
        "user_agent": "user-agent", "raw_name": "raw_name", "q": "query", "session": "sid", "number": "n",
    }  # fmt: skip


def test_path_parameters_take_the_type_of_the_signature_or_else_of_the_convertor() -> None:
    def endpoint(a: int, b, c, d: Annotated[int, Path(ge=1)], e: Colour) -> None: ...  # type: ignore[no-untyped-def]

    found = params(endpoint, "/{a}/{b:int}/{c}/{d}/{e:path}")
    assert {n: (p.source, p.type) for n, p in found.items()} == {
        "a": ("path", "int"), "b": ("path", "int"), "c": ("path", "str"), "d": ("path", "python"), "e": ("path", "python"),
    }  # fmt: skip


def test_one_body_is_the_whole_and_several_are_parts() -> None:
    def single(item: Item) -> None: ...
    def embedded(item: Annotated[Item, Body(embed=True)]) -> None: ...
    def double(item: Item, model: Model, q: int = 1) -> None: ...

    assert [p.embed for p in params(single).values()] == [False]
    assert [p.embed for p in params(embedded).values()] == [True]
    assert [p.embed for p in params(double).values()] == [True, True, False]


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [(lambda: None, "ignore"), (lambda request: None, "stream"), (lambda q: None, "ignore")],
)
def test_the_body_is_read_as_the_signature_needs_it(endpoint: Any, body: str) -> None:
    app = App()
    app.post("/")(endpoint)

    @app.post("/both")
    async def both(request: Request, item: Item) -> None: ...

    first, second = app._compile().routes
    assert (first.body, second.body) == (body, "collect")


class Callable1:
    async def __call__(self, n: int) -> None: ...


class Methods:
    def plain(self, n: int) -> None: ...
    async def coroutine(self, n: int) -> None: ...


def wrapping(endpoint: Any) -> Any:
    @functools.wraps(endpoint)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await endpoint(*args, **kwargs)

    return wrapper


async def two(m: str, n: int) -> None: ...


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [(Callable1(), "coroutine"), (Methods().plain, "plain"), (Methods().coroutine, "coroutine"),
     (functools.partial(two, m="x"), "coroutine"), (wrapping(Methods().coroutine), "coroutine"), (lambda n=1: n, "plain")],
)  # fmt: skip
def test_anything_callable_is_an_endpoint(endpoint: Any, kind: str) -> None:
    app = App()
    app.get("/")(endpoint)
    (route,) = app._compile().routes
    assert route.kind == kind
    assert "n" in [p.name for p in route.params]


def test_types_of_an_enclosing_function_are_found_in_text_too() -> None:
    class Local:
        pass

    local = dataclasses.make_dataclass("Local2", [("x", int)])

    def endpoint(item: "local") -> None:  # type: ignore[valid-type]
        local(1)

    assert params(endpoint)["item"].type == "python"
    assert Local is not None


def refused(message: str, endpoint: Any, path: str = "/", method: str = "GET", **options: Any) -> None:
    app = App()
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        app.route(path, [method], **options)(endpoint)
    name = getattr(endpoint, "__name__", type(endpoint).__name__)
    assert name in str(caught.value), "the error names the function"
    assert path in str(caught.value)
    assert app._compile().routes == ()


def test_a_path_that_makes_no_sense_is_refused() -> None:
    refused("does not start with '/'", lambda: None, "user")
    refused(re.escape("{id} twice"), lambda id: None, "/{id}/{id}")
    refused("a brace without its other half", lambda: None, "/{id")
    refused("neither {name} nor {name:convertor}", lambda: None, "/{a-b}")
    refused("neither", lambda: None, "/{}")
    refused("the convertor 'number'; there are str, path, int, float, uuid", lambda n: None, "/{n:number}")
    refused(r"has a \?, which no path can match", lambda: None, "/a?b=1")


def test_a_signature_that_does_not_fit_the_path_is_refused() -> None:
    def query(id: Annotated[int, Query()]) -> None: ...
    def default(id: int = 1) -> None: ...
    def other(x: Annotated[int, Path()]) -> None: ...
    def container(id: list[int]) -> None: ...

    refused("but there is no parameter 'id' to take it", lambda: None, "/{id}")
    refused("'id' is in the path, so it cannot come from the query", query, "/{id}")
    refused("'id' is in the path, so it cannot have a default", default, "/{id}")
    refused(r"marked Path\(\), but {x} is not in the path", other, "/{id}")
    refused("'id' is in the path, so it cannot be a list", container, "/{id}")
    App().get("/{id}")(lambda request: None)  # it may look for itself


def test_a_body_where_there_is_none_is_refused() -> None:
    def model(item: Item) -> None: ...
    def two_models(item: Item, model: Model) -> None: ...
    def tags(tags: list[str]) -> None: ...
    def meant(item: Annotated[Item, Body()]) -> None: ...

    refused("'item' would be read from the body, which GET requests do not have", model)
    refused("'item' would be read from the body", two_models)
    refused(r"say Annotated\[..., Query\(\)\] for the query", tags)
    refused("HEAD requests do not have", model, method="HEAD")
    App().get("/")(meant)
    App().route("/", ["GET", "POST"])(model)


def test_other_signatures_that_cannot_work_are_refused() -> None:
    def stars(*args: int) -> None: ...
    def options(**kwargs: int) -> None: ...
    def positional(a: int, /) -> None: ...
    def raw(a: bytes, b: Item) -> None: ...
    def embedded(a: Annotated[bytes, Body(embed=True)]) -> None: ...
    def uncalled(a: Annotated[int, Query]) -> None: ...
    def twice(a: Annotated[int, Query()] = Query(1)) -> None: ...
    def two_defaults(a: Annotated[int, Query(1)] = 2) -> None: ...
    def marked(request: Annotated[Request, Query()]) -> None: ...
    def unknown(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def odd(a: Annotated[Methods, Query()]) -> None: ...
    def header(a: Annotated[Item, Header()]) -> None: ...
    def cookie(a: Annotated[list[int], Cookie()]) -> None: ...
    def nested(a: Annotated[list[Item], Query()]) -> None: ...
    def bound(a: Annotated[str, Query(ge=1)]) -> None: ...
    def clash(x_a: Annotated[str, Header()], b: Annotated[str, Header(alias="X-A")]) -> None: ...
    async def generator() -> Any:
        yield 1

    async def coroutine() -> None: ...

    refused(r"\*args could be anything; a decorator around it needs functools.wraps", stars)
    refused(r"\*\*kwargs could be anything", options)
    refused("'a' is positional only", positional)
    refused("'a' takes the whole body", raw, method="POST")
    refused("cannot be embedded", embedded, method="POST")
    refused(r"has to be called: Query\(\)", uncalled)
    refused("a marker in Annotated and one as its default", twice)
    refused("a default in its marker and one behind '='", two_defaults)
    refused("'request' is the request itself", marked)
    refused("'Nowhere' cannot be looked up", unknown)
    refused("Methods is not a type that can be checked", odd)
    refused("a Item, which cannot come from the header", header)
    refused("only query and headers have several values", cookie)
    refused("a list of Item, which no text can say", nested)
    refused("ge= does not apply to str", bound)
    refused("'x_a' and 'b' are both 'x-a' in the header", clash)
    refused("return StreamingResponse", generator)
    refused("pool= is for def endpoints", coroutine, pool=True)
    refused("700 is no status", coroutine, status_code=700)
    refused("are no methods", coroutine, method="")
    refused("an endpoint has to be callable", 5)


def test_markers_refuse_what_they_do_not_know() -> None:
    with pytest.raises(TypeError, match="Query\\(\\) has no keyword min_lenght"):
        Query(min_lenght=3)
    with pytest.raises(TypeError, match="a default or a default_factory, not both"):
        Query(1, default_factory=list)
    with pytest.raises(TypeError, match=r"Path\(\) has no default"):
        Path(1)
    assert Body(description="words", examples=[1], media_type="x") is not None


def test_methods_are_a_list_and_websockets_are_reserved() -> None:
    with pytest.raises(TypeError, match="not the text 'GET'"):
        App().route("/", "GET")
    with pytest.raises(NotImplementedError, match=r"WebSockets are not supported yet.*'/ws'"):
        App().websocket("/ws")
