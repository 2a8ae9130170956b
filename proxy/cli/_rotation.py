"""Brings in a new signing key: its file, its entry, and the end of the former one, in that order.

Whenever it is cut short, exactly one key is in force, the one that the log goes on with:

1. The new key is durable beside the old one. Cut here, the next start drops it.
2. The entry, signed by both, and the checkpoint over it are committed. From here on the new key is
   in force, and the store refuses whoever still has the old one. Cut here, or with the answer of
   the commit lost, the next start finds the new key in the log and puts it in its place.
3. The new key takes the old one's name, and the old file's content is overwritten.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proxy.audit_log import AuditLog, Retiring, draft
from proxy.cli._common import caller
from proxy.config import Config
from proxy.contracts import Store, Transaction
from proxy.errors import ConfigError, InvalidInputError, TfauditError, UnavailableError
from proxy.key_history import history_of
from proxy.keys import (
    KeyRing,
    command_signer,
    destroy_key,
    make_pending,
    open_keys,
    read_signer,
    rotating,
    settle_pending,
)
from proxy.last_checkpoint import LastCheckpoint
from proxy.program import anchors_of, clock, settle
from proxy.storage.reader import newest_signatures
from proxy.storage.sqlite import SQLiteStore
from proxy.tlog.checkpoint import verify_checkpoint
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteSigner, NoteVerifier
from proxy.tlog.rotation import EVENT, KeyHistory, Purpose, Rotation
from proxy.tlog.signer import Signer
from proxy.tlog.signing import public_key_of

_TRIES: Final = 5
"""Other commands may append while the statement about the entry's place is being signed."""


