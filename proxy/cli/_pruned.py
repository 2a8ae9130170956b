"""Where the check of a pruned log begins: after the entries that were archived and dropped.

Of those only their hashes are left, in tiles, and what is known of them, which a signed entry
vouches for. Nothing of it is believed until that entry is reached and holds.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from proxy.cli._baseline import Known, digest_of
from proxy.cli._replay import NOTHING_PRUNED, Pruned, Replay
from proxy.cli._stored import check_document, check_kinds
from proxy.contracts import StoredRecord
from proxy.errors import MissingError, VerificationError
from proxy.pruned_entries import EVENT
from proxy.storage.reader import Snapshot, SQLiteReader
from proxy.storage.sqlite import is_filed_as
from proxy.tlog.merkle import HASH_SIZE, leaf_hash
from proxy.tlog.rotation import KeyHistory
from proxy.tlog.tiles import FULL_BYTES, WIDTH, Tile
from proxy.tlog.verify import IsSigned, LogVerifier, check_record

_PAGE: Final = 64
"""Tiles that are read at a time: 16,384 hashes."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where the check of a log begins.

    Attributes:
        pruned: what the newest entry says that pruned; nothing is when ``until`` is 0.
        known: what is known of the entries before; None when nothing is pruned.
    """

    pruned: Pruned = NOTHING_PRUNED
    known: Known | None = None

    @property
    def until(self) -> int:
        """Index of the first entry that is to be checked."""
        return self.pruned.until

    def replay(self) -> Replay:
        """Return what follows from the entries before."""
        return Replay() if self.known is None else self.known.replay

    def begin(self, verifier: LogVerifier) -> None:
        """Let a verifier go on that was given the hashes of all entries before.

        Raises:
            VerificationError: they are not those.
        """
        if self.known is not None:
            root = bytes.fromhex(self.known.root)
            verifier.begin(root, self.known.last_id, self.known.last_time)

    def require_recorded(self, replay: Replay) -> None:
        """Pass when the log, which was checked to its end, has the entry that pruned.

        Raises:
            VerificationError: it has not, or another.
        """
        if replay.pruned != self.pruned:
            raise VerificationError(
                "Entries were pruned by something else than the newest entry that says so.",
                max(replay.pruned.index, 0),
            )


async def read_start(store: SQLiteReader, snapshot: Snapshot) -> Start:
    """Read ahead what says which entries are pruned, and what is known of them.

    Raises:
        VerificationError: what is known is not what an entry vouches for.
        MissingError: it is not there.
        UnavailableError: it can't be read.
    """
    pruned = Pruned()
    async for record in store.filed_as(EVENT, snapshot.promised):
        if isinstance(record.entry, bytes):  # else the way through the log says what it is
            pruned = pruned_by(record.index, record.entry) or pruned
    rows, index = snapshot.baselines, pruned.index
    if not pruned.until:
        if rows:
            raise VerificationError(
                "The database says that entries were pruned, and no entry of the log does: "
                "whatever is missing was removed behind the log's back.",
                0,
            )
        return Start()
    if [row[0] for row in rows] != [pruned.until]:
        raise MissingError(
            f"What is known of the entries before {pruned.until}, which entry {index} pruned, is "
            "missing, or is that of others.",
            index,
        )
    ((_, kept, packed),) = rows
    if not isinstance(packed, bytes) or digest_of(packed) != pruned.baseline:
        raise VerificationError(
            f"What is known of the entries before {pruned.until} is not what entry {index} vouches "
            "for, which pruned them: it was changed.",
            index,
        )
    known = Known.unpack(packed)
    is_same = known.until == pruned.until and kept == json.dumps(known.kept)
    if not is_same or not known.last_time < pruned.before:
        raise VerificationError(
            f"Entry {index} pruned others than those it had to: what is known of them is of other "
            "entries.",
            index,
        )
    return Start(pruned, known)


def pruned_by(index: int, entry: bytes) -> Pruned | None:
    """Return what an entry says that it pruned; None of an entry of another kind.

    Raises:
        VerificationError: it should say it, and does not.
    """
    try:
        said = orjson.loads(entry)
        if (said.get("event"), said.get("outcome")) != (EVENT, "success"):
            return None
        found = Pruned.by(index, said)
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError):
        found = Pruned()
    if not 0 < found.until <= index:
        raise VerificationError(f"Entry {index} should say which entries were pruned.", index)
    return found


async def pruned_leaves(store: SQLiteReader, until: int) -> AsyncIterator[bytes]:
    """Yield the leaf hashes of the entries below an index, as tiles keep them.

    Raises:
        MissingError: a tile is not there.
    """
    for first in range(0, until // WIDTH, _PAGE):
        wanted = [Tile(0, number) for number in range(first, min(first + _PAGE, until // WIDTH))]
        rows = await store.kept_tiles(wanted)
        for tile in wanted:
            hashes = _hashes(tile, rows[tile])
            for at in range(0, FULL_BYTES, HASH_SIZE):
                yield hashes[at : at + HASH_SIZE]


def _hashes(tile: Tile, row: tuple[object, object] | None) -> bytes:
    hashes = None if row is None else row[1]
    if not isinstance(hashes, bytes) or len(hashes) != FULL_BYTES:
        raise MissingError(
            f"The hashes of the entries from {tile.first} on, which were pruned, are missing.",
            tile.first,
        )
    return hashes


async def leaf_hashes(store: SQLiteReader, size: int) -> AsyncIterator[bytes]:
    """Yield the leaf hashes of a log, of what is pruned out of tiles.

    Raises:
        MissingError: a tile is not there.
    """
    until = await store.pruned()
    async for leaf in pruned_leaves(store, min(until, size)):
        yield leaf
    async for stored, _ in store.records(size, until):
        yield stored.record.leaf_hash


async def pass_pruned(store: SQLiteReader, start: Start, verifier: LogVerifier) -> None:
    """Give a verifier all hashes of pruned entries, and let it begin after them."""
    async for leaf in pruned_leaves(store, start.until):
        verifier.add_pruned(leaf)
    start.begin(verifier)


async def check_left(
    store: SQLiteReader, start: Start, keys: Mapping[str, IsSigned], history: KeyHistory
) -> None:
    """Check the entries before the start that are there all the same, with all that they say.

    Raises:
        VerificationError: one is not the entry that was there.
        MissingError: one is missing that stays, or its change document.
    """
    async for stored, filed in left_records(store, start):
        record = stored.record
        members = check_record(record, keys)
        history.check_entry(record.index, record.key_id, members)
        if not is_filed_as(members, filed):
            raise VerificationError(
                f"Entry {record.index} is filed as something it does not say.", record.index
            )
        check_document(stored, members)


async def left_records(
    store: SQLiteReader, start: Start
) -> AsyncIterator[tuple[StoredRecord, tuple[object, ...]]]:
    """Yield the entries before the start that are there all the same, compared by their hashes.

    Some stay for good; others may be left of a pruning that was cut short.

    Yields:
        Oldest first, each with the columns it is filed as.

    Raises:
        VerificationError: one is not the entry that was there.
        MissingError: one is missing that stays.
    """
    if start.known is None:
        return
    missing = set(start.known.kept)
    tile, hashes = Tile(0, -1), b""
    async for stored, filed in store.records(start.until):
        check_kinds(stored.record)
        index = stored.record.index
        if tile.number != index // WIDTH:
            tile = Tile(0, index // WIDTH)
            hashes = _hashes(tile, (await store.kept_tiles([tile]))[tile])
        at = (index - tile.first) * HASH_SIZE
        if leaf_hash(stored.record.entry) != hashes[at : at + HASH_SIZE]:
            raise VerificationError(
                f"Entry {index} was changed: its hash is not the one that the log has in its "
                "place.",
                index,
            )
        missing.discard(index)
        yield stored, filed
    if missing:
        raise MissingError(
            f"Entry {min(missing)} is missing, which stays when those around it are pruned.",
            min(missing),
        )


def known_at(verifier: LogVerifier, replay: Replay) -> Known:
    """Return what is known of all entries that a verifier was given, to prune them."""
    last_id, last_time = verifier.last
    starts = [] if replay.last_start is None else [replay.last_start]
    return Known(
        until=verifier.size,
        root=verifier.root.hex(),
        last_id=last_id,
        last_time=last_time,
        kept=tuple(sorted({*replay.lasting, *starts})),
        replay=replace(replay),
    )
