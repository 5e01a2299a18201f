"""What a server holds, before and after a test."""

from __future__ import annotations

from blackbox.client import Client
from blackbox.server import ServerProcess, fds_of, wait_for


class Watch:
    """What a server held when it was new: connections, tasks and open streams. No test may leave more."""

    #: By process, as taken before anything but this was asked of it.
    _fresh: dict[int, dict[str, int]] = {}

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.fresh = self._fresh.setdefault(server.pid, self._look())

    def _look(self) -> dict[str, int]:
        with Client(self.server.address) as client:
            state = client.get("/debug/state").json()
            # Sockets only: files and pipes may come and go with executors.
            sockets = sum(target.startswith("socket:") for target in fds_of(state["pid"]).values())
        return {"tasks": state["tasks"], "streams": state["streams"], "sockets": sockets}

    def check(self) -> None:
        """Waits until it holds no more than when it was new; AssertionError if it goes on holding more."""
        now: dict[str, int] = {}

        def as_new() -> bool:
            nonlocal now
            now = self._look()
            return all(now[what] <= self.fresh[what] for what in now)

        try:
            wait_for("nothing to be left", as_new, 5)
        except TimeoutError:
            raise AssertionError(
                f"leaked: {self.fresh} at first, {now} now\n{self.server.log[-4000:]}"
            ) from None
