"""What a protocol may do inside its callbacks, and what comes of an exception in each of them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asioloop import new_event_loop
from stream_peers import Recorder, connected, fill, read_all, reports, turns


def test_the_first_words_may_be_written_when_the_connection_is_made(runner: asyncio.Runner) -> None:
    class Greets(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(b"hello, ")
            transport.writelines([b"wor", b"ld"])
            transport.close()

    async def main() -> None:
        _, protocol, peer = await connected(Greets())
        with peer:
            assert await asyncio.to_thread(read_all, peer) == b"hello, world"
        assert await protocol.lost is None
        assert protocol.events == ["made", "lost"]

    runner.run(main())


def test_reading_that_is_paused_when_the_connection_is_made_does_not_begin() -> None:
    """Without asyncio as the oracle: that of CPython 3.11.2 begins all the same."""

    class Later(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.pause_reading()

    async def main() -> None:
        transport, protocol, peer = await connected(Later())
        with peer:
            peer.sendall(b"early")
            await turns()
            assert protocol.events == ["made"]
            transport.resume_reading()
            assert await protocol.received(5) == b"early"
            transport.close()
            await protocol.lost

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_protocol_may_end_the_connection_where_data_arrives(runner: asyncio.Runner, end: str) -> None:
    class Ends(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.write(b"bye")
            getattr(self.transport, end)()
            getattr(self.transport, end)()

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.transport = transport

    async def main() -> None:
        _, protocol, peer = await connected(Ends())
        with peer:
            peer.sendall(b"x" * 10)
            assert await protocol.lost is None
            assert protocol.events == ["made", "data", "lost"]
            assert await asyncio.to_thread(read_all, peer) == b"bye"

    runner.run(main())


def test_a_transport_whose_last_reference_goes_in_its_callback_lives_to_its_end(
    runner: asyncio.Runner,
) -> None:
    holder: list[Any] = []

    class Forgets(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            transport = holder.pop()
            transport.close()
            del transport

    async def main() -> None:
        transport, protocol, peer = await connected(Forgets())
        holder.append(transport)
        del transport
        with peer:
            peer.sendall(b"x")
            assert await protocol.lost is None

    runner.run(main())


def test_a_kind_of_protocol_may_change_between_two_reads(runner: asyncio.Runner) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(4)
            self.data = bytearray()
            self.after: Any = None

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]
            self.after[0].set_protocol(self.after[1])

    async def main() -> None:
        plain, buffered = Recorder(), Buffered()
        transport, _, peer = await connected(buffered)
        buffered.after = transport, plain
        with peer:
            peer.sendall(b"headtail")
            assert await plain.received(4) == b"tail" and buffered.data == b"head"
            transport.set_protocol(buffered)
            peer.sendall(b"more")
            while buffered.data != b"headmore":
                await asyncio.sleep(0)
            assert transport.get_protocol() is plain
            transport.close()
            assert await plain.lost is None

    runner.run(main())


def test_a_method_that_is_put_on_a_protocol_later_is_called(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            peer.sendall(b"1")
            assert await protocol.received(1) == b"1"
            later = asyncio.get_running_loop().create_future()
            protocol.data_received = later.set_result
            peer.sendall(b"2")
            assert await later == b"2"
            transport.close()
            await protocol.lost

    runner.run(main())


def test_callbacks_run_in_the_context_in_which_the_connection_was_made(runner: asyncio.Runner) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    class Looks(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.events.append(variable.get())
            variable.set("changed")

    async def main() -> None:
        variable.set("outside")
        transport, protocol, peer = await connected(Looks())
        with peer:
            peer.sendall(b"1")
            await protocol.received(1)
            peer.sendall(b"2")
            await protocol.received(2)
            assert protocol.events == ["made", "data", "outside", "data", "changed"]
            assert variable.get() == "outside"
            transport.close()
            await protocol.lost

    runner.run(main())


def test_closing_where_writing_is_paused_sends_all_and_aborting_none(runner: asyncio.Runner) -> None:
    class Ends(Recorder):
        end = "close"

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def pause_writing(self) -> None:
            super().pause_writing()
            getattr(self.transport, self.end)()

    async def main() -> None:
        transport, protocol, peer = await connected(Ends())
        with peer:
            transport.set_write_buffer_limits(high=0)
            wanted = fill(transport)
            transport.write(b"too late: it is closing, but not lost")
            got = await asyncio.to_thread(read_all, peer)
            assert got == bytes(wanted) + b"too late: it is closing, but not lost"
        assert await protocol.lost is None
        assert protocol.events == ["pause", "resume", "lost"]

        aborts = Ends()
        aborts.end = "abort"
        transport, protocol, peer = await connected(aborts)
        with peer:
            written = 0
            while not transport.is_closing():
                transport.write(bytes(1 << 16))
                written += 1 << 16
            assert transport.get_write_buffer_size() == 0
            assert await protocol.lost is None
            assert len(await asyncio.to_thread(read_all, peer)) < written
        assert protocol.events == ["pause", "lost"]

    runner.run(main())


# --- exceptions --------------------------------------------------------------------------------------------------------


class BrokenBuffer(asyncio.BufferedProtocol):
    """Raises where it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def get_buffer(self, sizehint: int) -> bytearray:
        if self.where == "get_buffer":
            raise ZeroDivisionError
        return bytearray(0 if self.where == "empty" else 10)

    def buffer_updated(self, nbytes: int) -> None:
        raise ZeroDivisionError

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


