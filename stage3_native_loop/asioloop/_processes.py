"""Child processes: asyncio's transport for them, with an end that the loop itself sees.

They are started by subprocess.Popen; the kernel's part of a plain start is native (_popen.py). A pidfd becomes readable when its process ends. The loop waits for it as for any descriptor: no thread, no SIGCHLD, nothing
that loops or threads would share. asyncio's child watchers (until 3.13) are not asked, unless the program has set one that
is neither of asyncio's two defaults: FastChildWatcher, for one, takes the end of every child away from everybody else.
"""

from __future__ import annotations

import asyncio
import os
import threading
from asyncio import events, unix_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from . import _popen
from ._part import LoopPart

if TYPE_CHECKING:
    from ._loop import Loop

# What asyncio reports when somebody else has taken the exit status.
_UNKNOWN = 255

_DEFAULT_WATCHERS = tuple(
    getattr(unix_events, name)
    for name in ("ThreadedChildWatcher", "PidfdChildWatcher")
    if hasattr(unix_events, name)
)


def _watcher_of_the_program() -> Any:
    """The child watcher that the program has set, if it is none of asyncio's defaults."""
    # Not by get_child_watcher(): that makes one, and is deprecated.
    watcher = getattr(getattr(events, "_event_loop_policy", None), "_watcher", None)
    return None if isinstance(watcher, _DEFAULT_WATCHERS) else watcher


class _Child:
    """A process until its end, which is told once."""

    def __init__(self, loop: Loop, transport: ProcessTransport) -> None:
        self._loop = loop
        self._transport = transport
        self._process: Any = transport._proc
        self.pid: int = self._process.pid

    def watch(self, pidfd: int | None) -> None:
        """Tell the transport when it has ended, even if it has ended already. Takes over the pidfd, if there is one."""
        try:
            self._watch_descriptor(os.pidfd_open(self.pid) if pidfd is None else pidfd)
        except ProcessLookupError:  # the kernel reaps by itself: SIGCHLD is ignored
            self._ended(self._taken_elsewhere())
        except (OSError, AttributeError):  # no pidfd here, or no descriptor free
            threading.Thread(
                target=self._wait_in_thread, name=f"asyncio-waitpid-{self.pid}", daemon=True
            ).start()

    def _watch_descriptor(self, fd: int) -> None:
        try:
            self._loop._add_reader(fd, self._may_have_ended, fd)
        except BaseException:
            os.close(fd)
            raise
        self._loop._children.add(fd)

    def _may_have_ended(self, fd: int) -> None:
        try:
            # By the descriptor, never the number: that may be another child's by now.
            end = os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
            if end is None:  # whoever traces it is told first
                return
            code = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
        except ChildProcessError:
            code = self._taken_elsewhere()
        self._loop._remove_reader(fd)
        self._loop._children.discard(fd)
        os.close(fd)
        if self._transport._pipes:
            # A turn later: what it wrote has been seen by then.
            self._loop.call_soon(self._ended, code)
        else:
            self._ended(code)

    def _taken_elsewhere(self) -> int:
        # By poll() of the Popen object, as close() of the transport does: then it is not lost.
        code: int | None = self._process.returncode
        if code is not None:
            return code
        logger.warning(
            "child process pid %d exit status already read:  will report returncode %d", self.pid, _UNKNOWN
        )
        return _UNKNOWN

    def _wait_in_thread(self) -> None:
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            code = self._taken_elsewhere()
        try:
            self._loop.call_soon_threadsafe(self._ended, code)
        except RuntimeError:
            logger.warning("Loop %r that handles pid %r is closed", self._loop, self.pid)

    def _ended(self, code: int) -> None:
        self._transport._process_exited(code)


class ProcessTransport(unix_events._UnixSubprocessTransport):  # type: ignore[name-defined, misc]
    """asyncio's, which waits for the process as soon as there is one."""

    def _start(  # noqa: PLR0917
        self, args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, bufsize: int, **kwargs: Any
    ) -> None:
        pidfd = None
        if _popen.is_the_original():
            self._proc, pidfd = _popen.start(
                args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=bufsize, **kwargs
            )
        else:
            super()._start(args, shell, stdin, stdout, stderr, bufsize, **kwargs)
        _Child(self._loop, self).watch(pidfd)


class ProcessMethods(LoopPart):
    """What a loop does for subprocess_exec() and subprocess_shell(), whose front asyncio has.

    Threads: the loop's.
    """

    def __init__(self, *args: Any) -> None:
        # The pidfds of the children that run.
        self._children: set[int] = set()
        super().__init__(*args)

    async def _make_subprocess_transport(  # noqa: PLR0917
        self,
        protocol: asyncio.SubprocessProtocol,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> asyncio.SubprocessTransport:
        if _watcher_of_the_program() is not None:
            transport: asyncio.SubprocessTransport = await super()._make_subprocess_transport(  # type: ignore[misc]
                protocol, args, shell, stdin, stdout, stderr, bufsize, extra, **kwargs
            )
            return transport
        waiter = self.create_future()
        made = ProcessTransport(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize, waiter=waiter, extra=extra, **kwargs
        )
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            made.close()
            await made._wait()
            raise
        return made

    def close(self) -> None:
        """Stop waiting for children that still run: nobody could be told."""
        while self._children:
            fd = self._children.pop()
            self._remove_reader(fd)
            os.close(fd)
        super().close()
