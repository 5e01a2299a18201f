"""While it serves: crashes, hangs, switches, signals, the end."""

from __future__ import annotations

import functools
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.switch.conftest import Eventually, Processes, Supervised
    from tests.switch.load import Load

    Supervise = Callable[..., Supervised]
    MakeLoad = Callable[[int], Load]


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_lone_crash_starts_the_same_stage_again(supervise: Supervise, eventually: Eventually) -> None:
    server = supervise().listening()
    first = server.get()["pid"]
    server.poke("/crash")
    server.logged(r"stage 3 was killed by signal 6 \(Aborted\): it is started again")
    server.logged("serves", count=2)
    assert server.get()["stage"] == 3
    assert server.get()["pid"] != first
    assert server.status()["restarts"] == 1


def test_more_crashes_than_allowed_bring_in_the_next_stage(supervise: Supervise) -> None:
    server = supervise("--max-crashes", "2", "--crash-window", "10m").listening()
    for count in (2, 3, 4):
        server.poke("/crash")
        server.logged("serves", count=count)
    assert server.get()["stage"] == 2
    server.logged("stage 3 was killed by .*, the exit number 3 within 10m: stage 2 takes over")


def test_a_stage_that_stops_beating_is_killed_and_replaced(
    supervise: Supervise, processes: Processes
) -> None:
    server = supervise("--beat-timeout", "3s").listening()
    first = server.get()["pid"]
    server.poke("/hang")
    server.logged("stage 3 gave no sign of life for 3s: stage 2 takes over")
    server.logged("serves", count=2)
    assert server.get()["stage"] == 2
    assert processes.gone(first)


def test_a_server_that_was_stopped_together_with_its_supervisor_is_no_hang(supervise: Supervise) -> None:
    server = supervise("--beat-timeout", "3s").listening()
    first = server.get()["pid"]
    os.kill(first, signal.SIGSTOP)
    server.send(signal.SIGSTOP)
    time.sleep(6)  # longer than a beat may be late, and than a timer is ever late
    server.send(signal.SIGCONT)
    os.kill(first, signal.SIGCONT)
    assert server.get()["pid"] == first
    assert "no sign of life" not in server.log


def test_when_the_last_stage_hangs_it_exits_1(supervise: Supervise) -> None:
    server = supervise("--stage", "1", "--fallback", "none", "--beat-timeout", "3s").listening()
    server.poke("/hang")
    assert server.wait() == 1
    server.logged("stage 1 gave no sign of life for 3s and no other stage is left")


def test_the_apps_own_exit_code_is_passed_on(supervise: Supervise, eventually: Eventually) -> None:
    server = supervise().listening()
    port = server.port
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert peer.recv(1000)
        server.get("/exit/7")  # and waits for the other connection
        eventually("it refuses", lambda: refuses(port))
        assert server.process.poll() is None
    assert server.wait() == 7


def test_a_switch_changes_the_stage(
    supervise: Supervise, eventually: Eventually, processes: Processes
) -> None:
    server = supervise().listening()
    first = server.get()["pid"]
    switched = server.command("switch", "--to", "1")
    assert switched.returncode == 0, switched.stderr
    assert switched.stdout.startswith("stage 1 serves, pid ")
    eventually("the old one has ended", lambda: processes.gone(first))
    assert server.get()["stage"] == 1
    assert server.status()["stage"] == 1
    again = server.command("switch", "--to", "1")
    assert again.stdout.startswith("stage 1 serves already")


def test_no_request_is_lost_by_switches_to_and_fro(
    supervise: Supervise, load: MakeLoad, eventually: Eventually
) -> None:
    server = supervise().listening()
    with load(server.port) as peers:
        for stage in (1, 3, 2, 3):
            enough = peers.count(stage) + 100
            assert server.command("switch", "--to", str(stage)).returncode == 0
            eventually(f"stage {stage} answers", functools.partial(peers.has, stage, enough))
    assert peers.lost == []


def test_sighup_is_a_rolling_restart(supervise: Supervise, load: MakeLoad, eventually: Eventually) -> None:
    server = supervise().listening()
    first = server.get()["pid"]
    with load(server.port) as peers:
        eventually("there is load", lambda: peers.count(3) > 50)
        server.send(signal.SIGHUP)
        server.logged(rf"stage 3 \(pid {first}\) exited with code 0")
    assert server.get()["pid"] != first
    assert server.get()["stage"] == 3
    assert peers.lost == []


@pytest.mark.parametrize("words", ["unproved=1", "no-startup", "no-import=1", "startup-crash", "mute"])
def test_a_switch_to_a_stage_that_fails_leaves_the_old_one_serving(supervise: Supervise, words: str) -> None:
    server = supervise("--proof-timeout", "3s", fakes={1: words}).listening()
    first = server.get()["pid"]
    switched = server.command("switch", "--to", "1")
    assert switched.returncode == 1
    assert "goes on" in switched.stderr
    assert server.get() == {"stage": 3, "pid": first}


