"""The servers that can be measured, and how each is started at its best."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["control", "stage", "ablation", "peer"]

ABLATE = "ASIOSERVE_ABLATE"
APP = "bench/apps/app.py:app"
METRICS_PATH = "/bench-metrics"
ALL_HANDLERS = frozenset({"sync", "async", "sleep0", "gather", "sleep1ms", "json", "user", "user-overlapped"})


@dataclass(frozen=True)
class Server:
    """One row's server. In `command`, {bin}, {peers}, {python} and {port} stand for folders, our Python and
    the port."""

    key: str
    title: str
    kind: Kind
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    handlers: frozenset[str] = ALL_HANDLERS
    port_is_given: bool = False
    """False: it takes port 0 and prints `listening on URL`. True: it is told a port, and is up when that
    accepts."""
    has_metrics: bool = False
    idle_arguments: tuple[str, ...] = ()
    """Added where idle connections are to be kept for as long as the bench looks at them."""
    since_python: tuple[int, int] = (3, 11)
    answers_hello_only: bool = False


@dataclass(frozen=True)
class Places:
    """Where programs are."""

    root: Path
    build: Path
    peers: Path

    def command_of(self, server: Server, port: int = 0) -> list[str]:
        """The command line, ready to run."""
        names = {"bin": str(self.build / "bin"), "peers": str(self.peers / "bin"), "python": sys.executable}
        names["port"] = str(port)
        return [part.format(**names) for part in server.command]

    def environment_of(self, server: Server) -> dict[str, str]:
        """The caller's environment and what the server adds; settings of the caller's own must not leak
        in."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ASIOSERVE_")}
        return {**environment, **server.environment}


def _stage(number: int, ablate: str = "", title: str = "") -> Server:
    return Server(
        key=f"stage{number}" + (f"-{ablate}" if ablate else ""),
        title=title or f"stage {number}",
        kind="ablation" if ablate else "stage",
        command=(
            f"{{bin}}/stage{number}_server",
            APP,
            *("--port", "0", "--python", "{python}", "--no-access-log", "--metrics-path", METRICS_PATH),
        ),
        environment={ABLATE: ablate} if ablate else {},
        has_metrics=True,
        idle_arguments=("--timeout-keep-alive", "1h"),
        since_python=(3, 12) if ablate == "eager-start" else (3, 11),
    )


_CONTROLS = (
    Server("floor", "floor", "control", ("{bin}/floor_server", "--port", "0"), answers_hello_only=True),
    Server(
        "floor-no-parser",
        "floor without a parser",
        "control",
        ("{bin}/floor_server", "--port", "0", "--no-parser"),
        answers_hello_only=True,
    ),
    Server(
        "fake",
        "fake runner",
        "control",
        ("{bin}/fake_server", "--port", "0"),
        answers_hello_only=True,
        idle_arguments=("--timeout-keep-alive", "3600"),
    ),
)

_STAGES = (
    _stage(1),
    _stage(2),
    _stage(3),
    _stage(2, "eager-start", "stage 2 with eager start"),
    _stage(3, "no-pooled-task", "stage 3 without the pooled task"),
    _stage(3, "no-eager-step", "stage 3 without the eager step"),
    _stage(3, "no-deferred-sends", "stage 3 without deferred sends"),
)

_ASYNC_PEER = frozenset({"async", "sleep0", "json"})
_PEER = _ASYNC_PEER | {"sync"}
_HOST = ("--host", "127.0.0.1", "--port", "{port}")
_UVICORN = (
    "{peers}/python",
    "-m",
    "uvicorn",
    *_HOST,
    *(
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--lifespan",
        "off",
        "--no-access-log",
        "--log-level",
        "warning",
    ),
    *("--app-dir", "bench/peers"),
)
_GRANIAN = (
    "{peers}/granian",
    *_HOST,
    *("--workers", "1", "--runtime-threads", "1", "--loop", "uvloop", "--http", "1", "--no-ws"),
    *("--no-access-log", "--log-level", "warning", "--working-dir", "bench/peers"),
)


def _peer(
    key: str, title: str, *command: str, handlers: frozenset[str] = _ASYNC_PEER, idle: tuple[str, ...] = ()
) -> Server:
    return Server(key, title, "peer", command, handlers=handlers, port_is_given=True, idle_arguments=idle)


# Its back-pressure counts connections, not requests: 1,024 unless told otherwise.
_GRANIAN_KEEP = ("--http1-header-read-timeout", "60000", "--backpressure", "16384")
_KEEP = ("--timeout-keep-alive", "3600")
_PEERS = (
    _peer(
        "granian-rsgi", "granian, RSGI", *_GRANIAN, "--interface", "rsgi", "rsgi_app:app", idle=_GRANIAN_KEEP
    ),
    _peer(
        "granian-asgi",
        "granian, ASGI",
        *_GRANIAN,
        "--interface",
        "asginl",
        "asgi_app:app",
        idle=_GRANIAN_KEEP,
    ),
    _peer("uvicorn", "uvicorn, uvloop, httptools", *_UVICORN, "asgi_app:app", idle=_KEEP),
    _peer("socketify", "socketify", "{peers}/python", "bench/peers/socketify_app.py", "{port}"),
    _peer("aiohttp", "aiohttp, uvloop", "{peers}/python", "bench/peers/aiohttp_app.py", "{port}"),
    _peer("robyn", "Robyn", "{peers}/python", "bench/peers/robyn_app.py", "{port}", handlers=_PEER),
    _peer("fastapi-uvicorn", "FastAPI on uvicorn", *_UVICORN, "fastapi_app:app", handlers=_PEER, idle=_KEEP),
    _peer(
        "fastapi-granian",
        "FastAPI on granian",
        *_GRANIAN,
        "--interface",
        "asgi",
        "fastapi_app:app",
        handlers=_PEER,
        idle=_GRANIAN_KEEP,
    ),
)

SERVERS: Mapping[str, Server] = {server.key: server for server in (*_CONTROLS, *_STAGES, *_PEERS)}
PEERS = tuple(server.key for server in _PEERS)
ABLATIONS = tuple(server.key for server in _STAGES if server.kind == "ablation")
