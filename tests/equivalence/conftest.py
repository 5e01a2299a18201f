"""Servers for the tests: each test that takes `server` runs once against every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from blackbox.client import Client
from blackbox.leaks import Watch
from blackbox.server import KINDS, Pool, ServerProcess


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    servers = Pool()
    yield servers
    wrong = servers.close()
    assert not wrong, "\n\n".join(wrong)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str, pool: Pool) -> Iterator[ServerProcess]:
    """The shared server of main:app; it must be as it was found when the test is over: no fd, no task more."""
    shared = pool.get(kind)
    watch = Watch(shared)
    yield shared
    watch.check()


@pytest.fixture
def start(kind: str) -> Iterator[Callable[..., ServerProcess]]:
    """Starts a server of the test's own, with its own flags; stopped and checked at the end."""
    with ExitStack() as stack:

        def starter(app: str = "main:app", *flags: str, **more: object) -> ServerProcess:
            return stack.enter_context(ServerProcess(kind, app, *flags, **more))  # type: ignore[arg-type]

        yield starter


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Opens connections that are closed before the server is looked at for leaks."""
    if "server" in request.fixturenames:
        request.getfixturevalue("server")
    elif "start" in request.fixturenames:
        request.getfixturevalue("start")
    with ExitStack() as stack:

        def connector(server: ServerProcess | tuple[str, int] | str, **more: object) -> Client:
            address = server.address if isinstance(server, ServerProcess) else server
            return stack.enter_context(Client(address, **more))  # type: ignore[arg-type]

        yield connector


@pytest.fixture
def client(server: ServerProcess, connect: Callable[..., Client]) -> Client:
    """A connection to the shared server."""
    return connect(server)
