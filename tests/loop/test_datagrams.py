"""Datagrams: what arrives, what is sent, and to whom."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from datagram_peers import Recorder, closed, endpoint, on_loopback, pair, udp_socket
from stream_peers import turns


def test_datagrams_arrive_one_by_one_with_their_sender(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        with peer:
            for data in (b"one", b"", b"three"):
                peer.sendto(data, address)
            assert await protocol.received(3) == [b"one", b"", b"three"]
            assert {sender for _, sender in protocol.got} == {peer.getsockname()}
        assert await closed(transport, protocol) is None
        assert protocol.events == ["made", "lost"]

    runner.run(main())


def test_answers_of_a_burst_come_in_order(runner: asyncio.Runner) -> None:
    """More than one system call takes, of sizes that can and cannot be sent as one."""

    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        protocol.on_datagram = lambda data, sender: transport.sendto(data * 2, sender)
        sent = [bytes([i]) * (100 if i % 40 < 30 else i) for i in range(1, 101)]
        with peer:
            for data in sent:
                peer.sendto(data, address)
            assert await protocol.received(100) == sent
            await turns(2)
            assert [peer.recv(1000) for _ in sent] == [data * 2 for data in sent]
        await closed(transport, protocol)

    runner.run(main())


def test_answers_of_a_burst_go_to_whom_they_are_for(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        protocol.on_datagram = lambda data, sender: transport.sendto(data + b"!", sender)
        peers = [peer, *(udp_socket() for _ in range(29))]
        for number, one in enumerate(peers):
            one.sendto(b"%d" % number, address)
        await protocol.received(30)
        await turns(2)
        assert [one.recv(100) for one in peers] == [b"%d!" % number for number in range(30)]
        for one in peers:
            one.close()
        await closed(transport, protocol)

    runner.run(main())


def test_answers_that_the_kernel_cannot_cut(runner: asyncio.Runner) -> None:
    no_check = 11  # SO_NO_CHECK: without checksums it refuses to

    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        protocol.on_datagram = transport.sendto
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, no_check, 1)
        with peer:
            for number in range(10, 30):
                peer.sendto(b"%d" % number, address)
            await protocol.received(20)
            await turns(2)
            assert [peer.recv(10) for _ in range(20)] == [b"%d" % number for number in range(10, 30)]
        assert not protocol.errors
        await closed(transport, protocol)

    runner.run(main())


def test_a_program_that_has_the_kernel_cut_is_not_disturbed(runner: asyncio.Runner) -> None:
    segment, both = 103, b"first.second"  # UDP_SEGMENT, which module socket does not know everywhere

    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        protocol.on_datagram = lambda data, sender: transport.sendto(both, sender)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_UDP, segment, 6)
        with peer:
            for _ in range(3):
                peer.sendto(b"", address)
            await protocol.received(3)
            await turns(2)
            assert [peer.recv(100) for _ in range(6)] == [b"first.", b"second"] * 3
        await closed(transport, protocol)

    runner.run(main())


def test_the_largest_datagram_passes(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        data = bytes(range(256)) * 256
        with peer:
            peer.sendto(data[:65507], address)
            assert await protocol.received(1) == [data[:65507]]
            transport.sendto(data[:65507], peer.getsockname())
            assert peer.recv(1 << 17) == data[:65507]
        await closed(transport, protocol)

    runner.run(main())


def test_one_that_is_too_large_is_an_error_of_its_own(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, _, peer = await on_loopback()
        with peer:
            transport.sendto(bytes(70000), peer.getsockname())
            assert [error.errno for error in protocol.errors] == [errno.EMSGSIZE]  # type: ignore[attr-defined]
            transport.sendto(b"small", peer.getsockname())
            assert peer.recv(100) == b"small"
        assert await closed(transport, protocol) is None

    runner.run(main())


def test_one_too_large_among_the_answers_of_a_burst_stops_no_other(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        protocol.on_datagram = lambda data, sender: transport.sendto(
            bytes(70000) if data == b"3" else data, sender
        )
        with peer:
            for number in range(6):
                peer.sendto(b"%d" % number, address)
            await protocol.received(6)
            await turns(2)
            assert [peer.recv(100) for _ in range(5)] == [b"0", b"1", b"2", b"4", b"5"]
        assert [error.errno for error in protocol.errors] == [errno.EMSGSIZE]  # type: ignore[attr-defined]
        await closed(transport, protocol)

    runner.run(main())


def test_an_empty_datagram_is_sent(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, _, peer = await on_loopback()
        asyncios_own = isinstance(runner.get_loop(), asyncio.SelectorEventLoop) and not type(
            runner.get_loop()
        ).__module__.startswith("asioloop")
        with peer:
            transport.sendto(b"", peer.getsockname())
            transport.sendto(b"end", peer.getsockname())
            # Until 3.13, or so, asyncio sent none.
            dropped = asyncios_own and sys.version_info < (3, 13)
            assert peer.recv(100) == (b"end" if dropped else b"")
        await closed(transport, protocol)

    runner.run(main())


@pytest.mark.parametrize("kind", [bytearray, memoryview, bytes])
def test_any_bytes_are_sent(runner: asyncio.Runner, kind: Any) -> None:
    async def main() -> None:
        transport, protocol, _, peer = await on_loopback()
        with peer:
            transport.sendto(data=kind(b"data"), addr=peer.getsockname())
            assert peer.recv(100) == b"data"
            with pytest.raises(TypeError, match="data argument must be a bytes-like object, not 'str'"):
                transport.sendto("text", peer.getsockname())
        assert await closed(transport, protocol) is None

    runner.run(main())


def test_ipv6(runner: asyncio.Runner) -> None:
    async def main() -> None:
        first, one = await endpoint(local_addr=("::1", 0))
        second, other = await endpoint(local_addr=("::1", 0))
        address = second.get_extra_info("sockname")
        for given in (address, address[:2], (*address[:3], 0), ["::1", address[1]]):
            if type(given) is tuple:
                first.sendto(b"hi", given)
        await other.received(3)
        assert {sender for _, sender in other.got} == {first.get_extra_info("sockname")}
        second.sendto(b"back", other.got[0][1])
        await one.received(1)
        await closed(first, one)
        await closed(second, other)

    runner.run(main())


def test_a_connected_transport_talks_to_its_peer_alone(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with udp_socket() as peer, udp_socket() as stranger:
            transport, protocol = await endpoint(remote_addr=peer.getsockname())
            assert transport.get_extra_info("peername") == peer.getsockname()
            transport.sendto(b"1")
            transport.sendto(b"2", None)
            transport.sendto(b"3", peer.getsockname())
            assert [peer.recv(10) for _ in range(3)] == [b"1", b"2", b"3"]
            with pytest.raises(ValueError, match="Invalid address: must be None or "):
                transport.sendto(b"4", stranger.getsockname())
            stranger.sendto(b"no", transport.get_extra_info("sockname"))
            peer.sendto(b"yes", transport.get_extra_info("sockname"))
            assert await protocol.received(1) == [b"yes"]
            await closed(transport, protocol)

    runner.run(main())


def test_nobody_there_is_told_to_a_connected_transport(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with udp_socket() as peer:
            address = peer.getsockname()
            transport, protocol = await endpoint(remote_addr=address)
        transport.sendto(b"is anybody there?")
        assert isinstance(await protocol.failed(), ConnectionRefusedError)
        assert not transport.is_closing()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(address)
            peer.settimeout(20)
            transport.sendto(b"now")
            assert peer.recv(100) == b"now"
            peer.sendto(b"yes", transport.get_extra_info("sockname"))
            assert await protocol.received(1) == [b"yes"]
        assert await closed(transport, protocol) is None

    runner.run(main())


def test_with_broadcast_allowed_the_socket_is_not_connected(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with udp_socket() as peer:
            transport, protocol = await endpoint(remote_addr=peer.getsockname(), allow_broadcast=True)
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
            assert transport.get_extra_info("peername") is None
            transport.sendto(b"to all")
            assert peer.recv(100) == b"to all"
            with pytest.raises(ValueError, match="Invalid address"):
                transport.sendto(b"x", ("127.0.0.1", 1))
            await closed(transport, protocol)

    runner.run(main())


def test_multicast(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol = await endpoint(local_addr=("0.0.0.0", 0), family=socket.AF_INET)
        sock = transport.get_extra_info("socket")
        group, here = socket.inet_aton("239.255.71.3"), socket.inet_aton("127.0.0.1")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + here)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
        transport.sendto(b"to the group", ("239.255.71.3", sock.getsockname()[1]))
        assert await protocol.received(1) == [b"to the group"]
        await closed(transport, protocol)

    runner.run(main())


def test_reuse_port(runner: asyncio.Runner) -> None:
    async def main() -> None:
        first, one = await endpoint(local_addr=("127.0.0.1", 0), reuse_port=True)
        second, other = await endpoint(local_addr=first.get_extra_info("sockname"), reuse_port=True)
        assert first.get_extra_info("sockname") == second.get_extra_info("sockname")
        await closed(first, one)
        await closed(second, other)

    runner.run(main())


def test_a_name_is_looked_up(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, _, peer = await on_loopback()
        with peer:
            transport.sendto(b"by name", ("localhost", peer.getsockname()[1]))
            assert peer.recv(100) == b"by name"
        await closed(transport, protocol)

    runner.run(main())


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (None, TypeError),
        ("127.0.0.1", TypeError),
        (("127.0.0.1",), TypeError),
        (("127.0.0.1", "80"), TypeError),
        (("127.0.0.1", 65536), OverflowError),
        (("127.0.0.1", -1), OverflowError),
        (("127.0.0.1", 1, 0, 0), TypeError),
        ((None, 1), TypeError),
    ],
)
def test_what_is_no_address_ends_the_transport(
    runner: asyncio.Runner, address: Any, error: type[Exception]
) -> None:
    async def main() -> None:
        told: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        transport, protocol, _, peer = await on_loopback()
        peer.close()
        transport.sendto(b"data", address)
        assert transport.is_closing()
        assert isinstance(await protocol.lost, error)
        loop.set_exception_handler(before)
        assert [one["message"] for one in told] == ["Fatal write error on datagram transport"]
        assert told[0]["transport"] is transport
        assert told[0]["protocol"] is protocol
        assert type(told[0]["exception"]) is error

    runner.run(main())


# --- Unix sockets ------------------------------------------------------------------------------------------------


def test_unix_datagrams_with_paths(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        here, there = str(tmp_path / "here"), str(tmp_path / "thére")
        first, one = await endpoint(local_addr=here, family=socket.AF_UNIX)
        second, other = await endpoint(local_addr=there, family=socket.AF_UNIX)
        first.sendto(b"by path", there)
        await other.received(1)
        assert other.got == [(b"by path", here)]
        second.sendto(bytes(100_000), here)
        await one.received(1)
        assert one.got == [(bytes(100_000), there)]
        first.sendto(b"nobody", str(tmp_path / "nowhere"))
        assert isinstance(await one.failed(), FileNotFoundError)
        await closed(first, one)
        await closed(second, other)

    runner.run(main())


def test_unix_datagrams_without_paths(runner: asyncio.Runner) -> None:
    async def main() -> None:
        sockets = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        for sock in sockets:
            sock.bind("")  # the kernel finds a name, which begins with NUL
        first, one = await endpoint(sock=sockets[0])
        second, other = await endpoint(sock=sockets[1])
        first.sendto(b"abstract", sockets[1].getsockname())
        await other.received(1)
        assert other.got == [(b"abstract", sockets[0].getsockname())]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            nameless.sendto(b"from nobody", sockets[0].getsockname())
        await one.received(1)
        assert one.got == [(b"from nobody", None)]
        await closed(first, one)
        await closed(second, other)

    runner.run(main())


# --- around it ---------------------------------------------------------------------------------------------------


def test_a_socket_of_a_class_of_its_own_is_asked_itself(runner: asyncio.Runner) -> None:
    class Shouting(socket.socket):
        def recvfrom(self, *args: Any) -> tuple[bytes, Any]:
            data, sender = super().recvfrom(*args)
            return data.upper(), sender

        def sendto(self, data: Any, *args: Any) -> int:
            return super().sendto(bytes(data) + b"!", *args)

    async def main() -> None:
        sock = Shouting(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        transport, protocol = await endpoint(sock=sock)
        protocol.on_datagram = transport.sendto
        with udp_socket() as peer:
            for data in (b"one", b"two"):
                peer.sendto(data, sock.getsockname())
            await protocol.received(2)
            assert [peer.recv(100) for _ in range(2)] == [b"ONE!", b"TWO!"]
        await closed(transport, protocol)

    runner.run(main())


def test_it_runs_in_the_context_it_was_made_in(runner: asyncio.Runner) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def main() -> None:
        seen: list[str] = []
        variable.set("at the endpoint")
        transport, protocol, address, peer = await on_loopback()
        protocol.on_datagram = lambda data, sender: seen.append(variable.get())
        variable.set("later")
        with peer:
            for _ in range(3):
                peer.sendto(b"", address)
            await protocol.received(3)
        assert seen == ["at the endpoint"] * 3
        await closed(transport, protocol)

    runner.run(main())


@pytest.mark.asyncio_since((3, 11, 7))
def test_it_is_a_datagram_transport(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        peer.close()
        transport.mark = 1
        if sys.version_info >= (3, 13):
            assert isinstance(transport, asyncio.DatagramTransport)
        assert isinstance(transport, asyncio.Transport)
        with pytest.raises(NotImplementedError):
            transport.write(b"data")
        assert transport.get_protocol() is protocol
        assert transport.get_extra_info("sockname") == address
        assert transport.get_extra_info("peername", "x") is None
        assert transport.get_extra_info("nothing", "x") == "x"
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        assert transport.is_reading()
        assert not transport.is_closing()
        fd = transport.get_extra_info("socket").fileno()
        assert repr(transport).endswith(f"fd={fd} read=polling write=<idle, bufsize=0>>")
        transport.close()
        assert "closing" in repr(transport)
        await protocol.lost
        assert repr(transport).endswith(f"closed fd={fd}>")

    runner.run(main())


@pytest.mark.asyncio_since((3, 11, 7))
def test_in_debug_mode_too(runner: asyncio.Runner) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        asyncio.get_running_loop().slow_callback_duration = 3600
        transport, protocol, address, peer = await on_loopback()
        protocol.on_datagram = transport.sendto
        with peer:
            peer.sendto(b"debug", address)
            await protocol.received(1)
            assert peer.recv(100) == b"debug"
        transport.pause_reading()
        transport.resume_reading()
        await closed(transport, protocol)

    runner.run(main())


def test_an_endpoint_over_socketpair(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, there = await pair()
        with there:
            there.send(b"hello")
            there.send(b"")
            assert await protocol.received(2) == [b"hello", b""]
            assert {sender for _, sender in protocol.got} == {None}
        await closed(transport, protocol)

    runner.run(main())


def test_the_protocol_can_be_another_one_between_two_datagrams(runner: asyncio.Runner) -> None:
    async def main() -> None:
        transport, protocol, address, peer = await on_loopback()
        second = Recorder()
        protocol.on_datagram = lambda data, sender: transport.set_protocol(protocol=second)
        with peer:
            peer.sendto(b"1", address)
            peer.sendto(b"2", address)
            assert await second.received(1) == [b"2"]
        assert await protocol.received(1) == [b"1"]
        await closed(transport, second)

    runner.run(main())
