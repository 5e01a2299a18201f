"""From the signature of an endpoint to the plan of its parameters."""

from __future__ import annotations

import functools
import inspect
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from . import _template
from ._exceptions import RequestValidationError
from ._markers import MISSING, Marker
from ._plan import Param, ParamType
from ._request import Request
from ._scalars import FAILED, Check, Errors
from ._validate import Builder, UnsupportedTypeError, plain_type, split_optional

_EMPTY = inspect.Parameter.empty
_NATIVE: dict[Any, ParamType] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    Any: "str",
    object: "str",
}
_SEQUENCES = (list, set, frozenset, tuple, Sequence)
_BY_CONVERTOR: dict[str, Any] = {"str": str, "path": str, "int": int, "float": float, "uuid": uuid.UUID}
_BODYLESS = frozenset(("GET", "HEAD"))

BodyMode = Literal["ignore", "collect", "stream"]


class Convert:
    """``Param.convert``: a check that raises."""

    __slots__ = ("check",)

    def __init__(self, check: Check) -> None:
        self.check = check

    def __call__(self, raw: Any, loc: tuple[str | int, ...]) -> Any:
        """The value of ``raw``, or RequestValidationError."""
        errors: Errors = []
        try:
            value = self.check(raw, loc, errors)
        except RecursionError:
            msg = "Recursion error - cyclic reference detected"
            errors = [{"type": "recursion_loop", "loc": loc, "msg": msg, "input": None}]
            value = FAILED
        if value is FAILED:
            raise RequestValidationError(errors, body=raw)
        return value


def name_of(endpoint: Any) -> str:
    """What to call an endpoint in an error."""
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    name = getattr(endpoint, "__qualname__", None) or type(endpoint).__qualname__
    module = getattr(endpoint, "__module__", None)
    return f"{module}.{name}()" if module and module != "builtins" else f"{name}()"


def kind_of(endpoint: Any) -> Literal["plain", "coroutine"]:
    """Whether calling the endpoint gives a coroutine; generators are refused, with what to do."""
    function = endpoint
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError("it is a generator function; return StreamingResponse(generator()) from it instead")
    return "coroutine" if inspect.iscoroutinefunction(function) else "plain"


def plan(
    endpoint: Callable[..., Any], path: str, methods: Sequence[str]
) -> tuple[tuple[Param, ...], BodyMode]:
    """The parameters of ``endpoint`` and how it wants the body. TypeError and ValueError say what is
    wrong."""
    convertors = dict(_template.parse(path))
    params = [
        _param(name, p, annotation, convertors, methods) for name, p, annotation in _signature(endpoint)
    ]
    _refuse_clashes(params)
    taken = {p.alias for p in params if p.source == "path"}
    request = any(p.source == "request" for p in params)
    for name in convertors:
        if name not in taken and not request:
            raise TypeError(
                f"the path {path!r} has {{{name}}}, but there is no parameter {name!r} to take it"
            )
    bodies = [p for p in params if p.source == "body"]
    if len(bodies) > 1:
        for p in bodies:
            if p.type == "bytes":
                raise TypeError(
                    f"the parameter {p.name!r} takes the whole body, so there can be no other body parameter"
                )
            p.embed = True
    if bodies:
        return tuple(params), "collect"
    return tuple(params), "stream" if request else "ignore"


def _refuse_clashes(params: Sequence[Param]) -> None:
    names: dict[tuple[str, str], str] = {}
    for p in params:
        other = names.setdefault((p.source, p.alias), p.name)
        if other != p.name:
            raise TypeError(f"the parameters {other!r} and {p.name!r} are both {p.alias!r} in the {p.source}")


def _signature(endpoint: Callable[..., Any]) -> list[tuple[str, inspect.Parameter, Any]]:
    try:
        signature = inspect.signature(endpoint)
    except ValueError as error:
        raise TypeError(f"its signature cannot be read: {error}") from error
    hints = _hints(endpoint)
    found = []
    for name, p in signature.parameters.items():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            stars = "*" if p.kind is p.VAR_POSITIONAL else "**"
            raise TypeError(
                f"the parameter {stars}{name} could be anything; a decorator around it needs functools.wraps"
            )
        if p.kind is p.POSITIONAL_ONLY:
            raise TypeError(f"the parameter {name!r} is positional only, but parameters are passed by name")
        annotation = hints.get(name, p.annotation)
        if isinstance(annotation, str):
            raise TypeError(f"the annotation {annotation!r} of {name!r} cannot be looked up")
        found.append((name, p, annotation))
    return found