def test_a_switch_during_a_switch_is_refused(supervise: Supervise) -> None:
    server = supervise(fakes={1: "slow-startup"}).listening()
    server.send(signal.SIGHUP)
    server.logged("serves", count=2)
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(server.pid_file) + ".control")
        slow.sendall(b"switch 1\n")
        server.logged("a switch to stage 1 was asked for")
        refused = server.command("switch", "--to", "2")
        assert refused.returncode == 1
        assert "try again" in refused.stderr
        server.gate.touch()
        slow.settimeout(20)
        assert slow.recv(100).startswith(b"ok stage 1 serves")


def test_a_crash_during_a_switch_is_mended_by_the_newcomer(supervise: Supervise) -> None:
    server = supervise(fakes={1: "slow-startup"}).listening()
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(server.pid_file) + ".control")
        slow.sendall(b"switch 1\n")
        server.logged("a switch to stage 1 was asked for")
        server.poke("/crash")
        server.logged("is on its way")
        server.gate.touch()
        assert server.get()["stage"] == 1


def test_a_stage_that_failed_can_be_switched_to_again(supervise: Supervise) -> None:
    server = supervise("--max-crashes", "0").listening()
    server.poke("/crash")
    server.logged("stage 2 takes over")
    server.logged("serves", count=2)
    assert server.status()["failed_stages"] == [3]
    assert server.command("switch", "--to", "3").returncode == 0
    assert server.status()["stage"] == 3
    assert server.status()["failed_stages"] == []


def switch_in_a_pause(server: Supervised, stage: int) -> bytes:
    """The answer to a switch that comes while nothing runs, as the next start waits after five crashes."""
    for count in range(1, 5):
        server.poke("/crash")
        server.logged("is started again", count=count)
        server.logged("serves", count=count + 1)
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(30)
        control.connect(str(server.pid_file) + ".control")
        server.poke("/crash")
        server.logged("is started again in 800ms")
        control.sendall(b"switch %d\n" % stage)
        return control.recv(1000)


def test_a_switch_in_a_pause_between_crashes_does_not_wait_for_it(supervise: Supervise) -> None:
    server = supervise("--max-crashes", "20").listening()
    assert switch_in_a_pause(server, 1).startswith(b"ok stage 1 serves")
    assert server.get()["stage"] == 1


def test_a_switch_that_fails_while_nothing_serves_is_told_so(supervise: Supervise) -> None:
    server = supervise("--max-crashes", "20", fakes={1: "unproved=1"}).listening()
    answer = switch_in_a_pause(server, 1)
    assert answer.startswith(b"error stage 1 exited with code 1")
    assert b"stage 2 takes over" in answer
    assert server.get()["stage"] == 2


def test_after_a_switch_the_first_stage_is_the_last_resort(supervise: Supervise) -> None:
    server = supervise("--fallback", "2", "--max-crashes", "0", fakes={2: "unproved=1"}).listening()
    assert server.command("switch", "--to", "1").returncode == 0
    server.logged(r"stage 3 \(pid \d+\) exited")  # until then a request may still reach it
    server.poke("/crash")
    server.logged("stage 1 .*: stage 2 takes over")
    server.logged("stage 2 .*: stage 3 takes over")
    assert server.get()["stage"] == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_servers_code_is_passed_on(
    supervise: Supervise, number: signal.Signals
) -> None:
    server = supervise().listening()
    pid = server.get()["pid"]
    server.send(number)
    assert server.wait() == 0
    server.logged(rf"stage 3 \(pid {pid}\) exited with code 0")


def test_peers_are_refused_while_the_last_server_drains(supervise: Supervise, eventually: Eventually) -> None:
    server = supervise().listening()
    port = server.port
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert peer.recv(1000)
        server.send(signal.SIGTERM)  # and waits for this connection
        eventually("it refuses", lambda: refuses(port))
        assert server.process.poll() is None


def test_a_server_killed_by_a_signal_of_its_own_ends_with_128_and_its_number(supervise: Supervise) -> None:
    server = supervise(fakes={3: "deaf"}).listening()
    pid = server.get()["pid"]
    server.send(signal.SIGTERM)
    server.logged("shutting down")
    os.kill(pid, signal.SIGABRT)
    assert server.wait() == 128 + signal.SIGABRT


def test_a_second_signal_kills_at_once(supervise: Supervise, processes: Processes) -> None:
    server = supervise(fakes={3: "deaf"}).listening()
    pid = server.get()["pid"]
    server.send(signal.SIGTERM)
    server.logged("shutting down")
    server.send(signal.SIGINT)
    assert server.wait() == 128 + signal.SIGINT
    assert processes.gone(pid)


