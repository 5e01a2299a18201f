"""TLS connections that go as they should: both sides, every kind of protocol, flow control, upgrades."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from stream_peers import Recorder, reports, turns
from tls_peers import Peer, TlsRecorder, make_contexts, secured

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
MIB = 1 << 20


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    return make_contexts(tmp_path_factory.mktemp("tls"))


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


class Echo(TlsRecorder):
    """Sends back what comes."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


class Fills(asyncio.BufferedProtocol):
    """Has a buffer of its own."""

    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self.data = b""
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def get_buffer(self, sizehint: int) -> memoryview:
        assert sizehint >= 0
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= len(self.buffer)
        self.data += self.buffer[:nbytes]

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


async def ends(transport: Any, protocol: Any, peer: Peer) -> None:
    """Closes in good order, from this side."""
    transport.close()
    await peer.unwrap()
    assert await protocol.lost is None
    peer.sock.close()


def test_tls_runs_over_a_stream(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        async with await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=contexts[0]) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=contexts[1], server_hostname="localhost"
            )
            wanted = bytes(range(256)) * 4000
            writer.write(wanted)
            assert await reader.readexactly(len(wanted)) == wanted
            assert writer.get_extra_info("peername") == ("127.0.0.1", port)
            assert writer.get_extra_info("cipher")
            writer.close()
            await writer.wait_closed()

    runner.run(main())


