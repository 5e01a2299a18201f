"""How a server ends: draining, the second signal, the exit code, and what a handler may do to it."""

import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Callable

import pytest
from blackbox.client import Client, Closed, Connect, compose
from blackbox.server import SLOWNESS, ServerProcess, run, wait_for

Start = Callable[..., ServerProcess]


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def refuses(server: ServerProcess) -> bool:
    """True when nobody accepts there any more."""
    with contextlib.suppress(ConnectionError), socket.create_connection(server.address, 5) as probe:
        probe.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            return probe.recv(1) == b""
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server_at_once(start: Start, number: signal.Signals) -> None:
    server = start()
    server.signal(number)
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_has_begun_is_answered_and_the_connection_closed(
    start: Start, connect: Connect, name: str, number: signal.Signals
) -> None:
    """The handler waits for a client that leaves: by then the server is draining."""
    server = start()
    running, other, idle = connect(server), connect(server), connect(server)
    assert idle.get("/hello").status == 200
    running.send(compose("GET", f"/disconnect/kept/{name}"))
    wait_for("the handler", lambda: other.get(f"/debug/count/begun-{name}").json()["count"] == 1)
    # This one has its head half sent, so it has begun too and may set the event while draining.
    other.send(b"POST /debug/set/" + name.encode() + b" HTTP/1.1\r\nHost: t\r\n")
    server.signal(number)
    assert idle.is_closed_by_server(), "an idle connection is closed"
    wait_for("the listening socket to be closed", lambda: refuses(server))
    other.send(b"\r\n")
    assert other.read().status == 200
    answer = running.read()
    assert answer.json() == {"kept": True}
    assert (answer.header("connection") or "").lower() == "close"
    assert running.is_closed_by_server()
    assert server.wait() == 0


def test_a_stream_is_ended_properly(start: Start, connect: Connect, name: str) -> None:
    server = start()
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/stream/step/{name}"))
    assert client.read_head().status == 200
    assert client.read_chunk() == b"first"
    other.send(b"POST /debug/set/" + name.encode() + b" HTTP/1.1\r\nHost: t\r\n")
    server.signal(signal.SIGTERM)
    wait_for("the listening socket to be closed", lambda: refuses(server))
    other.send(b"\r\n")
    assert client.read_chunk() == b"second"
    assert client.read_chunk() == b""
    assert server.wait() == 0


def test_draining_is_bounded(start: Start, connect: Connect, name: str) -> None:
    """A handler that never returns is cancelled at the end of the time, and its finally runs."""
    server = start("main:app", "--timeout-graceful-shutdown", "300ms")
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/never-returns/{name}"))
    wait_for("the handler", lambda: other.get(f"/debug/count/never-{name}").json()["count"] == 1)
    server.signal(signal.SIGTERM)
    with contextlib.suppress(Closed):
        assert client.read().status in (500, 503)
    assert server.wait() == 0


def test_a_handler_that_ignores_cancellation_once(start: Start, connect: Connect, name: str) -> None:
    server = start("main:app", "--timeout-graceful-shutdown", "200ms")
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/stubborn/{name}"))
    wait_for("the handler", lambda: other.get(f"/debug/count/stubborn-{name}").json()["count"] == 1)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "stubborn was cancelled" in server.log


def test_a_background_task_is_cancelled_at_the_end(start: Start, connect: Connect, name: str) -> None:
    server = start()
    assert connect(server).request("POST", f"/background/{name}").status == 200
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "never retrieved" not in server.log


def test_a_stream_that_never_ends_does_not_stop_the_end(start: Start, connect: Connect, name: str) -> None:
    server = start("main:app", "--timeout-graceful-shutdown", "300ms")
    endless, idle = connect(server, rcvbuf=65536), connect(server)
    endless.send(compose("GET", f"/stream/endless/{name}"))
    idle.send(compose("GET", f"/stream/idle/{name}-2"))
    assert endless.read_head().status == 200
    assert idle.read_head().status == 200
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_an_upload_in_flight_is_finished(start: Start, connect: Connect) -> None:
    server = start()
    client = connect(server)
    client.send(b"POST /upload/count HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345")
    with Client(server.address) as other:
        assert other.get("/hello").status == 200
    server.signal(signal.SIGTERM)
    wait_for("the listening socket to be closed", lambda: refuses(server))
    client.send(b"67890")
    assert client.read().json()["size"] == 10
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(
    start: Start, connect: Connect, name: str, number: signal.Signals
) -> None:
    server = start("main:app", "--timeout-graceful-shutdown", "1h")
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/never-returns/{name}"))
    wait_for("the handler", lambda: other.get(f"/debug/count/never-{name}").json()["count"] == 1)
    other.close()
    server.signal(number)
    wait_for("draining", lambda: refuses(server))
    server.signal(number)
    code = server.wait()
    assert code in (-number, 128 + number), server.log


def test_a_second_signal_ends_a_loop_that_hangs(start: Start, connect: Connect) -> None:
    server = start("ends:app", "--timeout-graceful-shutdown", "1h")
    client = connect(server)
    client.send(compose("GET", "/hang"))
    server.wait_for_log("hanging now")
    server.signal(signal.SIGTERM)
    # The first signal may not be seen by anything but the I/O side; give it what it needs to be two, not one.
    with contextlib.suppress(TimeoutError):
        wait_for("draining", lambda: refuses(server), 1)
    server.signal(signal.SIGTERM)
    assert server.wait() in (-signal.SIGTERM, 128 + signal.SIGTERM)


