"""The life of a server on its event loop: prove the loop, start the app, serve, shut the app down.

Called by the native program (``common/app``), which owns sockets and signals, on the main thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from . import _canary

BEAT_SECONDS = 1.0


class Control(Protocol):
    """The native side, as seen from here."""

    app: Any
    supervised: bool
    gc_freeze: bool
    fault_proof: bool
    fault_proof_hang: bool

    def on_loop(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        """The loop runs. ``stop`` is called on it when a signal came early or the server has drained."""

    def canary(self, function: Callable[[], object], plain: bool, done: Callable[[str], None]) -> int:
        """Runs ``function`` as a handler is run; ``done`` gets "returned" or the name of an exception."""

    def cancel(self, token: int) -> None:
        """Cancels the task of a canary."""

    def proving(self) -> None:
        """The canaries are about to run."""

    def proved(self) -> None:
        """The canaries are back."""

    def beat(self) -> None:
        """Tells the supervisor that the loop turns."""

    def ready(self) -> None:
        """The app has started: accept connections."""

    def failed_startup(self) -> None:
        """Tells the supervisor that it is the app which does not start."""

    def drain(self) -> None:
        """Stops serving as a signal would."""

    def exit_by(self, exception: BaseException) -> None:
        """Drains, then exits with the code of this SystemExit or KeyboardInterrupt."""

    def app_ended(self, code: int) -> None:
        """The app is shut down; what is left are tasks and threads that it forgot."""

    def interrupted_code(self) -> int:
        """The exit code when a signal came before the server was ready."""

    def log(self, level: str, text: str, exception: BaseException | None = None) -> None:
        """Writes to the server's log."""


class LoadError(Exception):
    """The app cannot be imported; the message is one line for whoever typed the command."""


# --- importing the app -------------------------------------------------------------------------------------


def load(target: str, factory: bool) -> object:
    """Imports ``module:attr`` or ``file.py:attr`` and gives the app.

    Raises LoadError, or one of the two exceptions that end a program.
    """
    place, _, attribute = target.partition(":")
    attribute = attribute or "app"
    if not place or not all(part.isidentifier() for part in attribute.split(".")):
        raise LoadError(f'"{target}" is neither module:attribute nor file.py:attribute')
    try:
        module = _import_file(place) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise _cannot(target, error, place) from error
    app: Any = module
    for name in attribute.split("."):
        try:
            app = getattr(app, name)
        except AttributeError:
            raise LoadError(f'cannot import "{target}": {_no_attribute(module, name)}') from None
    if factory:
        if not callable(app):
            raise LoadError(f'"{target}" is no function, so --factory cannot call it')
        try:
            app = app()
        except Exception as error:
            raise _cannot(target, error, place, "--factory: cannot call") from error
    return _checked(app, target, factory)


def _import_file(place: str) -> ModuleType:
    path = Path(place).absolute()
    if not path.is_file():
        raise LoadError(f"there is no file {place}")
    folder, name = str(path.parent), path.stem
    # What the file imports from beside it is found, as with `python3 file.py`; our packages stay in front.
    if folder not in sys.path:
        sys.path.insert(1, folder)
    if name in sys.modules:  # a file called signal.py must not take the place of the real one
        name = f"asioserve_app_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{place} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _cannot(target: str, error: Exception, place: str, what: str = "cannot import") -> LoadError:
    if isinstance(error, LoadError):
        return error
    if (
        isinstance(error, ModuleNotFoundError)
        and error.name
        and (place == error.name or place.startswith(error.name + "."))
    ):
        return LoadError(f'{what} "{target}": there is no module "{error.name}" in {_where_looked()}')
    if isinstance(error, SyntaxError):
        at = f"{error.filename}:{error.lineno}"
        text = error.msg
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_machinery(f.filename)]
        at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        text = str(error)
    line = f'{what} "{target}": {type(error).__name__}' + (f": {text}" if text else "")
    return LoadError(" ".join(line.split()) + (f" ({at})" if at else ""))


def _is_machinery(filename: str) -> bool:
    return (
        filename.startswith("<frozen ") or filename == __file__ or filename.endswith("/importlib/__init__.py")
    )


def _where_looked() -> str:
    return f"{sys.path[1] if len(sys.path) > 1 else Path.cwd()} (--app-dir) or on sys.path"


