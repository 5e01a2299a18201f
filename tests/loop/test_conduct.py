"""What programs rely on beside the methods: repr of a transport, files as selectors takes them, loops of one's own."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import time
import weakref

import asioloop
import pytest
from asioloop import Loop


def test_a_transport_says_in_its_repr_what_it_waits_for(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        await asyncio.sleep(0)  # reading begins a turn later
        assert "read=polling" in repr(transport)
        transport.close()
        assert "read=idle" in repr(transport) and "clos" in repr(transport)
        await asyncio.sleep(0)
        assert "closed" in repr(transport)

    runner.run(main())


def test_callbacks_of_a_socket_that_is_closed_already_can_be_removed(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        with b:
            loop.add_reader(a, pytest.fail, "called")
            a.close()
            assert loop.remove_reader(a) is True
            with pytest.raises(ValueError, match="file descriptor"):
                loop.remove_reader(a)

    runner.run(main())


@pytest.mark.parametrize("file", [object(), "text", None, -1])
def test_what_is_no_file_is_a_value_error(runner: asyncio.Runner, file: object) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="Invalid file"):
            asyncio.get_running_loop().add_reader(file, print)  # type: ignore[arg-type]

    runner.run(main())


def test_a_watched_socket_is_let_go_of_when_its_callbacks_are_removed(runner: asyncio.Runner) -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        s = socket.socket()
        gone = weakref.ref(s)
        loop.add_reader(s, print)
        loop.remove_reader(s)
        s.close()
        del s
        await asyncio.sleep(0)
        return gone() is None

    assert runner.run(main())


class TurnedByHand(Loop):
    """A loop that another toolkit's loop turns: run_forever() is what CPython 3.13 says that a subclass may replace."""

    turns = 0

    def run_forever(self) -> None:
        self._run_forever_setup()
        try:
            while not self._stopping:
                self._run_once()
                self.turns += 1
        finally:
            self._run_forever_cleanup()


def test_a_subclass_can_turn_the_loop_by_itself() -> None:
    async def main() -> str:
        for _ in range(10):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().is_running()
        return await asyncio.to_thread(lambda: "done")

    with asyncio.Runner(loop_factory=TurnedByHand) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, TurnedByHand)
        assert runner.run(main()) == "done"
        assert loop.turns > 10
        assert not loop.is_running()
        before = loop.turns
        loop.stop()
        loop.run_forever()  # a stop that was asked for before: one turn, if any
        assert loop.turns <= before + 1


def test_a_loop_says_that_it_runs_from_another_thread_too(runner: asyncio.Runner) -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        seen: list[bool] = []
        thread = threading.Thread(target=lambda: seen.append(loop.is_running()))
        thread.start()
        thread.join()
        return seen[0]

    assert runner.run(main())
    assert not runner.get_loop().is_running()


def test_slow_callbacks_go_to_asyncios_logger(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.0
        loop.set_debug(True)
        loop.call_soon(time.monotonic)
        await asyncio.sleep(0)
        loop.set_debug(False)

    with caplog.at_level(logging.WARNING, "asyncio"):
        runner.run(main())
    records = [r for r in caplog.records if r.name == "asyncio" and "took" in r.getMessage()]
    assert records and records[0].getMessage().startswith("Executing <")


def test_a_loop_that_nobody_holds_is_collected() -> None:
    loop = asioloop.new_event_loop()
    gone = weakref.ref(loop)
    loop.close()
    del loop
    gc.collect()
    assert gone() is None


def test_a_callback_from_another_thread_can_be_cancelled_until_it_runs(runner: asyncio.Runner) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        cancelled: list[asyncio.Handle] = []

        def from_outside() -> None:
            handle = loop.call_soon_threadsafe(pytest.fail, "a cancelled callback ran")
            handle.cancel()
            assert handle.cancelled() and repr(handle).endswith("Handle cancelled>")
            cancelled.append(handle)
            loop.call_soon_threadsafe(seen.append, "ran")

        thread = threading.Thread(target=from_outside)
        thread.start()
        thread.join()
        assert cancelled  # the loop has not turned since
        await asyncio.sleep(0)
        return seen

    assert runner.run(main()) == ["ran"]


def test_a_callback_from_another_thread_may_cancel_itself(runner: asyncio.Runner) -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        handles: list[asyncio.Handle] = []

        def callback() -> None:
            handles[0].cancel()  # would wait for itself if it did not know its thread
            done.set_result(handles[0].cancelled())

        handles.append(loop.call_soon_threadsafe(callback))
        return bool(await done)

    assert runner.run(main())
