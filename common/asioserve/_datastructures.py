"""What a request is made of: headers, query, address, URL, state."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode


class Address(NamedTuple):
    """One end of a connection."""

    host: str
    port: int


class Headers(Mapping[str, str]):
    """The fields of a request: names ignore case, the first of several values wins."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        """``pairs`` have their names in lower case already."""
        self._pairs = pairs

    def __getitem__(self, name: str) -> str:
        lower = name.lower()
        for key, value in self._pairs:
            if key == lower:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for key, _ in self._pairs))

    def __len__(self) -> int:
        return len({key for key, _ in self._pairs})

    def __contains__(self, name: object) -> bool:
        lower = name.lower() if isinstance(name, str) else name
        return any(key == lower for key, _ in self._pairs)

    def getlist(self, name: str) -> list[str]:
        """All values of ``name``, in order."""
        lower = name.lower()
        return [value for key, value in self._pairs if key == lower]

    def multi_items(self) -> list[tuple[str, str]]:
        """Every field line, repeated names included."""
        return list(self._pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._pairs)!r})"


class MutableHeaders(MutableMapping[str, str]):
    """A view on the raw fields of a response; what is set here is what is sent."""

    __slots__ = ("_raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        lower = name.lower().encode("latin-1")
        for key, value in self._raw:
            if key == lower:
                return value.decode("latin-1")
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        """Replaces the first field of that name in its place, and drops any others."""
        lower, new = name.lower().encode("latin-1"), value.encode("latin-1")
        found = [i for i, (key, _) in enumerate(self._raw) if key == lower]
        for i in reversed(found[1:]):
            del self._raw[i]
        if found:
            self._raw[found[0]] = (lower, new)
        else:
            self._raw.append((lower, new))

    def __delitem__(self, name: str) -> None:
        lower = name.lower().encode("latin-1")
        if name not in self:
            raise KeyError(name)
        self._raw[:] = [pair for pair in self._raw if pair[0] != lower]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.decode("latin-1") for key, _ in self._raw))

    def __len__(self) -> int:
        return len({key for key, _ in self._raw})

    def append(self, name: str, value: str) -> None:
        """Adds a further field, whatever is there (``set-cookie``)."""
        self._raw.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def getlist(self, name: str) -> list[str]:
        """All values of ``name``, in order."""
        lower = name.lower().encode("latin-1")
        return [value.decode("latin-1") for key, value in self._raw if key == lower]

    def add_vary_header(self, name: str) -> None:
        """Adds ``name`` to the field ``vary``."""
        before = self.get("vary")
        self["vary"] = name if before is None else f"{before}, {name}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._raw!r})"


class QueryParams(Mapping[str, str]):
    """The query of a URL; of several values the last wins, :meth:`getlist` has all."""

    __slots__ = ("_dict", "_pairs")

    def __init__(self, query: bytes | str | Iterable[tuple[str, str]] = b"") -> None:
        if isinstance(query, bytes):
            query = query.decode("latin-1")
        if isinstance(query, str):
            query = parse_qsl(query, keep_blank_values=True)
        self._pairs = list(query)
        self._dict = dict(self._pairs)

    def __getitem__(self, name: str) -> str:
        return self._dict[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def items(self) -> ItemsView[str, str]:
        """Names and their last values."""
        return self._dict.items()

    def getlist(self, name: str) -> list[str]:
        """All values of ``name``, in order."""
        return [value for key, value in self._pairs if key == name]

    def multi_items(self) -> list[tuple[str, str]]:
        """Every pair, repeated names included."""
        return list(self._pairs)

    def __str__(self) -> str:
        return urlencode(self._pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class URL(NamedTuple):
    """The URL of a request, as the client must have written it."""

    scheme: str
    netloc: str
    path: str
    query: str

    @property
    def hostname(self) -> str | None:
        """The host without its port and without the brackets of IPv6."""
        host = self.netloc
        if host.startswith("["):
            return host[1:].partition("]")[0] or None
        return host.partition(":")[0].lower() or None

    @property
    def port(self) -> int | None:
        """The port where the URL names one."""
        digits = self.netloc.rpartition("]")[2].rpartition(":")[2] if ":" in self.netloc else ""
        return int(digits) if digits.isascii() and digits.isdigit() else None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}" + (f"?{self.query}" if self.query else "")


class State:
    """Attributes of one's own: what the lifespan yielded, and whatever a middleware leaves for the
    handler."""

    _state: dict[str, Any]

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "_state", dict(values) if values else {})

    def __getattr__(self, name: str) -> Any:
        try:
            return self._state[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._state[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._state[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}") from None

    def __getitem__(self, name: str) -> Any:
        return self._state[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._state[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._state

    def __repr__(self) -> str:
        return f"State({self._state!r})"
