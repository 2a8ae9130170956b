"""Signed notes with Ed25519 keys: the text format of C2SP signed-note (c2sp.org/signed-note)."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import ClassVar, Final, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.ed25519 import verifier
from proxy.tlog.signer import Signer
from proxy.tlog.signing import public_key_of, signer_of

MAX_NOTE_BYTES: Final = 1_000_000
"""The longest note that is read; the limit of Go's `sumdb/note`."""

ED25519: Final = b"\x01"
"""The type of a key that signs the text itself."""
COSIGNATURE: Final = b"\x04"
"""The type of a key that signs the text and a time (C2SP tlog-cosignature, *Format*)."""

_KEY_ID_SIZE: Final = 4
_PUBLIC_KEY_SIZE: Final = 32
_SIGNATURE_START: Final = "\N{EM DASH} "
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID_HEX: Final = re.compile(r"[0-9a-f]{8}")


def _key_id(name: str, key: bytes) -> bytes:
    """Give SHA-256(name || 0x0A || type || public key)[:4] (signed-note, *Signatures*)."""
    return sha256(name.encode() + b"\n" + key).digest()[:_KEY_ID_SIZE]


def _require_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise InvalidInputError(
            f"{name!r} can't name a note key: it must not be empty nor hold a space or a '+'."
        )
    if _CONTROL_CHARACTER.search(name):
        raise InvalidInputError(f"{name!r} can't name a note key: it holds a control character.")


