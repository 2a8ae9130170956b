"""Cosignatures: a witness's word that a log only grew (C2SP tlog-cosignature, cosignature/v1).

A cosignature is one more signature line of a checkpoint. Beside the checkpoint it covers the time
at which the witness knew of no larger one.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.errors import InvalidInputError, MissingError
from proxy.tlog.ed25519 import signer
from proxy.tlog.note import (
    COSIGNATURE,
    NoteVerifier,
    SignatureLine,
    open_note,
    parse_signature_line,
    split_note,
)

_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = _TIME_BYTES + 64
_MAX_TIME: Final = 2**63 - 1


@dataclass(frozen=True)
class CosignatureVerifier(NoteVerifier):
    """A witness's public key; of type 0x04, so that it is never taken for that of a log."""

    kind: ClassVar[bytes] = COSIGNATURE

    def verify(self, text: str, signature: bytes) -> None:
        """Pass when the signature is the witness's own of the text.

        Raises:
            InvalidSignature: it is not.
        """
        if len(signature) != _SIGNATURE_BYTES:
            raise InvalidSignature
        message = _message(text, time_of(signature))
        self.public_key.verify(signature[_TIME_BYTES:], message)


class Cosigner:
    """A witness's private key.

    Args:
        name: the witness's name, such as ``witness.example.com/w1``.
        private_key: for cosignatures of this name and nothing else.

    Raises:
        InvalidInputError: the name is empty, or holds a space or a plus.
    """

    __slots__ = ("_sign", "verifier")

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self.verifier = CosignatureVerifier(name, private_key.public_key())
        self._sign = signer(private_key)

    def cosign(self, text: str, seconds: int) -> str:
        """Return the signature line, with its newline.

        The caller must have made durable that the witness knows this checkpoint.

        Args:
            text: the checkpoint's, without signatures.
            seconds: since 1970, the present.

        Raises:
            InvalidInputError: a cosignature can't say this time.
        """
        if not 0 <= seconds <= _MAX_TIME:
            raise InvalidInputError(f"A cosignature can't be dated {seconds} seconds after 1970.")
        signature = seconds.to_bytes(_TIME_BYTES, "big") + self._sign(_message(text, seconds))
        return SignatureLine(self.verifier.name, self.verifier.key_id, signature).text()


@dataclass(frozen=True, slots=True)
class Cosignature:
    """One that was checked.

    Attributes:
        witness: whose it is.
        seconds: since 1970, when it was given.
        line: the signature line, with its newline.
    """

    witness: CosignatureVerifier
    seconds: int
    line: str


def time_of(signature: bytes) -> int:
    """Return the seconds since 1970 that a cosignature claims."""
    return int.from_bytes(signature[:_TIME_BYTES], "big")


def cosignatures(
    note: bytes | str, witnesses: Collection[CosignatureVerifier]
) -> list[Cosignature]:
    """Return what the witnesses said of a checkpoint, of each the newest.

    Args:
        note: the signed checkpoint; the log's own signature is not looked at.
        witnesses: those that are known; who has the key of one counts once, under any name.

    Raises:
        InvalidInputError: not a signed note at all.
        VerificationError: the signature of a known witness is wrong.
    """
    _, lines = split_note(note)
    known = {(each.name, each.key_id): each for each in witnesses}
    if not any((line.name, line.key_id) in known for line in lines):
        return []
    open_note(note, witnesses)
    newest: dict[bytes, Cosignature] = {}
    for line in lines:
        witness = known.get((line.name, line.key_id))
        if witness is None:
            continue
        found = Cosignature(witness, time_of(line.signature), line.text())
        key = witness.public_key.public_bytes_raw()
        if key not in newest or newest[key].seconds < found.seconds:
            newest[key] = found
    return list(newest.values())


def require_quorum(
    note: bytes | str, witnesses: Collection[CosignatureVerifier], quorum: int
) -> list[Cosignature]:
    """Pass when enough witnesses cosigned a checkpoint, and return what they said.

    Raises:
        InvalidInputError: not a signed note at all.
        MissingError: too few did.
        VerificationError: the signature of one is wrong.
    """
    found = cosignatures(note, witnesses)
    if len(found) < quorum:
        raise MissingError(
            f"The checkpoint is cosigned by {len(found)} of {len(witnesses)} witnesses; {quorum} "
            "are wanted."
        )
    return found


def add_cosignatures(note: str, lines: Iterable[str]) -> str:
    """Return a signed checkpoint with further signature lines, which go unchecked.

    Args:
        note: the signed checkpoint.
        lines: each with its newline; one that stands there is left out.

    Raises:
        InvalidInputError: not a signed note, or not a signature line.
    """
    split_note(note)
    for line in lines:
        whole = parse_signature_line(line.removesuffix("\n")).text()
        if f"\n{whole}" not in note:
            note += whole
    return note


def _message(text: str, seconds: int) -> bytes:
    """Return what is signed (tlog-cosignature, *Ed25519 signed message*)."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
