"""The embedded store opened for reading alone: for verifying, also what is damaged or on loan."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from typing import Any, Final, Self, TypeVar

from proxy.contracts import (
    Committed,
    DeadLetter,
    Delivery,
    HeldLock,
    LogQuery,
    SinkReplay,
    StateVersion,
    StoredRecord,
)
from proxy.directory import EMPTY, Directory, Object
from proxy.errors import ConfigError, UnavailableError
from proxy.storage.schema import Part, parts
from proxy.storage.sqlite import BUSY_SECONDS, SQLiteStore, read_locks, version_columns
from proxy.storage.transaction import (
    DEAD_LETTER_COLUMNS,
    DELIVERY_COLUMNS,
    OBJECT_COLUMNS,
    REPLAY_COLUMNS,
    SESSION_COLUMNS,
    TOKEN_COLUMNS,
    VERSION_COLUMNS,
    delivery_of,
    is_master,
)
from proxy.tlog.entry import Record
from proxy.tlog.tiles import Tile

T = TypeVar("T")

_MAX_INDEX: Final = 2**63 - 1
"""The largest number that SQLite takes."""

_TOKEN_ROW: Final = (*TOKEN_COLUMNS.split(", "), "digest")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What changes while a server works, as it stood at one moment; nothing of it is believed.

    Attributes:
        head: the log's head: size, frontier, micros, running; None when it is missing.
        end: one more than the highest index of an entry; 0 without any.
        newest: the largest tree size of which there is a checkpoint; 0 without any.
        versions: every state version, by its ID.
        bodies: the IDs of all versions that have a body.
        has_retention: whether there is a place for what retention goes by; an older database has
            none.
        heads: the ID of the newest version, by workspace.
        locks: every lock.
        runs: every run as it stands in the table: workspace, document.
        tokens: every token as it stands in the table, by column; with ``digest``.
        policy: the redaction policy in force, packed; None without one.
        objects: every object of the directory as it stands in the table.
        schema: what the database is made of.
        passwords: every password as it stands in the table: principal, hash, changed.
        sessions: every session as it stands in the table, by column; with ``digest``.
        deliveries: how far each sink is.
        dead_letters: what is set aside for sinks.
        replays: what sinks are to be given once more.
        tiles: level and number of each tile that is kept.
        baselines: of the entries that are pruned: until, kept, packed; one row, or none.
    """

    head: tuple[object, object, object, object] | None
    end: int
    newest: int
    versions: dict[str, StateVersion]
    bodies: frozenset[str]
    has_retention: bool
    heads: dict[str, str]
    locks: list[HeldLock]
    runs: list[tuple[object, object]]
    tokens: list[dict[str, Any]]
    policy: object
    objects: list[Object]
    passwords: list[tuple[Any, ...]]
    sessions: list[dict[str, Any]]
    deliveries: list[Delivery]
    dead_letters: list[DeadLetter]
    replays: list[SinkReplay]
    tiles: list[tuple[object, object]]
    baselines: list[tuple[Any, ...]]

    schema: frozenset[Part]

    @property
    def promised(self) -> int:
        """Return how many entries there must be, if only one of those who say so is right."""
        size = self.head[0] if self.head else 0
        return max(size if isinstance(size, int) else 0, self.end, self.newest)