def _encode(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Read standard base64 in its only spelling, so that no bit of a signed text is free.

    Raises:
        InvalidInputError: another alphabet, wrong padding, or unused bits that are not zero.
    """
    try:
        raw = a2b_base64(text.encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, Base64Error) as error:
        raise InvalidInputError("A part of a signed note is not base64.") from error
    if _encode(raw) != text:
        raise InvalidInputError("A part of a signed note is base64 in an unusual spelling.")
    return raw


@dataclass(frozen=True)
class NoteVerifier:
    """A public key that notes are checked with.

    Args:
        name: the key's name; for a log's own key, its origin.
        public_key: the Ed25519 public key.

    Raises:
        InvalidInputError: the name is empty, or holds a space or a plus.
    """

    name: str
    public_key: Ed25519PublicKey

    kind: ClassVar[bytes] = ED25519
    """The type of the signatures that are checked with it, one byte."""

    def __post_init__(self) -> None:
        """Refuse a name that a note could not carry."""
        _require_name(self.name)

    @cached_property
    def key_id(self) -> bytes:
        """4 bytes that tell keys of one name apart; a hint, no proof."""
        return _key_id(self.name, self.kind + self.public_key.public_bytes_raw())

    @cached_property
    def is_signed(self) -> Callable[[bytes, bytes], bool]:
        """What tells whether the key signed: takes a signature and its message."""
        return verifier(self.public_key)

    @cached_property
    def vkey(self) -> str:
        """The key as text: `name+hex(key ID)+base64(type || public key)`."""
        key = _encode(self.kind + self.public_key.public_bytes_raw())
        return f"{self.name}+{self.key_id.hex()}+{key}"

    def verify(self, text: str, signature: bytes) -> None:
        """Pass when the signature is the key's own of the text.

        Raises:
            InvalidSignature: it is not.
        """
        if not self.is_signed(signature, text.encode()):
            raise InvalidSignature

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a verifier key from its text.

        Raises:
            InvalidInputError: not a verifier key, not of this type, or its key ID is not its own.
        """
        # The base64 part may hold a plus of its own, the first two parts can't.
        name, _, rest = vkey.partition("+")
        key_id, _, key = rest.partition("+")
        if not _KEY_ID_HEX.fullmatch(key_id):
            raise InvalidInputError(
                "Not a verifier key: it should read name+key ID+key, as `key show` prints it."
            )
        raw = decode_base64(key)
        if raw[:1] != cls.kind or len(raw) != 1 + _PUBLIC_KEY_SIZE:
            raise InvalidInputError(f"The verifier key of {name!r} {_WRONG_KIND[cls.kind]}.")
        verifier = cls(name, Ed25519PublicKey.from_public_bytes(raw[1:]))
        if verifier.key_id.hex() != key_id:
            raise InvalidInputError(
                f"The verifier key of {name!r} was damaged: its key ID is not {key_id}."
            )
        return verifier


_WRONG_KIND: Final = {
    ED25519: "is not an Ed25519 key",
    COSIGNATURE: "is not that of a witness, of the type cosignature/v1",
}


class NoteSigner:
    """A key that signs notes.

    Args:
        name: the key's name; for a log's own key, its origin.
        key: the Ed25519 private key, or what signs with it.

    Raises:
        InvalidInputError: the name is empty, or holds a space or a plus.
    """

    __slots__ = ("_key_id", "_sign", "_signature_start", "verifier")

    def __init__(self, name: str, key: Ed25519PrivateKey | Signer) -> None:
        """Prepare whatever is the same for every note."""
        signer = signer_of(key)
        self.verifier = NoteVerifier(name, public_key_of(signer))
        self._sign = signer.sign
        self._key_id = self.verifier.key_id
        self._signature_start = f"\n{_SIGNATURE_START}{name} "

    @property
    def name(self) -> str:
        """The key's name."""
        return self.verifier.name

    @property
    def vkey(self) -> str:
        """The public half as text, for `NoteVerifier.parse`."""
        return self.verifier.vkey

    def sign(self, text: str) -> str:
        r"""Give the note: the text, a blank line and one signature line.

        Args:
            text: ends in a newline; no other control character.

        Raises:
            InvalidInputError: the text can't be that of a note.
        """
        if not text.endswith("\n") or _CONTROL_CHARACTER.search(text):
            raise InvalidInputError(
                "A note's text must end in a newline and hold no other control character."
            )
        signature = self._sign(text.encode())
        return f"{text}{self._signature_start}{_encode(self._key_id + signature)}\n"


class SignatureLine(NamedTuple):
    """One signature of a note, as somebody claims it.

    Attributes:
        name: of the key.
        key_id: of the key, 4 bytes.
        signature: what the key signed; its form is that of the key's type.
    """

    name: str
    key_id: bytes
    signature: bytes

    def text(self) -> str:
        """Return the line, with its newline."""
        return f"{_SIGNATURE_START}{self.name} {_encode(self.key_id + self.signature)}\n"


def parse_signature_line(line: str) -> SignatureLine:
    """Read one signature line, without its newline.

    Raises:
        InvalidInputError: it is none.
    """
    name, space, encoded = line.removeprefix(_SIGNATURE_START).partition(" ")
    if not line.startswith(_SIGNATURE_START) or not space:
        raise InvalidInputError(
            "Not a signed note: after the blank line stands a line that is no signature."
        )
    _require_name(name)
    raw = decode_base64(encoded)
    if len(raw) <= _KEY_ID_SIZE:
        raise InvalidInputError("Not a signed note: a signature is too short.")
    return SignatureLine(name, raw[:_KEY_ID_SIZE], raw[_KEY_ID_SIZE:])


def split_note(note: bytes | str) -> tuple[str, list[SignatureLine]]:
    """Part a note into its text, with the final newline, and its signatures, which go unchecked.

    Raises:
        InvalidInputError: not a signed note at all.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise InvalidInputError(f"Not a signed note: longer than {MAX_NOTE_BYTES:,} bytes.")
    try:
        whole = note.decode() if isinstance(note, bytes) else note
        whole.encode()  # half a surrogate pair would otherwise only fail at the signature
    except UnicodeError as error:
        raise InvalidInputError("Not a signed note: it is not UTF-8 text.") from error
    if _CONTROL_CHARACTER.search(whole):
        raise InvalidInputError("Not a signed note: it holds a control character.")
    # The text may hold blank lines too: the last one parts it from the signatures.
    text, blank_line, signatures = whole.rpartition("\n\n")
    if not blank_line or not signatures.endswith("\n"):
        raise InvalidInputError("Not a signed note: no blank line with signature lines after it.")
    return text + "\n", [parse_signature_line(line) for line in signatures[:-1].split("\n")]


def open_note(note: bytes | str, verifiers: Iterable[NoteVerifier]) -> str:
    """Check a note and give its text (signed-note, *Verifying signed notes*).

    Signatures of unknown keys are ignored; one of a known key that fails rejects the note.

    Args:
        note: the whole note.
        verifiers: the known keys; at least one of them must have signed.

    Returns:
        The text with its final newline.

    Raises:
        InvalidInputError: not a signed note at all.
        VerificationError: a known key's signature is wrong, or no known key signed.
    """
    text, signatures = split_note(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    signed = False
    for name, key_id, signature in signatures:
        verifier = known.get((name, key_id))
        if verifier is None:
            continue
        try:
            verifier.verify(text, signature)
        except InvalidSignature as error:
            raise VerificationError(
                f"The note's signature by {name!r} is wrong: it was forged or changed."
            ) from error
        signed = True
    if not signed:
        names = ", ".join(repr(name) for name, _, _ in signatures)
        raise VerificationError(
            f"The note is signed by no key that is trusted here, but by {names}."
        )
    return text
