"""The websockets package, client and server: compression, close codes, pings, many at once."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK


async def _echo(peer: ServerConnection) -> None:
    async for message in peer:
        if message == "leave":
            await peer.close(4005, "asked to")
        elif message == "fail":
            raise ValueError("on purpose")
        elif message == "cut":
            peer.transport.abort()
        else:
            await peer.send(message)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_of_every_size_come_back(runner: asyncio.Runner, compression: str | None) -> None:
    async def main() -> None:
        async with serve(_echo, "127.0.0.1", 0, compression=compression) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", compression=compression) as peer:
                assert bool(peer.protocol.extensions) is (compression is not None)
                for message in ("", "word", "Größe", b"\0\xff", b"x" * 65_536, "y" * 900_000):
                    await peer.send(message)
                    assert await peer.recv() == message
                await peer.send(["in ", "three ", "pieces"])
                assert await peer.recv() == "in three pieces"
                assert await (await peer.ping()) >= 0

    runner.run(main())


@pytest.mark.parametrize(
    ("word", "code", "kind"),
    [
        ("leave", 4005, ConnectionClosedError),
        ("fail", 1011, ConnectionClosedError),
        ("cut", None, ConnectionClosedError),
    ],
)
def test_both_ends_know_how_it_ended(
    runner: asyncio.Runner, word: str, code: int | None, kind: type[Exception]
) -> None:
    async def main() -> None:
        async with serve(_echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}") as peer:
                await peer.send(word)
                with pytest.raises(kind) as closed:
                    await peer.recv()
                assert isinstance(closed.value, ConnectionClosedError)
                assert (closed.value.rcvd.code if closed.value.rcvd else None) == code

    runner.run(main())


def test_a_server_that_closes_says_so_to_all(runner: asyncio.Runner) -> None:
    async def main() -> None:
        async with serve(_echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            peers = [await connect(f"ws://127.0.0.1:{port}") for _ in range(20)]
            for peer in peers:
                await peer.send("here")
            assert [await peer.recv() for peer in peers] == ["here"] * 20
            broadcast(server.connections, "to all")
            assert [await peer.recv() for peer in peers] == ["to all"] * 20
            server.close()
            for peer in peers:
                with pytest.raises(ConnectionClosedOK) as closed:
                    await peer.recv()
                assert closed.value.rcvd and closed.value.rcvd.code == 1001
            await server.wait_closed()

    runner.run(main())


def test_a_slow_reader_holds_the_sender_back(runner: asyncio.Runner) -> None:
    async def main() -> None:
        sent = 0
        gate = asyncio.Event()

        async def flood(peer: ServerConnection) -> None:
            nonlocal sent
            while sent < 200:
                sent += 1
                await peer.send(bytes(100_000))
            gate.set()

        async with serve(flood, "127.0.0.1", 0, compression=None) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", compression=None, max_queue=2) as peer:
                await peer.recv()
                before = -1
                # Until it gets no further: what the kernel's buffers and both queues take.
                while before != sent:
                    before = sent
                    await asyncio.sleep(0.05)
                assert sent < 200
                for _ in range(199):
                    assert len(await peer.recv()) == 100_000
                await gate.wait()

    runner.run(main())
