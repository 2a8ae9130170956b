"""Checks a bundle against public keys from outside it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proxy.cli._bundle import layout
from proxy.cli._bundle.reading import BundleFiles, open_bundle
from proxy.cli._unknown_keys import could_not_tell, is_claimed
from proxy.cli._verification import _read_line
from proxy.errors import InvalidInputError, MissingError, VerificationError
from proxy.records import json_line
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteVerifier
from proxy.tlog.ranges import verify_range
from proxy.tlog.rotation import EVENT, PART, KeyHistory, Purpose, Rotation
from proxy.tlog.verify import IsSigned, check_record, signature_checks

T = TypeVar("T")

_PIECE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Proved:
    """What a bundle proves.

    Attributes:
        origin: the log.
        first: index of the first entry of the range.
        last: of the last.
        entries: how many are in it.
        is_whole: none between them is missing.
        size: of the log as of the checkpoint.
        root: of its tree, hex.
        grown_from: sizes from which the log is proved to have only grown.
        unchecked: what could not be proved, and why.
        is_kept_proved: the log is proved to have only grown from each checkpoint that was kept.
        notes: the signed checkpoints that are proved to be of this log.
    """

    origin: str
    first: int
    last: int
    entries: int
    is_whole: bool
    size: int
    root: str
    grown_from: tuple[int, ...]
    unchecked: list[str] = field(default_factory=list)
    is_kept_proved: bool = True
    notes: tuple[str, ...] = ()


class _Manifest(msgspec.Struct):
    format: Literal["tfaudit-bundle-v1"]
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    entries: int
    complete: bool
    filters: dict[str, Any]


class _Key(msgspec.Struct):
    purpose: Purpose
    public_key: bytes = b""


class _Keys(msgspec.Struct):
    keys: list[_Key]
    rotations: list[dict[str, Any]]


class _Around(msgspec.Struct):
    left: list[bytes]
    right: list[bytes]


class _Run(msgspec.Struct):
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    left: list[bytes]
    right: list[bytes]


@dataclass(frozen=True, slots=True)
class _Trust:
    """What signatures are checked with.

    Attributes:
        history: of the keys, from the trusted ones on.
        verifiers: of checkpoints.
        entries: of entries.
        is_own: the keys of entries are trusted, not only those that the bundle names.
    """

    history: KeyHistory
    verifiers: tuple[NoteVerifier, ...]
    entries: dict[str, IsSigned]
    is_own: bool

    def open(self, note: bytes | str) -> Checkpoint:
        """Return what a checkpoint says.

        Raises:
            VerificationError: no key signed it that is trusted there.
        """
        try:
            text = note if isinstance(note, str) else note.decode()
            checkpoint = verify_checkpoint(text, *self.verifiers)
        except (InvalidInputError, UnicodeDecodeError) as error:
            raise VerificationError(f"A checkpoint of the bundle is none. {error}") from error
        except VerificationError as error:
            raise VerificationError(f"A checkpoint does not hold. {error}") from error
        self.history.check_note(text, checkpoint.size)
        return checkpoint


def check_bundle(
    bundle: Path | BinaryIO,
    entry_keys: Mapping[str, Ed25519PublicKey],
    checkpoint_verifiers: Iterable[NoteVerifier],
    kept: Iterable[str],
    advance: Callable[[], None],
) -> Proved:
    """Check all that a bundle says.

    Args:
        bundle: the archive, also as an open file, or the directory that it was unpacked into;
            from anybody.
        entry_keys: trusted ones; without any, those that the bundle names are taken, and what an
            entry says is proved by the checkpoint alone.
        checkpoint_verifiers: trusted ones, at least one.
        kept: checkpoints from outside, from which the log must have only grown.
        advance: told about each entry.

    Raises:
        VerificationError: the first thing that does not hold, with its entry's index.
        OSError: the bundle can't be read.
    """
    with open_bundle(bundle) as files:
        about = _decoded(files.read(layout.MANIFEST), _Manifest, layout.MANIFEST)
        named = _decoded(files.read(layout.KEYS), _Keys, layout.KEYS)
        trust = _trust(named, entry_keys, tuple(checkpoint_verifiers))
        note = files.read(layout.NEWEST)
        newest = trust.open(note)
        grown = _check_growth(files, trust, newest)
        count = _check_entries(files, about, trust, newest, advance)
    unchecked = []
    if not about.complete:
        unchecked.append(
            "whether entries are missing that the filter would have let through: that of a choice "
            "can't be proved"
        )
    if not trust.is_own:
        unchecked.append(
            "whose the key is that signed the single entries: it is the one in the bundle, and the "
            "checkpoint alone proves them"
        )
    is_kept_proved = True
    notes = [note.decode(), *grown]
    roots = {each.size: each.root for each in (*grown.values(), newest)}
    for text in kept:
        checkpoint = trust.open(text)
        root = roots.get(checkpoint.size)
        if root is None:
            is_kept_proved = False
            unchecked.append(
                f"that the log only grew from {checkpoint.size} entries: ask for a bundle that was "
                "made with --since-checkpoint"
            )
        elif root != checkpoint.root:
            raise VerificationError(
                f"The first {checkpoint.size} entries are not those that the checkpoint promised "
                "which you kept: the log was rewritten."
            )
        else:
            notes.append(text)
    return Proved(
        newest.origin,
        about.first,
        about.last,
        count,
        about.complete,
        newest.size,
        newest.root.hex(),
        tuple(sorted({each.size for each in grown.values()})),
        unchecked,
        is_kept_proved,
        tuple(notes),
    )


def require_claimed(
    path: Path,
    entry_keys: Mapping[str, Ed25519PublicKey],
    checkpoint_verifiers: Iterable[NoteVerifier],
) -> None:
    """Pass when the newest checkpoint of a bundle names a key that is trusted, or is none at all.

    Raises:
        UnavailableError: neither a trusted key nor one that follows from it.
        VerificationError, OSError: as ``check_bundle``.
    """
    with open_bundle(path) as files:
        named = _decoded(files.read(layout.KEYS), _Keys, layout.KEYS)
        verifiers = _trust(named, entry_keys, tuple(checkpoint_verifiers)).verifiers
        note = files.read(layout.NEWEST)
    if not is_claimed(note, verifiers):
        raise could_not_tell("the bundle", note, verifiers)


def _trust(
    named: _Keys,
    entry_keys: Mapping[str, Ed25519PublicKey],
    verifiers: tuple[NoteVerifier, ...],
) -> _Trust:
    rotations = []
    for each in named.rotations:
        part = dict(each)
        index = part.pop("index", None)
        found = Rotation.parse(index, {"event": EVENT, PART: part}) if _is_index(index) else None
        if found is None:
            raise VerificationError(f"{layout.KEYS} names a rotation that is none.")
        rotations.append(found)
    trusted = [key.public_bytes_raw() for key in entry_keys.values()]
    history = KeyHistory(trusted, verifiers, rotations)
    keys = history.entry_keys()
    if not trusted:
        try:
            keys = {
                key_id(each.public_key): Ed25519PublicKey.from_public_bytes(each.public_key)
                for each in named.keys
                if each.purpose == "entry"
            }
        except ValueError as error:
            raise VerificationError(f"{layout.KEYS} names an entry key that is none.") from error
    return _Trust(history, history.verifiers(), signature_checks(keys), bool(trusted))


def _is_index(value: object) -> bool:
    return type(value) is int and value >= 0


def _check_growth(files: BundleFiles, trust: _Trust, newest: Checkpoint) -> dict[str, Checkpoint]:
    """Check that the log only grew from older checkpoints; return each note and what it says."""
    proofs = _decoded(files.read(layout.GROWTH), dict[str, _Around], layout.GROWTH)
    found: dict[str, Checkpoint] = {}
    for name in layout.OLDER:
        if name not in proofs:
            continue
        note = files.read(f"checkpoints/{name}")
        old, proof = trust.open(note), proofs[name]
        try:
            verify_range(old.size, [], (proof.left, []), old.size, old.root)
            verify_range(old.size, [], (proof.left, proof.right), newest.size, newest.root)
        except VerificationError as error:
            raise VerificationError(
                f"The log was rewritten: it does not begin with the {old.size} entries that "
                f"checkpoints/{name} promised, or the proof of it is another."
            ) from error
        found[note.decode()] = old
    return found


def _check_entries(
    files: BundleFiles,
    about: _Manifest,
    trust: _Trust,
    newest: Checkpoint,
    advance: Callable[[], None],
) -> int:
    """Check every entry and its place in the log, and return how many there are."""
    if not 0 <= about.first <= about.last < newest.size:
        raise VerificationError(
            f"{layout.MANIFEST}: the log has no entries from {about.first} to {about.last}."
        )
    lines = files.lines(layout.ENTRIES)
    following, count = about.first, 0
    documents = {name for name in files.names if layout.is_document(name)}
    for text in files.lines(layout.PROOFS):
        run = _decoded(text, _Run, layout.PROOFS)
        if not following <= run.first <= run.last or (about.complete and run.first != following):
            raise MissingError(
                f"Entry {following} is missing: the next proof is that of {run.first} to "
                f"{run.last}.",
                following,
            )
        leaves = []
        for index in range(run.first, run.last + 1):
            leaves.append(_check_entry(next(lines, b""), index, files, trust, documents))
            advance()
        verify_range(run.first, leaves, (run.left, run.right), newest.size, newest.root)
        following, count = run.last + 1, count + len(leaves)
    _check_end(about, following, count, lines, documents)
    return count


def _check_end(
    about: _Manifest, following: int, count: int, lines: Iterator[bytes], documents: set[str]
) -> None:
    for line in islice(lines, 1):
        raise VerificationError(
            f"After entry {following - 1} stands an entry without a proof: {line[:40]!r}.",
            following,
        )
    if documents:
        raise VerificationError(f"{min(documents)} belongs to no entry of the bundle.")
    if following > about.last + 1:
        raise VerificationError(
            f"The bundle should end with entry {about.last}, and goes on to {following - 1}.",
            about.last + 1,
        )
    if count != about.entries or (about.complete and following != about.last + 1):
        raise MissingError(
            f"The bundle should hold {about.entries} entries up to {about.last}; {count} are "
            "there.",
            following,
        )


def _check_entry(
    line: bytes, index: int, files: BundleFiles, trust: _Trust, documents: set[str]
) -> bytes:
    """Check the line in which an entry should stand, and return its leaf hash.

    Args:
        line: empty after the last.
        index: of the entry that should stand there.
        files: of the bundle.
        trust: what signatures are checked with.
        documents: those that belong to no entry so far; that of this one is taken out.
    """
    if not line:
        raise MissingError(f"Entry {index} is missing: its proof is there, the entry not.", index)
    stored = _read_line(line, index)
    record = stored.record
    if json_line(stored) + b"\n" != line:
        raise VerificationError(f"The line of entry {index} was laid out anew.", index)
    if record.index != index:
        raise MissingError(
            f"Entry {index} is missing: in its place stands one numbered {record.index}.", index
        )
    members = check_record(record, trust.entries)
    if trust.is_own:
        trust.history.check_entry(index, record.key_id, members)
    changes = members.get("changes")
    digest = changes.get("sha256") if isinstance(changes, dict) else None
    if digest is not None:
        name, whole = layout.document_of(index), hashlib.sha256()
        if name not in files.names:
            raise MissingError(f"The change document of entry {index} is missing.", index)
        with files.opened(name) as file:
            while piece := file.read(_PIECE):
                whole.update(piece)
        if whole.hexdigest() != digest:
            raise VerificationError(f"The change document of entry {index} was changed.", index)
        documents.discard(name)
    return record.leaf_hash


def _decoded(content: bytes, kind: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise VerificationError(f"{name} of the bundle is not as tfaudit writes it: {error}") from (
            error
        )
