"""getaddrinfo() and getnameinfo(): the same answers as module socket's, from a thread only where somebody must be asked."""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import itertools
import socket
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from unittest import mock

import asioloop
import pytest
from _asioloop import literal_addresses

HOSTS = [
    "127.0.0.1", "1.2.3.4", "255.255.255.255", "0.0.0.0", "::", "::1", "0:0:0:0:0:0:0:1", "2001:DB8::0:1",
    "::ffff:1.2.3.4", "::1.2.3.4", "fe80::1", "fe80::1%lo", "fe80::1%1", "ff02::1%lo", "::1%1", None,
]  # fmt: skip
ODD = [
    "127.1",
    "0x7f.0.0.1",
    "01.2.3.4",
    "1.2.3.4 ",
    "1.2.3.256",
    "[::1]",
    ":::",
    "fe80::1%nosuch",
    "::1%",
    b"::1",
]
PORTS = [80, "80", 0, "0", None, 65535, "65535", b"80"]
FAMILIES = [socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6, 0, 2, 10, socket.AF_UNIX]
TYPES = [0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, 77]
PROTOS = [0, socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP]
FLAGS = [0, socket.AI_PASSIVE, socket.AI_NUMERICHOST, socket.AI_NUMERICSERV, socket.AI_NUMERICHOST | 4]


def asked(*question: Any) -> tuple[Any, list[Any]]:
    """What socket.getaddrinfo() says, down to the types."""
    try:
        answer = socket.getaddrinfo(*question)
    except Exception as error:
        return (type(error), str(error)), []
    return answer, [[type(part) for part in (*entry, *entry[4])] for entry in answer]


async def answered(*question: Any) -> tuple[Any, list[Any]]:
    """What the running loop says."""
    host, port, *hints = question
    named = dict(zip(("family", "type", "proto", "flags"), hints, strict=True))
    try:
        answer: Any = await asyncio.get_running_loop().getaddrinfo(host, port, **named)
    except Exception as error:
        return (type(error), str(error)), []
    return answer, [[type(part) for part in (*entry, *entry[4])] for entry in answer]


class NoThreads(Exception):
    """Somebody wanted one."""


