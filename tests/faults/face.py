"""The whole program over HTTP in this process, on a real database whose parts can be broken."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from proxy.access import Role
from proxy.app import create_app
from proxy.cli._common import caller, settings
from proxy.cli._verification import Findings, TrustedKeys, verify_store
from proxy.contracts import LogQuery
from proxy.keys import open_keys
from proxy.program import Program, open_program
from proxy.storage.reader import SQLiteReader
from proxy.storage.sqlite import SQLiteStore


class Fault(Enum):
    """How a commit goes wrong; the client can't tell the two apart."""

    NOT_PERSISTED = auto()
    ANSWER_LOST = auto()


class BrokenConnection:
    """The writer's connection, whose commits of any change fail as long as a fault is set.

    Args:
        connection: the real one.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.fault: Fault | None = None
        self._connection = connection
        self._changes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run the statement; a commit as the fault says.

        Raises:
            sqlite3.OperationalError: as SQLite says it of a disk that fails.
        """
        changes = self._connection.total_changes
        if sql.startswith("BEGIN"):
            self._changes = changes
        if sql == "COMMIT" and self.fault is not None and changes > self._changes:
            if self.fault is Fault.ANSWER_LOST:
                self._connection.execute(sql)
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, values)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Face:
    """A client of the program, and the program.

    Attributes:
        program: its parts.
        store: its store, to be broken.
        data: its directory.
    """

    program: Program
    store: SQLiteStore
    data: Path
    _client: TestClient[web.Request, web.Application]
    _token: str

    def break_commits(self) -> BrokenConnection:
        """Put a connection in place whose commits can be made to fail."""
        broken = BrokenConnection(self.store._writer)
        self.store._writer = broken  # type: ignore[assignment]
        return broken

    async def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Send one request with the administrator's token."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._client.request(method, path, data=body, headers=headers) as reply:
            return Answer(reply.status, dict(reply.headers), await reply.read())

    async def log(self) -> list[dict[str, Any]]:
        """Return the entries as they are stored."""
        return [orjson.loads(each.record.entry) async for each in self.store.entries(LogQuery())]

    async def events(self) -> list[str]:
        """Return the names of all events."""
        return [entry["event"] for entry in await self.log()]

    async def verify(self) -> Findings:
        """Verify the database as the command does; raises what does not hold."""
        keys = TrustedKeys.of_ring(self.program.keys)
        async with SQLiteReader(self.program.config.data.database) as reader:
            return await verify_store(reader, keys, (), lambda: None)


@asynccontextmanager
async def a_face(data: Path) -> AsyncIterator[Face]:
    """Open the program on a directory, made when it is not there, and ask it as administrator."""
    async with open_program(settings(data, None), create=True) as program:
        name = f"admin-{len(await program.store.tokens())}"
        minted = await program.admin.create_token(caller("test"), name, Role.ADMIN, ("*",), None)
        async with TestClient(TestServer(create_app(program))) as client:
            assert isinstance(program.store, SQLiteStore)
            yield Face(program, program.store, data, client, minted.text)
            # What is refused at the end of a test is not left to the next.
            await asyncio.sleep(0)


def verify_whole(data: Path) -> Findings:
    """Verify log and states of a directory as the command does, whatever was left there.

    Raises:
        VerificationError: something does not hold.
    """

    async def work() -> Findings:
        config = settings(data, None)
        keys = TrustedKeys.of_ring(open_keys(config, create=False))
        last = config.data.last_checkpoint
        kept = [last.read_text()] if last.exists() else []
        async with SQLiteReader(config.data.database) as reader:
            return await verify_store(reader, keys, kept, lambda: None)

    return asyncio.run(work())
