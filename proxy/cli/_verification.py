"""Checks a whole log and the states stored beside it against public keys."""

import hashlib
import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from proxy.access import printable
from proxy.contracts import LogQuery, StateVersion, Store, StoredRecord
from proxy.errors import InvalidInputError, UnavailableError, VerificationError
from proxy.keys import KeyRing
from proxy.sealing import unseal
from proxy.tlog.checkpoint import verify_checkpoint
from proxy.tlog.entry import Record, canonical, key_id
from proxy.tlog.note import NoteVerifier
from proxy.tlog.verify import LogVerifier

_STORING: Final = frozenset({"state.written", "state.rolled_back"})
"""Events whose entries vouch for a stored version."""

_STATE_FIELDS: Final = ("lineage", "serial", "sha256", "size", "terraform_version")
"""What an entry says of a stored version, and the store must say, too."""

_PUBLIC_KEY_BYTES: Final = 32

_KINDS: Final = [bytes, bytes, bytes, str]
"""Types of a record's parts after its index."""

Advance = Callable[[], None]
"""Told about each entry and each stored state that was checked."""


# ---------------------------------------------------------------- keys


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """What a log is checked against.

    Attributes:
        entry: public keys of entries by key ID.
        checkpoint: public keys of checkpoints.
        master: opens the stored states; None when only public keys are at hand.
    """

    entry: Mapping[str, Ed25519PublicKey]
    checkpoint: tuple[NoteVerifier, ...]
    master: bytes | None = field(default=None, repr=False)

    @classmethod
    def of_ring(cls, ring: KeyRing) -> "TrustedKeys":
        """Return the public halves of the log's own keys, and the key of its states."""
        return cls(
            {ring.entry_key_id: ring.entry.public_key()},
            (NoteVerifier.parse(ring.vkey),),
            ring.master,
        )


