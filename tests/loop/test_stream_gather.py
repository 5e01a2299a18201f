"""Small writes of a turn go out together at its end, and nothing that a program can ask for shows it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asioloop
import pytest
from stream_peers import Recorder, connected, read_all, reports, turns

CLOCK_MONOTONIC_COARSE = 6
"""Of <time.h>; Python has no name for it."""
Factory = Callable[[], asyncio.AbstractEventLoop]


def arrived(peer: socket.socket, size: int = 1 << 20) -> bytes:
    """What has arrived by now."""
    patience = peer.gettimeout()
    peer.setblocking(False)
    try:
        return peer.recv(size)
    except BlockingIOError:
        return b""
    finally:
        peer.settimeout(patience)


def sends() -> int:
    """How many system calls of the running loop have sent something."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asioloop.Loop)
    return loop.metrics().system_calls.writes


class Answers(Recorder):
    """Answers in pieces, of whatever kind."""

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(b"head,")
        self.transport.write(bytearray(b"more,"))
        self.transport.write(memoryview(b"-x-")[1:2])
        self.transport.writelines([b"", b",line", memoryview(b",line")])


def test_an_answer_in_pieces_is_one_system_call() -> None:
    async def main() -> None:
        transport, _, peer = await connected(Answers())
        with peer:
            before = sends()
            peer.sendall(b"?")
            answer = await asyncio.to_thread(peer.recv, 100)
            assert (answer, sends() - before) == (b"head,more,x,line,line", 1)
            transport.close()

    asioloop.run(main())


def test_a_tasks_writes_go_out_when_the_turn_ends() -> None:
    async def main() -> None:
        transport, _, peer = await connected()
        with peer:
            before = sends()
            transport.write(b"a")
            transport.write(b"b")
            assert arrived(peer) == b""
            await asyncio.sleep(0)
            assert (arrived(peer), sends() - before) == (b"ab", 1)
            transport.close()

    asioloop.run(main())


