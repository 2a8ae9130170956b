"""Checks a whole log, and all that is stored beside it, against public keys."""

import asyncio
import hashlib
import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from proxy.cli import _losses as losses
from proxy.cli._checkers import Checkers, Found, Keys, processes_for
from proxy.cli._kept_tiles import KeptTiles
from proxy.cli._pruned import (
    Start,
    check_left,
    known_at,
    left_records,
    pass_pruned,
    pruned_by,
    pruned_leaves,
    read_start,
)
from proxy.cli._replay import NOTHING_PRUNED, Promise, Pruned, Replay
from proxy.cli._stored import check_document, check_kinds
from proxy.cli._witnessed import Witnessed
from proxy.contracts import StateVersion, StoredRecord
from proxy.errors import (
    InvalidInputError,
    MissingError,
    TfauditError,
    UnavailableError,
    VerificationError,
)
from proxy.keys import KeyRing
from proxy.preparation import is_opened_by
from proxy.sealing import HEAD_BYTES, unseal
from proxy.storage.reader import Snapshot, SQLiteReader
from proxy.storage.schema import Part, known_schemas
from proxy.storage.sqlite import is_filed_as
from proxy.timestamps import micros_of
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.entry import Record, canonical, key_id
from proxy.tlog.merkle import EMPTY_ROOT, Frontier
from proxy.tlog.note import NoteVerifier
from proxy.tlog.rotation import EVENT, PURPOSES, KeyHistory, Rotation
from proxy.tlog.signing import public_key_of
from proxy.tlog.tiles import WIDTH
from proxy.tlog.verify import LogVerifier, signature_checks

_PUBLIC_KEY_BYTES: Final = 32

_ROOT_PAGE: Final = 4096
"""Entries hashed at a time when the tree alone is checked."""

ROTATED: Final = b'"key.rotated"'
PRUNED: Final = b'"audit.pruned"'

Advance = Callable[[], None]
"""Told about each entry and each stored state that was checked."""


# ---------------------------------------------------------------- keys

_MAX_NAMED: Final = 5
"""Parts of a database that are named in one message."""


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """What a log is checked against.

    Attributes:
        entry: public keys of entries by key ID.
        checkpoint: public keys of checkpoints.
        masters: what opens the stored states; none when only public keys are at hand, two when a
            rotation was cut short.
    """

    entry: Mapping[str, Ed25519PublicKey]
    checkpoint: tuple[NoteVerifier, ...]
    masters: tuple[bytes, ...] = field(default=(), repr=False)

    def plain(self) -> Keys:
        """Return the public keys as other processes are told them."""
        entry = {name: key.public_bytes_raw() for name, key in self.entry.items()}
        return Keys(entry, tuple(each.vkey for each in self.checkpoint))

    @classmethod
    def of_ring(cls, ring: KeyRing) -> "TrustedKeys":
        """Return the public halves of the log's own keys, and the key of its states."""
        own = {purpose: [ring.signer(purpose)] for purpose in PURPOSES}
        for purpose, signer in ring.pending.items():
            own[purpose].append(signer)  # a rotation that was cut short may have brought it in
        return cls(
            keys_by_id(public_key_of(each) for each in own["entry"]),
            tuple(NoteVerifier(ring.origin, public_key_of(each)) for each in own["checkpoint"]),
            tuple(each for each in (ring.master, ring.pending_master) if each is not None),
        )

    def follow(self, rotations: Iterable[Rotation]) -> tuple["TrustedKeys", KeyHistory]:
        """Return all keys that follow from these, and which of them signs where.

        Args:
            rotations: found in the log; from anybody.
        """
        history = KeyHistory(
            [key.public_bytes_raw() for key in self.entry.values()], self.checkpoint, rotations
        )
        if not history.rotations:
            return self, history
        return TrustedKeys(history.entry_keys(), history.verifiers(), self.masters), history


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
        if not path.exists() or path.is_dir():  # a pipe is as good as a file
            if "+" not in each:
                raise InvalidInputError(
                    f"--key {each}: there is no such file, and it is no verifier key"
                )
            checkpoint.append(NoteVerifier.parse(each))
            continue
        text = path.read_text("utf-8", "replace").strip()
        if text.startswith("{"):
            shown_entry, shown_checkpoint = _shown_keys(each, text)
            entry += shown_entry
            checkpoint += shown_checkpoint
        elif text.startswith("-----BEGIN"):
            entry.append(_pem_key(each, text))
        else:
            checkpoint += [NoteVerifier.parse(line.strip()) for line in text.splitlines()]
    return entry, checkpoint


