"""A stage's server as the supervisor sees one: the pipe's lines, the sockets, the signals; and misbehaviour on demand.

FAKE_STAGE_<n> holds words for stage n, separated by commas:
    wrong=CODE        exits with CODE at once
    no-loop=CODE      exits with CODE between the import and the proof
    unproved=CODE     exits with CODE when it ought to prove itself
    mute              never proves itself
    no-import=CODE    exits with CODE while the app is imported
    slow-import       waits for the file FAKE_GATE before it goes on from the import
    no-startup        the app's lifespan raises: `failed startup`, exit 3
    slow-startup      waits for the file FAKE_GATE before it is ready
    startup-crash     aborts between its proof and being ready
    deaf              ignores SIGTERM
    orphan            leaves a grandchild behind that ends at once
    subprocess        starts a subprocess that would outlive it; its pid is answered at /subprocess
It answers GET /crash by abort(), /hang by standing still, /exit/N by `leaving` and exit code N, /argv, /environ, and
everything else with its stage and pid.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

STAGE = int(os.environ["FAKE_STAGE"])
WORDS = dict(word.partition("=")[::2] for word in os.environ.get(f"FAKE_STAGE_{STAGE}", "").split(","))


def flags(name: str) -> list[str]:
    return [arg.partition("=")[2] for arg in sys.argv[1:] if arg.startswith(f"--{name}=")]


PIPE = int(flags("supervisor-fd")[0])


def say(line: str) -> None:
    os.write(PIPE, f"{line}\n".encode())


def gate() -> None:
    path = Path(os.environ["FAKE_GATE"])
    while not path.exists():
        time.sleep(0.01)


def rise() -> None:
    """Everything up to being ready."""
    if "orphan" in WORDS and (child := os.fork()):
        os.waitpid(child, 0)
    elif "orphan" in WORDS:
        # Its own child is left without a parent by the next line, and ends after that.
        if os.fork() == 0:
            time.sleep(0.2)
        os._exit(0)
    if "wrong" in WORDS:
        sys.exit(int(WORDS["wrong"]))
    if "mute" in WORDS:
        signal.pause()
    say("importing")
    if "no-import" in WORDS:
        sys.exit(int(WORDS["no-import"]))
    if "slow-import" in WORDS:
        gate()
    say("imported")
    if "no-loop" in WORDS:
        sys.exit(int(WORDS["no-loop"]))
    say("proving")
    if "unproved" in WORDS:
        sys.exit(int(WORDS["unproved"]))
    say("a line of some later version")
    say("proved")
    if "startup-crash" in WORDS:
        os.abort()
    if "no-startup" in WORDS:
        say("failed startup")
        sys.exit(3)
    if "slow-startup" in WORDS:
        gate()


def start_sleeper() -> int:
    return subprocess.Popen(["sleep", "60"]).pid


def hang() -> None:
    time.sleep(600)


class Server:
    def __init__(self) -> None:
        self.draining = False
        self.exit_code = 0
        self.open: set[asyncio.Task[None]] = set()
        self.end = asyncio.Event()

    async def serve(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.drain)
        loop.add_signal_handler(signal.SIGINT, self.drain)
        if "deaf" in WORDS:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        loop.add_signal_handler(signal.SIGUSR1, lambda: print("fake: USR1", file=sys.stderr, flush=True))
        self.listeners = [socket.socket(fileno=int(fd)) for fd in flags("fd")]
        for listener in self.listeners:
            loop.add_reader(listener, self.accept, listener)
        self.subprocess = start_sleeper() if "subprocess" in WORDS else None
        say("ready")
        beats = asyncio.create_task(self.beat())
        await self.end.wait()
        beats.cancel()
        return self.exit_code

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            say("beat")

    def drain(self) -> None:
        if self.draining:
            os._exit(130)
        self.draining = True
        self.finishing = asyncio.create_task(self.finish())

    async def finish(self) -> None:
        for listener in self.listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        # What was accepted already may have its request on the way, and so may a connection that is kept.
        await asyncio.sleep(0.3)
        deadline = time.monotonic() + 5
        while self.open and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self.end.set()

    def accept(self, listener: socket.socket) -> None:
        # Not asyncio's own server: closing that one drops connections which it has just accepted.
        with contextlib.suppress(BlockingIOError):
            task = asyncio.create_task(self.connection(listener.accept()[0]))
            self.open.add(task)
            task.add_done_callback(self.open.discard)

    async def connection(self, peer: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=peer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await self.answer(head.split()[1].decode(), writer)
                if self.draining:
                    break
        writer.close()

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        body: object = {"stage": STAGE, "pid": os.getpid()}
        if path == "/crash":
            os.abort()
        if path == "/hang":
            hang()
        if path == "/argv":
            body = sys.argv[1:]
        if path == "/environ":
            body = dict(os.environ)
        if path == "/subprocess":
            body = self.subprocess
        if path.startswith("/exit/"):
            self.exit_code = int(path[6:])
            say("leaving")
            self.drain()
        text = json.dumps(body).encode()
        close = b"connection: close\r\n" if self.draining else b""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%s\r\n%s" % (len(text), close, text))
        await writer.drain()


rise()
sys.exit(asyncio.run(Server().serve()))
