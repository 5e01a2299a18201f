"""Checks of str, int, float and bool: what pydantic takes in its lax mode, and its words for what it does
not.

A check is called with a value, where it stands, and the list that errors go to; it returns the value
converted, or :data:`FAILED`. Native code has the same rules for parameters that are plain strings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from ._markers import Constraints

Loc = tuple[str | int, ...]
Errors = list[dict[str, Any]]
Check = Callable[[Any, Loc, Errors], Any]

FAILED: Final = object()

WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's own list; str.strip() takes four control characters more."""

_INTEGER = re.compile(r"([+-]?)([0-9]+(?:_[0-9]+)*)(?:\.0+)?")
_TOO_LONG = re.compile(r"-?[1-9][0-9]{4300}")
_TRUE = frozenset(("1", "on", "t", "true", "y", "yes"))
_FALSE = frozenset(("0", "off", "f", "false", "n", "no"))
_DIGITS = 4300
"""Longer integers are refused: reading one costs time that grows with the square of its length."""


def fail(  # noqa: PLR0917 - called in this order everywhere
    errors: Errors, kind: str, loc: Loc, msg: str, value: Any, ctx: dict[str, Any] | None = None
) -> Any:
    """Adds an error; returns FAILED."""
    error: dict[str, Any] = {"type": kind, "loc": loc, "msg": msg, "input": value}
    if ctx is not None:
        error["ctx"] = ctx
    errors.append(error)
    return FAILED


def check_any(value: Any, loc: Loc, errors: Errors) -> Any:
    """Takes anything."""
    return value


def check_none(value: Any, loc: Loc, errors: Errors) -> Any:
    """Takes None."""
    return None if value is None else fail(errors, "none_required", loc, "Input should be None", value)


def check_str(value: Any, loc: Loc, errors: Errors) -> Any:
    """Takes str, and bytes that are UTF-8."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            msg = "Input should be a valid string, unable to parse raw data as a unicode string"
            return fail(errors, "string_unicode", loc, msg, value)
    return fail(errors, "string_type", loc, "Input should be a valid string", value)


def check_int(value: Any, loc: Loc, errors: Errors) -> Any:
    """Takes integers, floats without a fraction, and strings such as ``1``, ``" +1_000 "``, ``1.00``."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return fail(errors, "finite_number", loc, "Input should be a finite number", value)
        if value != math.floor(value):
            msg = "Input should be a valid integer, got a number with a fractional part"
            return fail(errors, "int_from_float", loc, msg, value)
        if -(2.0**63) < value < 2.0**63:
            return int(value)
        return _too_long(value, loc, errors)
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return fail(errors, "int_type", loc, "Input should be a valid integer", value)
    if _TOO_LONG.match(text):
        return _too_long(value, loc, errors)
    match = _INTEGER.fullmatch(text.strip(WHITE_SPACE))
    # Only an integer in JSON's own form gets the error for its size, as with pydantic.
    digits = "" if match is None else match[2].replace("_", "").lstrip("0") or "0"
    if match is None or len(digits) > _DIGITS:
        msg = "Input should be a valid integer, unable to parse string as an integer"
        return fail(errors, "int_parsing", loc, msg, value)
    return int(match[1] + digits)


def _too_long(value: Any, loc: Loc, errors: Errors) -> Any:
    msg = "Unable to parse input string as an integer, exceeded maximum size"
    return fail(errors, "int_parsing_size", loc, msg, value)


def check_float(value: Any, loc: Loc, errors: Errors) -> Any:
    """Takes numbers, and strings that are one."""
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return fail(errors, "float_type", loc, "Input should be a valid number", value)
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return fail(errors, "float_type", loc, "Input should be a valid number", value)
    if "_" not in text:
        text = text.strip(WHITE_SPACE)
    elif "__" not in text and text[0] != "_" != text[-1]:
        text = text.replace("_", "")
    try:
        if "_" not in text and text.isascii() and text == text.strip():
            return float(text)
    except ValueError:
        pass
    msg = "Input should be a valid number, unable to parse string as a number"
    return fail(errors, "float_parsing", loc, msg, value)


