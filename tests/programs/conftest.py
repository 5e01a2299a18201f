"""Programs that people run, each on asyncio's own loop, the oracle, and on asioloop's."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest
from loops import FACTORIES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Other people's packages may use what Python will drop; what they leave open is still an error."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture(params=FACTORIES)
def loop_name(request: pytest.FixtureRequest) -> str:
    """Of the loop under test."""
    return str(request.param)


@pytest.fixture
def runner(loop_name: str) -> Iterator[asyncio.Runner]:
    """An asyncio.Runner on the loop under test. An exception that nobody handled fails the test, and so does a leak."""
    before = set(os.listdir("/proc/self/fd"))
    unexpected: list[dict[str, object]] = []
    with asyncio.Runner(loop_factory=FACTORIES[loop_name]) as r:
        r.get_loop().set_exception_handler(lambda _loop, context: unexpected.append(context))
        yield r
    assert not unexpected, unexpected
    assert len(os.listdir("/proc/self/fd")) <= len(before), "file descriptors leaked"


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and a client's, for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    line += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*line, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=60
    )
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=certificate)
    server.load_cert_chain(certificate, key)
    return server, client


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that nobody listens on: bound, so that nobody else gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
