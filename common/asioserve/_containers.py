"""Checks of list, set, tuple and dict, item by item, with bounds on how many there are.

A bound on the number of items ends the check early: that is what it is for.
"""

from __future__ import annotations

from typing import Any

from ._scalars import FAILED, Check, Errors, Loc, check_any, count, fail

_SEQUENCES = (list, tuple, set, frozenset)
"""What is taken for each other: JSON has only lists, but a default may be any."""


class Size:
    """How many items there may be; ``noun`` is what an error calls the container."""

    __slots__ = ("longest", "noun", "shortest")

    def __init__(self, noun: str, shortest: int | None, longest: int | None) -> None:
        self.noun = noun
        self.shortest = shortest
        self.longest = longest

    def too_long(self, number: int) -> bool:
        """Whether there are more than allowed."""
        return self.longest is not None and number > self.longest

    def refuse_long(self, found: int | None, loc: Loc, value: Any, errors: Errors) -> Any:
        """Adds the error; ``found`` is None where nobody counted to the end."""
        assert self.longest is not None
        ctx = {"field_type": self.noun, "max_length": self.longest, "actual_length": found}
        number = "more" if found is None else found
        words = f"at most {count(self.longest, 'item')} after validation, not {number}"
        return fail(errors, "too_long", loc, f"{self.noun} should have {words}", value, ctx)

    def long_enough(self, found: Any, loc: Loc, value: Any, errors: Errors) -> Any:
        """``found``, or FAILED with an error where there are too few."""
        if self.shortest is None or len(found) >= self.shortest:
            return found
        ctx = {"field_type": self.noun, "min_length": self.shortest, "actual_length": len(found)}
        words = f"at least {count(self.shortest, 'item')} after validation, not {len(found)}"
        return fail(errors, "too_short", loc, f"{self.noun} should have {words}", value, ctx)


def list_check(item: Check, size: Size) -> Check:
    """A list; one that is too long is not looked into."""

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, _SEQUENCES):
            return fail(errors, "list_type", loc, "Input should be a valid list", value)
        if size.too_long(len(value)):
            return size.refuse_long(len(value), loc, value, errors)
        if item is check_any:
            return size.long_enough(list(value), loc, value, errors)
        before = len(errors)
        found = [item(v, (*loc, i), errors) for i, v in enumerate(value)]
        return size.long_enough(found, loc, value, errors) if len(errors) == before else FAILED

    return checked


def set_check(item: Check, cls: type, size: Size) -> Check:
    """A set or frozenset."""
    kind, noun = ("set_type", "set") if cls is set else ("frozen_set_type", "frozenset")

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, _SEQUENCES):
            return fail(errors, kind, loc, f"Input should be a valid {noun}", value)
        before = len(errors)
        found = set()
        for i, v in enumerate(value):
            new = item(v, (*loc, i), errors)
            if new is FAILED:
                continue
            try:
                found.add(new)
            except TypeError:
                fail(errors, "set_item_not_hashable", (*loc, i), "Set items should be hashable", v)
            if size.too_long(len(found)):
                del errors[before:]
                return size.refuse_long(None, loc, value, errors)
        return size.long_enough(cls(found), loc, value, errors) if len(errors) == before else FAILED

    return checked


def dict_check(key: Check, item: Check, size: Size) -> Check:
    """A dict; errors of a key stand at ``…, key, "[key]"``."""

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, dict):
            return fail(errors, "dict_type", loc, "Input should be a valid dictionary", value)
        before = len(errors)
        found = {}
        for k, v in value.items():
            new_key = key(k, (*loc, k, "[key]"), errors)
            new_value = item(v, (*loc, k), errors)
            if new_key is FAILED or new_value is FAILED:
                continue
            found[new_key] = new_value
            if size.too_long(len(found)):
                del errors[before:]
                return size.refuse_long(None, loc, value, errors)
        return size.long_enough(found, loc, value, errors) if len(errors) == before else FAILED

    return checked


def tuple_check(item: Check, size: Size) -> Check:
    """A tuple of any length."""

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, _SEQUENCES):
            return fail(errors, "tuple_type", loc, "Input should be a valid tuple", value)
        before = len(errors)
        found = []
        for i, v in enumerate(value):
            new = item(v, (*loc, i), errors)
            if new is FAILED:
                continue
            found.append(new)
            if size.too_long(len(found)):
                del errors[before:]
                return size.refuse_long(len(value), loc, value, errors)
        return size.long_enough(tuple(found), loc, value, errors) if len(errors) == before else FAILED

    return checked


def fixed_tuple_check(items: list[Check]) -> Check:
    """A tuple with a type for each place."""
    size = Size("Tuple", None, len(items))

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, _SEQUENCES):
            return fail(errors, "tuple_type", loc, "Input should be a valid tuple", value)
        if size.too_long(len(value)):
            return size.refuse_long(len(value), loc, value, errors)
        before = len(errors)
        found = [check(v, (*loc, i), errors) for i, (check, v) in enumerate(zip(items, value, strict=False))]
        for i in range(len(value), len(items)):
            fail(errors, "missing", (*loc, i), "Field required", value)
        return tuple(found) if len(errors) == before else FAILED

    return checked