class Broken(Recorder):
    """Raises where it is told to."""

    def __init__(self, where: str, error: type[BaseException] = ZeroDivisionError) -> None:
        super().__init__()

        def fail(*_: object) -> None:
            self.events.append(where)
            raise error

        setattr(self, where, fail)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Broken("data_received"), "Fatal error: protocol.data_received() call failed."),
        (lambda: Broken("eof_received"), "Fatal error: protocol.eof_received() call failed."),
        (lambda: BrokenBuffer("get_buffer"), "Fatal error: protocol.get_buffer() call failed."),
        (lambda: BrokenBuffer("empty"), "Fatal error: protocol.get_buffer() call failed."),
        (lambda: BrokenBuffer("buffer_updated"), "Fatal error: protocol.buffer_updated() call failed."),
    ],
    ids=["data_received", "eof_received", "get_buffer", "an empty buffer", "buffer_updated"],
)
def test_an_exception_while_reading_ends_the_connection(
    runner: asyncio.Runner, make: Callable[[], Any], message: str
) -> None:
    async def main() -> None:
        protocol = make()
        with reports() as told:
            transport, _, peer = await connected(protocol)
            with peer:
                if "eof" not in message:
                    peer.sendall(b"x")
                peer.shutdown(1)
                lost = await protocol.lost
                assert transport.get_extra_info("socket").fileno() == -1
        (context,) = told
        assert context["message"] == message and context["exception"] is lost
        assert context["transport"] is transport and context["protocol"] is protocol
        if isinstance(protocol, BrokenBuffer) and protocol.where == "empty":
            assert isinstance(lost, RuntimeError) and str(lost) == "get_buffer() returned an empty buffer"
        else:
            assert isinstance(lost, ZeroDivisionError)

    runner.run(main())


def test_what_is_no_buffer_ends_the_connection(runner: asyncio.Runner) -> None:
    class ReadOnly(BrokenBuffer):
        def get_buffer(self, sizehint: int) -> Any:
            return b"constant"

    async def main() -> None:
        with reports() as told:
            _, protocol, peer = await connected(ReadOnly(""))
            with peer:
                peer.sendall(b"x")
                lost = await protocol.lost
        (context,) = told
        assert context["message"] == "Fatal read error on socket transport"
        # BufferError or TypeError: CPython's recv_into() and PyObject_GetBuffer() do not agree.
        assert context["exception"] is lost and isinstance(lost, (BufferError, TypeError))

    runner.run(main())