def _shown_keys(name: str, text: str) -> tuple[list[Ed25519PublicKey], list[NoteVerifier]]:
    try:
        shown = orjson.loads(text)
        entry = [str(shown["entry"]["public_key"])]
        checkpoint = [str(shown["checkpoint"]["vkey"])]
        for each in shown.get("keys", ()):  # `key export-public` adds the former ones
            if each["purpose"] == "entry":
                entry.append(str(each["public_key"]))
            else:
                checkpoint.append(str(each["vkey"]))
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        raise InvalidInputError(
            f"{name} does not hold what `tfaudit key show --json` prints"
        ) from error
    return list(map(parse_entry_key, entry)), list(map(NoteVerifier.parse, checkpoint))


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
        proved_index: of the one entry that a receipt proves; None when it was no receipt.
        proved_entry: its bytes.
        proved_range: of a bundle: the first index, the last, and how many entries between them are
            proved.
        notes: signed checkpoints that were proved to be of this log, or to be what proves it.
        cosigned: what a quorum of witnesses said; None when nobody asked for it.
        pruned_until: index of the first entry that was not pruned under the policy.
        pruned_by: index of the entry that says so; None when nothing is pruned.
        archive: where the newest of the pruned entries are.
        archived_until: archives that were checked hold all entries before this index.
    """

    entries: int = 0
    checkpoints: int = 0
    states: int = 0
    root: str = ""
    unchecked: list[str] = field(default_factory=list)
    is_proved: bool = True
    proved_index: int | None = None
    proved_entry: bytes | None = None
    proved_range: tuple[int, int, int] | None = None
    notes: tuple[str, ...] = ()
    cosigned: Witnessed | None = None
    pruned_until: int = 0
    pruned_by: int | None = None
    archive: str = ""
    archived_until: int = 0


@dataclass(slots=True)
class Mark:
    """An index at which what is known by then is to be written down.

    Attributes:
        until: the index.
        packed: what is known of the entries before it, as it is kept; empty before it is reached.
        kept: indices of those of them that stay.
        tiles: numbers of the tiles of level 0 that are kept.
    """

    until: int
    packed: bytes = b""
    kept: tuple[int, ...] = ()
    tiles: frozenset[object] = frozenset()


# ---------------------------------------------------------------- a store


async def verify_store(
    store: SQLiteReader,
    keys: TrustedKeys,
    trusted: Iterable[str],
    advance: Advance,
    processes: int | None = None,
    *,
    mark: Mark | None = None,
) -> Findings:
    """Check every entry, every checkpoint, and all that the log says of states, tokens and locks.

    A server may go on writing: what is committed after the start is left for the next time.

    Args:
        store: may be damaged or forged; nothing it says is believed.
        keys: never from the database.
        trusted: checkpoints kept elsewhere.
        advance: told about each thing checked.
        processes: that check signatures; None are as many as there are cores, and are worth it.
        mark: is filled in on the way.

    Raises:
        VerificationError: the first thing that does not hold, with its entry's index.
        InvalidInputError: a trusted checkpoint is none.
        UnavailableError: the store could not be read.
    """
    kept = [*trusted]
    return await _undisturbed(
        store, lambda: _verify_store(store, keys, kept, advance, processes, mark)
    )


async def _undisturbed(store: SQLiteReader, check: Callable[[], Awaitable[Findings]]) -> Findings:
    """Check again what did not hold when entries were pruned meanwhile, which the check looked for.

    Raises:
        VerificationError: it does not hold.
    """
    while True:
        until = await store.pruned()
        try:
            return await check()
        except VerificationError:
            if await store.pruned() == until:
                raise


async def _verify_store(  # noqa: PLR0917 - those of verify_store
    store: SQLiteReader,
    keys: TrustedKeys,
    trusted: Iterable[str],
    advance: Advance,
    processes: int | None,
    mark: Mark | None,
) -> Findings:
    findings = Findings()
    # Entries and checkpoints up to here stay what they are; whatever does not is in the snapshot.
    snapshot = await store.snapshot()
    promised_size = snapshot.promised
    keys, history = keys.follow(await _rotations(store, promised_size))
    verifier = LogVerifier(keys.entry, keys.checkpoint, trusted, history)
    start = await read_start(store, snapshot)
    await check_left(store, start, signature_checks(keys.entry), history)
    replay = start.replay()
    tiles = KeptTiles(store, snapshot.tiles)
    newest = ""
    root = EMPTY_ROOT
    with Checkers(
        keys.plain(), processes or processes_for(promised_size - start.until)
    ) as checkers:
        records = checkers.records(store.records(promised_size, start.until))
        pruned = pruned_leaves(store, start.until)
        course = _Course(start, pruned, records, verifier, replay, tiles, advance)
        async for (size, note), opened in checkers.notes(store.checkpoints()):
            if size > promised_size:
                break  # committed since
            if mark is not None and verifier.size < mark.until <= size:
                await course.follow(mark.until)
                _write_down(mark, verifier, replay, snapshot)
            await course.follow(size)
            newest = note
            if verifier.size != size:
                break  # entries are missing: the end says it
            await _compare(store, keys, verifier, note, opened, start)
            findings.checkpoints += 1
        await course.follow(promised_size)
    if newest:
        root = verifier.finish(newest).root
        findings.root = root.hex()
    elif verifier.size or promised_size:
        raise MissingError("No checkpoint covers the log: they were removed.", 0)
    else:
        _require_no_promise(keys, trusted)
    start.require_recorded(replay)
    _check_head(snapshot, verifier.size, root, replay)
    await tiles.finish()
    findings.entries = verifier.size
    _tell_pruned(findings, start)
    await _verify_states(store, keys, snapshot, replay, advance)
    _check_tables(snapshot, replay, verifier.size)
    findings.unchecked += lost_keys(history)
    recorded = store.filed_as(losses.EVENT, verifier.size)
    found = [losses.loss_in(record.index, record.entry) async for record in recorded]
    findings.unchecked += losses.told(filter(None, found))
    findings.states = sum(
        not replay.is_destroyed(promise) for promise in replay.by_version.values()
    )
    if not keys.masters and findings.states:
        findings.unchecked.append(
            "the contents of the stored states, which only the master key opens"
        )
    return findings


def _check_tables(snapshot: Snapshot, replay: Replay, size: int) -> None:
    """Compare what stands beside the log with what follows from it.

    Raises:
        VerificationError: the first thing that is another.
    """
    replay.check_tokens(snapshot.tokens)
    replay.check_locks(snapshot.locks)
    replay.runs.check(snapshot.runs)
    replay.check_policy(snapshot.policy)
    replay.check_objects(snapshot.objects)
    replay.people.check_passwords(snapshot.passwords)
    replay.people.check_sessions(snapshot.sessions)
    replay.sinks.check_deliveries(snapshot.deliveries, size)
    replay.sinks.check_dead_letters(snapshot.dead_letters)
    replay.sinks.check_replays(snapshot.replays)
    _check_schema(snapshot.schema)


def _write_down(mark: Mark, verifier: LogVerifier, replay: Replay, snapshot: Snapshot) -> None:
    if verifier.size != mark.until:
        return  # entries are missing: the end says it
    known = known_at(verifier, replay)
    mark.packed, mark.kept = known.packed(), known.kept
    mark.tiles = frozenset(number for level, number in snapshot.tiles if level == 0)


def _tell_pruned(findings: Findings, start: Start) -> None:
    if start.until:
        findings.pruned_until, findings.pruned_by = start.until, start.pruned.index
        findings.archive = start.pruned.archive


async def _compare(  # noqa: PLR0917 - what is compared, and what names it
    store: SQLiteReader,
    keys: TrustedKeys,
    verifier: LogVerifier,
    note: str,
    opened: Checkpoint | None,
    start: Start,
) -> None:
    """Compare the log so far with a checkpoint of this size.

    Raises:
        VerificationError: as LogVerifier.at, or of an entry that can be named.
    """
    try:
        verifier.at(note, opened)
    except VerificationError as error:
        await _name_exactly(store, keys, verifier, error, start)
        raise


async def _rotations(store: SQLiteReader, size: int) -> list[Rotation]:
    """Read ahead what says which keys the log is signed by; all of it is checked on the way."""
    found = [(row.index, row.entry) async for row in store.filed_as(EVENT, size)]
    return rotations_in(found)


async def followed_in_store(store: SQLiteReader, keys: TrustedKeys) -> TrustedKeys:
    """Return all keys that follow from these by the rotations in a store."""
    return keys.follow(await _rotations(store, (await store.snapshot()).promised))[0]


def followed_in_export(path: Path, keys: TrustedKeys) -> TrustedKeys:
    """Return all keys that follow from these by the rotations in an export.

    Raises:
        VerificationError: a line that should be a rotation is no record.
    """
    return keys.follow(_exported_rotations(path))[0]


def rotations_in(entries: Iterable[tuple[int, object]]) -> list[Rotation]:
    """Return the rotations of signing keys among entries, up to one that is out of order.

    What is none, and what stands in another's place, is left for the way through the log.
    """
    found: list[Rotation] = []
    for index, entry in entries:
        with suppress(VerificationError, orjson.JSONDecodeError, TypeError, AttributeError):
            rotation = Rotation.parse(index, orjson.loads(entry))  # type: ignore[arg-type] # from anybody
            if rotation is None:
                continue
            if found and rotation.index <= found[-1].index:
                break
            found.append(rotation)
    return found


def lost_keys(history: KeyHistory) -> list[str]:
    """Return what can't be told of keys that were lost, each a sentence for people."""
    return [
        f"whether the {each.purpose} key that entry {each.index} brought in belongs to the log: "
        "its predecessor was lost and did not hand over; the log's other key alone vouches for it"
        for each in history.lost
    ]


