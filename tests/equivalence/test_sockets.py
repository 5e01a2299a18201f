"""Where a server listens: TCP by name and number, IPv6, Unix sockets, inherited descriptors."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from blackbox.client import Client, Connect
from blackbox.server import ServerProcess, run, wait_for

Start = Callable[..., ServerProcess]


def test_port_0_finds_a_free_one_and_says_which(start: Start, connect: Connect) -> None:
    server = start("main:app")
    assert server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert connect(server).get("/hello").status == 200


def test_a_host_name(start: Start, connect: Connect) -> None:
    server = start("main:app", socket_flags=("--host", "localhost", "--port", "0"))
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    address = socket.getaddrinfo(host.strip("[]"), int(port), family)[0][4]
    client = Client(address, family)  # type: ignore[arg-type]
    with client:
        assert client.get("/hello").status == 200


def test_ipv6(start: Start, connect: Connect) -> None:
    server = start("main:app", socket_flags=("--host", "::1", "--port", "0"))
    assert server.url == f"http://[::1]:{server.port}"
    client = connect(("::1", server.port), family=socket.AF_INET6)
    answer = client.get("/request/x")
    assert answer.json()["client"] is True


class TestUnixSockets:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "s"

    def test_it_serves_and_is_gone_afterwards(self, start: Start, connect: Connect, path: Path) -> None:
        server = start("main:app", socket_flags=("--uds", str(path)))
        assert str(path) in server.url
        client = connect(str(path))
        assert client.get("/hello").status == 200
        assert client.get("/stream/async/3").status == 200
        assert stat.S_ISSOCK(path.stat().st_mode)
        client.close()
        assert server.stop() == 0
        assert not path.exists()

    def test_a_stale_one_is_replaced(self, start: Start, connect: Connect, path: Path) -> None:
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(path))
        stale.close()
        start("main:app", socket_flags=("--uds", str(path)))
        assert connect(str(path)).get("/hello").status == 200

    def test_one_that_somebody_listens_on_is_left_alone(self, kind: str, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as living:
            living.bind(str(path))
            living.listen()
            code, log = run(kind, "main:app", "--uds", str(path))
            assert code not in (0, 3), log
            assert str(path) in log
            assert path.exists()

    def test_a_file_that_is_no_socket_is_left_alone(self, kind: str, path: Path) -> None:
        path.write_text("precious")
        code, log = run(kind, "main:app", "--uds", str(path))
        assert code not in (0, 3), log
        assert path.read_text() == "precious"


class TestInheritedDescriptors:
    def test_a_listening_tcp_socket(self, start: Start, connect: Connect) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            fd = listening.fileno()
            start("main:app", socket_flags=("--fd", str(fd)), pass_fds=(fd,))
            port = listening.getsockname()[1]
            assert connect(("127.0.0.1", port)).get("/hello").status == 200

    def test_a_listening_unix_socket(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            listening.listen()
            fd = listening.fileno()
            start("main:app", socket_flags=("--fd", str(fd)), pass_fds=(fd,))
            assert connect(str(tmp_path / "s")).get("/hello").status == 200

    def test_several(self, start: Start, connect: Connect) -> None:
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            fds = (one.fileno(), two.fileno())
            flags = ("--fd", str(fds[0]), "--fd", str(fds[1]))
            start("main:app", socket_flags=flags, pass_fds=fds)
            for listening in (one, two):
                assert connect(("127.0.0.1", listening.getsockname()[1])).get("/hello").status == 200

    @pytest.mark.parametrize("fd", ["99", "0"])
    def test_what_is_no_listening_socket_is_refused(self, kind: str, fd: str) -> None:
        code, log = run(kind, "main:app", "--fd", fd)
        assert code not in (0, 3), log
        assert "Traceback" not in log


def test_a_port_in_use_is_one_clear_line(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, log = run(kind, "main:app", "--port", str(port))
    assert code not in (0, 3), log
    lines = [line for line in log.splitlines() if str(port) in line]
    assert lines, log
    assert "in use" in log
    assert "Traceback" not in log


def test_a_full_table_of_descriptors_does_not_end_the_server(start: Start, connect: Connect) -> None:
    """accept() fails with EMFILE; when there is room again the waiting peers are served."""
    import resource

    server = start("main:app")
    pid = server.serving_pid()
    assert connect(server).get("/hello").status == 200
    used = len(os.listdir(f"/proc/{pid}/fd"))
    before = resource.prlimit(
        pid, resource.RLIMIT_NOFILE, (used + 6, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    clients = [connect(server) for _ in range(12)]
    for client in clients:
        client.send(b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
    assert clients[0].read().status == 200
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    for client in clients[:4]:
        client.close()
    for client in clients[4:]:
        assert client.read().status == 200
    wait_for("a new one to be served", lambda: _serves(server))


def _serves(server: ServerProcess) -> bool:
    with Client(server.address) as client:
        return client.get("/hello").status == 200
