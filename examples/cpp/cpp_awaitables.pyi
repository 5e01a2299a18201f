"""What awaitables.cpp gives to Python."""

from asyncio import Future
from collections.abc import Awaitable
from typing import Any

def sleep(seconds: float) -> Future[str]:
    """Wait on an Asio timer; gives "waited"."""

def overlap(a: Awaitable[Any], b: Awaitable[Any], c: Awaitable[Any]) -> Future[tuple[Any, Any, Any]]:
    """Await three at once; the first that fails cancels the others."""

class Datagrams:
    """A UDP socket on 127.0.0.1."""

    @property
    def port(self) -> int:
        """Where it is bound."""

    def receive(self) -> Future[tuple[str, int]]:
        """Wait for the next datagram; gives its text and its sender's port."""

    def close(self) -> None:
        """Close the socket: who waits is cancelled."""

class Channel:
    """A queue of Python objects in C++."""

    def __init__(self, capacity: int) -> None: ...
    def send(self, object: object) -> Future[None]:
        """Wait until there is room, or a receiver."""

    def receive(self) -> Future[Any]:
        """Wait for the next object; EOFError once it is closed."""

    def close(self) -> None:
        """Close the channel."""
