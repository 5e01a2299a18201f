"""Databases from Debian, each started for the tests alone, on a Unix socket in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from processes import PATIENCE, running


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The path of the socket of a redis-server that keeps nothing."""
    # Debian's redis-server is another name of a program in redis-tools, which comes without a daemon that starts.
    program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    assert program, "no redis: install redis-tools"
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        path = f"{folder}/socket"
        line = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with running(line, executable=program) as process:
            process.wait_for("ready to accept connections|The server is now ready")
            yield path


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """The folder with the socket of a PostgreSQL that forgets everything."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert programs, "no PostgreSQL: install postgresql"
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if user:
            known = pwd.getpwnam(user)
            os.chown(folder, known.pw_uid, known.pw_gid)
        data = f"{folder}/data"
        subprocess.run(
            [programs[-1] / "initdb", "--no-sync", "--auth=trust", "--username=tests", "-D", data],
            check=True,
            capture_output=True,
            timeout=PATIENCE * 2,
            user=user,
            cwd=folder,
        )
        line = [str(programs[-1] / "postgres"), "-D", data, "-k", folder, "-F", "-c", "listen_addresses="]
        with running(line, user=user, cwd=Path(folder)) as process:
            process.wait_for("database system is ready to accept connections")
            yield folder
            # It has shared memory and children to clean up; this does not wait for its clients.
            process.child.send_signal(signal.SIGINT)
            process.child.wait(PATIENCE)
