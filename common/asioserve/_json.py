"""JSON in and out: orjson where it is installed, else the standard library made to give the same bytes."""

from __future__ import annotations

import collections
import datetime
import enum
import functools
import json
import re
import types
from collections.abc import Callable
from typing import Any

from . import _json_standin
from ._exceptions import HTTPException, RequestValidationError

_LISTS = (tuple, set, frozenset, collections.deque, types.GeneratorType)


@functools.cache
def _rare_types() -> tuple[Any, tuple[type, ...]]:
    """Decimal, and the types that are written as their str(). Imported when one is met first."""
    import decimal
    import ipaddress
    import pathlib
    import uuid

    addresses = (ipaddress.IPv4Address, ipaddress.IPv6Address)  # and interfaces, which are addresses
    networks = (ipaddress.IPv4Network, ipaddress.IPv6Network)
    return decimal.Decimal, (pathlib.PurePath, uuid.UUID, *addresses, *networks)


def encode_default(value: Any) -> Any:
    """Says in JSON's own types what neither encoder knows: models, sets, named tuples, Decimal, paths, …

    The choices are those of FastAPI's ``jsonable_encoder``. Raises TypeError for what has no such form.
    """
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(mode="json", by_alias=True)
    if isinstance(value, _LISTS):
        return list(value)
    decimal, texts = _rare_types()
    if isinstance(value, decimal):
        exponent = value.as_tuple().exponent
        return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.time):
        return value.isoformat()
    if isinstance(value, texts):
        return str(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, float):
        return float(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, BaseException):
        return dict(vars(value))
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _find() -> tuple[Callable[..., bytes], Callable[[bytes], Any]]:
    try:
        import orjson
    except ImportError:
        return _json_standin.dumps, json.loads
    return orjson.dumps, orjson.loads


encode, decode = _find()


def dumps(value: Any) -> bytes:
    """The JSON of ``value``, as every answer has it."""
    return encode(value, encode_default)


def decode_again(raw: bytes) -> Any:
    """Parses what :data:`decode` has refused: gives FastAPI's errors, and takes what only json.loads takes
    (NaN)."""
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        what = {
            "type": "json_invalid",
            "loc": ("body", error.pos),
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": error.msg},
        }
        raise RequestValidationError([what], body=error.doc) from error
    except Exception as error:  # broken UTF-8, too many levels, an integer with too many digits
        raise HTTPException(400, "There was an error parsing the body") from error


_ONLY_DIGITS = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(128)).ljust(256)
_LONG = b"0" * 19


def loads(raw: bytes) -> Any:
    """Parses JSON as bodies of requests are parsed."""
    # orjson would make a float of a huge integer, and so lose digits without a word.
    if _LONG in raw.translate(_ONLY_DIGITS):
        return decode_again(raw)
    try:
        return decode(raw)
    except Exception:
        return decode_again(raw)


def encode_errors(errors: list[Any]) -> bytes:
    """The body of a 422. An input that JSON cannot say (a lone surrogate, a huge integer) is shown as
    text."""
    try:
        return dumps({"detail": errors})
    except Exception:
        return dumps({"detail": [_sayable(error) for error in errors]})


def _sayable(value: Any, depth: int = 0) -> Any:
    try:
        if depth > 8:
            return "…"
        if isinstance(value, dict):
            return {_text(key): _sayable(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [_sayable(item, depth + 1) for item in value]
        dumps(value)
        return value
    except Exception:
        return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:
        return f"<{type(value).__name__}>"
