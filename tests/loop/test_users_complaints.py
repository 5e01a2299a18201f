"""What users of other event loops have complained of, and what must not be heard of this one.

Each complaint, and the tests that it has (here, unless another file is named):

- TLS that lingers after close, or reads on without end     test_tls_that_is_closed_does_not_linger
- TLS that grows with each connection                       test_tls_connections_leave_nothing_behind
- crashes where loops, transports and garbage meet          test_stream_life.py, test_a_crowd_that_is_dropped_in_any_order
- sendfile() and sock_sendfile() missing                    test_stream_flow.py, test_a_file_goes_out_by_a_socket
- sock_sendto(), sock_recvfrom() missing                    test_datagrams_by_sockets
- happy eyeballs refused                                    test_a_second_address_is_tried
- create_task() with keywords refused                       test_tasks_take_what_asyncio_takes
- clients that cannot be closed, or are closed unasked      test_a_server_that_closes_leaves_its_clients_alone
- timers: coarse, early, of another type                    test_scheduling.py, test_differences.py
- an error where a write after the end is dropped           test_streams.py
- the peer's name lost when it leaves early                 test_stream_life.py
- subprocess: options refused, `pipe` unknown               test_processes_take_popens_options, test_a_pipe_is_known
- subprocess: a fork, dear in a large parent                test_starting_a_process_does_not_fork_the_interpreter
- SIGCHLD refused                                           test_sigchld_can_be_handled_while_processes_end
- UDP: no paths on AF_UNIX, empty datagrams dropped         test_differences.py
- DNS: look-ups that block the loop, scope ids lost         test_names_are_never_looked_up_on_the_loops_thread, test_differences.py
- descriptors closed twice when connecting is cancelled     test_connecting_that_is_cancelled_closes_its_own_descriptor_only
- Ctrl-C ignored                                            test_io.py, test_scheduling.py
- no TCP_NODELAY                                            test_connections_do_not_wait_to_send
- the socket of a transport lacks shutdown()                test_the_socket_of_a_transport_can_be_shut_down
- test clocks                                               test_differences.py

Windows, io_uring, wheels on the day of a release and sendmsg() on sockets do not apply, or are not asyncio's either.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from stream_peers import PATIENCE, Recorder

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """A server's and a client's, for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    line += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*line, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=60
    )
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=certificate)
    server.load_cert_chain(certificate, key)
    return server, client


# --- TLS ---------------------------------------------------------------------------------------------------------


def test_tls_that_is_closed_does_not_linger(runner: asyncio.Runner, contexts: Contexts) -> None:
    """A peer that goes on sending and never says goodbye is cut off after ssl_shutdown_timeout, not after 30 s."""
    stop = threading.Event()

    def deaf(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
            peer = contexts[1].wrap_socket(plain, server_hostname="localhost")
            try:
                while not stop.is_set():
                    peer.sendall(bytes(10_000))
            except OSError:
                return
            finally:
                peer.close()

    async def main() -> None:
        met: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        class Server(Recorder):
            def connection_made(self, transport: Any) -> None:
                met.set_result((transport, self))

        server = await asyncio.get_running_loop().create_server(
            Server, "127.0.0.1", 0, ssl=contexts[0], ssl_shutdown_timeout=0.1
        )
        peer = threading.Thread(target=deaf, args=(server.sockets[0].getsockname()[1],))
        peer.start()
        transport, protocol = await met
        transport.close()
        await asyncio.wait_for(protocol.lost, PATIENCE)
        stop.set()
        server.close()
        await asyncio.to_thread(peer.join)

    runner.run(main())


def test_tls_connections_leave_nothing_behind(runner: asyncio.Runner, contexts: Contexts) -> None:
    async def main() -> list[weakref.ref[object]]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            kept.append(weakref.ref(writer.get_extra_info("ssl_object")))
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()

        kept: list[weakref.ref[object]] = []
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=contexts[0]) as server:
            port = server.sockets[0].getsockname()[1]
            for _ in range(20):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=contexts[1], server_hostname="localhost"
                )
                kept.append(weakref.ref(writer.get_extra_info("ssl_object")))
                writer.write(b"hello\n")
                assert await reader.read() == b"hello\n"
                writer.close()
                await writer.wait_closed()
        await asyncio.sleep(0.01)
        return kept

    kept = runner.run(main())
    assert len(kept) == 40
    gc.collect()
    assert [ref for ref in kept if ref() is not None] == []


