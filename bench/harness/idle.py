"""Servers that have nothing to do: what a connection costs that only waits, and who wakes up for nothing."""

import resource
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bench.harness import procfs
from bench.harness.errors import RefusedError
from bench.harness.launch import HOST, RunningServer

_SPARE_FDS = 200
_CHUNK = 100


def allow_descriptors(wanted: int) -> int:
    """Raises the limit on open files, for this process and the servers it starts; returns what can be had of
    `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(hard, wanted + _SPARE_FDS), hard):
        try:
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (min(limit, max(soft, wanted + _SPARE_FDS)), max(hard, limit))
            )
            break
        except (ValueError, OSError):  # only root may raise the hard limit
            continue
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FDS)


class IdleConnections:
    """Connections that have each had one answer, which begins like `answer`, and now wait."""

    def __init__(self, port: int, count: int, request: bytes, answer: bytes = b"HTTP/1.1 200") -> None:
        self._port = port
        self._count = count
        self._request = request
        self._answer = answer
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        try:
            while len(self._sockets) < self._count:
                self._open(min(_CHUNK, self._count - len(self._sockets)))
        except OSError as error:
            held = len(self._sockets)
            self._close()
            raise RefusedError(f"only {held} of {self._count} idle connections: {error}") from None
        except BaseException:
            self._close()
            raise
        return self

    def _open(self, count: int) -> None:
        fresh = []
        for _ in range(count):
            one = socket.create_connection((HOST, self._port), timeout=20)
            # Closed by a reset: no ten thousand ports in TIME_WAIT for the rows that follow.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._sockets.append(one)
            fresh.append(one)
            one.sendall(self._request)
        for one in fresh:
            if not one.recv(65536).startswith(self._answer):
                raise RefusedError("an idle connection got no good answer")

    def held(self) -> int:
        """How many are still open: one that has something to read has been closed by the server."""
        poll = select.poll()
        for one in self._sockets:
            poll.register(one, select.POLLIN | select.POLLHUP)
        return len(self._sockets) - len(poll.poll(0))

    def _close(self) -> None:
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


@dataclass(frozen=True)
class WakeUps:
    """How often a server's threads gave up the CPU by themselves, that is went back to sleep, with no
    connection open."""

    seconds: float
    count: int


def wake_ups(servers: Sequence[RunningServer], settle: float, seconds: float) -> Mapping[str, WakeUps]:
    """Watches all of them at the same time; whoever sleeps all along has a count of 0."""
    time.sleep(settle)
    trees = {server.server.key: server.tree() for server in servers}
    begin = time.monotonic()
    before = {key: procfs.sample(tree) for key, tree in trees.items()}
    time.sleep(seconds)
    used = {key: procfs.used_between(before[key], procfs.sample(tree)) for key, tree in trees.items()}
    elapsed = time.monotonic() - begin
    return {key: WakeUps(elapsed, one.voluntary + one.involuntary) for key, one in used.items()}
