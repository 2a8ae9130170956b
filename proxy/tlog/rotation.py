"""The hand-over from one signing key to the next, and which key may sign where.

A rotation is an entry, ``key.rotated`` with the part ``key``. It names the retired key and its
successor, and holds the signatures of both over one statement. So whoever trusts any key of a log
can follow to all others, forwards and back, and nobody who lacks the retired key can add to the
chain. When the retired key was lost, the log's other key vouches in its place, and says so.

The entry of a rotation is itself signed by the entry key that is in force from it on. The
checkpoint that covers a rotation of the checkpoint key is signed by both keys, the retired one's
line first; the next ones by the successor alone. Origin, and so the key's name, stay.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proxy.errors import VerificationError
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteVerifier

EVENT: Final = "key.rotated"
PART: Final = "key"
"""The member of an entry that makes it a rotation of a signing key."""

Purpose = Literal["entry", "checkpoint"]
PURPOSES: Final[tuple[Purpose, ...]] = ("entry", "checkpoint")

_PREFIX: Final = "tfaudit-key-rotation-v1"
"""Domain separation: the statement is neither an entry nor, by its second line, a checkpoint."""
_PUBLIC_KEY_BYTES: Final = 32
_ALGORITHM: Final = "Ed25519"


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    """The part of an entry; bytes are base64 in it."""

    purpose: Purpose
    algorithm: Literal["Ed25519"]
    origin: str
    old: bytes
    new: bytes
    lost: bool
    signatures: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What an entry says of a signing key's successor.

    Attributes:
        index: the entry's; its successor signs from this entry on, or the checkpoints above it.
        purpose: what the keys sign.
        origin: the log.
        old: the retired public key, 32 bytes.
        new: its successor.
        is_lost: the retired key could not sign: the log's other key vouches.
        signatures: over the statement, by ``old``, ``new`` and ``vouched``.
    """

    index: int
    purpose: Purpose
    origin: str
    old: bytes
    new: bytes
    is_lost: bool = False
    signatures: Mapping[str, bytes] = field(default_factory=dict)

    def statement(self) -> bytes:
        """Return what is signed: the place is in it, so that it fits no other log and no other."""
        kind = "lost" if self.is_lost else "handed over"
        lines = (
            _PREFIX,
            self.purpose,
            self.origin,
            str(self.index),
            _encode(self.old),
            _encode(self.new),
            kind,
        )
        return "".join(f"{line}\n" for line in lines).encode()

    def part(self) -> dict[str, Any]:
        """Return the entry's part ``key``."""
        return {
            "purpose": self.purpose,
            "algorithm": _ALGORITHM,
            "origin": self.origin,
            "old": _encode(self.old),
            "new": _encode(self.new),
            "lost": self.is_lost,
            "signatures": {name: _encode(value) for name, value in self.signatures.items()},
        }

    @classmethod
    def parse(cls, index: int, members: Mapping[str, object]) -> Self | None:
        """Read an entry; None when it is no rotation of a signing key.

        Raises:
            VerificationError: it should be one and is none.
        """
        if members.get("event") != EVENT or PART not in members:
            return None
        try:
            part = msgspec.convert(members[PART], _Part)
        except msgspec.ValidationError as error:
            raise VerificationError(
                f"Entry {index} should say which key follows which, and does not.", index
            ) from error
        if {len(part.old), len(part.new)} != {_PUBLIC_KEY_BYTES} or part.old == part.new:
            raise VerificationError(
                f"Entry {index} should say which key follows which, and names no two keys.", index
            )
        return cls(index, part.purpose, part.origin, part.old, part.new, part.lost, part.signatures)

    def verify(self, other: bytes | None) -> None:
        """Check that whoever had to sign did.

        Args:
            other: the public key that was in force for the other purpose, which vouches for the
                successor of a key that was lost; None when it is not known, and nothing vouched.

        Raises:
            VerificationError: with the entry's index.
        """
        what = f"The {self.purpose} key's rotation in entry {self.index}"
        wanted = (
            {"vouched": other, "new": self.new}
            if self.is_lost
            else {
                "old": self.old,
                "new": self.new,
            }
        )
        for name, public_key in wanted.items():
            if public_key is None or not _is_signed(
                public_key, self.signatures.get(name, b""), self.statement()
            ):
                raise VerificationError(f"{what} was forged: {_UNSIGNED[name]}.", self.index)
        if self.signatures.keys() != wanted.keys():
            raise VerificationError(f"{what} has signatures that it should not have.", self.index)


_UNSIGNED: Final = {
    "old": "the key that it retires did not sign it",
    "new": "the key that it brings in did not sign it",
    "vouched": "it says that the retired key was lost, and the log's other key did not vouch",
}


