"""What the tests of TLS talk to: certificates, and a peer of which each byte on the wire is in the test's hands."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from stream_peers import Recorder

_T = TypeVar("_T")


def make_contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's, for localhost."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    line += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*line, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=60
    )
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=certificate)
    server.load_cert_chain(certificate, key)
    return server, client


class Peer:
    """The other end of a connection: an SSLObject, and a socket that nothing reads or writes by itself.

    `cut`: the most bytes that go out at once.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool, cut: int = 1 << 20
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side, None if server_side else "localhost"
        )
        self.cut = cut

    async def flush(self) -> None:
        """Sends what is encrypted."""
        while data := self.outgoing.read(self.cut):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)
            await asyncio.sleep(0)

    async def fetch(self) -> bool:
        """Takes what has come, or waits for it. False: the end."""
        data = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)
        self.incoming.write(data)
        return bool(data)

    async def do(self, step: Callable[[], _T]) -> _T:
        """Takes a step of the SSLObject's, with what goes to and fro for it."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self.flush()
                if not await self.fetch():
                    raise EOFError from None
            else:
                await self.flush()
                return result

    async def handshake(self) -> None:
        """Begins."""
        await self.do(self.tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Sends all of it."""
        while data:
            sent = self.tls.write(data)
            data = data[sent:]
            await self.flush()

    async def read(self, size: int) -> bytes:
        """So many bytes, or what comes before the end."""
        data = b""
        while len(data) < size:
            try:
                piece = await self.do(partial(self.tls.read, size - len(data)))
            except EOFError:
                break
            if not piece:
                break
            data += piece
        return data

    async def unwrap(self) -> None:
        """Closes in good order: says so, and waits for the answer."""
        await self.do(self.tls.unwrap)


class TlsRecorder(Recorder):
    """A Recorder that has its transport."""

    transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport = transport


async def secured(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    protocol: Any = None,
    *,
    cut: int = 1 << 20,
    **options: Any,
) -> tuple[Any, Any, Peer]:
    """A client's transport with its protocol, and its peer, once they have shaken hands."""
    here, there = socket.socketpair()
    peer = Peer(there, contexts[0], server_side=True, cut=cut)
    chosen = protocol or TlsRecorder()
    (transport, _), _ = await asyncio.gather(
        asyncio.get_running_loop().create_connection(
            lambda: chosen, sock=here, ssl=contexts[1], server_hostname="localhost", **options
        ),
        peer.handshake(),
    )
    return transport, chosen, peer
