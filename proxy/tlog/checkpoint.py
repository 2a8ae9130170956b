"""Checkpoints: the signed promise of a log's size and root (C2SP tlog-checkpoint)."""

import re
from binascii import b2a_base64
from dataclasses import dataclass
from typing import Final

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.merkle import HASH_SIZE
from proxy.tlog.note import NoteSigner, NoteVerifier, decode_base64, open_note

# A size has no sign and no leading zero; 20 digits hold every 64-bit number.
_TEXT: Final = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,19})\n([^\n]+)\n", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log promises to be: so many entries, under this root.

    Args:
        origin: the log's unique name, one line.
        size: the number of entries.
        root: the Merkle tree's root hash, 32 bytes.

    Raises:
        InvalidInputError: a value that a checkpoint can't say.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuse what `parse` would not read back."""
        if not self.origin or "\n" in self.origin or self.size < 0 or len(self.root) != HASH_SIZE:
            raise InvalidInputError(
                "A checkpoint needs an origin of one line, a size from 0 and a root of 32 bytes."
            )

    def text(self) -> str:
        """Give the text that is signed: origin, size and base64 root, one a line."""
        root = b2a_base64(self.root).decode("ascii")  # which ends in the third newline
        return f"{self.origin}\n{self.size}\n{root}"


def parse(text: str) -> Checkpoint:
    """Read a checkpoint's text, without its signatures.

    The extension lines that C2SP allows are refused: this log never writes any, and what they
    promise would go unchecked.

    Raises:
        InvalidInputError: not the text of such a checkpoint.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InvalidInputError(
            "Not a checkpoint: it should be an origin, a size and a root, one a line."
        )
    origin, size, root = found.groups()
    return Checkpoint(origin, int(size), decode_base64(root))


def sign(checkpoint: Checkpoint, signer: NoteSigner) -> str:
    """Give the checkpoint as a signed note.

    The caller must have made durable whatever the checkpoint promises, and must never sign one
    that is inconsistent with one signed before.

    Raises:
        InvalidInputError: the key is not named as the log is, which verifiers rely on.
    """
    if signer.name != checkpoint.origin:
        raise InvalidInputError(
            f"The checkpoint key is named {signer.name!r} but the log {checkpoint.origin!r}. "
            "Give the key that belongs to this log."
        )
    return signer.sign(checkpoint.text())


def verify_checkpoint(note: bytes | str, *verifiers: NoteVerifier) -> Checkpoint:
    """Check a signed checkpoint and read it.

    Args:
        note: the signed note, which may carry more signatures (witnesses').
        verifiers: the log's checkpoint key, and its former ones if it was rotated.

    Raises:
        InvalidInputError: not a signed checkpoint at all.
        VerificationError: not signed by these keys, or of another log.
    """
    checkpoint = parse(open_note(note, verifiers))
    if all(checkpoint.origin != verifier.name for verifier in verifiers):
        raise VerificationError(f"The checkpoint is of another log, {checkpoint.origin!r}.")
    return checkpoint
