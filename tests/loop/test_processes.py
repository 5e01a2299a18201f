"""Child processes: every way to start one, what it writes, how it ends, and that nothing of it is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asioloop
import pytest

Factory = Callable[[], asyncio.AbstractEventLoop]
TRUE, CAT = "/bin/true", "/bin/cat"
PIPE = asyncio.subprocess.PIPE
ROOT_ONLY = os.geteuid() == 0


@pytest.fixture(autouse=True)
def no_zombies() -> Iterator[None]:
    """A test leaves no child behind, dead or alive."""
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def ours() -> asyncio.Runner:
    """For what asyncio does not promise on every version."""
    return asyncio.Runner(loop_factory=asioloop.new_event_loop)


async def output_of(program: str, **keywords: Any) -> Any:
    """What a Python program prints, as JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", "import json, os, sys\n" + program, stdout=PIPE, **keywords
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


# --- how a process is started -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stderr", [None, PIPE, asyncio.subprocess.DEVNULL, asyncio.subprocess.STDOUT])
@pytest.mark.parametrize("stdin", [None, PIPE, asyncio.subprocess.DEVNULL])
def test_standard_streams_of_every_kind(
    runner: asyncio.Runner, stdin: int | None, stderr: int | None
) -> None:
    async def main() -> tuple[bytes | None, bytes | None, int | None]:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "echo out; echo err >&2; exit 3", stdin=stdin, stdout=PIPE, stderr=stderr
        )
        assert (process.stdin is not None) == (stdin == PIPE)
        out, err = await process.communicate()
        return out, err, process.returncode

    out, err, code = runner.run(main())
    assert code == 3
    assert out == (b"out\nerr\n" if stderr == asyncio.subprocess.STDOUT else b"out\n")
    assert err == (b"err\n" if stderr == PIPE else None)


def test_files_and_descriptors_as_standard_streams(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "in").write_bytes(b"from a file")
        with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
            process = await asyncio.create_subprocess_exec(CAT, stdin=source, stdout=target.fileno())
            assert await process.wait() == 0

    runner.run(main())
    assert (tmp_path / "out").read_bytes() == b"from a file"


def test_a_shell(runner: asyncio.Runner) -> None:
    async def main() -> tuple[bytes, int | None]:
        process = await asyncio.create_subprocess_shell(
            "read x; echo $((x * 2)); exit 5", stdin=PIPE, stdout=PIPE
        )
        out, _ = await process.communicate(b"21\n")
        return out, process.returncode

    assert runner.run(main()) == (b"42\n", 5)


def test_keywords_that_shape_the_child(runner: asyncio.Runner, tmp_path: Path) -> None:
    # This Python may be a program under sanitizers, and so its child.
    sanitizers = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
    read, write = os.pipe()
    try:

        async def main() -> Any:
            return await output_of(
                "print(json.dumps([os.getcwd(), os.environ.get('WHO'), os.getsid(0) == os.getpid(), os.umask(0),"
                f" os.fstat({write}).st_ino]))",
                cwd=tmp_path,
                env={"WHO": "a child", **sanitizers},
                start_new_session=True,
                umask=0o027,
                pass_fds=(write,),
            )

        assert runner.run(main()) == [str(tmp_path), "a child", True, 0o027, os.fstat(write).st_ino]
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("close_fds", [True, False])
def test_whether_descriptors_are_inherited(runner: asyncio.Runner, close_fds: bool) -> None:
    read, write = os.pipe()
    try:
        os.set_inheritable(write, True)

        async def main() -> Any:
            return await output_of(
                f"print(json.dumps(os.path.exists('/proc/self/fd/{write}')))", close_fds=close_fds
            )

        assert runner.run(main()) is not close_fds
    finally:
        os.close(read)
        os.close(write)


