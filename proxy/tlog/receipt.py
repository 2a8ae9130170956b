"""Receipts: one file that proves an entry to be in the log, to anybody (C2SP tlog-proof).

It carries the entry itself, its place, the proof, and the checkpoint that the proof leads to. Only
the log's checkpoint key is needed to check it: what the extra data say is proved by the leaf hash.
"""

import re
from binascii import b2a_base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.entry import MAX_ENTRY_BYTES
from proxy.tlog.merkle import HASH_SIZE, leaf_hash
from proxy.tlog.note import MAX_NOTE_BYTES, NoteVerifier, decode_base64
from proxy.tlog.proof import MAX_PROOF, verify_inclusion

HEADER: Final = "c2sp.org/tlog-proof@v1"
"""The first line, which tells what the file is."""
SUFFIX: Final = ".tlog-proof"
"""How a file's name ends."""
MAX_RECEIPT_BYTES: Final = MAX_NOTE_BYTES + 2 * MAX_ENTRY_BYTES
"""The longest receipt that is read."""

_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What proves one entry.

    Attributes:
        index: of the entry, from 0.
        proof: the hashes that lead from the entry to the root, 32 bytes each.
        checkpoint: the signed checkpoint of the tree, a signed note.
        entry: the entry's canonical bytes; None when whoever made the receipt left them out.
    """

    index: int
    proof: tuple[bytes, ...]
    checkpoint: str
    entry: bytes | None = None

    def text(self) -> str:
        """Return the file: header, entry, index, proof, a blank line, checkpoint."""
        lines = [HEADER]
        if self.entry is not None:
            lines.append(f"extra {_base64(self.entry)}")
        lines.append(f"index {self.index}")
        lines += map(_base64, self.proof)
        return "\n".join((*lines, "", self.checkpoint))


def parse(text: str | bytes) -> Receipt:
    """Read a receipt from untrusted bytes; what it says is checked by ``verify_receipt``.

    Raises:
        InvalidInputError: it is none, and what is wrong with it.
    """
    if len(text) > MAX_RECEIPT_BYTES:
        raise InvalidInputError(f"Not a receipt: longer than {MAX_RECEIPT_BYTES:,} bytes.")
    try:
        whole = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise InvalidInputError("Not a receipt: it is not UTF-8 text.") from error
    head, blank, checkpoint = whole.partition("\n\n")
    header, *lines = head.split("\n")
    if header != HEADER:
        raise InvalidInputError(f"Not a receipt: the first line should be {HEADER}.")
    if not blank:
        raise InvalidInputError("Not a whole receipt: no blank line and no checkpoint after it.")
    entry = None
    if lines and lines[0].startswith("extra "):
        entry = decode_base64(lines.pop(0).removeprefix("extra "))
        if len(entry) > MAX_ENTRY_BYTES:
            raise InvalidInputError(
                f"Not a receipt of this log: its entry has {len(entry):,} bytes, of "
                f"{MAX_ENTRY_BYTES:,} allowed."
            )
    found = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if found is None:
        raise InvalidInputError("Not a receipt: no line with the entry's index.")
    if len(lines) > MAX_PROOF:
        raise InvalidInputError(f"Not a receipt: more than {MAX_PROOF} hashes.")
    proof = tuple(map(decode_base64, lines))
    if any(len(each) != HASH_SIZE for each in proof):
        raise InvalidInputError(f"Not a receipt: a hash is not one of {HASH_SIZE} bytes.")
    return Receipt(int(found[1]), proof, checkpoint, entry)


def verify_receipt(
    receipt: Receipt, verifiers: Iterable[NoteVerifier], entry: bytes | None = None
) -> Checkpoint:
    """Check a receipt: the entry is in the log that the checkpoint promises.

    Args:
        receipt: from anybody.
        verifiers: the log's checkpoint key, and its former ones.
        entry: the entry's bytes where they are known otherwise; a receipt without must be given
            them, and one with others proves nothing about these.

    Returns:
        What the log promises.

    Raises:
        InvalidInputError: there is no entry to check, or the checkpoint is none.
        VerificationError: the receipt does not prove the entry.
    """
    data = receipt.entry if entry is None else entry
    if data is None:
        raise InvalidInputError(
            "The receipt does not carry its entry, so there is nothing to prove: give the entry "
            "beside it."
        )
    if receipt.entry is not None and receipt.entry != data:
        raise VerificationError(
            f"The receipt is that of another entry than the one given, {receipt.index}.",
            receipt.index,
        )
    checkpoint = verify_checkpoint(receipt.checkpoint, *verifiers)
    verify_inclusion(
        leaf_hash(data), receipt.index, checkpoint.size, receipt.proof, checkpoint.root
    )
    return checkpoint


def _base64(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).decode("ascii")
