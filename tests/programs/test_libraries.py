"""Libraries that use a loop in ways of their own: descriptors of C libraries, reactors on top of it, threads beside it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import zmq
import zmq.asyncio
from processes import HERE, PATIENCE, python, python_environment
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.websocket import WebSocketHandler, websocket_connect


@pytest.mark.parametrize("program", ["with_twisted", "with_grpc"])
def test_a_library_with_a_reactor_or_threads_of_its_own(program: str, loop_name: str) -> None:
    done = subprocess.run(
        python(str(HERE / "apps" / f"{program}.py"), loop_name),
        env=python_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, loop_name + "\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_zeromq(runner: asyncio.Runner, tmp_path: Path) -> None:
    """Its descriptor is readable once for many messages, so a wake-up that is lost is a hang."""

    async def main() -> None:
        with zmq.asyncio.Context() as context:
            with context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
                pull.bind(f"ipc://{tmp_path}/pipe")
                push.connect(f"ipc://{tmp_path}/pipe")

                async def send() -> None:
                    for i in range(3000):
                        await push.send(b"%d" % i)

                async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                    group.create_task(send())
                    assert [int(await pull.recv()) for _ in range(3000)] == list(range(3000))
                receiving = asyncio.ensure_future(pull.recv())
                await asyncio.sleep(0)
                receiving.cancel()
                await push.send(b"after")
                assert await asyncio.wait_for(pull.recv(), PATIENCE) == b"after"
            with context.socket(zmq.REP) as server, context.socket(zmq.REQ) as client:
                port = server.bind_to_random_port("tcp://127.0.0.1")
                client.connect(f"tcp://127.0.0.1:{port}")

                async def serve() -> None:
                    for _ in range(100):
                        await server.send_multipart((await server.recv_multipart())[::-1])

                async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                    group.create_task(serve())
                    for i in range(100):
                        await client.send_multipart([b"a", b"%d" % i])
                        assert await client.recv_multipart() == [b"%d" % i, b"a"]

    runner.run(main())


class Hello(web.RequestHandler):
    async def post(self) -> None:
        await asyncio.sleep(0)
        self.write(self.request.body)


class Chat(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, binary=isinstance(message, bytes))


def test_tornado(runner: asyncio.Runner) -> None:
    """Its streams are its own, on add_handler: add_reader and add_writer."""

    async def main() -> None:
        server = HTTPServer(web.Application([("/hello", Hello), ("/chat", Chat)]))
        server.listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        client = AsyncHTTPClient(force_instance=True)
        for size in (1, 1000, 3_000_000):
            response = await client.fetch(
                f"http://127.0.0.1:{port}/hello", method="POST", body=bytes(size), request_timeout=PATIENCE
            )
            assert response.body == bytes(size)
        with pytest.raises(HTTPClientError):
            await client.fetch(f"http://127.0.0.1:{port}/nothing")
        chat = await websocket_connect(f"ws://127.0.0.1:{port}/chat")
        for message in ("word", bytes(200_000)):
            await chat.write_message(message, binary=isinstance(message, bytes))
            assert await chat.read_message() == message
        chat.close()
        assert await chat.read_message() is None
        client.close()
        server.stop()
        await server.close_all_connections()

    runner.run(main())


def test_ssh(runner: asyncio.Runner, tmp_path: Path) -> None:
    """A protocol with keys, windows and channels, and processes behind it."""

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    async def handle(process: Any) -> None:
        async for line in process.stdin:
            process.stdout.write(line.upper())
        process.exit(7)

    async def main() -> None:
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            process_factory=handle,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(tmp_path)),
        )
        options: dict[str, Any] = {"known_hosts": None, "username": "me", "client_keys": None, "config": None}
        async with asyncssh.connect("127.0.0.1", server.get_port(), **options) as connection:
            lines = "".join(f"line {i}\n" for i in range(2000))
            done = await asyncio.wait_for(connection.run("shout", input=lines), PATIENCE)
            assert (done.stdout, done.exit_status) == (lines.upper(), 7)
            async with connection.start_sftp_client() as files:
                async with files.open("/file", "wb") as file:
                    await file.write(bytes(500_000))
                assert (await files.stat("/file")).size == 500_000
        server.close()
        await server.wait_closed()

    runner.run(main())
    assert (tmp_path / "file").read_bytes() == bytes(500_000)
