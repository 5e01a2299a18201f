"""Everything at once, for as long as ASIOSERVE_SOAK_SECONDS says; run by `./test.sh --full`, not by default.

Connections come, go, break off and misbehave at random; afterwards the server must hold nothing of them.
"""

import contextlib
import os
import random
import threading
import time
import uuid

import pytest
from blackbox.client import Client, Closed, compose
from blackbox.leaks import Watch
from blackbox.server import ServerProcess, rss_kib
from test_same_bytes import REQUESTS

SECONDS = float(os.environ.get("ASIOSERVE_SOAK_SECONDS", "30"))
THREADS = 4


def _peer(server: ServerProcess, seed: int, until: float, errors: list[str]) -> None:
    rng = random.Random(seed)
    names = [name for name in REQUESTS if not name.startswith("too la")]
    while time.monotonic() < until:
        try:
            _connection(server, rng, names)
        except (Closed, ConnectionError, BrokenPipeError):
            continue  # Not an error: half of what is sent asks for it.
        except OSError as error:
            if not isinstance(error, TimeoutError) and error.errno in (9, 107):
                continue
            errors.append(repr(error))
            return
        except Exception as error:
            errors.append(repr(error))
            return


def _connection(server: ServerProcess, rng: random.Random, names: list[str]) -> None:
    with Client(server.address, rcvbuf=rng.choice([0, 0, 4096])) as client:
        match rng.randrange(6):
            case 0:  # A well-behaved peer.
                for _ in range(rng.randrange(1, 50)):
                    n = rng.randrange(1000)
                    assert client.get(f"/items/{n}").json() == {"id": n}
            case 1:  # A pipeline.
                many = rng.randrange(1, 100)
                client.send(compose("GET", "/wait-for/sleep/2") * many)
                for _ in range(many):
                    assert client.read().json() == {"slept": 2}
            case 2:  # A stream, perhaps left in the middle.
                client.send(
                    compose("GET", f"/stream/endless/{uuid.uuid4().hex}?size={rng.randrange(1, 100_000)}")
                )
                client.read_head()
                for _ in range(rng.randrange(20)):
                    client.read_chunk()
                client.reset()
            case 3:  # Anything of the table, cut anywhere, perhaps not to its end.
                data = REQUESTS[rng.choice(names)]
                end = rng.choice([len(data), rng.randrange(len(data) + 1)])
                cut = rng.randrange(end + 1)
                client.send(data[:cut])
                client.send(data[cut:end])
                if rng.random() < 0.7:
                    with contextlib.suppress(OSError):
                        client.end_sending()
                    client.read_to_end()
            case 4:  # An echo of both directions at once.
                body = rng.randbytes(rng.randrange(200_000))
                assert client.request("POST", "/upload/echo", body=body).body == body
            case _:  # A handler whose peer has gone.
                name = uuid.uuid4().hex
                client.send(compose("GET", f"/disconnect/kept/{name}"))
                if rng.random() < 0.5:
                    client.reset()
                with Client(server.address) as other:
                    other.request("POST", f"/debug/set/{name}")


@pytest.mark.timeout(SECONDS * 3 + 120)
def test_a_server_holds_nothing_of_the_peers_it_had(server: ServerProcess) -> None:
    errors: list[str] = []
    memory: list[int] = []
    watch = Watch(server)
    # The first part warms up allocators and caches; growth is looked for in what follows.
    for part in range(4):
        until = time.monotonic() + SECONDS / 4
        peers = [
            threading.Thread(target=_peer, args=(server, part * THREADS + n, until, errors))
            for n in range(THREADS)
        ]
        for peer in peers:
            peer.start()
        for peer in peers:
            peer.join()
        assert not errors, (errors, server.log[-4000:])
        watch.check()
        with Client(server.address) as client:
            assert client.request("POST", "/debug/forget").status == 200
        memory.append(rss_kib(server.serving_pid()))
    assert memory[-1] < memory[1] + 16 * 1024, f"resident memory grows: {memory} KiB"