class SQLiteReader(SQLiteStore):
    """contracts.Store that writes nothing and trusts nothing: it opens what a server would refuse.

    No key, no migration, no look at the log's head: whoever verifies wants to see the database
    as it is.

    Args:
        path: the database file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            ConfigError: there is no such file, or it is no database of ours.
        """
        if not self._path.is_file():
            raise ConfigError(f"there is no database at {self._path}: name the right directory")
        try:
            self._lookup = await asyncio.to_thread(self._connect, "ro")
            await asyncio.to_thread(self._lookup.execute, "SELECT size FROM log_head")
        except sqlite3.Error as error:
            raise ConfigError(f"{self._path} can't be read as a database: {error}") from error
        return self

    async def snapshot(self) -> Snapshot:
        """Read in one view whatever is not fixed once it is written.

        Raises:
            UnavailableError: it could not be read.
        """
        return await asyncio.to_thread(self._snapshot)

    def _snapshot(self) -> Snapshot:
        with self._reading() as connection:
            read = connection.execute
            head = read("SELECT size, frontier, micros, running FROM log_head").fetchone()
            end, newest = read(
                "SELECT (SELECT coalesce(max(idx) + 1, 0) FROM entry), "
                "(SELECT coalesce(max(size), 0) FROM checkpoint)"
            ).fetchone()
            columns = version_columns(connection)
            versions = read(f"SELECT {columns} FROM state_version v")  # noqa: S608
            return Snapshot(
                head=head,
                end=int(end),
                newest=newest,
                versions={row[0]: StateVersion(*row) for row in versions},
                bodies=frozenset(row[0] for row in read("SELECT id FROM state_body")),
                has_retention=columns == VERSION_COLUMNS,
                heads=dict(read("SELECT name, head FROM workspace").fetchall()),
                locks=read_locks(connection),
                runs=_runs(connection),
                tokens=_tokens(connection),
                policy=_policy(connection),
                objects=_objects(connection),
                schema=parts(connection),
                passwords=_passwords(connection),
                sessions=_sessions(connection),
                deliveries=[
                    delivery_of(row) for row in _rows_of(connection, "delivery", DELIVERY_COLUMNS)
                ],
                dead_letters=[
                    DeadLetter(*row)
                    for row in _rows_of(connection, "dead_letter", DEAD_LETTER_COLUMNS)
                ],
                replays=[
                    SinkReplay(*row) for row in _rows_of(connection, "replay", REPLAY_COLUMNS)
                ],
                tiles=_tile_places(connection),
                baselines=_rows_of(connection, "baseline", "until, kept, packed"),
            )

    async def has_body(self, version_id: str) -> bool:
        """Tell whether there is a body of a version now.

        Raises:
            UnavailableError: it could not be read.
        """
        sql = "SELECT 1 FROM state_body WHERE id = ?"
        return bool(await asyncio.to_thread(self._rows, sql, (version_id,)))

    async def pruned_by(self, version_id: str) -> int | None:
        """Return the index of the entry by which retention destroyed a version, as it stands there.

        Raises:
            UnavailableError: it could not be read.
        """
        sql = "SELECT pruned_by FROM state_version WHERE id = ?"
        rows = await asyncio.to_thread(self._rows, sql, (version_id,))
        return rows[0][0] if rows and isinstance(rows[0][0], int) else None

    async def records(
        self, size: int, first: int = 0
    ) -> AsyncIterator[tuple[StoredRecord, tuple[object, ...]]]:
        """Yield the entries from an index on and below another, whatever the log's head says.

        Yields:
            Oldest first, each with the columns it is filed as: see ``sqlite.is_filed_right``.
        """
        query = LogQuery(after=first - 1 if first else None)
        async for found in self._found(query, min(size, _MAX_INDEX)):
            yield found

    async def entry_bytes(self, first: int, limit: int) -> list[tuple[object, object]]:
        """Return index and bytes of the entries from an index on, whatever they are.

        Raises:
            UnavailableError: it could not be read.
        """
        sql = "SELECT idx, entry FROM entry WHERE idx >= ? ORDER BY idx LIMIT ?"
        return await asyncio.to_thread(self._rows, sql, (first, limit))

    async def filed_as(self, event: str, size: int) -> AsyncIterator[Record]:
        """Yield the entries below an index that are filed under an event, oldest first."""
        async for stored, _ in self._found(LogQuery(event=event), min(size, _MAX_INDEX)):
            yield stored.record

    async def kept_tiles(self, wanted: Sequence[Tile]) -> dict[Tile, tuple[object, object]]:
        """Return the rows of full tiles that are kept: root and hashes, as they stand there.

        Raises:
            UnavailableError: it could not be read.
        """
        return await asyncio.to_thread(self._kept_tiles, wanted)

    def _kept_tiles(self, wanted: Sequence[Tile]) -> dict[Tile, tuple[object, object]]:
        sql = "SELECT root, hashes FROM tile WHERE level = ? AND number = ?"
        with self._reading() as connection:
            return {
                tile: connection.execute(sql, (tile.level, tile.number)).fetchone()
                for tile in wanted
            }

    async def pruned(self) -> int:
        """Return the index of the first entry that is not pruned; an older database has all."""
        rows = await asyncio.to_thread(self._baselines)
        until = rows[0][0] if len(rows) == 1 else 0
        return until if isinstance(until, int) else 0

    def _baselines(self) -> list[tuple[Any, ...]]:
        with self._reading() as connection:
            return _rows_of(connection, "baseline", "until")

    async def write(self, job: Callable[[Any], T]) -> Committed[T]:  # noqa: ARG002 - a promise
        """Refuse: this store is opened for reading.

        Raises:
            UnavailableError: always.
        """
        raise UnavailableError(f"{self._path} is opened for reading only: nothing was written")

    @staticmethod
    def _directory_of(_: sqlite3.Connection) -> Directory:
        # An older database has none, and what an altered one says is compared, not used.
        return EMPTY

    async def aclose(self) -> None:
        """Close every connection."""
        self._lookup.close()
        while not self._readers.empty():
            self._readers.get_nowait().close()

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}{self._immutable()}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        # What was made no text at all is compared like any other, and is not what was written.
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        return connection

    def _immutable(self) -> str:
        """Return what makes SQLite read a write-ahead database on a medium that can't be written.

        It would otherwise want to create the shared memory file beside it
        (https://sqlite.org/wal.html#read_only_databases).
        """
        log = self._path.with_name(f"{self._path.name}-wal")
        writable = os.access(self._path.parent, os.W_OK)
        return "" if writable or log.exists() else "&immutable=1"


