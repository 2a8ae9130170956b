"""The newest checkpoint that enough witnesses cosigned, in a file beside the database."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.durable import replace_text
from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.cosignature import CosignatureVerifier, require_quorum
from proxy.tlog.note import NoteVerifier


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint with the cosignatures of a quorum.

    Attributes:
        note: as a signed note.
        checkpoint: what it promises.
        seconds: since 1970; by then a quorum of witnesses had said that they knew nothing larger.
    """

    note: str
    checkpoint: Checkpoint
    seconds: int


class CosignedCheckpoint:
    """Keeps it; what does not hold is never kept nor handed out.

    Args:
        path: the file; missing until the first was cosigned.
        log: the log's own checkpoint key, the one in force.
        witnesses: whose word counts; without any nothing is kept.
        quorum: how many of them are wanted.
    """

    def __init__(
        self,
        path: Path,
        log: NoteVerifier,
        witnesses: Sequence[CosignatureVerifier],
        quorum: int,
    ) -> None:
        self._path = path
        self._log = log
        self._witnesses = witnesses
        self._quorum = quorum
        self.newest: Cosigned | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether there are witnesses at all."""
        return bool(self._witnesses)

    @property
    def quorum(self) -> int:
        """How many witnesses are wanted."""
        return self._quorum

    async def load(self, verify: Callable[[str], Awaitable[Checkpoint]]) -> None:
        """Take up what is in the file, unless it is not what is wanted today.

        A file that is gone, was altered, or has too few cosignatures of the witnesses that count
        now is as good as none: the next one that is cosigned takes its place. One that a former
        key of the log signed stays until then: a rotation undoes no word of a witness. One of
        entries that were lost does not, or none of the log that went on would ever follow it.

        Args:
            verify: checks that a checkpoint is signed by a key that this log has or had, and that
                the log contains it.

        Raises:
            UnavailableError: the log can't be read.
        """
        if not self.is_wanted:
            return
        try:
            note = self._path.read_text("utf-8")
            self.newest = self._counted(note, await verify(note))
        except (OSError, UnicodeDecodeError, InvalidInputError, VerificationError):
            self.newest = None

    async def keep(self, note: str) -> Cosigned:
        """Keep a checkpoint; it is on the disk when this returns.

        Raises:
            InvalidInputError: it is none.
            VerificationError: it is not the log's, too few cosigned it, or it is smaller than the
                one that is kept.
            OSError: the file can't be written; the old one stays.
        """
        found = self._counted(note, verify_checkpoint(note, self._log))
        if self.newest is not None and found.checkpoint.size < self.newest.checkpoint.size:
            raise VerificationError(
                f"The cosigned checkpoint of {found.checkpoint.size} entries is older than the one "
                f"of {self.newest.checkpoint.size} that is kept."
            )
        await asyncio.to_thread(replace_text, self._path, note)
        self.newest = found
        return found

    def _counted(self, note: str, checkpoint: Checkpoint) -> Cosigned:
        found = require_quorum(note, self._witnesses, self._quorum)
        seconds = sorted((each.seconds for each in found), reverse=True)[self._quorum - 1]
        return Cosigned(note, checkpoint, seconds)
