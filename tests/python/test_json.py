"""The stand-in for orjson gives the same bytes and refuses the same values."""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import subprocess
import sys
from typing import Any

import orjson
import pytest
from asioserve import HTTPException, RequestValidationError, _json, _json_standin
from hypothesis import example, given
from hypothesis import strategies as st


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 3


class Number(enum.IntEnum):
    ONE = 1


class Word(str):
    __slots__ = ()


class Row(dict[str, Any]):
    pass


class Real(float):
    pass


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None
    _hidden: int = 3


@dataclasses.dataclass(slots=True)
class Slim:
    a: Any
    _b: int = 2


@dataclasses.dataclass
class Child(Point):
    z: Any = 1
    limit: dataclasses.InitVar[int] = 5


Pair = collections.namedtuple("Pair", "left right")

zones = st.sampled_from(
    [
        None,
        datetime.UTC,
        datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
        datetime.timezone(datetime.timedelta(hours=-3, minutes=-30)),
    ]
)


def has_all_zeros(time: datetime.time) -> bool:
    """Orjson 3.13.0 writes 00:00:00.010000 as 00:00:00.10000, which is another time; the stand-in does
    not."""
    return time.microsecond == 0 or time.microsecond >= 100_000


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
    | st.datetimes(timezones=zones) | st.dates() | st.times().filter(has_all_zeros) | st.uuids()
    | st.sampled_from([*Colour, *Number, Word("w\u2028"), Real(1.5), decimal.Decimal("1.50"), decimal.Decimal("7")])
    | st.sampled_from([b"bytes", pathlib.PurePosixPath("/a"), datetime.timedelta(seconds=1.5)])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)
        | st.builds(Point, inner, inner) | st.builds(Slim, inner) | st.builds(Child, inner, inner, st.just(3), inner)
        | st.builds(Row, st.dictionaries(st.text(), inner)) | st.builds(Pair, inner, inner)
        | st.dictionaries(st.integers() | st.sampled_from([Word("k"), None, *Colour]), inner, max_size=1)
    ),
    max_leaves=8,
)  # fmt: skip


def outcome(function: Any, value: Any) -> bytes | str:
    try:
        return bytes(function(value, _json.encode_default))
    except TypeError:  # orjson.JSONEncodeError is one
        return "refused"


@given(values)
@example("\ud800")
@example({"\ud800": 1})
@example(2**64)
@example(2**64 - 1)
@example(-(2**63) - 1)
@example([1e16, 1e-7, 1.0, -0.0, 1e22, 5e-324, 1.7976931348623157e308, 123456789012345680.0])
@example(math.nan)
@example({1: 2})
@example({"a": object()})
@example('\x00\x1f\x7f\u2028"\\/\b\f\n\r\t')
def test_the_stand_in_gives_orjsons_bytes(value: Any) -> None:
    assert outcome(_json_standin.dumps, value) == outcome(orjson.dumps, value)


@pytest.mark.parametrize("depth", [10, 253, 254, 255, 256, 300])
@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"a": v}, Slim, Point])
def test_both_refuse_what_is_nested_too_deeply(depth: int, wrap: Any) -> None:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    assert outcome(_json_standin.dumps, value) == outcome(orjson.dumps, value)


def test_both_end_with_a_value_that_contains_itself() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert outcome(_json_standin.dumps, circle) == outcome(orjson.dumps, circle) == "refused"


def test_attributes_added_to_a_dataclass_are_treated_alike() -> None:
    point = Point(1)
    point.extra = 2  # type: ignore[attr-defined]
    assert outcome(_json_standin.dumps, point) == outcome(orjson.dumps, point)


def test_a_pydantic_model_is_encoded_by_itself() -> None:
    pydantic = pytest.importorskip("pydantic", reason="it is in the requirements")
    model = pydantic.create_model("Model", at=(datetime.date, ...), n=(decimal.Decimal, ...))
    value = model(at="2020-01-02", n="1.50")
    assert _json.dumps([value]) == b'[{"at":"2020-01-02","n":"1.50"}]'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({3}, b"[3]"),
        (frozenset(), b"[]"),
        (collections.deque([1, 2]), b"[1,2]"),
        (Pair(1, 2), b"[1,2]"),
        (decimal.Decimal("3"), b"3"),
        (decimal.Decimal("3.5"), b"3.5"),
        (b"ab", b'"ab"'),
        (b"\xff", '"\ufffd"'.encode()),
        (datetime.timedelta(minutes=1), b"60.0"),
        (pathlib.PurePosixPath("/a/b"), b'"/a/b"'),
        (ValueError("x"), b"{}"),
        ((i for i in range(2)), b"[0,1]"),
    ],
)
def test_types_without_a_form_of_their_own_are_written_as_fastapi_writes_them(
    value: Any, expected: bytes
) -> None:
    assert _json.dumps(value) == expected


@given(
    st.binary()
    | st.text().map(str.encode)
    | values.map(lambda v: json.dumps(v, default=str, skipkeys=True).encode())
)
@example(b"NaN")
@example(b"[1e999, 123456789012345678901234567890]")
@example(b"[9223372036854775807, -9223372036854775809, 18446744073709551616, 1e30]")
@example(b'"\\ud800"')
@example(b"[" * 5000)
@example(b"1" * 5000)
@example("\ufeff1".encode())
@example(b"")
def test_json_is_read_or_refused_as_the_standard_library_does(raw: bytes) -> None:
    try:
        expected = json.loads(raw)
    except json.JSONDecodeError as error:
        with pytest.raises(RequestValidationError) as caught:
            _json.loads(raw)
        assert caught.value.errors() == [{
            "type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error",
            "input": {}, "ctx": {"error": error.msg},
        }]  # fmt: skip
    except (ValueError, RecursionError):
        with pytest.raises(HTTPException) as refused:
            _json.loads(raw)
        assert (refused.value.status_code, refused.value.detail) == (
            400,
            "There was an error parsing the body",
        )
    else:
        assert repr(_json.loads(raw)) == repr(expected)


def test_the_stand_in_keeps_the_zeros_of_a_time() -> None:
    assert _json_standin.dumps(datetime.time(1, 2, 3, 45)) == b'"01:02:03.000045"'


@given(
    st.lists(
        st.fixed_dictionaries({"input": values | st.just(object()), "loc": st.tuples(st.text())}), max_size=2
    )
)
@example([{"input": "\ud800"}])
@example([{"input": 2**70, "ctx": {"error": ValueError("x")}}])
def test_the_errors_of_a_422_can_always_be_encoded(errors: list[Any]) -> None:
    assert "detail" in json.loads(_json.encode_errors(errors))


def test_without_orjson_the_stand_in_is_used() -> None:
    code = (
        "import sys; sys.modules['orjson'] = None; import asioserve._json as j; "
        "print(j.dumps({'a': [1.0, None, 'é']}), j.loads(b'[1]'), j.encode.__module__)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(pathlib.Path(_json.__file__).parents[1])},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    expected = '{"a":[1.0,null,"é"]}'.encode()
    assert run.stdout.strip() == f"{expected!r} [1] asioserve._json_standin"