def _tokens(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return the tokens by column; what an older database has no place for is None."""
    known = {row[1] for row in connection.execute("PRAGMA table_info(token)")}
    columns = ", ".join(name if name in known else "NULL" for name in _TOKEN_ROW)
    rows = connection.execute(f"SELECT {columns} FROM token ORDER BY created")  # noqa: S608
    tokens = [dict(zip(_TOKEN_ROW, row, strict=True)) for row in rows]
    if "used" not in known:
        for token in tokens:
            del token["used"], token["used_from"]
    return tokens


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return bool(connection.execute(sql, (name,)).fetchone()[0])


def _runs(connection: sqlite3.Connection) -> list[tuple[object, object]]:
    """Return the runs under way; an older database has no place for them."""
    if not _has_table(connection, "run"):
        return []
    return connection.execute("SELECT workspace, document FROM run").fetchall()


def _objects(connection: sqlite3.Connection) -> list[Object]:
    """Return the directory's objects; an older database has no place for them."""
    if not _has_table(connection, "object"):
        return []
    rows = connection.execute(f"SELECT {OBJECT_COLUMNS} FROM object ORDER BY kind, name")  # noqa: S608
    return [Object(*row) for row in rows]


def _passwords(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return the passwords; an older database has no place for them."""
    if not _has_table(connection, "password"):
        return []
    return connection.execute("SELECT principal, hash, changed FROM password").fetchall()


def _sessions(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return the sessions by column; an older database has no place for them."""
    if not _has_table(connection, "session"):
        return []
    columns = (*SESSION_COLUMNS.split(", "), "digest")
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM session")  # noqa: S608
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _tile_places(connection: sqlite3.Connection) -> list[tuple[object, object]]:
    """Return which tiles are kept; an older database has no place for them."""
    if not _has_table(connection, "tile"):
        return []
    return connection.execute("SELECT level, number FROM tile").fetchall()


def _rows_of(connection: sqlite3.Connection, table: str, columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table; an older database has no such table."""
    if not _has_table(connection, table):
        return []
    return connection.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608


def _policy(connection: sqlite3.Connection) -> object:
    """Return the policy in force; an older database has no place for it."""
    if not _has_table(connection, "redaction_policy"):
        return None
    row = connection.execute("SELECT packed FROM redaction_policy").fetchone()
    return None if row is None else row[0]


def is_master_in_force(
    path: Path, key_id: str, is_opened: Callable[[StateVersion, bytes], bool], length: int
) -> bool | None:
    """Tell whether a master key is the one in force; see ``transaction.is_master``.

    None also when there is no database yet.

    Raises:
        ConfigError: it can't be read.
    """
    return _asked(path, lambda database: is_master(database, key_id, is_opened, length), None)


def newest_signatures(path: Path) -> tuple[str, str]:
    """Return the ID of the key of a log's newest entry, and its newest checkpoint; unchecked.

    Both are empty for a log without an entry, and when there is no database yet.

    Raises:
        ConfigError: it can't be read.
    """
    signed_by, note = _asked(
        path,
        lambda database: database.execute(
            "SELECT (SELECT key_id FROM entry ORDER BY idx DESC LIMIT 1), "
            "(SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1)"
        ).fetchone(),
        ("", ""),
    )
    return str(signed_by or ""), str(note or "")


def _asked(path: Path, ask: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
    """Ask a database before it is opened; of one that is missing, tell otherwise.

    Raises:
        ConfigError: it can't be read.
    """
    if not path.is_file():
        return otherwise
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return ask(database)
    except sqlite3.Error as error:
        raise ConfigError(f"{path} can't be read as a database: {error}") from error
