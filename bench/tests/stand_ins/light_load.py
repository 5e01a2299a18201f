"""light_load's protocol over one real connection: each run is as many requests as fit."""

import socket
import sys
from argparse import ArgumentParser

from conversation import converse

cli = ArgumentParser()
cli.add_argument("--host")
cli.add_argument("--port", type=int)
cli.add_argument("--connections", type=int)
cli.add_argument("--depth", type=int)
cli.add_argument("--request", action="append")
options = cli.parse_args()


def ask(connection: socket.socket) -> None:
    connection.sendall(options.request[0].encode())
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        sys.exit(f"light_load: answer is not 200: {answer[:20].decode() or 'none'}")


with socket.create_connection((options.host, options.port)) as peer:
    converse(peer, ask)
