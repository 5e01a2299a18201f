"""The Python half of the loop: what runs once per loop, per connection or in debug mode.

Subclassing is all that this file does for what has a file of its own: streams (_streams.py) and who makes them
(_connections.py), TLS (_tls.py), datagrams (_datagrams.py), names (_names.py), pipes (_pipes.py), processes (_processes.py),
signals (_signals.py), forks (_fork.py). What runs per callback or per packet there is native (_asioloop). The rest, executors
say, is asyncio's own selector-loop code, which stands on four methods of the core: _add_reader, _remove_reader, _add_writer,
_remove_writer.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import sys
import threading
import weakref
from asyncio import events, format_helpers
from typing import Any

import _asioloop

from ._connections import ConnectionMethods
from ._datagrams import DatagramMethods
from ._debug import DebugMethods
from ._fork import ForkMethods
from ._metrics import MetricsMethods
from ._names import NameMethods
from ._pipes import PipeMethods
from ._processes import ProcessMethods
from ._signals import SignalMethods
from ._streams import StreamTransport
from ._tls import TlsMethods


class _Watched:
    """Stands where asyncio's loop keeps its selector, and shows what Asio's reactor, which does that work, waits for.

    asyncio's own transports look there: repr() says whether they are reading.
    """

    def __init__(self, loop: Loop) -> None:
        # The loop has this: no cycle.
        self._loop = weakref.ref(loop)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """What is waited for, as a selector says it. KeyError: nothing."""
        loop = self._loop()
        reader, writer = loop._watched(fileobj) if loop else (None, None)
        if reader is None and writer is None:
            raise KeyError(f"{fileobj!r} is not registered")
        mask = (selectors.EVENT_READ if reader else 0) | (selectors.EVENT_WRITE if writer else 0)
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return selectors.SelectorKey(fileobj, fd, mask, (reader, writer))

    def close(self) -> None:
        """Nothing is open here."""


class Loop(  # type: ignore[misc]
    ForkMethods,
    MetricsMethods,
    DebugMethods,
    SignalMethods,
    ProcessMethods,
    PipeMethods,
    _asioloop.LoopCore,
    ConnectionMethods,
    DatagramMethods,
    NameMethods,
    TlsMethods,
    asyncio.SelectorEventLoop,
):
    """An asyncio event loop whose turn is Asio's.

    Threads: as every asyncio loop, only call_soon_threadsafe() may be called from another thread than the loop's.
    """

    # What asyncio's own classes keep. In slots, as a method of an object whose __dict__ is empty is found in less time:
    # a tenth of call_soon. The __dict__ is there all the same, for what a program sets.
    __slots__ = (
        "_acceptors",
        "_asyncgens",
        "_asyncgens_shutdown_called",
        "_children",
        "_clock_resolution",
        "_closed",
        "_coroutine_origin_tracking_enabled",
        "_coroutine_origin_tracking_saved_depth",
        "_csock",
        "_current_handle",
        "_debug",
        "_default_executor",
        "_exception_handler",
        "_executor_shutdown_called",
        "_has_wakeup",
        "_internal_fds",
        "_old_agen_hooks",
        "_ready",
        "_scheduled",
        "_selector",
        "_signal_handlers",
        "_signals_due",
        "_signals_scheduled",
        "_ssock",
        "_task_factory",
        "_thread_id",
        "_timer_cancelled_count",
        "_transports",
        "_unix_server_sockets",
        "_wakeup_before",
        "_watcher",
    )

    def __init__(self) -> None:
        self._acceptors = {}
        super().__init__(_Watched(self))

    # --- running --------------------------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until stop() is called (asyncio.loop.run_forever)."""
        self._run_forever_setup()
        try:
            self._run_core()
        finally:
            self._run_forever_cleanup()

    def _run_forever_setup(self) -> None:
        """What comes before the turns (_run_once), for a subclass whose run_forever() is its own."""
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self.get_debug())
        self._set_core_debug(self.get_debug())
        self._old_agen_hooks = sys.get_asyncgen_hooks()
        self._watch_signals()
        self._thread_id = threading.get_ident()
        sys.set_asyncgen_hooks(
            firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook
        )
        events._set_running_loop(self)

    def _run_forever_cleanup(self) -> None:
        """What comes after them."""
        self._stopping = False
        self._thread_id = None  # type: ignore[assignment]
        events._set_running_loop(None)
        self._set_coroutine_origin_tracking(False)
        sys.set_asyncgen_hooks(*self._old_agen_hooks)
        self._unwatch_signals()

    def close(self) -> None:
        """Close the loop: callbacks that are due are dropped (asyncio.loop.close)."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        super().close()
        self._close_core()

    def set_task_factory(self, factory: Any) -> None:
        """Set how create_task() makes tasks (asyncio.loop.set_task_factory)."""
        super().set_task_factory(factory)
        self._set_core_task_factory(factory is not None)

    def set_debug(self, enabled: bool) -> None:
        """Switch debug mode; also while running."""
        self._debug = enabled
        self._set_core_debug(enabled)
        if self.is_running():
            self.call_soon_threadsafe(self._set_coroutine_origin_tracking, enabled)

    def _write_to_self(self) -> None:
        """asyncio's base class wakes its selector by this; ours is woken by call_soon_threadsafe itself."""

    def _add_callback_signalsafe(self, handle: asyncio.Handle) -> None:
        # From _read_from_self(), which is a callback of ours: the loop is awake.
        self._add_callback(handle)

    # --- what asyncio's connecting and accepting ask for -----------------------------------------------------------

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> StreamTransport:
        self._ensure_fd_no_transport(sock)
        return StreamTransport(self, sock, protocol, waiter, extra=extra, server=server)

    # --- what the core asks Python to do -----------------------------------------------------------------------

    def _callback_failed(self, handle: asyncio.Handle, exc: BaseException) -> None:
        callback = getattr(handle, "_callback", None)
        source = (
            format_helpers._format_callback_source(callback, getattr(handle, "_args", ()))
            if callback
            else handle
        )
        context: dict[str, Any] = {
            "message": f"Exception in callback {source}",
            "exception": exc,
            "handle": handle,
        }
        if traceback := getattr(handle, "_source_traceback", None):
            context["source_traceback"] = traceback
        self.call_exception_handler(context)
