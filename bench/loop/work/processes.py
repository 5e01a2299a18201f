"""Child processes."""

import asyncio
import shutil

from bench.loop.work import Batch, Site

MIB = 1024 * 1024
OUTPUT = 32 * MIB


async def spawn(site: Site) -> Batch:
    """The shortest program there is, one after the other."""
    program = shutil.which("true") or "true"

    async def batch() -> int:
        process = await asyncio.create_subprocess_exec(program)
        if await process.wait():
            raise RuntimeError("true was false")
        return 1

    return batch


class _Reader(asyncio.SubprocessProtocol):
    def __init__(self, ended: "asyncio.Future[int]") -> None:
        self._ended = ended
        self._got = 0
        self._left = 2

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._got += len(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._one_less()

    def process_exited(self) -> None:
        self._one_less()

    def _one_less(self) -> None:
        self._left -= 1
        if not self._left:
            self._ended.set_result(self._got)


async def pipe(site: Site) -> Batch:
    """A program that writes as fast as its pipe is read; on the other core, as a child inherits ours."""
    loop = site.loop
    line = ["head", "-c", str(OUTPUT), "/dev/zero"]
    if site.other_core is not None:
        line = ["taskset", "-c", str(site.other_core), *line]

    async def batch() -> int:
        ended: asyncio.Future[int] = loop.create_future()
        transport, _ = await loop.subprocess_exec(lambda: _Reader(ended), *line, stdin=None, stderr=None)
        got = await ended
        transport.close()
        if got != OUTPUT:
            raise RuntimeError(f"{got} bytes came, and not {OUTPUT}")
        return got

    return batch
