"""What the stand-ins of the loads have in common: the conversation with the bench."""

import json
import socket
import sys
import time
from collections.abc import Callable


def converse(peer: socket.socket, ask: Callable[[socket.socket], None]) -> None:
    """One warm-up, then as many questions as fit into each line's seconds."""
    ask(peer)
    print("ready", flush=True)
    for line in sys.stdin:
        end = time.monotonic() + float(line)
        requests = 0
        while requests == 0 or time.monotonic() < end:
            ask(peer)
            requests += 1
        figures = {"requests": requests, "seconds": float(line), "cpu_seconds": 0.5 * float(line)}
        print(json.dumps(figures), flush=True)
