"""Twisted on an asyncio loop: its reactor stands on add_reader, add_writer and call_later."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from loops import FACTORIES
from twisted.internet import asyncioreactor

loop = FACTORIES[sys.argv[1]]()
asyncio.set_event_loop(loop)
asyncioreactor.install(loop)

from twisted.internet import defer, endpoints, protocol, task, threads  # noqa: E402
from twisted.internet import reactor as _reactor  # noqa: E402

reactor: Any = _reactor
BIG = bytes(range(256)) * 8000


class Echo(protocol.Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Client(protocol.Protocol):
    def __init__(self) -> None:
        self.got = bytearray()
        self.whole: defer.Deferred[bytes] = defer.Deferred()

    def connectionMade(self) -> None:
        self.transport.write(BIG)

    def dataReceived(self, data: bytes) -> None:
        self.got += data
        if len(self.got) == len(BIG):
            self.whole.callback(bytes(self.got))
            self.transport.loseConnection()


async def main() -> None:
    factory = protocol.Factory.forProtocol(Echo)
    port = await endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    there = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    clients = [Client() for _ in range(10)]
    for client in clients:
        await endpoints.connectProtocol(there, client)
    assert await defer.gatherResults([client.whole for client in clients]) == [BIG] * 10
    assert await threads.deferToThread(pow, 2, 10) == 1024
    assert await task.deferLater(reactor, 0.001, int, "7") == 7
    assert await defer.Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(0.001, "slept"))) == "slept"
    await port.stopListening()
    print(type(loop).__module__.partition(".")[0])


task.react(lambda _reactor: defer.ensureDeferred(main()))
