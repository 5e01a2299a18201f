"""Unix sockets whose peers send descriptors: a read ends at each such message, and what lies behind it is not lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from stream_peers import Recorder, connected

ONE_AND_MANY = pytest.mark.parametrize("streams", [1, 2, 40])
"""How many are read in one turn, as the loop may read many in another way."""


class Whole(Recorder):
    """Says when so much has come: nothing else keeps the loop busy meanwhile."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if len(self.data) == self.size:
            self.whole.set_result(None)


def send_descriptor(peer: socket.socket, data: bytes) -> None:
    socket.send_fds(peer, [data], [peer.fileno()])


@contextlib.contextmanager
def closing(connections: list[tuple[Any, Any, socket.socket]]) -> Iterator[None]:
    try:
        yield
    finally:
        for transport, _, peer in connections:
            transport.abort()
            peer.close()


@ONE_AND_MANY
def test_what_lies_behind_a_descriptor_is_read(runner: asyncio.Runner, streams: int) -> None:
    async def main() -> None:
        connections = [await connected(Whole(len("withbehindandmore"))) for _ in range(streams)]
        with closing(connections):
            for _, _, peer in connections:
                send_descriptor(peer, b"with")
                peer.send(b"behind")
                send_descriptor(peer, b"and")
                peer.send(b"more")
            await asyncio.wait_for(asyncio.gather(*(protocol.whole for _, protocol, _ in connections)), 20)
            assert {bytes(protocol.data) for _, protocol, _ in connections} == {b"withbehindandmore"}

    runner.run(main())


@ONE_AND_MANY
def test_what_lies_behind_a_descriptor_is_read_by_a_busy_loop(runner: asyncio.Runner, streams: int) -> None:
    async def main() -> None:
        connections = [await connected() for _ in range(streams)]
        with closing(connections):
            for _, _, peer in connections:
                send_descriptor(peer, b"with")
                peer.send(b"behind")
            for _, protocol, _ in connections:
                assert await asyncio.wait_for(protocol.received(10), 20) == b"withbehind"

    runner.run(main())


@ONE_AND_MANY
def test_what_lies_behind_a_descriptor_waits_for_a_paused_protocol(
    runner: asyncio.Runner, streams: int
) -> None:
    class Pauses(Whole):
        transport: Any = None

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        connections = [await connected(Pauses(len("withbehind"))) for _ in range(streams)]
        with closing(connections):
            for transport, protocol, peer in connections:
                protocol.transport = transport
                send_descriptor(peer, b"with")
                peer.send(b"behind")
            while not all(protocol.data for _, protocol, _ in connections):
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            assert {bytes(protocol.data) for _, protocol, _ in connections} == {b"with"}
            for transport, _, _ in connections:
                transport.resume_reading()
            await asyncio.wait_for(asyncio.gather(*(protocol.whole for _, protocol, _ in connections)), 20)

    runner.run(main())


@ONE_AND_MANY
def test_the_end_behind_a_descriptor_is_told(runner: asyncio.Runner, streams: int) -> None:
    async def main() -> None:
        connections = [await connected() for _ in range(streams)]
        with closing(connections):
            for _, _, peer in connections:
                send_descriptor(peer, b"with")
                peer.send(b"behind")
                peer.close()
            for _, protocol, _ in connections:
                await asyncio.wait_for(protocol.lost, 20)
                assert protocol.data == b"withbehind"
                assert protocol.events[-2:] == ["eof", "lost"]

    runner.run(main())


def test_streams_that_end_between_the_two_are_forgotten(runner: asyncio.Runner) -> None:
    class Ends(Recorder):
        transport: Any = None

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.abort()

    async def main() -> None:
        for _ in range(5):  # the numbers of the descriptors come again
            connections = [await connected(Ends()) for _ in range(40)]
            with closing(connections):
                for transport, protocol, peer in connections:
                    protocol.transport = transport
                    send_descriptor(peer, b"with")
                    peer.send(b"behind")
                for _, protocol, _ in connections:
                    await asyncio.wait_for(protocol.lost, 20)
                    assert protocol.data == b"with"

    runner.run(main())


def test_a_lower_limit_of_descriptors_loses_nothing(runner: asyncio.Runner) -> None:
    async def main() -> None:
        connections = [await connected(Whole(len("first,withbehind"))) for _ in range(40)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with closing(connections):
            for _, protocol, peer in connections:
                peer.send(b"first,")
                await protocol.received(6)
            resource.setrlimit(resource.RLIMIT_NOFILE, (20, hard))  # poll() refuses more than that
            try:
                for _, _, peer in connections:
                    send_descriptor(peer, b"with")
                    peer.send(b"behind")
                wholes = [protocol.whole for _, protocol, _ in connections]
                await asyncio.wait_for(asyncio.gather(*wholes), 20)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    runner.run(main())


def test_descriptors_that_nobody_takes_are_closed(runner: asyncio.Runner) -> None:
    async def main() -> None:
        connections = [await connected() for _ in range(40)]
        with closing(connections):
            for _, protocol, peer in connections:
                peer.send(b"first,")
                await protocol.received(6)
            before = len(os.listdir("/proc/self/fd"))
            for _, _, peer in connections:
                send_descriptor(peer, b"with")
            for _, protocol, _ in connections:
                await protocol.received(10)
            assert len(os.listdir("/proc/self/fd")) == before

    runner.run(main())