async def _name_exactly(
    store: SQLiteReader,
    keys: TrustedKeys,
    verifier: LogVerifier,
    error: VerificationError,
    start: Start,
) -> None:
    """Raise a better error than that of a checkpoint, if the order of the entries gives one.

    A checkpoint only tells that something is wrong since the one before it. Where entries were
    moved, their IDs tell which, but perhaps only by an entry that stands after the checkpoint.

    Raises:
        VerificationError: naming an index between the two checkpoints.
    """
    fresh = LogVerifier(keys.entry, keys.checkpoint, history=verifier.history)
    snapshot = await store.snapshot()
    try:
        await pass_pruned(store, start, fresh)
        async for stored, _ in store.records(snapshot.promised, start.until):
            check_kinds(stored.record)
            fresh.add(stored.record)
    except VerificationError as better:
        named, first = better.index, error.index
        if named is not None and first is not None and first <= named < verifier.size:
            raise better from error


def _check_schema(found: frozenset[Part]) -> None:
    """See that the database is made of what some release made it of.

    Raises:
        VerificationError: naming what was put in or taken away.
    """
    known = known_schemas()
    if found in known:
        return
    nearest = min(known, key=lambda each: len(each ^ found))
    strange = ", ".join(sorted(map(str, found - nearest))[:_MAX_NAMED])
    lacking = ", ".join(sorted(map(str, nearest - found))[:_MAX_NAMED])
    raise VerificationError(
        "The database is not made as any release up to this one makes it:"
        + (f" it has {strange}, changed or not ours;" if strange else "")
        + (f" it lacks {lacking} as we make it;" if lacking else "")
        + " that was done behind the log's back, or by a newer release."
    )


