"""subprocess.Popen, whose system calls are ours in the plain case.

Popen itself checks the arguments and makes the pipes; then the program is started natively (_asioloop.spawn), which takes a
seventh of the system calls. Whatever asks for more than that, or fails, is Popen's own business: it starts the program, or
says why it cannot. What a program gets to see is a subprocess.Popen.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import _asioloop

if TYPE_CHECKING:
    _Base = subprocess.Popen[bytes]
else:
    _Base = subprocess.Popen

_Original: Any = subprocess.Popen
_execute: Any = _Original._execute_child
_environ = os.environ
# What _get_handles() gives for a child that has our standard streams.
_NO_PIPES = (-1,) * 6

# What asyncio asks for when the program asks for nothing.
_PLAIN = {"shell": False, "stdin": None, "stdout": None, "stderr": None, "bufsize": 0}
# The fields of a Popen that was made so, but for those that each has its own of.
_fields: dict[str, Any] = {}
_OF_EACH = ("args", "pid", "_waitpid_lock")
_init: Any = _Original.__init__


class _Start(NamedTuple):
    """What Popen gives to its _execute_child(), by position."""

    args: Any
    executable: Any
    preexec_fn: Any
    close_fds: bool
    pass_fds: Any
    cwd: Any
    env: Any
    startupinfo: Any
    creationflags: int
    shell: bool
    p2cread: int
    p2cwrite: int
    c2pread: int
    c2pwrite: int
    errread: int
    errwrite: int
    restore_signals: bool
    gid: Any
    gids: Any
    uid: Any
    umask: int
    start_new_session: bool
    process_group: int

    def is_plain(self) -> bool:
        """Whether it asks for nothing that is Popen's alone."""
        return (
            self.preexec_fn is None
            and not self.pass_fds
            and (self.env is not None or os.environ is _environ)  # which the C library's copy follows
            and self.gid is None
            and self.gids is None
            and self.uid is None
            and self.umask < 0
            and self.process_group < 0
            and not (self.shell and isinstance(self.args, os.PathLike))
        )


class _Popen(_Base):
    """Until it has started its program."""

    _pidfd: int | None = None

    def _get_handles(self, stdin: Any, stdout: Any, stderr: Any) -> Any:
        if stdin is None and stdout is None and stderr is None:
            return _NO_PIPES
        return super()._get_handles(stdin, stdout, stderr)  # type: ignore[misc]

    def _execute_child(self, *given: Any) -> None:
        start = _Start(*given)
        started = _started_natively(start) if start.is_plain() else None
        if started is None:
            _execute(self, *given)
            return
        self.pid, self._pidfd = started
        self._child_created = True
        pipes = start[10:16]
        if pipes == _NO_PIPES:
            self._closed_child_pipe_fds = True
        else:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _started_natively(start: _Start) -> tuple[int, int] | None:
    args, executable = start.args, start.executable
    words = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
    if start.shell:
        words = [executable or "/bin/sh", "-c", *words]
    program = words[0] if executable is None else executable
    sys.audit("subprocess.Popen", program, words, start.cwd, start.env)
    try:
        files, variables = _files(program, start.env), _variables(start.env)
    except Exception:
        return None  # Popen says it in its own words
    return _asioloop.spawn(
        files,
        words,
        variables,
        start.cwd,
        start.p2cread,
        start.c2pwrite,
        start.errwrite,
        start.close_fds,
        start.restore_signals,
        start.start_new_session,
    )


def _files(program: Any, env: Any) -> list[bytes]:
    """Where the program may be: as Popen looks for it."""
    name = os.fsencode(program)
    if b"/" in name:
        return [name]
    return [os.path.join(os.fsencode(folder), name) for folder in os.get_exec_path(env)]  # noqa: PTH118


def _variables(env: Any) -> list[bytes] | None:
    """As the kernel takes them. None: the ones that the C library has."""
    if env is None:
        return None
    pairs = [(os.fsencode(name), os.fsencode(value)) for name, value in env.items()]
    if any(b"=" in name for name, _ in pairs):
        raise ValueError("illegal environment variable name")
    return [b"=".join(pair) for pair in pairs]


def is_the_original() -> bool:
    """Whether nobody has put another Popen there, nor told it not to share memory with a child (_USE_VFORK)."""
    popen: Any = subprocess.Popen
    return popen is _Original and popen._execute_child is _execute and getattr(subprocess, "_USE_VFORK", True)


def start(args: Any, **keywords: Any) -> tuple[subprocess.Popen[bytes], int | None]:
    """Popen(args, **keywords), and the pidfd if there is one already: the caller's."""
    plain = keywords == _PLAIN and type(args) is tuple
    if plain and _fields and (started := _like_the_first(args)) is not None:
        return started
    process: Any = _Popen(args, universal_newlines=False, **keywords)
    pidfd = process.__dict__.pop("_pidfd", None)
    process.__class__ = _Original
    if plain and pidfd is not None:
        _fields.update({name: value for name, value in vars(process).items() if name not in _OF_EACH})
    return process, pidfd


def _like_the_first(args: tuple[Any, ...]) -> tuple[subprocess.Popen[bytes], int] | None:
    """One without any option, after a first that has shown what Popen makes of it."""
    if _Original.__init__ is not _init or os.environ is not _environ:
        return None
    subprocess._cleanup()  # type: ignore[attr-defined]
    sys.audit("subprocess.Popen", args[0], list(args), None, None)
    try:
        files = _files(args[0], None)
    except Exception:
        return None
    started = _asioloop.spawn(files, args, None, None, -1, -1, -1, True, True, False)
    if started is None:
        return None
    process: Any = _Original.__new__(_Original)
    process.__dict__.update(_fields, args=args, pid=started[0], _waitpid_lock=threading.Lock())
    return process, started[1]
