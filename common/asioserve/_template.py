"""Path templates: ``/user/{id}``, ``/files/{name:path}``, ``/item/{n:int}``."""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

CONVERTORS: Final[dict[str, Callable[[str], Any]]] = {
    "str": str,
    "path": str,
    "int": int,
    "float": float,
    "uuid": uuid.UUID,
}
"""What may stand behind the colon; native code matches by the same names."""

_PARAM = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)(?::(.*))?")


@functools.lru_cache(maxsize=1024)
def parse(path: str) -> tuple[tuple[str, str], ...]:
    """The parameters of a template as pairs of name and convertor; ValueError says what is wrong with it."""
    if not path.startswith("/"):
        raise ValueError(f"the path {path!r} does not start with '/'")
    params: dict[str, str] = {}
    for inside in _PARAM.findall(path):
        match = _NAME.fullmatch(inside)
        if match is None:
            raise ValueError(
                f"the path {path!r} has {{{inside}}}, which is neither {{name}} nor {{name:convertor}}"
            )
        name, convertor = match[1], "str" if match[2] is None else match[2]
        if convertor not in CONVERTORS:
            known = ", ".join(CONVERTORS)
            raise ValueError(f"the path {path!r} has the convertor {convertor!r}; there are {known}")
        if name in params:
            raise ValueError(f"the path {path!r} has {{{name}}} twice")
        params[name] = convertor
    rest = _PARAM.sub("", path)
    if "{" in rest or "}" in rest:
        raise ValueError(f"the path {path!r} has a brace without its other half")
    if "?" in rest or "#" in rest:
        raise ValueError(f"the path {path!r} has a {'?' if '?' in rest else '#'}, which no path can match")
    return tuple(params.items())


def convert(path: str, values: Mapping[str, str]) -> dict[str, Any]:
    """The captured texts as the convertors of the template say."""
    return {name: CONVERTORS[convertor](values[name]) for name, convertor in parse(path) if name in values}