def _check_head(snapshot: Snapshot, size: int, root: bytes, replay: Replay) -> None:
    """Compare the log's head, from which the server goes on, with the log that was proved.

    Raises:
        VerificationError: the log would go on from another place, another tree or another time.
    """
    if snapshot.head is None:
        raise MissingError("The log's head is missing from the database.")
    told, frontier, micros, running = snapshot.head
    for counted in (told, snapshot.end, snapshot.newest):
        if type(counted) is not int or counted != size:
            bad = min(counted, size) if type(counted) is int and counted >= 0 else size
            raise VerificationError(
                f"The log has {size} entries, but its head, its entries and its checkpoints don't "
                f"all end there: one says {counted!r}.",
                bad,
            )
    try:
        is_same = isinstance(frontier, bytes) and Frontier.from_bytes(size, frontier).root() == root
    except InvalidInputError:
        is_same = False
    if not is_same:
        raise VerificationError(
            "The log's head was changed: its frontier is not that of the entries, and a server "
            "would not go on from it.",
            size,
        )
    if micros != (micros_of(replay.last_time) if size else 0):
        raise VerificationError(
            "The log's head was changed: its time is not that of the last entry, so the next "
            "would be dated wrongly.",
            size,
        )
    if running != int(replay.is_running):
        raise VerificationError(
            "The log's head was changed: whether a server runs is not what the last start or stop "
            "recorded, so an unclean stop would be hidden or invented.",
            size,
        )


