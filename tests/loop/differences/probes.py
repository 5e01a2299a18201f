"""The questions of the guide's table: each is a small program that any loop can be asked.

Where asyncio's own loop answers yes, a program that relies on it runs there; the table says where else it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # The decorators must fill the dictionary of the module that everybody else imports.
    import asking as _asking
    import probes as _probes

    assert _probes
    _asking.main(sys.argv[1:])
    os._exit(0)

from asking import Factory, probe


@contextlib.asynccontextmanager
async def _pair(server_protocol: Any = asyncio.Protocol) -> AsyncIterator[tuple[Any, Any]]:
    """A server, and a client's transport that is connected to it."""
    loop: Any = asyncio.get_running_loop()
    server = await loop.create_server(server_protocol, "127.0.0.1", 0)
    transport, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
    try:
        yield server, transport
    finally:
        transport.abort()
        server.close()


# --- scheduling --------------------------------------------------------------------------------------------------


@probe("`call_later(0, …)` returns a `TimerHandle`")
async def call_later_zero() -> bool:
    return isinstance(asyncio.get_running_loop().call_later(0, int), asyncio.TimerHandle)


@probe("handles are instances of `asyncio.Handle`")
async def handles() -> bool:
    loop = asyncio.get_running_loop()
    made = loop.call_soon(int), loop.call_soon_threadsafe(int), loop.call_later(9, int)
    return all(isinstance(handle, asyncio.Handle) for handle in made)


@probe("timers are finer than a millisecond")
async def fine_timers() -> str | bool:
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(60):
        begun = time.monotonic()
        woken = loop.create_future()
        loop.call_later(0.0003, woken.set_result, None)
        await woken
        took.append(time.monotonic() - begun)
    # The quickest of many: a busy machine makes timers late, and nothing makes them early.
    return "no: they may run early" if min(took) < 0.0003 else min(took) < 0.0009


@probe("`loop.time()` is finer than a millisecond")
async def fine_clock() -> bool:
    times = [asyncio.get_running_loop().time() * 1000 for _ in range(20)]
    return any(abs(t - round(t)) > 0.001 for t in times)


@probe("a replaced `loop.time()` (a test's clock) moves the timers")
def replaced_clock(new: Factory) -> bool:
    loop: Any = new()
    ran: list[int] = []
    usual, ahead = loop.time, 0
    loop.time = lambda: usual() + ahead
    loop.call_later(3600, ran.append, 1)
    ahead = 7200

    async def turns() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    loop.run_until_complete(turns())
    loop.close()
    return bool(ran)


@probe("attributes can be set on a loop")
async def loop_attributes() -> bool:
    loop: Any = asyncio.get_running_loop()
    loop.mine = 1
    return True


@probe("methods of a loop can be replaced, `create_future` say, and are called")
async def loop_methods() -> bool:
    loop: Any = asyncio.get_running_loop()
    called = []
    usual = loop.create_future

    def replaced() -> asyncio.Future[Any]:
        called.append(1)
        made: asyncio.Future[Any] = usual()
        return made

    loop.create_future = replaced
    await asyncio.sleep(0.001)
    return bool(called)


@probe("`create_task(…, eager_start=True)`", since=(3, 14))
async def eager_start() -> bool:
    loop: Any = asyncio.get_running_loop()
    begun = []

    async def task() -> None:
        begun.append(1)

    made = loop.create_task(task(), eager_start=True)
    eager = bool(begun)
    await made
    return eager


@probe("a custom exception handler runs in the context of what failed", since=(3, 12))
async def handlers_context() -> bool:
    loop = asyncio.get_running_loop()
    var: contextvars.ContextVar[bool] = contextvars.ContextVar("var", default=False)
    seen: list[bool] = []
    loop.set_exception_handler(lambda _loop, _context: seen.append(var.get()))
    own = contextvars.copy_context()
    own.run(var.set, True)
    loop.call_soon(int, "x", context=own)
    while not seen:
        await asyncio.sleep(0)
    return seen[0]


@probe("the default executor's threads are named `asyncio_N`")
async def thread_names() -> bool:
    name = await asyncio.get_running_loop().run_in_executor(None, lambda: threading.current_thread().name)
    return name.startswith("asyncio_")


@probe("`shutdown_default_executor(timeout)`", since=(3, 12))
async def executor_timeout() -> bool:
    loop: Any = asyncio.get_running_loop()
    await loop.shutdown_default_executor(1.0)
    return True


@probe("asyncio's private queues are there (`loop._ready`, `loop._scheduled`)")
async def private_queues() -> bool:
    loop: Any = asyncio.get_running_loop()
    scheduled = loop.call_later(60, int)
    return scheduled in loop._scheduled and hasattr(loop, "_ready")


