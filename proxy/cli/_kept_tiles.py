"""Compares the tiles that a database keeps with the log that they should be of."""

from collections.abc import Iterable
from typing import Final

from proxy.errors import VerificationError
from proxy.storage.reader import SQLiteReader
from proxy.tlog.tiles import FULL_BYTES, Tile, fold

_MOST_DUE: Final = 64
"""Tiles that wait to be compared; 16,384 entries."""


class KeptTiles:
    """Makes every full tile of a log anew and compares those that are kept with them.

    What is not kept is no finding: it is made when it is asked for. Add each leaf hash in order,
    call ``compare`` whenever ``is_due``, and ``finish`` at the end.

    Args:
        store: keeps them; nothing it says is believed.
        places: level and number of each that is kept.
    """

    def __init__(self, store: SQLiteReader, places: Iterable[tuple[object, object]]) -> None:
        self._store = store
        self._places = set(places)
        self._levels: list[bytearray] = [bytearray()]
        self._numbers = [0]
        self._due: list[tuple[Tile, bytes, bytes]] = []

    @property
    def is_due(self) -> bool:
        """Whether enough were made to compare them at once."""
        return len(self._due) >= _MOST_DUE

    def add(self, leaf: bytes) -> None:
        """Take the next leaf hash."""
        row = self._levels[0]
        row += leaf
        if len(row) == FULL_BYTES:
            self._complete(0)

    def _complete(self, level: int) -> None:
        hashes = bytes(self._levels[level])
        root = fold(hashes)
        self._due.append((Tile(level, self._numbers[level]), root, hashes))
        self._levels[level].clear()
        self._numbers[level] += 1
        if level + 1 == len(self._levels):
            self._levels.append(bytearray())
            self._numbers.append(0)
        self._levels[level + 1] += root
        if len(self._levels[level + 1]) == FULL_BYTES:
            self._complete(level + 1)

    async def compare(self) -> None:
        """Compare what was made so far.

        Raises:
            VerificationError: with the first entry that a tile is of which does not hold.
            UnavailableError: the store could not be read.
        """
        due = {tile: (root, hashes) for tile, root, hashes in self._due}
        self._due.clear()
        kept = [tile for tile in due if (tile.level, tile.number) in self._places]
        for tile, row in (await self._store.kept_tiles(kept)).items():
            first = tile.first << 8 * tile.level
            if row != due[tile]:
                raise VerificationError(
                    f"The hashes that the database keeps as {tile.path}, from entry {first} on, "
                    "are not those of the entries: they were changed, and no proof that is made "
                    "of them holds.",
                    first,
                )
            self._places.remove((tile.level, tile.number))

    async def finish(self) -> None:
        """Compare the rest, and see that nothing is kept that is no tile of the log.

        Raises:
            VerificationError: something is.
            UnavailableError: the store could not be read.
        """
        await self.compare()
        if self._places:
            level, number = min(self._places, key=str)
            raise VerificationError(
                f"The database keeps a tile {number!r} of level {level!r}, which the log has not: "
                "it was put there behind the log's back."
            )
