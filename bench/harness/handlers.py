"""What is asked of the servers: the handlers of bench/apps/app.py, and what a good answer looks like."""

from collections.abc import Mapping
from dataclasses import dataclass, field

HELLO = b'{"hello":"world"}'
USERS = 64
"""Different users asked for; the pages of SQLite that they need are all in memory."""


@dataclass(frozen=True)
class Request:
    """One request, as a load sends it."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def to_bytes(self, host: str) -> str:
        """The request on the wire; ASCII only."""
        length = {"Content-Length": str(len(self.body))} if self.body else {}
        headers = {"Host": host, **self.headers, **length}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join(lines) + "\r\n\r\n" + self.body


@dataclass(frozen=True)
class Handler:
    """One kind of work."""

    key: str
    title: str
    requests: tuple[Request, ...]
    expected: bytes | None = None
    """The body of a good answer, where it is always the same."""


def _get(key: str, title: str) -> Handler:
    return Handler(key, title, (Request(f"/{key}"),), HELLO)


def _user(key: str, title: str, suffix: str) -> Handler:
    return Handler(key, title, tuple(Request(f"/user/{i}{suffix}") for i in range(1, USERS + 1)))


_JSON_BODY = '{"name":"Ada","age":36,"tags":["math","engines"],"address":{"city":"London","zip":"W1"}}'

HANDLERS: Mapping[str, Handler] = {
    handler.key: handler
    for handler in (
        _get("sync", "def"),
        _get("async", "async def that never waits"),
        _get("sleep0", "one sleep(0)"),
        _get("gather", "gather of three sleep(0)"),
        _get("sleep1ms", "one sleep(1 ms)"),
        Handler(
            "json",
            "JSON body in and out",
            (Request("/json", "POST", {"Content-Type": "application/json"}, _JSON_BODY),),
            _JSON_BODY.encode(),
        ),
        _user("user", "/user/{id}, three awaits in a row", ""),
        _user("user-overlapped", "/user/{id}, three awaits overlapped", "/overlapped"),
    )
}

FLOOR_REQUEST = HANDLERS["async"]
"""The controls answer hello whatever they are asked, so they are always asked for hello."""
