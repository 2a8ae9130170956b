"""A checkpoint kept beside the database: finds that an older database was put in its place.

A log must never sign a checkpoint that contradicts one it signed before, and a database restored
from a backup would make it do so: it would grow again, differently, from a size it had passed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from proxy.contracts import LogQuery, Store
from proxy.durable import replace_text
from proxy.errors import ConfigError, InvalidInputError, VerificationError
from proxy.key_history import verify_own
from proxy.tlog.checkpoint import Checkpoint
from proxy.tlog.note import NoteVerifier
from proxy.tlog.proof import root_hash, root_nodes
from proxy.tlog.tiles import hash_of, tile_of

FORK: Final = "checkpoint.fork"
"""File beside the database: a checkpoint that the log's key signed, and that is not of this log."""

WAY_OUT: Final = (
    "an older or another database was put in its place. Put the newest one back. If entries after "
    "a backup are lost for good, stop all servers and run `tfaudit log recover`, which puts that "
    "on record"
)
"""What has happened when the log is not what it was, and what to do."""

Verify: TypeAlias = Callable[[Store, str], Awaitable[Checkpoint]]
"""Checks a checkpoint of the log in a store; see ``verify_own``."""

_LOST: Final = "checkpoint.lost-"
_RECOVERIES: Final = LogQuery(event="audit.recovered")


@dataclass(frozen=True, slots=True)
class Lost:
    """A checkpoint that the log once had, and has no more.

    Attributes:
        by: what tells: the name of a file beside the database, or of another place.
        size: how many entries the log had.
        note: the signed checkpoint.
    """

    by: str
    size: int
    note: str


def lost_file(directory: Path, size: int, note: str) -> Path:
    """Name the file that keeps, after a recovery, the checkpoint that was lost.

    Args:
        directory: of the data.
        size: how many entries the log had.
        note: the file's content; one of another content is never named.
    """
    path, number = directory / f"{_LOST}{size}", 1
    while path.exists() and path.read_text("utf-8", "replace") != note:
        number += 1
        path = directory / f"{_LOST}{size}.{number}"
    return path


async def recovered_size(store: Store) -> int:
    """Return how many entries the log once had by all recoveries on record; 0 if there was none.

    Raises:
        UnavailableError: the log can't be read.
    """
    sizes = [
        int(orjson.loads(stored.record.entry)["recovery"]["known_size"])
        async for stored in store.entries(_RECOVERIES)
    ]
    return max(sizes, default=0)


async def root_at(store: Store, size: int, verify: Verify) -> bytes | None:
    """Return the root hash that the log signed at a size; None when it signed none there.

    Args:
        store: has the log.
        size: how many entries.
        verify: checks a checkpoint of the log.

    Raises:
        UnavailableError: the log can't be read.
    """
    stored = await store.checkpoint(size)
    if stored:
        with suppress(VerificationError, InvalidInputError):
            return (await verify(store, stored)).root
        return None
    if not 0 < size < await store.pruned():
        return None
    # The checkpoints of pruned entries are dropped, and the hashes stay.
    nodes = root_nodes(size)
    tiles = await store.tiles(tile_of(node, size) for node in nodes)
    return root_hash(size, [hash_of(node, tiles, size) for node in nodes])


class LastCheckpoint:
    """The file with the newest checkpoint that this data directory has seen.

    Beside it may stand one that a witness or an anchor showed, and that proves a fork.

    Args:
        path: the file; missing on the first start.
        verifier: the log's own checkpoint key.
        entry_key: its own entry key; see ``verify_own``.
    """

    def __init__(self, path: Path, verifier: NoteVerifier, entry_key: bytes | None = None) -> None:
        self.path = path
        self.fork = path.with_name(FORK)
        self._verifier = verifier
        self._entry_key = entry_key
        self._written = ""

    async def check(self, store: Store) -> None:
        """Pass when the store's log contains the checkpoint in the file.

        Raises:
            ConfigError: it does not, or the file is not a checkpoint of this log.
        """
        lost = await self.lost(store)
        if lost is not None and lost.by == FORK:
            raise ConfigError(
                f"the log was forked: {self.fork}, which a witness or an anchor showed, is a "
                f"checkpoint of {lost.size} entries signed with this log's key, and not of the log "
                "in the database. Put the database back that it is of. If what it promises is lost "
                "for good, stop all servers and run `tfaudit log recover`, which puts that on "
                "record"
            )
        if lost is not None:
            raise ConfigError(
                f"the log in the database is not the one this directory had with {lost.size} "
                f"entries ({self.path.name}): {WAY_OUT}"
            )

    async def lost(self, store: Store) -> Lost | None:
        """Return what is in a file if the store's log does not contain it; None if all is well.

        Raises:
            ConfigError: the file is not a checkpoint of this log.
        """
        for path in (self.path, self.fork):
            found = await self._read(store, path)
            if found is None:
                continue
            note, seen = found
            if await root_at(store, seen.size, self.verified) != seen.root:
                return Lost(path.name, seen.size, note)
            if path == self.path:
                self._written = note
        return None

    async def _read(self, store: Store, path: Path) -> tuple[str, Checkpoint] | None:
        try:
            note = await asyncio.to_thread(path.read_text, "utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} can't be read: {error}") from error
        try:
            return note, await self.verified(store, note)
        except (VerificationError, InvalidInputError) as error:
            raise ConfigError(
                f"{path} is not a checkpoint of this log: {error} If the keys were "
                "replaced, put the right ones back"
            ) from error

    async def verified(self, store: Store, note: str) -> Checkpoint:
        """Check a checkpoint of the log in a store; see ``verify_own``."""
        return await verify_own(store, note, self._verifier, self._entry_key)

    async def contained(self, store: Store, note: str) -> Checkpoint:
        """Check a checkpoint of the log, and that it is of the log as it is in the store.

        Raises:
            InvalidInputError: not a checkpoint.
            VerificationError: no key of this log signed it, or the log was put back and went on.
            UnavailableError: the log can't be read.
        """
        checkpoint = await self.verified(store, note)
        if await root_at(store, checkpoint.size, self.verified) != checkpoint.root:
            raise VerificationError(
                f"The log here never had the {checkpoint.size} entries of this checkpoint."
            )
        return checkpoint

    def is_on_record(self, note: str) -> bool:
        """Tell whether a recovery put on record that what a checkpoint promises was lost."""
        text = note.split("\n\n", 1)[0]
        kept = self.path.parent.glob(f"{_LOST}*")
        return any(each.read_text("utf-8", "replace").startswith(f"{text}\n\n") for each in kept)

    def contradict(self, note: str) -> None:
        """Keep what proves a fork: nothing starts on this database until that is settled.

        Raises:
            OSError: it can't be written.
        """
        replace_text(self.fork, note)

    def settle(self, lost: Lost) -> None:
        """Let go of what proves a fork, after it was put on record and kept elsewhere.

        Raises:
            OSError: it can't be removed.
        """
        if lost.by == FORK:
            self.fork.unlink()

    async def note(self, store: Store) -> None:
        """Keep the newest checkpoint; replaces the file in one step, also in a power cut.

        Raises:
            UnavailableError: the store can't be read.
            OSError: the file can't be written.
        """
        note = await store.checkpoint()
        if not note or note == self._written:
            return
        await asyncio.to_thread(replace_text, self.path, note)
        self._written = note