def _require_no_promise(keys: TrustedKeys, trusted: Iterable[str]) -> None:
    for note in trusted:
        size = verify_checkpoint(note, *keys.checkpoint).size
        if size:
            raise MissingError(f"The log is empty, a signed checkpoint promises {size} entries.", 0)


async def verify_root(
    store: SQLiteReader, keys: TrustedKeys, trusted: Iterable[str], advance: Advance
) -> Findings:
    """Check the tree alone: that the entries' bytes make the root that the newest checkpoint signs.

    It finds whatever was done to an entry, to their order or their number, as long as the
    checkpoint key was not in the hands of whoever did it; and names no entry. Of those that are
    there though others around them were pruned, each is compared with its hash in the tree.

    Args:
        store: nothing it says is believed.
        keys: only those of checkpoints count.
        trusted: checkpoints kept elsewhere.
        advance: told about each page of entries.

    Raises:
        MissingError: entries that a checkpoint promises are not there.
        VerificationError: the entries are others.
        InvalidInputError: a trusted checkpoint is none.
        UnavailableError: the store could not be read.
    """
    kept = [*trusted]
    return await _undisturbed(store, lambda: _verify_root(store, keys, kept, advance))


async def _verify_root(
    store: SQLiteReader, keys: TrustedKeys, trusted: Iterable[str], advance: Advance
) -> Findings:
    note = await store.checkpoint()
    if not note:
        raise MissingError("No checkpoint covers the log: they were removed.", 0)
    notes = (note, *trusted)
    if not all(_is_signed(each, keys) for each in notes):
        # By a key from before or after a rotation, perhaps: to look for one takes its time.
        keys = await followed_in_store(store, keys)
    try:
        newest = verify_checkpoint(note, *keys.checkpoint)
    except (InvalidInputError, VerificationError, TypeError) as error:
        raise VerificationError(f"The newest checkpoint does not hold. {error}") from error
    promised = [verify_checkpoint(each, *keys.checkpoint) for each in notes[1:]]
    waiting = sorted((*promised, newest), key=lambda each: each.size)
    tree = Frontier()
    until = await _pruned_until(store)
    pruned = pruned_leaves(store, until)
    recorded = NOTHING_PRUNED
    for checkpoint in waiting:
        while tree.size < min(checkpoint.size, until):
            tree.append(await anext(pruned))
        while tree.size < checkpoint.size:
            size = tree.size
            rows = await store.entry_bytes(size, min(_ROOT_PAGE, checkpoint.size - size))
            if [index for index, _ in rows] != list(range(size, size + len(rows))) or not rows:
                raise MissingError(
                    f"The log lacks entries after the first {size}, of {checkpoint.size} that a "
                    "signed checkpoint promises.",
                    size,
                )
            await asyncio.to_thread(_extend, tree, [entry for _, entry in rows])
            recorded = _pruned_in(rows) or recorded
            advance()
        if tree.root() != checkpoint.root:
            raise VerificationError(
                f"The first {checkpoint.size} entries are not those that a signed checkpoint "
                "promises: leave --tree-only away to see which is the first that is not."
            )
    await _check_pruned(store, until, recorded, advance)
    root = tree.root().hex()
    findings = Findings(entries=tree.size, checkpoints=len(waiting), root=root)
    _tell_pruned(findings, Start(recorded))
    findings.unchecked.append(
        "signatures of single entries, older checkpoints, stored states and all else beside the "
        "tree: leave --tree-only away for that"
    )
    return findings