def _hints(endpoint: Any) -> dict[str, Any]:
    function = endpoint
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        function = function.__init__  # type: ignore[misc]
    elif not inspect.isroutine(function):
        function = type(function).__call__
    function = inspect.unwrap(function)
    function = getattr(function, "__func__", function)
    # Names of an enclosing function that the endpoint itself uses are known too.
    inner = getattr(function, "__closure__", None) or ()
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    local = {}
    for name, cell in zip(names, inner, strict=False):
        try:
            local[name] = cell.cell_contents
        except ValueError:  # an empty cell: the name has no value yet
            continue
    try:
        return typing.get_type_hints(function, localns=local or None, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"the annotation {error.name!r} cannot be looked up; types in annotations that are text "
            "(from __future__ import annotations) have to be names of the module"
        ) from error
    except (TypeError, AttributeError) as error:
        if not getattr(function, "__annotations__", None):
            return {}
        raise TypeError(f"its annotations cannot be read: {error}") from error


def _param(
    name: str, p: inspect.Parameter, annotation: Any, convertors: Mapping[str, str], methods: Sequence[str]
) -> Param:
    marker, default = _marker(name, p, annotation)
    inner, optional = split_optional(annotation)
    if isinstance(inner, type) and issubclass(inner, Request):
        if marker is not None:
            raise TypeError(f"the parameter {name!r} is the request itself; it takes no marker")
        return Param(name, "request", name)
    if annotation is _EMPTY and name == "request" and name not in convertors and marker is None:
        return Param(name, "request", name)
    if name in convertors or (marker is not None and marker.source == "path"):
        return _path_param(name, marker, default, annotation, convertors)
    if marker is None:
        marker = Marker("query" if _is_scalar(annotation) else "body")
        if marker.source == "body" and _BODYLESS.issuperset(methods):
            raise TypeError(
                f"the parameter {name!r} would be read from the body, which {' and '.join(methods)} requests "
                f"do not have; say Annotated[..., Query()] for the query, or Body() if it is really meant"
            )
    param = Param(name, marker.source, marker.alias or name)
    if marker.source == "header":
        if marker.alias is None and marker.convert_underscores:
            param.alias = name.replace("_", "-")
        param.label, param.alias = param.alias, param.alias.lower()
    param.embed = marker.embed
    param.optional = optional
    if default is not MISSING or marker.default_factory is not None:
        param.required = False
        param.default = None if default is MISSING else default
        param.default_factory = marker.default_factory
    _set_type(param, annotation, inner, marker)
    return param


def _marker(name: str, p: inspect.Parameter, annotation: Any) -> tuple[Marker | None, Any]:
    """The marker of a parameter, if there is one, and its default."""
    found = (
        [m for m in get_args(annotation)[1:] if isinstance(m, Marker)]
        if get_origin(annotation) is Annotated
        else []
    )
    for item in get_args(annotation)[1:] if get_origin(annotation) is Annotated else ():
        if item in (_functions()):
            raise TypeError(
                f"the parameter {name!r} has {item.__name__} as a marker; it has to be called: "
                f"{item.__name__}()"
            )
    if isinstance(p.default, Marker):
        if found:
            raise TypeError(f"the parameter {name!r} has a marker in Annotated and one as its default")
        return p.default, p.default.default
    marker = found[-1] if found else None
    if p.default is _EMPTY or p.default is ...:
        return marker, MISSING if marker is None else marker.default
    if marker is not None and (marker.default is not MISSING or marker.default_factory is not None):
        raise TypeError(f"the parameter {name!r} has a default in its marker and one behind '='")
    return marker, p.default


def _functions() -> tuple[Any, ...]:
    from . import _markers

    return (_markers.Query, _markers.Header, _markers.Cookie, _markers.Path, _markers.Body)


