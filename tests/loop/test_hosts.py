"""Every way in which a program, a test framework or a server is told which loop to use, by a program that uses it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = """
import asyncio, sys, warnings, asioloop

async def main():
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__
"""


def environment() -> dict[str, str]:
    path = os.pathsep.join([os.environ["ASIOSERVE_EXT_DIR"], os.environ.get("PYTHONPATH", "")])
    # What CPython and the plugins leave at their end is theirs, and other tests look for leaks of ours.
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return {**os.environ, "PYTHONPATH": path, "ASAN_OPTIONS": sanitizer}


def python(*arguments: str | Path, cwd: Path | None = None) -> str:
    """What it printed, every warning an error."""
    done = subprocess.run(
        (sys.executable, "-W", "error", *arguments),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- asyncio's own ways ------------------------------------------------------------------------------------------------

#: What makes the loop, and from which Python on.
WAYS = {
    "run": "asioloop.run(main())",
    "run in debug mode": "asioloop.run(main(), debug=True)",
    "asyncio.Runner": "asyncio.Runner(loop_factory=asioloop.new_event_loop).run(main())",
    "the class is a factory": "asyncio.Runner(loop_factory=asioloop.Loop).run(main())",
    "by hand": "asioloop.new_event_loop().run_until_complete(main())",
    "the policy": "asioloop.EventLoopPolicy().new_event_loop().run_until_complete(main())",
}
if sys.version_info >= (3, 12):
    WAYS["asyncio.run"] = "asyncio.run(main(), loop_factory=asioloop.new_event_loop)"


@pytest.mark.parametrize("way", WAYS)
def test_a_program_gets_the_loop(way: str) -> None:
    # A runner or a loop that nobody closes is the program's fault, and not what is looked at here.
    code = f"{MAIN}\nwarnings.simplefilter('ignore', ResourceWarning)\nprint({WAYS[way]})"
    assert python("-c", code) == "asioloop._loop\n"


INSTALL = f"""{MAIN}
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    asioloop.install()
print([(w.category.__name__, w.filename) for w in seen])
print(asyncio.run(main()))
with asyncio.Runner() as runner:
    print(runner.run(main()))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    asyncio.set_event_loop_policy(None)
print(asyncio.run(main()))
"""


def test_install_makes_it_the_loop_of_whoever_names_none() -> None:
    """3.14 deprecates policies: there, and only there, the caller is told so."""
    warned = [("DeprecationWarning", "<string>")] if sys.version_info >= (3, 14) else []
    said = python("-c", INSTALL).splitlines()
    assert said == [str(warned), "asioloop._loop", "asioloop._loop", "asyncio.unix_events"]


def test_an_import_warns_of_nothing_and_brings_nothing_else_along() -> None:
    """What asyncio has not imported already, importing asioloop would pay for."""
    code = """
import asyncio, sys
before = set(sys.modules)
import asioloop
print(*sorted(set(sys.modules) - before))
from asioloop import *
print(*sorted(set(sys.modules) - before))
print(EventLoopPolicy.__name__, *(name for name in asioloop.__all__ if name not in dir(asioloop)))
"""
    first, second, policy = python("-c", code).splitlines()
    loaded = set(first.split())
    assert "_asioloop" in loaded
    others = {"__future__", "typing", "_typing"}
    assert {name.partition(".")[0] for name in loaded} - others == {"_asioloop", "asioloop"}
    assert set(second.split()) - loaded == {"asioloop._policy"}
    assert policy == "EventLoopPolicy"


def test_what_there_is_not_is_an_attribute_error() -> None:
    import asioloop

    with pytest.raises(AttributeError, match="module 'asioloop' has no attribute 'nonsense'"):
        asioloop.nonsense  # noqa: B018


# --- test frameworks ---------------------------------------------------------------------------------------------------

if sys.version_info >= (3, 13):
    # A function would become a method of the test case.
    @pytest.mark.parametrize("factory", ["asioloop.Loop", "staticmethod(asioloop.new_event_loop)"])
    def test_unittest_takes_a_loop_factory(factory: str, tmp_path: Path) -> None:
        (tmp_path / "test_it.py").write_text(
            f"""
import asyncio, unittest, asioloop

class It(unittest.IsolatedAsyncioTestCase):
    loop_factory = {factory}

    async def asyncSetUp(self):
        self.loop = asyncio.get_running_loop()

    async def test_the_loop(self):
        self.assertIs(type(self.loop), asioloop.Loop)
        self.assertIs(self.loop, asyncio.get_running_loop())
        await asyncio.sleep(0)
        print("ran", end="")
"""
        )
        assert python("-m", "unittest", "-q", "test_it", cwd=tmp_path) == "ran"


_ASYNCIO = ("-p", "asyncio", "-p", "no:anyio", "-o", "asyncio_default_fixture_loop_scope=function")
PYTEST = {
    "pytest-asyncio, by its hook": (
        "import asioloop\ndef pytest_asyncio_loop_factories(config, item):\n"
        "    return {'asioloop': asioloop.new_event_loop}\n",
        "@pytest.mark.asyncio",
        _ASYNCIO,
    ),
    "pytest-asyncio, by its older fixture": (
        "import asioloop, pytest\n@pytest.fixture(scope='session')\n"
        "def event_loop_policy():\n    return asioloop.EventLoopPolicy()\n",
        "@pytest.mark.asyncio",
        (*_ASYNCIO, "-W", "ignore::DeprecationWarning"),
    ),
    "anyio": (
        "import asioloop, pytest\n@pytest.fixture\ndef anyio_backend():\n"
        "    return 'asyncio', {'loop_factory': asioloop.new_event_loop}\n",
        "@pytest.mark.anyio",
        ("-p", "anyio", "-p", "no:asyncio"),
    ),
}


@pytest.mark.parametrize("how", PYTEST)
def test_plugins_of_pytest_take_it(how: str, tmp_path: Path) -> None:
    conftest, mark, options = PYTEST[how]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_it.py").write_text(
        f"""
import asyncio, asioloop, pytest

{mark}
async def test_the_loop():
    await asyncio.sleep(0)
    assert type(asyncio.get_running_loop()) is asioloop.Loop
"""
    )
    said = python("-m", "pytest", "-q", "-p", "no:cacheprovider", *options, cwd=tmp_path)
    assert re.search(r"^1 passed in ", said, re.M), said


def test_anyio_runs_on_it() -> None:
    options = "{'loop_factory': asioloop.new_event_loop}"
    code = f"{MAIN}\nimport anyio\nprint(anyio.run(main, backend='asyncio', backend_options={options}))"
    assert python("-c", code) == "asioloop._loop\n"


# --- servers -----------------------------------------------------------------------------------------------------------

APP = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = type(asyncio.get_running_loop()).__module__.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def test_uvicorn_takes_it_by_name(tmp_path: Path) -> None:
    (tmp_path / "it.py").write_text(APP)
    command = [sys.executable, "-m", "uvicorn", "it:app", "--loop", "asioloop:new_event_loop"]
    command += ["--uds", str(tmp_path / "socket"), "--lifespan", "off"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        try:
            seen = []
            for line in server.stderr:
                seen.append(line)
                if "Uvicorn running on" in line:
                    break
            else:
                raise AssertionError("".join(seen))
            connection = UnixConnection(tmp_path / "socket")
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"asioloop._loop"
            connection.close()
        finally:
            server.send_signal(signal.SIGTERM)
            said = server.stderr.read()
    assert "Finished server process" in said
    assert server.returncode in (0, -signal.SIGTERM)
