"""What asyncio promises a coroutine, tried out inside a handler; each answers what it saw."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from asioserve import App, Request

variable: contextvars.ContextVar[str] = contextvars.ContextVar("task_variable", default="unset")
#: Tasks that outlive their response; a set, as asyncio itself keeps weak references only.
background: set[asyncio.Task[None]] = set()


def add(app: App, events: dict[str, asyncio.Event], counts: Counter[str]) -> None:
    """Declares everything."""
    _first_step(app)
    _waiting(app)
    _cancelling(app, counts)
    _contexts(app)
    _outliving(app, events, counts)
    _threads(app, counts)
    _ends(app)


def _first_step(app: App) -> None:
    @app.get("/task/current")
    async def current() -> dict[str, Any]:
        """The task in the first step is the task after a wait, and one of all_tasks()."""
        first = asyncio.current_task()
        loop = asyncio.get_running_loop()
        among = first in asyncio.all_tasks()
        await asyncio.sleep(0)
        return {
            "is_task": isinstance(first, asyncio.Task),
            "same": first is asyncio.current_task(),
            "among": among,
            "done": first.done() if first else None,
            "loop": first is not None and first.get_loop() is loop,
            "same_loop": asyncio.get_running_loop() is loop and asyncio.get_event_loop() is loop,
        }

    @app.get("/task/current/first")
    async def current_first() -> dict[str, Any]:
        """Never waits at all."""
        task = asyncio.current_task()
        return {"is_task": isinstance(task, asyncio.Task), "among": task in asyncio.all_tasks()}

    @app.get("/task/keep")
    async def keep(request: Request) -> dict[str, Any]:
        """Keeps its task; whatever serves the next request must not change it."""
        kept = asyncio.current_task()
        assert kept is not None
        kept.set_name("kept")
        app.state.kept = kept
        return {"kept": True}

    @app.get("/task/kept")
    async def was_kept() -> dict[str, Any]:
        kept = app.state.kept
        mine = asyncio.current_task()
        return {
            "done": kept.done(),
            "name": kept.get_name(),
            "same": kept is mine,
            "cancelled": kept.cancelled(),
            "my_name": bool(mine and mine.get_name() != "kept"),
        }

    @app.get("/task/name")
    async def name() -> dict[str, Any]:
        task = asyncio.current_task()
        assert task is not None
        before = task.get_name()
        task.set_name("mine")
        during = task.get_name()
        await asyncio.sleep(0)
        return {"before": before != "mine" and bool(before), "during": during, "after": task.get_name()}

    @app.get("/task/coro")
    async def coro() -> dict[str, Any]:
        """repr() and get_coro() work, in the first step and later."""
        task = asyncio.current_task()
        assert task is not None
        first = task.get_coro() is not None and "Task" in repr(task)
        stack = len(task.get_stack())
        await asyncio.sleep(0)
        return {"first": first, "later": task.get_coro() is not None, "stack": stack >= 0}

    @app.get("/task/callback")
    async def callback() -> dict[str, Any]:
        """A done callback that the handler adds to its own task is called, after the answer."""
        task = asyncio.current_task()
        assert task is not None
        app.state.called = []
        task.add_done_callback(lambda t: app.state.called.append((t.done(), t.exception() is None)))
        return {"added": True}

    @app.get("/task/called")
    async def called() -> dict[str, Any]:
        return {"called": app.state.called}


def _waiting(app: App) -> None:
    @app.get("/wait-for/timeout")
    async def timeout() -> dict[str, Any]:
        """asyncio.timeout() in the first step: it needs a current task."""
        try:
            async with asyncio.timeout(0.01) as scope:
                await asyncio.Event().wait()
        except TimeoutError:
            task = asyncio.current_task()
            return {
                "timed_out": True,
                "expired": scope.expired(),
                "cancelling": task.cancelling() if task else None,
            }
        return {"timed_out": False}

    @app.get("/wait-for/zero")
    async def zero() -> dict[str, Any]:
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(0)
                await asyncio.sleep(1)
        except TimeoutError:
            return {"timed_out": True}
        return {"timed_out": False}

    @app.get("/wait-for/in-time")
    async def in_time() -> dict[str, Any]:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return {"in_time": True}

    @app.get("/wait-for/wait_for")
    async def wait_for() -> dict[str, Any]:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except TimeoutError:
            return {"timed_out": True}
        return {"timed_out": False}

    @app.get("/wait-for/group")
    async def group() -> dict[str, Any]:
        """TaskGroup in the first step."""

        async def double(n: int) -> int:
            await asyncio.sleep(0)
            return 2 * n

        async with asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(double(n)) for n in range(3)]
        return {"doubled": [task.result() for task in found]}

    @app.get("/wait-for/group-fails")
    async def group_fails() -> dict[str, Any]:
        """One fails, the sibling is cancelled, the group raises an exception group."""
        seen = []

        async def fails() -> None:
            await asyncio.sleep(0)
            raise ValueError("one")

        async def waits() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(waits())
                tasks.create_task(fails())
        except* ValueError as errors:
            seen += [str(error) for error in errors.exceptions]
        return {"seen": seen}

    @app.get("/wait-for/group-unhandled")
    async def group_unhandled() -> dict[str, Any]:
        async def fails(text: str) -> None:
            raise ValueError(text)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fails("secret one"))
            tasks.create_task(fails("secret two"))
        return {}

    @app.get("/wait-for/gather")
    async def gather() -> dict[str, Any]:
        async def one(n: int) -> int:
            await asyncio.sleep(0)
            return n

        return {"gathered": await asyncio.gather(one(1), one(2), one(3))}

    @app.get("/wait-for/future")
    async def future() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[str] = loop.create_future()
        loop.call_later(0.005, waiter.set_result, "later")
        soon: asyncio.Future[str] = loop.create_future()
        loop.call_soon(soon.set_result, "soon")
        return {"got": [await soon, await waiter]}

    @app.get("/wait-for/queue")
    async def queue() -> dict[str, Any]:
        numbers: asyncio.Queue[int] = asyncio.Queue(1)

        async def put() -> None:
            for n in range(5):
                await numbers.put(n)

        task = asyncio.create_task(put())
        got = [await numbers.get() for _ in range(5)]
        await task
        return {"got": got}

    @app.get("/wait-for/sleep/{n}")
    async def sleep(n: int) -> dict[str, int]:
        for _ in range(n):
            await asyncio.sleep(0)
        return {"slept": n}

    @app.get("/wait-for/custom")
    async def custom() -> dict[str, Any]:
        """An awaitable class of one's own, and a generator-based await chain."""

        class Own:
            def __await__(self) -> Any:
                yield from asyncio.sleep(0).__await__()
                return "own"

        return {"got": await Own()}

    @app.get("/wait-for/nonsense")
    async def nonsense() -> dict[str, Any]:
        """Yielding what is no future is a RuntimeError inside the coroutine, as asyncio has it."""

        class Nonsense:
            def __await__(self) -> Any:
                yield 42

        try:
            await Nonsense()
        except RuntimeError as error:
            return {"error": "bad yield" in str(error)}
        return {"error": False}

    @app.get("/wait-for/asyncgen")
    async def asyncgen() -> dict[str, Any]:
        async def count() -> Any:
            for n in range(3):
                await asyncio.sleep(0)
                yield n

        return {"got": [n async for n in count()]}


