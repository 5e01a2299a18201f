"""How processes are started: what the child gets, and what is wrong, is as with subprocess.Popen."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TRUE, CAT = "/bin/true", "/bin/cat"
PIPE = asyncio.subprocess.PIPE


@pytest.fixture(autouse=True)
def no_zombies() -> Iterator[None]:
    """A test leaves no child behind, dead or alive."""
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _refusal(runner: asyncio.Runner, *line: Any, **keywords: Any) -> tuple[Any, ...]:
    """How it says that it cannot start this."""

    async def main() -> tuple[Any, ...]:
        with pytest.raises(Exception) as info:
            await asyncio.create_subprocess_exec(*line, stdin=PIPE, stdout=PIPE, **keywords)
        return type(info.value), info.value.args, getattr(info.value, "filename", None)

    return runner.run(main())


def _popens_refusal(*line: Any, **keywords: Any) -> tuple[Any, ...]:
    with pytest.raises(Exception) as info:
        subprocess.Popen(line, stdin=PIPE, stdout=PIPE, bufsize=0, **keywords)
    return type(info.value), info.value.args, getattr(info.value, "filename", None)


@pytest.mark.parametrize(
    ("line", "keywords"),
    [
        (["/no/such/program"], {}),
        (["no-such-program-in-path"], {}),
        (["no-such-program-in-path"], {"env": {"PATH": "/no/folder:/etc"}}),
        (["passwd"], {"env": {"PATH": "/etc:/no/folder"}}),
        (["/etc/passwd"], {}),
        (["/etc/passwd/program"], {}),
        (["true"], {"executable": "/no/such/program"}),
        ([TRUE], {"cwd": "/no/such/folder"}),
        ([TRUE], {"cwd": "/etc/passwd"}),
        ([TRUE], {"cwd": "a\0b"}),
        ([TRUE, "a\0b"], {}),
        ([TRUE, 7], {}),
        ([7], {}),
        (["a\0b"], {}),
        ([TRUE], {"env": {"A=B": "c"}}),
        ([TRUE], {"env": {"A": 7}}),
        ([TRUE], {"env": {"A": "a\0b"}}),
        ([TRUE], {"cwd": 7}),
    ],
)
def test_what_is_wrong_is_said_as_popen_says_it(
    runner: asyncio.Runner, line: list[Any], keywords: dict[str, Any]
) -> None:
    assert _refusal(runner, *line, **keywords) == _popens_refusal(*line, **keywords)


def test_what_is_wrong_with_a_plain_start(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for program, error in (
            (TRUE, None),
            ("/no/such/program", FileNotFoundError),
            ("no-such-program-in-path", FileNotFoundError),
            ("/etc/passwd", PermissionError),
            ("a\0b", ValueError),
            (7, TypeError),
            (TRUE, None),
        ):
            start = loop.subprocess_exec(
                asyncio.SubprocessProtocol,
                program,
                stdin=None,
                stdout=None,
                stderr=None,
            )
            if error is None:
                transport, _ = await start
                assert await transport._wait() == 0  # type: ignore[attr-defined]
                transport.close()
                continue
            with pytest.raises(error) as info:
                await start
            assert getattr(info.value, "filename", program) == program

    runner.run(main())


def test_a_file_that_the_kernel_does_not_know_how_to_run(runner: asyncio.Runner, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("no interpreter is named here")
    script.chmod(0o755)
    assert _refusal(runner, script) == _popens_refusal(script)


def test_a_program_is_looked_for_in_the_path_that_it_gets(runner: asyncio.Runner, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, mode in ((first, 0o644), (second, 0o755)):
        folder.mkdir()
        (folder / "program").write_text("#!/bin/sh\necho $0")
        (folder / "program").chmod(mode)

    async def main() -> bytes:
        env = {"PATH": f"/no/folder:/etc/passwd:{first}:{second}"}
        process = await asyncio.create_subprocess_exec("program", stdout=PIPE, env=env)
        return (await process.communicate())[0]

    assert runner.run(main()).decode().strip() == str(second / "program")


def test_variables_as_they_are_when_it_starts(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> bytes:
        process = await asyncio.create_subprocess_exec("/usr/bin/env", stdout=PIPE)
        before, _ = await process.communicate()
        monkeypatch.setenv("ASIOLOOP_TEST", "set \udcff")
        process = await asyncio.create_subprocess_exec("/usr/bin/env", stdout=PIPE)
        after, _ = await process.communicate()
        assert b"ASIOLOOP_TEST=set \xff\n" in after and b"ASIOLOOP_TEST" not in before
        mixed: Any = {b"A": "1", "B": b"2"}
        process = await asyncio.create_subprocess_exec("/usr/bin/env", stdout=PIPE, env=mixed)
        return (await process.communicate())[0]

    assert runner.run(main()) == b"A=1\nB=2\n"


def _signals_of(status: bytes) -> dict[str, set[int]]:
    """What /proc/self/status says, but for the two that are the C library's own."""
    fields = dict(line.split(":\t", 1) for line in status.decode().splitlines())
    return {
        name: {n for n in signal.valid_signals() if int(fields[name], 16) & 1 << (n - 1)}
        for name in ("SigBlk", "SigIgn", "SigCgt")
    }