def test_a_process_group_a_pipe_size_and_signals(runner: asyncio.Runner) -> None:
    async def main() -> Any:
        return await output_of(
            "import fcntl, signal\n"
            "print(json.dumps([os.getpgid(0) == os.getpid(), fcntl.fcntl(1, 1032),"
            " signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL, os.environ.get('SET')]))",
            process_group=0,
            pipesize=8192,
            restore_signals=False,
            preexec_fn=None,
        )

    # -I -S: the interpreter itself ignores SIGPIPE, whatever it inherits.
    assert runner.run(main()) == [True, 8192, False, None]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_preexec_fn_runs_in_the_child(runner: asyncio.Runner) -> None:
    async def main() -> Any:
        return await output_of(
            "print(json.dumps(os.getppid() != 1 and os.nice(0)))", preexec_fn=lambda: os.nice(3) and None
        )

    assert runner.run(main()) == os.nice(0) + 3


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"user": 12345}, [12345, 0, [0]]),
        ({"group": 23456}, [0, 23456, [0]]),
        ({"extra_groups": [1, 7]}, [0, 0, [1, 7]]),
    ],
)
def test_users_and_groups(runner: asyncio.Runner, keywords: dict[str, Any], expected: list[Any]) -> None:
    async def main() -> Any:
        process = await asyncio.create_subprocess_exec("/usr/bin/id", "-u", stdout=PIPE, **keywords)
        user = int((await process.communicate())[0])
        process = await asyncio.create_subprocess_exec("/usr/bin/id", "-g", stdout=PIPE, **keywords)
        group = int((await process.communicate())[0])
        process = await asyncio.create_subprocess_exec("/usr/bin/id", "-G", stdout=PIPE, **keywords)
        groups = sorted({int(g) for g in (await process.communicate())[0].split()} - {group})
        return [user, group, groups]

    if not ROOT_ONLY:
        with pytest.raises(PermissionError):
            runner.run(main())
        return
    user, group, groups = runner.run(main())
    assert [user, group] == expected[:2]
    if "extra_groups" in keywords:
        assert groups == expected[2]


def test_what_asyncio_refuses(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocol = asyncio.SubprocessProtocol
        for keywords in (
            {"universal_newlines": True},
            {"shell": True},
            {"bufsize": 4096},
            {"text": True},
            {"encoding": "utf-8"},
            {"errors": "ignore"},
        ):
            with pytest.raises(ValueError):
                await loop.subprocess_exec(protocol, TRUE, **keywords)
        with pytest.raises(ValueError, match="cmd must be a string"):
            await loop.subprocess_shell(protocol, ["true"])  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await loop.subprocess_exec(protocol, 1)

    runner.run(main())


@pytest.mark.parametrize(
    ("program", "error"), [("/no/such/program", FileNotFoundError), ("/etc/passwd", PermissionError)]
)
def test_a_program_that_cannot_be_started(runner: asyncio.Runner, program: str, error: type[OSError]) -> None:
    async def main() -> None:
        with pytest.raises(error):
            await asyncio.create_subprocess_exec(program, stdin=PIPE, stdout=PIPE, stderr=PIPE)

    runner.run(main())


def test_what_programs_see_of_it_is_asyncios(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(asyncio.SubprocessProtocol, CAT)
        assert isinstance(transport, asyncio.SubprocessTransport)
        assert isinstance(transport.get_extra_info("subprocess"), subprocess.Popen)
        assert transport.get_protocol() is protocol
        assert transport.get_returncode() is None
        assert f"pid={transport.get_pid()} running" in repr(transport)
        for fd in (0, 1, 2):
            pipe = transport.get_pipe_transport(fd)
            assert isinstance(pipe, asyncio.WriteTransport if fd == 0 else asyncio.ReadTransport)
            assert pipe.get_extra_info("pipe").fileno() >= 0
        assert transport.get_pipe_transport(3) is None
        assert not transport.is_closing()
        transport.close()
        assert transport.is_closing()
        await transport._wait()  # type: ignore[attr-defined]

    runner.run(main())


# --- what it writes, and what is written to it ------------------------------------------------------------------------


def test_nothing_is_lost_at_the_end(runner: asyncio.Runner) -> None:
    async def main() -> None:
        for size in (1, 4096, 65536, 65537, 3_000_000):
            process = await asyncio.create_subprocess_exec(
                "/usr/bin/head", "-c", str(size), "/dev/zero", stdout=PIPE
            )
            out, _ = await process.communicate()
            assert len(out) == size and process.returncode == 0

    runner.run(main())


def test_output_comes_before_the_end_is_told(runner: asyncio.Runner) -> None:
    class Protocol(asyncio.SubprocessProtocol):
        def __init__(self) -> None:
            self.events: list[Any] = []
            self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.events.append("made")

        def pipe_data_received(self, fd: int, data: bytes) -> None:
            self.events.append((fd, data))

        def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None:
            self.events.append((fd, exc))

        def process_exited(self) -> None:
            self.events.append("exited")

        def connection_lost(self, exc: BaseException | None) -> None:
            self.events.append("lost")
            self.lost.set_result(None)

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            Protocol, "/bin/echo", "words", stdin=None, stderr=None
        )
        await protocol.lost
        transport.close()
        return protocol.events

    events = runner.run(main())
    assert events[0] == "made" and events[-1] == "lost"
    assert events.index((1, b"words\n")) < events.index((1, None))
    assert sorted(map(str, events[1:-1])) == ["(1, None)", r"(1, b'words\n')", "exited"]


def test_much_both_ways(runner: asyncio.Runner) -> None:
    async def main() -> bool:
        data = os.urandom(1 << 20) * 3
        process = await asyncio.create_subprocess_exec(CAT, stdin=PIPE, stdout=PIPE)
        out, _ = await process.communicate(data)
        return out == data

    assert runner.run(main())


def test_a_child_that_reads_nothing(runner: asyncio.Runner) -> None:
    async def main() -> int | None:
        process = await asyncio.create_subprocess_exec(TRUE, stdin=PIPE)
        # It has gone before it was all written; communicate() says nothing of it.
        await process.communicate(bytes(1 << 20))
        return process.returncode

    assert runner.run(main()) == 0


def test_a_grandchild_that_keeps_the_pipe_open(runner: asyncio.Runner) -> None:
    async def main() -> bytes:
        # The end of the process is not the end of its output.
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "exec 3<&0; (read x <&3; echo $x) & exit 0", stdin=PIPE, stdout=PIPE
        )
        assert process.stdin is not None and process.stdout is not None
        while process.returncode is None:
            await asyncio.sleep(0.001)
        process.stdin.write(b"later\n")
        out = await process.stdout.read()
        process.stdin.close()
        await process.wait()
        return out

    assert runner.run(main()) == b"later\n"