def _cancelling(app: App, counts: Counter[str]) -> None:
    @app.get("/cancel/first-step")
    async def first_step() -> dict[str, Any]:
        """cancel() of oneself in the first step: the next wait raises."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel("why")
        counting = task.cancelling()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            task.uncancel()
            await asyncio.sleep(0)
            return {
                "cancelled": True,
                "message": str(error),
                "cancelling": counting,
                "left": task.cancelling(),
            }
        return {"cancelled": False}

    @app.get("/cancel/never-waits")
    async def never_waits() -> dict[str, Any]:
        """cancel() of oneself in a step that is the last: asyncio says that such a task is cancelled."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return {"returned": True}

    @app.get("/cancel/escapes")
    async def escapes() -> dict[str, Any]:
        """CancelledError out of a handler whose peer is there: a 500, and the server lives."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return {}

    @app.get("/cancel/raised")
    async def raised() -> dict[str, Any]:
        raise asyncio.CancelledError("by hand")

    @app.get("/cancel/by-another")
    async def by_another() -> dict[str, Any]:
        """Another callback cancels while it waits."""
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task.uncancel()
            return {"cancelled": True}
        return {"cancelled": False}

    @app.get("/cancel/child")
    async def child() -> dict[str, Any]:
        async def forever() -> None:
            await asyncio.Event().wait()

        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return {"cancelled": task.cancelled()}
        return {"cancelled": False}

    @app.get("/cancel/shield")
    async def shield() -> dict[str, Any]:
        async def inner() -> str:
            await asyncio.sleep(0.01)
            return "kept"

        task = asyncio.create_task(inner())
        try:
            async with asyncio.timeout(0):
                await asyncio.shield(task)
        except TimeoutError:
            return {"result": await task}
        return {"result": None}


def _contexts(app: App) -> None:
    @app.get("/context/get")
    async def get() -> dict[str, str]:
        return {"value": variable.get()}

    @app.get("/context/sync-get")
    def sync_get() -> dict[str, str]:
        return {"value": variable.get()}

    @app.get("/context/set/{value}")
    async def set_value(value: str) -> dict[str, Any]:
        """Kept across a wait, and seen by a child task, a callback and a thread."""
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(0)

        async def child() -> str:
            return variable.get()

        seen: list[str] = []
        asyncio.get_running_loop().call_soon(lambda: seen.append(variable.get()))
        await asyncio.sleep(0)
        return {
            "before": before,
            "after": variable.get(),
            "child": await asyncio.create_task(child()),
            "callback": seen,
            "thread": await asyncio.to_thread(variable.get),
        }

    @app.get("/context/sync-set/{value}")
    def sync_set(value: str) -> dict[str, Any]:
        before = variable.get()
        variable.set(value)
        return {"before": before, "after": variable.get()}

    @app.get("/context/pool-set/{value}", pool=True)
    def pool_set(value: str) -> dict[str, Any]:
        before = variable.get()
        variable.set(value)
        return {"before": before, "after": variable.get()}

    @app.get("/context/reset/{value}")
    async def reset(value: str) -> dict[str, Any]:
        """A token can be reset after a wait: it is the same context."""
        token = variable.set(value)
        await asyncio.sleep(0)
        variable.reset(token)
        return {"value": variable.get()}

    @app.get("/context/held/{value}")
    async def held(value: str) -> dict[str, Any]:
        """Many of these at once, each with its own value."""
        variable.set(value)
        seen = set()
        for _ in range(20):
            await asyncio.sleep(0)
            seen.add(variable.get())
        return {"seen": sorted(seen)}


def _outliving(app: App, events: dict[str, asyncio.Event], counts: Counter[str]) -> None:
    @app.post("/background/{name}")
    async def begin(name: str) -> dict[str, bool]:
        async def work() -> None:
            await events.setdefault(name, asyncio.Event()).wait()
            counts[f"background-{name}"] += 1

        task = asyncio.create_task(work(), name=f"background {name}")
        background.add(task)
        task.add_done_callback(background.discard)
        return {"begun": True}

    @app.get("/never-returns/{name}")
    async def never_returns(name: str) -> None:
        """Ends only when it is cancelled."""
        counts[f"never-{name}"] += 1
        try:
            await asyncio.Event().wait()
        finally:
            counts[f"ended-{name}"] += 1

    @app.get("/stubborn/{name}")
    async def stubborn(name: str) -> None:
        """Takes no notice of being cancelled, once."""
        counts[f"stubborn-{name}"] += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("stubborn was cancelled", file=sys.stderr, flush=True)
            await asyncio.sleep(0)


def _threads(app: App, counts: Counter[str]) -> None:
    @app.get("/threads/to_thread")
    async def to_thread() -> dict[str, Any]:
        def work(n: int) -> tuple[int, bool]:
            return n * 2, threading.current_thread() is threading.main_thread()

        doubled, on_main = await asyncio.to_thread(work, 21)
        return {"doubled": doubled, "on_main": on_main}

    @app.get("/threads/executor")
    async def executor() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        total = await asyncio.gather(
            *(loop.run_in_executor(None, functools.partial(pow, n, 2)) for n in range(5))
        )
        return {"squares": total}

    @app.get("/threads/threadsafe")
    async def threadsafe() -> dict[str, Any]:
        """call_soon_threadsafe and run_coroutine_threadsafe from a thread that the loop does not know."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        async def answer() -> str:
            return "from a coroutine"

        got: list[str] = []

        def work() -> None:
            loop.call_soon_threadsafe(future.set_result, "from a thread")
            got.append(asyncio.run_coroutine_threadsafe(answer(), loop).result(10))

        thread = threading.Thread(target=work)
        thread.start()
        first = await future
        await asyncio.to_thread(thread.join)
        return {"got": [first, *got]}

    @app.get("/threads/loop-thread")
    async def loop_thread() -> dict[str, Any]:
        """Handlers run on the main thread, where signal handlers run too, as under asyncio.run."""
        return {"main": threading.current_thread() is threading.main_thread()}

    @app.get("/threads/sync")
    def sync() -> dict[str, Any]:
        """In a def handler no loop is running."""
        return {"loop": _running_loop()}

    @app.get("/threads/pool", pool=True)
    def pool() -> dict[str, Any]:
        return {"loop": _running_loop(), "main": threading.current_thread() is threading.main_thread()}

    @app.get("/threads/sync-run")
    def sync_run() -> dict[str, Any]:
        """Because no loop is running in it, a def handler may run one of its own."""

        async def inner() -> str:
            await asyncio.sleep(0)
            return "ran"

        return {"inner": asyncio.run(inner())}

    @app.get("/threads/busy")
    async def busy() -> dict[str, Any]:
        """A thread makes progress while the loop never waits."""
        progress = [0]
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                progress[0] += 1

        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, work)
        while progress[0] < 1000:
            await asyncio.sleep(0)
        stop.set()
        await future
        return {"progressed": True}

    @app.get("/signal/loop/{name}")
    async def on_signal(name: str) -> dict[str, Any]:
        """loop.add_signal_handler: called on the loop, and removed again."""
        loop = asyncio.get_running_loop()
        got: asyncio.Future[str] = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, got.set_result, name)
        signal.raise_signal(signal.SIGUSR1)
        try:
            async with asyncio.timeout(10):
                return {"signal": await got, "removed": loop.remove_signal_handler(signal.SIGUSR1)}
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)

    @app.get("/signal/plain")
    async def plain_signal() -> dict[str, Any]:
        """signal.signal: a Python handler runs, although the process spends its life in native code."""
        loop = asyncio.get_running_loop()
        got: asyncio.Future[int] = loop.create_future()

        def handler(number: int, frame: object) -> None:
            loop.call_soon_threadsafe(got.set_result, number)

        before = signal.signal(signal.SIGUSR2, handler)
        try:
            signal.raise_signal(signal.SIGUSR2)
            async with asyncio.timeout(10):
                return {"signal": await got == signal.SIGUSR2}
        finally:
            signal.signal(signal.SIGUSR2, before)


def _running_loop() -> str:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "none"
    return "running"


def _ends(app: App) -> None:
    """Handlers that end the server, each in a server of its own."""
    ends: dict[str, Callable[[], BaseException]] = {
        "exit-0": lambda: SystemExit(0),
        "exit-none": SystemExit,
        "exit-7": lambda: SystemExit(7),
        "exit-text": lambda: SystemExit("the reason"),
        "interrupt": KeyboardInterrupt,
    }

    def declare(name: str, make: Callable[[], BaseException]) -> None:
        @app.get(f"/end/{name}")
        async def end() -> None:
            raise make()

        @app.get(f"/end-later/{name}")
        async def end_later() -> None:
            await asyncio.sleep(0)
            raise make()

        @app.get(f"/end-sync/{name}")
        def end_sync() -> None:
            raise make()

        @app.get(f"/end-pool/{name}", pool=True)
        def end_pool() -> None:
            raise make()

    for name, make in ends.items():
        declare(name, make)