async def _pruned_until(store: SQLiteReader) -> int:
    """Return where the database says that a pruning ended.

    Raises:
        VerificationError: none can have ended there.
    """
    until = await store.pruned()
    if until < 0 or until % WIDTH:
        raise VerificationError(
            f"The database says that the entries before {until} were pruned, which nothing does: "
            f"only whole {WIDTH} entries are.",
            0,
        )
    return until


async def _check_pruned(
    store: SQLiteReader, until: int, recorded: Pruned, advance: Advance
) -> None:
    """Check that an entry says what was pruned, and what is left of it by the tree's hashes.

    Raises:
        MissingError: no entry says so, or one is missing that stays.
        VerificationError: what is left was altered.
    """
    if recorded.until != until:
        raise MissingError(
            f"The entries before {until} are missing, and no entry says that they were pruned.", 0
        )
    if until:
        start = await read_start(store, await store.snapshot())
        async for _ in left_records(store, start):
            advance()


def _pruned_in(rows: Iterable[tuple[object, object]]) -> Pruned | None:
    """Return what the last of some entries says that pruned others."""
    for index, entry in reversed([*rows]):
        if isinstance(index, int) and isinstance(entry, bytes) and PRUNED in entry:
            found = pruned_by(index, entry)
            if found is not None:
                return found
    return None


def _is_signed(note: str, keys: TrustedKeys) -> bool:
    try:
        verify_checkpoint(note, *keys.checkpoint)
    except (InvalidInputError, VerificationError, TypeError):
        return False
    return True


def _extend(tree: Frontier, entries: list[object]) -> None:
    """Append entries to a tree.

    Raises:
        VerificationError: what stands in the place of one is no bytes.
    """
    try:
        tree.extend([sha256(b"\x00" + entry).digest() for entry in entries])  # type: ignore[operator]
    except TypeError as error:
        raise VerificationError(
            f"An entry from {tree.size} on was changed: it is not stored as it was written.",
            tree.size,
        ) from error