# --- streams -----------------------------------------------------------------------------------------------------


@probe("transports are instances of `asyncio.Transport`")
async def transports() -> bool:
    async with _pair() as (_, transport):
        return isinstance(transport, asyncio.Transport)


@probe("`get_extra_info('socket')` is a")
async def extra_socket() -> str:
    async with _pair() as (_, transport):
        return f"`{type(transport.get_extra_info('socket')).__name__}`"


@probe("attributes can be set on a transport")
async def transport_attributes() -> bool:
    async with _pair() as (_, transport):
        transport.mine = 1
        return True


@probe("a write after the connection is closed is")
async def write_after_close() -> str:
    async with _pair() as (_, transport):
        transport.close()
        for _ in range(5):
            await asyncio.sleep(0)
        try:
            transport.write(b"x")
        except RuntimeError:
            return "a `RuntimeError`"
        return "dropped"


@probe("several small writes of a callback leave as one packet")
async def writes_gathered() -> bool:
    def receive() -> bytes:
        try:
            return there.recv(9, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    here, there = socket.socketpair()
    with there:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=here)
        transport.write(b"a")
        transport.write(b"b")
        already = receive()
        await asyncio.sleep(0.01)
        transport.abort()
        return not already and receive() == b"ab"


@probe("a peer that leaves before it is accepted keeps its `peername`")
async def early_leaver() -> bool:
    met: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            met.set_result(transport.get_extra_info("peername"))
            transport.abort()

    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        name = peer.getsockname()
    found = await met
    server.close()
    return bool(found == name)


@probe("`create_connection(happy_eyeballs_delay=…, interleave=…)`")
async def happy_eyeballs() -> bool:
    async with _pair() as (server, _):
        loop = asyncio.get_running_loop()
        port = server.sockets[0].getsockname()[1]
        made, _ = await loop.create_connection(
            asyncio.Protocol, "localhost", port, happy_eyeballs_delay=0.2, interleave=1
        )
        made.abort()
        return True


@probe("`create_connection(all_errors=True)`", since=(3, 12))
async def all_errors() -> bool:
    loop: Any = asyncio.get_running_loop()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        try:
            await loop.create_connection(asyncio.Protocol, *nobody.getsockname(), all_errors=True)
        except ExceptionGroup:
            return True
    return False


@probe("`create_server(keep_alive=True)`", since=(3, 13))
async def keep_alive() -> bool:
    loop: Any = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, keep_alive=True)
    on = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    server.close()
    return bool(on)


@probe("`Server.close_clients()`, `Server.abort_clients()`", since=(3, 13))
async def close_clients() -> bool:
    async with _pair() as (server, _):
        server.close_clients()
        server.abort_clients()
        return True


@probe("`Server.sockets` is a tuple")
async def server_sockets() -> bool:
    async with _pair() as (server, _):
        return isinstance(server.sockets, tuple)


@probe("`create_unix_server(cleanup_socket=…)`", since=(3, 13))
async def cleanup_socket() -> bool:
    loop: Any = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        (await loop.create_unix_server(asyncio.Protocol, path, cleanup_socket=True)).close()
        return not Path(path).exists()


@probe("`loop.sendfile()`")
async def sendfile() -> bool:
    async with _pair() as (_, transport):
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 1000)
            file.seek(0)
            return await asyncio.get_running_loop().sendfile(transport, file) == 1000


