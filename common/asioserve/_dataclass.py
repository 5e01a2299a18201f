"""Checks of dataclasses from the standard library, with the errors that pydantic has for them."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any

from ._scalars import FAILED, Check, Errors, Loc, fail


def is_dataclass(cls: type) -> bool:
    """Whether ``cls`` itself was made by ``@dataclass``."""
    return dataclasses.is_dataclass(cls)


class Checker:
    """Makes an instance of a dataclass from a dict: unknown keys are left aside, ``__post_init__`` may
    refuse."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._fields: list[tuple[str, Check, bool]] = []

    def fill(self, build: Callable[[Any], Check]) -> None:
        """Builds the checks of the fields; apart from the constructor, as a field may be of this class
        again."""
        hints = _hints(self._cls)
        required = {
            name: p.default is inspect.Parameter.empty
            for name, p in inspect.signature(self._cls).parameters.items()
        }
        for name in _init_names(self._cls):
            self._fields.append((name, build(hints.get(name, Any)), required.get(name, True)))

    def __call__(self, value: Any, loc: Loc, errors: Errors) -> Any:
        """The check."""
        if isinstance(value, self._cls):
            return value
        if not isinstance(value, dict):
            name = self._cls.__name__
            msg = f"Input should be a dictionary or an instance of {name}"
            return fail(errors, "dataclass_type", loc, msg, value, {"class_name": name})
        before = len(errors)
        arguments: dict[str, Any] = {}
        for name, check, required in self._fields:
            if name in value:
                arguments[name] = check(value[name], (*loc, name), errors)
            elif required:
                fail(errors, "missing", (*loc, name), "Field required", value)
        if len(errors) > before:
            return FAILED
        try:
            return self._cls(**arguments)
        except ValueError as error:
            return fail(errors, "value_error", loc, f"Value error, {error}", value, {"error": error})
        except AssertionError as error:
            return fail(errors, "assertion_error", loc, f"Assertion failed, {error}", value, {"error": error})


def _init_names(cls: type) -> list[str]:
    """The fields that the constructor takes, ``InitVar`` included, in the order they were declared."""
    known: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    names = []
    for name, field in known.items():
        if field._field_type.name == "_FIELD_CLASSVAR" or not field.init:
            continue
        names.append(name)
    return names


def _hints(cls: type) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"dataclass {cls.__name__}: the annotation {error.name!r} cannot be looked up in module "
            f"{getattr(sys.modules.get(cls.__module__), '__name__', cls.__module__)}"
        ) from error
    return {name: h.type if isinstance(h, dataclasses.InitVar) else h for name, h in hints.items()}
