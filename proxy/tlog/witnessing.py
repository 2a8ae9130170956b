"""What a log asks of a witness, and what a witness answers (C2SP tlog-witness, add-checkpoint).

The rules stand here alone: bytes and what is known in, an answer out. Who asks keeps the state:
to look at it and to replace it must be one step, and durable before anything is signed.
"""

import re
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint
from proxy.tlog.checkpoint import parse as parse_checkpoint
from proxy.tlog.cosignature import CosignatureVerifier
from proxy.tlog.merkle import EMPTY_ROOT, HASH_SIZE
from proxy.tlog.note import NoteVerifier, decode_base64, open_note, split_note
from proxy.tlog.proof import verify_consistency

PATH: Final = "add-checkpoint"
"""Where a witness is asked, below its address."""
LATEST: Final = "latest-checkpoint"
"""Where this witness shows what it cosigned last; the protocol leaves that open (*Monitor
Retrieval Mechanism*)."""
SIZE_TYPE: Final = "text/x.tlog.size"
"""Content type of an answer that tells how far the witness knows the log."""
MAX_PROOF_LINES: Final = 63
"""Hashes of the longest proof that may be sent."""
MAX_REQUEST_BYTES: Final = 65_536
"""The longest request that is read: 63 hashes, and a checkpoint with hundreds of signatures."""
MAX_ANSWER_BYTES: Final = 65_536
"""The longest answer of a witness that is read."""

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,19})", re.ASCII)
_SIZE: Final = re.compile(r"(0|[1-9][0-9]{0,19})\n", re.ASCII)
_CHECKPOINT_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request.

    Attributes:
        old_size: of the checkpoint that the witness cosigned last; 0 if none.
        proof: hashes of 32 bytes each that lead from it to the new one (RFC 6962 section 2.1.2).
        note: the new checkpoint, a signed note.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    def body(self) -> bytes:
        """Return the request's body."""
        lines = [f"old {self.old_size}", *map(_base64, self.proof)]
        return "\n".join((*lines, "", self.note)).encode()


def parse_request(body: bytes) -> AddCheckpoint:
    """Read a request's body; what it says is for ``decide`` to check.

    Raises:
        InvalidInputError: it is none, and what is wrong with it.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise InvalidInputError(f"The request is longer than {MAX_REQUEST_BYTES:,} bytes.")
    try:
        whole = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("The request is not UTF-8 text.") from error
    head, blank, note = whole.partition("\n\n")
    old, *lines = head.split("\n")
    found = _OLD.fullmatch(old)
    if found is None:
        raise InvalidInputError("The first line should be 'old' and the size of a tree.")
    if not blank:
        raise InvalidInputError("No blank line, and no checkpoint after it.")
    if len(lines) > MAX_PROOF_LINES:
        raise InvalidInputError(f"The proof has more than {MAX_PROOF_LINES} hashes.")
    proof = tuple(map(decode_base64, lines))
    if any(len(each) != HASH_SIZE for each in proof):
        raise InvalidInputError(f"A hash of the proof has not {HASH_SIZE} bytes.")
    return AddCheckpoint(int(found[1]), proof, note)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer is yes: keep this, make it durable, then cosign the text.

    Attributes:
        checkpoint: what the witness knows of the log from now on.
        text: the checkpoint's text as the log signed it, with lines that say more if there are.
    """

    checkpoint: Checkpoint
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer is no; nothing may be kept or signed.

    Attributes:
        status: of HTTP, as the specification wants it.
        reason: for people.
        size: how far the witness knows the log, where that is the answer.
        is_fork: the log's own key signed what contradicts what the witness knows.
    """

    status: int
    reason: str
    size: int | None = None
    is_fork: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request claims of a log that the witness knows; its signature was checked.

    Attributes:
        request: as it came.
        checkpoint: the new one.
        text: as the log signed it.
    """

    request: AddCheckpoint
    checkpoint: Checkpoint
    text: str


