"""From a type annotation to a check: containers, unions, literals, enums and dataclasses.

What pydantic knows better (its models, dates, UUIDs, Annotated constraints) goes to ``_adapters``. Everything
else is checked here, with pydantic's shapes, so that an app behaves alike with and without it.
"""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from . import _adapters, _dataclass
from ._containers import Size, dict_check, fixed_tuple_check, list_check, set_check, tuple_check
from ._markers import Constraints, Marker
from ._scalars import (
    FAILED,
    Check,
    Errors,
    Loc,
    bounded_number,
    bounded_str,
    check_any,
    check_bool,
    check_float,
    check_int,
    check_none,
    check_str,
    fail,
)

_NONE = type(None)
_LISTS = (list, Sequence, MutableSequence)
_DICTS = (dict, Mapping, MutableMapping)


class UnsupportedTypeError(TypeError):
    """A type that nobody here can check."""


def plain_type(annotation: Any) -> Any:
    """The annotation without Annotated, unless its metadata are checks that pydantic has to do."""
    alias = getattr(annotation, "__value__", None)
    if alias is not None and type(annotation).__name__ == "TypeAliasType":
        return plain_type(alias)
    if get_origin(annotation) is typing.Required or get_origin(annotation) is typing.NotRequired:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) is Annotated:
        base, *metadata = get_args(annotation)
        if not any(_adapters.is_foreign_metadata(item) for item in metadata if not isinstance(item, Marker)):
            return plain_type(base)
    return annotation


def split_optional(annotation: Any) -> tuple[Any, bool]:
    """``X | None`` as ``(X, True)``, anything else as ``(it, False)``."""
    annotation = plain_type(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        arguments = get_args(annotation)
        rest = tuple(a for a in arguments if a is not _NONE)
        if len(rest) < len(arguments):
            return (plain_type(rest[0]) if len(rest) == 1 else Union[rest]), True  # noqa: UP007 - built at run time
    return annotation, False


class Builder:
    """Builds checks; one per parameter, as dataclasses that refer to themselves are built once."""

    def __init__(self) -> None:
        self._dataclasses: dict[type, Check] = {}

    def build(self, annotation: Any, bounds: Constraints | None = None) -> Check:
        """The check for ``annotation``; UnsupportedTypeError, or TypeError for bounds that make no sense."""
        annotation, optional = split_optional(annotation)
        check = self._build(annotation, bounds if bounds is not None and bounds.any() else None)
        return _or_none(check) if optional else check

    def _build(self, annotation: Any, bounds: Constraints | None) -> Check:
        if annotation in (int, float):
            check: Check = check_int if annotation is int else check_float
            if bounds is None:
                return check
            _only(bounds, "gt ge lt le multiple_of", annotation.__name__)
            return bounded_number(check, bounds, annotation)
        if annotation is str:
            if bounds is None:
                return check_str
            _only(bounds, "min_length max_length pattern", "str")
            return bounded_str(check_str, bounds)
        container = self._container(annotation, bounds or Constraints())
        if container is not None:
            if bounds is not None:
                _only(bounds, "min_length max_length", _name(get_origin(annotation) or annotation))
            return container
        if bounds is not None:
            if _adapters.available():
                return _adapters.pydantic_check(annotation, bounds)
            _only(bounds, "", getattr(annotation, "__name__", str(annotation)))
        return self._unbounded(annotation)

    def _unbounded(self, annotation: Any) -> Check:
        if annotation in (Any, object, inspect.Parameter.empty) or isinstance(annotation, typing.TypeVar):
            return check_any
        if annotation is bool:
            return check_bool
        if annotation in (None, _NONE):
            return check_none
        origin = get_origin(annotation)
        if origin in (Union, types.UnionType):
            if _adapters.available():
                return _adapters.pydantic_check(annotation)
            return _one_of([(self.build(a), _name(a)) for a in get_args(annotation)])
        if origin is Literal:
            return _literal(get_args(annotation))
        if isinstance(annotation, type):
            if _adapters.knows_itself(annotation):
                return _adapters.pydantic_check(annotation)
            if issubclass(annotation, enum.Enum):
                return _enum(annotation)
            if _dataclass.is_dataclass(annotation):
                return self._of_dataclass(annotation)
        found = _adapters.find(annotation)
        if found is None:
            raise UnsupportedTypeError(
                f"{_name(annotation)} is not a type that can be checked" + _adapters.hint()
            )
        return found

    def _of_dataclass(self, cls: type) -> Check:
        if cls in self._dataclasses:
            return self._dataclasses[cls]
        checker = _dataclass.Checker(cls)
        self._dataclasses[cls] = checker
        checker.fill(self.build)
        return checker

    def _container(self, annotation: Any, bounds: Constraints) -> Check | None:
        origin = get_origin(annotation) or annotation
        arguments = get_args(annotation)

        def size(noun: str) -> Size:
            return Size(noun, bounds.min_length, bounds.max_length)

        if origin in _LISTS:
            return list_check(self.build(arguments[0] if arguments else Any), size("List"))
        if origin in (set, frozenset):
            noun = "Set" if origin is set else "Frozenset"
            return set_check(self.build(arguments[0] if arguments else Any), origin, size(noun))
        if origin in _DICTS:
            key, value = arguments or (Any, Any)
            return dict_check(self.build(key), self.build(value), size("Dictionary"))
        if origin is tuple:
            if not arguments:
                return tuple_check(check_any, size("Tuple"))
            if len(arguments) == 2 and arguments[1] is ...:
                return tuple_check(self.build(arguments[0]), size("Tuple"))
            return fixed_tuple_check([self.build(a) for a in arguments if a != ()])
        return None


def _only(bounds: Constraints, allowed: str, what: str) -> None:
    for name in Constraints.__slots__:
        if getattr(bounds, name) is not None and name not in allowed.split():
            raise TypeError(f"{name}= does not apply to {what}")


def _name(annotation: Any) -> str:
    return (
        annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    )


def _or_none(check: Check) -> Check:
    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        return None if value is None else check(value, loc, errors)

    return checked


def _one_of(choices: list[tuple[Check, str]]) -> Check:
    """Without pydantic: the first choice that keeps the value as it is, else the first that takes it."""

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        taken: Any = FAILED
        gathered: Errors = []
        for check, name in choices:
            found = check(value, (*loc, name), gathered)
            if found is FAILED:
                continue
            if type(found) is type(value) and found == value:
                return found
            if taken is FAILED:
                taken = found
        if taken is FAILED:
            errors.extend(gathered)
        return taken

    return checked


def _expected(values: Sequence[Any]) -> str:
    words = [repr(v) for v in values]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _literal(values: tuple[Any, ...]) -> Check:
    expected = _expected(values)

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        for choice in values:
            if type(choice) is type(value) and choice == value:
                return choice
        for choice in reversed(values):
            if choice == value:
                return choice
        msg = f"Input should be {expected}"
        return fail(errors, "literal_error", loc, msg, value, {"expected": expected})

    return checked


def _enum(cls: type[enum.Enum]) -> Check:
    expected = _expected([member.value for member in cls])
    base: Check | None = (
        check_int if issubclass(cls, int) and not issubclass(cls, enum.Flag)
        else check_str if issubclass(cls, str)
        else check_float if issubclass(cls, float)
        else None
    )  # fmt: skip

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        if isinstance(value, cls):
            return value
        found = value if base is None else base(value, loc, [])
        if found is not FAILED:
            try:
                return cls(found)
            except (ValueError, TypeError):
                pass
        return fail(errors, "enum", loc, f"Input should be {expected}", value, {"expected": expected})

    return checked
