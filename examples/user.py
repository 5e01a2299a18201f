"""The classic ``/user/{id}``: three look-ups in a real SQLite file, by aiosqlite with a pool of connections.

It is written twice, because three awaits in a row do *not* overlap, whatever the server does: each look-up
starts when the one before has ended. ``/user/{id}/overlapped`` starts all three and waits once; that needs
three connections, as one SQLite connection runs one query at a time.

10,000 users with posts and comments are made on the first start, in ``$USER_DB`` or in a cache folder.
"""

import asyncio
import os
import random
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from asioserve import App, HTTPException, Request

CONNECTIONS = 8
"""Each is a thread of aiosqlite's."""

USER = "SELECT id, name, email FROM users WHERE id = ?"
POSTS = "SELECT id, title FROM posts WHERE user_id = ? ORDER BY id DESC LIMIT 3"
COMMENTS = "SELECT id, post_id, text FROM comments WHERE user_id = ? ORDER BY id DESC LIMIT 3"


class Pool:
    """Connections to one database; a query waits until one is free."""

    def __init__(self) -> None:
        """Empty until :meth:`open`."""
        self._free: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._all: list[aiosqlite.Connection] = []

    async def open(self, uri: str, count: int) -> None:
        """Opens all connections."""
        for _ in range(count):
            connection = await aiosqlite.connect(uri, uri=True)
            connection.row_factory = aiosqlite.Row
            self._all.append(connection)
            self._free.put_nowait(connection)

    async def close(self) -> None:
        """Closes them; their threads end."""
        for connection in self._all:
            await connection.close()

    async def rows(self, query: str, key: int) -> list[dict[str, Any]]:
        """Runs one query."""
        connection = await self._free.get()
        try:
            return [dict(row) for row in await connection.execute_fetchall(query, (key,))]
        finally:
            self._free.put_nowait(connection)


@asynccontextmanager
async def lifespan(_: App) -> AsyncIterator[dict[str, Pool]]:
    """Makes the file where there is none, opens the pool, closes it at the end."""
    path = await asyncio.to_thread(ensure)
    pool = Pool()
    try:
        await pool.open(f"file:{path}?mode=ro", CONNECTIONS)
        yield {"pool": pool}
    finally:
        await pool.close()


app = App(lifespan=lifespan)


@app.get("/user/{id}")
async def user(id: int, request: Request) -> dict[str, Any]:
    """Three awaits in a row: the time of the three look-ups adds up."""
    pool: Pool = request.state.pool
    found = await pool.rows(USER, id)
    posts = await pool.rows(POSTS, id)
    comments = await pool.rows(COMMENTS, id)
    return answer(found, posts, comments)


@app.get("/user/{id}/overlapped")
async def overlapped(id: int, request: Request) -> dict[str, Any]:
    """The same by a TaskGroup: the time of the slowest look-up. If one fails, the others are cancelled."""
    pool: Pool = request.state.pool
    async with asyncio.TaskGroup() as group:
        found = group.create_task(pool.rows(USER, id))
        posts = group.create_task(pool.rows(POSTS, id))
        comments = group.create_task(pool.rows(COMMENTS, id))
    return answer(found.result(), posts.result(), comments.result())


Rows = list[dict[str, Any]]


def answer(found: Rows, posts: Rows, comments: Rows) -> dict[str, Any]:
    """The user with posts and comments, or a 404."""
    if not found:
        raise HTTPException(404, "No such user")
    return {**found[0], "posts": posts, "comments": comments}


# What follows makes the database: the same content on every machine.
USERS = 10_000
POSTS_EACH = 3
"""Of each user."""
COMMENTS_EACH = 6
"""By each user, on posts of anybody."""
VERSION = 1
"""Of the schema; in the file's name, so that an old file is not taken for a new one."""

SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL);
CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, title TEXT NOT NULL);
CREATE TABLE comments (
    id INTEGER PRIMARY KEY, text TEXT NOT NULL,
    post_id INTEGER NOT NULL REFERENCES posts, user_id INTEGER NOT NULL REFERENCES users
);
"""
INDEXES = """
CREATE INDEX posts_of_user ON posts (user_id);
CREATE INDEX comments_of_user ON comments (user_id);
"""
FIRST = ["Ada", "Alan", "Barbara", "Edsger", "Frances", "Grace", "John", "Leslie", "Margaret", "Niklaus"]
LAST = ["Allen", "Dijkstra", "Hamilton", "Hopper", "Lamport", "Liskov", "Lovelace", "Turing", "Wirth"]
WORDS = ["a", "loop", "runs", "every", "task", "that", "is", "ready", "and", "then", "waits", "for", "the"]


def place() -> Path:
    """Where the file is: ``$USER_DB``, or this user's cache folder, or where temporary files go."""
    if given := os.environ.get("USER_DB"):
        return Path(given).absolute()
    name = f"users-{VERSION}.sqlite3"
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asioserve"
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK):
            return cache / name
    except (OSError, RuntimeError):  # no home, or one that cannot be written to
        pass
    return Path(tempfile.gettempdir()) / f"asioserve-{os.getuid()}-{name}"


def ensure(path: Path | None = None) -> Path:
    """Makes the file if it is not there, under another name first: nobody ever sees half of it."""
    path = path or place()
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        fill(unfinished)
        # Two processes that start at once both make it; the second replaces the first's by the same content.
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return path


def fill(path: str) -> None:
    """Writes schema and rows."""
    rng = random.Random(VERSION)
    db = sqlite3.connect(path)
    try:
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA)
        db.executemany("INSERT INTO users VALUES (?, ?, ?)", users(rng))
        db.executemany("INSERT INTO posts VALUES (?, ?, ?)", posts(rng))
        db.executemany("INSERT INTO comments VALUES (?, ?, ?, ?)", comments(rng))
        db.commit()
        db.executescript(INDEXES)
    finally:
        db.close()


def users(rng: random.Random) -> Iterator[tuple[int, str, str]]:
    """Everybody."""
    for i in range(1, USERS + 1):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        yield i, f"{first} {last}", f"{first}.{last}.{i}@example.org".lower()


def posts(rng: random.Random) -> Iterator[tuple[int, int, str]]:
    """What they wrote."""
    for i in range(USERS * POSTS_EACH):
        yield i + 1, i // POSTS_EACH + 1, " ".join(rng.choices(WORDS, k=5))


def comments(rng: random.Random) -> Iterator[tuple[int, str, int, int]]:
    """What they had to say to it."""
    for i in range(USERS * COMMENTS_EACH):
        words = " ".join(rng.choices(WORDS, k=9))
        yield i + 1, words, rng.randint(1, USERS * POSTS_EACH), i // COMMENTS_EACH + 1
