"""The supervisor over the real stages: every way to fall back is shown by a fault that is asked for."""

from __future__ import annotations

import functools
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.switch.conftest import Eventually, Processes, Supervised
    from tests.switch.load import Load

    Supervise = Callable[..., Supervised]
    MakeLoad = Callable[..., Load]

APPS = Path(__file__).with_name("apps")


@pytest.fixture
def serve(supervise: Supervise) -> Supervise:
    """Starts `asioserve` over the real stages."""
    return functools.partial(
        supervise,
        "--app-dir", str(APPS), "--status-path", "/status", "--metrics-path", "/metrics", "--no-access-log",
        real=True, app=("switched:app",),
    )  # fmt: skip


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_each_stage_proves_itself_and_shows_in_status_and_metrics(serve: Supervise, stage: int) -> None:
    server = serve("--stage", str(stage), "--fallback", "none").listening()
    server.logged("says that it proves itself")
    server.logged("says that it has proved itself")
    status = server.get("/status")
    assert status["stage"] == stage
    assert status["pid"] == server.get()["pid"] == server.status()["pid"]
    assert f'stage="{stage}"' in server.text("/metrics")
    server.logged(f"stage {stage} .*serves")


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_each_stage_beats_from_its_loop(serve: Supervise, eventually: Eventually, stage: int) -> None:
    server = serve("--stage", str(stage)).listening()
    ages = [server.status()["last_sign_ms"]]

    def heard_again() -> bool:
        ages.append(server.status()["last_sign_ms"])
        return bool(ages[-1] < ages[-2])

    for _ in range(2):
        eventually("a beat", heard_again)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_stage_whose_proof_fails_is_replaced(serve: Supervise, stage: int) -> None:
    following = 1 if stage == 3 else 3
    server = serve(
        "--stage", str(stage), "--fallback", str(following), "--fault-proof", "--fault-stage", str(stage)
    ).listening()
    assert server.get("/status")["stage"] == following
    server.logged(
        f"stage {stage} exited with code .* before it had proved itself: stage {following} takes over"
    )


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_stage_whose_proof_hangs_is_killed_and_replaced(serve: Supervise, stage: int) -> None:
    following = 1 if stage == 3 else 3
    server = serve(
        "--stage", str(stage), "--fallback", str(following), "--fault-proof-hang", "--fault-stage", str(stage),
        "--proof-timeout", "5s",
    ).listening()  # fmt: skip
    assert server.get("/status")["stage"] == following
    server.logged(f"stage {stage} did not prove itself within 5s: stage {following} takes over")


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_stage_that_keeps_crashing_is_replaced(serve: Supervise, stage: int) -> None:
    following = 1 if stage == 3 else 3
    server = serve(
        "--stage", str(stage), "--fallback", str(following), "--fault-crash-after", "2", "--fault-stage", str(stage),
        "--max-crashes", "1", "--crash-window", "10m",
    ).listening()  # fmt: skip
    for count in (2, 3):
        assert server.get()["pid"]
        assert server.get("/plain")["pid"]
        server.poke("/")
        server.logged(r"stage \d \(pid \d+\) serves", count=count)
    server.logged(
        rf"stage {stage} was killed by signal 6 .*the exit number 2 within 10m: stage {following} takes over"
    )
    assert server.get("/status")["stage"] == following
    for _ in range(5):
        assert server.get()["pid"]


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("path", ["/", "/plain"])
def test_a_stage_that_hangs_is_replaced(serve: Supervise, stage: int, path: str) -> None:
    following = 1 if stage == 3 else 3
    server = serve(
        "--stage", str(stage), "--fallback", str(following), "--fault-hang-after", "1", "--fault-stage", str(stage),
        "--beat-timeout", "4s",
    ).listening()  # fmt: skip
    assert server.get()["pid"]
    server.poke(path)
    server.logged(f"stage {stage} gave no sign of life for 4s: stage {following} takes over")
    server.logged(r"stage \d \(pid \d+\) serves", count=2)
    assert server.get("/status")["stage"] == following


def test_without_a_working_stage_it_ends(serve: Supervise) -> None:
    assert serve("--fault-proof").wait(120) == 1


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_an_app_that_fails_to_start_is_exit_3(serve: Supervise, stage: int) -> None:
    server = serve("--stage", str(stage), env={"SWITCHED_STARTUP": "fails"})
    assert server.wait() == 3
    assert "this app does not want to start" in server.log
    assert "takes over" not in server.log


