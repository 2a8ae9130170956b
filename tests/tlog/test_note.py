"""Tests of signed notes: the specification's vector, and every way a note can be wrong."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.note import NoteSigner, NoteVerifier, decode_base64, open_note

# The test vector of c2sp.org/signed-note.
VECTOR_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
VECTOR_TEXT = "This is an example message.\n"
VECTOR_NOTE = (
    VECTOR_TEXT
    + "\n\N{EM DASH} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZ"
    "XsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
VECTOR_VERIFIER = NoteVerifier.parse(VECTOR_KEY)

CONTROL_CHARACTERS = [chr(code) for code in range(32)]
SIGNER = NoteSigner("log.example/a", Ed25519PrivateKey.from_private_bytes(b"a" * 32))
WITNESS = NoteSigner("witness.example", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
TEXT = "one\n\ntwo …\n"
NOTE = SIGNER.sign(TEXT)


def signature_line(note: str) -> str:
    """Give the last line of a note with its newline."""
    return note[note.rindex("\n", 0, -1) + 1 :]


def test_the_vector_opens() -> None:
    """The specification's key accepts the specification's note."""
    assert VECTOR_TEXT == open_note(VECTOR_NOTE, [VECTOR_VERIFIER])


def test_the_vector_opens_from_bytes() -> None:
    """A note may come as UTF-8 bytes."""
    assert VECTOR_TEXT == open_note(VECTOR_NOTE.encode(), [VECTOR_VERIFIER])


def test_the_vectors_key_round_trips() -> None:
    """A parsed key prints as it was."""
    assert VECTOR_KEY == VECTOR_VERIFIER.vkey


def test_a_signed_note_opens_with_the_printed_key() -> None:
    """What the signer writes, the key that it prints accepts; blank lines in the text stay."""
    assert TEXT == open_note(NOTE, [NoteVerifier.parse(SIGNER.vkey)])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROL_CHARACTERS)))
def test_any_text_without_control_characters_can_be_signed(line: str) -> None:
    """The text comes back as it was."""
    assert f"{line}\n" == open_note(SIGNER.sign(f"{line}\n"), [SIGNER.verifier])


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "carriage\r\n", "nul\0\n"])
def test_sign_refuses_what_is_no_note_text(text: str) -> None:
    """Only text that a verifier will read is signed."""
    with pytest.raises(InvalidInputError, match="note's text"):
        SIGNER.sign(text)


def test_unknown_signatures_are_ignored() -> None:
    """A witness's line before or after ours does not matter."""
    theirs = signature_line(WITNESS.sign(TEXT))
    before = f"{TEXT}\n{theirs}{signature_line(NOTE)}"

    assert TEXT == open_note(NOTE + theirs, [SIGNER.verifier])
    assert TEXT == open_note(before, [SIGNER.verifier])


def test_a_known_key_that_fails_rejects_the_note() -> None:
    """One good signature does not outweigh a known key's bad one."""
    bad = signature_line(WITNESS.sign("another text\n"))

    with pytest.raises(VerificationError, match=r"'witness\.example' is wrong"):
        open_note(NOTE + bad, [SIGNER.verifier, WITNESS.verifier])


def test_a_note_signed_by_nobody_known_is_refused() -> None:
    """The message names who did sign."""
    with pytest.raises(VerificationError, match=r"no key that is trusted here, but by 'log\."):
        open_note(NOTE, [WITNESS.verifier])


def test_a_note_is_never_trusted_without_keys() -> None:
    """No verifier, no acceptance."""
    with pytest.raises(VerificationError, match="no key that is trusted"):
        open_note(NOTE, [])


def test_the_same_name_with_another_key_is_unknown() -> None:
    """A name alone proves nothing."""
    stranger = NoteSigner(SIGNER.name, Ed25519PrivateKey.from_private_bytes(b"s" * 32))

    with pytest.raises(VerificationError, match="no key that is trusted"):
        open_note(stranger.sign(TEXT), [SIGNER.verifier])