def test_a_bytearray_may_change_after_its_write(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, _, peer = await connected()
        with peer:
            data = bytearray(b"before")
            transport.write(data)
            data[:] = b"after!"
            await asyncio.sleep(0)
            assert await asyncio.to_thread(peer.recv, 100) == b"before"
            transport.close()

    runner.run(main())


def test_each_write_is_sent_at_once_if_the_program_wants_that(runner: asyncio.Runner) -> None:
    """asyncio does so always; the third way is a loop that is not running."""

    async def main() -> tuple[Any, socket.socket]:
        loop: Any = asyncio.get_running_loop()
        transport, _, peer = await connected()
        with contextlib.ExitStack() as stack:
            stack.enter_context(peer)
            transport.set_write_buffer_limits(high=0)
            transport.write(b"mark")
            assert arrived(peer) == b"mark"
            transport.set_write_buffer_limits()
            loop.gather_writes = False
            await asyncio.sleep(0)
            transport.write(b"switch")
            assert arrived(peer) == b"switch"
            loop.gather_writes = True
            await asyncio.sleep(0)
            stack.pop_all()
            return transport, peer

    transport, peer = runner.run(main())
    with peer:
        transport.write(b"stopped")
        assert arrived(peer) == b"stopped"
        transport.abort()
        runner.run(turns())


def test_the_switch_is_a_truth() -> None:
    loop = asioloop.new_event_loop()
    assert loop.gather_writes is True
    loop.gather_writes = 0  # type: ignore[assignment]
    assert loop.gather_writes is False
    with pytest.raises(AttributeError):
        del loop.gather_writes
    loop.close()


@pytest.mark.parametrize("what", ["size", "socket", "large", "limits", "eof"])
def test_what_would_show_it_sends_first(runner: asyncio.Runner, what: str) -> None:
    async def main() -> None:
        transport, _, peer = await connected()
        with peer:
            transport.write(b"small,")
            if what == "size":
                assert transport.get_write_buffer_size() == 0
            elif what == "socket":
                transport.get_extra_info("socket")
            elif what == "large":
                transport.write(bytes(20000))
            elif what == "limits":
                transport.set_write_buffer_limits(high=3, low=1)
                assert not transport._protocol_paused
            else:
                transport.write_eof()
                assert not transport.is_closing()
            assert arrived(peer).startswith(b"small,")
            transport.abort()

    runner.run(main())


def test_a_head_and_a_large_body_are_one_system_call() -> None:
    async def main() -> None:
        transport, _, peer = await connected()
        with peer:
            before = sends()
            transport.write(b"head")
            transport.write(bytes(50000))
            assert (len(arrived(peer)), sends() - before) == (50004, 1)
            transport.write(b"head")
            transport.write(bytearray(50000))
            assert sends() - before == 3  # to copy it would cost more
            transport.abort()

    asioloop.run(main())


def test_only_so_much_is_kept_back(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            transport.set_write_buffer_limits(high=1 << 16)
            written = 0
            while not protocol.events.count("pause"):  # it never gives the loop a turn
                transport.write(bytes(1000))
                written += 1000
                assert written < 1 << 24
            assert transport.get_write_buffer_size() > 1 << 16
            reading = asyncio.create_task(asyncio.to_thread(read_all, peer))
            transport.close()
            assert len(await reading) == written

    runner.run(main())


@pytest.mark.parametrize("end", ["close", "abort", "write_eof", "sendfile"])
def test_nothing_is_lost_at_the_end(runner: asyncio.Runner, end: str, tmp_path: Path) -> None:
    """In asyncio, what a write has sent is sent whatever comes next, an abort too."""
    (tmp_path / "file").write_bytes(b"file")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _, peer = await connected()
        with peer, (tmp_path / "file").open("rb") as file:
            transport.write(b"last,")
            transport.write(b"words,")
            if end == "sendfile":
                await loop.sendfile(transport, file)
                transport.close()
            else:
                getattr(transport, end)()
            expected = b"last,words," + (b"file" if end == "sendfile" else b"")
            assert await asyncio.to_thread(read_all, peer) == expected
            transport.abort()

    runner.run(main())


@pytest.mark.parametrize("leaves", [SystemExit, KeyboardInterrupt])
def test_what_leaves_the_loop_leaves_nothing_unsent(factory: Factory, leaves: type[BaseException]) -> None:
    loop = factory()

    def write_and_leave() -> None:
        transport.write(b"written")
        raise leaves

    transport, _, peer = loop.run_until_complete(connected())
    with peer:
        loop.call_soon(write_and_leave)
        with pytest.raises(leaves):
            loop.run_forever()
        assert arrived(peer) == b"written"
        transport.abort()
        loop.run_until_complete(turns())
    loop.close()


def test_stop_leaves_nothing_unsent(factory: Factory) -> None:
    loop = factory()
    transport, _, peer = loop.run_until_complete(connected())
    with peer:
        loop.call_soon(lambda: (transport.write(b"written"), loop.stop()))
        loop.run_forever()
        assert arrived(peer) == b"written"
        transport.abort()
        loop.run_until_complete(turns())
    loop.close()


def test_a_long_turn_sends_before_its_end(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _, peer = await connected()
        seen: list[bytes] = []

        def tick() -> None:
            before = now = time.clock_gettime(CLOCK_MONOTONIC_COARSE)
            while now == before:
                now = time.clock_gettime(CLOCK_MONOTONIC_COARSE)

        with peer:
            loop.call_soon(transport.write, b"early")
            loop.call_soon(tick)
            loop.call_soon(lambda: seen.append(arrived(peer)))
            await turns(3)
            transport.abort()
        assert seen == [b"early"]

    runner.run(main())


def test_flow_control_is_called_in_the_writers_context(runner: asyncio.Runner) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    class Told(Recorder):
        def pause_writing(self) -> None:
            super().pause_writing()
            self.events.append(var.get())

        def resume_writing(self) -> None:
            super().resume_writing()
            self.events.append(var.get())

    async def main() -> None:
        transport, protocol, peer = await connected(Told())
        with peer:
            transport.set_write_buffer_limits(high=1000, low=0)
            var.set("the writer's")
            while "pause" not in protocol.events:
                transport.write(bytes(900))
            var.set("another")
            reading = asyncio.create_task(asyncio.to_thread(read_all, peer))
            while "resume" not in protocol.events:
                await asyncio.sleep(0)
            assert protocol.events == ["made", "pause", "the writer's", "resume", "the writer's"]
            transport.close()
            await reading

    runner.run(main())


def test_a_write_that_fails_ends_the_connection(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        transport.pause_reading()
        peer.close()
        with reports() as told:
            transport.write(b"x")
            transport.write(b"x")
            await asyncio.wait_for(protocol.lost, 20)
        assert isinstance(protocol.lost.result(), BrokenPipeError)
        assert told == []  # it is no error that a peer goes

    runner.run(main())


def test_a_write_may_fail_while_its_context_is_entered(runner: asyncio.Runner) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    class Ends(Recorder):
        def connection_lost(self, exc: BaseException | None) -> None:
            self.events.append(var.get())
            super().connection_lost(exc)

    async def main() -> None:
        transport, protocol, peer = await connected(Ends())
        transport.pause_reading()
        peer.close()
        var.set("the writer's")
        transport.write(b"x")
        transport.get_write_buffer_size()  # sends it
        transport.write(b"x")
        transport.get_write_buffer_size()  # cannot
        await asyncio.wait_for(protocol.lost, 20)
        assert isinstance(protocol.lost.result(), BrokenPipeError)
        assert protocol.events == ["made", "the writer's", "lost"]

    runner.run(main())


def test_who_is_told_of_a_failure_may_write_elsewhere(runner: asyncio.Runner) -> None:
    async def main() -> None:
        other, _, there = await connected()

        class Forwards(Recorder):
            def pause_writing(self) -> None:
                super().pause_writing()
                other.write(b"told")

        transport, protocol, peer = await connected(Forwards())
        with peer, there:
            transport.set_write_buffer_limits(high=1)
            while "pause" not in protocol.events:
                transport.write(bytes(16000))
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert arrived(there) == b"told"
            transport.abort()
            other.abort()

    runner.run(main())


@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_child_does_not_send_what_its_parent_does(factory: Factory) -> None:
    loop = factory()
    transport, _, peer = loop.run_until_complete(connected())

    def fork() -> None:
        transport.write(b"once")
        if os.fork() == 0:
            with contextlib.suppress(BaseException):
                transport.get_write_buffer_size()
                transport.close()
            os._exit(0)
        os.wait()

    with peer:
        loop.call_soon(fork)
        loop.run_until_complete(turns())
        assert arrived(peer) == b"once"
        transport.abort()
        loop.run_until_complete(turns())
        assert read_all(peer) == b""
    loop.close()
