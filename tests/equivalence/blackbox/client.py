"""An HTTP/1 client over a plain socket: sends bytes as they are given, reads answers to their last byte."""

from __future__ import annotations

import itertools
import json as json_module
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from blackbox.server import SLOWNESS

TIMEOUT = 10.0 * SLOWNESS


class Closed(Exception):
    """The server closed the connection where an answer was expected."""


@dataclass
class Answer:
    """One answer; `raw` is every byte of it."""

    status: int
    reason: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes
    trailers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The value of a header; None when it is not there, all values joined when there are several."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        return json_module.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def keeps_alive(self) -> bool:
        connection = (self.header("connection") or "").lower()
        return "close" not in connection and (self.version == "HTTP/1.1" or "keep-alive" in connection)


def without_date(raw: bytes) -> bytes:
    """An answer's bytes, with the value of the Date header put out of the comparison."""
    return re.sub(rb"(?im)^(date: )[^\r\n]*", rb"\1-", raw)


class Client:
    """One connection."""

    def __init__(self, address: tuple[str, int] | str, family: int | None = None, rcvbuf: int = 0) -> None:
        if family is None:
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.eof = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Closes with a RST, as a peer that crashed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def end_sending(self) -> None:
        """Half-closes: nothing more will be sent, answers are still read."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_pieces(self, pieces: list[bytes]) -> None:
        """Each piece in a packet of its own, as far as loopback with TCP_NODELAY gives it."""
        for piece in pieces:
            self.socket.sendall(piece)

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        json: Any = None,
    ) -> Answer:
        """Sends a request and reads its answer."""
        self.send(compose(method, target, headers=headers, body=body, json=json))
        return self.read(head=method == "HEAD")

    def get(self, target: str, **more: Any) -> Answer:
        return self.request("GET", target, **more)

    def _more(self) -> None:
        if self.eof:
            raise Closed(f"closed after {self.buffer!r}")
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError as error:
            raise Closed(f"reset after {self.buffer!r}") from error
        if not data:
            self.eof = True
            raise Closed(f"closed after {self.buffer[:2000]!r}")
        self.buffer += data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._more()
        end = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_head(self) -> Answer:
        """Status line and headers only; the caller reads the body."""
        raw = self._until(b"\r\n\r\n")
        status_line, *lines = raw[:-4].split(b"\r\n")
        found = re.fullmatch(rb"(HTTP/1\.[01]) (\d{3}) ([^\r\n]*)", status_line)
        assert found, f"not a status line: {status_line!r}"
        headers = []
        for line in lines:
            name, colon, value = line.partition(b":")
            assert colon and re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), f"not a header: {line!r}"
            headers.append((name.decode(), value.strip().decode("latin-1")))
        return Answer(int(found[2]), found[3].decode(), found[1].decode(), headers, b"", raw)

    def read(self, head: bool = False) -> Answer:
        """One whole answer, interim ones (1xx) included in `raw` but not returned for themselves."""
        answer = self.read_head()
        raw = answer.raw
        if answer.status == 100:
            answer = self.read(head)
            answer.raw = raw + answer.raw
            return answer
        if head or answer.status in (204, 304) or 100 < answer.status < 200:
            return answer
        if "chunked" in (answer.header("transfer-encoding") or "").lower():
            self._read_chunks(answer)
            return answer
        length = answer.header("content-length")
        if length is None:
            answer.body = self.read_to_end()
        else:
            answer.body = self._exactly(int(length))
        answer.raw += answer.body
        return answer

    def read_chunk(self) -> bytes:
        """One chunk's data, empty for the last one (whose trailers are left to be read)."""
        size = int(self._until(b"\r\n")[:-2].split(b";")[0], 16)
        if size == 0:
            return b""
        data = self._exactly(size)
        assert self._exactly(2) == b"\r\n", "a chunk without its end"
        return data

    def _read_chunks(self, answer: Answer) -> None:
        raw = [answer.raw]
        while True:
            line = self._until(b"\r\n")
            raw.append(line)
            size = int(line[:-2].split(b";")[0], 16)
            if size == 0:
                break
            data = self._exactly(size)
            end = self._exactly(2)
            assert end == b"\r\n", "a chunk without its end"
            raw += [data, end]
            answer.chunks.append(data)
        while (line := self._until(b"\r\n")) != b"\r\n":
            raw.append(line)
            name, _, value = line[:-2].partition(b":")
            answer.trailers.append((name.decode(), value.strip().decode()))
        raw.append(line)
        answer.body = b"".join(answer.chunks)
        answer.raw = b"".join(raw)

    def read_to_end(self) -> bytes:
        """All that comes until the server closes."""
        while True:
            try:
                self._more()
            except Closed:
                data, self.buffer = self.buffer, b""
                return data

    def is_closed_by_server(self) -> bool:
        """Waits for the end of the connection; False if anything else comes first."""
        return self.read_to_end() == b""


def compose(
    method: str,
    target: str,
    *,
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    body: bytes | None = None,
    json: Any = None,
    version: str = "HTTP/1.1",
) -> bytes:
    """The bytes of a request with what a client always sends: Host, and Content-Length where there is a body."""
    fields = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    if json is not None:
        body = json_module.dumps(json).encode()
        fields.append(("content-type", "application/json"))
    names = {name.lower() for name, _ in fields}
    if "host" not in names:
        fields.insert(0, ("Host", "test"))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        fields.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def exchange(address: tuple[str, int] | str, data: bytes, splits: tuple[int, ...] = ()) -> bytes:
    """Sends bytes on a connection of its own, cut at the given places, ends sending, and gives all that came back."""
    with Client(address) as client:
        cuts = [0, *sorted(set(splits)), len(data)]
        try:
            for start, end in itertools.pairwise(cuts):
                client.send(data[start:end])
            client.end_sending()
        except (BrokenPipeError, ConnectionResetError):
            pass  # Not an error: a server that refuses the first half need not read the second.
        except OSError as error:
            if error.errno != 107:  # ENOTCONN: the same, seen by shutdown
                raise
        return client.read_to_end()


#: The fixture `connect`: opens a connection to a server or an address, closed when the test is over.
Connect = Callable[..., Client]
