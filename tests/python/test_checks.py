"""Our own checks take what pydantic takes and have its words for what it does not: the two are asked the
same."""

import dataclasses
import datetime
import decimal
import enum
import subprocess
import sys
import typing
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import asioserve
import pydantic
import pytest
from asioserve import RequestValidationError
from asioserve._markers import Constraints
from asioserve._signature import Convert
from asioserve._validate import Builder
from hypothesis import assume, example, given
from hypothesis import strategies as st


class Colour(enum.Enum):
    RED = "red"
    TWO = 2
    NOTHING = None


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Name(enum.StrEnum):
    ADA = "ada"


class Ratio(float, enum.Enum):
    HALF = 0.5


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Tree:
    value: int
    children: "list[Tree]" = dataclasses.field(default_factory=list)
    parent: "Tree | None" = None


@dataclasses.dataclass(slots=True, frozen=True)
class Frozen:
    point: Point
    colour: Colour = Colour.RED
    pair: tuple[int, str] | None = None


@dataclasses.dataclass
class Picky:
    x: int
    given: dataclasses.InitVar[int]
    shared: typing.ClassVar[int] = 1
    made: int = dataclasses.field(init=False, default=5)
    _: dataclasses.KW_ONLY
    late: bool = False

    def __post_init__(self, given: int) -> None:
        if self.x < 0:
            raise ValueError("x is negative")
        assert self.x != 7, "not seven"
        self.sum = self.x + given


@dataclasses.dataclass
class Child(Point):
    z: Literal["a", "b"] = "a"


def ours(annotation: Any, value: Any, bounds: Constraints | None = None) -> tuple[str, Any]:
    convert = Convert(Builder().build(annotation, bounds))
    try:
        return "value", convert(value, ("body", "p"))
    except RequestValidationError as error:
        return "errors", error.errors()


def pydantics(annotation: Any, value: Any, bounds: Constraints | None = None) -> tuple[str, Any]:
    if bounds is not None:
        given = {n: getattr(bounds, n) for n in Constraints.__slots__ if getattr(bounds, n) is not None}
        annotation = Annotated[annotation, pydantic.Field(**given)]
    try:
        return "value", pydantic.TypeAdapter(annotation).validate_python(value, from_attributes=True)
    except pydantic.ValidationError as error:
        return "errors", [{**e, "loc": ("body", "p", *e["loc"])} for e in error.errors(include_url=False)]


def same(annotation: Any, value: Any, bounds: Constraints | None = None) -> None:
    # By repr: NaN is itself then, 1 is not 1.0, and two ValueErrors with one text are the same.
    assert repr(ours(annotation, value, bounds)) == repr(pydantics(annotation, value, bounds))


numeric = st.from_regex(r"\A[ \t\n\xa0\x1c\x85]?[+-]?[0-9_.eE+\-]{0,8}[ \n]?\Z")
words = st.sampled_from(
    "true True FALSE on off yes no y n t f 1 0 2 1.0 inf -inf nan NaN Infinity iNf red ada small a b 0.5 1_0 ١ １".split()
)
texts = st.text(max_size=4) | numeric | words
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=3)
json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
SCALARS = [int, float, bool, str, None, Any, object]
ENUMS = [Colour, Size, Name, Ratio, Access, Literal["a"], Literal["a", 1, None], Literal["a", "b", "c"]]


@given(st.sampled_from(SCALARS), texts | json)
@example(int, "1" * 4300)
@example(int, "1" * 4301)
@example(int, "-" + "1" * 4300)
@example(int, "x" * 4301)
@example(int, "1" * 4299 + ".0")
@example(int, " " + "1" * 4300)
@example(int, 1e30)
@example(int, 2.0**63)
@example(int, -(2.0**63))
@example(float, 2**2000)
@example(float, "1e999")
@example(float, "__")
@example(float, "_")
@example(float, "")
@example(bool, 2.0)
@example(bool, float("inf"))
def test_scalars(annotation: Any, value: Any) -> None:
    same(annotation, value)


