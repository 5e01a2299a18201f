"""sendfile() and sock_sendfile(): how much is sent, from where, and what happens when that is not possible."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asioloop
import pytest
from stream_peers import connected, fill, read_all, turns

Factory = Callable[[], asyncio.AbstractEventLoop]
SIZE = 300_000
CONTENT = os.urandom(SIZE)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with path.open("rb") as f:
        yield f


class Reading(threading.Thread):
    """Reads all that comes to a socket."""

    def __init__(self, peer: socket.socket) -> None:
        super().__init__()
        self.peer, self.data = peer, b""
        self.start()

    def run(self) -> None:
        self.data = read_all(self.peer)

    def result(self) -> bytes:
        self.join(20)
        assert not self.is_alive()
        self.peer.close()
        return self.data


RANGES = [(0, None), (0, SIZE), (0, 1), (1000, None), (1000, 2000), (SIZE - 5, 100), (0, 2 * SIZE)]


@pytest.mark.parametrize(("offset", "count"), RANGES)
def test_a_range_of_a_file(runner: asyncio.Runner, file: Any, offset: int, count: int | None) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, there = await connected()
        peer = Reading(there)
        expected = CONTENT[offset:][:count]
        sent = await loop.sendfile(transport, file, offset, count, fallback=False)
        assert sent == len(expected)
        assert file.tell() == offset + sent
        transport.write(b"after")
        transport.close()
        await protocol.lost
        assert await asyncio.to_thread(peer.result) == expected + b"after"

    runner.run(main())


@pytest.mark.parametrize(("offset", "count"), RANGES)
def test_a_range_of_a_file_to_a_socket(
    runner: asyncio.Runner, file: Any, offset: int, count: int | None
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        here.setblocking(False)
        peer = Reading(there)
        with here:
            sent = await loop.sock_sendfile(here, file, offset, count, fallback=False)
        expected = CONTENT[offset:][:count]
        assert sent == len(expected)
        assert file.tell() == offset + sent
        assert await asyncio.to_thread(peer.result) == expected

    runner.run(main())


def assert_sent(got: bytes, wanted: bytes) -> None:
    """asyncio's own transport may send other bytes here: from 3.12 on it keeps a view of the buffer that sendfile() reads
    into, and reads the next piece into it before that is sent."""
    if isinstance(asyncio.get_running_loop(), asioloop.Loop):
        assert got == wanted
    assert len(got) == len(wanted)


@pytest.mark.parametrize("offset", [SIZE, SIZE + 10])
def test_nothing_is_left_there(runner: asyncio.Runner, file: Any, offset: int) -> None:
    async def main() -> None:
        transport, protocol, there = await connected()
        with there:
            assert await asyncio.get_running_loop().sendfile(transport, file, offset) == 0
            transport.close()
            await protocol.lost

    runner.run(main())


def test_an_empty_file(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "empty").touch()
        transport, protocol, there = await connected()
        with there, os.fdopen(os.open(tmp_path / "empty", os.O_RDONLY), "rb") as empty:
            assert await asyncio.get_running_loop().sendfile(transport, empty, fallback=False) == 0
            transport.close()
            await protocol.lost

    runner.run(main())


def test_what_is_buffered_goes_first(runner: asyncio.Runner, file: Any) -> None:
    async def main() -> None:
        transport, protocol, there = await connected()
        before = fill(transport)
        sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
        await turns()
        assert not sending.done()
        peer = Reading(there)
        assert await sending == SIZE
        transport.close()
        await protocol.lost
        assert (await asyncio.to_thread(peer.result))[before:] == CONTENT

    runner.run(main())


@pytest.mark.parametrize("fallback", [False, True])
def test_what_is_no_file_with_a_descriptor(runner: asyncio.Runner, fallback: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, there = await connected()
        peer = Reading(there)
        memory = io.BytesIO(CONTENT)
        if fallback:
            assert await loop.sendfile(transport, memory, 10, SIZE) == SIZE - 10
            assert memory.tell() == SIZE
        else:
            with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
                await loop.sendfile(transport, memory, fallback=False)
        transport.close()
        await protocol.lost
        assert_sent(await asyncio.to_thread(peer.result), CONTENT[10:] if fallback else b"")

    runner.run(main())


def test_what_the_kernel_refuses_is_read_and_written(
    runner: asyncio.Runner, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> int:
        raise OSError(22, "Invalid argument")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, there = await connected()
        peer = Reading(there)
        with pytest.raises(asyncio.SendfileNotAvailableError, match=r"os.sendfile call failed"):
            await loop.sendfile(transport, file, fallback=False)
        assert await loop.sendfile(transport, file) == SIZE
        transport.close()
        await protocol.lost
        assert_sent(await asyncio.to_thread(peer.result), CONTENT)

    monkeypatch.setattr(os, "sendfile", refuses)
    runner.run(main())


def test_the_arguments_of_sock_sendfile_are_looked_at(runner: asyncio.Runner, file: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            with Path(file.name).open() as text, pytest.raises(ValueError, match="binary mode"):  # noqa: ASYNC230
                await loop.sock_sendfile(here, text)  # type: ignore[arg-type]
            for count in (-1, 0):
                with pytest.raises(ValueError, match="count must be a positive integer"):
                    await loop.sock_sendfile(here, file, 0, count)
            with pytest.raises(TypeError, match="count must be a positive integer"):
                await loop.sock_sendfile(here, file, 0, "all")  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="offset must be a non-negative integer"):
                await loop.sock_sendfile(here, file, -1)
            with pytest.raises(TypeError, match="offset must be a non-negative integer"):
                await loop.sock_sendfile(here, file, 0.5)  # type: ignore[arg-type]
            with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
                datagrams.setblocking(False)
                with pytest.raises(ValueError, match="only SOCK_STREAM type sockets are supported"):
                    await loop.sock_sendfile(datagrams, file)

    runner.run(main())


def test_a_transport_that_closes(runner: asyncio.Runner, file: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, there = await connected()
        with there:
            transport.close()
            with pytest.raises(RuntimeError, match="Transport is closing"):
                await loop.sendfile(transport, file)
            await protocol.lost

    runner.run(main())


def test_a_transport_that_cannot(runner: asyncio.Runner, file: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        datagrams, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with pytest.raises(RuntimeError, match="sendfile is not supported for transport"):
            await loop.sendfile(datagrams, file)  # type: ignore[arg-type]
        datagrams.close()
        await turns()

    runner.run(main())


@pytest.mark.parametrize("fallback", [False, True])
def test_the_peer_goes_meanwhile(factory: Factory, file: Any, fallback: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: None)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            transport, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
            there = (await asyncio.to_thread(listener.accept))[0]
        source: Any = io.BytesIO(CONTENT * 30) if fallback else file
        count = SIZE
        if not fallback:
            os.truncate(file.name, 64 << 20)
            count = 64 << 20
        sending = asyncio.create_task(loop.sendfile(transport, source, fallback=fallback))
        await asyncio.to_thread(there.recv, 1000)
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        there.close()
        with pytest.raises((ConnectionError, asyncio.SendfileNotAvailableError)):
            await sending
        assert 0 < source.tell() < max(count, SIZE * 30)
        transport.close()
        await turns()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def test_it_is_cancelled_meanwhile(runner: asyncio.Runner, file: Any) -> None:
    async def main() -> None:
        transport, protocol, there = await connected()
        os.truncate(file.name, 64 << 20)
        sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
        await turns()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await turns()
        peer = Reading(there)
        # The transport goes on, after what was sent.
        transport.write(b"after")
        transport.close()
        await protocol.lost
        data = await asyncio.to_thread(peer.result)
        assert data.endswith(b"after") and len(data) < 64 << 20
        assert data[:-5][:SIZE] == CONTENT[: len(data) - 5]

    runner.run(main())


def test_reading_goes_on_afterwards(runner: asyncio.Runner, file: Any) -> None:
    async def main() -> None:
        transport, protocol, there = await connected()
        with there:
            there.sendall(b"before ")
            assert await asyncio.get_running_loop().sendfile(transport, file, 0, 1000) == 1000
            there.sendall(b"after")
            assert await protocol.received(12) == b"before after"
            transport.close()
            await protocol.lost

    runner.run(main())


def test_over_tls_it_falls_back(runner: asyncio.Runner, file: Any, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    line += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*line, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    client_side = ssl.create_default_context(cafile=certificate)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        received: asyncio.Future[bytes] = loop.create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.set_result(await reader.readexactly(SIZE - 100))
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side) as server:
            _, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=client_side, server_hostname="localhost"
            )
            with pytest.raises(
                RuntimeError, match="fallback is disabled and native sendfile is not supported"
            ):
                await loop.sendfile(writer.transport, file, 100, fallback=False)
            assert await loop.sendfile(writer.transport, file, 100) == SIZE - 100
            assert file.tell() == SIZE
            assert await received == CONTENT[100:]
            writer.close()
            await writer.wait_closed()

    runner.run(main())
