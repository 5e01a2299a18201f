"""How long I/O waits while callbacks are always due: python -m bench.loop.latency [SECONDS] [ROUNDS].

One connection has its messages of 1 KiB echoed by a loop that is never idle, as a callback or a task schedules itself again and
again. A loop that looks at I/O less often runs more callbacks and answers later. Printed are the microseconds of one exchange,
each the median of the rounds, in which the loops take turns: 50, 99 and 99.9 of a hundred exchanges take at most so long.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from bench.loop.loops import LOOPS, make_loop
from bench.loop.work.protocols import MESSAGE, Echo

KINDS = ("callbacks", "tasks")
PARTS = (0.5, 0.99, 0.999)
_SIZE = 1024
_SELF = (sys.executable, "-m", "bench.loop.latency")


def exchange(port: int, seconds: float) -> list[float]:
    """The client: what the parts of its exchanges took, in microseconds."""
    took = []
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            sock.sendall(MESSAGE[:_SIZE])
            left = _SIZE
            while left:
                left -= len(sock.recv(left))
            took.append(time.perf_counter() - begin)
    took.sort()
    return [took[min(len(took) - 1, int(len(took) * part))] * 1e6 for part in PARTS]


async def _busy_with_tasks() -> None:
    while True:
        await asyncio.sleep(0)


async def serve(kind: str, seconds: float, core: str) -> list[float]:
    """The server, busy; returns what the client, a process of its own on another core, says."""
    loop = asyncio.get_running_loop()

    def again() -> None:
        loop.call_soon(again)

    server = await loop.create_server(Echo, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    line = ["taskset", "-c", core, *_SELF, "--client", port, str(seconds)]
    if kind == "tasks":
        busy = loop.create_task(_busy_with_tasks())
    else:
        again()
    done = await asyncio.to_thread(subprocess.run, line, stdout=subprocess.PIPE, check=True)
    if kind == "tasks":
        busy.cancel()
    said: list[float] = json.loads(done.stdout)
    return said


def measure(loop: str, kind: str, seconds: float) -> list[float] | None:
    """One turn of one loop, in a process of its own; None if it is not there or cannot do it."""
    line = [*_SELF, "--server", loop, kind, str(seconds)]
    done = subprocess.run(line, capture_output=True, timeout=seconds + 30, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def run(kind: str, seconds: float, rounds: int) -> None:
    """Measures all loops, and prints their lines."""
    found: dict[str, list[list[float]]] = {loop: [] for loop in LOOPS}
    for _ in range(rounds):
        for loop, figures in found.items():
            said = measure(loop, kind, seconds)
            if said is not None:
                figures.append(said)
    print(f"{kind + ' due:':<16}" + "".join(f"{f'{part:.1%}':>9}" for part in PARTS))
    for loop, figures in found.items():
        middle = [statistics.median(column) for column in zip(*figures, strict=True)]
        print(f"  {loop:<14}" + ("".join(f"{us:9.1f}" for us in middle) or "  not there"))


def main(arguments: list[str]) -> None:
    """Runs it, or one part of it."""
    cores = sorted(os.sched_getaffinity(0))
    if arguments[:1] == ["--client"]:
        print(json.dumps(exchange(int(arguments[1]), float(arguments[2]))))
    elif arguments[:1] == ["--server"]:
        os.sched_setaffinity(0, {cores[0]})
        loop = make_loop(arguments[1])
        asyncio.set_event_loop(loop)
        said = loop.run_until_complete(serve(arguments[2], float(arguments[3]), str(cores[-1])))
        print(json.dumps(said), flush=True)
        os._exit(0)  # without a loop's own ways at the end
    else:
        for kind in KINDS:
            run(
                kind,
                float(arguments[0]) if arguments else 1.0,
                int(arguments[1]) if len(arguments) > 1 else 5,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