@given(
    st.sampled_from(ENUMS), texts | json | st.sampled_from([*Colour, *Size, *Name, *Access, 3, 8, 1.0, True])
)
def test_enums_and_literals(annotation: Any, value: Any) -> None:
    # pydantic takes the members of other enums for this or that; JSON has none.
    assume(not isinstance(value, enum.Enum) or type(value) is annotation)
    # An integer beyond 64 bits that is no member is an error of its size there.
    assume(not isinstance(value, int) or abs(value) < 2**63)
    same(annotation, value)


containers = st.sampled_from([
    list, list[int], list[Any], dict, dict[str, int], dict[int, float], dict[str, Any], set[int], set[str],
    frozenset[int], tuple[int, ...], tuple[int, str], tuple, int | None, list[int] | None, list[list[int]],
    dict[str, list[bool]], typing.List[int], typing.Optional[str], typing.Dict[str, str],  # noqa: UP006, UP045
    set[Any], list[int | None], list[Colour], dict[Name, int],
])  # fmt: skip


@given(containers, json)
@example(tuple[int, str], [1])
@example(tuple[int, str], [1, "a", 2])
@example(tuple[int], [1, 2])
@example(set[Any], [[1]])
@example(dict[int, float], {"a": "b"})
def test_containers(annotation: Any, value: Any) -> None:
    if isinstance(value, dict) and any(isinstance(key, bytes) for key in value):
        return
    same(annotation, value)


people = st.fixed_dictionaries(
    {},
    optional={
        "x": texts | scalars | st.integers(-1, 8), "y": texts | scalars, "tags": json, "value": scalars,
        "children": st.lists(st.fixed_dictionaries({"value": texts}), max_size=2) | json, "parent": json,
        "point": st.fixed_dictionaries({"x": texts}) | json, "colour": words, "pair": json, "given": st.integers(),
        "made": scalars, "shared": scalars, "late": scalars | words, "z": words, "other": json,
    },
)  # fmt: skip


@given(
    st.sampled_from([Point, Tree, Frozen, Picky, Child, list[Point], Point | None, dict[str, Point]]),
    people | json,
)
@example(Picky, {"x": -1, "given": 1})
@example(Picky, {"x": 7, "given": 1})
@example(Picky, {"x": "3", "given": "4", "made": 9, "late": "yes"})
@example(Point, [])
@example(Point, b"raw")
@example(Tree, {"value": 1, "children": [{"value": "x"}], "parent": {"value": None}})
@example(list[Point], [{"x": 1}, {}])
def test_dataclasses(annotation: Any, value: Any) -> None:
    same(annotation, value)


BOUNDS = [
    (int, Constraints(gt=3)), (int, Constraints(ge=3, le=5)), (int, Constraints(lt=3)), (int, Constraints(multiple_of=3)),
    (int, Constraints(gt=0, lt=5, multiple_of=2)), (float, Constraints(gt=0.5)), (float, Constraints(ge=1, lt=2.5)),
    (float, Constraints(le=-1)), (float, Constraints(multiple_of=0.1)), (str, Constraints(min_length=2)),
    (str, Constraints(max_length=1)), (str, Constraints(min_length=1, max_length=3, pattern="^[a-z]+$")),
    (str, Constraints(pattern="a")), (list[int], Constraints(min_length=1)), (list[int], Constraints(max_length=2)),
    (list[str], Constraints(max_length=1)), (dict[str, Any], Constraints(min_length=1)), (dict[str, int], Constraints(max_length=1)),
    (set[int], Constraints(min_length=2)), (set[int], Constraints(max_length=1)), (tuple[int, ...], Constraints(max_length=1)),
    (frozenset[int], Constraints(min_length=1)), (int | None, Constraints(ge=2)), (str | None, Constraints(max_length=2)),
    (decimal.Decimal, Constraints(ge=2)), (datetime.date, Constraints(ge=datetime.date(2020, 1, 1))),
]  # fmt: skip


@given(
    st.sampled_from(BOUNDS),
    texts | st.floats() | st.integers(-10, 10) | json | st.lists(texts | st.integers()),
)
@example((str, Constraints(pattern="^a$")), "a\n")
@example((float, Constraints(gt=3)), "nan")
@example((list[int], Constraints(max_length=1)), ["x", "y"])
def test_bounds(bounded: tuple[Any, Constraints], value: Any) -> None:
    # Whether a huge float is a multiple of 0.1 is a matter of taste.
    assume(bounded[1].multiple_of != 0.1 or not isinstance(value, (int, float)) or abs(value) < 1e6)
    same(bounded[0], value, bounded[1])


