"""Loops in sub-interpreters, with a GIL of their own and with the main one's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: What the standard library calls them: _interpreters is the one behind 3.14's concurrent.interpreters.
INTERPRETERS = """
import sys, threading
try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters
    def create(own): return _xxsubinterpreters.create(isolated=own)
    run, destroy = _xxsubinterpreters.run_string, _xxsubinterpreters.destroy
else:
    def create(own): return _interpreters.create("isolated" if own else "legacy")
    destroy = _interpreters.destroy
    def run(interpreter, code):
        failed = _interpreters.exec(interpreter, code)
        if failed is not None:
            raise RuntimeError(failed.errdisplay)
own = sys.argv[1] == "own"
PROGRAM = sys.argv[2]
"""

PROGRAM = """
import asyncio, threading, asioloop

async def main():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\\n")
        assert await reader.read() == b"hello\\n"
        writer.close()
        await writer.wait_closed()
    loop = asyncio.get_running_loop()
    called = asyncio.Event()
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(called.set,))
    thread.start()
    await called.wait()
    thread.join()
    await asyncio.gather(*(asyncio.sleep(i / 1000) for i in range(5)))
    loop.cycle = lambda: loop

asioloop.run(main())
"""

IN_TURN_AND_AT_ONCE = """
here = {}
exec(PROGRAM, here)
interpreters = [create(own) for _ in range(3)]
for interpreter in interpreters:
    run(interpreter, PROGRAM)

def again(interpreter):
    run(interpreter, PROGRAM)
    done.append(interpreter)

done = []
threads = [threading.Thread(target=again, args=(i,)) for i in interpreters]
for thread in threads: thread.start()
exec(PROGRAM, here)
for thread in threads: thread.join()
assert sorted(map(str, done)) == sorted(map(str, interpreters))
for interpreter in interpreters:
    destroy(interpreter)
exec(PROGRAM, here)
print("well")
"""

REFUSED = """
interpreter = create(own)
try:
    run(interpreter, "import asioloop")
except Exception as exc:
    print(exc)
destroy(interpreter)
import asioloop
print(asioloop.Loop.__name__)
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # An interpreter leaves behind as much with asyncio's own loop, to the byte: CPython's, and not looked at here.
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    path = os.pathsep.join([os.environ["ASIOSERVE_EXT_DIR"], os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        (sys.executable, "-X", "faulthandler", "-c", code, *arguments),
        env={**os.environ, "PYTHONPATH": path, "ASAN_OPTIONS": sanitizer},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("gil", ["own", "shared"])
def test_sub_interpreters_have_loops_of_their_own(gil: str) -> None:
    if sys.version_info >= (3, 12):
        done = python(INTERPRETERS + IN_TURN_AND_AT_ONCE, gil, PROGRAM)
        assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr
        return
    done = python(INTERPRETERS + REFUSED, gil, PROGRAM)
    assert done.returncode == 0, done.stderr
    why, main = done.stdout.splitlines()
    assert "ImportError" in why
    assert "asioloop works in sub-interpreters from Python 3.12 on" in why
    assert main == "Loop"
