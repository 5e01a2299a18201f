"""uvicorn serves a FastAPI app: requests, streams, websockets, lifespan, and an end that waits for what is under way."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import PATIENCE, Process, python, python_environment, running
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

LOOPS = {"asyncio": "asyncio", "asioloop": "asioloop:new_event_loop"}


class Server:
    """A running uvicorn."""

    def __init__(self, process: Process) -> None:
        self.process = process
        process.wait_for("the app is up")
        self.port = int(process.wait_for(r"Uvicorn running on http://127\.0\.0\.1:(\d+)")[1])

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = self.connection()
        try:
            connection.request(method, path, body, {"content-type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture
def server(loop_name: str) -> Iterator[Server]:
    line = [
        "-m",
        "uvicorn",
        "fastapi_app:app",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--loop",
        LOOPS[loop_name],
    ]
    with running(python(*line), env=python_environment()) as process:
        yield Server(process)


def test_requests_are_answered_on_the_loop_that_was_asked_for(server: Server, loop_name: str) -> None:
    status, body = server.ask("GET", "/loop")
    assert status == 200
    assert json.loads(body)["module"] == loop_name
    assert server.ask("POST", "/items", b'{"name": "x", "price": 2.5}') == (
        200,
        b'{"name":"x","with_tax":5.0}',
    )
    assert server.ask("POST", "/items", b'{"name": "x"}')[0] == 422
    assert server.ask("GET", "/threads/12") == (200, b"144")
    assert server.ask("GET", "/threads/-1")[0] == 404


def test_many_clients_at_once(server: Server) -> None:
    def client(n: int) -> list[int]:
        connection = server.connection()
        got = []
        for i in range(20):
            connection.request("GET", f"/threads/{n + i}")
            got.append(int(connection.getresponse().read()))
        connection.close()
        return got

    with ThreadPoolExecutor(8) as pool:
        for n, got in enumerate(pool.map(client, range(16))):
            assert got == [(n + i) ** 2 for i in range(20)]


def test_bodies_stream_both_ways(server: Server) -> None:
    _, body = server.ask("GET", "/stream?chunks=100&size=30000")
    assert body == b"".join(bytes([i]) * 30000 for i in range(100))
    assert server.ask("POST", "/length", bytes(5_000_000)) == (200, b"5000000")


def test_a_client_that_leaves_in_the_middle_of_a_stream_harms_nobody(server: Server) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as left:
            left.sendall(b"GET /stream?chunks=1000&size=100000 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert left.recv(15) == b"HTTP/1.1 200 OK"
    assert server.ask("GET", "/threads/3") == (200, b"9")


def test_websockets_talk_and_close(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/chat", subprotocols=["chat"]) as chat:
        assert chat.subprotocol == "chat"
        for word in ("hello", "x" * 100_000, "Grüße"):
            chat.send(word)
            assert chat.recv(PATIENCE) == word.upper()
        chat.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            chat.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")
    with connect(f"ws://127.0.0.1:{server.port}/chat", subprotocols=["chat"]) as chat:
        chat.close(4002)
    server.process.wait_for("the peer left with 4002")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_is_under_way(server: Server, number: signal.Signals) -> None:
    slow = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    head = b"POST /length HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    with slow:
        slow.sendall(head)
        # So the app waits for the body: the request is under way.
        assert slow.recv(1000).startswith(b"HTTP/1.1 100")
        server.process.child.send_signal(number)
        server.process.wait_for("Waiting for (connections to close|background tasks to complete)")
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), PATIENCE).close()
        slow.sendall(bytes(10))
        answer = b"".join(iter(lambda: slow.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n10")
    server.process.wait_for("the app is down")
    # It ends by the signal that ended it, as uvicorn does once it has closed everything.
    assert server.process.child.wait(PATIENCE) in (0, -number)
    said = "\n".join(server.process.output())
    assert "Traceback" not in said and "Application shutdown complete" in said


def test_an_app_that_fails_is_a_500_and_a_log(server: Server) -> None:
    assert server.ask("GET", "/fails")[0] == 500
    server.process.wait_for("ZeroDivisionError")
    assert server.ask("GET", "/threads/3") == (200, b"9")