def test_over_a_unix_socket(runner: asyncio.Runner, contexts: Contexts, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        async with await asyncio.start_unix_server(_echo, path, ssl=contexts[0]):
            reader, writer = await asyncio.open_unix_connection(
                path, ssl=contexts[1], server_hostname="localhost"
            )
            writer.write(b"over a file")
            assert await reader.readexactly(11) == b"over a file"
            writer.close()
            await writer.wait_closed()

    runner.run(main())


def test_an_accepted_socket_and_what_came_with_the_handshake(
    runner: asyncio.Runner, contexts: Contexts
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        peer = Peer(there, contexts[1], server_side=False)
        protocol = TlsRecorder()
        accepting = loop.create_task(loop.connect_accepted_socket(lambda: protocol, here, ssl=contexts[0]))
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.do_handshake()
        await peer.flush()
        assert await peer.fetch()
        peer.tls.do_handshake()
        peer.tls.write(b"at once")
        await peer.flush()
        transport, same = await accepting
        assert same is protocol
        assert await protocol.received(7) == b"at once"
        assert protocol.events[:2] == ["made", "data"]
        await ends(transport, protocol, peer)

    runner.run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_byte_at_a_time(runner: asyncio.Runner, contexts: Contexts, version: ssl.TLSVersion) -> None:
    async def main() -> None:
        contexts[0].maximum_version = version
        try:
            transport, protocol, peer = await secured(contexts, Echo(), cut=1)
        finally:
            contexts[0].maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
        assert transport.get_extra_info("ssl_object").version() == peer.tls.version()
        for size in (1, 2, 100, 3000):
            await peer.send(b"x" * size)
            assert await peer.read(size) == b"x" * size
        await ends(transport, protocol, peer)

    runner.run(main())


def test_records_that_come_together_are_given_together(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        for i in range(20):
            peer.tls.write(b"%02d" % i)
        await peer.flush()
        assert await protocol.received(40) == b"".join(b"%02d" % i for i in range(20))
        assert protocol.events == ["made", "data"]
        await ends(transport, protocol, peer)

    runner.run(main())


@pytest.mark.parametrize("size", [1, 1000, 16 * 1024, 16 * 1024 + 1, 100_000, 5 * MIB])
def test_sizes_both_ways(runner: asyncio.Runner, contexts: Contexts, size: int) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        wanted = bytes((i * 7) & 255 for i in range(min(size, 4096))) * -(-size // 4096)
        wanted = wanted[:size]
        transport.write(bytearray(wanted))
        transport.writelines([wanted[:1], b"", memoryview(wanted)[1:]])
        assert await peer.read(2 * size) == wanted * 2
        await peer.send(wanted)
        assert await protocol.received(size) == wanted
        await ends(transport, protocol, peer)

    runner.run(main())


@pytest.mark.parametrize("size", [1, 100, 16 * 1024, MIB])
def test_a_buffered_protocol(runner: asyncio.Runner, contexts: Contexts, size: int) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts, Fills(size))
        wanted = bytes(range(256)) * 400
        await peer.send(wanted)
        while len(protocol.data) < len(wanted):
            await asyncio.sleep(0)
        assert protocol.data == wanted
        await ends(transport, protocol, peer)

    runner.run(main())


def test_another_protocol_takes_over(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        second = Fills(10)

        class First(TlsRecorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                self.transport.set_protocol(second)

        transport, first, peer = await secured(contexts, First())
        assert transport.get_protocol() is first
        await peer.send(b"to the first")
        await first.received(12)
        assert transport.get_protocol() is second
        await peer.send(b"and to the second")
        while len(second.data) < 17:
            await asyncio.sleep(0)
        assert (bytes(first.data), second.data) == (b"to the first", b"and to the second")
        await ends(transport, second, peer)

    runner.run(main())


def test_what_a_transport_tells(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        assert isinstance(transport, asyncio.Transport) is True
        tls = transport.get_extra_info("ssl_object")
        assert isinstance(tls, ssl.SSLObject) and tls.version() == peer.tls.version()
        assert transport.get_extra_info("sslcontext") is contexts[1]
        assert transport.get_extra_info("cipher") == tls.cipher()
        assert transport.get_extra_info("peercert")["subject"] == ((("commonName", "localhost"),),)
        assert transport.get_extra_info("compression") is None
        assert transport.get_extra_info("socket").family is socket.AF_UNIX
        assert transport.get_extra_info("nothing", 7) == 7
        assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
        assert transport.get_read_buffer_limits() == (64 * 1024, 256 * 1024)
        transport.set_write_buffer_limits(high=1000)
        transport.set_read_buffer_limits(low=10)
        assert transport.get_write_buffer_limits() == (250, 1000)
        assert transport.get_read_buffer_limits() == (10, 40)
        with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\) must be >= 0"):
            transport.set_write_buffer_limits(1, 2)
        assert transport.get_write_buffer_size() == transport.get_read_buffer_size() == 0
        assert transport.is_reading() and not transport.is_closing() and not transport.can_write_eof()
        with pytest.raises(NotImplementedError):
            transport.write_eof()
        with pytest.raises(TypeError, match=r"data: expecting a bytes-like instance, got str"):
            transport.write("text")
        transport.write(b"")
        transport.anything = 1
        await ends(transport, protocol, peer)
        assert transport.is_closing()
        assert transport.get_extra_info("ssl_object") is tls

    runner.run(main())


def test_paused_reading_is_paused_all_the_way(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        transport.pause_reading()
        assert not transport.is_reading()
        sending = asyncio.create_task(peer.send(b"x" * 8 * MIB))
        while transport.get_read_buffer_size() < transport.get_read_buffer_limits()[1]:
            await asyncio.sleep(0)
        await turns(100)
        assert not sending.done() and not protocol.data
        # What had been read when it was paused, and no more: it does not grow.
        assert transport.get_read_buffer_size() <= 2 * transport.get_read_buffer_limits()[1]
        transport.resume_reading()
        await protocol.received(8 * MIB)
        await sending
        await ends(transport, protocol, peer)

    runner.run(main())


def test_paused_inside_data_received(runner: asyncio.Runner, contexts: Contexts) -> None:
    class Pauses(TlsRecorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        transport, protocol, peer = await secured(contexts, Pauses())
        sending = asyncio.create_task(peer.send(b"x" * 3 * MIB))
        while len(protocol.data) < 3 * MIB:
            before = protocol.events.count("data")
            transport.resume_reading()
            while protocol.events.count("data") == before:
                await asyncio.sleep(0)
            await turns(3)
            assert protocol.events.count("data") == before + 1
        await sending
        transport.resume_reading()
        await ends(transport, protocol, peer)

    runner.run(main())


def test_writing_is_paused_and_resumed_and_all_arrives(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        wanted = b""
        for i in range(64):
            piece = bytes([i]) * 100_000
            wanted += piece
            transport.write(piece)
        assert protocol.events == ["made", "pause"]
        assert transport.get_write_buffer_size() > 512 * 1024
        assert await peer.read(len(wanted)) == wanted
        while protocol.events != ["made", "pause", "resume"]:
            await asyncio.sleep(0)
        assert transport.get_write_buffer_size() == 0
        await ends(transport, protocol, peer)

    runner.run(main())


def test_close_sends_what_waits(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        transport.write(b"a" * 4 * MIB)
        transport.write(b"b" * MIB)
        transport.close()
        assert transport.is_closing()
        transport.write(b"too late")
        assert await peer.read(6 * MIB) == b"a" * 4 * MIB + b"b" * MIB
        await peer.unwrap()
        assert await protocol.lost is None
        peer.sock.close()

    runner.run(main())


@pytest.mark.parametrize("end", ["is_closing", "close", "abort", "fails"])
def test_what_data_received_writes_goes_out(runner: asyncio.Runner, contexts: Contexts, end: str) -> None:
    class Answers(TlsRecorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.write(b"head ")
            self.transport.write(b"body ")
            assert self.transport.get_write_buffer_size() == 0
            self.transport.write(b"tail")
            getattr(self.transport, data.decode())()

    async def main() -> None:
        transport, protocol, peer = await secured(contexts, Answers())
        with reports() as told:
            await peer.send(end.encode())
            assert await peer.read(14) == b"head body tail"
            if end == "is_closing":
                transport.abort()
            elif end == "close":
                await peer.unwrap()
            lost = await protocol.lost
        assert isinstance(lost, AttributeError) if end == "fails" else lost is None
        wanted = ["Fatal error on SSL protocol"] if end == "fails" else []
        assert [context["message"] for context in told] == wanted
        peer.sock.close()

    runner.run(main())


def test_a_connection_is_upgraded_to_tls(runner: asyncio.Runner, contexts: Contexts) -> None:
    class Upgrades(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data == b"STARTTLS":
                self.transport.write(b"go")
                self.upgrade = asyncio.get_running_loop().create_task(self.start())
            else:
                self.transport.write(data)

        async def start(self) -> None:
            loop = asyncio.get_running_loop()
            self.transport = await loop.start_tls(self.transport, self, contexts[0], server_side=True)
            self.transport.write(b"ready")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Upgrades, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            transport, protocol = await loop.create_connection(Recorder, "127.0.0.1", port)
            transport.write(b"STARTTLS")
            assert await protocol.received(2) == b"go"
            secure = await loop.start_tls(transport, protocol, contexts[1], server_hostname="localhost")
            assert secure is not None and secure.get_extra_info("ssl_object") is not None
            assert await protocol.received(7) == b"goready"
            secure.write(b"in secret")
            assert await protocol.received(16) == b"goreadyin secret"
            secure.close()
            assert await protocol.lost is None

    runner.run(main())


async def _twice(contexts: Contexts, protocols: tuple[Any, Any]) -> Any:
    """TLS inside of TLS, from both sides; the transports inside."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    outer = await asyncio.gather(
        loop.connect_accepted_socket(lambda: protocols[0], here, ssl=contexts[0]),
        loop.create_connection(
            lambda: protocols[1], sock=there, ssl=contexts[1], server_hostname="localhost"
        ),
    )
    return await asyncio.gather(
        loop.start_tls(outer[0][0], protocols[0], contexts[0], server_side=True),
        loop.start_tls(outer[1][0], protocols[1], contexts[1], server_hostname="localhost"),
    )


def test_tls_inside_of_tls(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        protocols = TlsRecorder(), TlsRecorder()
        transports = await _twice(contexts, protocols)
        wanted = bytes(range(256)) * 8000
        transports[0].write(wanted)
        transports[1].write(b"back")
        assert await protocols[1].received(len(wanted)) == wanted
        assert await protocols[0].received(4) == b"back"
        transports[0].write(wanted)
        transports[0].close()
        assert await protocols[1].received(2 * len(wanted)) == wanted * 2
        assert [await protocol.lost for protocol in protocols] == [None, None]

    runner.run(main())


class Foreign(asyncio.Transport):
    """A transport that a program has made itself, around one of the loop's."""

    _start_tls_compatible = True

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner

    def __getattribute__(self, name: str) -> Any:
        if name in ("_inner", "_start_tls_compatible", "__class__"):
            return super().__getattribute__(name)
        return getattr(super().__getattribute__("_inner"), name)


def test_a_transport_of_somebody_elses_is_upgraded(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        peer, protocol = Peer(there, contexts[0], server_side=True), TlsRecorder()
        inner, _ = await loop.create_connection(lambda: protocol, sock=here)
        secure, _ = await asyncio.gather(
            loop.start_tls(Foreign(inner), protocol, contexts[1], server_hostname="localhost"),
            peer.handshake(),
        )
        assert secure is not None
        secure.write(b"there")
        assert await peer.read(5) == b"there"
        await peer.send(b"back")
        assert await protocol.received(4) == b"back"
        await ends(secure, protocol, peer)

    runner.run(main())


def test_start_tls_refuses(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, peer = await secured(contexts)
        with pytest.raises(
            TypeError, match=r"sslcontext is expected to be an instance of ssl.SSLContext, got 1"
        ):
            await loop.start_tls(transport, protocol, 1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"transport .* is not supported by start_tls\(\)"):
            await loop.start_tls(asyncio.Transport(), protocol, contexts[1])
        wrong: Any
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            wrong = {name: -1}
            with pytest.raises(ValueError, match=f"{name} should be a positive number, got -1"):
                await loop.start_tls(transport, protocol, contexts[1], **wrong)
        await peer.send(b"as before")
        assert await protocol.received(9) == b"as before"
        await ends(transport, protocol, peer)

    runner.run(main())


def test_an_ssl_object_of_the_programs_own(runner: asyncio.Runner, tmp_path: Path) -> None:
    calls = []

    class Counted(ssl.SSLObject):
        def read(self, len: int = 1024, buffer: Any = None) -> Any:
            calls.append("read")
            return super().read(len, buffer)

        def write(self, data: Any) -> int:
            calls.append("write")
            return super().write(data)

    async def main() -> None:
        own = make_contexts(tmp_path)
        own[1].sslobject_class = Counted
        transport, protocol, peer = await secured(own, Echo())
        assert type(transport.get_extra_info("ssl_object")) is Counted
        await peer.send(b"x" * 40_000)
        assert await peer.read(40_000) == b"x" * 40_000
        assert {"read", "write"} <= set(calls)
        await ends(transport, protocol, peer)

    runner.run(main())


def test_the_server_chooses_a_certificate_by_name(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        asked = []

        def choose(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            asked.append(name)
            tls.context = contexts[0]

        first = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        first.sni_callback = choose
        async with await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=first) as server:
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=contexts[1], server_hostname="localhost"
            )
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            await writer.wait_closed()
        assert asked == ["localhost"]

    runner.run(main())


def test_new_keys_in_the_middle(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        async with await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=contexts[0]) as server:
            port = server.sockets[0].getsockname()[1]
            client = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert client.stdin is not None and client.stdout is not None
            # K: new keys for both sides, so that the server has something to send that nobody has written.
            for line in (b"before\n", b"K\n", b"after\n"):
                client.stdin.write(line)
                await client.stdin.drain()
                answer = b""
                while (line if line != b"K\n" else b"KEYUPDATE") not in answer:
                    answer += await client.stdout.readline()
                    assert answer.endswith(b"\n"), answer
            client.stdin.close()
            await client.stdout.read()
            await client.wait()

    runner.run(main())
