"""Tests of the store opened for reading alone."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.contracts import LogQuery
from proxy.errors import ConfigError, UnavailableError
from proxy.storage.migrations import MIGRATIONS
from proxy.storage.reader import SQLiteReader


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database with an empty log, closed."""
    path = tmp_path / "tfaudit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        MIGRATIONS.apply(connection)
    return path


async def test_it_reads_what_a_server_would_refuse(database: Path) -> None:
    """A head that no checkpoint covers: whoever verifies wants to see that."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE log_head SET size = 7")
    async with SQLiteReader(database) as store:
        assert 7 == await store.size()
        assert [] == [stored async for stored in store.entries(LogQuery())]


async def test_it_writes_nothing(database: Path) -> None:
    """No job runs, no byte changes."""
    before = database.read_bytes()
    async with SQLiteReader(database) as store:
        with pytest.raises(UnavailableError, match="reading only"):
            await store.write(lambda transaction: transaction.set_running(running=True))
    assert before == database.read_bytes()


async def test_it_reads_from_a_medium_that_can_not_be_written(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where SQLite could not make the shared memory file that it wants beside the database."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    async with SQLiteReader(database) as store:
        assert 0 == await store.size()
        assert ["tfaudit.db"] == [file.name for file in database.parent.iterdir()]


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 100])
async def test_what_is_no_database_of_ours_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    """A missing, an empty and a foreign file."""
    path = tmp_path / "tfaudit.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"tfaudit\.db"):
        async with SQLiteReader(path):
            pass
