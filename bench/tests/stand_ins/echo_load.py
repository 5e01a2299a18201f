"""echo_load's conversation, over one TCP connection; --wrong: it finds fault with the first answer."""

import json
import socket
import sys
import time
from argparse import ArgumentParser

cli = ArgumentParser()
cli.add_argument("--wrong", action="store_true")
cli.add_argument("--port", type=int)
cli.add_argument("--request", type=int)
cli.add_argument("--answer", type=int)
options, _ = cli.parse_known_args()
MESSAGE = bytes((i * 31) & 255 for i in range(max(options.request, options.answer)))


def ask(connection: socket.socket) -> None:
    connection.sendall(MESSAGE[: options.request])
    answer = b""
    while len(answer) < options.answer:
        part = connection.recv(65536)
        if not part:
            sys.exit("echo_load: the server closed a connection")
        answer += part
    if options.wrong or answer != MESSAGE[: options.answer]:
        sys.exit("echo_load: an answer has wrong bytes")


def main() -> None:
    with socket.create_connection(("127.0.0.1", options.port), timeout=20) as peer:
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


try:
    main()
except OSError as error:
    sys.exit(f"echo_load: {error}")
