"""Looking up names: hosts in digits are answered at once, without a thread; the rest is asyncio's, in the executor."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from _asioloop import literal_addresses

_NUMERIC_NAME = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

_system_getaddrinfo = socket.getaddrinfo


def _answered_here(host: Any, port: Any, flags: Any) -> bool:
    """Whether the C library needs to ask nobody, although it must look at the machine's interfaces.

    That is: no host at all, or a literal with a scope, as fe80::1%eth0.
    """
    numeric_port = (
        port is None or type(port) is int or (type(port) is str and port.isascii() and port.isdigit())
    )
    no_lookup = host is None or (type(host) is str and "%" in host and ":" in host)
    return numeric_port and no_lookup and isinstance(flags, int) and socket.getaddrinfo is _system_getaddrinfo


class NameMethods(asyncio.BaseEventLoop):
    """What Loop has of it."""

    _debug: bool

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """Look up a host and a port, as socket.getaddrinfo() does (asyncio.loop.getaddrinfo)."""
        if not self._debug:  # which logs how long it took
            found = literal_addresses(host, port, family, type, proto, flags)
            if found is not None:
                return found
            if _answered_here(host, port, flags):
                try:
                    return socket.getaddrinfo(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
                except OSError:
                    pass  # told by the one who really looks
        return await super().getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Any:
        """Look up the names of an address, as socket.getnameinfo() does (asyncio.loop.getnameinfo)."""
        if isinstance(flags, int) and flags & _NUMERIC_NAME == _NUMERIC_NAME:
            return socket.getnameinfo(sockaddr, flags)
        return await super().getnameinfo(sockaddr, flags)
