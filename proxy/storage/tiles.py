"""The hashes of the tree in SQLite: full tiles are made once of the entries' leaf hashes and kept.

They say nothing that the entries don't say: what is missing is made anew, and `verify` compares
what is there. They stay when the entries that they were made of go.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from proxy.errors import UnavailableError
from proxy.tlog.merkle import HASH_SIZE
from proxy.tlog.tiles import FULL_BYTES, WIDTH, Tile, fold, hashes_at

TILE_COLUMNS: Final = "level, number, root, hashes"


class KeptTile(NamedTuple):
    """A full tile as it is kept: a row of TILE_COLUMNS.

    Attributes:
        level: as in ``Tile``.
        number: as in ``Tile``.
        root: what all of its hashes make, one hash of the level above.
        hashes: 256 of 32 bytes.
    """

    level: int
    number: int
    root: bytes
    hashes: bytes


def read_tiles(connection: sqlite3.Connection, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
    """Return tiles, each as its hashes one after the other; kept ones are read, others made.

    Args:
        connection: in one view.
        wanted: all of them in the tree.

    Raises:
        UnavailableError: the database does not hold what they are made of.
    """
    return {tile: _tile(connection, tile) for tile in wanted}


def unkept_tiles(connection: sqlite3.Connection, size: int, most: int) -> list[KeptTile]:
    """Return full tiles of the tree that are not kept yet, the lower levels first.

    Args:
        connection: in one view.
        size: of the tree.
        most: so many at once.

    Raises:
        UnavailableError: the database does not hold what they are made of.
    """
    found: list[KeptTile] = []
    level = 0
    while (full := hashes_at(level, size) // WIDTH) and len(found) < most:
        rows = connection.execute("SELECT number FROM tile WHERE level = ?", (level,))
        kept = {row[0] for row in rows}
        for number in range(full):
            if number not in kept and len(found) < most:
                hashes = _made(connection, Tile(level, number))
                found.append(KeptTile(level, number, fold(hashes), hashes))
        level += 1
    return found


def _tile(connection: sqlite3.Connection, tile: Tile) -> bytes:
    row = connection.execute(
        "SELECT hashes FROM tile WHERE level = ? AND number = ?", (tile.level, tile.number)
    ).fetchone()
    if row is None:
        return _made(connection, tile)
    (hashes,) = row
    if not isinstance(hashes, bytes) or len(hashes) != FULL_BYTES:
        raise _altered(tile)
    return hashes[: tile.width * HASH_SIZE]


def _made(connection: sqlite3.Connection, tile: Tile) -> bytes:
    """Return a tile that is not kept, from the leaf hashes or the tiles below."""
    first, end = tile.first, tile.first + tile.width
    if tile.level == 0:
        sql = "SELECT idx, leaf_hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx"
    else:
        sql = (
            f"SELECT number, root FROM tile WHERE level = {tile.level - 1:d} "  # noqa: S608
            "AND number >= ? AND number < ? ORDER BY number"
        )
    found: dict[int, Any] = dict(connection.execute(sql, (first, end)).fetchall())
    if tile.level:
        for number in range(first, end):
            if number not in found:
                found[number] = fold(_tile(connection, Tile(tile.level - 1, number)))
    hashes = [found.get(number) for number in range(first, end)]
    if any(not isinstance(each, bytes) or len(each) != HASH_SIZE for each in hashes):
        raise _altered(tile)
    return b"".join(each for each in hashes if each is not None)


def _altered(tile: Tile) -> UnavailableError:
    return UnavailableError(
        f"the hashes of {tile.path} can't be read from the database: entries or tiles are missing "
        "or were altered; run `tfaudit verify`"
    )