def _no_attribute(module: ModuleType, name: str) -> str:
    from . import App

    found = [key for key, value in vars(module).items() if isinstance(value, App)]
    hint = f"; it has the app {module.__name__}:{found[0]}" if found else ""
    return f'module "{module.__name__}" has no attribute "{name}"{hint}'


def _checked(app: object, target: str, factory: bool) -> object:
    from . import App

    if isinstance(app, App):
        return app
    kind = type(app)
    text = f'"{target}" is of type {kind.__module__}.{kind.__qualname__}, not asioserve.App'
    if callable(app) and not factory and not isinstance(app, type) and hasattr(app, "__code__"):
        text += "; --factory calls a function that returns the app"
    raise LoadError(text)


# --- running it --------------------------------------------------------------------------------------------


class Life:
    """From the loop's first step to the app's last."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._stop_requested = False
        self._starting = True
        self._task: asyncio.Task[int] | None = None

    async def run(self) -> int:
        """The main task; gives the exit code."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._stopped = asyncio.Event()
        self._control.on_loop(self._loop, self._stop)
        async with contextlib.AsyncExitStack() as app:
            code = await self._uninterrupted(self._start(app))
            if code is not None:
                return await self._end(app, code)
            self._control.ready()
            if self._control.supervised:
                # Not at once: "ready" is said by the I/O thread, and comes first.
                self._loop.call_later(BEAT_SECONDS, self._beat)
            await self._until_stopped()
            return await self._end(app, 0)

    async def rejoin(self) -> int:
        """Waits for the main task after an exception, SystemExit of a task, say, has ended the loop."""
        assert self._task is not None
        return await self._task

    @property
    def pending(self) -> bool:
        """The main task has begun and not ended."""
        return self._task is not None and not self._task.done()

    def _stop(self) -> None:
        self._stop_requested = True
        self._stopped.set()
        if self._starting and self._task is not None:
            self._task.cancel()

    async def _start(self, app: contextlib.AsyncExitStack) -> int | None:
        control = self._control
        if control.supervised:
            control.proving()
            if not await _canary.prove(control):
                return 1
            control.proved()
        try:
            await app.enter_async_context(control.app._lifespan())
        except Exception as error:
            control.log("error", "the app failed to start", error)
            control.failed_startup()
            return 3
        except (SystemExit, KeyboardInterrupt) as error:
            # Left alone it would end the loop before the app could clean up.
            control.exit_by(error)
            return 0
        if control.gc_freeze:
            # What is there now stays: the collector need not look at it again and again.
            gc.collect()
            gc.freeze()
        return None

    async def _uninterrupted(self, start: Coroutine[Any, Any, int | None]) -> int | None:
        code: int | None = None
        try:
            code = await start
        except asyncio.CancelledError:
            if not self._stop_requested:
                raise
        finally:
            self._starting = False
        if not self._stop_requested:
            return code
        # The cancellation may still wait for the next await: let it go off here and nowhere else.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        assert self._task is not None
        self._task.uncancel()
        return self._control.interrupted_code() if code is None else code

    async def _until_stopped(self) -> None:
        while not self._stopped.is_set():
            try:
                await self._stopped.wait()
            except asyncio.CancelledError:
                # An app that cancels every task it finds wants the end, but requests are answered first.
                assert self._task is not None
                self._task.uncancel()
                self._control.drain()

    async def _end(self, app: contextlib.AsyncExitStack, code: int) -> int:
        try:
            await app.aclose()
        except (SystemExit, KeyboardInterrupt) as error:
            self._control.exit_by(error)
        except BaseException as error:
            self._control.log("error", "the app failed to shut down", error)
            code = code or 1
        self._control.app_ended(code)
        return code

    def _beat(self) -> None:
        self._control.beat()
        self._loop.call_later(BEAT_SECONDS, self._beat)


def main(control: Control, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None) -> int:
    """Runs the server on a new loop and gives the exit code.

    Leftover tasks are cancelled, async generators and the executor shut down, as by ``asyncio.run``.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        life = Life(control)
        try:
            return runner.run(life.run())
        except BaseException as error:
            while life.pending:
                # SystemExit or KeyboardInterrupt of a task, or loop.stop(): asyncio.run would end here.
                # The loop still works, so requests are answered and the app is shut down first.
                control.exit_by(error)
                try:
                    return runner.run(life.rejoin())
                except BaseException as again:
                    error = again
            raise error