class KeyHistory:
    """Which keys sign where in one log, by its rotations.

    What is proved, and from which keys:

    - Between two keys of one purpose that a rotation hands over, trust goes both ways: both signed
      it. So from a trusted key all are reached that an unbroken chain links to it.
    - A rotation of a lost key counts only where the other purpose's key that vouches was in force
      there, and is trusted by itself: given, or reached from a given one by rotations that count.
      No chain holds itself up, nor do two that vouch for each other.
    - A purpose of which no key is given has no trusted keys: its rotations are held against each
      other, and they vouch for nothing. From a checkpoint key alone, then, the way ends where a
      checkpoint key was lost; give the entry key, too.
    - Rotations that lead from and to no trusted key of a purpose of which one is given are a
      stranger's.
    - That none was left out is not proved here, but by the log they stand in: whoever has a retired
      key and hides its end from the verifier can hand it over anew.

    Rotations after the first that does not hold are no part of it; ``check_members`` names that
    one when its entry is reached.

    Args:
        entry_keys: trusted public keys of entries, 32 bytes each.
        checkpoint_verifiers: trusted keys of checkpoints; their name is the log's origin.
        rotations: found in the log, in its order; from anybody.

    Raises:
        VerificationError: the rotations stand in another order than the log's, or two in one place.
    """

    def __init__(
        self,
        entry_keys: Iterable[bytes],
        checkpoint_verifiers: Iterable[NoteVerifier],
        rotations: Iterable[Rotation] = (),
    ) -> None:
        """Follow the rotations as far as they hold."""
        verifiers = tuple(checkpoint_verifiers)
        self._trusted: dict[Purpose, frozenset[bytes]] = {
            "entry": frozenset(entry_keys),
            "checkpoint": frozenset(each.public_key.public_bytes_raw() for each in verifiers),
        }
        self._origins = frozenset(each.name for each in verifiers)
        self._chains: dict[Purpose, list[Rotation]] = {"entry": [], "checkpoint": []}
        self._known: dict[int, Rotation] = {}
        found = list(rotations)
        _require_ascending(found)
        first = {each.purpose: each.old for each in reversed(found)}
        self._first: dict[Purpose, bytes | None] = {
            purpose: first.get(purpose) for purpose in PURPOSES
        }
        self._broken: VerificationError | None = None
        self._vouchers: dict[int, bytes | None] = {}
        for each in found:
            try:
                self._follow(each)
            except VerificationError as error:
                self._broken = error
                break
            self._chains[each.purpose].append(each)
            self._known[each.index] = each
        # What is cut off may have been what led to a trusted key: until nothing more falls.
        while (baseless := self._baseless()) is not None:
            self._cut(baseless)

    def _reached(self) -> dict[Purpose, set[bytes]]:
        """Return all keys that the given ones lead to, each by what was reached before it."""
        reached = {purpose: set(self._trusted[purpose]) for purpose in PURPOSES}
        size = -1
        while size != (size := sum(map(len, reached.values()))):
            # In both ways, so that one chain takes one round, however long it was made.
            for each in (*reversed(self._known.values()), *self._known.values()):
                mine = reached[each.purpose]
                is_vouched = self._vouchers[each.index] in reached[_other(each.purpose)]
                if not mine.isdisjoint((each.old, each.new)) and (is_vouched or not each.is_lost):
                    mine.update((each.old, each.new))
        return reached

    def _baseless(self) -> VerificationError | None:
        """Return what is wrong with the first rotation that rests on no trusted key."""
        reached = self._reached()
        for each in self._known.values():
            other = _other(each.purpose)
            if each.is_lost and self._vouchers[each.index] not in reached[other]:
                return VerificationError(
                    f"The {each.purpose} key's rotation in entry {each.index} says that the "
                    f"retired key was lost, and the {other} key that vouches for it is not trusted "
                    f"here: give the log's {other} key, too, best all keys in one file, as "
                    "`tfaudit key export-public --json` prints them.",
                    each.index,
                )
            if self._trusted[each.purpose] and each.old not in reached[each.purpose]:
                return VerificationError(
                    f"The rotation in entry {each.index} is not of a key that is trusted, and "
                    "leads to none.",
                    each.index,
                )
        return None

    def _cut(self, error: VerificationError) -> None:
        """Forget the rotation that an error names, and all after it."""
        self._broken = error
        end = error.index
        self._known = {
            index: each for index, each in self._known.items() if end is not None and index < end
        }
        for purpose in PURPOSES:
            self._chains[purpose] = [
                each for each in self._known.values() if each.purpose == purpose
            ]

    def _follow(self, rotation: Rotation) -> None:
        purpose = rotation.purpose
        if self._origins and rotation.origin not in self._origins:
            raise VerificationError(
                f"The rotation in entry {rotation.index} is that of another log, "
                f"{rotation.origin!r}.",
                rotation.index,
            )
        if rotation.old != self._current(purpose):
            raise VerificationError(
                f"The {purpose} key's rotation in entry {rotation.index} retires a key that was "
                "not in force.",
                rotation.index,
            )
        voucher = self._current(_other(purpose))
        rotation.verify(voucher)
        self._vouchers[rotation.index] = voucher

    def _current(self, purpose: Purpose) -> bytes | None:
        chain = self._chains[purpose]
        if chain:
            return chain[-1].new
        trusted = self._trusted[purpose]
        return self._first[purpose] or (next(iter(trusted)) if len(trusted) == 1 else None)

    @property
    def rotations(self) -> tuple[Rotation, ...]:
        """Those that hold, in the log's order."""
        return tuple(self._known.values())

    def keys(self, purpose: Purpose) -> tuple[bytes, ...]:
        """Return all public keys of a purpose that are to be trusted, oldest first.

        Those that are linked by rotations to a trusted one, and the trusted ones.
        """
        chain, trusted = self._chains[purpose], self._trusted[purpose]
        linked = tuple(dict.fromkeys(key for each in chain for key in (each.old, each.new)))
        if not trusted.intersection(linked):
            return tuple(trusted)
        return (*linked, *(trusted.difference(linked)))

    def verifiers(self) -> tuple[NoteVerifier, ...]:
        """Return the same of checkpoints, as what notes are checked with."""
        return tuple(
            NoteVerifier(origin, Ed25519PublicKey.from_public_bytes(key))
            for origin in sorted(self._origins)
            for key in self.keys("checkpoint")
        )

    def entry_keys(self) -> dict[str, Ed25519PublicKey]:
        """Return the same of entries, by key ID."""
        return {key_id(key): Ed25519PublicKey.from_public_bytes(key) for key in self.keys("entry")}

    def in_force(self, purpose: Purpose, index: int) -> bytes | None:
        """Return the key that signs an entry, or the checkpoints that end with it.

        None when there was no rotation: then any trusted key may.
        """
        key: bytes | None = None
        for each in self._chains[purpose]:
            if key is None:
                key = each.old
            if each.index > index:
                break
            key = each.new
        return key

    def check_entry(self, index: int, signed_by: str, members: Mapping[str, object]) -> None:
        """Hold an entry against the history: its key, and whether a rotation in it is known.

        Args:
            index: the entry's.
            signed_by: ID of the key whose signature of it holds.
            members: of the entry.

        Raises:
            VerificationError: the key was not in force there, or a rotation does not hold.
        """
        self.check_members(index, members)
        key = self.in_force("entry", index)
        if key is not None and key_id(key) != signed_by:
            retired = [
                each.index
                for each in self._chains["entry"]
                if key_id(each.old) == signed_by and each.index <= index
            ]
            why = (
                f"a key that entry {retired[-1]} retired"
                if retired
                else "a key that was not in force yet"
            )
            raise VerificationError(f"Entry {index} was signed by {why}, {signed_by!r}.", index)

    def check_members(self, index: int, members: Mapping[str, object]) -> None:
        """Hold a rotation against the history; whatever is no rotation passes.

        Raises:
            VerificationError: it is not one of the history, and why.
        """
        rotation = Rotation.parse(index, members)
        if rotation == self._known.get(index):
            return
        if self._broken is not None and self._broken.index == index:
            raise self._broken
        raise VerificationError(
            f"Entry {index} is no rotation that follows from the keys that are trusted.", index
        )

    def check_note(self, note: bytes | str, size: int) -> None:
        """Hold the signatures of a checkpoint, which were checked, against the history.

        Raises:
            VerificationError: the key in force there did not sign it, or one that was not did.
        """
        chain = self._chains["checkpoint"]
        if not chain or not size:
            return
        wanted = [self.in_force("checkpoint", size - 1)]
        for each in chain:
            if each.index == size - 1 and not each.is_lost:
                wanted.insert(0, each.old)
        (origin, *_) = self._origins
        ids = [
            NoteVerifier(origin, Ed25519PublicKey.from_public_bytes(key)).key_id
            for key in wanted
            if key is not None
        ]
        if key_ids_of(note, origin) != ids:
            raise VerificationError(
                f"The checkpoint of {size} entries is not signed by the key that was in force, "
                "or by one that was not."
            )

    @property
    def lost(self) -> tuple[Rotation, ...]:
        """Rotations for which the log's other key vouches, because the retired one was lost."""
        return tuple(each for each in self._known.values() if each.is_lost)


def _other(purpose: Purpose) -> Purpose:
    return "checkpoint" if purpose == "entry" else "entry"


def _require_ascending(rotations: Iterable[Rotation]) -> None:
    """Pass when each rotation stands after the one before it.

    Raises:
        VerificationError: naming the two that don't.
    """
    for former, latter in pairwise(rotations):
        if latter.index <= former.index:
            raise VerificationError(
                f"The rotation in entry {latter.index} is named after that in entry "
                f"{former.index}: rotations should stand in the log's order, one an entry.",
                latter.index,
            )


def key_ids_of(note: bytes | str, origin: str) -> list[bytes]:
    """Return the IDs of the keys of a name that a note says it is signed by, in its order."""
    start = f"\N{EM DASH} {origin} "
    text = note.decode("utf-8", "replace") if isinstance(note, bytes) else note
    _, _, lines = text.rpartition("\n\n")
    ids = []
    for line in lines.splitlines():
        if line.startswith(start):
            try:
                ids.append(b64decode(line.removeprefix(start))[:4])
            except Base64Error:
                continue  # no signature: whoever checks the note says so
    return ids


def _is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _encode(raw: bytes) -> str:
    return b64encode(raw).decode()
