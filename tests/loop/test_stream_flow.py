"""What leaves a stream transport, in which order: water marks, several buffers, half a connection, sendfile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from asioloop import new_event_loop
from stream_peers import Recorder, connected, fill, read_all


def test_the_marks_are_a_pause_above_the_high_one_and_a_resume_at_the_low_one(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            transport.set_write_buffer_limits(high=1 << 30)
            assert transport.get_write_buffer_limits() == (1 << 28, 1 << 30)
            wanted = fill(transport)
            held = transport.get_write_buffer_size()
            transport.set_write_buffer_limits(high=held + 10, low=0)
            transport.write(b"x" * 10)
            assert "pause" not in protocol.events
            transport.write(b"x")
            assert protocol.events.count("pause") == 1
            transport.write(b"x")
            assert protocol.events.count("pause") == 1
            reading = asyncio.create_task(asyncio.to_thread(read_all, peer))
            while "resume" not in protocol.events:
                await asyncio.sleep(0)
            assert transport.get_write_buffer_size() == 0
            transport.set_write_buffer_limits(high=0)
            assert transport.get_write_buffer_limits() == (0, 0)
            transport.close()
            assert await reading == bytes(wanted) + b"x" * 12
            await protocol.lost
            assert protocol.events == ["made", "pause", "resume", "lost"]

    runner.run(main())


def test_marks_that_are_passed_already_pause_at_once(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            transport.set_write_buffer_limits(high=1 << 30)
            fill(transport)
            transport.set_write_buffer_limits(low=1, high=2)
            assert protocol.events == ["made", "pause"]
            transport.abort()
            await protocol.lost

    runner.run(main())


def test_marks_have_asyncios_defaults_and_bounds(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
            transport.set_write_buffer_limits(low=100)
            assert transport.get_write_buffer_limits() == (100, 400)
            transport.set_write_buffer_limits()
            assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
            for high, low in ((1, 2), (-1, None), (5, -1)):
                with pytest.raises(ValueError, match="must be >= low"):
                    transport.set_write_buffer_limits(high=high, low=low)
            transport.close()
            await protocol.lost

    runner.run(main())


def test_more_buffers_than_one_system_call_takes_go_out_in_order(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            pieces: list[Any] = [b"%d " % i for i in range(3000)]
            pieces[7], pieces[70], pieces[700] = bytearray(b"seven"), memoryview(b"_70_")[1:], b""
            transport.writelines(pieces)
            transport.writelines([])
            transport.writelines(piece for piece in (b"from ", b"a generator"))
            wanted = b"".join(pieces) + b"from a generator"
            wanted += bytes(fill(transport))
            transport.writelines(pieces)
            transport.writelines(pieces)
            wanted += b"".join(pieces) * 2
            reading = asyncio.create_task(asyncio.to_thread(read_all, peer))
            transport.close()
            assert await reading == wanted
            await protocol.lost

    runner.run(main())


@pytest.mark.parametrize("wrong", [["text"], [1], [b"bytes", None]], ids=repr)
def test_lines_that_are_no_bytes_are_a_type_error(runner: asyncio.Runner, wrong: list[Any]) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            with pytest.raises(TypeError):
                transport.writelines(wrong)
            transport.abort()
            await protocol.lost

    runner.run(main())


def test_a_buffer_may_change_once_write_has_returned() -> None:
    """Not so on asyncio since 3.12, which keeps a view of it."""

    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            wanted = bytes(fill(transport))
            mine = bytearray(b"as it was")
            transport.write(mine)
            transport.write(memoryview(mine))
            transport.writelines([mine, memoryview(mine)])
            mine[:] = b"something longer than before"
            reading = asyncio.create_task(asyncio.to_thread(read_all, peer))
            transport.close()
            assert await reading == wanted + b"as it was" * 4
            await protocol.lost

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


def test_the_sending_side_closes_once_all_is_sent(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer:
            wanted = fill(transport)
            transport.write_eof()
            transport.write_eof()
            with pytest.raises(RuntimeError, match=r"Cannot call write(lines)?\(\) after write_eof\(\)"):
                transport.writelines([b"more"])
            assert await asyncio.to_thread(read_all, peer) == bytes(wanted)
            peer.sendall(b"it still reads")
            assert await protocol.received(14) == b"it still reads"
            peer.shutdown(1)
            assert await protocol.lost is None

    runner.run(main())


def test_a_peer_that_resets_the_connection_is_told_as_an_error(runner: asyncio.Runner) -> None:
    async def main() -> None:
        made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        class Served(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                made.set_result((transport, self))

        async with await asyncio.get_running_loop().create_server(Served, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            client, _ = await asyncio.get_running_loop().create_connection(Recorder, "127.0.0.1", port)
            transport, protocol = await made
            client.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: 0 s
            client.abort()
            assert isinstance(await protocol.lost, ConnectionResetError)
            assert transport.is_closing() and protocol.events == ["made", "lost"]

    runner.run(main())


def test_a_write_to_a_peer_that_is_gone_ends_the_connection(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, peer = await connected()
        transport.pause_reading()
        wanted = fill(transport)
        assert wanted
        peer.close()
        assert isinstance(await protocol.lost, BrokenPipeError | ConnectionResetError)

    runner.run(main())


def test_a_file_is_sent_between_what_is_written_before_and_after(
    runner: asyncio.Runner, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 2000)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, peer = await connected()
        with peer, path.open("rb") as file:
            wanted = bytes(fill(transport)) + b"head"
            transport.write(b"head")
            reading = asyncio.create_task(asyncio.to_thread(read_all, peer))
            sending = asyncio.create_task(loop.sendfile(transport, file, 256, 400_000))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="unable to write; sendfile is in progress"):
                transport.write(b"x")
            assert await sending == 400_000
            assert transport.is_reading()
            transport.write(b"tail")
            peer.sendall(b"it reads again")
            assert await protocol.received(14) == b"it reads again"
            transport.write_eof()
            assert await reading == wanted + (bytes(range(256)) * 2000)[256:400_256] + b"tail"
            transport.close()
            await protocol.lost

    runner.run(main())


def test_a_connection_that_is_lost_ends_a_file_under_way(runner: asyncio.Runner, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)

    async def main() -> None:
        transport, protocol, peer = await connected()
        with peer, path.open("rb") as file:
            fill(transport)
            sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
            await asyncio.sleep(0)
            transport.abort()
            with pytest.raises(ConnectionError, match="Connection is closed by peer"):
                await sending
            await protocol.lost

    runner.run(main())