@probe("`start_tls()` on a transport of another kind")
async def foreign_tls() -> bool:
    written = asyncio.get_running_loop().create_future()

    class Foreign(asyncio.Transport):
        _start_tls_compatible = True

        def write(self, data: Any) -> None:
            if not written.done():
                written.set_result(bytes(data)[:1])

        def writelines(self, pieces: Any) -> None:
            self.write(b"".join(pieces))

        def is_closing(self) -> bool:
            return False

        def get_write_buffer_size(self) -> int:
            return 0

        def pause_reading(self) -> None:
            pass

        def resume_reading(self) -> None:
            pass

        def set_protocol(self, protocol: Any) -> None:
            protocol.connection_made(self)

        def close(self) -> None:
            pass

        abort = close

    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(
        loop.start_tls(
            Foreign(), asyncio.Protocol(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), server_hostname="x"
        )
    )
    await asyncio.wait([starting, written], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        await starting
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    return bool(written.result() == b"\x16")


# --- sockets, datagrams, names -----------------------------------------------------------------------------------


@probe("`loop.sock_sendfile()`")
async def sock_sendfile() -> bool:
    here, there = socket.socketpair()
    with here, there, tempfile.TemporaryFile() as file:
        here.setblocking(False)
        file.write(b"x" * 1000)
        file.seek(0)
        return await asyncio.get_running_loop().sock_sendfile(here, file) == 1000


@probe("`loop.sock_sendto()`, `loop.sock_recvfrom()`")
async def sock_datagrams() -> bool:
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        one.bind(("127.0.0.1", 0))
        await loop.sock_sendto(one, b"x", one.getsockname())
        return await loop.sock_recvfrom(one, 10) == (b"x", one.getsockname())


@probe("empty datagrams arrive")
async def empty_datagrams() -> bool:
    loop = asyncio.get_running_loop()
    got: list[bytes] = []
    end = loop.create_future()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            got.append(data)
            if data == b"end":
                end.set_result(None)

    transport, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        for data in (b"", b"end"):
            peer.sendto(data, transport.get_extra_info("sockname"))
    await end
    transport.close()
    return got == [b"", b"end"]


@probe("`sendto()` a path, on a datagram endpoint of `AF_UNIX`")
async def unix_datagrams() -> bool:
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind(f"{folder}/peer")
        peer.settimeout(10)
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=f"{folder}/mine", family=socket.AF_UNIX
        )
        transport.sendto(b"x", f"{folder}/peer")
        data = await loop.run_in_executor(None, peer.recv, 10)
        transport.close()
        return data == b"x"


@probe("scope ids of IPv6 addresses are kept")
async def scope_ids() -> bool:
    number, name = socket.if_nameindex()[0]
    found = await asyncio.get_running_loop().getaddrinfo(f"fe80::1%{name}", 80, type=socket.SOCK_STREAM)
    return len(found[0][4]) == 4 and found[0][4][3] == number


@probe("numeric hosts are resolved without a thread")
async def numeric_hosts() -> bool:
    before = len(os.listdir("/proc/self/task"))
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    return len(os.listdir("/proc/self/task")) == before


# --- processes and signals ---------------------------------------------------------------------------------------


@probe("`create_subprocess_exec(umask=…, process_group=…)`, `user=…` and the like")
async def process_options() -> bool:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "umask", stdout=asyncio.subprocess.PIPE, umask=0o027, process_group=0
    )
    out, _ = await process.communicate()
    return int(out, 8) == 0o027


@probe("`get_extra_info('pipe')` of a process's pipe")
async def extra_pipe() -> bool:
    process = await asyncio.create_subprocess_exec("true", stdout=asyncio.subprocess.PIPE)
    pipe = process._transport.get_pipe_transport(1).get_extra_info("pipe")  # type: ignore[attr-defined]
    await process.communicate()
    return pipe is not None


@probe("processes started by two loops in two threads")
def two_loops(new: Factory) -> bool:
    codes: list[int] = []

    async def start() -> None:
        for _ in range(10):
            process = await asyncio.create_subprocess_exec("true")
            codes.append(await process.wait())

    def run() -> None:
        with asyncio.Runner(loop_factory=new) as runner:
            runner.run(asyncio.wait_for(start(), 15))

    other = threading.Thread(target=run)
    other.start()
    run()
    other.join()
    return codes == [0] * 20


@probe("`add_signal_handler(SIGCHLD, …)`")
async def sigchld() -> bool:
    loop = asyncio.get_running_loop()
    seen = asyncio.Event()
    loop.add_signal_handler(signal.SIGCHLD, seen.set)
    signal.raise_signal(signal.SIGCHLD)
    await seen.wait()
    return loop.remove_signal_handler(signal.SIGCHLD)


@probe("Ctrl-C ends `run_forever()` at once, while it waits")
def interrupt(new: Factory) -> bool:
    loop = new()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    loop.call_later(5, loop.stop)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        return True
    finally:
        loop.close()
    return False


@probe("a forked child can run a loop of its own")
def fork(new: Factory) -> bool:
    async def nothing() -> None:
        await asyncio.sleep(0.001)

    def run() -> None:
        with asyncio.Runner(loop_factory=new) as runner:
            runner.run(nothing())

    def child_runs() -> bool:
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(10)
                run()
                os._exit(0)
            finally:
                os._exit(1)
        return os.waitpid(child, 0)[1] == 0

    async def main() -> bool:
        return child_runs()

    with asyncio.Runner(loop_factory=new) as runner:
        return runner.run(main())


# --- what asyncio has not ----------------------------------------------------------------------------------------


@probe("counts and lag of a running loop: `loop.metrics()`")
async def metrics() -> bool:
    return hasattr(asyncio.get_running_loop(), "metrics")


@probe("C++20 coroutines run on the same loop: `loop.io_context()`")
async def io_context() -> bool:
    return hasattr(asyncio.get_running_loop(), "io_context")