@given(st.integers(0, 8 * len(NOTE.encode()) - 1))
def test_every_flipped_bit_is_found(bit: int) -> None:
    """No bit of a note is free, base64 padding included."""
    flipped = bytearray(NOTE.encode())
    flipped[bit // 8] ^= 1 << bit % 8

    with pytest.raises((InvalidInputError, VerificationError)):
        open_note(bytes(flipped), [SIGNER.verifier])


@pytest.mark.parametrize(
    "note",
    [
        pytest.param("", id="empty"),
        pytest.param("text\n", id="no signatures"),
        pytest.param("text\n\n", id="nothing after the blank line"),
        pytest.param(NOTE[:-1], id="no final newline"),
        pytest.param(NOTE + "\n", id="another blank line"),
        pytest.param(NOTE.replace("\N{EM DASH}", "-"), id="hyphen for the dash"),
        pytest.param(NOTE.replace("\n", "\r\n"), id="carriage returns"),
        pytest.param(NOTE + "\N{EM DASH} name\n", id="name without a signature"),
        pytest.param(NOTE + "\N{EM DASH}  AAAAAAA=\n", id="signature without a name"),
        pytest.param(NOTE + "\N{EM DASH} a+b AAAAAAA=\n", id="plus in the name"),
        pytest.param(NOTE + "\N{EM DASH} name AAAAAA==\n", id="key ID without a signature"),
        pytest.param(NOTE + "\N{EM DASH} name ****\n", id="not base64"),
        pytest.param(NOTE + "\N{EM DASH} name AAA AAAA=\n", id="space in the base64"),
        pytest.param("\ud800\n" + NOTE, id="half a character"),
        pytest.param(b"\xff" + NOTE.encode(), id="not UTF-8"),
        pytest.param("x" * 1_000_000 + NOTE, id="too long"),
    ],
)
def test_what_is_no_note_is_told_from_a_forged_one(note: bytes | str) -> None:
    """Malformed input is the reader's mistake, not evidence against the log."""
    with pytest.raises(InvalidInputError):
        open_note(note, [SIGNER.verifier])


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\u2003b", "a\nb", "a\0b"])
def test_a_key_needs_a_name_that_notes_can_carry(name: str) -> None:
    """Names with a space, a plus or a control character are refused before anything is signed."""
    with pytest.raises(InvalidInputError, match="can't name a note key"):
        NoteSigner(name, Ed25519PrivateKey.from_private_bytes(b"a" * 32))


@pytest.mark.parametrize(
    "vkey",
    [
        pytest.param("", id="empty"),
        pytest.param("example.com/foo", id="name alone"),
        pytest.param(VECTOR_KEY.replace("foo", "bar"), id="another name"),
        pytest.param(VECTOR_KEY.replace("530d903a", "530d903b"), id="another key ID"),
        pytest.param(VECTOR_KEY.replace("530d903a", "530D903A"), id="key ID in capitals"),
        pytest.param(VECTOR_KEY.replace("Aeky", "Aekz"), id="another key"),
        pytest.param(VECTOR_KEY[:-4], id="cut"),
        pytest.param(VECTOR_KEY + "\n", id="newline"),
        pytest.param(VECTOR_KEY.replace("+Aeky", "+Beky"), id="another key type"),
        pytest.param("+530d903a+" + VECTOR_KEY.split("+", 2)[2], id="no name"),
    ],
)
def test_parse_refuses_a_damaged_key(vkey: str) -> None:
    """A key that was mistyped is noticed before it refuses good notes."""
    with pytest.raises(InvalidInputError):
        NoteVerifier.parse(vkey)


def test_a_key_whose_base64_holds_a_plus_round_trips() -> None:
    """The key's parts are told apart by the first two pluses alone."""
    seeds = (bytes([seed]) * 32 for seed in range(256))
    vkeys = (NoteSigner("a", Ed25519PrivateKey.from_private_bytes(seed)).vkey for seed in seeds)
    vkey = next(vkey for vkey in vkeys if vkey.count("+") > 2)

    assert vkey == NoteVerifier.parse(vkey).vkey


@given(st.binary(max_size=20))
def test_base64_has_one_spelling(raw: bytes) -> None:
    """The standard spelling is read."""
    assert raw == decode_base64(b64encode(raw).decode())


@pytest.mark.parametrize("text", ["QQ", "QR==", "QQ=", "QQ==\n", "Q Q==", "_w==", "QQ==QQ==", "é"])
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    """Padding, unused bits, alphabet and whitespace are all fixed."""
    with pytest.raises(InvalidInputError, match="base64"):
        decode_base64(text)


def test_a_signer_never_shows_its_key() -> None:
    """Its representation, which ends up in tracebacks, holds no private key."""
    assert "private" not in repr(SIGNER).lower()
