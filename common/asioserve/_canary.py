"""Canaries: small handlers without app code that show that a runner works, before it is trusted with an app.

Each is run by the stage's own runner just as a request's handler is, so what it shows holds for handlers too.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._life import Control

RETURNED = "returned"


class CanaryError(Exception):
    """Raised by the canary that shows that exceptions arrive."""


_mark: contextvars.ContextVar[int] = contextvars.ContextVar("asioserve_canary_mark", default=0)


def plain() -> None:
    """A ``def`` handler: no loop is running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise AssertionError("a loop is running in a plain function")


async def timer() -> None:
    """A timer goes off, not too early, in a task that knows itself."""
    if asyncio.current_task() is None:
        raise AssertionError("no current task in the first step")
    _mark.set(1)
    begin = time.monotonic()
    async with asyncio.timeout(3600):
        await asyncio.sleep(0.005)
    # Loops may round a timer by their clock's resolution; a millisecond is more than that.
    if time.monotonic() - begin < 0.004:
        raise AssertionError("a timer went off too early")
    if _mark.get() != 1:
        raise AssertionError("a context variable was lost")


async def wake_up() -> None:
    """Another thread wakes the loop."""
    loop = asyncio.get_running_loop()
    if _mark.get() != 0:
        raise AssertionError("a context variable leaked")
    woken: asyncio.Future[None] = loop.create_future()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(woken.set_result, None), name="canary")
    thread.start()
    await woken
    thread.join()


async def executor() -> None:
    """An executor call returns. A pool of its own: the loop's default one is the app's to make."""
    with ThreadPoolExecutor(1, "canary") as pool:
        main = threading.get_ident()
        other = await asyncio.get_running_loop().run_in_executor(pool, threading.get_ident)
    if other == main:
        raise AssertionError("the executor ran on the loop's own thread")


async def exception() -> None:
    """An exception arrives where it belongs, also after a wait."""
    await asyncio.sleep(0)
    raise CanaryError


async def cancelled() -> None:
    """Waits until it is cancelled, after it has cancelled a task of its own."""
    child = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    child.cancel()
    try:
        await child
    except asyncio.CancelledError:
        await asyncio.get_running_loop().create_future()
    raise AssertionError("a cancelled task was not cancelled")


CANARIES: tuple[tuple[Callable[[], object], bool, str], ...] = (
    (plain, True, RETURNED),
    (timer, False, RETURNED),
    (wake_up, False, RETURNED),
    (executor, False, RETURNED),
    (exception, False, CanaryError.__name__),
    (cancelled, False, asyncio.CancelledError.__name__),
)
"""The function, whether it is a ``def`` handler, and how it must end."""


async def prove(control: Control) -> bool:
    """Runs every canary in the runner; False, with a log entry, when one is not as it should be.

    Hangs if the loop does: the supervisor's watchdog ends that.
    """
    if control.fault_proof_hang:
        await asyncio.get_running_loop().create_future()
    for function, is_plain, wanted in CANARIES:
        outcome = await _fly(control, function, is_plain)
        if control.fault_proof:
            outcome = "failed on purpose"
        if outcome != wanted:
            control.log("error", f'the proof failed: canary "{function.__name__}" {outcome}, not {wanted}')
            return False
    return True


async def _fly(control: Control, function: Callable[[], object], is_plain: bool) -> str:
    loop = asyncio.get_running_loop()
    back: asyncio.Future[str] = loop.create_future()
    token = control.canary(function, is_plain, back.set_result)
    if function is cancelled:
        # Usually it waits for good by then; where it does not, it has to end by CancelledError all the same.
        loop.call_later(0.005, control.cancel, token)
    return await back
