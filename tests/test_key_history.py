"""Tests of what a log's own entries prove of its keys, on a real store."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.audit_log import AuditLog, Retiring
from proxy.errors import InvalidInputError, VerificationError
from proxy.key_history import history_of, verify_own
from proxy.storage.sqlite import SQLiteStore
from proxy.tlog.note import NoteSigner
from proxy.tlog.rotation import Rotation
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN
from tests.samples import a_draft, an_open_store

NEW = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
FORMER, SUCCESSOR = NoteSigner(ORIGIN, CHECKPOINT_KEY), NoteSigner(ORIGIN, NEW)


async def rotated(directory: Path) -> SQLiteStore:
    """Return a store of an entry, a rotation of the checkpoint key, and one more; not opened."""
    async with an_open_store(directory) as store:
        await store.write(lambda transaction: transaction.append(a_draft()))
    old, new = (key.public_key().public_bytes_raw() for key in (CHECKPOINT_KEY, NEW))
    made = Rotation(1, "checkpoint", ORIGIN, old, new)
    statement = made.statement()
    signatures = {"old": CHECKPOINT_KEY.sign(statement), "new": NEW.sign(statement)}
    entry = a_draft(event="key.rotated")
    entry.entry["key"] = replace(made, signatures=signatures).part()
    retiring = Retiring(checkpoint=FORMER.verifier, checkpoint_signer=FORMER)
    async with SQLiteStore(directory / "tfaudit.db", a_log(retiring)) as store:
        await store.write(lambda transaction: transaction.append(entry))
    async with SQLiteStore(directory / "tfaudit.db", a_log(Retiring())) as store:
        await store.write(lambda transaction: transaction.append(a_draft()))
    return SQLiteStore(directory / "tfaudit.db", a_log(Retiring()))


def a_log(retiring: Retiring) -> AuditLog:
    """Return a log that signs its checkpoints with the new key."""
    return AuditLog(ENTRY_KEY, NEW, ORIGIN, clock=lambda: 1, random=bytes, retiring=retiring)


async def test_a_checkpoint_from_before_a_rotation_is_the_logs_own(tmp_path: Path) -> None:
    """That of the hand-over, and that of today, too."""
    async with await rotated(tmp_path) as store:
        for size in (1, 2, 3):
            note = await store.checkpoint(size)
            assert size == (await verify_own(store, note, SUCCESSOR.verifier)).size


async def test_a_checkpoint_of_a_stranger_is_not(tmp_path: Path) -> None:
    """No rotation leads to its key; what is no checkpoint is none."""
    stranger = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    async with await rotated(tmp_path) as store:
        with pytest.raises(VerificationError):
            await verify_own(
                store, stranger.sign(f"{ORIGIN}\n0\n{'A' * 43}=\n"), SUCCESSOR.verifier
            )
        with pytest.raises(InvalidInputError):
            await verify_own(store, "no note", SUCCESSOR.verifier)


async def test_the_history_is_read_from_the_log(tmp_path: Path) -> None:
    """From the retired key on, and from its successor back."""
    async with await rotated(tmp_path) as store:
        for each in (FORMER, SUCCESSOR):
            history = await history_of(store, (), (each.verifier,))
            assert [FORMER.vkey, SUCCESSOR.vkey] == [key.vkey for key in history.verifiers()]