@dataclass(frozen=True, slots=True)
class _Course:
    """The way through a store's entries, each checked for all that it says.

    Attributes:
        start: where it begins.
        pruned: the leaf hashes of the entries before that.
        records: oldest first, each with the columns it is filed as, and whether it holds by itself.
        verifier: checks signatures, order and tree.
        replay: follows what the entries say of what is stored.
        tiles: compares the hashes that are kept.
        advance: told about each entry.
    """

    start: Start
    pruned: AsyncIterator[bytes]
    records: AsyncIterator[tuple[Found, bool]]
    verifier: LogVerifier
    replay: Replay
    tiles: KeptTiles
    advance: Advance

    async def follow(self, size: int) -> None:
        """Check entries until the log has so many, or ends.

        Raises:
            VerificationError: the first thing that does not hold.
            UnavailableError: the store could not be read.
        """
        await self._pass(min(size, self.start.until))
        while self.verifier.size < size:
            found = await anext(self.records, None)
            if found is None:
                return
            (stored, filed), holds = found
            index = stored.record.index
            check_kinds(stored.record)
            entry: dict[str, Any] | None = orjson.loads(stored.record.entry) if holds else None
            self.verifier.add(stored.record, entry)  # which says what it is that does not hold
            if entry is None or not is_filed_as(entry, filed):
                raise VerificationError(
                    f"Entry {index} is filed as something that it does not say: a search would "
                    "miss it or find it wrongly.",
                    index,
                )
            check_document(stored, entry)
            self.replay.note(index, entry)
            await self._keep(stored.record.leaf_hash)

    async def _pass(self, size: int) -> None:
        """Go by the hashes of entries that were pruned."""
        while self.verifier.size < size:
            leaf = await anext(self.pruned)
            self.verifier.add_pruned(leaf)
            await self._keep(leaf)
            if self.verifier.size == self.start.until:
                self.start.begin(self.verifier)

    async def _keep(self, leaf: bytes) -> None:
        self.tiles.add(leaf)
        if self.tiles.is_due:
            await self.tiles.compare()
        self.advance()


async def _verify_states(
    store: SQLiteReader, keys: TrustedKeys, snapshot: Snapshot, replay: Replay, advance: Advance
) -> None:
    """Compare what is stored with what the log promises."""
    listed = dict(snapshot.versions)
    await _require_opens(store, keys, snapshot, replay)
    for version_id, promise in replay.by_version.items():
        version = listed.pop(version_id, None)
        if version is None:
            raise MissingError(
                f"The state of {promise.workspace} that entry {promise.index} recorded, version "
                f"{version_id}, is gone from the store.",
                promise.index,
            )
        replay.check_version(version, promise)
        if snapshot.has_retention or promise.pruned is not None:
            replay.check_kept(version, promise)
        if replay.is_destroyed(promise):
            _require_no_body(version, promise, snapshot)
        elif keys.masters and not await _is_pruned_since(store, version, snapshot):
            await _verify_body(store, keys.masters, version, promise)
        advance()
    for version in listed.values():
        raise VerificationError(
            f"The stored state of {version.workspace}, version {version.id}, has no entry in the "
            "log: it was put there behind its back."
        )
    replay.check_newest(snapshot.heads)


async def _require_opens(
    store: SQLiteReader, keys: TrustedKeys, snapshot: Snapshot, replay: Replay
) -> None:
    """Pass when a master key opens any of the stored states, or there is none of either.

    Raises:
        UnavailableError: none does: it is more likely the wrong key than that all were replaced.
    """
    if not keys.masters:
        return
    kept = {name for name, each in replay.by_version.items() if not replay.is_destroyed(each)}
    bodies = {name: snapshot.versions.get(name) for name in kept & snapshot.bodies}
    for version_id, version in bodies.items():
        if version is None:
            return  # its row is gone, which is told of
        with suppress(TfauditError, TypeError):  # each that can't be read is told of later
            head = (await store.sealed(version_id))[:HEAD_BYTES]
            if any(is_opened_by(key, version, head) for key in keys.masters):
                return
    if bodies:
        raise UnavailableError(
            "could not tell whether the stored states hold: the master key opens none of them. Is "
            "it the wrong one (TFAUDIT_KEYS_MASTER_FILE, keys/master.key)? If it was lost, verify "
            "the log alone with --key, where no key files are"
        )


