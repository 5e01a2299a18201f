"""Starting: proofs, failures, and who is to blame for them."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.switch.conftest import Supervised

    Supervise = Callable[..., Supervised]
    Asioserve = Callable[..., subprocess.CompletedProcess[str]]


def test_stage_3_serves_by_default_and_the_real_port_is_printed(supervise: Supervise) -> None:
    server = supervise().listening()
    assert server.port != 0
    assert server.get()["stage"] == 3


def test_the_stage_asked_for_serves(supervise: Supervise) -> None:
    assert supervise("--stage", "1").listening().get()["stage"] == 1


def test_flags_that_concern_a_server_are_handed_on(supervise: Supervise) -> None:
    server = supervise(
        "--no-access-log", "--header", "x-a: 1", "--header=x-b: 2", "--timeout-header", "1h30m", "--factory",
        env={"ASIOSERVE_SYNC": "pool"}, app=("app:app", "--", "one", "--two"),
    ).listening()  # fmt: skip
    argv = server.get("/argv")
    fds = [word for word in argv if word.startswith(("--fd=", "--supervisor-fd="))]
    rest = [word for word in argv if word not in fds and word != "--log-level=debug"]
    assert len(fds) == 2
    assert sorted(rest[:-4]) == sorted(
        ["--access-log=false", "--header=x-a: 1", "--header=x-b: 2", "--timeout-header=1h30m", "--factory=true",
         "--sync=pool"]
    )  # fmt: skip
    assert rest[-4:] == ["app:app", "--", "one", "--two"]


def test_variables_that_the_supervisor_has_used_do_not_reach_the_server(supervise: Supervise) -> None:
    server = supervise(
        env={"ASIOSERVE_PORT": "0", "ASIOSERVE_STAGE": "2", "ASIOSERVE_FALLBACK": "none", "ASIOSERVE_LOG_LEVEL": "info"},
        sockets=(),
    ).listening()  # fmt: skip
    environment = server.get("/environ")
    assert not {"ASIOSERVE_PORT", "ASIOSERVE_STAGE", "ASIOSERVE_FALLBACK"} & environment.keys()
    assert environment["ASIOSERVE_LOG_LEVEL"] == "info"
    assert server.get()["stage"] == 2


def test_a_config_file_is_read_once_by_the_supervisor(supervise: Supervise, tmp_path: Path) -> None:
    (tmp_path / "serve.toml").write_text('port = 0\nstage = 2\nheader = ["x-a: 1, 2"]\napp = "app:app"\n')
    server = supervise("--config", "serve.toml", sockets=(), app=()).listening()
    argv = server.get("/argv")
    assert "--header=x-a: 1, 2" in argv
    assert not [word for word in argv if word.startswith("--config")]
    assert server.get()["stage"] == 2


@pytest.mark.parametrize("words", ["unproved=1", "unproved=134", "unproved=0", "no-loop=1", "wrong=127"])
def test_a_stage_that_ends_without_proof_is_replaced_by_the_next(supervise: Supervise, words: str) -> None:
    server = supervise(fakes={3: words}).listening()
    assert server.get()["stage"] == 2
    server.logged(r"stage 3 exited with code \d+ before it had proved itself: stage 2 takes over")


def test_a_stage_that_never_proves_itself_is_killed_and_replaced(supervise: Supervise) -> None:
    server = supervise("--proof-timeout", "3s", fakes={3: "mute"}).listening()
    assert server.get()["stage"] == 2
    server.logged("stage 3 did not prove itself within 3s: stage 2 takes over")
    assert [stage for stage in server.status()["failed_stages"]] == [3]


def test_the_list_is_gone_through_in_its_order(supervise: Supervise) -> None:
    server = supervise(
        "--stage", "2", "--fallback", "1,3", fakes={2: "unproved=1", 1: "unproved=1"}
    ).listening()
    assert server.get()["stage"] == 3


def test_a_missing_program_is_a_stage_that_does_not_start(supervise: Supervise) -> None:
    server = supervise(stages=(1, 2)).listening()
    assert server.get()["stage"] == 2
    server.logged(r"stage 3 cannot start .*/stage3_server: No such file or directory: stage 2 takes over")


def test_when_no_stage_is_left_it_says_so_and_exits_1(supervise: Supervise) -> None:
    server = supervise(fakes=dict.fromkeys((1, 2, 3), "unproved=1"))
    assert server.wait() == 1
    server.logged("stage 1 exited with code 1 before it had proved itself and no other stage is left")


def test_without_fallback_the_first_failure_is_the_last(supervise: Supervise) -> None:
    server = supervise("--fallback", "none", fakes={3: "unproved=1"})
    assert server.wait() == 1
    assert "stage 2" not in server.log


def test_without_any_program_it_ends(supervise: Supervise) -> None:
    assert supervise(stages=()).wait() == 1


def test_an_app_that_fails_to_start_is_exit_3_and_no_reason_to_fall_back(supervise: Supervise) -> None:
    server = supervise(fakes={3: "no-startup"})
    assert server.wait() == 3
    assert "stage 2" not in server.log


@pytest.mark.parametrize("code", [1, 130])
def test_an_app_that_cannot_be_imported_ends_all_with_its_code(supervise: Supervise, code: int) -> None:
    server = supervise(fakes={3: f"no-import={code}"})
    assert server.wait() == code
    assert "stage 2" not in server.log


@pytest.mark.parametrize("code", [1, 2])
def test_what_is_wrong_before_the_import_is_no_reason_to_fall_back(supervise: Supervise, code: int) -> None:
    """A flag, a file, a virtual environment: the other stages would say the same."""
    server = supervise(fakes={3: f"wrong={code}"})
    assert server.wait() == code
    assert "stage 2" not in server.log


def test_a_slow_import_does_not_count_against_the_proof(supervise: Supervise) -> None:
    server = supervise("--proof-timeout", "4s", fakes={3: "slow-import"})
    server.logged("says that it imports the app")
    time.sleep(4.5)  # longer than the proof may take
    server.gate.touch()
    assert server.listening().get()["stage"] == 3


def test_a_server_that_crashes_in_the_apps_startup_is_started_again_up_to_the_limit(
    supervise: Supervise,
) -> None:
    server = supervise("--max-crashes", "1", fakes={3: "startup-crash"}).listening()
    assert server.get()["stage"] == 2
    server.logged(r"stage 3 was killed by signal 6 \(Aborted\) while the app started: it is started again")
    server.logged("the exit number 2 within 1m: stage 2 takes over")


def test_requests_wait_in_the_backlog_while_the_first_server_starts(supervise: Supervise) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = supervise(
            sockets=("--fd", str(listener.fileno())), pass_fds=(listener.fileno(),), fakes={3: "slow-startup"}
        )
        server.logged("starts")
        with socket.create_connection(listener.getsockname(), timeout=20) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            server.gate.touch()
            assert peer.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_port_in_use_is_one_clear_line(supervise: Supervise) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = supervise(sockets=("--port", str(port)))
        assert server.wait() == 1
        lines = [line for line in server.log.splitlines() if line]
        assert len(lines) == 1
        assert str(port) in lines[0]
        assert "in use" in lines[0]


def test_a_unix_socket_is_served_and_removed(supervise: Supervise, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = supervise(sockets=("--uds", str(path))).listening()
    server.logged(f"listening on unix:{path}")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(path))
        peer.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b'"stage": 3' in peer.recv(1000)
    server.end()
    assert not path.exists()


def test_the_pid_file_and_the_control_socket_go_with_it(supervise: Supervise, tmp_path: Path) -> None:
    server = supervise().listening()
    assert server.pid_file.read_text() == f"{server.pid}\n"
    control = tmp_path / "pid.control"
    assert control.stat().st_mode & 0o777 == 0o600
    server.end()
    assert not server.pid_file.exists()
    assert not control.exists()


def test_a_pid_file_that_cannot_be_written_is_one_clear_line(asioserve: Asioserve, tmp_path: Path) -> None:
    ended = asioserve("app:app", "--port", "0", "--pid-file", str(tmp_path / "no" / "pid"))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "cannot write the pid file" in ended.stderr


def test_a_second_one_on_the_same_control_socket_is_refused(supervise: Supervise) -> None:
    first = supervise().listening()
    second = supervise()
    assert second.wait() == 1
    assert "control" in second.log
    assert first.status()["state"] == "serving"
    assert first.pid_file.read_text() == f"{first.pid}\n"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--stage", "4", "a:b"], "--stage"),
        (["--fallback", "2,2", "a:b"], "--fallback"),
        (["--prot", "1", "a:b"], "--prot"),
        (["--proof-timeout", "0", "a:b"], "--proof-timeout"),
        (["--supervisor-fd", "3", "a:b"], "--supervisor-fd"),
        ([], "APP is missing"),
        (["switch"], "--to"),
        (["switch", "--to", "4", "--control", "x"], "--to"),
        (["switch", "--to", "2"], "which one"),
        (["status"], "which one"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(asioserve: Asioserve, arguments: list[str], word: str) -> None:
    ended = asioserve(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert word in ended.stderr


def test_commands_without_a_running_one_fail_clearly(asioserve: Asioserve, tmp_path: Path) -> None:
    ended = asioserve("status", "--pid-file", str(tmp_path / "none"))
    assert ended.returncode == 1
    assert "no asioserve answers" in ended.stderr


def test_help_and_version_are_printed_to_stdout(asioserve: Asioserve) -> None:
    assert "--fallback" in asioserve("--help").stdout
    assert "block the I/O thread" in asioserve("--help").stdout
    assert "--to" in asioserve("switch", "--help").stdout
    assert asioserve("--version").stdout.startswith("asioserve ")


def test_the_status_is_json(supervise: Supervise) -> None:
    server = supervise().listening()
    status: dict[str, Any] = server.status()
    assert status["stage"] == 3
    assert status["state"] == "serving"
    assert status["pid"] == server.get()["pid"]
    assert status["supervisor"] == server.pid
    assert json.dumps(status)
