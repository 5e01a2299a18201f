"""producer | filter | consumer, as processes whose pipes go through the loop, each held back by the next one."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from asyncio.subprocess import PIPE

import pytest

PRODUCER = "import sys\nfor i in range(60_000): sys.stdout.write(f'line {i} ' + 'x' * 50 + '\\n')"
FILTER = (
    "import sys\nfor line in sys.stdin:\n    if int(line.split()[1]) % 3 == 0: sys.stdout.write(line.upper())"
)
CONSUMER = "import sys, hashlib\nprint(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"


async def _python(code: str, *, reads: bool = True) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=PIPE if reads else None, stdout=PIPE, limit=1 << 14
    )


async def _pump(reader: asyncio.StreamReader | None, writer: asyncio.StreamWriter | None) -> int:
    assert reader and writer
    moved = 0
    while data := await reader.read(5000):
        writer.write(data)
        await writer.drain()
        moved += len(data)
    writer.close()
    await writer.wait_closed()
    return moved


def test_what_one_program_prints_the_next_one_reads(runner: asyncio.Runner) -> None:
    wanted = hashlib.sha256()
    for i in range(0, 60_000, 3):
        wanted.update(f"LINE {i} {'X' * 50}\n".encode())

    async def main() -> None:
        producer, chooser, consumer = await asyncio.gather(
            _python(PRODUCER, reads=False), _python(FILTER), _python(CONSUMER)
        )
        async with asyncio.timeout(60):
            first, second, out = await asyncio.gather(
                _pump(producer.stdout, chooser.stdin),
                _pump(chooser.stdout, consumer.stdin),
                consumer.stdout.read() if consumer.stdout else asyncio.sleep(0, b""),
            )
            assert [await p.wait() for p in (producer, chooser, consumer)] == [0, 0, 0]
        assert first > 3_000_000 and first // 4 < second < first // 2
        assert out.decode().strip() == wanted.hexdigest()

    runner.run(main())


def test_a_reader_that_stops_holds_the_writer_back(runner: asyncio.Runner) -> None:
    endless = "import sys\nwhile True: sys.stdout.write('y' * 999 + '\\n')"

    async def main() -> None:
        process = await _python(endless, reads=False)
        assert process.stdout
        assert await process.stdout.readline() == b"y" * 999 + b"\n"
        # Nobody reads on: the stream's buffer fills to its limit, and no further.
        while not process.stdout._paused:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        assert len(process.stdout._buffer) < 400_000  # type: ignore[attr-defined]
        process.kill()
        # What it had printed before is still there.
        assert (await process.stdout.read())[:1001] == b"y" * 999 + b"\ny"
        assert await process.wait() == -9

    runner.run(main())


def test_a_consumer_that_leaves_is_a_broken_pipe(runner: asyncio.Runner) -> None:
    async def main() -> None:
        process = await _python("import sys; sys.stdin.close()")
        assert process.stdin and process.stdout
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                process.stdin.write(bytes(100_000))
                await process.stdin.drain()
        assert await process.wait() == 0
        assert await process.stdout.read() == b""
        process.stdin.close()

    runner.run(main())


def test_a_shell_pipeline_and_a_time_limit(runner: asyncio.Runner) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_shell("seq 1 100000 | grep 7 | wc -l", stdout=PIPE)
        out, _ = await process.communicate()
        assert int(out) == sum("7" in str(i) for i in range(1, 100_001))
        sleeper = await asyncio.create_subprocess_exec("sleep", "60")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sleeper.wait(), 0.02)
        sleeper.terminate()
        assert await sleeper.wait() == -15

    runner.run(main())


def test_many_at_once(runner: asyncio.Runner) -> None:
    async def one(i: int) -> bytes:
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        out, _ = await process.communicate(str(i).encode() * 20_000)
        assert process.returncode == 0
        return out

    async def main() -> None:
        got = await asyncio.gather(*(one(i) for i in range(30)))
        assert got == [str(i).encode() * 20_000 for i in range(30)]

    runner.run(main())
