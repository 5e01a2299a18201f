"""The native writer of JSON gives the encoder's bytes, or leaves the value to the encoder."""

from __future__ import annotations

import collections
import enum
import functools
import json
import random
from typing import Any

import _harness
import asioserve
import orjson
from asioserve import _json
from harness import Server

MOST_BYTES = 4096
LEVELS = 16
VALUES = 1500
PLAIN = [chr(c) for c in range(0x20, 0x80) if c not in b'"\\']
LIKELY = [*'ab"\\\x00\x1f\x20\x7f\x80é€😀', "\ud800"]


class Values:
    """Values at random, the same in each run. (Hypothesis would do better, but leaves CPython memory that it does
    not free at its end, and this program looks for leaks.)"""

    def __init__(self, plain: bool) -> None:
        self._random = random.Random(7)
        self._plain = plain

    def text(self) -> str:
        r = self._random
        return "".join(r.choices(PLAIN if self._plain or r.random() < 0.7 else LIKELY, k=r.randrange(25)))

    def leaf(self) -> Any:
        r = self._random
        kind = r.randrange(4 if self._plain else 6)
        if kind == 0:
            return r.choice((None, True, False))
        if kind == 1:
            bits = r.randrange(1, 64 if self._plain else 70)
            return r.choice((1, -1)) * r.getrandbits(bits)
        if kind == 4:
            return r.choice((0.0, -0.0, 1e300, float("inf"), float("nan"), r.random(), r.uniform(-1e9, 1e9)))
        return self.text()

    def key(self) -> Any:
        return self.text() if self._plain or self._random.random() < 0.95 else self._random.randrange(4)

    def tree(self, levels: int = 4) -> Any:
        kind = self._random.randrange(5) if levels else 0
        if kind < 2:
            return self.leaf()
        size = self._random.randrange(4)
        if kind == 4:
            return {self.key(): self.tree(levels - 1) for _ in range(size)}
        inner = [self.tree(levels - 1) for _ in range(size)]
        return inner if kind == 2 else tuple(inner)


def encoded(value: Any) -> bytes | None:
    """What the encoder makes of it; None: it refuses."""
    try:
        return _json.dumps(value)
    except TypeError:
        return None


def same(value: Any) -> bool:
    """Whether it was written natively; then it has to be the encoder's bytes."""
    native = _harness.write_json(value)
    assert native in (b"", encoded(value)), value
    return native != b""


def test_the_encoder_is_orjson(two_threads: bool) -> None:
    assert _json.encode is orjson.dumps, "else the rest shows nothing"


def test_values_of_plain_json_are_written_natively(two_threads: bool) -> None:
    values = Values(plain=True)
    for _ in range(VALUES):
        value = values.tree()
        assert same(value) or len(orjson.dumps(value)) > MOST_BYTES


def test_other_values_are_written_alike_or_left_to_the_encoder(two_threads: bool) -> None:
    values = Values(plain=False)
    written = sum(same(values.tree()) for _ in range(VALUES))
    assert 0 < written < VALUES


def test_every_character_at_every_place_of_a_text(two_threads: bool) -> None:
    for code in [*range(0x100), 0x2028, 0xD800, 0x1F600]:
        for size in range(1, 18):
            for at in range(size):
                text = "x" * at + chr(code) + "y" * (size - 1 - at)
                plain = 0x20 <= code <= 0x7F and code not in b'"\\'
                assert same(text) is plain, (text, at)
                assert same({text: 1}) is plain, (text, at)


def test_integers_of_64_bits_are_written_natively(two_threads: bool) -> None:
    edges = [0, *(sign * (10**n + d) for n in range(21) for d in (-1, 0, 1) for sign in (1, -1))]
    edges += [2**n + d for n in (31, 32, 62, 63, 64) for d in (-1, 0, 1)]
    edges += [-(2**n) + d for n in (31, 32, 62, 63, 64) for d in (-1, 0, 1)]
    for number in edges:
        assert same(number) is (-(2**63) <= number < 2**63), number


class Word(str):
    """A str, but for orjson's keys."""

    __slots__ = ()


class Number(enum.IntEnum):
    """An int with a name."""

    ONE = 1


def test_what_is_not_exactly_of_json_is_left_to_the_encoder(two_threads: bool) -> None:
    pair = collections.namedtuple("pair", "a b")
    for value in (
        1.0, float("nan"), b"x", object(), Word("x"), Number.ONE, {1: 2}, {None: 1}, {Word("k"): 1}, {True: 1},
        pair(1, 2), collections.OrderedDict(a=1), type("L", (list,), {})([1]), {1}, frozenset(), "é", "\ud800",
        {"\x80": 1}, 2**63,
    ):  # fmt: skip
        for wrapped in (value, [1, value], ("a", value), {"a": 1, "b": value}):
            assert not same(wrapped), wrapped


def test_deep_values_and_circles_are_left_to_the_encoder(two_threads: bool) -> None:
    for wrap in (lambda v: [v], lambda v: (v,), lambda v: {"a": v}):
        value: Any = 1
        for levels in range(1, 2 * LEVELS):
            value = wrap(value)
            assert same(value) is (levels <= LEVELS), levels
    circle: list[Any] = []
    circle.append(circle)
    assert not same(circle)


def test_long_values_are_left_to_the_encoder(two_threads: bool) -> None:
    def grow(make: Any) -> None:
        sizes = [len(orjson.dumps(make(n))) for n in range(MOST_BYTES + 200) if same(make(n))]
        # A little more or less, depending on what the text ends with.
        assert MOST_BYTES - 100 < max(sizes) < MOST_BYTES + 64

    grow("x".__mul__)
    grow(lambda n: {"x" * n: 1})
    tails: list[Any] = [[-(2**63)] * 3, "yy", {"": [[[[None, True]]]]}, {"k" * 9: -(2**63)}, [[]], ()]
    for tail in tails:
        for levels in (0, LEVELS - 6):
            value: Any = tail
            for _ in range(levels):
                value = [value]
            for n in range(MOST_BYTES - 120, MOST_BYTES + 60):
                same(["x" * n, value])
    items: list[Any] = [None, [], {"a": ()}, -(2**63)]
    for item in items:
        assert not same([item] * 9000)


def _give(value: Any) -> Any:
    return value


def test_an_answer_is_the_same_from_either_side_of_the_limits(two_threads: bool) -> None:
    values = {
        "small": {"a": [1, None, (True, "x")]}, "float": {"a": 1.5}, "long": ["x" * 5000], "quoted": ['"'],
        "text": ({"a": "é"}, 201), "pair": ([1], 201),
    }  # fmt: skip
    app = asioserve.App()
    for name, value in values.items():
        app.get(f"/{name}")(functools.partial(_give, value))
    server = Server(app, two_threads)
    for name, value in values.items():
        x = server.ask("GET", f"/{name}")
        body, status = value if isinstance(value, tuple) else (value, 200)
        assert (x.status, x.body) == (status, orjson.dumps(body)), name
        assert json.loads(x.body) == json.loads(json.dumps(body)), name