def _path_param(
    name: str, marker: Marker | None, default: Any, annotation: Any, convertors: Mapping[str, str]
) -> Param:
    if marker is not None and marker.source != "path":
        raise TypeError(f"the parameter {name!r} is in the path, so it cannot come from the {marker.source}")
    alias = name if marker is None or marker.alias is None else marker.alias
    if alias not in convertors:
        raise TypeError(f"the parameter {name!r} is marked Path(), but {{{alias}}} is not in the path")
    if default is not MISSING:
        raise TypeError(f"the parameter {name!r} is in the path, so it cannot have a default")
    if annotation is _EMPTY:
        annotation = _BY_CONVERTOR[convertors[alias]]
    inner, _ = split_optional(annotation)
    if not _is_scalar(inner):
        raise TypeError(f"the parameter {name!r} is in the path, so it cannot be a {_short(inner)}")
    param = Param(name, "path", alias)
    _set_type(param, annotation, inner, marker or Marker("path"))
    return param


def _short(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _is_scalar(annotation: Any) -> bool:
    """Whether FastAPI would look for it in the query: no containers, no models, no raw bytes."""
    inner, _ = split_optional(annotation)
    if get_origin(inner) is Annotated:
        inner = get_args(inner)[0]
    origin = get_origin(inner)
    if origin is typing.Union or getattr(origin, "__name__", "") == "UnionType":
        return all(_is_scalar(a) for a in get_args(inner))
    if origin is Literal:
        return True
    if origin is not None:
        return False
    if not isinstance(inner, type):
        return True
    if issubclass(inner, (list, dict, set, frozenset, tuple, bytes, bytearray, Mapping)):
        return False
    return not hasattr(inner, "__dataclass_fields__") and not hasattr(inner, "model_fields")


def _set_type(param: Param, annotation: Any, inner: Any, marker: Marker) -> None:
    """Chooses the native conversion where there is one, else builds a check."""
    if annotation is _EMPTY:
        annotation = inner = Any
    bounded = marker.constraints.any()
    if param.source == "body":
        if _set_json_type(param, inner, bounded):
            return
    else:
        if not bounded and inner in _NATIVE:
            param.type = _NATIVE[inner]
            return
        origin = get_origin(inner) or inner
        if origin in _SEQUENCES:
            if param.source not in ("query", "header"):
                raise TypeError(
                    f"the parameter {param.name!r} is a list; only query and headers have several values"
                )
            param.many = True
            item = plain_type((get_args(inner) or (Any,))[0])
            if not _is_scalar(item):
                raise TypeError(
                    f"the parameter {param.name!r} is a list of {_short(item)}, which no text can say"
                )
            if not bounded and origin in (list, Sequence) and item in _NATIVE:
                param.type = _NATIVE[item]
                return
        elif not _is_scalar(inner):
            raise TypeError(
                f"the parameter {param.name!r} is a {_short(inner)}, which cannot come from the "
                f"{param.source}"
            )
    try:
        check = Builder().build(annotation if annotation is not _EMPTY else Any, marker.constraints)
    except UnsupportedTypeError as error:
        raise TypeError(f"the parameter {param.name!r}: {error}") from error
    except TypeError as error:
        raise TypeError(f"the parameter {param.name!r}: {error}") from error
    param.type = "python"
    param.convert = Convert(check)


def _set_json_type(param: Param, inner: Any, bounded: bool) -> bool:
    if inner in (bytes, bytearray):
        if param.embed:
            raise TypeError(
                f"the parameter {param.name!r} is bytes, which JSON has not, so it cannot be embedded"
            )
        param.type = "bytes"
        return True
    if bounded:
        return False
    origin, arguments = get_origin(inner) or inner, get_args(inner)
    if inner in (Any, object):
        param.type, param.optional = "json", True
        return True
    if origin in (dict, Mapping) and arguments in ((), (str, Any), (str, object)):
        param.type, param.json_kind = "json", "dict"
        return True
    if origin in (list, Sequence) and arguments in ((), (Any,), (object,)):
        param.type, param.json_kind = "json", "list"
        return True
    return False