# --- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "code"), [("terminate", -15), ("kill", -9), ("send_signal", -10)])
def test_ends_by_a_signal(runner: asyncio.Runner, how: str, code: int) -> None:
    async def main() -> int:
        process = await asyncio.create_subprocess_exec(CAT, stdin=PIPE)
        arguments = (signal.SIGUSR1,) if how == "send_signal" else ()
        getattr(process, how)(*arguments)
        return await process.wait()

    assert runner.run(main()) == code


def test_many_wait_for_one_end(runner: asyncio.Runner) -> None:
    async def main() -> list[int]:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 9")
        return await asyncio.gather(*(process.wait() for _ in range(5)))

    assert runner.run(main()) == [9] * 5


def test_an_end_that_somebody_else_has_taken(factory: Factory, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> int:
        process = await asyncio.create_subprocess_exec(CAT, stdin=PIPE)
        assert process.stdin is not None
        os.kill(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)  # noqa: ASYNC222
        return await process.wait()

    if factory is asyncio.SelectorEventLoop and sys.version_info < (3, 12):
        factory = asioloop.new_event_loop  # whose thread might be the one that takes it
    with caplog.at_level(logging.WARNING, "asyncio"), asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(main()) == 255
    assert "exit status already read" in caplog.text


def test_an_end_that_the_kernel_has_taken(caplog: pytest.LogCaptureFixture) -> None:
    # asyncio raises ProcessLookupError on some versions, when the process was quick.
    async def main() -> list[int]:
        codes = []
        for program in (TRUE, CAT):
            process = await asyncio.create_subprocess_exec(program, stdin=asyncio.subprocess.DEVNULL)
            codes.append(await process.wait())
        return codes

    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with caplog.at_level(logging.WARNING, "asyncio"), ours() as runner:
            assert runner.run(main()) == [255, 255]
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "exit status already read" in caplog.text


def test_an_end_that_poll_has_seen_is_not_lost() -> None:
    async def main() -> int:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 6")
        popen = process._transport.get_extra_info("subprocess")  # type: ignore[attr-defined]
        while popen.poll() is None:
            pass
        return await process.wait()

    with ours() as runner:
        assert runner.run(main()) == 6


def test_closing_kills_it(runner: asyncio.Runner) -> None:
    async def main() -> int | None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, CAT)
        transport.close()
        transport.close()
        await transport._wait()  # type: ignore[attr-defined]
        return transport.get_returncode()

    assert runner.run(main()) == -9