class Model(pydantic.BaseModel):
    name: Annotated[str, pydantic.Field(min_length=2)]
    at: datetime.datetime | None = None
    point: Point | None = None


@dataclasses.dataclass
class WithModel:
    model: Model
    id: uuid.UUID | None = None
    many: Annotated[list[Model], pydantic.Field(max_length=1)] = dataclasses.field(default_factory=list)


THEIRS = [
    Model, list[Model], WithModel, uuid.UUID, datetime.datetime, datetime.date, datetime.timedelta, decimal.Decimal,
    int | str, int | float | None, bool | int, Point | int, Annotated[int, pydantic.Field(gt=3)], Path
]  # fmt: skip


@given(
    st.sampled_from(THEIRS),
    json | st.sampled_from(["2020-01-02", "12345678123456781234567812345678", "2020-01-02T03:04:05Z"])
    | st.fixed_dictionaries({}, optional={"name": texts, "at": texts, "point": people, "model": json, "id": texts, "many": json}),
)  # fmt: skip
@example(WithModel, {"model": {"name": "x"}, "id": "x", "many": [{"name": "ab"}, {}]})
def test_what_pydantic_knows_better_is_left_to_it(annotation: Any, value: Any) -> None:
    same(annotation, value)


def test_a_document_that_is_nested_too_deeply_is_a_422() -> None:
    value: dict[str, Any] = {"value": 1}
    for _ in range(5000):
        value = {"value": 1, "parent": value}
    kind, errors = ours(Tree, value)
    assert kind == "errors"
    assert errors[0]["type"] == "recursion_loop"


def test_an_exception_of_the_apps_own_code_is_not_a_validation_error() -> None:
    @dataclasses.dataclass
    class Broken:
        x: int

        def __post_init__(self) -> None:
            raise KeyError("x")

    with pytest.raises(KeyError):
        ours(Broken, {"x": 1})


@pytest.mark.parametrize(
    ("annotation", "bounds", "message"),
    [
        (str, Constraints(ge=1), "ge= does not apply to str"),
        (int, Constraints(min_length=1), "min_length= does not apply to int"),
        (list[int], Constraints(pattern="x"), "pattern= does not apply to list"),
        (type("Odd", (), {}), None, "Odd is not a type that can be checked"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_check_is_built(
    annotation: Any, bounds: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        Builder().build(annotation, bounds)


WITHOUT = """
import sys
sys.modules["pydantic"] = None
import datetime, decimal, typing, uuid
from asioserve import RequestValidationError
from asioserve._signature import Convert
from asioserve._validate import Builder
def check(annotation, value):
    try:
        return Convert(Builder().build(annotation))(value, ())
    except RequestValidationError as error:
        return [(e["type"], e["loc"]) for e in error.errors()]
assert check(uuid.UUID, "1" * 32) == uuid.UUID("1" * 32)
assert check(uuid.UUID, "x") == [("uuid_parsing", ())]
assert check(datetime.datetime, "2020-01-02T03:04:05Z").year == 2020
assert check(datetime.datetime, 0).year == 1970
assert check(datetime.date, "2020-13-01") == [("date_parsing", ())]
assert check(decimal.Decimal, "1.50") == decimal.Decimal("1.50")
assert check(decimal.Decimal, "x") == [("decimal_parsing", ())]
assert check(typing.Union[int, str], "1") == "1"
assert check(typing.Union[int, float], "1.5") == 1.5
assert check(typing.Union[int, bool], "x") == [("int_parsing", ("int",)), ("bool_parsing", ("bool",))]
try:
    Builder().build(type("Odd", (), {}))
except TypeError as error:
    assert "with pydantic installed" in str(error), error
else:
    raise AssertionError
print("ok")
"""


def test_without_pydantic_the_standard_library_does_what_it_can() -> None:
    path = str(Path(asioserve.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.strip() == "ok", run.stderr
