"""A checkpoint kept beside the database: finds that an older database was put in its place.

A log must never sign a checkpoint that contradicts one it signed before, and a database restored
from a backup would make it do so: it would grow again, differently, from a size it had passed.
"""

import asyncio
from pathlib import Path

from proxy.contracts import Store
from proxy.durable import replace_text
from proxy.errors import ConfigError, InvalidInputError, VerificationError
from proxy.key_history import verify_own
from proxy.tlog.note import NoteVerifier


class LastCheckpoint:
    """The file with the newest checkpoint that this data directory has seen.

    Args:
        path: the file; missing on the first start.
        verifier: the log's own checkpoint key.
    """

    def __init__(self, path: Path, verifier: NoteVerifier) -> None:
        self._path = path
        self._verifier = verifier
        self._written = ""

    async def check(self, store: Store) -> None:
        """Pass when the store's log contains the checkpoint in the file.

        Raises:
            ConfigError: it does not, or the file is not a checkpoint of this log.
        """
        try:
            note = self._path.read_text("utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._path} can't be read: {error}") from error
        try:
            seen = await verify_own(store, note, self._verifier)
        except (VerificationError, InvalidInputError) as error:
            raise ConfigError(
                f"{self._path} is not a checkpoint of this log: {error} If the keys were "
                "replaced, put the right ones back"
            ) from error
        stored = await store.checkpoint(seen.size)
        if stored:
            try:
                if await verify_own(store, stored, self._verifier) == seen:
                    self._written = note
                    return
            except (VerificationError, InvalidInputError):
                pass
        raise ConfigError(
            f"the log in the database is not the one this directory had with {seen.size} entries "
            f"({self._path.name}): an older or another database was put in its place. Put the "
            "newest one back. If entries after a backup are lost for good, tell the auditors, "
            f"keep a copy of {self._path} for them and remove it"
        )

    async def note(self, store: Store) -> None:
        """Keep the newest checkpoint; replaces the file in one step, also in a power cut.

        Raises:
            UnavailableError: the store can't be read.
            OSError: the file can't be written.
        """
        note = await store.checkpoint()
        if not note or note == self._written:
            return
        await asyncio.to_thread(replace_text, self._path, note)
        self._written = note