def check_bool(value: Any, loc: Loc, errors: Errors) -> Any:
    """Takes booleans, 0 and 1, and words such as ``yes`` and ``off``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and -(2**63) <= value < 2**63 and value == math.floor(value):
        value_as_int = int(value)
    else:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if not isinstance(text, str):
            return fail(errors, "bool_type", loc, "Input should be a valid boolean", value)
        text = text.lower()
        value_as_int = 1 if text in _TRUE else 0 if text in _FALSE else 2
    if value_as_int in (0, 1):
        return value_as_int == 1
    msg = "Input should be a valid boolean, unable to interpret input"
    return fail(errors, "bool_parsing", loc, msg, value)


_COMPARISONS: Final[tuple[tuple[str, str, str, Callable[[Any, Any], bool]], ...]] = (
    ("le", "less_than_equal", "less than or equal to", lambda a, b: a <= b),
    ("lt", "less_than", "less than", lambda a, b: a < b),
    ("ge", "greater_than_equal", "greater than or equal to", lambda a, b: a >= b),
    ("gt", "greater_than", "greater than", lambda a, b: a > b),
)


def _is_multiple(value: Any, of: Any) -> bool:
    rest = math.fmod(value, of) if isinstance(of, float) else value % of
    if not isinstance(of, float):
        return bool(rest == 0)
    # Within a billionth of a step: 0.3 is a multiple of 0.1. NaN has been let through before.
    threshold = abs(of) / 1e9
    return not (abs(rest) > threshold and abs(abs(rest) - abs(of)) > threshold)


def bounded_number(check: Check, bounds: Constraints, kind: type[int] | type[float]) -> Check:
    """``check`` and then the bounds; the first that does not hold is the error."""
    of = None if bounds.multiple_of is None else kind(bounds.multiple_of)
    limits = [
        (name, error, words, holds, kind(getattr(bounds, name)))
        for name, error, words, holds in _COMPARISONS
        if getattr(bounds, name) is not None
    ]

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        number = check(value, loc, errors)
        if number is FAILED:
            return FAILED
        if of is not None and math.isfinite(number) and not _is_multiple(number, of):
            msg = f"Input should be a multiple of {_plain(of)}"
            return fail(errors, "multiple_of", loc, msg, value, {"multiple_of": of})
        for name, error, words, holds, limit in limits:
            if not holds(number, limit):
                msg = f"Input should be {words} {_plain(limit)}"
                return fail(errors, error, loc, msg, value, {name: limit})
        return number

    return checked


def _plain(number: float) -> str:
    text = repr(number)
    return text[:-2] if text.endswith(".0") else text


def bounded_str(check: Check, bounds: Constraints) -> Check:
    """``check`` and then lengths and pattern, which may match anywhere."""
    shortest, longest, pattern = bounds.min_length, bounds.max_length, bounds.pattern
    # "$" means the end here, as in pydantic's engine, not before a last line break too.
    search = (
        None if pattern is None else re.compile(re.sub(r"(?<!\\)((?:\\\\)*)\$$", r"\1\\Z", pattern)).search
    )

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        text = check(value, loc, errors)
        if text is FAILED:
            return FAILED
        if shortest is not None and len(text) < shortest:
            msg = f"String should have at least {count(shortest, 'character')}"
            return fail(errors, "string_too_short", loc, msg, value, {"min_length": shortest})
        if longest is not None and len(text) > longest:
            msg = f"String should have at most {count(longest, 'character')}"
            return fail(errors, "string_too_long", loc, msg, value, {"max_length": longest})
        if search is not None and search(text) is None:
            msg = f"String should match pattern '{pattern}'"
            return fail(errors, "string_pattern_mismatch", loc, msg, value, {"pattern": pattern})
        return text

    return checked


def count(number: int, noun: str) -> str:
    """``1 item``, ``2 items``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
