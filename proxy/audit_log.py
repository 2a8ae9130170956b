"""Turns drafts into signed entries, grows the tree and signs the checkpoint of a batch.

It runs inside the caller's transaction and keeps nothing of its own: the log's head comes in
and the next head goes out, so that a batch that is rolled back leaves no trace here either.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.access import Caller, printable
from proxy.client_text import client_text
from proxy.contracts import Draft
from proxy.errors import InvalidInputError, UnavailableError, VerificationError
from proxy.events import EVENTS, OUTCOMES
from proxy.timestamps import pooled, rfc3339, uuid7
from proxy.tlog.checkpoint import Checkpoint, sign, verify_checkpoint
from proxy.tlog.entry import Record, canonical, key_id, signing_input
from proxy.tlog.merkle import Frontier, leaf_hash
from proxy.tlog.note import NoteSigner, NoteVerifier
from proxy.tlog.rotation import key_ids_of
from proxy.tlog.signer import Signer
from proxy.tlog.signing import signer_of

_VERSION: Final = 1


def draft(  # noqa: PLR0913 - the fields of an entry, in the order people ask for them
    event: str,
    outcome: str,
    message: str,
    caller: Caller,
    status: int | None = None,
    *,
    workspace: str | None = None,
    document: bytes | None = None,
    **parts: Any,  # noqa: ANN401 - JSON of any shape; what may be in it is the log's rule
) -> Draft:
    """Return an entry as AUDIT section 1 lays it out, but for what the commit gives it.

    Args:
        event: a name of the catalogue.
        outcome: ``success``, ``denied``, ``conflict`` or ``error``.
        message: one sentence for people, without any value of a state.
        caller: who asks, from where, by which request.
        status: the HTTP status of the answer; None when there is none.
        workspace: what it is about, if it is about one.
        document: the whole redacted change document when ``changes`` had to be cut.
        parts: further objects: ``run``, ``state``, ``changes``, ``token`` …
    """
    source: dict[str, Any] = {"ip": caller.ip}
    if caller.forwarded_for:
        source["forwarded_for"] = list(caller.forwarded_for)
    if caller.user_agent:
        source["user_agent"] = caller.user_agent
    request: dict[str, Any] = {
        "id": caller.request_id,
        "via": caller.via,
        "method": caller.method,
        "path": caller.path,
    }
    if status is not None:
        request["status"] = status
    entry: dict[str, Any] = {
        "event": event,
        "outcome": outcome,
        "message": (printable if outcome == "success" else client_text)(message, 1024),
        "actor": caller.principal.actor(),
        "source": source,
        "request": request,
    }
    if workspace is not None:
        entry["workspace"] = workspace
    entry.update(parts)
    return Draft(entry, document, caller.principal)


class LogHead(NamedTuple):
    """Where the log stands.

    Attributes:
        size: number of entries.
        frontier: the compact range of the tree over them, as ``Frontier.to_bytes`` gives it.
        micros: time of the newest entry, microseconds since 1970; 0 when there is none.
    """

    size: int
    frontier: bytes
    micros: int


EMPTY_HEAD: Final = LogHead(0, b"", 0)


class Retiring(NamedTuple):
    """A key whose successor is about to sign: the head is still its own.

    Attributes:
        entry_key_id: of the entry key; None when another key retires.
        checkpoint: public half of the checkpoint key; None when another key retires.
        checkpoint_signer: signs the checkpoint of the hand-over, too; None when it was lost.
    """

    entry_key_id: str | None = None
    checkpoint: NoteVerifier | None = None
    checkpoint_signer: NoteSigner | None = None


class AuditLog:
    """Signs entries with one key and checkpoints with another, and nothing else with either.

    Args:
        entry_key: signs ``tfaudit-entry-v1`` and the canonical bytes of each entry.
        checkpoint_key: signs checkpoints.
        origin: the log's name, the first line of each checkpoint and the name of its key.
        clock: microseconds since 1970.
        random: gives so many random bytes.
        retiring: with whose successor this log is opened to record just that; None to work.
    """

    def __init__(  # noqa: PLR0913 - the keys, and what an instance of them needs
        self,
        entry_key: Ed25519PrivateKey | Signer,
        checkpoint_key: Ed25519PrivateKey | Signer,
        origin: str,
        *,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        retiring: Retiring = Retiring(),  # noqa: B008 - immutable
    ) -> None:
        entry_signer = signer_of(entry_key)
        self.sign_entry: Callable[[bytes], bytes] = entry_signer.sign
        self.entry_key_id = key_id(entry_signer.public_key)
        self.retiring = retiring
        self.note_signer = NoteSigner(origin, checkpoint_key)
        self.origin = origin
        self.clock = clock
        self.random_of_id = pooled(random)

    def is_own(self, note: str, head: LogHead) -> bool:
        """Tell whether the note is our own signed checkpoint of exactly this head.

        It is not when another key signed it last: then that is the log's by now, and this one was
        retired.
        """
        own = [self.note_signer.verifier]
        if self.retiring.checkpoint is not None:
            own.append(self.retiring.checkpoint)
        try:
            checkpoint = verify_checkpoint(note, *own)
            root = Frontier.from_bytes(head.size, head.frontier).root()
        except (VerificationError, InvalidInputError):
            return False
        if key_ids_of(note, self.origin)[-1] not in {each.key_id for each in own}:
            return False
        return (checkpoint.origin, checkpoint.size, checkpoint.root) == (
            self.origin,
            head.size,
            root,
        )

    def is_own_entry(self, signed_by: str) -> bool:
        """Tell whether the log's newest entry, by the ID of its key, is one that we go on from."""
        return signed_by in {self.entry_key_id, self.retiring.entry_key_id}

    def begin(self, head: LogHead) -> "Batch":
        """Start the appends of one transaction at the head that this transaction read."""
        return Batch(self, head)


