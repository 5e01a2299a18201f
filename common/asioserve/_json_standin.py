"""A stand-in for ``orjson.dumps``, for where orjson is not installed: the same bytes, the same refusals.

It is plain Python and some twenty times slower; ``tests/python`` compares the two on generated values.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import uuid
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any

DEPTH = 254
"""orjson's own bound on nesting, and on how often in a row ``default`` may be asked."""

_RESERVED = frozenset(("__dict__", "__weakref__"))


def dumps(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """The JSON of ``value`` as UTF-8; ``default`` is asked about types that JSON does not have."""
    parts: list[str] = []
    _Writer(parts, default).write(value, 0, 0)
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError:
        raise TypeError("str is not valid UTF-8: surrogates not allowed") from None


class _Writer:
    def __init__(self, parts: list[str], default: Callable[[Any], Any] | None) -> None:
        self.put = parts.append
        self.default = default

    def write(self, value: Any, depth: int, asked: int) -> None:
        """Writes one value. Subclasses count as their base where orjson sees them so: str, int, dict, list,
        Enum."""
        kind = type(value)
        if kind is str:
            self.put(encode_basestring(value))
        elif value is None:
            self.put("null")
        elif value is True:
            self.put("true")
        elif value is False:
            self.put("false")
        elif kind is int:
            self.put(_integer(value))
        elif kind is float:
            self.put(_float(value))
        elif kind is list or kind is tuple:
            self.array(value, depth)
        elif kind is dict:
            self.object(value, depth)
        else:
            self.other(value, depth, asked)

    def other(self, value: Any, depth: int, asked: int) -> None:
        kind = type(value)
        if kind is datetime.datetime:
            self.put(f'"{_datetime(value)}"')
        elif kind is datetime.date or (kind is datetime.time and value.tzinfo is None):
            self.put(f'"{value.isoformat()}"')
        elif kind is uuid.UUID:
            self.put(f'"{value}"')
        elif isinstance(value, enum.Enum):
            self.write(value.value, depth, asked)
        elif isinstance(value, str):
            self.put(encode_basestring(str.__str__(value)))
        elif isinstance(value, int):
            self.put(_integer(int(value)))
        elif isinstance(value, list):
            self.array(value, depth)
        elif isinstance(value, dict):
            self.object(value, depth)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            self.object(_fields(value), depth)
        elif self.default is None or asked >= DEPTH:
            raise TypeError(f"Type is not JSON serializable: {kind.__name__}")
        else:
            self.write(self.default(value), depth, asked + 1)

    def array(self, value: Any, depth: int) -> None:
        if depth >= DEPTH:
            raise TypeError("Recursion limit reached")
        before = "["
        for item in value:
            self.put(before)
            before = ","
            self.write(item, depth + 1, 0)
        self.put("[]" if before == "[" else "]")

    def object(self, value: dict[Any, Any], depth: int) -> None:
        if depth >= DEPTH:
            raise TypeError("Recursion limit reached")
        before = "{"
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError("Dict key must be str")
            self.put(before)
            before = ","
            self.put(encode_basestring(key))
            self.put(":")
            self.write(item, depth + 1, 0)
        self.put("{}" if before == "{" else "}")


def _integer(value: int) -> str:
    if not -(2**63) <= value < 2**64:
        raise TypeError("Integer exceeds 64-bit range")
    return int.__repr__(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return "null"
    text = float.__repr__(value)
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text
    # Python writes 1e-07, and 1e-05 for what orjson writes without an exponent.
    if int(exponent) == -5:
        sign = "-" if mantissa[0] == "-" else ""
        return f"{sign}0.0000{mantissa.lstrip('-').replace('.', '')}"
    return f"{mantissa}e{int(exponent):+d}"


def _datetime(value: datetime.datetime) -> str:
    text = value.replace(tzinfo=None).isoformat()
    offset = value.utcoffset()
    if offset is None:
        return text
    # RFC 3339 has no seconds in an offset: orjson rounds.
    seconds = int(offset.total_seconds())
    sign, minutes = ("-", (-seconds + 30) // 60) if seconds < 0 else ("+", (seconds + 30) // 60)
    return f"{text}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def _fields(value: Any) -> dict[str, Any]:
    """What orjson writes of a dataclass: fields without a leading underscore, in order."""
    own = getattr(value, "__dict__", None)
    if own is not None and not hasattr(type(value), "__slots__"):
        # Attributes that were added to the instance count, as orjson reads its dict.
        names = [name for name in own if not name.startswith("_")]
        return {name: own[name] for name in names}
    names = [f.name for f in dataclasses.fields(value) if not f.name.startswith("_")]
    return {name: getattr(value, name) for name in names if name not in _RESERVED}