def check_claim(body: bytes, logs: Mapping[str, Sequence[NoteVerifier]]) -> Claim | Refused:
    """Check what needs no state: the form of a request, and who signed the checkpoint.

    Args:
        body: from anybody.
        logs: by the origin the checkpoint keys of each log that the witness watches, in the order
            in which the log had them.
    """
    try:
        request = parse_request(body)
        text, _ = split_note(request.note)
        checkpoint = _parse_extended(text)
    except InvalidInputError as error:
        return Refused(400, str(error))
    verifiers = logs.get(checkpoint.origin)
    if not verifiers:
        return Refused(404, f"This witness does not watch the log {checkpoint.origin!r}.")
    try:
        open_note(request.note, verifiers)
    except VerificationError as error:
        return Refused(403, str(error))
    if request.old_size > checkpoint.size:
        return Refused(
            400, f"The old size, {request.old_size}, is above the new one, {checkpoint.size}."
        )
    return Claim(request, checkpoint, text)


def is_retired(note: str, latest: str, verifiers: Sequence[NoteVerifier]) -> bool:
    """Tell whether a checkpoint is signed by former keys alone.

    Args:
        note: of a log, by at least one of its keys.
        latest: the one that was cosigned last.
        verifiers: the log's keys in the order in which it had them.
    """
    return _newest_signer(note, verifiers) < _newest_signer(latest, verifiers)


def _newest_signer(note: str, verifiers: Sequence[NoteVerifier]) -> int:
    for number in reversed(range(len(verifiers))):
        try:
            open_note(note, verifiers[number : number + 1])
        except VerificationError:
            continue
        return number
    return -1


def decide(claim: Claim, latest: Checkpoint | None) -> Accepted | Refused:
    """Decide whether a witness may cosign what a log claims.

    Args:
        claim: whose signature was checked.
        latest: what the witness cosigned last of this log; None if nothing.
    """
    known = latest or Checkpoint(claim.checkpoint.origin, 0, EMPTY_ROOT)
    request, new = claim.request, claim.checkpoint
    if request.old_size != known.size:
        reason = f"The last checkpoint that this witness cosigned has {known.size} entries."
        return Refused(409, reason, known.size)
    if new.size == known.size and new.root != known.root:
        reason = (
            f"With {known.size} entries the log had another root when this witness cosigned it: "
            "it was forked."
        )
        return Refused(409, reason, known.size, is_fork=latest is not None)
    try:
        verify_consistency(known.size, known.root, new.size, new.root, request.proof)
    except VerificationError as error:
        # A careless log sends a wrong proof too: only the same size with two roots is beyond doubt.
        return Refused(422, str(error))
    return Accepted(new, claim.text)


def parse_size(answer: bytes) -> int:
    """Read the body of an answer 409: how far a witness knows the log.

    Raises:
        InvalidInputError: it tells no size.
    """
    found = _SIZE.fullmatch(answer[:64].decode("ascii", "replace"))
    if found is None or len(answer) > len(found[0]):
        raise InvalidInputError("The witness's answer 409 does not tell a size.")
    return int(found[1])


@dataclass(frozen=True, slots=True)
class ListedWitness:
    """A witness that a log asks.

    Attributes:
        address: to which requests go.
        verifier: its key, with its name.
    """

    address: str
    verifier: CosignatureVerifier

    def latest(self, origin: str) -> str:
        """Return the address at which it may show what it cosigned last of a log."""
        return f"{self.address.removesuffix(PATH)}{latest_path(origin)}"


def latest_path(origin: str) -> str:
    """Return where a witness shows what it cosigned last of a log, below its address."""
    return f"{LATEST}/{sha256(origin.encode()).hexdigest()}"


def parse_listed(text: str) -> ListedWitness:
    """Read an address and a verifier key with a space between them.

    Raises:
        InvalidInputError: which of them is none, and what is wrong.
    """
    url, _, vkey = text.strip().partition(" ")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_address = is_address and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or "@" in url or "?" in url or "#" in url:
        raise InvalidInputError(
            "should begin with the witness's address, such as https://witness.example.com"
        )
    if not vkey:
        raise InvalidInputError(
            "should have the witness's key after its address and a space, as `tfaudit witness key` "
            "prints it there"
        )
    return ListedWitness(f"{url.rstrip('/')}/{PATH}", CosignatureVerifier.parse(vkey.strip()))


def _parse_extended(text: str) -> Checkpoint:
    """Read a checkpoint that may say more in lines of its own (tlog-checkpoint, *Note text*)."""
    lines = text.removesuffix("\n").split("\n")
    if not all(lines):
        raise InvalidInputError("A line of the checkpoint is empty.")
    return parse_checkpoint("".join(f"{line}\n" for line in lines[:_CHECKPOINT_LINES]))


def _base64(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).decode("ascii")
