"""The embedded store opened for reading alone: for verifying, also what is damaged or on loan."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from queue import LifoQueue
from typing import Any, Self, TypeVar

from proxy.contracts import Committed
from proxy.errors import ConfigError, UnavailableError
from proxy.storage.sqlite import BUSY_SECONDS, SQLiteStore

T = TypeVar("T")


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

    async def write(self, job: Callable[[Any], T]) -> Committed[T]:  # noqa: ARG002 - a promise
        """Refuse: this store is opened for reading.

        Raises:
            UnavailableError: always.
        """
        raise UnavailableError(f"{self._path} is opened for reading only: nothing was written")

    async def aclose(self) -> None:
        """Close every connection."""
        self._lookup.close()
        while not self._readers.empty():
            self._readers.get_nowait().close()

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}{self._immutable()}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )

    def _immutable(self) -> str:
        """Return what makes SQLite read a write-ahead database on a medium that can't be written.

        It would otherwise want to create the shared memory file beside it
        (https://sqlite.org/wal.html#read_only_databases).
        """
        log = self._path.with_name(f"{self._path.name}-wal")
        writable = os.access(self._path.parent, os.W_OK)
        return "" if writable or log.exists() else "&immutable=1"