def test_an_app_that_cannot_be_imported_is_one_line_and_exit_1(serve: Supervise) -> None:
    server = serve(env={"SWITCHED_IMPORT": "fails"})
    assert server.wait() == 1
    lines = [line for line in server.log.splitlines() if " error " in line]
    assert len(lines) == 1
    assert "this app does not want to be imported" in lines[0]
    assert "takes over" not in server.log


def test_a_signal_during_the_import_ends_it(serve: Supervise) -> None:
    server = serve(env={"SWITCHED_IMPORT": "waits"})
    server.logged("switched: waits")
    server.send(signal.SIGINT)
    assert server.wait() == 130


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("code", [0, 5])
def test_a_handler_that_exits_ends_all_with_its_code(serve: Supervise, stage: int, code: int) -> None:
    server = serve("--stage", str(stage)).listening()
    server.poke(f"/exit/{code}")
    assert server.wait() == code
    assert "takes over" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_signal_lets_what_has_begun_be_answered(
    serve: Supervise, stage: int, number: signal.Signals
) -> None:
    server = serve("--stage", str(stage)).listening()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as peer:
        peer.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        active_before = server.get("/status")
        assert active_before["stage"] == stage
        server.send(number)
        answer = b""
        while part := peer.recv(1000):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
        assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["pid"] == active_before["pid"]
    assert server.wait() == 0


def test_no_request_is_lost_by_switches_between_any_two_stages(
    serve: Supervise, load: MakeLoad, eventually: Eventually
) -> None:
    server = serve().listening()
    with load(server.port, key="pid") as peers:
        for stage in (2, 1, 3, 1, 2, 3):
            switched = server.command("switch", "--to", str(stage))
            assert switched.returncode == 0, switched.stderr
            pid = server.status()["pid"]
            eventually(f"stage {stage} answers", functools.partial(peers.has, pid, 200))
    assert peers.lost == []
    assert len(peers.answers) == 7


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_no_request_is_lost_by_rolling_restarts(
    serve: Supervise, load: MakeLoad, eventually: Eventually, stage: int
) -> None:
    server = serve("--stage", str(stage)).listening()
    with load(server.port, key="pid", path="/plain") as peers:
        for _ in range(3):
            before = server.status()["pid"]
            server.send(signal.SIGHUP)
            after = eventually("another process", functools.partial(another, server, before))
            eventually("it answers", functools.partial(peers.has, after, 200))
    assert peers.lost == []


def another(server: Supervised, pid: int) -> int:
    """The pid of a server that serves and is not that one, or 0."""
    status = server.status()
    return int(status["pid"]) if status["state"] == "serving" and status["pid"] != pid else 0


def test_a_hanging_stage_can_be_switched_away_from(
    serve: Supervise, processes: Processes, eventually: Eventually
) -> None:
    server = serve(
        "--fault-hang-after",
        "1",
        "--fault-stage",
        "3",
        "--beat-timeout",
        "6s",
        "--timeout-graceful-shutdown",
        "1s",
    ).listening()
    hanging = server.get()["pid"]
    server.poke("/")
    assert server.command("switch", "--to", "2").returncode == 0
    assert server.get("/status")["stage"] == 2
    eventually("the old one is gone", lambda: processes.gone(hanging))


def test_real_children_die_with_a_supervisor_that_is_killed(
    serve: Supervise, processes: Processes, eventually: Eventually
) -> None:
    server = serve().listening()
    pid = server.get()["pid"]
    server.send(signal.SIGKILL)
    server.process.wait(10)
    eventually("the server is gone", lambda: processes.gone(pid))


def test_an_apps_programs_inherit_neither_sockets_nor_the_pipe(serve: Supervise) -> None:
    server = serve().listening()
    # ls itself has the folder open that it lists.
    assert len(server.get("/descriptors")) <= 1


def test_a_unix_socket_outlives_a_switch(serve: Supervise, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = serve(sockets=("--uds", str(path))).listening()
    for stage in (1, 2, 3):
        assert server.command("switch", "--to", str(stage)).returncode == 0
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(str(path))
            peer.sendall(b"GET /plain HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert peer.recv(1000).startswith(b"HTTP/1.1 200")
    assert path.exists()
    server.end()
    assert not path.exists()


def test_an_inherited_socket_is_served(serve: Supervise) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        server = serve(sockets=("--fd", str(number)), pass_fds=(number,)).listening()
        assert server.port == listener.getsockname()[1]
        assert server.get()["pid"]


def test_the_programs_are_found_beside_the_supervisor(serve: Supervise) -> None:
    server = serve().listening()
    program = Path(f"/proc/{server.status()['pid']}/exe").readlink()
    supervisor = Path(f"/proc/{server.pid}/exe").readlink()
    assert program == supervisor.with_name("stage3_server")