def test_a_server_that_hangs_instead_of_draining_is_killed(supervise: Supervise) -> None:
    server = supervise("--timeout-graceful-shutdown", "200ms", "--beat-timeout", "3s").listening()
    server.command("status")
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(0.1)  # it must have begun to hang when the signal comes
        server.send(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGKILL


def test_a_signal_before_anything_serves_ends_it(supervise: Supervise) -> None:
    server = supervise(fakes={3: "mute"})
    server.logged("starts")
    server.send(signal.SIGTERM)
    assert server.wait() == 128 + signal.SIGTERM


def test_children_die_with_a_supervisor_that_is_killed(
    supervise: Supervise, processes: Processes, eventually: Eventually
) -> None:
    server = supervise(fakes={3: "deaf"}).listening()
    pid = server.get()["pid"]
    server.send(signal.SIGKILL)
    server.process.wait(10)
    eventually("the server is gone", lambda: processes.gone(pid))


def test_what_a_killed_server_had_started_does_not_outlive_it(
    supervise: Supervise, processes: Processes, eventually: Eventually
) -> None:
    server = supervise("--beat-timeout", "3s", fakes={3: "subprocess"}).listening()
    sleeper = server.get("/subprocess")
    assert not processes.gone(sleeper)
    server.poke("/hang")
    server.logged("takes over")
    eventually("the subprocess is gone", lambda: processes.gone(sleeper))


def test_orphans_are_adopted_and_collected(
    supervise: Supervise, processes: Processes, eventually: Eventually
) -> None:
    server = supervise(fakes={3: "orphan"}).listening()
    server.logged("collected the orphan")
    eventually("one child is left", lambda: processes.children_of(server.pid) == [server.get()["pid"]])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_the_first_process_of_a_container(
    supervise: Supervise, processes: Processes, eventually: Eventually, number: signal.Signals
) -> None:
    """The kernel gives PID 1 no default actions and all orphans."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child=KILL"]
    if os.geteuid() != 0:
        namespace += ["--user", "--map-root-user"]
    server = supervise(fakes={3: "orphan"}, wrapper=tuple(namespace)).listening()
    server.logged("collected the orphan")
    (first,) = processes.children_of(server.pid)
    assert re.search(r"^NSpid:.*\t1$", Path(f"/proc/{first}/status").read_text(), re.M)
    (child,) = eventually("one child is left", lambda: processes.children_of(first))
    os.kill(first, number)
    assert server.wait() == 0
    assert processes.gone(child)


def test_no_zombies_after_crashes(supervise: Supervise, processes: Processes, eventually: Eventually) -> None:
    server = supervise().listening()
    for count in (2, 3):
        server.poke("/crash")
        server.logged("serves", count=count)
    eventually("one child is left", lambda: processes.children_of(server.pid) == [server.get()["pid"]])


def test_descriptors_do_not_pile_up(supervise: Supervise, eventually: Eventually) -> None:
    server = supervise().listening()

    def descriptors() -> int:
        return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))

    server.command("status")
    before = eventually("", descriptors)
    for stage in (1, 2, 3):
        assert server.command("switch", "--to", str(stage)).returncode == 0
    eventually("the old ones have ended", lambda: server.status()["draining"] == 0)
    eventually("as many descriptors as before", lambda: descriptors() <= before)


def test_a_server_inherits_its_sockets_and_pipe_and_nothing_else(supervise: Supervise) -> None:
    server = supervise().listening()
    answer: dict[str, Any] = server.get()
    targets = [str(one.readlink()) for one in Path(f"/proc/{answer['pid']}/fd").iterdir() if one.exists()]
    ours = {str(one.readlink()) for one in Path(f"/proc/{server.pid}/fd").iterdir()}
    assert not [target for target in targets if "signalfd" in target]
    shared = [target for target in set(targets) & ours if target.startswith("socket:")]
    assert len(shared) == 1  # the listening socket, not the control socket


def test_other_signals_reach_the_server(supervise: Supervise) -> None:
    server = supervise().listening()
    server.send(signal.SIGUSR1)
    server.logged("fake: USR1")


def test_a_talkative_client_of_the_control_socket_is_cut(supervise: Supervise) -> None:
    server = supervise().listening()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(server.pid_file) + ".control")
        peer.sendall(b"x" * 256)  # what it reads, so that its end is no reset
        assert peer.recv(10) == b""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(server.pid_file) + ".control")
        peer.sendall(b"dance\n")
        assert peer.recv(100) == b"error unknown command\n"
    assert server.status()["state"] == "serving"
