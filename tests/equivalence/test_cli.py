"""The command line, the same for every program; and what is said when it is wrong."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from blackbox.client import Client, Connect
from blackbox.server import APPS, Pool, ServerProcess, run, wait_for

Start = Callable[..., ServerProcess]


def one_clear_line(log: str, *words: str) -> None:
    """The error is told once, without a stack, and names its cause."""
    assert "Traceback" not in log, log
    said = [line for line in log.splitlines() if line.strip()]
    assert any(all(word in line for word in words) for line in said), log
    assert len(said) <= 4, log


class TestApp:
    def test_a_module_and_an_attribute(self, start: Start, connect: Connect) -> None:
        assert connect(start("forms:app")).get("/").json() == {"name": "app"}

    def test_the_attribute_is_app_by_default(self, start: Start, connect: Connect) -> None:
        assert connect(start("forms")).get("/").json() == {"name": "app"}

    def test_a_dotted_attribute(self, start: Start, connect: Connect) -> None:
        assert connect(start("forms:holder.app")).get("/").json() == {"name": "held"}

    def test_a_file(self, start: Start, connect: Connect) -> None:
        assert connect(start("forms.py:app")).get("/").json() == {"name": "app"}

    def test_a_file_with_a_path_imports_its_neighbours(
        self, start: Start, connect: Connect, tmp_path: Path
    ) -> None:
        server = start(str(APPS / "forms.py") + ":other", cwd=tmp_path)
        assert connect(server).get("/").json() == {"name": "other"}

    def test_a_package_s_module(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        (tmp_path / "pack").mkdir()
        (tmp_path / "pack" / "__init__.py").write_text("")
        (tmp_path / "pack" / "web.py").write_text(
            "from asioserve import App\napp = App()\n@app.get('/')\nasync def root():\n    return {'name': __name__}\n"
        )
        assert connect(start("pack.web:app", cwd=tmp_path)).get("/").json() == {"name": "pack.web"}

    def test_app_dir(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        server = start("forms:app", "--app-dir", str(APPS), cwd=tmp_path)
        assert connect(server).get("/").json() == {"name": "app"}

    def test_factory(self, start: Start, connect: Connect) -> None:
        assert connect(start("forms:make", "--factory")).get("/").json() == {"name": "made"}

    def test_arguments_of_the_app(self, start: Start, connect: Connect) -> None:
        server = start("forms:app", "--", "one", "--two")
        assert connect(server).get("/argv").json()["argv"][1:] == ["one", "--two"]

    @pytest.mark.parametrize(
        ("app", "words"),
        [
            ("no_such_module:app", ("no_such_module",)),
            ("no_such_file.py:app", ("no_such_file.py",)),
            ("forms:nothing", ("nothing",)),
            ("forms:number", ("number",)),
            ("forms:make_nothing", ("make_nothing",)),
        ],
    )
    def test_what_can_not_be_imported(self, kind: str, app: str, words: tuple[str, ...]) -> None:
        code, log = run(kind, app, "--port", "0")
        assert code == 1, log
        one_clear_line(log, *words)

    def test_an_app_that_raises_tells_file_and_line(self, kind: str) -> None:
        code, log = run(kind, "broken_app:app", "--port", "0")
        assert code == 1, log
        assert re.search(r"broken_app\.py\D+3", log), log
        assert "the config is missing" in log

    def test_an_app_with_a_syntax_error_tells_file_and_line(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "wrong.py").write_text("x = 1\ndef f(:\n    pass\n")
        code, log = run(kind, "wrong:app", "--port", "0", cwd=tmp_path)
        assert code == 1, log
        assert re.search(r"wrong\.py\D+2", log), log

    def test_sys_exit_at_import_is_the_exit_code(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "leaves.py").write_text("import sys\nsys.exit(5)\n")
        code, log = run(kind, "leaves:app", "--port", "0", cwd=tmp_path)
        assert code == 5, log


class TestWrongFlags:
    @pytest.mark.parametrize(
        "flags",
        [
            ["--no-such-flag"],
            ["--port", "x"],
            ["--port", "70000"],
            ["--port", "-1"],
            ["--timeout-keep-alive", "soon"],
            ["--timeout-header", "5 parsecs"],
            ["--limit-body", "much"],
            ["--log-level", "loud"],
            ["--header", "no-colon"],
            ["--header", "bad name: x"],
            ["--sync", "sometimes"],
            ["--backlog", "many"],
            ["--metrics-path", "no-slash"],
            ["--env-file", "/no/such/file"],
            ["--config", "/no/such/file"],
        ],
    )
    def test_one_line_and_exit_2(self, kind: str, flags: list[str]) -> None:
        code, log = run(kind, "main:app", *flags)
        assert code == 2, log
        one_clear_line(log, flags[1] if flags[0] == "--config" else flags[0])

    def test_no_app_at_all(self, kind: str) -> None:
        code, log = run(kind)
        assert code == 2, log
        one_clear_line(log, "app?", "module:attr")

    @pytest.mark.parametrize("flags", [["--stage", "4"], ["--stage", "x"], ["--fallback", "5"]])
    def test_wrong_stages(self, flags: list[str]) -> None:
        code, log = run("asioserve", "main:app", *flags)
        assert code == 2, log


class TestWords:
    def test_version(self, kind: str) -> None:
        code, out = run(kind, "--version")
        assert code == 0
        assert re.search(r"\b\d+\.\d+\.\d+\b", out)

    def test_help_names_every_flag_and_says_that_def_blocks(self, kind: str) -> None:
        code, out = run(kind, "--help")
        assert code == 0
        for flag in [
            "--host",
            "--port",
            "--uds",
            "--fd",
            "--backlog",
            "--app-dir",
            "--factory",
            "--log-level",
            "--access-log",
            "--no-access-log",
            "--limit-head",
            "--limit-body",
            "--limit-connections",
            "--timeout-keep-alive",
            "--timeout-header",
            "--timeout-body",
            "--timeout-graceful-shutdown",
            "--header",
            "--server-header",
            "--date-header",
            "--env-file",
            "--config",
            "--sync",
            "--metrics-path",
            "--status-path",
            "--version",
        ]:
            assert flag in out, flag
        assert "block" in out.lower()
        assert "fault" not in out, "hidden flags stay hidden"


class TestHeaders:
    def test_added_ones(self, kind: str, pool: Pool, connect: Connect) -> None:
        server = pool.get(
            kind,
            "main:app",
            "--header",
            "X-One: 1",
            "--header",
            "X-Two:2",
            "--no-server-header",
            "--no-date-header",
        )
        for path in ("/hello", "/stream/async/1", "/nothing", "/errors/unhandled"):
            answer = connect(server).get(path)
            assert (answer.header("x-one"), answer.header("x-two")) == ("1", "2")
            assert answer.header("server") is None
            assert answer.header("date") is None

    def test_a_server_header_of_ones_own(self, kind: str, pool: Pool, connect: Connect) -> None:
        server = pool.get(kind, "main:app", "--no-server-header", "--header", "Server: mine")
        assert connect(server).get("/hello").all("server") == ["mine"]


class TestFiles:
    def test_env_file_is_read_before_the_import(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        file = tmp_path / "env"
        file.write_text(
            "# a comment\nFROM_FILE=one\nQUOTED='two words'\nexport EXPORTED=three\n\nFROM_BOTH=file\n"
        )
        server = start("forms:app", "--env-file", str(file), env={"FROM_BOTH": "environment"})
        got = connect(server).get("/environ").json()
        assert got["at_import"] == "one"
        assert got["QUOTED"] == "two words"
        assert got["EXPORTED"] == "three"
        assert got["FROM_BOTH"] == "environment", "what is set already stays"

    def test_config(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text('timeout-keep-alive = "1h30m"\nlimit-body = "1KiB"\nheader = ["X-From: file"]\n')
        server = start("main:app", "--config", str(file))
        client = connect(server)
        assert client.get("/hello").header("x-from") == "file"
        assert client.request("POST", "/body/raw", body=b"x" * 2000).status == 413

    def test_the_command_line_wins_over_the_config(
        self, start: Start, connect: Connect, tmp_path: Path
    ) -> None:
        file = tmp_path / "config.toml"
        file.write_text('limit-body = "1KiB"\n')
        server = start("main:app", "--config", str(file), "--limit-body", "10KiB")
        assert connect(server).request("POST", "/body/raw", body=b"x" * 2000).status == 200

    def test_a_misspelt_key_is_an_error(self, kind: str, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text("timeout-keepalive = 5\n")
        code, log = run(kind, "main:app", "--config", str(file), "--port", "0")
        assert code == 2, log
        one_clear_line(log, "timeout-keepalive")

    def test_variables_of_the_environment(self, start: Start, connect: Connect) -> None:
        server = start("main:app", env={"ASIOSERVE_LIMIT_BODY": "1KiB"})
        assert connect(server).request("POST", "/body/raw", body=b"x" * 2000).status == 413


class TestLogs:
    def test_the_access_log_has_a_line_for_each_request(self, start: Start, connect: Connect) -> None:
        server = start("main:app")
        client = connect(server)
        assert client.get("/items/5?x=1").status == 200
        assert client.get("/nothing").status == 404
        server.wait_for_log(r'"GET /items/5\?x=1 HTTP/1\.1" 200')
        server.wait_for_log(r'"GET /nothing HTTP/1\.1" 404')

    def test_a_target_can_not_forge_a_line(self, start: Start, connect: Connect) -> None:
        server = start("main:app")
        client = connect(server)
        client.send(b"GET /x%0d%0aforged\x7f\x1b HTTP/1.1\r\nHost: t\r\n\r\n")
        client.read()
        assert connect(server).get("/hello").status == 200
        assert server.stop() == 0
        assert "\nforged" not in server.log
        assert "\x1b" not in "\n".join(line for line in server.log.splitlines() if "forged" in line)

    def test_no_access_log(self, start: Start, connect: Connect) -> None:
        server = start("main:app", "--no-access-log")
        assert connect(server).get("/items/5").status == 200
        assert server.stop() == 0
        assert "/items/5" not in server.log

    def test_log_level(self, kind: str, tmp_path: Path) -> None:
        """Nothing but what is critical: not even where it listens, so a Unix socket it is."""
        path = tmp_path / "s"
        server = ServerProcess(kind, "main:app", "--log-level", "critical", socket_flags=("--uds", str(path)))
        try:
            wait_for("the socket", lambda: path.exists() and _answers(path), 30)
            assert server.stop() == 0
            assert server.log == ""
        finally:
            if server.process.poll() is None:
                server.kill()

    def test_counters_are_told_at_the_end(self, start: Start, connect: Connect) -> None:
        server = start("main:app")
        for _ in range(5):
            assert connect(server).get("/hello").status == 200
        assert server.stop() == 0
        last = server.log[server.log.index("listening on") :].lower()
        for word in ("requests", "gil", "hand", "wake", "tasks"):
            assert word in last


def _answers(path: Path) -> bool:
    try:
        with Client(str(path)) as client:
            return client.get("/hello").status == 200
    except ConnectionError:
        return False


class TestPages:
    def test_they_are_off_by_default(self, server: ServerProcess, connect: Connect) -> None:
        assert connect(server).get("/metrics").status == 404
        assert connect(server).get("/status").status == 404

    def test_metrics(self, kind: str, pool: Pool, connect: Connect) -> None:
        server = pool.get(kind, "main:app", "--metrics-path", "/-/metrics", "--status-path", "/-/status")
        client = connect(server)
        for _ in range(3):
            assert client.get("/hello").status == 200
        answer = client.get("/-/metrics")
        assert answer.status == 200
        assert (answer.header("content-type") or "").startswith("text/plain")
        samples = dict(re.findall(r"^([a-z_]+(?:\{[^}]*\})?) ([0-9.e+-]+)$", answer.text, re.M))
        for word in ("requests", "gil", "hand_off", "wake_up", "task", "connection"):
            assert any(word in name for name in samples), (word, answer.text)
        for line in answer.text.splitlines():
            assert line.startswith("#") or re.fullmatch(r"[a-zA-Z_:][\w:]*(\{[^}]*\})? [0-9.e+-]+", line), (
                line
            )

    def test_status(self, kind: str, pool: Pool, connect: Connect) -> None:
        server = pool.get(kind, "main:app", "--metrics-path", "/-/metrics", "--status-path", "/-/status")
        got = connect(server).get("/-/status").json()
        assert got["stage"] == (3 if kind == "asioserve" else int(kind[-1]))
        assert got["pid"] == server.serving_pid()
        assert re.fullmatch(r"\d+\.\d+\.\d+", got["version"])


class TestSync:
    def test_def_handlers_block_by_default_and_a_pool_may_be_asked_for(
        self, kind: str, pool: Pool, connect: Connect
    ) -> None:
        inline = pool.get(kind)
        pooled = pool.get(kind, "main:app", "--sync", "pool")
        assert connect(pooled).get("/threads/sync").json() == {"loop": "none"}
        assert connect(pooled).get("/errors/sync-http").status == 403
        assert connect(pooled).get("/sync-items/x").status == 422
        assert connect(inline).get("/sync").body == connect(pooled).get("/sync").body


class TestInterpreter:
    """As python3 would be."""

    def test_what_it_says_of_itself(self, start: Start, connect: Connect) -> None:
        got = connect(start("forms:app")).get("/interpreter").json()
        assert got["utf8"] in (0, 1)
        assert got["isolated"] == 0
        assert Path(got["executable"]).exists()
        assert got["prefix"] != got["base_prefix"], "the virtual environment that it was built with"
        assert got["asserts"] is True
        assert got["main"] is not None

    def test_python_variables_count(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        (tmp_path / "from_pythonpath.py").write_text("x = 1\n")
        server = start("forms:app", env={"PYTHONPATH": str(tmp_path), "PYTHONOPTIMIZE": "1"})
        got = connect(server).get("/interpreter").json()
        assert str(tmp_path) in got["path"]
        assert got["asserts"] is False

    def test_isolated_only_on_request(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        server = start("forms:app", "--isolated", env={"PYTHONPATH": str(tmp_path)})
        got = connect(server).get("/interpreter").json()
        assert got["isolated"] == 1
        assert str(tmp_path) not in got["path"]

    def test_the_active_virtual_environment_is_used(
        self, start: Start, connect: Connect, tmp_path: Path
    ) -> None:
        python = connect(start("forms:app")).get("/interpreter").json()["executable"]
        subprocess.run(
            [python, "-m", "venv", "--without-pip", "--system-site-packages", str(tmp_path / "v")],
            check=True,
            timeout=60,
        )
        server = start("forms:app", env={"VIRTUAL_ENV": str(tmp_path / "v")})
        got = connect(server).get("/interpreter").json()
        assert got["prefix"] == str(tmp_path / "v")

    def test_packages_of_the_same_names_are_left_alone(
        self, start: Start, connect: Connect, tmp_path: Path
    ) -> None:
        """An installed asioloop or asioserve is another build's: the server brings its own."""
        python = connect(start("forms:app")).get("/interpreter").json()["executable"]
        v = tmp_path / "v"
        subprocess.run([python, "-m", "venv", "--without-pip", str(v)], check=True, timeout=60)
        (site,) = v.glob("lib/python3*/site-packages")
        for folder in (site, tmp_path / "pythonpath"):
            for name in ("asioloop", "asioserve", "_asioloop"):
                (folder / name).mkdir(parents=True)
                (folder / name / "__init__.py").write_text(f"raise SystemExit('{name} of {folder}')\n")
        env = {"VIRTUAL_ENV": str(v), "PYTHONPATH": str(tmp_path / "pythonpath")}
        got = connect(start("forms:app", env=env)).get("/interpreter").json()
        assert got["prefix"] == str(v)
        assert str(site) in got["path"]

    def test_one_of_another_version_is_refused(self, kind: str, tmp_path: Path) -> None:
        other = tmp_path / "v"
        (other / "bin").mkdir(parents=True)
        (other / "bin" / "python").symlink_to("/bin/false")
        (other / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.9.1\n")
        code, log = run(kind, "forms:app", "--port", "0", env={"VIRTUAL_ENV": str(other)})
        assert code not in (0, 3), log
        one_clear_line(log, "3.9")


def test_the_switch_can_run_each_stage(connect: Connect) -> None:
    for stage in (1, 2, 3):
        flags = ("--stage", str(stage), "--status-path", "/status")
        with ServerProcess("asioserve-any", "main:app", *flags) as server:
            client = connect(server)
            assert client.get("/hello").status == 200
            assert client.get("/status").json()["stage"] == stage
            client.close()