class TestEndsFromInside:
    """SystemExit and KeyboardInterrupt in a handler: a 500 for that request, then the server drains and exits so."""

    @pytest.mark.parametrize("how", ["end", "end-later", "end-sync", "end-pool"])
    @pytest.mark.parametrize(
        ("what", "code"),
        [("exit-0", 0), ("exit-none", 0), ("exit-7", 7), ("exit-text", 1), ("interrupt", 130)],
    )
    def test_the_exit_code(self, start: Start, how: str, what: str, code: int) -> None:
        server = start()
        with Client(server.address) as client:
            client.send(compose("GET", f"/{how}/{what}"))
            answer = client.read()
            assert answer.status == 500
            assert answer.text == "Internal Server Error"
            assert client.is_closed_by_server()
        assert server.wait() == code, server.log
        if what == "exit-text":
            assert "the reason" in server.log

    def test_others_are_answered_first(self, start: Start, connect: Connect, name: str) -> None:
        server = start()
        waiting, ending, other = connect(server), connect(server), connect(server)
        waiting.send(compose("GET", f"/wait/{name}"))
        wait_for("the handler", lambda: other.get(f"/debug/count/wait-{name}").json()["count"] == 1)
        other.send(b"POST /debug/set/" + name.encode() + b" HTTP/1.1\r\nHost: t\r\n")
        ending.send(compose("GET", "/end/exit-7"))
        assert ending.read().status == 500
        server.wait_for_log("shutting down")
        other.send(b"\r\n")
        assert other.read().status == 200
        assert waiting.read().json() == {"waited": name}
        assert server.wait() == 7


class TestSignalsOfTheApp:
    def test_a_handler_of_the_loop_wins(self, start: Start, connect: Connect) -> None:
        """loop.add_signal_handler(SIGTERM) in the lifespan, as under asyncio.run: the server does not drain."""
        server = start("signals:app", env={"APP_SIGNAL": "loop"})
        server.signal(signal.SIGTERM)
        server.wait_for_log("the app got SIGTERM")
        assert connect(server).get("/").status == 200
        server.kill()

    def test_one_found_before_is_chained_to(self, start: Start) -> None:
        """signal.signal at import: ours is installed afterwards, calls it, and drains."""
        server = start("signals:app", env={"APP_SIGNAL": "import"})
        server.signal(signal.SIGTERM)
        server.wait_for_log("the app got SIGTERM")
        assert server.wait() == 0

    @pytest.mark.parametrize("whom", ["server", "group"])
    def test_sigint_during_import_is_a_keyboard_interrupt(self, kind: str, whom: str) -> None:
        """Of kill, and of a terminal, which asks the supervisor and its child at once."""
        server = ServerProcess(kind, "slow_import:app")
        try:
            server.wait_for_log("importing slowly")
            if whom == "group":
                os.killpg(server.pid, signal.SIGINT)
            else:
                server.signal(signal.SIGINT)
            assert server.wait() == 130, server.log
            assert "listening on" not in server.log
            server.check_log()
        finally:
            if server.process.poll() is None:
                server.kill()


class TestLifespan:
    def test_it_runs_once_around_everything(self, start: Start, connect: Connect) -> None:
        server = start("ends:app")
        assert connect(server).get("/state").json() == {"started": 1}
        assert server.stop() == 0
        log = server.log
        assert log.count("lifespan: startup") == 1
        assert log.count("lifespan: shutdown") == 1
        assert log.index("lifespan: startup") < log.index("listening on")

    def test_an_app_that_fails_to_start_is_exit_3(self, kind: str) -> None:
        code, log = run(kind, "ends:fails_to_start")
        assert code == 3, log
        assert "the database is away" in log
        assert "Traceback" in log, "the log, unlike the peer, gets the traceback"

    def test_an_app_that_fails_to_stop_says_so(self, kind: str) -> None:
        server = ServerProcess(kind, "ends:fails_to_stop")
        try:
            server.wait_listening()
            server.signal(signal.SIGTERM)
            code = server.wait()
        finally:
            if server.process.poll() is None:
                server.kill()
        assert "the database hangs up" in server.log
        assert code != 3, "3 is for an app that did not start"


def test_nothing_is_left_of_it(start: Start, connect: Connect) -> None:
    """No process of its session survives."""
    server = start()
    assert connect(server).get("/threads/to_thread").status == 200
    session = server.pid
    assert server.stop() == 0

    def gone() -> bool:
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError, ValueError):
                    if os.getsid(int(entry)) == session:
                        return False
        return True

    wait_for("its children to be gone", gone, 5 * SLOWNESS)


def test_an_executor_thread_that_works_on_does_not_stop_the_end_for_ever(
    start: Start, connect: Connect, name: str
) -> None:
    """As under asyncio.run the executor's threads are waited for: a short one is finished."""
    server = start("main:app", "--timeout-graceful-shutdown", "200ms")
    client, other = connect(server), connect(server)
    client.send(compose("GET", f"/disconnect/sync/{name}"))
    wait_for("the handler", lambda: other.get(f"/debug/count/begun-{name}").json()["count"] == 1)
    other.request("POST", f"/disconnect/go/{name}")
    assert client.read().status == 200
    assert server.stop() == 0
