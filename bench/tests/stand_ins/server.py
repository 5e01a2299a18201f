"""A server for the tests of the bench: any path is hello, and it counts as the real ones do.

server.py [--wrong | --dies-after N | --dies-of PATH] [flags of the real servers, which it takes no notice of]
"""

import asyncio
import os
import sys

_BODY = b'{"hello":"world"}'


class Connection(asyncio.Protocol):
    """One connection; requests are counted by the ends of their heads, bodies come along with them."""

    requests = 0
    last = int(sys.argv[sys.argv.index("--dies-after") + 1]) if "--dies-after" in sys.argv else 10**9
    deadly = sys.argv[sys.argv.index("--dies-of") + 1].encode() + b" " if "--dies-of" in sys.argv else b"\0"
    status = b"500 Oh" if "--wrong" in sys.argv else b"200 OK"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answers = []
        for head in data.split(b"\r\n\r\n"):
            if b" HTTP/1.1" not in head:
                continue
            body = _BODY
            if b"GET /bench-metrics " in head:
                body = b"# TYPE x counter\nasioserve_gil_acquisitions_total %d\n" % (2 * Connection.requests)
            else:
                Connection.requests += 1
            answers.append(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (self.status, len(body), body))
        if Connection.requests > self.last or self.deadly in data:
            os._exit(7)
        self._transport.write(b"".join(answers))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"info: listening on http://127.0.0.1:{port}", file=sys.stderr, flush=True)
    await server.serve_forever()


asyncio.run(main())
