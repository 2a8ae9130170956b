"""Verification of a whole log, entry by entry, with public keys alone."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proxy.errors import InvalidInputError, MissingError, VerificationError
from proxy.tlog import entry as entries
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.ed25519 import verifier
from proxy.tlog.entry import Record
from proxy.tlog.merkle import Frontier, leaf_hash
from proxy.tlog.note import NoteVerifier
from proxy.tlog.rotation import KeyHistory

_ENTRY_FORMAT: Final = 1
_UUID_SIZE: Final = 16
# RFC 9562 section 5.7, in lower case: the order of the texts is the order of the numbers.
_UUID7: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
)
# RFC 3339 in UTC with microseconds: of fixed width, so the order of the texts is that of time.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


class LogVerifier:
    """Follows a log from its first entry on and stops at the first thing that does not hold.

    Call `add` for each record in order, `at` whenever a stored checkpoint's size is reached, and
    `finish` with the newest checkpoint. A signature proves one entry; the order of the entries
    and that none is missing is proved by the checkpoints. Checkpoints of the log itself can be
    cut off together with its tail: only one kept elsewhere (`trusted`) finds that.

    After a `VerificationError` the verifier is of no more use.

    Args:
        entry_keys: the public keys that may have signed entries, by `entry.key_id`.
        checkpoint_verifiers: the key that signs this log's checkpoints, and its former ones.
        trusted: signed checkpoints kept outside the log, in any order; each is compared when the
            log reaches its size, and the log must reach them all.
        history: which of the keys signs where, by the log's rotations; None for a log without.

    Raises:
        InvalidInputError: a trusted checkpoint is none at all.
        VerificationError: a trusted checkpoint is forged or of another log.
    """

    def __init__(
        self,
        entry_keys: Mapping[str, Ed25519PublicKey],
        checkpoint_verifiers: Iterable[NoteVerifier],
        trusted: Iterable[bytes | str] = (),
        history: KeyHistory | None = None,
    ) -> None:
        """Read the trusted checkpoints and start with the empty log."""
        self._entry_keys = signature_checks(entry_keys)
        self._checkpoint_verifiers = tuple(checkpoint_verifiers)
        self._history = history or KeyHistory(
            (key.public_bytes_raw() for key in entry_keys.values()), self._checkpoint_verifiers
        )
        self._tree = Frontier()
        self._previous_id = ""
        self._previous_time = ""
        self._proved_size = 0
        self._proved_id = ""
        self._trusted_size = 0
        # 16 bytes an entry since the last checkpoint that held: see _first_displaced.
        self._unproved_ids = bytearray()
        self._trusted: defaultdict[int, list[Checkpoint]] = defaultdict(list)
        for note in trusted:
            checkpoint = verify_checkpoint(note, *self._checkpoint_verifiers)
            self._history.check_note(note, checkpoint.size)
            self._trusted[checkpoint.size].append(checkpoint)

    @property
    def size(self) -> int:
        """The number of entries that were added."""
        return self._tree.size

    @property
    def checkpoint_verifiers(self) -> tuple[NoteVerifier, ...]:
        """The keys of this log's checkpoints."""
        return self._checkpoint_verifiers

    @property
    def history(self) -> KeyHistory:
        """Which key signs where."""
        return self._history

    @property
    def proved_size(self) -> int:
        """The number of entries, from the first, whose order and completeness are proved."""
        return self._proved_size

    def add(self, record: Record, members: Mapping[str, object] | None = None) -> None:
        """Check the next record.

        Args:
            record: from anybody.
            members: what ``check_record`` gave for it; None does that here.

        Raises:
            VerificationError: with the first bad index. It is the record's own place, except
                where the order shows that an earlier entry stands in a place not its own, and
                where a trusted checkpoint of the size so far does not hold (then as in `finish`).
        """
        # Only now, so that a checkpoint stored for the same size could speak first: it names a
        # narrower place.
        self._compare_trusted()
        index = self._tree.size
        if record.index != index:
            raise MissingError(
                f"Entry {index} is missing: in its place stands one numbered {record.index}.", index
            )
        if members is None:
            members = check_record(record, self._entry_keys)
        self._history.check_entry(index, record.key_id, members)
        self._check_order(index, members)
        self._tree.append(record.leaf_hash)

    def add_entry(self, entry: bytes, leaf: bytes) -> None:
        """Check the next entry where its own signature is not at hand: in tiles.

        That of a checkpoint which covers it proves it, too: none is proved before ``finish``.

        Args:
            entry: its bytes.
            leaf: the hash that the tree has in its place.

        Raises:
            VerificationError: with the first bad index, as ``add``.
        """
        self._compare_trusted()
        index = self._tree.size
        if leaf_hash(entry) != leaf:
            raise VerificationError(
                f"Entry {index} was changed: its hash is not that of the tree.", index
            )
        self._check_order(index, _parse(index, entry))
        self._tree.append(leaf)

    def add_pruned(self, leaf: bytes) -> None:
        """Take the next entry, of which only the leaf hash is left; ``begin`` proves them all.

        Raises:
            VerificationError: a trusted checkpoint of the size so far does not hold.
        """
        self._compare_trusted()
        self._tree.append(leaf)

    def begin(self, root: bytes, last_id: str, last_time: str) -> None:
        """Go on after entries that were pruned.

        Args:
            root: of the tree over them, as what is known of them says.
            last_id: of the last of them.
            last_time: of that one.

        Raises:
            VerificationError: the hashes that are left of them are not theirs.
        """
        if self._tree.root() != root:
            raise VerificationError(
                f"The hashes that are kept of the first {self.size} entries, which were pruned, "
                "are not theirs: they were changed.",
                self._proved_size,
            )
        self._proved_size, self._proved_id = self.size, last_id
        self._previous_id, self._previous_time = last_id, last_time
        self._unproved_ids.clear()

    @property
    def root(self) -> bytes:
        """Root hash of the tree over what was added."""
        return self._tree.root()

    @property
    def last(self) -> tuple[str, str]:
        """ID and time of the newest entry; empty before the first."""
        return self._previous_id, self._previous_time

    def resume(self, checkpoint_note: bytes | str, frontier: bytes) -> Checkpoint:
        """Begin after the entries that a checkpoint promised, without seeing them.

        Args:
            checkpoint_note: signed, and kept outside the log.
            frontier: the roots of the complete subtrees of that tree, from anybody, as
                ``Frontier.to_bytes`` gives them.

        Returns:
            What the checkpoint says.

        Raises:
            VerificationError: the checkpoint is forged, or the log does not begin with its tree.
        """
        checkpoint = self._open(checkpoint_note)
        try:
            self._tree = Frontier.from_bytes(checkpoint.size, frontier)
        except InvalidInputError as error:
            raise VerificationError(str(error), 0) from error
        if self._tree.root() != checkpoint.root:
            raise VerificationError(
                f"The log does not begin with the {checkpoint.size} entries that the checkpoint "
                "promised: it was rewritten, or is another log.",
                0,
            )
        self._proved_size = self._trusted_size = checkpoint.size
        return checkpoint

    def at(self, checkpoint_note: bytes | str, opened: Checkpoint | None = None) -> Checkpoint:
        """Compare the log so far with a checkpoint stored in it, taken at this size.

        Args:
            checkpoint_note: from anybody.
            opened: what ``verify_checkpoint`` gave for it with these keys; None does that here.

        Raises:
            VerificationError: the checkpoint is forged, of another size, or its root differs; the
                index is the first that no checkpoint proved yet.
        """
        checkpoint = opened or self._open(checkpoint_note)
        self._check_keys(checkpoint_note, checkpoint.size)
        if checkpoint.size != self._tree.size:
            raise VerificationError(
                f"The checkpoint stored for {self._tree.size} entries is one of "
                f"{checkpoint.size} entries.",
                self._proved_size,
            )
        self._compare(checkpoint)
        return checkpoint

    def finish(self, final_checkpoint_note: bytes | str) -> Checkpoint:
        """Compare the whole log with its newest checkpoint, and see that no trusted one is ahead.

        Returns:
            The newest checkpoint: the size and root that the whole log was proved to have.

        Raises:
            VerificationError: entries are missing, the root differs, or the checkpoint is forged
                (the index is the first that no checkpoint proved); entries stand after the newest
                checkpoint (the index is the first of them); or a trusted one's root differs (the
                index is the first that no trusted one proved).
        """
        checkpoint = self._open(final_checkpoint_note)
        self._check_keys(final_checkpoint_note, checkpoint.size)
        size = self._tree.size
        promised = max(checkpoint.size, *self._trusted, 0)
        if promised > size:
            # Where all that is left was proved, the missing ones can only be the last.
            where = f"something from entry {self._proved_size} on was cut or dropped"
            if self._proved_size == size:
                where = "its tail was cut"
            raise MissingError(
                f"The log has {size} entries, a signed checkpoint promises {promised}: {where}.",
                self._proved_size,
            )
        if checkpoint.size < size:
            raise VerificationError(
                f"The log has {size} entries, its newest checkpoint covers {checkpoint.size}: "
                "those after it are not proved.",
                checkpoint.size,
            )
        self._compare(checkpoint)
        self._compare_trusted()
        return checkpoint

    def _check_order(self, index: int, members: Mapping[str, object]) -> None:
        entry_id, time = members.get("id"), members.get("time")
        if not isinstance(entry_id, str) or not _UUID7.fullmatch(entry_id):
            raise VerificationError(f"Entry {index} has no id that is a UUIDv7.", index)
        if not isinstance(time, str) or not _TIME.fullmatch(time):
            raise VerificationError(f"Entry {index} has no time in UTC with microseconds.", index)
        if entry_id <= self._previous_id:
            displaced = self._first_displaced(index, entry_id)
            raise VerificationError(
                f"Entry {index} is out of order: by its id it belongs further ahead. Entries were "
                f"swapped, moved or repeated from {displaced} on.",
                displaced,
            )
        if time < self._previous_time:
            raise VerificationError(
                f"Entry {index} is dated before the entry that it follows.", index
            )
        self._previous_id = entry_id
        self._previous_time = time
        self._unproved_ids += _raw_id(entry_id)

    def _first_displaced(self, index: int, entry_id: str) -> int:
        """Find the first place that does not hold its own entry, given one that came too late.

        An entry that stands too far ahead looks like any other. It shows only when one that it
        overtook is met behind it, and then the overtaker's is the first place that is wrong.
        """
        if entry_id <= self._proved_id:
            return index  # what was proved stands where it should, so this is a copy of it
        ids = self._unproved_ids
        raw_id = _raw_id(entry_id)

        def id_at(position: int) -> bytes:
            return bytes(ids[position * _UUID_SIZE : (position + 1) * _UUID_SIZE])

        position = bisect_left(range(len(ids) // _UUID_SIZE), raw_id, key=id_at)
        if id_at(position) == raw_id:
            return index  # a repeated entry: the first of the two stands where it should
        return self._proved_size + position

    def _open(self, checkpoint_note: bytes | str) -> Checkpoint:
        try:
            return verify_checkpoint(checkpoint_note, *self._checkpoint_verifiers)
        except (InvalidInputError, VerificationError) as error:
            raise VerificationError(
                f"A checkpoint of the log does not hold. {error}", self._proved_size
            ) from error

    def _check_keys(self, checkpoint_note: bytes | str, size: int) -> None:
        try:
            self._history.check_note(checkpoint_note, size)
        except VerificationError as error:
            raise VerificationError(str(error), self._proved_size) from error

    def _compare(self, checkpoint: Checkpoint) -> None:
        if self._tree.root() != checkpoint.root:
            raise VerificationError(
                f"The first {checkpoint.size} entries are not those that were signed as a whole: "
                f"something from entry {self._proved_size} on was dropped, moved or replaced.",
                self._proved_size,
            )
        self._proved_size = self._tree.size
        self._proved_id = self._previous_id
        self._unproved_ids.clear()

    def _compare_trusted(self) -> None:
        for checkpoint in self._trusted.pop(self._tree.size, ()):
            if self._tree.root() != checkpoint.root:
                # The log's own checkpoints so far agreed with it, so they may be as false as it
                # is: whoever has the checkpoint key can sign another history.
                raise VerificationError(
                    f"The first {checkpoint.size} entries are not those that the trusted "
                    f"checkpoint promised: the log was rewritten from entry {self._trusted_size} "
                    "on or later.",
                    self._trusted_size,
                )
            self._compare(checkpoint)
            self._trusted_size = checkpoint.size


def _raw_id(entry_id: str) -> bytes:
    return bytes.fromhex(entry_id.replace("-", ""))


IsSigned = Callable[[bytes, bytes], bool]


def signature_checks(keys: Mapping[str, Ed25519PublicKey]) -> dict[str, IsSigned]:
    """Return for each key ID what tells whether that key signed."""
    return {key_id: verifier(key) for key_id, key in keys.items()}


def check_record(record: Record, keys: Mapping[str, IsSigned]) -> dict[str, object]:
    """Check all that a record says by itself: hash, signature, form; not its place in the log.

    This is most of the work, and needs nothing of the records before: it can be done anywhere, in
    any order.

    Args:
        record: from anybody.
        keys: as ``signature_checks`` gives them.

    Returns:
        The entry's members.

    Raises:
        VerificationError: with the record's own index.
    """
    index = record.index
    if leaf_hash(record.entry) != record.leaf_hash:
        raise VerificationError(f"Entry {index} was changed: its leaf hash is another.", index)
    is_signed = keys.get(record.key_id)
    if is_signed is None:
        raise VerificationError(
            f"Entry {index} was signed by an unknown key, {record.key_id!r}.", index
        )
    if not is_signed(record.signature, entries.signing_input(record.entry)):
        raise VerificationError(
            f"Entry {index} was changed or forged: its signature is wrong.", index
        )
    return _parse(index, record.entry)


def _parse(index: int, entry: bytes) -> dict[str, object]:
    try:
        members = entries.parse(entry)
    except InvalidInputError as error:
        raise VerificationError(f"Entry {index} is not an audit entry. {error}", index) from error
    version = members.get("v")
    if type(version) is not int or version != _ENTRY_FORMAT:
        raise VerificationError(f"Entry {index} is not of the entry format {_ENTRY_FORMAT}.", index)
    return members