def test_a_start_that_is_cancelled_leaves_nothing(runner: asyncio.Runner) -> None:
    async def main() -> None:
        starting = asyncio.create_task(asyncio.create_subprocess_exec(CAT, stdin=PIPE, stdout=PIPE))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    runner.run(main())


# --- watching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM, errno.EMFILE])
def test_without_a_pidfd_a_thread_waits(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    async def main() -> tuple[bytes, int | None, bool]:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "read x; echo $x; exit 4", stdin=PIPE, stdout=PIPE
        )
        threaded = any(f"waitpid-{process.pid}" in thread.name for thread in threading.enumerate())
        out, _ = await process.communicate(b"heard\n")
        return out, process.returncode, threaded

    def fails(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(subprocess, "_USE_VFORK", False, raising=False)  # which gives one in other ways, too
    monkeypatch.setattr(os, "pidfd_open", fails)
    with ours() as runner:
        assert runner.run(main()) == (b"heard\n", 4, True)


def test_no_thread_and_no_sigchld_handler_is_needed() -> None:
    async def main() -> None:
        threads = threading.active_count()
        before = signal.getsignal(signal.SIGCHLD)
        processes = [await asyncio.create_subprocess_exec(CAT, stdin=PIPE) for _ in range(5)]
        assert threading.active_count() == threads
        assert signal.getsignal(signal.SIGCHLD) == before
        for process in processes:
            process.kill()
            await process.wait()

    with ours() as runner:
        runner.run(main())


def test_many_loops_in_many_threads(factory: Factory) -> None:
    results: list[list[int]] = []

    async def main(n: int) -> list[int]:
        async def one(k: int) -> int:
            process = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {(n * 7 + k) % 200}")
            return await process.wait()

        return [code - (n * 7 + k) % 200 for k, code in enumerate(await asyncio.gather(*map(one, range(8))))]

    def work(n: int) -> None:
        with contextlib.closing(factory()) as loop:
            results.append(loop.run_until_complete(main(n)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[0] * 8] * 4


if sys.version_info < (3, 14):  # which has no child watchers

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_watcher_that_the_program_has_set_is_used() -> None:
        asked: list[int] = []

        class Watcher(asyncio.SafeChildWatcher):  # type: ignore[name-defined, misc, unused-ignore]
            def add_child_handler(self, pid: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
                asked.append(pid)
                super().add_child_handler(pid, callback, *args)

        async def main() -> int:
            watcher.attach_loop(asyncio.get_running_loop())
            process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 8")
            return await process.wait()

        watcher = Watcher()
        policy: Any = asyncio.get_event_loop_policy()
        before = policy._watcher
        policy._watcher = watcher
        try:
            with ours() as runner:
                assert runner.run(main()) == 8
                watcher.close()
        finally:
            policy._watcher = before
        assert len(asked) == 1


def test_a_loop_that_is_closed_first(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    loop = asioloop.new_event_loop()
    a, b = socket.socketpair()
    with a, b:
        transport, _ = loop.run_until_complete(
            loop.subprocess_exec(asyncio.SubprocessProtocol, CAT, stdin=b.fileno(), stdout=None, stderr=None)
        )
    popen = transport.get_extra_info("subprocess")
    loop.close()
    assert len(os.listdir("/proc/self/fd")) == before
    popen.kill()
    popen.wait()
    transport.close()


def test_hundreds_leave_nothing_behind(runner: asyncio.Runner) -> None:
    async def main() -> tuple[int, int]:
        async def one() -> None:
            process = await asyncio.create_subprocess_exec(TRUE, stdin=PIPE, stdout=PIPE, stderr=PIPE)
            out, err = await process.communicate(b"")
            assert (out, err, process.returncode) == (b"", b"", 0)

        await one()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(30):
            await asyncio.gather(*(one() for _ in range(10)))
        return before, len(os.listdir("/proc/self/fd"))

    before, after = runner.run(main())
    assert after == before
