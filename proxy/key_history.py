"""Which keys a log was ever signed by, as its own entries prove it."""

from collections.abc import Iterable
from contextlib import suppress

import orjson

from proxy.contracts import LogQuery, Store
from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.note import NoteVerifier
from proxy.tlog.rotation import EVENT, KeyHistory, Rotation


async def history_of(
    store: Store, entry_keys: Iterable[bytes], checkpoint_verifiers: Iterable[NoteVerifier]
) -> KeyHistory:
    """Read the rotations in a log and follow them from the keys that are trusted.

    Raises:
        UnavailableError: the log can't be read.
    """
    found: list[Rotation] = []
    async for stored in store.entries(LogQuery(event=EVENT)):
        with suppress(VerificationError):  # it is no link, so nothing follows from it
            rotation = Rotation.parse(stored.record.index, orjson.loads(stored.record.entry))
            if rotation is not None:
                found.append(rotation)
    return KeyHistory(entry_keys, checkpoint_verifiers, found)


async def verify_own(
    store: Store, note: str, verifier: NoteVerifier, entry_key: bytes | None = None
) -> Checkpoint:
    """Check a checkpoint of this log, also one from before a rotation of its key.

    Args:
        store: asked for rotations only when the key in force did not sign.
        note: the signed checkpoint.
        verifier: the key in force.
        entry_key: that of entries, 32 bytes; without it the way back ends where a checkpoint key
            was lost, as the entry key vouches there.

    Raises:
        InvalidInputError: not a checkpoint.
        VerificationError: no key of this log signed it.
        UnavailableError: the log can't be read.
    """
    try:
        return verify_checkpoint(note, verifier)
    except (VerificationError, InvalidInputError):
        trusted = () if entry_key is None else (entry_key,)
        history = await history_of(store, trusted, (verifier,))
        return verify_checkpoint(note, *history.verifiers())
