"""Each workload does what its row says, on asyncio's own loop."""

import asyncio
import gc
import socket
import ssl
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bench.loop.rows import WORKLOADS, Load, Workload
from bench.loop.run import make_certificate
from bench.loop.work import Address, Batch, Site
from bench.loop.work.protocols import MESSAGE
from bench.loop.worker import function_of, run_inside

INSIDE = [row for row in WORKLOADS.values() if row.work and row.load is None]
SERVED = [row for row in WORKLOADS.values() if row.load is not None and row.load.transport != "udp"]


def _on_asyncio(folder: Path, what: Callable[[Site], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        result = await what(Site(loop, folder))
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return result

    # A workload ends with its process and closes nothing; here the collector finds what is left.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with asyncio.Runner() as runner:
            result = runner.run(main())
        gc.collect()
    return result


@pytest.mark.parametrize("row", INSIDE, ids=lambda row: row.key)
def test_a_batch_says_how_much_it_did(row: Workload, tmp_path: Path) -> None:
    async def one(site: Site) -> int:
        batch: Batch = await function_of(row.work)(site)
        return await batch()

    assert _on_asyncio(tmp_path, one) >= 1


def test_a_run_counts_at_least_one_batch_and_its_time(tmp_path: Path) -> None:
    figures = _on_asyncio(tmp_path, lambda site: run_inside(site, "scheduling.call_soon", 0.001))
    assert figures["count"] >= 2000
    assert figures["seconds"] > 0 and figures["cpu_seconds"] > 0


async def _ask(load: Load, address: Address, messages: int) -> list[bytes]:
    if load.transport == "unix":
        reader, writer = await asyncio.open_unix_connection(address.path)
    else:
        context = None
        if load.transport == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port, ssl=context)
    answers = []
    for _ in range(messages):
        writer.write(MESSAGE[: load.request])
        answers.append(await reader.readexactly(load.answer))
    writer.close()
    await writer.wait_closed()
    return answers


@pytest.mark.parametrize("row", SERVED, ids=lambda row: row.key)
def test_what_is_served_is_what_the_load_compares_with(row: Workload, tmp_path: Path) -> None:
    load = row.load
    assert load is not None
    if load.transport == "tls":
        make_certificate(tmp_path)

    async def one(site: Site) -> list[bytes]:
        address: Address = await function_of(row.work)(site)
        return await asyncio.wait_for(_ask(load, address, 2), 30)

    assert _on_asyncio(tmp_path, one) == [MESSAGE[: load.answer]] * 2


def test_datagrams_come_back(tmp_path: Path) -> None:
    async def one(site: Site) -> bytes:
        address: Address = await function_of("udp.protocol")(site)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", address.port))
            await site.loop.sock_sendall(client, MESSAGE[:512])
            return await asyncio.wait_for(site.loop.sock_recv(client, 2048), 30)

    assert _on_asyncio(tmp_path, one) == MESSAGE[:512]


def test_byte_i_of_a_message_is_the_same_on_both_sides() -> None:
    assert len(MESSAGE) == 1024 * 1024
    assert all(MESSAGE[i] == i * 31 % 256 for i in range(1000))


def test_the_rows_that_the_loop_is_judged_by_are_there() -> None:
    keys = set(WORKLOADS)
    for size in ("64b", "1k", "100k"):
        assert {f"tcp_{size}_{style}" for style in ("protocol", "buffered", "streams")} <= keys
    assert {"call_soon", "threadsafe", "timers", "timers_due", "gather", "udp_512", "tls_1k", "spawn"} <= keys
    assert [key for key, row in WORKLOADS.items() if row.key != key] == []
    assert WORKLOADS["tcp_idle"].idle == 1000
