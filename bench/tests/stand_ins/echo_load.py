"""echo_load's conversation, over one TCP connection; --wrong: it finds fault with the first answer."""

import socket
import sys
from argparse import ArgumentParser

from conversation import converse

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


try:
    with socket.create_connection(("127.0.0.1", options.port), timeout=20) as peer:
        converse(peer, ask)
except OSError as error:
    sys.exit(f"echo_load: {error}")
