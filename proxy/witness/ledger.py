"""What a witness remembers: of each log the last checkpoint that it cosigned, in one SQLite file.

To look at it and to replace it is one transaction, also for two processes on one file, and what
it commits is on the disk when ``advance`` returns. Only then may anything be signed. So whatever
moment the witness is killed at, it never signed what it does not remember:

- before the commit, nothing was signed and nothing is remembered: the log asks again;
- after it, the checkpoint is remembered and perhaps nobody got the cosignature: the log asks again
  from the size that it is told, and gets one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from proxy.errors import ConfigError, UnavailableError
from proxy.tlog.checkpoint import Checkpoint
from proxy.tlog.witnessing import Accepted, Claim, Refused, decide

_SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS cosigned (
    origin TEXT PRIMARY KEY,
    size TEXT NOT NULL,      -- decimal: SQLite's integers end at 63 bits
    root BLOB NOT NULL,
    note TEXT NOT NULL,      -- as the log signed it: the evidence
    seconds INTEGER NOT NULL -- since 1970
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS forgotten ( -- as the row in cosigned was
    origin TEXT NOT NULL,
    size TEXT NOT NULL,
    root BLOB NOT NULL,
    note TEXT NOT NULL,
    seconds INTEGER NOT NULL,
    at INTEGER NOT NULL -- seconds since 1970
) STRICT
""",
)
_BUSY_SECONDS: Final = 5.0


class Ledger:
    """The file; open while the object lives.

    Args:
        path: made when it is missing, and its directory must be there.

    Raises:
        ConfigError: it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._database = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # EXTRA also syncs the directory after the journal is gone from it: nothing that was
            # cosigned comes undone by a power cut.
            self._database.execute("PRAGMA synchronous = EXTRA")
            for statement in _SCHEMA:
                self._database.execute(statement)
        except sqlite3.Error as error:
            raise ConfigError(f"{path} can't be used: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def latest(self, origin: str) -> Checkpoint | None:
        """Return what was cosigned last of a log; None if nothing.

        Raises:
            UnavailableError: it can't be read.
        """
        with self._told():
            return self._latest(origin)[0]

    def note(self, origin: str) -> str | None:
        """Return the checkpoint that was cosigned last of a log, as the log signed it.

        Raises:
            UnavailableError: it can't be read.
        """
        query = "SELECT note FROM cosigned WHERE origin = ?"
        with self._told(), closing(self._database.execute(query, (origin,))) as cursor:
            row = cursor.fetchone()
        return None if row is None else str(row[0])

    def origins(self) -> list[str]:
        """Return the names of the logs that something was cosigned of.

        Raises:
            UnavailableError: it can't be read.
        """
        query = "SELECT origin FROM cosigned ORDER BY origin"
        with self._told(), closing(self._database.execute(query)) as cursor:
            return [str(row[0]) for row in cursor]

    def forget(self, origin: str, seconds: int) -> bool:
        """Begin a log anew: whatever it shows next is cosigned. What was known is kept aside.

        One transaction, so that a witness may run meanwhile: a request is decided before or after.

        Args:
            origin: of the log.
            seconds: since 1970, the present.

        Returns:
            Whether anything was known of it.

        Raises:
            UnavailableError: it could not be done, and nothing was.
        """
        with self._told(), self._transaction():
            self._database.execute(
                "INSERT INTO forgotten SELECT *, ? FROM cosigned WHERE origin = ?",
                (seconds, origin),
            )
            done = self._database.execute("DELETE FROM cosigned WHERE origin = ?", (origin,))
        return done.rowcount > 0

    def advance(self, claim: Claim, seconds: int) -> Accepted | Refused:
        """Decide about a claim, and remember it when it is accepted: durably, before the return.

        Args:
            claim: whose signature was checked.
            seconds: since 1970, the present.

        Raises:
            UnavailableError: it could not be remembered, or the clock went back; sign nothing.
        """
        origin = claim.checkpoint.origin
        with self._told(), self._transaction():
            latest, last = self._latest(origin)
            answer = decide(claim, latest)
            if isinstance(answer, Refused):
                return answer
            if seconds < last:
                # A cosignature says that at its time no larger checkpoint was known.
                raise UnavailableError(
                    f"the clock of this witness stands {last - seconds} seconds before its last "
                    f"cosignature of {origin}: set it right"
                )
            self._database.execute(
                "INSERT OR REPLACE INTO cosigned VALUES (?, ?, ?, ?, ?)",
                (
                    origin,
                    str(answer.checkpoint.size),
                    answer.checkpoint.root,
                    claim.request.note,
                    seconds,
                ),
            )
        return answer

    def _latest(self, origin: str) -> tuple[Checkpoint | None, int]:
        query = "SELECT size, root, seconds FROM cosigned WHERE origin = ?"
        with closing(self._database.execute(query, (origin,))) as cursor:
            row = cursor.fetchone()
        if row is None:
            return None, 0
        return Checkpoint(origin, int(row[0]), row[1]), row[2]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UnavailableError(
                f"{self._path} could not be read or written, so nothing was cosigned: {error}"
            ) from error
