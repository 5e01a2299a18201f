"""Whatever asyncio's own loop takes, asioloop's takes, by the same names and with the same defaults, in this Python."""

from __future__ import annotations

import asyncio
import inspect
import socket
import sys
from asyncio import base_events, events, unix_events
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asioloop
import pytest

CLASSES: tuple[type, ...] = (
    asyncio.AbstractEventLoop,
    base_events.BaseEventLoop,
    unix_events._UnixSelectorEventLoop,
)
#: The most derived one has the last word, as in a call.
METHODS: dict[str, Callable[..., object]] = {
    name: member
    for cls in CLASSES
    for name, member in inspect.getmembers(cls, callable)
    if not name.startswith("_")
}


def parameters(function: Callable[..., object]) -> list[tuple[str, object, object]]:
    """Name, kind and default of each but self."""
    given = list(inspect.signature(function).parameters.values())[1:]
    return [(p.name, p.kind, p.default) for p in given]


def test_there_are_as_many_methods_as_ever() -> None:
    assert len(METHODS) >= 50
    assert {"call_soon", "create_connection", "sock_sendfile", "subprocess_exec"} <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_the_loop_takes_what_asyncios_takes(name: str) -> None:
    ours = getattr(asioloop.Loop, name)
    assert parameters(ours) == parameters(METHODS[name])
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(METHODS[name])


@pytest.mark.parametrize(
    "name", [n for n, m in inspect.getmembers(asyncio.Transport, callable) if not n.startswith("_")]
)
def test_a_method_of_a_transport_takes_what_asyncios_takes(name: str) -> None:
    from asioloop._streams import StreamTransport

    model = getattr(asyncio.selector_events._SelectorSocketTransport, name)  # type: ignore[attr-defined]
    assert parameters(getattr(StreamTransport, name)) == parameters(model)


@pytest.mark.parametrize("name", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_what_is_native_takes_its_arguments_by_name(
    name: str, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """As asyncio's methods in Python do."""
    loop = factory()
    called: list[str] = []
    time: dict[str, Any] = {"call_later": {"delay": 0}, "call_at": {"when": 0}}.get(name, {})
    method = getattr(loop, name)
    method(callback=lambda: called.append("by name"), **time)
    method(**time, callback=lambda: called.append("with a context"), context=None)
    if time:
        method(*time.values(), callback=lambda: called.append("one by position"))
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    # Timers of one moment have no order.
    assert sorted(called) == sorted(["by name", "with a context", *(["one by position"] if time else [])])
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'callback'$"):
        method(**time)
    with pytest.raises(TypeError, match=r"got an unexpected keyword argument 'nonsense'$"):
        method(*time.values(), print, nonsense=1)
    with pytest.raises(TypeError, match=rf"{name}\(\) missing {1 + len(time)} required positional argument"):
        method()
    loop.close()


async def instances(folder: Path) -> dict[str, tuple[object, type]]:
    """One of each kind of thing that the loop makes, and the class of asyncio's that it must be of."""
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    unix = await loop.create_unix_server(asyncio.Protocol, str(folder / "socket"))
    stream, protocol = await loop.create_connection(asyncio.Protocol, sock=left)
    datagram, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    process, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, "cat")
    made: dict[str, tuple[object, type]] = {
        "handle": (loop.call_soon(int), asyncio.Handle),
        "threadsafe handle": (loop.call_soon_threadsafe(int), asyncio.Handle),
        "timer": (loop.call_later(0, int), asyncio.TimerHandle),
        "timer at": (loop.call_at(0, int), asyncio.TimerHandle),
        "future": (loop.create_future(), asyncio.Future),
        "task": (asyncio.current_task(), asyncio.Task),
        "server": (server, asyncio.Server),
        "abstract server": (server, asyncio.AbstractServer),
        "unix server": (unix, asyncio.Server),
        "stream": (stream, asyncio.Transport),
        "protocol": (protocol, asyncio.Protocol),
        # Before 3.12 asyncio's own are not.
        "datagram": (
            datagram,
            asyncio.DatagramTransport if sys.version_info >= (3, 12) else asyncio.BaseTransport,
        ),
        "process": (process, asyncio.SubprocessTransport),
        "write pipe": (process.get_pipe_transport(0), asyncio.WriteTransport),
        "read pipe": (process.get_pipe_transport(1), asyncio.ReadTransport),
        "loop": (loop, asyncio.SelectorEventLoop),
        "abstract loop": (loop, events.AbstractEventLoop),
        "socket": (stream.get_extra_info("socket"), asyncio.trsock.TransportSocket),
    }
    process.kill()
    await process._wait()  # type: ignore[attr-defined]
    process.close()
    stream.close()
    datagram.close()
    server.close()
    unix.close()
    await asyncio.sleep(0)
    right.close()
    return made


def test_what_the_loop_makes_are_instances_of_asyncios_classes(
    runner: asyncio.Runner, tmp_path: Path
) -> None:
    made = runner.run(instances(tmp_path))
    assert [name for name, (thing, cls) in made.items() if not isinstance(thing, cls)] == []