@dataclass(frozen=True, slots=True)
class Successor:
    """Where the new key comes from: the data directory when nothing else is said.

    Attributes:
        file: a private key in PEM, which the configuration will name.
        command: a program that signs, which the configuration will name.
        public_key: what it signs with, base64.
    """

    file: Path | None = None
    command: str = ""
    public_key: str = ""

    @property
    def is_elsewhere(self) -> bool:
        """Tell whether the data directory will not hold it."""
        return self.file is not None or bool(self.command)


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was done.

    Attributes:
        rotation: as the entry says it.
        place: where the new private key is kept.
        is_elsewhere: the configuration must name it now.
        was_elsewhere: the retired one is not ours to destroy.
    """

    rotation: Rotation
    place: str
    is_elsewhere: bool
    was_elsewhere: bool


async def rotate(
    config: Config, purpose: Purpose, successor: Successor, lost: bytes | None
) -> Rotated:
    """Bring in a new key for a purpose. Call it while no server runs.

    Args:
        config: names the data directory.
        purpose: which key.
        successor: where the new one comes from.
        lost: public half of the key that is lost, 32 bytes; None when it is at hand.

    Raises:
        ConfigError: it can't be done, and nothing was.
        InvalidInputError: what was given does not fit the log.
        UnavailableError: a key did not sign or the store did not commit; the message says what is
            in force.
    """
    with rotating(config):
        settle(config)
        was_elsewhere = _is_elsewhere(config, purpose)
        if was_elsewhere and not successor.is_elsewhere:
            raise ConfigError(
                f"the {purpose} key does not come from the data directory: make a new one where it "
                "is kept, and name it with --to-file, or with --to-command and --to-public"
            )
        new = _signer(config, purpose, successor)
        ring = (
            open_keys(config, create=False)
            if lost is None
            else open_keys(config, create=False, instead={purpose: new})
        )
        try:
            rotation = await _commit(config, ring, purpose, new, lost)
        finally:
            ring.close()
            new.close()
        if successor.is_elsewhere:
            destroy_key(config, purpose)
        else:
            settle_pending(config, purpose, is_in_force=True)
    return Rotated(rotation, new.place, successor.is_elsewhere, was_elsewhere)


def _is_elsewhere(config: Config, purpose: Purpose) -> bool:
    given, command = (
        (config.keys.entry, config.keys.entry_command)
        if purpose == "entry"
        else (config.keys.checkpoint, config.keys.checkpoint_command)
    )
    return given is not None or bool(command)


def _signer(config: Config, purpose: Purpose, successor: Successor) -> Signer:
    if successor.file is not None:
        return read_signer(successor.file)
    if successor.command:
        return command_signer(config.keys, successor.command, successor.public_key)
    return make_pending(config, purpose)


async def _commit(
    config: Config, ring: KeyRing, purpose: Purpose, new: Signer, lost: bytes | None
) -> Rotation:
    """Commit the entry and keep its checkpoint.

    Raises:
        InvalidInputError: the new key is one that the log had, or the lost one is not the log's.
        UnavailableError: nothing was done; or, as the message says, that is not known.
    """
    old = None if lost is not None else ring.signer(purpose)
    retired = lost if old is None else old.public_key
    if retired is None:
        raise AssertionError("either the key is at hand or its public half is known")
    if lost is not None:
        _require_lost(config, ring.origin, purpose, lost)
    async with _opened(config, ring, purpose, new, old, retired) as (store, verifier):
        last = LastCheckpoint(config.data.last_checkpoint, verifier)
        await last.check(store)
        anchors = anchors_of(config, store, last.verified)
        try:
            await anchors.check()
        finally:
            await anchors.aclose()
        history = await history_of(store, (), (verifier,))
        other = ring.checkpoint if purpose == "entry" else ring.entry
        former = {key for each in history.rotations for key in (each.old, each.new)}
        if new.public_key in {retired, other.public_key, *former}:
            raise InvalidInputError(
                "the new key is one that this log has or had: make a key that is new"
            )
        for _ in range(_TRIES):
            index = await store.size()
            rotation = _signed(
                Rotation(index, purpose, ring.origin, retired, new.public_key), ring, new, old
            )
            _require_holds(rotation, ring)
            if await _append(store, rotation):
                break
        else:
            raise UnavailableError(
                "other commands kept writing to the log, so nothing was done: try again"
            )
        await LastCheckpoint(
            config.data.last_checkpoint,
            NoteVerifier(ring.origin, public_key_of(new)) if purpose == "checkpoint" else verifier,
        ).note(store)
    return rotation


@asynccontextmanager
async def _opened(  # noqa: PLR0917 - all that hands over
    config: Config,
    ring: KeyRing,
    purpose: Purpose,
    new: Signer,
    old: Signer | None,
    retired: bytes,
) -> AsyncIterator[tuple[Store, NoteVerifier]]:
    """Open the store to go on from a head of the old key with the new one.

    Yields:
        The store, and what its checkpoints so far are checked with.
    """
    if purpose == "entry":
        keys = new, ring.checkpoint
        retiring = Retiring(entry_key_id=key_id(retired))
        verifier = NoteVerifier(ring.origin, public_key_of(ring.checkpoint))
    else:
        keys = ring.entry, new
        verifier = NoteVerifier(ring.origin, Ed25519PublicKey.from_public_bytes(retired))
        signer = None if old is None else NoteSigner(ring.origin, old)
        retiring = Retiring(checkpoint=verifier, checkpoint_signer=signer)
    audit = AuditLog(*keys, ring.origin, clock=clock, random=os.urandom, retiring=retiring)
    async with SQLiteStore(config.data.database, audit) as store:
        yield store, verifier


def _signed(rotation: Rotation, ring: KeyRing, new: Signer, old: Signer | None) -> Rotation:
    """Let all sign who have to.

    Raises:
        UnavailableError: one of them did not.
    """
    if old is not None:
        statement = rotation.statement()
        return replace(
            rotation, signatures={"old": old.sign(statement), "new": new.sign(statement)}
        )
    rotation = replace(rotation, is_lost=True)
    statement = rotation.statement()
    other = ring.checkpoint if rotation.purpose == "entry" else ring.entry
    return replace(
        rotation, signatures={"vouched": other.sign(statement), "new": new.sign(statement)}
    )


def _require_holds(rotation: Rotation, ring: KeyRing) -> None:
    other = ring.checkpoint if rotation.purpose == "entry" else ring.entry
    rotation.verify(other.public_key)


def _require_lost(config: Config, origin: str, purpose: Purpose, lost: bytes) -> None:
    """Pass when the log's end is signed by the key that is said to be lost.

    Raises:
        InvalidInputError: it is another's.
    """
    signed_by, note = newest_signatures(config.data.database)
    is_last = key_id(lost) == signed_by
    if purpose == "checkpoint":
        try:
            verify_checkpoint(note, NoteVerifier(origin, Ed25519PublicKey.from_public_bytes(lost)))
            is_last = True
        except (TfauditError, ValueError):
            is_last = False
    if not is_last:
        raise InvalidInputError(
            f"the {purpose} key given with --lost did not sign the log's end: give the public half "
            "of the one that was in force, as `tfaudit key show` printed it"
        )


async def _append(store: Store, rotation: Rotation) -> bool:
    """Commit the entry, if its place is still the next."""
    who = caller(f"key rotate {rotation.purpose}")
    how = (
        "the former one was lost, and the log's other key vouches for it"
        if rotation.is_lost
        else "signed by both"
    )
    entry = draft(
        EVENT,
        "success",
        f"{who.principal.name} brought in a new {rotation.purpose} key: {how}",
        who,
        key=rotation.part(),
    )

    def job(transaction: Transaction) -> bool:
        if transaction.append(entry) == rotation.index:
            return True
        raise _MovedError

    try:
        await store.write(job)
    except _MovedError:
        return False
    except UnavailableError as error:
        raise UnavailableError(
            f"{error}. Whether the new key is in force, the log tells at the next command"
        ) from error
    return True


class _MovedError(Exception):
    """Somebody else's entry took the place."""


@dataclass(frozen=True, slots=True)
class Span:
    """A signing key's time in the log.

    Attributes:
        purpose: what it signs.
        public_key: 32 bytes.
        since: index of the first entry it signed, or of the first that its checkpoints cover.
        until: one more than the last; None for the key in force.
        is_vouched: its predecessor was lost and did not hand over.
    """

    purpose: Purpose
    public_key: bytes
    since: int
    until: int | None
    is_vouched: bool


def spans(history: KeyHistory, purpose: Purpose, current: bytes) -> list[Span]:
    """Return the times of all keys of a purpose, oldest first."""
    chain = [each for each in history.rotations if each.purpose == purpose]
    keys = [*(each.old for each in chain), chain[-1].new if chain else current]
    starts = [0, *(each.index for each in chain)]
    ends = [*starts[1:], None]
    vouched = [False, *(each.is_lost for each in chain)]
    return [Span(purpose, *rest) for rest in zip(keys, starts, ends, vouched, strict=True)]
