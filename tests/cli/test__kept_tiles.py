"""Tests of the comparison of kept tiles with the log: each way to alter them is found and named."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.cli._verification import Findings, TrustedKeys, verify_store
from proxy.contracts import Transaction
from proxy.errors import VerificationError
from proxy.storage.reader import SQLiteReader
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteVerifier
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN
from tests.samples import a_draft, an_open_store

ENTRIES = 700
KEYS = TrustedKeys(
    {key_id(ENTRY_KEY.public_key().public_bytes_raw()): ENTRY_KEY.public_key()},
    (NoteVerifier(ORIGIN, CHECKPOINT_KEY.public_key()),),
)
ANOTHER = bytes(32) * 256


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log whose full tiles are kept; no test may change it."""
    directory = tmp_path_factory.mktemp("log")

    def job(tx: Transaction) -> None:
        for number in range(ENTRIES):
            tx.append(a_draft(f"entry {number}"))

    async def make() -> None:
        async with an_open_store(directory) as store:
            await store.write(job)
            while await store.keep_tiles():
                pass

    asyncio.run(make())
    return directory / "tfaudit.db"


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    """Return a copy that may be changed."""
    return Path(shutil.copy(made, tmp_path))


async def verified(database: Path) -> Findings:
    """Verify the log."""
    async with SQLiteReader(database) as reader:
        return await verify_store(reader, KEYS, (), lambda: None)


def change(database: Path, sql: str, *values: object) -> None:
    """Change the database behind the store's back."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql, values)


async def test_true_tiles_hold(database: Path) -> None:
    """What was kept is what is made of the entries."""
    assert ENTRIES == (await verified(database)).entries


async def test_missing_tiles_are_no_finding(database: Path) -> None:
    """They are made anew: nothing is lost with them."""
    change(database, "DELETE FROM tile WHERE number = 0")
    assert ENTRIES == (await verified(database)).entries


@pytest.mark.parametrize(
    ("sql", "values", "index"),
    [
        ("UPDATE tile SET hashes = ? WHERE number = 1", (ANOTHER,), 256),
        ("UPDATE tile SET root = ? WHERE number = 1", (bytes(32),), 256),
        ("UPDATE tile SET root = 'text' WHERE number = 0", (), 0),
        ("UPDATE tile SET hashes = hashes || x'00' WHERE number = 0", (), 0),
        ("UPDATE tile SET number = 2 WHERE number = 1", (), None),
        ("UPDATE tile SET level = 1 WHERE number = 0", (), None),
        ("UPDATE tile SET number = 'one' WHERE number = 1", (), None),
        ("INSERT INTO tile VALUES (0, 2, ?, ?)", (bytes(32), ANOTHER), None),
        ("INSERT INTO tile VALUES (7, 0, ?, ?)", (bytes(32), ANOTHER), None),
        ("INSERT INTO tile VALUES (0, -1, ?, ?)", (bytes(32), ANOTHER), None),
    ],
)
async def test_altered_tiles_are_found(
    database: Path, sql: str, values: tuple[bytes, ...], index: int | None
) -> None:
    """A tile with other hashes, one in another's place, and one ahead of the log."""
    change(database, sql, *values)
    with pytest.raises(VerificationError, match=r"The hashes that|The database keeps") as caught:
        await verified(database)
    assert index == caught.value.index
