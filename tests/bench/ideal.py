"""The bare handler plus the least that a signed, durable log costs, as fast as is simple.

Each GET appends one entry of the same size and shape as ours: canonical JSON, leaf hash, Ed25519
signature, tree, signed checkpoint, and one SQLite transaction with ``synchronous=FULL`` for all
requests that wait. Nothing else: no authentication, no rules, no state in the database.

Run it as ``python ideal.py PORT STATE DATABASE ENTRY``, the last a real entry of ours as JSON.
"""

import asyncio
import base64
import sqlite3
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import orjson
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE entry (idx INTEGER PRIMARY KEY, entry BLOB, leaf_hash BLOB, signature BLOB);
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT);
"""


class Log:
    """A log in one SQLite file; one thread writes, all that waits goes into one transaction."""

    def __init__(self, database: str, template: dict[str, Any]) -> None:
        self.template = template
        self.loop = asyncio.get_running_loop()
        self.waiting: list[asyncio.Future[int]] = []
        self.queue: SimpleQueue[list[asyncio.Future[int]]] = SimpleQueue()
        self.sign_entry = Ed25519PrivateKey.generate().sign
        self.sign_checkpoint = Ed25519PrivateKey.generate().sign
        self.roots: list[bytes] = []  # of the complete subtrees, the largest first
        self.size = 0
        self.connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self.connection.executescript(SCHEMA)
        threading.Thread(target=self.run, daemon=True).start()

    async def append(self) -> int:
        """Return the entry's index once it is durable."""
        future = self.loop.create_future()
        self.waiting.append(future)
        if len(self.waiting) == 1:  # the rest of this round of the loop joins it
            self.loop.call_soon(self.flush)
        index: int = await future
        return index

    def flush(self) -> None:
        """Hand what waits to the writer: one wake-up for a round of the loop."""
        self.queue.put(self.waiting)
        self.waiting = []

    def run(self) -> None:
        """Commit what waits, answer all of it, for ever."""
        while True:
            batch = self.queue.get()
            while not self.queue.empty():
                batch += self.queue.get()
            first = self.size
            rows = [self.row() for _ in batch]
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", rows)
            self.connection.execute(
                "INSERT INTO checkpoint VALUES (?, ?)", (self.size, self.checkpoint())
            )
            self.connection.execute("COMMIT")
            self.loop.call_soon_threadsafe(self.answer, batch, first)

    def row(self) -> tuple[int, bytes, bytes, bytes]:
        """Make, sign and hash the next entry and grow the tree (RFC 6962 section 2.1)."""
        index, now = self.size, time.time_ns()
        entry = self.template | {"id": f"{now:036x}", "time": f"{now:027}"}
        data = orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)
        leaf = node = sha256(b"\x00" + data).digest()
        while index & 1:
            node, index = sha256(b"\x01" + self.roots.pop() + node).digest(), index >> 1
        self.roots.append(node)
        self.size += 1
        return self.size - 1, data, leaf, self.sign_entry(b"tfaudit-entry-v1\n" + data)

    def checkpoint(self) -> str:
        """Return the signed note of the tree as it is now (C2SP tlog-checkpoint)."""
        root = self.roots[-1]
        for left in self.roots[-2::-1]:
            root = sha256(b"\x01" + left + root).digest()
        text = f"tfaudit.local/ideal\n{self.size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(b"\x00\x00\x00\x00" + self.sign_checkpoint(text.encode()))
        return f"{text}\n\N{EM DASH} tfaudit.local/ideal {signature.decode()}\n"

    @staticmethod
    def answer(batch: list[asyncio.Future[int]], first: int) -> None:
        """Wake everybody who waited; runs on the event loop."""
        for index, future in enumerate(batch, first):
            if not future.cancelled():
                future.set_result(index)


async def create_app(state: bytes, database: str, template: dict[str, Any]) -> web.Application:
    """Return an application that answers every GET below ``/state/`` once it is on record."""
    log = Log(database, template)

    async def read(_: web.Request) -> web.Response:
        headers = {"Content-Type": "application/json", "Audit-Index": str(await log.append())}
        return web.Response(body=state, headers=headers)

    app = web.Application()
    app.router.add_get("/state/{workspace:.+}", read)
    return app


if __name__ == "__main__":
    port, state_file, database_file, entry_file = sys.argv[1:]
    web.run_app(
        create_app(
            Path(state_file).read_bytes(),
            database_file,
            orjson.loads(Path(entry_file).read_bytes()),
        ),
        host="127.0.0.1",
        port=int(port),
        access_log=None,
        print=None,
    )