# --- connections -------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_crowd_that_is_dropped_in_any_order(factory: Any) -> None:
    """Loops, servers, transports and tasks go in random order, with and without having been closed."""
    choose = random.Random(7)
    for _ in range(8):
        loop = factory()
        asyncio.set_event_loop(loop)

        async def crowd(loop: Any = loop) -> list[Any]:
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            name = server.sockets[0].getsockname()
            made = [(await loop.create_connection(asyncio.Protocol, *name))[0] for _ in range(5)]
            made[0].write(bytes(3_000_000))
            made[1].close()
            made[2].pause_reading()
            loop.call_later(100, made[3].write, b"never")
            return [server, *made, loop.create_future()]

        things: list[Any] = [*loop.run_until_complete(crowd()), loop]
        choose.shuffle(things)
        closes = choose.random() < 0.7
        while things:
            thing = things.pop()
            if thing is loop and closes:
                loop.close()
            elif choose.random() < 0.4 and hasattr(thing, "close") and not loop.is_closed():
                thing.close()
            del thing
            gc.collect(0)
        asyncio.set_event_loop(None)
        loop.close()
        del loop
        gc.collect()


def test_a_second_address_is_tried(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            addresses = [nobody.getsockname(), server.sockets[0].getsockname()]

            async def found(*_args: Any, **_options: Any) -> list[Any]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

            monkeypatch.setattr(loop, "getaddrinfo", found)
            for options in ({}, {"happy_eyeballs_delay": 5}, {"happy_eyeballs_delay": 5, "interleave": 2}):
                transport, _ = await loop.create_connection(asyncio.Protocol, "two.test", 1, **options)
                assert transport.get_extra_info("peername") == addresses[1]
                transport.abort()
        server.close()

    runner.run(main())


def test_a_server_that_closes_leaves_its_clients_alone(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        made: asyncio.Queue[Any] = asyncio.Queue()

        class Echo(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport
                made.put_nowait(transport)

            def data_received(self, data: bytes) -> None:
                self.transport.write(data)

        server = await loop.create_server(Echo, "127.0.0.1", 0)
        transport, client = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
        await made.get()
        server.close()
        transport.write(b"still here")
        assert await client.received(10) == b"still here"
        if hasattr(asyncio.Server, "close_clients"):
            server.close_clients()
            await client.lost
        else:
            assert not hasattr(server, "close_clients")
            transport.close()
        await server.wait_closed()

    runner.run(main())


def test_connecting_that_is_cancelled_closes_its_own_descriptor_only(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for turns in [*range(12)] * 10:
                connecting = asyncio.create_task(
                    loop.create_connection(asyncio.Protocol, *listener.getsockname())
                )
                for _ in range(turns):
                    await asyncio.sleep(0)
                connecting.cancel()
                try:
                    transport, _ = await connecting
                    transport.abort()
                except asyncio.CancelledError:
                    pass
                # The number is free, and is somebody else's now.
                mine = os.open(Path(__file__), os.O_RDONLY)
                for _ in range(5):
                    await asyncio.sleep(0)
                gc.collect(0)
                os.fstat(mine)
                os.close(mine)

    runner.run(main())


def test_connections_do_not_wait_to_send(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        met: asyncio.Future[Any] = loop.create_future()

        class Server(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                met.set_result(transport)

        server = await loop.create_server(Server, "127.0.0.1", 0)
        here, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
        for transport in (here, await met):
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            transport.close()
        server.close()

    runner.run(main())


def test_the_socket_of_a_transport_can_be_shut_down(runner: asyncio.Runner) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        there.settimeout(PATIENCE)
        with there:
            transport, protocol = await asyncio.get_running_loop().create_connection(Recorder, sock=here)
            transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(there.recv, 1) == b""
            there.send(b"x")
            assert await protocol.received(1) == b"x"
            transport.close()
            await protocol.lost

    runner.run(main())


# --- sockets and names -------------------------------------------------------------------------------------------


def test_a_file_goes_out_by_a_socket(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        wanted = random.Random(1).randbytes(3_000_000)
        (tmp_path / "file").write_bytes(wanted)
        here, there = socket.socketpair()
        with here, there, (tmp_path / "file").open("rb") as file:
            here.setblocking(False)
            there.setblocking(False)
            loop = asyncio.get_running_loop()
            sending = asyncio.create_task(loop.sock_sendfile(here, file, 1000, 2_000_000))
            got = bytearray()
            while len(got) < 2_000_000:
                got += await loop.sock_recv(there, 1 << 16)
            assert await sending == 2_000_000
            assert file.tell() == 2_001_000
            assert got == wanted[1000:2_001_000]

    runner.run(main())


def test_datagrams_by_sockets(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.setblocking(False)
                sock.bind(("127.0.0.1", 0))
            receiving = asyncio.create_task(loop.sock_recvfrom(b, 100))
            await asyncio.sleep(0)
            assert await loop.sock_sendto(a, b"hello", b.getsockname()) == 5
            assert await receiving == (b"hello", a.getsockname())
            buffer = bytearray(10)
            await loop.sock_sendto(a, b"", b.getsockname())
            assert await loop.sock_recvfrom_into(b, buffer) == (0, a.getsockname())
            given_up = asyncio.create_task(loop.sock_recvfrom(b, 100))
            await asyncio.sleep(0)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            await loop.sock_sendto(a, b"next", b.getsockname())
            assert await loop.sock_recvfrom(b, 100) == (b"next", a.getsockname())

    runner.run(main())


def test_names_are_never_looked_up_on_the_loops_thread(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, where = socket.getaddrinfo, []

    def watched(*args: Any, **options: Any) -> Any:
        where.append(threading.current_thread())
        return usual(*args, **options)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(socket, "getaddrinfo", watched)
        server = await loop.create_server(asyncio.Protocol, "localhost", 0, family=socket.AF_INET)
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_connection(
            asyncio.Protocol, "localhost", port, family=socket.AF_INET, local_addr=("localhost", 0)
        )
        transport.abort()
        server.close()
        datagrams, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol,
            local_addr=("localhost", 0),
            remote_addr=("localhost", 9),
            family=socket.AF_INET,
        )
        datagrams.abort()

    runner.run(main())
    assert len(where) >= 5
    assert threading.current_thread() not in where


# --- tasks and processes -----------------------------------------------------------------------------------------


def test_tasks_take_what_asyncio_takes(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        var: contextvars.ContextVar[int] = contextvars.ContextVar("var")
        context = contextvars.copy_context()
        context.run(var.set, 5)

        async def work() -> int:
            begun.append(1)
            return var.get()

        begun: list[int] = []
        task = loop.create_task(work(), name="worker", context=context)
        assert task.get_name() == "worker"
        assert await task == 5
        if sys.version_info >= (3, 14):
            begun.clear()
            task = loop.create_task(work(), context=context, eager_start=True)
            assert begun and await task == 5
        made: list[tuple[object, dict[str, object]]] = []

        def make(its_loop: Any, coroutine: Any, **options: Any) -> Any:
            made.append((its_loop, options))
            return asyncio.Task(coroutine, loop=its_loop, **options)

        loop.set_task_factory(make)
        await loop.create_task(work(), context=context)
        loop.set_task_factory(None)
        assert made[0][0] is loop and made[0][1]["context"] is context

    runner.run(main())


def test_processes_take_popens_options(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            f"umask; pwd; echo $NAME; ps -o pgid= -p $$; echo $$; echo passed >/proc/self/fd/{writing}",
            stdout=asyncio.subprocess.PIPE,
            umask=0o027,
            cwd=tmp_path,
            env={**os.environ, "NAME": "value"},
            process_group=0,
            pass_fds=(writing,),
            user=os.getuid(),
            group=os.getgid(),
            pipesize=1 << 16,
        )
        os.close(writing)
        out, _ = await process.communicate()
        assert os.read(reading, 100) == b"passed\n"
        os.close(reading)
        umask, folder, name, group, number = out.decode().split()
        assert (int(umask, 8), folder, name) == (0o027, str(tmp_path), "value")
        assert int(group) == int(number) == process.pid

    runner.run(main())


def test_a_pipe_is_known(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        class Process(asyncio.SubprocessProtocol):
            def connection_lost(self, exc: BaseException | None) -> None:
                ended.set_result(exc)

        transport, _ = await loop.subprocess_exec(Process, "cat", stderr=None)
        assert isinstance(transport, asyncio.SubprocessTransport)
        for number in (0, 1):
            pipe: Any = transport.get_pipe_transport(number)
            assert pipe.get_extra_info("pipe").fileno() >= 0
        transport.get_pipe_transport(0).close()  # type: ignore[union-attr]
        await ended
        assert transport.get_returncode() == 0
        transport.close()

    runner.run(main())


forks: list[int] = []
os.register_at_fork(before=lambda: forks.append(1))


def test_starting_a_process_does_not_fork_the_interpreter(runner: asyncio.Runner) -> None:
    """A fork copies the parent's page tables, and takes the longer the larger the parent is."""

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("true")
        assert await process.wait() == 0

    before = len(forks)
    runner.run(main())
    assert len(forks) == before


def test_sigchld_can_be_handled_while_processes_end(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = asyncio.Event()
        loop.add_signal_handler(signal.SIGCHLD, seen.set)
        codes = await asyncio.gather(*(_code(n) for n in range(10)))
        assert codes == list(range(10))
        await asyncio.wait_for(seen.wait(), PATIENCE)
        assert loop.remove_signal_handler(signal.SIGCHLD)

    async def _code(n: int) -> int:
        process = await asyncio.create_subprocess_exec("sh", "-c", f"exit {n}")
        return await process.wait()

    runner.run(main())