def parse_entry_key(text: str) -> Ed25519PublicKey:
    """Read an entry key from base64 of its 32 raw bytes.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        raw = b64decode(text.strip(), validate=True)
    except (Base64Error, ValueError):
        raw = b""
    if len(raw) != _PUBLIC_KEY_BYTES:
        raise InvalidInputError(
            f"{text!r} is not an entry key: it should be base64 of 32 bytes, as "
            "`tfaudit key show` prints it"
        )
    return Ed25519PublicKey.from_public_bytes(raw)


def parse_keys(given: Iterable[str]) -> tuple[list[Ed25519PublicKey], list[NoteVerifier]]:
    """Read what ``--key`` names: each a file or a checkpoint's verifier key.

    A file holds what ``tfaudit key show --json`` prints, an entry key in PEM, or verifier keys
    one a line.

    Returns:
        Entry keys and checkpoint keys.

    Raises:
        InvalidInputError: one is neither.
    """
    entry: list[Ed25519PublicKey] = []
    checkpoint: list[NoteVerifier] = []
    for each in given:
        path = Path(each)
        if not path.is_file():
            if "+" not in each:
                raise InvalidInputError(f"{each} is neither a file nor a verifier key")
            checkpoint.append(NoteVerifier.parse(each))
            continue
        text = path.read_text("utf-8", "replace").strip()
        if text.startswith("{"):
            entry_key, vkey = _shown_keys(each, text)
            entry.append(entry_key)
            checkpoint.append(vkey)
        elif text.startswith("-----BEGIN"):
            entry.append(_pem_key(each, text))
        else:
            checkpoint += [NoteVerifier.parse(line.strip()) for line in text.splitlines()]
    return entry, checkpoint


def _shown_keys(name: str, text: str) -> tuple[Ed25519PublicKey, NoteVerifier]:
    try:
        shown = orjson.loads(text)
        entry_key, vkey = str(shown["entry"]["public_key"]), str(shown["checkpoint"]["vkey"])
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        raise InvalidInputError(
            f"{name} does not hold what `tfaudit key show --json` prints"
        ) from error
    return parse_entry_key(entry_key), NoteVerifier.parse(vkey)


def _pem_key(name: str, text: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInputError(f"{name} does not hold an Ed25519 public key in PEM")
    return key


def keys_by_id(keys: Iterable[Ed25519PublicKey]) -> dict[str, Ed25519PublicKey]:
    """Return the entry keys under the IDs by which signatures name them."""
    return {key_id(key.public_bytes_raw()): key for key in keys}


# ---------------------------------------------------------------- findings


@dataclass(slots=True)
class Findings:
    """What was checked and held.

    Attributes:
        entries: number of entries.
        checkpoints: number of signed checkpoints compared.
        states: number of stored states whose digest was compared.
        root: root hash of the tree over all entries, hex; empty for an empty log.
        unchecked: what could not be checked, and why.
        is_proved: whether a checkpoint covers all entries.
    """

    entries: int = 0
    checkpoints: int = 0
    states: int = 0
    root: str = ""
    unchecked: list[str] = field(default_factory=list)
    is_proved: bool = True


@dataclass(frozen=True, slots=True)
class _Promise:
    """What an entry says of a version that it stored.

    Attributes:
        index: the entry's.
        workspace: whose state.
        number: by the order of the log, 1 for the workspace's first version.
        state: what is said of it: lineage, serial, digest, size …
    """

    index: int
    workspace: str
    number: int
    state: Mapping[str, Any]


@dataclass(slots=True)
class _Promises:
    """What the entries so far say of stored states.

    Attributes:
        by_version: the promise of each version, by its ID, in the order of the log.
        newest: the ID of each workspace's newest version.
    """

    by_version: dict[str, _Promise] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)

    def note(self, index: int, entry: Mapping[str, Any]) -> None:
        """Remember which state an entry says was stored, if it says so.

        Raises:
            VerificationError: another entry said something else of the same version.
        """
        state = entry.get("state")
        if entry.get("event") not in _STORING or entry.get("outcome") != "success":
            return
        if not isinstance(state, dict) or "version" not in state:
            return
        workspace, version = str(entry.get("workspace")), str(state["version"])
        said = {name: state.get(name) for name in _STATE_FIELDS}
        earlier = self.by_version.get(version)
        # The same bytes sent again are recorded again, but stored once.
        if earlier is not None and (earlier.workspace, earlier.state) != (workspace, said):
            raise VerificationError(
                f"Entry {index} says something else of a stored state than entry "
                f"{earlier.index} did.",
                index,
            )
        if earlier is None:
            before = self.newest.get(workspace)
            number = 1 if before is None else self.by_version[before].number + 1
            self.by_version[version] = _Promise(index, workspace, number, said)
            self.newest[workspace] = version


# ---------------------------------------------------------------- a store


async def verify_store(
    store: Store, keys: TrustedKeys, trusted: Iterable[str], advance: Advance
) -> Findings:
    """Check every entry, every checkpoint and every stored state.

    A server may go on writing: what is committed after the start is left for the next time.

    Args:
        store: may be damaged or forged; nothing it says is believed.
        keys: never from the database.
        trusted: checkpoints kept elsewhere.
        advance: told about each thing checked.

    Raises:
        VerificationError: the first thing that does not hold, with its entry's index.
        InvalidInputError: a trusted checkpoint is none.
        UnavailableError: the store could not be read.
    """
    findings = Findings()
    verifier = LogVerifier(keys.entry, keys.checkpoint, trusted)
    # In this order: whatever is listed first must be covered by what is read later.
    listed = {
        version.id: version
        for workspace in await store.workspaces()
        for version in await store.versions(workspace.name)
    }
    promised_size = await store.size()
    promises = _Promises()
    newest = ""
    records = store.entries(LogQuery())
    async for size, note in store.checkpoints():
        await _follow(records, verifier, size, promises, advance)
        newest = note
        if verifier.size != size:
            break  # entries are missing: the end says it
        try:
            verifier.at(note)
        except VerificationError as error:
            await _name_exactly(store, keys, verifier, error)
            raise
        findings.checkpoints += 1
    await _follow(records, verifier, promised_size, promises, advance)
    if newest:
        last = verifier.finish(newest)
        findings.root = last.root.hex()
    elif verifier.size or promised_size:
        raise VerificationError("No checkpoint covers the log: they were removed.", 0)
    else:
        _require_no_promise(keys, trusted)
    findings.entries = verifier.size
    findings.states = await _verify_states(store, keys, listed, promises, advance)
    if keys.master is None and findings.states:
        findings.unchecked.append(
            "the contents of the stored states, which only the master key opens"
        )
    return findings


async def _name_exactly(
    store: Store, keys: TrustedKeys, verifier: LogVerifier, error: VerificationError
) -> None:
    """Raise a better error than that of a checkpoint, if the order of the entries gives one.

    A checkpoint only tells that something is wrong since the one before it. Where entries were
    moved, their IDs tell which, but perhaps only by an entry that stands after the checkpoint.

    Raises:
        VerificationError: naming an index between the two checkpoints.
    """
    fresh = LogVerifier(keys.entry, keys.checkpoint)
    try:
        async for stored in store.entries(LogQuery()):
            fresh.add(stored.record)
    except VerificationError as better:
        named, first = better.index, error.index
        if named is not None and first is not None and first <= named < verifier.size:
            raise better from error


def _require_no_promise(keys: TrustedKeys, trusted: Iterable[str]) -> None:
    for note in trusted:
        size = verify_checkpoint(note, *keys.checkpoint).size
        if size:
            raise VerificationError(
                f"The log is empty, a signed checkpoint promises {size} entries.", 0
            )


async def _follow(
    records: AsyncIterator[StoredRecord],
    verifier: LogVerifier,
    size: int,
    promises: _Promises,
    advance: Advance,
) -> None:
    """Check entries until the log has so many, or ends."""
    while verifier.size < size:
        stored = await anext(records, None)
        if stored is None:
            return
        _check_kinds(stored.record)
        verifier.add(stored.record)
        entry: dict[str, Any] = orjson.loads(stored.record.entry)
        _check_document(stored, entry)
        promises.note(stored.record.index, entry)
        advance()


def _check_kinds(record: Record) -> None:
    """Refuse what SQLite was made to hold in place of bytes; whoever edits by SQL leaves text."""
    parts = (record.entry, record.leaf_hash, record.signature, record.key_id)
    if [type(part) for part in parts] != _KINDS:
        raise VerificationError(
            f"Entry {record.index} was changed: it is not stored as it was written.", record.index
        )


def _check_document(
    stored: StoredRecord, entry: Mapping[str, Any], *, required: bool = True
) -> None:
    """Compare the change document beside an entry with the digest in it."""
    index = stored.record.index
    changes = entry.get("changes")
    digest = changes.get("sha256") if isinstance(changes, dict) else None
    document: object = stored.document
    if document is None:
        if digest is not None and required:
            raise VerificationError(f"The change document of entry {index} is missing.", index)
        return
    if not isinstance(document, bytes) or hashlib.sha256(document).hexdigest() != digest:
        raise VerificationError(f"The change document of entry {index} was changed.", index)


async def _verify_states(
    store: Store,
    keys: TrustedKeys,
    listed: dict[str, StateVersion],
    promises: _Promises,
    advance: Advance,
) -> int:
    """Compare what is stored with what the log promises; return the number of states."""
    by_version = promises.by_version
    for workspace in sorted({p.workspace for v, p in by_version.items() if v not in listed}):
        # Written after the listing, or gone.
        for version in await store.versions(workspace):
            if version.id in by_version:
                listed.setdefault(version.id, version)
    for version_id, promise in by_version.items():
        if version_id not in listed:
            raise VerificationError(
                f"The state of {promise.workspace} that entry {promise.index} recorded, version "
                f"{version_id}, is gone from the store.",
                promise.index,
            )
        await _verify_state(store, keys, listed.pop(version_id), promise)
        advance()
    for version in listed.values():
        raise VerificationError(
            f"The stored state of {version.workspace}, version {version.id}, has no entry in the "
            "log: it was put there behind its back."
        )
    await _verify_newest(store, promises)
    return len(by_version)


async def _verify_newest(store: Store, promises: _Promises) -> None:
    """See that the store gives out, for each workspace, the version that was stored last.

    The order matters: what was written since the log was read is not promised, and may be newer.
    """
    given_out = {
        workspace.name: workspace.head
        for workspace in await store.workspaces()
        if workspace.head is not None
    }
    for name, version_id in promises.newest.items():
        head = given_out.get(name)
        is_newer = head is not None and head.id not in promises.by_version
        if head is None or head.workspace != name or not (head.id == version_id or is_newer):
            index = promises.by_version[version_id].index
            raise VerificationError(
                f"The newest state of {name}, which entry {index} recorded, is not the one that "
                "the store gives out.",
                index,
            )


async def _verify_state(
    store: Store, keys: TrustedKeys, version: StateVersion, promise: _Promise
) -> None:
    place = f"the stored state of {promise.workspace}, version {version.id}"
    said = {name: getattr(version, name) for name in _STATE_FIELDS}
    if isinstance(version.lineage, str):
        said["lineage"] = printable(version.lineage)
    if (version.workspace, version.number, said) != (
        promise.workspace,
        promise.number,
        promise.state,
    ):
        raise VerificationError(
            f"What the store says of {place}, is not what entry {promise.index} recorded.",
            promise.index,
        )
    if keys.master is None:
        return
    try:
        sealed = await store.sealed(version.id)
        body = unseal(
            sealed,
            master_key=keys.master,
            workspace=version.workspace,
            version_id=version.id,
            lineage=version.lineage,
        )
    except (UnavailableError, TypeError) as error:
        raise VerificationError(
            f"Entry {promise.index} recorded a state that can't be opened: {error}", promise.index
        ) from error
    if hashlib.sha256(body).hexdigest() != version.sha256:
        raise VerificationError(
            f"The bytes of {place}, are not those that entry {promise.index} recorded.",
            promise.index,
        )


# ---------------------------------------------------------------- an exported file


def verify_export(
    path: Path, keys: TrustedKeys, checkpoints: list[str], advance: Advance
) -> Findings:
    """Check a log that was exported as JSON lines.

    Args:
        path: what ``tfaudit export --format jsonl`` or ``tfaudit log --json --since`` wrote.
        keys: from outside.
        checkpoints: signed; the largest should cover the whole log.
        advance: told about each entry checked.

    Raises:
        VerificationError: the first thing that does not hold, with its entry's index.
        InvalidInputError: a checkpoint is none.
    """
    findings = Findings()
    verifier = LogVerifier(keys.entry, keys.checkpoint, checkpoints)
    for stored in _read_export(path):
        verifier.add(stored.record)
        _check_document(stored, orjson.loads(stored.record.entry), required=False)
        advance()
    findings.entries = verifier.size
    findings.checkpoints = len(checkpoints)
    sized = [(verify_checkpoint(note, *keys.checkpoint).size, note) for note in checkpoints]
    size, newest = max(sized, default=(0, ""))
    if size >= verifier.size and newest:
        findings.root = verifier.finish(newest).root.hex()
    else:
        findings.is_proved = False
        findings.unchecked.append(
            f"whether entries are missing after the first {size}: no checkpoint covers them; give "
            "the export's own with --checkpoint"
        )
    return findings


def _read_export(path: Path) -> Iterator[StoredRecord]:
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if line.strip():
                yield _read_line(line, number)


class _Signature(msgspec.Struct):
    key_id: str
    value: str


class _Line(msgspec.Struct):
    """A line of an export; the entry and the document stay the bytes they are."""

    index: int
    entry: msgspec.Raw
    leaf_hash: str
    signature: _Signature
    document: msgspec.Raw | None = None


_decode_line: Final = msgspec.json.Decoder(_Line).decode


def _read_line(line: bytes, number: int) -> StoredRecord:
    """Read one line of an export; what it says is checked later.

    Raises:
        VerificationError: it is no record; the index is the line's place.
    """
    try:
        read = _decode_line(line)
        record = Record(
            read.index,
            _canonical(bytes(read.entry)),
            bytes.fromhex(read.leaf_hash),
            b64decode(read.signature.value, validate=True),
            read.signature.key_id,
        )
    except (InvalidInputError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise VerificationError(f"Line {number + 1} is not a record of the log.", number) from error
    return StoredRecord(record, None if read.document is None else bytes(read.document))


def _canonical(entry: bytes) -> bytes:
    """Return an entry's canonical bytes, also when a tool has laid its JSON out anew.

    Raises:
        InvalidInputError: not an entry at all.
        ValueError: a key stands in it twice: programs would differ about what it says.
    """
    parsed = orjson.loads(entry)
    again = canonical(parsed)
    if again != entry:
        json.loads(entry, object_pairs_hook=_unique)
    return again


def _unique(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")