@pytest.mark.parametrize("restore", [True, False])
def test_signals_in_the_child(runner: asyncio.Runner, restore: bool) -> None:
    line = ("/bin/cat", "/proc/self/status")

    async def main() -> bytes:
        process = await asyncio.create_subprocess_exec(*line, stdout=PIPE, restore_signals=restore)
        return (await process.communicate())[0]

    handled = signal.signal(signal.SIGUSR1, lambda *_: None)
    ignored = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        found = _signals_of(runner.run(main()))
        popens = _signals_of(subprocess.run(line, stdout=PIPE, restore_signals=restore, check=True).stdout)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGUSR2, ignored)
        signal.signal(signal.SIGUSR1, handled)
    assert found == popens
    assert signal.SIGHUP in found["SigBlk"] and signal.SIGUSR2 in found["SigIgn"]
    assert (signal.SIGPIPE in found["SigIgn"]) is not restore


def test_pipes_that_get_the_lowest_descriptors(runner: asyncio.Runner) -> None:
    async def main() -> tuple[bytes, bytes]:
        kept = os.dup(0)
        os.close(0)
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", "cat; echo err >&2", stdin=PIPE, stdout=PIPE, stderr=PIPE
            )
            return await process.communicate(b"in")
        finally:
            os.dup2(kept, 0)
            os.close(kept)

    assert runner.run(main()) == (b"in", b"err\n")


# The second one that is without any option is made in a shorter way.
@pytest.mark.parametrize("standard", [PIPE, None, None])
def test_its_popen_is_what_popen_makes(runner: asyncio.Runner, standard: int | None) -> None:
    line = (CAT, "-u") if standard else ("/bin/sleep", "1000")

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.subprocess_exec(
            asyncio.SubprocessProtocol, *line, stdin=standard, stdout=standard, stderr=None
        )
        ours = transport.get_extra_info("subprocess")
        popens = subprocess.Popen(  # noqa: ASYNC220
            line, stdin=standard, stdout=standard, bufsize=0, universal_newlines=False
        )
        looks: list[Any] = [
            (type(one), repr(one), one.poll(), {name: _plain(value) for name, value in vars(one).items()})
            for one in (ours, popens)
        ]
        for one in (ours, popens):
            one.terminate()
        popens.communicate()
        await transport._wait()  # type: ignore[attr-defined]
        looks += [(one.returncode, one.wait(), one.poll()) for one in (ours, popens)]
        transport.close()
        return looks

    looks = runner.run(main())
    assert looks[0] == looks[1] and looks[2] == looks[3] == (-15, -15, -15)


def _plain(value: Any) -> Any:
    """What two processes have alike of a field."""
    return value if isinstance(value, (tuple, bool, float, str)) or value is None else type(value)


def test_a_popen_that_the_program_has_put_there(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, args: Any, **keywords: Any) -> None:
            super().__init__(["/bin/sh", "-c", "exit 7"], **keywords)

    async def main() -> int | None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, TRUE)
        assert type(transport.get_extra_info("subprocess")) is Popen
        await transport._wait()  # type: ignore[attr-defined]
        transport.close()
        return transport.get_returncode()

    monkeypatch.setattr(subprocess, "Popen", Popen)
    assert runner.run(main()) == 7
