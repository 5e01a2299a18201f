"""anyio on the loop: task groups, cancel scopes, streams, TLS, threads, processes, signals."""

from __future__ import annotations

import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.streams.tls import TLSListener, TLSStream
from loops import FACTORIES


@pytest.fixture
def run(loop_name: str) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """anyio.run() on the loop under test, in the way that its documentation says."""

    def with_loop(main: Callable[[], Awaitable[Any]]) -> Any:
        return anyio.run(main, backend_options={"loop_factory": FACTORIES[loop_name], "debug": True})

    return with_loop


Run = Callable[[Callable[[], Awaitable[Any]]], Any]


def test_cancel_scopes_and_groups(run: Run) -> None:
    async def main() -> list[str]:
        said: list[str] = []

        async def waits(name: str, *, task_status: anyio.abc.TaskStatus[str]) -> None:
            task_status.started(name)
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                    said.append(f"{name} cleaned up")

        async with anyio.create_task_group() as group:
            for name in "ab":
                assert await group.start(waits, name) == name
            group.cancel_scope.cancel()
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.01):
                await anyio.sleep_forever()
        with pytest.raises(ExceptionGroup):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                group.start_soon(anyio.to_thread.run_sync, int, "x")
        return sorted(said)

    assert run(main) == ["a cleaned up", "b cleaned up"]


def test_threads_call_back(run: Run) -> None:
    async def main() -> Any:
        async def add(a: int, b: int) -> int:
            await anyio.lowlevel.checkpoint()
            return a + b

        def in_a_thread() -> Any:
            return anyio.from_thread.run(add, anyio.from_thread.run_sync(int, "1"), 2)

        return await anyio.to_thread.run_sync(in_a_thread)

    assert run(main) == 3


@pytest.mark.parametrize("secure", [False, True])
def test_streams(run: Run, tls: tuple[ssl.SSLContext, ssl.SSLContext], secure: bool) -> None:
    async def echo(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)
            await stream.send_eof() if not secure else None

    async def main() -> None:
        listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.listeners[0].extra(anyio.abc.SocketAttribute.local_port)
        if secure:
            listener = TLSListener(listener, tls[0], standard_compatible=False)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, echo)
            for size in (1, 1000, 1_000_000):
                plain = await anyio.connect_tcp("127.0.0.1", port)
                stream: Any = plain
                if secure:
                    stream = await TLSStream.wrap(
                        plain, hostname="localhost", ssl_context=tls[1], standard_compatible=False
                    )
                async with stream:
                    group.start_soon(stream.send, bytes(size))
                    got = 0
                    while got < size:
                        got += len(await stream.receive())
                    assert got == size
            group.cancel_scope.cancel()
        await listener.aclose()

    run(main)


def test_datagrams(run: Run) -> None:
    async def main() -> None:
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as there:
            port = there.extra(anyio.abc.SocketAttribute.local_port)
            async with await anyio.create_connected_udp_socket("127.0.0.1", port) as here:
                for i in range(50):
                    await here.send(b"%d" % i)
                    data, peer = await there.receive()
                    await there.sendto(data[::-1], *peer)
                    assert await here.receive() == (b"%d" % i)[::-1]

    run(main)


def test_processes_and_signals(run: Run) -> None:
    async def main() -> None:
        done = await anyio.run_process([sys.executable, "-c", "print(input()[::-1])"], input=b"abc")
        assert done.stdout == b"cba\n"
        with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals:
            for number in (signal.SIGUSR2, signal.SIGUSR1):
                signal.raise_signal(number)
                assert await anext(signals) == number

    run(main)