def test_an_exception_when_the_connection_is_made_or_lost_is_reported(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with reports() as told:
            transport, protocol, peer = await connected(Broken("connection_made"))
            with peer:
                peer.sendall(b"it reads on")
                assert await protocol.received(11) == b"it reads on"
                transport.close()
                await protocol.lost

            transport, protocol, peer = await connected(Broken("connection_lost"))
            with peer:
                transport.close()
                assert await asyncio.to_thread(read_all, peer) == b""
        assert [type(context["exception"]) for context in told] == [ZeroDivisionError] * 2
        assert all(context["message"].startswith("Exception in callback ") for context in told)
        assert "_call_connection_lost" in told[1]["message"]

    runner.run(main())


def test_an_exception_in_flow_control_is_reported_and_the_connection_goes_on(runner: asyncio.Runner) -> None:
    async def main() -> None:
        for where in ("pause_writing", "resume_writing"):
            with reports() as told:
                transport, protocol, peer = await connected(Broken(where))
                with peer:
                    transport.set_write_buffer_limits(high=0)
                    wanted = fill(transport)
                    reading = asyncio.create_task(asyncio.to_thread(read_all, peer))
                    while transport.get_write_buffer_size():
                        await asyncio.sleep(0)
                    transport.write(b"end")
                    transport.close()
                    assert await reading == bytes(wanted) + b"end"
                assert await protocol.lost is None
            (context,) = told
            assert context["message"] == f"protocol.{where}() failed"
            assert type(context["exception"]) is ZeroDivisionError
            assert context["transport"] is transport and context["protocol"] is protocol

    runner.run(main())


@pytest.mark.parametrize("where", ["data_received", "eof_received", "pause_writing"])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_exit_and_interrupt_leave_the_loop_which_goes_on_after_it(
    runner: asyncio.Runner, where: str, error: type[BaseException]
) -> None:
    loop = runner.get_loop()

    async def start() -> tuple[Any, Any, Any]:
        return await connected(Broken(where, error))

    async def end() -> None:
        await protocol.lost

    transport, protocol, peer = loop.run_until_complete(start())
    transport.set_write_buffer_limits(high=0)
    with peer:
        if where == "data_received":
            peer.sendall(b"x")
        elif where == "eof_received":
            peer.shutdown(1)
        else:
            loop.call_soon(fill, transport)
        with pytest.raises(error):
            loop.run_forever()
        assert where in protocol.events
        transport.abort()
        loop.run_until_complete(end())


def test_what_an_interrupt_has_left_is_done_when_the_loop_runs_on(runner: asyncio.Runner) -> None:
    class Interrupted(Recorder):
        def once(self, event: str) -> None:
            if event not in self.events:
                self.events.append(event)
                raise KeyboardInterrupt

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.once("interrupted in data")

        def eof_received(self) -> bool:
            self.once("interrupted in eof")
            return super().eof_received()

    loop = runner.get_loop()

    async def start() -> tuple[Any, Any, Any]:
        return await connected(Interrupted())

    async def end() -> None:
        assert await protocol.lost is None

    _, protocol, peer = loop.run_until_complete(start())
    with peer:
        peer.sendall(b"x" * 10)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        peer.sendall(b"y")
        peer.shutdown(1)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        loop.run_until_complete(end())
    assert protocol.data == b"x" * 10 + b"y"
    events = ["made", "data", "interrupted in data", "data", "interrupted in eof", "eof", "lost"]
    assert protocol.events == events


def test_a_connection_that_is_interrupted_while_it_closes_is_lost_all_the_same() -> None:
    """Not so on asyncio, which asserts that something is left to be sent."""

    class Interrupted(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            raise KeyboardInterrupt

    loop = new_event_loop()

    async def start() -> tuple[Any, Any, Any]:
        return await connected(Interrupted())

    async def end() -> None:
        assert await protocol.lost is None

    transport, protocol, peer = loop.run_until_complete(start())
    with peer:
        transport.set_write_buffer_limits(high=0)
        wanted = fill(transport)
        transport.close()
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_all, peer)
            with pytest.raises(KeyboardInterrupt):
                loop.run_forever()
            loop.run_until_complete(end())
            assert reading.result() == bytes(wanted)
    assert protocol.events == ["made", "pause", "resume", "lost"]
    loop.close()