class Batch:
    """The entries of one transaction; the order of the calls is the order of the log.

    Attributes:
        micros: the transaction's time; never before that of an entry already in the log.
    """

    def __init__(self, log: AuditLog, head: LogHead) -> None:
        self._log = log
        self._frontier = Frontier.from_bytes(head.size, head.frontier)
        self._last = head.micros
        self.micros = max(log.clock(), head.micros + 1)
        self._next = self.micros

    @property
    def size(self) -> int:
        """Return the tree's size with all that was appended so far."""
        return self._frontier.size

    def append(self, drafts: list[Draft]) -> list[Record]:
        """Sign the drafts and add them to the tree: all of them, or none when one fails.

        Each entry's time is at least a microsecond after the one before, so that IDs and times
        of a log rise strictly even when the clock stands still or is set back.

        Raises:
            InvalidInputError: an entry is too large or holds what can't be signed.
            UnavailableError: the key could not sign.
        """
        log = self._log
        micros = self._next
        index = self._frontier.size
        records: list[Record] = []
        for each in drafts:
            entry = each.entry
            if entry["event"] not in EVENTS or entry["outcome"] not in OUTCOMES:
                raise AssertionError(f"not in the catalogue: {entry['event']} {entry['outcome']}")
            entry["v"] = _VERSION
            entry["id"] = uuid7(micros, log.random_of_id())
            entry["time"] = rfc3339(micros)
            data = canonical(entry)
            try:
                signature = log.sign_entry(signing_input(data))
            except Exception as error:
                raise UnavailableError(
                    f"the entry could not be signed, so nothing was done: {_why(error, 'entry')}"
                ) from error
            records.append(Record(index, data, leaf_hash(data), signature, log.entry_key_id))
            micros += 1
            index += 1
        for record in records:
            self._frontier.append(record.leaf_hash)
        self._next = micros
        return records

    def close(self) -> tuple[LogHead, str]:
        """Return the next head and its signed checkpoint (C2SP tlog-checkpoint).

        Raises:
            UnavailableError: the key could not sign.
        """
        log = self._log
        frontier = self._frontier
        checkpoint = Checkpoint(log.origin, frontier.size, frontier.root())
        try:
            note = sign(checkpoint, log.note_signer)
            if log.retiring.checkpoint_signer is not None:
                handed_over = sign(checkpoint, log.retiring.checkpoint_signer)
                note = handed_over + note.rpartition("\n\n")[2]
        except Exception as error:
            raise UnavailableError(
                f"the checkpoint could not be signed, so nothing was done: "
                f"{_why(error, 'checkpoint')}"
            ) from error
        return LogHead(frontier.size, frontier.to_bytes(), self._next - 1), note


def _why(error: Exception, purpose: str) -> str:
    """Return what is wrong with a key; of an error that is none of ours, its message stays in."""
    return str(error) if isinstance(error, UnavailableError) else f"check the {purpose} key"
