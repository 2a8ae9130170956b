"""Tests of the kept tiles: kept once, made anew where they are missing, refused where altered."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from proxy.contracts import Transaction
from proxy.errors import UnavailableError
from proxy.storage.sqlite import SQLiteStore
from proxy.storage.tiles import read_tiles, unkept_tiles
from proxy.tlog.merkle import leaf_hash
from proxy.tlog.tiles import Tile, fold, tiles_of
from tests.samples import a_draft, an_open_store

ENTRIES: Final = 600


async def grow(store: SQLiteStore, entries: int = ENTRIES) -> None:
    """Append so many entries."""

    def job(tx: Transaction) -> None:
        for number in range(entries):
            tx.append(a_draft(f"entry {number}"))

    await store.write(job)


async def keep(store: SQLiteStore) -> int:
    """Keep all tiles that can be; return how many turns that took."""
    turns = 0
    while await store.keep_tiles():
        turns += 1
    return turns


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database beside the store."""
    with closing(sqlite3.connect(path / "tfaudit.db", isolation_level=None)) as connection:
        yield connection


def places(path: Path) -> list[tuple[int, int]]:
    """Return which tiles are kept."""
    with opened(path) as connection:
        return connection.execute("SELECT level, number FROM tile ORDER BY 1, 2").fetchall()


async def test_full_tiles_are_kept_and_partial_ones_never(tmp_path: Path) -> None:
    """A partial tile changes with every entry: only what stays is kept."""
    async with an_open_store(tmp_path) as store:
        await grow(store)
        assert [] == places(tmp_path)
        await keep(store)
        assert [(0, 0), (0, 1)] == places(tmp_path)
        await grow(store)
        await keep(store)
        assert [(0, number) for number in range(4)] == places(tmp_path)


async def test_when_all_is_kept_nothing_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that has not grown by a tile costs a look at its size."""
    async with an_open_store(tmp_path) as store:
        await grow(store)
        assert 1 == await keep(store)

        def no_search(*_: object) -> None:
            raise AssertionError("searched")

        monkeypatch.setattr("proxy.storage.sqlite.unkept_tiles", no_search)
        assert not await store.keep_tiles()


async def test_many_tiles_are_kept_in_several_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request waits for more than a few of them."""
    monkeypatch.setattr("proxy.storage.sqlite._MOST_TILES", 1)
    async with an_open_store(tmp_path) as store:
        await grow(store, 800)
        assert 3 == await keep(store)
        assert [(0, 0), (0, 1), (0, 2)] == places(tmp_path)


async def test_a_gap_is_filled_and_kept_ones_are_read(tmp_path: Path) -> None:
    """What was lost is made anew, the same; what is kept is taken as it is."""
    async with an_open_store(tmp_path) as store:
        await grow(store)
        made = await store.tiles([Tile(0, 0), Tile(0, 1), Tile(1, 0, 2)])
        await keep(store)
        assert made == await store.tiles(made)
        with opened(tmp_path) as connection:
            connection.execute("DELETE FROM tile WHERE number = 0")
        assert made == await store.tiles(made)
    async with an_open_store(tmp_path) as store:
        await keep(store)
        assert [(0, 0), (0, 1)] == places(tmp_path)
        with opened(tmp_path) as connection:
            connection.execute("DELETE FROM entry WHERE idx < 512")
        assert made == await store.tiles(made)


async def test_two_that_keep_the_same_are_no_conflict(tmp_path: Path) -> None:
    """The command line beside the server."""
    async with an_open_store(tmp_path) as one, an_open_store(tmp_path) as other:
        await grow(one)
        found = one._unkept_tiles(512)
        await other.keep_tiles()
        await one.write(lambda tx: tx.keep_tiles(found))
        assert [(0, 0), (0, 1)] == places(tmp_path)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tile SET hashes = substr(hashes, 2)",
        "UPDATE tile SET hashes = 'text'",
        "UPDATE tile SET root = 'text'",
        "UPDATE entry SET leaf_hash = 'text' WHERE idx = 599",
        "DELETE FROM entry WHERE idx = 599",
    ],
)
async def test_hashes_that_are_none_are_never_given(tmp_path: Path, sql: str) -> None:
    """What can be seen to be altered is refused, with what to do."""
    async with an_open_store(tmp_path) as store:
        await grow(store)
        await keep(store)
        with opened(tmp_path) as connection:
            connection.execute(sql)
        with pytest.raises(UnavailableError, match="run `tfaudit verify`"):
            await store.tiles([Tile(0, 1), Tile(1, 0, 2), Tile(0, 2, 88)])


@pytest.fixture
def large() -> Iterator[sqlite3.Connection]:
    """Give the two tables with 70,000 leaf hashes and no tile."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf_hash BLOB)")
        connection.execute(
            "CREATE TABLE tile (level INT, number INT, root BLOB, hashes BLOB, "
            "PRIMARY KEY (level, number))"
        )
        connection.executemany(
            "INSERT INTO entry VALUES (?, ?)",
            ((index, leaf_hash(index.to_bytes(4, "big"))) for index in range(70_000)),
        )
        yield connection


def test_every_level_is_kept_the_lower_ones_first(large: sqlite3.Connection) -> None:
    """274 full tiles of 70,000 entries on two levels; then every tile is the one made before."""
    tiles = list(tiles_of(70_000))
    made = read_tiles(large, tiles)
    assert made[Tile(2, 0, 1)] == fold(made[Tile(1, 0)])
    first = unkept_tiles(large, 70_000, 270)
    assert [(0, number) for number in range(270)] == [each[:2] for each in first]
    large.executemany("INSERT INTO tile VALUES (?, ?, ?, ?)", first)
    rest = unkept_tiles(large, 70_000, 270)
    assert [(0, 270), (0, 271), (0, 272), (1, 0)] == [each[:2] for each in rest]
    large.executemany("INSERT INTO tile VALUES (?, ?, ?, ?)", rest)
    assert [] == unkept_tiles(large, 70_000, 270)
    assert made == read_tiles(large, tiles)
