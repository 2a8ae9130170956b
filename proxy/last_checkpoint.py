"""A checkpoint kept beside the database: finds that an older database was put in its place.

A log must never sign a checkpoint that contradicts one it signed before, and a database restored
from a backup would make it do so: it would grow again, differently, from a size it had passed.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.contracts import Store
from proxy.durable import replace_text
from proxy.errors import ConfigError, InvalidInputError, VerificationError
from proxy.key_history import verify_own
from proxy.tlog.note import NoteVerifier

_LOST: Final = "checkpoint.lost-"


@dataclass(frozen=True, slots=True)
class Lost:
    """A checkpoint that the log once had, and has no more.

    Attributes:
        path: of the file that tells.
        size: how many entries the log had.
        note: the signed checkpoint.
    """

    path: Path
    size: int
    note: str


def lost_file(directory: Path, size: int) -> Path:
    """Name the file that keeps, after a recovery, the checkpoint that was lost."""
    return directory / f"{_LOST}{size}"


def lost_size(directory: Path) -> int:
    """Return how many entries the log once had by all that was recovered from; 0 if nothing was."""
    names = [each.name.removeprefix(_LOST) for each in directory.glob(f"{_LOST}*")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


class LastCheckpoint:
    """The file with the newest checkpoint that this data directory has seen.

    Args:
        path: the file; missing on the first start.
        verifier: the log's own checkpoint key.
    """

    def __init__(self, path: Path, verifier: NoteVerifier) -> None:
        self.path = path
        self._verifier = verifier
        self._written = ""

    async def check(self, store: Store) -> None:
        """Pass when the store's log contains the checkpoint in the file.

        Raises:
            ConfigError: it does not, or the file is not a checkpoint of this log.
        """
        lost = await self.lost(store)
        if lost is not None:
            raise ConfigError(
                f"the log in the database is not the one this directory had with {lost.size} "
                f"entries ({self.path.name}): an older or another database was put in its place. "
                "Put the newest one back. If entries after a backup are lost for good, stop all "
                "servers and run `tfaudit log recover`, which puts that on record"
            )

    async def lost(self, store: Store) -> Lost | None:
        """Return what is in the file if the store's log does not contain it; None if all is well.

        Raises:
            ConfigError: the file is not a checkpoint of this log.
        """
        try:
            note = self.path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path} can't be read: {error}") from error
        try:
            seen = await verify_own(store, note, self._verifier)
        except (VerificationError, InvalidInputError) as error:
            raise ConfigError(
                f"{self.path} is not a checkpoint of this log: {error} If the keys were "
                "replaced, put the right ones back"
            ) from error
        stored = await store.checkpoint(seen.size)
        if stored:
            with suppress(VerificationError, InvalidInputError):
                if await verify_own(store, stored, self._verifier) == seen:
                    self._written = note
                    return None
        return Lost(self.path, seen.size, note)

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