def _require_no_body(version: StateVersion, promise: Promise, snapshot: Snapshot) -> None:
    """Pass when nothing is left of a version that was destroyed.

    Raises:
        VerificationError: its body is there.
    """
    if version.id not in snapshot.bodies:
        return
    index = promise.index
    how = "destroyed by a purge"
    if promise.pruned is not None:
        index = promise.pruned[0]
        how = f"pruned, as entry {index} records"
    raise VerificationError(
        f"The state of {promise.workspace} that entry {promise.index} recorded, version "
        f"{version.id}, was {how}, but its body is there.",
        index,
    )


async def _is_pruned_since(store: SQLiteReader, version: StateVersion, snapshot: Snapshot) -> bool:
    """Tell whether a body that was there at the start was pruned meanwhile.

    The entry of that is committed since the start, and so is left for the next time.
    """
    if version.id not in snapshot.bodies or await store.has_body(version.id):
        return False
    index = await store.pruned_by(version.id)
    return index is not None and snapshot.promised <= index < await store.size()


async def _verify_body(
    store: SQLiteReader, masters: tuple[bytes, ...], version: StateVersion, promise: Promise
) -> None:
    try:
        sealed = await store.sealed(version.id)
        head = sealed[:HEAD_BYTES]
        master_key = next((key for key in masters if is_opened_by(key, version, head)), masters[0])
        body = unseal(
            sealed,
            master_key=master_key,
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
            f"The bytes of the stored state of {promise.workspace}, version {version.id}, are not "
            f"those that entry {promise.index} recorded.",
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
    keys, history = keys.follow(_exported_rotations(path))
    verifier = LogVerifier(keys.entry, keys.checkpoint, checkpoints, history)
    findings.unchecked += lost_keys(history)
    lost = []
    for stored in _read_export(path):
        try:
            verifier.add(stored.record)
        except MissingError as error:
            raise _missing_from_export(path, error) from error
        check_document(stored, orjson.loads(stored.record.entry), required=False)
        if losses.RECOVERED in stored.record.entry:
            lost.append(losses.loss_in(stored.record.index, stored.record.entry))
        advance()
    findings.unchecked += losses.told(filter(None, lost))
    findings.entries = verifier.size
    findings.checkpoints = len(checkpoints)
    sized = [(verify_checkpoint(note, *keys.checkpoint).size, note) for note in checkpoints]
    size, newest = max(sized, default=(0, ""))
    if size >= verifier.size and newest:
        findings.root = verifier.finish(newest).root.hex()
    else:
        findings.is_proved = False
        findings.unchecked.append(
            (
                f"whether entries are missing after the first {size}"
                if size
                else "whether any are missing"
            )
            + ": no checkpoint covers them; give the export's own with --checkpoint"
        )
    return findings


def _missing_from_export(path: Path, error: MissingError) -> MissingError:
    """Return why an entry is missing from an export, if an entry of it says that it was pruned."""
    for stored in _read_export(path):
        record = stored.record
        found = pruned_by(record.index, record.entry) if PRUNED in record.entry else None
        if found is not None and error.index is not None and error.index < found.until:
            return MissingError(
                f"{error} Entry {record.index} says that those before {found.until} were pruned. "
                "What is left proves itself as a bundle: `tfaudit export --format bundle`.",
                error.index,
            )
    return error


def _exported_rotations(path: Path) -> list[Rotation]:
    """Read an export once ahead for what says which keys it is signed by."""
    with path.open("rb") as file:
        found = [
            _read_line(line, number).record
            for number, line in enumerate(file)
            if ROTATED in line and line.strip()
        ]
    return rotations_in((record.index, record.entry) for record in found)


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
