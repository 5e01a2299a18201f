"""TLS connections that go wrong: handshakes that fail or hang, garbage at every stage, closes that nobody answers, leaks."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import random
import re
import socket
import ssl
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from stream_peers import reports, turns
from tls_peers import Peer, TlsRecorder, make_contexts, secured

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
SOON = 0.05
"""Seconds, for a time-out that is to pass."""


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    return make_contexts(tmp_path_factory.mktemp("tls"))


async def connecting(contexts: Contexts, sock: socket.socket, server_side: bool, **options: Any) -> Any:
    """Shakes hands on a socket, from either side."""
    loop = asyncio.get_running_loop()
    if server_side:
        return await loop.connect_accepted_socket(TlsRecorder, sock, ssl=contexts[0], **options)
    return await loop.create_connection(
        TlsRecorder, sock=sock, ssl=contexts[1], server_hostname="localhost", **options
    )


both_sides = pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])


# --- handshakes -----------------------------------------------------------------------------------------------


@both_sides
def test_a_handshake_that_nobody_answers(
    runner: asyncio.Runner, contexts: Contexts, server_side: bool
) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        with there:
            with pytest.raises(
                ConnectionAbortedError,
                match=f"SSL handshake is taking longer than {SOON} seconds: aborting the connection",
            ):
                await connecting(contexts, here, server_side, ssl_handshake_timeout=SOON)

    runner.run(main())


@both_sides
def test_the_peer_leaves_in_the_handshake(
    runner: asyncio.Runner, contexts: Contexts, server_side: bool
) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        waiting = asyncio.ensure_future(connecting(contexts, here, server_side))
        await turns()
        there.close()
        with pytest.raises(ConnectionResetError):
            await waiting

    runner.run(main())


@both_sides
def test_cancelled_in_the_handshake(runner: asyncio.Runner, contexts: Contexts, server_side: bool) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        with there:
            waiting = asyncio.ensure_future(connecting(contexts, here, server_side))
            await turns()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await turns()
            assert here.fileno() == -1

    runner.run(main())


def test_a_certificate_that_nobody_trusts(
    runner: asyncio.Runner, contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        here, there = socket.socketpair()
        peer = Peer(there, contexts[0], server_side=True)
        stranger = asyncio.ensure_future(peer.handshake())
        with caplog.at_level(logging.DEBUG, "asyncio"):
            with pytest.raises(ssl.SSLCertVerificationError):
                await loop.create_connection(
                    TlsRecorder, sock=here, ssl=ssl.create_default_context(), server_hostname="localhost"
                )
        assert "SSL handshake failed on verifying the certificate" in caplog.text
        assert "starts SSL handshake" in caplog.text
        with pytest.raises((ssl.SSLError, EOFError)):
            await stranger
        there.close()

    runner.run(main())


def test_a_refused_handshake_does_not_stop_the_server(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[TlsRecorder] = []

        def factory() -> TlsRecorder:
            made.append(TlsRecorder())
            return made[-1]

        async with await loop.create_server(factory, "127.0.0.1", 0, ssl=contexts[0]) as server:
            address = server.sockets[0].getsockname()
            with socket.create_connection(address) as plain:
                plain.setblocking(False)
                await loop.sock_sendall(plain, b"GET / HTTP/1.1\r\n\r\n")
                while await loop.sock_recv(plain, 1000):  # an alert
                    pass
            transport, protocol = await loop.create_connection(
                TlsRecorder, *address, ssl=contexts[1], server_hostname="localhost"
            )
            transport.close()
            assert await protocol.lost is None
            assert await made[1].lost is None
        assert made[0].events == []  # never made, never lost

    runner.run(main())


# --- garbage --------------------------------------------------------------------------------------------------


def _garbage(seed: int) -> bytes:
    """Noise, or a plausible header of a record before it."""
    rng = random.Random(seed)
    noise = rng.randbytes(rng.choice((1, 5, 6, 200, 60_000)))
    if seed % 3 == 0:
        return noise
    kind, minor, length = rng.randrange(18, 27), rng.randrange(5), rng.randrange(1 << 16)
    if seed % 3 == 1:
        length = len(noise)
    return bytes([kind, 3, minor]) + length.to_bytes(2, "big") + noise


@both_sides
@pytest.mark.parametrize("cut", [1, 1 << 20], ids=["trickled", "at_once"])
def test_garbage_instead_of_a_handshake(
    runner: asyncio.Runner, contexts: Contexts, server_side: bool, cut: int
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for seed in range(15):
            here, there = socket.socketpair()
            there.setblocking(False)
            waiting = asyncio.ensure_future(connecting(contexts, here, server_side))
            garbage = _garbage(seed)[: 300 if cut == 1 else None]
            try:
                for i in range(0, len(garbage), cut):
                    await loop.sock_sendall(there, garbage[i : i + cut])
                    await asyncio.sleep(0)
            except OSError:
                pass  # refused already
            there.close()
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await waiting

    runner.run(main())


@both_sides
def test_a_handshake_cut_off_and_garbled_at_each_place(
    runner: asyncio.Runner, contexts: Contexts, server_side: bool
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        rng = random.Random(7)
        for _ in range(25):
            here, there = socket.socketpair()
            peer = Peer(there, contexts[int(server_side)], server_side=not server_side)
            waiting = asyncio.ensure_future(connecting(contexts, here, server_side))
            budget, garbled = rng.randrange(2500), rng.random() < 0.5
            try:
                done = False
                while budget > 0 and not done:
                    try:
                        peer.tls.do_handshake()
                        done = True
                    except ssl.SSLWantReadError:
                        pass
                    data = bytearray(peer.outgoing.read()[:budget])
                    budget -= len(data)
                    if garbled and data and budget < 1000:
                        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                        budget = 0
                    await loop.sock_sendall(there, data)
                    if budget > 0 and not done and not await peer.fetch():
                        break
            except (ssl.SSLError, OSError):
                pass
            there.close()
            try:
                transport, protocol = await waiting
            except (ssl.SSLError, ConnectionError):
                continue
            await protocol.lost  # it was enough for a handshake
            assert transport.is_closing()

    runner.run(main())


@both_sides
@pytest.mark.parametrize("cut", [1, 1 << 20], ids=["trickled", "at_once"])
def test_garbage_after_good_data(
    runner: asyncio.Runner, contexts: Contexts, server_side: bool, cut: int
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for seed in range(12):
            here, there = socket.socketpair()
            peer = Peer(there, contexts[int(server_side)], server_side=not server_side)
            (transport, protocol), _ = await asyncio.gather(
                connecting(contexts, here, server_side), peer.handshake()
            )
            await peer.send(b"good")
            assert await protocol.received(4) == b"good"
            if seed % 2:
                transport.write(bytes(1 << 20))  # and something is on its way
            garbage = _garbage(seed)[: 300 if cut == 1 else None]
            try:
                for i in range(0, len(garbage), cut):
                    await loop.sock_sendall(there, garbage[i : i + cut])
                    await asyncio.sleep(0)
            except OSError:
                pass
            there.close()
            await protocol.lost
            assert bytes(protocol.data) == b"good"
            assert protocol.events.count("lost") == 1 and transport.is_closing()

    runner.run(main())


def test_a_record_that_was_tampered_with(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        peer.tls.write(b"x" * 1000)
        record = bytearray(peer.outgoing.read())
        record[-1] ^= 1
        await asyncio.get_running_loop().sock_sendall(peer.sock, record)
        lost = await protocol.lost
        assert isinstance(lost, ssl.SSLError) and re.search("BAD|RECORD_LAYER_FAILURE", str(lost))
        assert not protocol.data and transport.is_closing()
        peer.sock.close()

    runner.run(main())


# --- closing --------------------------------------------------------------------------------------------------


def test_a_close_that_nobody_answers(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts, ssl_shutdown_timeout=SOON)
        transport.close()
        lost = await protocol.lost
        assert isinstance(lost, TimeoutError) and str(lost) == "SSL shutdown timed out"
        peer.sock.close()

    runner.run(main())


def test_a_close_that_is_answered_by_ever_more_data(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        transport.close()
        got = len(protocol.data)
        with pytest.raises((OSError, ssl.SSLError)):
            while True:
                await peer.send(b"x" * 100_000)
        lost = await protocol.lost
        assert isinstance(lost, ssl.SSLError) and "APPLICATION_DATA_AFTER_CLOSE_NOTIFY" in str(lost)
        assert len(protocol.data) == got
        peer.sock.close()

    runner.run(main())


@pytest.mark.parametrize("keep_open", [False, True])
def test_the_peer_closes(
    runner: asyncio.Runner, contexts: Contexts, keep_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        protocol.keep_open = keep_open
        await peer.send(b"last")
        await peer.unwrap()
        assert await protocol.lost is None
        assert protocol.events == ["made", "data", "eof", "lost"]
        assert transport.is_closing()
        warning = "returning true from eof_received() has no effect when using ssl"
        assert (warning in caplog.text) is keep_open
        peer.sock.close()

    runner.run(main())


@pytest.mark.parametrize("paused", [False, True])
def test_the_peer_leaves_without_a_word(runner: asyncio.Runner, contexts: Contexts, paused: bool) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        if paused:
            transport.pause_reading()
        await peer.send(b"last")
        peer.sock.close()
        if paused:
            await turns(50)
            assert protocol.events == ["made"]
            transport.resume_reading()
        assert await protocol.lost is None
        assert protocol.events == ["made", "data", "eof", "lost"]

    runner.run(main())


def test_the_peer_resets(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            here = socket.create_connection(listener.getsockname())
            there, _ = listener.accept()
        peer = Peer(there, contexts[0], server_side=True)
        (_, protocol), _ = await asyncio.gather(
            loop.create_connection(TlsRecorder, sock=here, ssl=contexts[1], server_hostname="localhost"),
            peer.handshake(),
        )
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        there.close()
        assert isinstance(await protocol.lost, ConnectionResetError)

    runner.run(main())


def test_abort_in_the_middle_of_much(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        transport.write(bytes(8 << 20))
        transport.abort()
        transport.abort()
        assert await protocol.lost is None
        assert transport.get_write_buffer_size() == 0
        peer.sock.close()

    runner.run(main())


def test_much_is_written_to_who_has_left(
    runner: asyncio.Runner, contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        peer.sock.close()
        transport.write(bytes(8 << 20))
        assert isinstance(await protocol.lost, ConnectionError)
        assert not caplog.records  # one write is one write, however many records it is

    runner.run(main())


def test_abort_inside_data_received_with_much_to_send(
    runner: asyncio.Runner, contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    class Aborts(TlsRecorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.write(bytes(8 << 20))
            self.transport.write(bytes(8 << 20))
            self.transport.abort()

    async def main() -> None:
        _, protocol, peer = await secured(contexts, Aborts())
        await peer.send(b"x")
        assert await protocol.lost is None
        assert not caplog.records
        peer.sock.close()

    runner.run(main())


def test_writes_after_the_end_are_dropped_and_told_of(
    runner: asyncio.Runner, contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        transport.abort()
        for _ in range(5):
            transport.write(b"lost")
        assert "SSL connection is closed" not in caplog.text
        transport.write(b"lost")
        assert "SSL connection is closed" in caplog.text
        assert await protocol.lost is None
        peer.sock.close()

    runner.run(main())


def test_an_unclosed_transport_is_told_of(
    factory: Callable[[], asyncio.AbstractEventLoop], contexts: Contexts
) -> None:
    async def main() -> list[Any]:
        transport, _, peer = await secured(contexts)
        return [weakref.ref(transport), peer]

    loop = factory()
    reference, peer = loop.run_until_complete(main())
    loop.close()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gc.collect()
        assert reference() is None
    assert any("unclosed transport <asyncio._SSLProtocolTransport" in str(w.message) for w in told)
    peer.sock.close()


# --- what a protocol does wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_a_flow_callback_fails(runner: asyncio.Runner, contexts: Contexts, method: str) -> None:
    class Fails(TlsRecorder):
        def pause_writing(self) -> None:
            super().pause_writing()
            self._maybe_fail("pause_writing")

        def resume_writing(self) -> None:
            super().resume_writing()
            self._maybe_fail("resume_writing")

        def _maybe_fail(self, where: str) -> None:
            if where == method:
                raise ZeroDivisionError

    async def main() -> None:
        transport, protocol, peer = await secured(contexts, Fails())
        with reports() as told:
            transport.write(bytes(8 << 20))
            transport.write(bytes(1 << 20))
            assert await peer.read(9 << 20) == bytes(9 << 20)
        assert [context["message"] for context in told] == [f"protocol.{method}() failed"]
        assert told[0]["transport"] is transport
        transport.close()
        await peer.unwrap()
        assert await protocol.lost is None
        peer.sock.close()

    runner.run(main())


@pytest.mark.parametrize("buffer", [b"", b"read-only", None])
def test_a_buffer_that_is_none(runner: asyncio.Runner, contexts: Contexts, buffer: Any) -> None:
    class Wrong(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> Any:
            return buffer

        def connection_lost(self, exc: BaseException | None) -> None:
            self.lost.set_result(exc)

    async def main() -> None:
        here, there = socket.socketpair()
        peer, protocol = Peer(there, contexts[0], server_side=True), Wrong()
        with reports():
            waiting = asyncio.get_running_loop().create_connection(
                lambda: protocol, sock=here, ssl=contexts[1], server_hostname="localhost"
            )
            # asyncio asks for the buffer, and fails, before there is anything to put into it.
            _, refused = await asyncio.gather(waiting, peer.handshake(), return_exceptions=True)
            if refused is None:
                await peer.send(b"x")
            # It also takes an empty one for the peer's close_notify.
            assert isinstance(await protocol.lost, Exception) or buffer == b""
        there.close()

    runner.run(main())


def test_no_protocol_at_all(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        transport, protocol, peer = await secured(contexts)
        transport.set_protocol(None)
        with reports() as told:
            await peer.send(b"x")
            while not told:
                await asyncio.sleep(0)
        assert isinstance(told[0]["exception"], AttributeError)
        transport.set_protocol(protocol)
        await protocol.lost
        peer.sock.close()

    runner.run(main())


def test_ctrl_c_in_data_received_leaves_the_loop(
    factory: Callable[[], asyncio.AbstractEventLoop], contexts: Contexts
) -> None:
    class Interrupts(TlsRecorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            raise KeyboardInterrupt

    async def opens() -> tuple[Any, Any, Peer]:
        return await secured(contexts, Interrupts())

    async def sends(peer: Peer) -> None:
        await peer.send(b"x")
        await asyncio.Event().wait()

    loop = factory()
    transport, protocol, peer = loop.run_until_complete(opens())
    sending = loop.create_task(sends(peer))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(sending)
    assert protocol.events == ["made", "data"]
    sending.cancel()

    async def ends() -> None:
        transport.abort()
        assert await protocol.lost is None

    loop.run_until_complete(asyncio.gather(sending, ends(), return_exceptions=True))
    loop.close()
    peer.sock.close()


def test_the_protocol_writes_when_it_is_told_to_pause(runner: asyncio.Runner, contexts: Contexts) -> None:
    class Stubborn(TlsRecorder):
        written = b""

        def write(self, data: bytes) -> None:
            self.written += data
            self.transport.write(data)

        def pause_writing(self) -> None:
            super().pause_writing()
            self.write(b"more")

    async def main() -> None:
        transport, protocol, peer = await secured(contexts, Stubborn())
        protocol.write(b"x" * (8 << 20))
        protocol.write(b"y" * (1 << 20))
        protocol.write(b"end")
        assert await peer.read((9 << 20) + 7) == protocol.written
        transport.abort()
        await protocol.lost
        peer.sock.close()

    runner.run(main())


# --- leaks ----------------------------------------------------------------------------------------------------


_SANITIZED = hasattr(ctypes.CDLL(None), "__asan_init")


def _resident() -> int:
    """KiB of memory that this process has."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def test_hundreds_of_handshakes_leave_nothing(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left: weakref.WeakSet[Any] = weakref.WeakSet()

        def factory() -> TlsRecorder:
            protocol = TlsRecorder()
            left.add(protocol)
            return protocol

        async def one(address: tuple[str, int], how: int) -> None:
            if how == 3:  # never shakes hands
                socket.create_connection(address).close()
                return
            transport, protocol = await loop.create_connection(
                factory, *address, ssl=contexts[1], server_hostname="localhost"
            )
            left.add(transport)
            transport.write(b"x" * 20_000)
            if how == 1:
                transport.abort()
            else:
                transport.close()
            await protocol.lost

        async def many(address: tuple[str, int], n: int) -> None:
            for i in range(n):
                await one(address, i % 4)

        async with await loop.create_server(factory, "127.0.0.1", 0, ssl=contexts[0]) as server:
            address = server.sockets[0].getsockname()
            await many(address, 60)
            gc.collect()
            memory, descriptors = _resident(), len(os.listdir("/proc/self/fd"))
            await many(address, 200)
            await turns(100)
            gc.collect()
            assert len(left) == 0
            assert len(os.listdir("/proc/self/fd")) <= descriptors
            # A sanitizer keeps what is freed for a while, and looks for leaks itself.
            assert _resident() < memory + 4096 or _SANITIZED

    runner.run(main())
