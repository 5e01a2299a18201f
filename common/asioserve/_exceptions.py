"""The exceptions that apps raise, and those that the server raises into apps."""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence
from typing import Any


class HTTPException(Exception):
    """Ends a request with a status: the client gets ``{"detail": detail}``.

    ``detail`` may be anything that JSON can say; without one it is the phrase of the status.
    """

    def __init__(
        self, status_code: int, detail: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        if detail is None:
            try:
                detail = http.HTTPStatus(status_code).phrase
            except ValueError:
                detail = ""
        super().__init__(status_code, detail)
        self.status_code = status_code
        self.detail = detail
        self.headers: dict[str, str] | None = dict(headers) if headers is not None else None

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status_code={self.status_code!r}, detail={self.detail!r})"


class RequestValidationError(Exception):
    """Parameters or a body that do not fit the endpoint's signature: status 422 with a list of what is
    wrong."""

    def __init__(self, errors: Sequence[Any], *, body: Any = None) -> None:
        super().__init__(errors)
        self._errors = list(errors)
        self.body = body

    def errors(self) -> list[Any]:
        """What is wrong, each a dict with ``type``, ``loc``, ``msg``, ``input`` and perhaps ``ctx``."""
        return self._errors

    def __str__(self) -> str:
        lines = [f"{len(self._errors)} validation error{'' if len(self._errors) == 1 else 's'}"]
        for error in self._errors:
            lines.append(f"  {'.'.join(str(part) for part in error.get('loc', ()))}: {error.get('msg', '')}")
        return "\n".join(lines)


class ClientDisconnected(ConnectionError):
    """The peer has left: there is nobody to read from or to send to. A handler may let it pass."""
