"""Peers that ask all the time and count what was not answered. Nothing is ever asked twice."""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import threading
from types import TracebackType


class Load:
    """Half of the threads keep their connections, half open one for each request."""

    def __init__(self, port: int, threads: int = 6, path: str = "/", key: str = "stage") -> None:
        self.port = port
        self.path = path
        self.key = key
        self.lost: list[str] = []
        self.answers: collections.Counter[object] = collections.Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number % 2 == 0,), daemon=True)
            for number in range(threads)
        ]

    def _run(self, keep: bool) -> None:
        connection = None
        while not self._stop.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request("GET", self.path)
                response = connection.getresponse()
                body = response.read()
                assert response.status == 200, response.status
                who = json.loads(body)[self.key]
            except (OSError, AssertionError, LookupError, ValueError, http.client.HTTPException) as error:
                with self._lock:
                    self.lost.append(repr(error))
                connection.close()
                connection = None
                continue
            with self._lock:
                self.answers[who] += 1
            if not keep or response.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def count(self, who: object) -> int:
        """How many answers that one has given up to now."""
        with self._lock:
            return self.answers[who]

    def has(self, who: object, answers: int) -> bool:
        return self.count(who) >= answers

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            with contextlib.suppress(RuntimeError):
                thread.join(40)
