"""Checks that somebody else does: pydantic where it is installed, else the constructors of the standard
library."""

from __future__ import annotations

import datetime
import functools
import importlib.util
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

from ._markers import Constraints
from ._scalars import FAILED, Check, Errors, Loc, fail


@functools.cache
def available() -> bool:
    """Whether pydantic 2 is installed. Does not import it: that costs more than all the rest of the
    package."""
    if sys.modules.get("pydantic", ...) is None:
        return False
    return (
        importlib.util.find_spec("pydantic") is not None
        and importlib.util.find_spec("pydantic_core") is not None
    )


def hint() -> str:
    """What to add to an error about an unknown type."""
    return "" if available() else " (with pydantic installed there are more)"


def knows_itself(cls: type) -> bool:
    """Whether a class brings its own pydantic validator: models, pydantic's dataclasses, custom types."""
    return hasattr(cls, "__pydantic_core_schema__") or hasattr(cls, "__get_pydantic_core_schema__")


def is_foreign_metadata(item: Any) -> bool:
    """Whether something in ``Annotated[…]`` is a check that only pydantic can do."""
    return type(item).__module__.partition(".")[0] in ("annotated_types", "pydantic", "pydantic_core")


def pydantic_check(annotation: Any, bounds: Constraints | None = None) -> Check:
    """A check by pydantic, lax and with attributes, as FastAPI calls it."""
    import pydantic

    if bounds is not None:
        given = {n: getattr(bounds, n) for n in Constraints.__slots__ if getattr(bounds, n) is not None}
        annotation = Annotated[annotation, pydantic.Field(**given)]
    try:
        adapter = pydantic.TypeAdapter(annotation)
    except pydantic.errors.PydanticUserError as error:
        raise TypeError(str(error).partition("\n")[0]) from error
    validate = adapter.validate_python
    refused = pydantic.ValidationError

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        try:
            return validate(value, from_attributes=True)
        except refused as error:
            for item in error.errors(include_url=False):
                errors.append({**item, "loc": (*loc, *item["loc"])})
            return FAILED

    return checked


def find(annotation: Any) -> Check | None:
    """A check for a type that is none of ours, or None."""
    if available():
        try:
            return pydantic_check(annotation)
        except TypeError:
            return None
    made = _constructors().get(annotation) if isinstance(annotation, type) else None
    return None if made is None else _by_constructor(*made)


def _seconds(value: Any) -> datetime.timedelta:
    return datetime.timedelta(seconds=float(value))


def _moment(value: Any) -> datetime.datetime:
    if isinstance(value, str):
        return datetime.datetime.fromisoformat(value)
    return datetime.datetime.fromtimestamp(value, datetime.UTC)


@functools.cache
def _constructors() -> dict[type, tuple[str, str, Callable[[Any], Any]]]:
    import decimal
    import ipaddress
    import pathlib
    import uuid

    return {
        uuid.UUID: ("uuid_parsing", "UUID", uuid.UUID),
        datetime.datetime: ("datetime_parsing", "datetime", _moment),
        datetime.date: ("date_parsing", "date", datetime.date.fromisoformat),
        datetime.time: ("time_parsing", "time", datetime.time.fromisoformat),
        datetime.timedelta: ("time_delta_parsing", "timedelta", _seconds),
        decimal.Decimal: ("decimal_parsing", "decimal", lambda v: decimal.Decimal(str(v))),
        pathlib.Path: ("path_type", "path", pathlib.Path),
        ipaddress.IPv4Address: ("ip_v4_address", "IPv4 address", ipaddress.IPv4Address),
        ipaddress.IPv6Address: ("ip_v6_address", "IPv6 address", ipaddress.IPv6Address),
        re.Pattern: ("pattern_regex", "regular expression", re.compile),
        bytes: ("bytes_type", "bytes", lambda v: v if isinstance(v, bytes) else v.encode()),
    }


def _by_constructor(kind: str, noun: str, make: Callable[[Any], Any]) -> Check:
    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        try:
            if isinstance(value, (str, int, float, bytes)) and not isinstance(value, bool):
                return make(value)
        except (ValueError, TypeError, AttributeError, ArithmeticError, OSError, re.error):
            pass
        return fail(errors, kind, loc, f"Input should be a valid {noun}", value)

    return checked