@pytest.fixture
def without_threads(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> asyncio.Runner:
    """A loop whose executor is not to be used, but for asyncio's, which has no other way."""

    def refuse(*args: Any) -> None:
        raise NoThreads

    if isinstance(runner.get_loop(), asioloop.Loop):
        monkeypatch.setattr(runner.get_loop(), "run_in_executor", refuse)
    return runner


def test_literals_are_answered_as_by_socket(runner: asyncio.Runner) -> None:
    async def main() -> None:
        for question in itertools.product(HOSTS, [80, "443"], FAMILIES, TYPES, PROTOS, [0]):
            assert await answered(*question) == asked(*question), question

    runner.run(main())


def test_whatever_the_flags_and_the_port(runner: asyncio.Runner) -> None:
    async def main() -> None:
        kinds = [(0, 0), (socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)]
        for host, port, flags, kind in itertools.product(HOSTS, PORTS, FLAGS, kinds):
            question = (host, port, 0, *kind, flags)
            assert await answered(*question) == asked(*question), question

    runner.run(main())


@pytest.mark.parametrize("host", ODD)
def test_what_is_almost_a_literal(runner: asyncio.Runner, host: Any) -> None:
    async def main() -> None:
        for family in (0, socket.AF_INET, socket.AF_INET6):
            question = (host, 80, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
            assert await answered(*question) == asked(*question)

    runner.run(main())


@pytest.mark.parametrize("port", ["http", "nosuchservice", -1, 65536, 10**30, 1.5, True, "٣", " 80", "+80"])
def test_odd_ports(runner: asyncio.Runner, port: Any) -> None:
    async def main() -> None:
        question = ("127.0.0.1", port, 0, socket.SOCK_STREAM, 0, 0)
        assert await answered(*question) == asked(*question)

    runner.run(main())


@pytest.mark.parametrize(
    "bad", [(None, 0, 0, 0), (0, "1", 0, 0), (0, 0, 1.5, 0), (0, 0, 0, 10**30), (-1, 0, 0, 0)]
)
def test_bad_hints(runner: asyncio.Runner, bad: tuple[Any, ...]) -> None:
    async def main() -> None:
        for host in ("127.0.0.1", None, "fe80::1%lo"):
            assert await answered(host, 80, *bad) == asked(host, 80, *bad)

    runner.run(main())


@pytest.mark.parametrize("host", HOSTS)
def test_a_literal_needs_no_thread(without_threads: asyncio.Runner, host: str | None) -> None:
    async def main() -> None:
        assert await asyncio.get_running_loop().getaddrinfo(host, 80, type=socket.SOCK_STREAM)

    without_threads.run(main())


def test_a_name_is_looked_up_in_the_executor(runner: asyncio.Runner) -> None:
    async def main() -> None:
        seen: list[Any] = []
        loop = asyncio.get_running_loop()
        own = loop.run_in_executor

        def note(executor: Any, function: Callable[..., Any], *args: Any) -> Any:
            seen.append(args)
            return own(executor, function, *args)

        with mock.patch.object(loop, "run_in_executor", note):
            found = await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        assert found == socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        assert seen == [("localhost", 80, 0, socket.SOCK_STREAM, 0, 0)]

    runner.run(main())


def test_a_getaddrinfo_in_place_of_sockets_is_asked(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with mock.patch("socket.getaddrinfo", lambda *args, **named: [args[:2]]):
            for host in ("127.0.0.1", "::1", "fe80::1%lo", None, "somewhere"):
                found: Any = await asyncio.get_running_loop().getaddrinfo(host, 80)
                assert found == [(host, 80)]

    runner.run(main())


def test_it_is_a_coroutine(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert inspect.iscoroutinefunction(loop.getaddrinfo)
        task = asyncio.create_task(loop.getaddrinfo("127.0.0.1", 80))
        assert await task == socket.getaddrinfo("127.0.0.1", 80)

    runner.run(main())


def test_each_answer_is_the_callers_own(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = await loop.getaddrinfo("127.0.0.1", 80)
        first.clear()
        assert await loop.getaddrinfo("127.0.0.1", 80) == socket.getaddrinfo("127.0.0.1", 80)

    runner.run(main())


def test_debug_mode_writes_down_each_question(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        asyncio.get_running_loop().slow_callback_duration = 3600
        with caplog.at_level("DEBUG", "asyncio"):
            await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
        assert "Get address info 127.0.0.1:80" in caplog.text

    runner.run(main())


NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


@pytest.mark.parametrize(
    "address",
    [("127.0.0.1", 80), ("::1", 80), ("::1", 80, 0, 0), ("fe80::1", 80, 0, 1), ("x", 1), (1, 2), "::1"],
)
def test_names_of_an_address(without_threads: asyncio.Runner, address: Any) -> None:
    async def main() -> None:
        for flags in (NUMERIC, NUMERIC | socket.NI_DGRAM):
            expected: Any
            try:
                expected = socket.getnameinfo(address, flags)
            except Exception as error:
                expected = type(error), str(error)
            found: Any
            try:
                found = await asyncio.get_running_loop().getnameinfo(address, flags)
            except Exception as error:
                found = type(error), str(error)
            assert found == expected

    without_threads.run(main())


def test_a_service_is_looked_up(runner: asyncio.Runner) -> None:
    async def main() -> None:
        flags = socket.NI_NUMERICHOST
        expected = socket.getnameinfo(("127.0.0.1", 80), flags)
        assert await asyncio.get_running_loop().getnameinfo(("127.0.0.1", 80), flags) == expected

    runner.run(main())


# --- whatever comes ----------------------------------------------------------------------------------------------


def texts(count: int) -> Iterator[str]:
    """Addresses, addresses with mistakes, and soup: the same ones each time."""
    random = Random("names")
    for _ in range(count):
        kind: Any = random.choice((ipaddress.IPv4Address, ipaddress.IPv6Address))
        bits = 32 if kind is ipaddress.IPv4Address else 128
        address = kind(random.getrandbits(random.randrange(1, bits + 1)))
        text = list(random.choice((str(address), address.exploded.upper())))
        for _ in range(random.choice((0, 0, 1, 1, 3))):
            at = random.randrange(len(text) + 1)
            text[at : at + random.randrange(3)] = random.choices("0129afAFgx.:%[] \0é", k=random.randrange(3))
        yield "".join(text)


@pytest.mark.parametrize("family", [0, socket.AF_INET, socket.AF_INET6])
def test_no_text_is_taken_for_another_address(family: int) -> None:
    """What is answered on the spot is what the C library says of a numeric host; about the rest nothing is said."""
    taken = 0
    for host in (*texts(2000), "1.2.3.4\0", "::1\0::2", "\ud800", "", "1" * 10_000):
        answer = literal_addresses(host, 80, family, socket.SOCK_STREAM, 0, 0)
        if answer is None:
            continue
        taken += 1
        assert answer == socket.getaddrinfo(host, 80, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    assert taken > 300


def test_every_port_is_taken_that_is_one() -> None:
    port: Any
    for port in ("0", "00080", "65535", 65535, *map(str, range(1000))):
        expected = socket.getaddrinfo("::1", port, type=socket.SOCK_STREAM)
        assert literal_addresses("::1", port, 0, socket.SOCK_STREAM, 0, 0) == expected
    for port in (
        "",
        " 80",
        "80 ",
        "+80",
        "-1",
        "65536",
        "99999",
        "100000",
        "8\0",
        "٣",
        65536,
        -1,
        10**30,
        True,
        1.0,
    ):
        assert literal_addresses("::1", port, 0, socket.SOCK_STREAM, 0, 0) is None
