"""What `pip install .` gives."""

from __future__ import annotations

import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from installation import ROOT, Installed, run

pytestmark = pytest.mark.timeout(600)

SMOKE = """
import asyncio, sys, asioloop, asioserve

async def answer(reader, writer):
    writer.write((await reader.readline()).upper())
    writer.close()
    await writer.wait_closed()

async def main():
    assert type(asyncio.get_running_loop()) is asioloop.Loop
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\\n")
        said = await reader.read()
        writer.close()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(6 * 7)", stdout=-1)
    return said, (await process.communicate())[0]

print(asioloop.run(main()), asioloop.__version__, asioserve.__version__, asioserve.App().__class__.__name__)
"""


def version() -> str:
    line = (ROOT / "common/asioserve/__init__.py").read_text().partition("__version__ = ")[2]
    return line.split()[0].strip('"')


def metadata(wheel: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        message = Parser().parsestr(archive.read(name).decode())
    return {key: message.get_all(key) or [] for key in message}


@pytest.mark.parametrize("how", ["from_wheel", "from_sdist"])
def test_a_program_runs_on_the_installed_loop(how: str, request: pytest.FixtureRequest) -> None:
    installed: Installed = request.getfixturevalue(how)
    said = installed(SMOKE).stdout
    assert said == f"(b'HELLO\\n', b'42\\n') {version()} {version()} App\n"


def test_wheel_and_sdist_give_the_same_build(from_wheel: Installed, from_sdist: Installed) -> None:
    code = "import _asioloop; print(_asioloop.build_id)"
    assert from_wheel(code).stdout == from_sdist(code).stdout
    assert from_wheel(code).stdout.startswith(version())


def test_the_wheel_has_two_packages_a_module_and_its_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    roots = {name.partition("/")[0] for name in names}
    (module,) = (name for name in roots if name.endswith(".so"))
    assert module.startswith("_asioloop.cpython-3")
    info = f"asioloop-{version()}.dist-info"
    assert roots == {"asioloop", "asioserve", "_asioloop-stubs", module, info}
    assert {"asioloop/py.typed", "asioserve/py.typed", "_asioloop-stubs/__init__.pyi"} <= names
    for package in ("stage3_native_loop/asioloop", "common/asioserve"):
        folder = ROOT / package
        assert {f"{folder.name}/{path.name}" for path in folder.glob("*.py")} <= names
    assert not [
        name
        for name in names
        if not name.endswith((".py", ".pyi", ".so", "py.typed", "include/asioloop.h")) and info not in name
    ]


def test_an_extension_of_somebody_elses_is_built_against_it(from_wheel: Installed, tmp_path: Path) -> None:
    told = "import asioloop, sysconfig; print(asioloop.get_include(), sysconfig.get_path('include'))"
    flags = [f"-isystem{folder}" for folder in from_wheel(told).stdout.split()]
    module = tmp_path / "own_thread.so"
    run("g++", "-shared", "-fPIC", *flags, ROOT / "examples/cpp/own_thread.cpp", "-o", module)
    code = """
import sys; sys.path.append(sys.argv[1])
import asioloop, own_thread
async def main(): return await own_thread.sum_of_squares(3)
print(asioloop.run(main()))
"""
    assert from_wheel(code, tmp_path).stdout == "14\n"


def test_the_wheel_needs_nothing(wheel: Path) -> None:
    said = metadata(wheel)
    assert said["Name"] == ["asioloop"]
    assert said["Version"] == [version()]
    assert said["Requires-Python"] == [">=3.11"]
    assert "Requires-Dist" not in said


def test_the_module_shows_one_symbol_and_needs_no_libpython(from_wheel: Installed) -> None:
    (module,) = from_wheel.site.glob("_asioloop.*.so")
    shown = run("nm", "-D", "--defined-only", module).stdout.split()
    assert [name for name in shown if "asio" in name.lower() and "@" not in name] == ["PyInit__asioloop"]
    assert "libpython" not in run("readelf", "-d", module).stdout


def test_the_sdist_has_what_the_build_needs_and_no_more(sdist: Path, wheel: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if "/" in name}
    assert {name.partition("/")[0] for name in names} == {
        *("PKG-INFO", "pyproject.toml", "cmake", "common", "stage3_native_loop"),
    }
    assert not [
        name for name in names if "tests" in name or "bench" in name or name.endswith((".pyc", ".so"))
    ]
    # What the build reads, by its own account.
    tag = wheel.stem.split("-", 2)[2]
    lines = (ROOT / f"build/wheel-{tag}/native/build_id/made_of.txt").read_text().split()
    made_of = {str(Path(line).relative_to(ROOT)) for line in lines}
    assert len(made_of) > 50
    assert made_of <= names
    assert not [name for name in names if name.startswith(("common/http", "common/app"))]


def test_build_requirements_are_those_of_the_repositorys_own_environment() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pinned = {
        line.partition("==")[0]
        for line in (ROOT / "scripts/requirements.txt").read_text().splitlines()
        if "==" in line
    }
    assert {text.partition(">")[0] for text in project["build-system"]["requires"]} <= pinned


#: What is missing, the environment that hides it, and the words that say what to do.
MISSING = [
    ("Asio", ["-DCMAKE_SYSTEM_IGNORE_PATH=/usr/include"], {}, "apt-get install libasio-dev"),
    ("compiler", [], {"CXX": "/nowhere/c++"}, "apt-get install g++"),
]


@pytest.mark.parametrize(("what", "arguments", "env", "words"), MISSING, ids=[m[0] for m in MISSING])
def test_what_is_missing_is_said(
    what: str, arguments: list[str], env: dict[str, str], words: str, tmp_path: Path
) -> None:
    source = ROOT / "stage3_native_loop" / "package"
    done = run("cmake", "-G", "Ninja", "-S", source, "-B", tmp_path, *arguments, env=env, check=False)
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if what in line]
    assert any(words in line for line in errors), done.stderr
