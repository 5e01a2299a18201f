"""C++ coroutines in stage 3's server: behind routes, beside Python handlers, across requests, and at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "equivalence"))

from blackbox.client import Client  # noqa: E402
from blackbox.server import ServerProcess  # noqa: E402


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    # As for every whole server: what extension modules keep for good is no leak of ours.
    leaks = f"print_suppressions=0:suppressions={ROOT}/tests/sanitizers/lsan_servers.supp"
    where = ROOT / "examples" / "cpp"
    with ServerProcess("cpp", "app.py:app", cwd=where, env={"LSAN_OPTIONS": leaks}) as process:
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address) as c:
        yield c


def test_a_handler_in_cpp_answers_beside_one_in_python(client: Client) -> None:
    for _ in range(3):
        assert client.get("/wait/0").text == "waited"
        assert client.get("/python").text == "python"
        assert client.get("/overlap").json() == ["python", "python", "waited"]


def one(server: ServerProcess, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    with Client(server.address) as c:
        answer = c.request(method, path, body=body)
        return answer.status, answer.text


def test_requests_that_wait_in_cpp_hold_nobody_up(server: ServerProcess, client: Client) -> None:
    letters = [f"letter {i}" for i in range(8)]
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(one, server, "GET", "/mail") for _ in letters]
        assert client.get("/python").text == "python"
        for letter in letters:
            assert client.request("POST", "/mail", body=letter.encode()).status == 202
        assert sorted(w.result() for w in waiting) == [(200, letter) for letter in letters]


def test_pipelined_requests_keep_their_order(client: Client) -> None:
    paths = ["/wait/0.01", "/python", "/wait/0", "/overlap"] * 4
    client.send("".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in paths).encode())
    expected = {"/python": "python", "/overlap": '["python","python","waited"]'}
    for path in paths:
        assert client.read().text == expected.get(path, "waited")


def test_a_time_limit_ends_what_waits_in_cpp(server: ServerProcess, client: Client) -> None:
    assert client.get("/mail?within=0.001").status == 404
    # Who has given up takes no letter.
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(one, server, "POST", "/mail", b"letter")
        assert client.get("/mail").text == "letter"
        assert sent.result()[0] == 202


def test_the_server_waits_for_cpp_when_it_ends(server: ServerProcess) -> None:
    with Client(server.address) as waiting:
        waiting.send(b"GET /wait/0.1 HTTP/1.1\r\nHost: a\r\n\r\n")
        with Client(server.address) as other:
            assert other.get("/python").status == 200
        assert server.stop() == 0
        assert waiting.read().text == "waited"
