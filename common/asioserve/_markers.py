"""Markers that say where a parameter comes from, in ``Annotated[int, Query(ge=0)]`` or as ``= Query(0,
ge=0)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal


class _Missing:
    """No default: the parameter is required."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()

DOCUMENTATION: Final = frozenset((
    "title", "description", "examples", "example", "openapi_examples",
    "deprecated", "include_in_schema", "json_schema_extra",
))  # fmt: skip
"""Keywords of FastAPI's markers that only its docs pages use; taken and left aside."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """Bounds on a value; None is no bound."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    def any(self) -> bool:
        """Whether there is a bound at all."""
        return self != _NO_CONSTRAINTS


_NO_CONSTRAINTS = Constraints()


@dataclass(frozen=True, slots=True)
class Marker:
    """What one of the functions below was called with."""

    source: Literal["path", "query", "header", "cookie", "body"]
    default: Any = MISSING
    default_factory: Callable[[], Any] | None = None
    alias: str | None = None
    embed: bool = False
    convert_underscores: bool = True
    constraints: Constraints = field(default_factory=Constraints)


def _marker(source: Any, default: Any, options: dict[str, Any], **own: Any) -> Any:
    factory = options.pop("default_factory", None)
    alias = options.pop("alias", None)
    bounds = {name: options.pop(name) for name in Constraints.__slots__ if name in options}
    unknown = options.keys() - DOCUMENTATION
    if unknown:
        raise TypeError(f"{source.capitalize()}() has no keyword {', '.join(sorted(unknown))}")
    if default is ...:
        default = MISSING
    if default is not MISSING and factory is not None:
        raise TypeError(f"{source.capitalize()}() takes a default or a default_factory, not both")
    return Marker(source, default, factory, alias, constraints=Constraints(**bounds), **own)


def Query(default: Any = MISSING, **options: Any) -> Any:
    """From the query: ``alias``, ``default_factory``, ``gt ge lt le multiple_of min_length max_length
    pattern``."""
    return _marker("query", default, options)


def Header(default: Any = MISSING, *, convert_underscores: bool = True, **options: Any) -> Any:
    """From a header field; ``user_agent`` reads ``user-agent`` unless ``convert_underscores=False``."""
    return _marker("header", default, options, convert_underscores=convert_underscores)


def Cookie(default: Any = MISSING, **options: Any) -> Any:
    """From a cookie."""
    return _marker("cookie", default, options)


def Path(default: Any = MISSING, **options: Any) -> Any:
    """From the path; only for constraints, as a name in the template is enough otherwise."""
    if default is not MISSING and default is not ...:
        raise TypeError("Path() has no default: a path either has the parameter or does not match")
    return _marker("path", MISSING, options)


def Body(default: Any = MISSING, *, embed: bool = False, **options: Any) -> Any:
    """From the JSON body; ``embed=True`` looks the parameter up in an object even where it is the only
    one."""
    options.pop("media_type", None)
    return _marker("body", default, options, embed=embed)
