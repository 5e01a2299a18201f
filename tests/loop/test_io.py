"""Readers and writers, sock_*, signals, DNS, executors, streams, subprocesses, shutdown."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest


def _pair() -> tuple[socket.socket, socket.socket]:
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    return a, b


def test_a_reader_is_called_again_while_data_is_left(runner: asyncio.Runner) -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        a, b = _pair()
        seen = bytearray()
        done = loop.create_future()

        def one_byte() -> None:
            seen.extend(a.recv(1))
            if len(seen) == 5:
                loop.remove_reader(a)
                done.set_result(None)

        with a, b:
            loop.add_reader(a, one_byte)
            b.send(b"hello")
            await done
        return bytes(seen)

    assert runner.run(main()) == b"hello"


def test_a_new_reader_takes_the_place_of_the_old_one(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        a, b = _pair()
        with a, b:
            called = loop.create_future()
            loop.add_reader(a, pytest.fail, "the old reader was called")

            def once() -> None:
                if not called.done():
                    called.set_result(None)

            loop.add_reader(a, once)
            b.send(b"x")
            await called
            assert loop.remove_reader(a) is True
            assert loop.remove_reader(a) is False

    runner.run(main())


def test_reader_and_writer_of_one_descriptor_are_independent(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        a, b = _pair()
        with a, b:
            writable, readable = loop.create_future(), loop.create_future()

            def on_write() -> None:
                loop.remove_writer(a)
                writable.set_result(None)

            def on_read() -> None:
                loop.remove_reader(a)
                readable.set_result(a.recv(10))

            loop.add_reader(a, on_read)
            loop.add_writer(a, on_write)
            await writable
            b.send(b"later")
            assert await readable == b"later"

    runner.run(main())


def test_a_reader_removed_by_another_callback_of_the_same_turn_is_not_called(runner: asyncio.Runner) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        (a, b), (c, d) = _pair(), _pair()
        with a, b, c, d:
            calls = 0

            def one(other: socket.socket, own: socket.socket) -> None:
                nonlocal calls
                calls += 1
                loop.remove_reader(other)
                loop.remove_reader(own)

            b.send(b"x")
            d.send(b"x")
            loop.add_reader(a, one, c, a)
            loop.add_reader(c, one, a, c)
            await asyncio.sleep(0.02)
            return calls

    assert runner.run(main()) == 1


def test_a_descriptor_number_that_is_used_again_is_watched_again(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(50):
            a, b = _pair()
            with a, b:
                ready: asyncio.Future[None] = loop.create_future()

                def once(f: asyncio.Future[None] = ready) -> None:
                    if not f.done():
                        f.set_result(None)

                loop.add_reader(a, once)
                b.send(b"x")
                await asyncio.wait_for(ready, 10)
                loop.remove_reader(a)

    runner.run(main())


def test_what_cannot_be_watched_is_an_os_error(runner: asyncio.Runner, tmp_path: object) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        directory = os.open(Path(__file__).parent, os.O_RDONLY)
        with pytest.raises(OSError):
            loop.add_reader(directory, print)
        os.close(directory)
        with pytest.raises((OSError, ValueError)):
            loop.add_reader(987654, print)

    runner.run(main())


def test_sock_methods_move_bytes_both_ways(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        client = socket.socket()
        client.setblocking(False)
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        await loop.sock_connect(client, listener.getsockname())
        server, _peer = await accepting
        with listener, client, server:
            payload = os.urandom(1 << 20)
            sending = asyncio.ensure_future(loop.sock_sendall(client, payload))
            got = bytearray()
            while len(got) < len(payload):
                got += await loop.sock_recv(server, 1 << 16)
            await sending
            assert got == payload
            reading = asyncio.ensure_future(loop.sock_recv(client, 10))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading

    runner.run(main())


def test_streams_echo_and_close(runner: asyncio.Runner) -> None:
    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            for i in range(200):
                writer.write(b"%d\n" % i)
                assert await reader.readline() == b"%d\n" % i
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    runner.run(main())


def test_signal_handlers_run_on_the_loop_and_can_be_removed(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        got = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, got.set_result, "usr1")
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert await asyncio.wait_for(got, 10) == "usr1"
        assert loop.remove_signal_handler(signal.SIGUSR1) is True
        assert loop.remove_signal_handler(signal.SIGUSR1) is False

    runner.run(main())


def test_ctrl_c_ends_a_blocked_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        runner.run(main())


def test_dns_and_executor(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        assert found[0][4] == ("127.0.0.1", 80)
        assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == (
            "127.0.0.1",
            "80",
        )
        assert await loop.run_in_executor(None, threading.current_thread) is not threading.current_thread()

    runner.run(main())


def test_a_subprocess_and_its_pipes(runner: asyncio.Runner) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(3)",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(b"hello"), 30)
        assert out == b"HELLO" and process.returncode == 3

    runner.run(main())


def test_async_generators_are_closed_at_shutdown(runner: asyncio.Runner) -> None:
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("closed")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        generator = numbers()
        assert await anext(generator) == 1
        await loop.shutdown_asyncgens()
        assert closed == ["closed"]

    runner.run(main())


def test_tasks_timeouts_groups_and_cancellation_are_asyncios(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0.001, i)) for i in range(20)]
        assert [t.result() for t in tasks] == list(range(20))
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(60))
                group.create_task(asyncio.to_thread(int, "x"))

    runner.run(main())
