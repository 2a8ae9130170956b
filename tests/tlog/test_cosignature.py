"""Tests of cosignatures: the specification's example, and who counts as a witness."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, sign, verify_checkpoint
from proxy.tlog.cosignature import (
    CosignatureVerifier,
    Cosigner,
    add_cosignatures,
    cosignatures,
    require_quorum,
    time_of,
)
from proxy.tlog.note import NoteSigner, NoteVerifier, split_note

# The example of c2sp.org/tlog-cosignature, whose public keys it does not tell.
EXAMPLE_TEXT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
)
EXAMPLE = (
    EXAMPLE_TEXT
    + "\n\N{EM DASH} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4"
    "URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\N{EM DASH} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9d"
    "lrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
EXAMPLE_SECONDS = 1679315147


def key(letter: bytes) -> Ed25519PrivateKey:
    """Return a key that every run has."""
    return Ed25519PrivateKey.from_private_bytes(letter * 32)


LOG = NoteSigner("log.example", key(b"l"))
ONE, TWO = Cosigner("witness.example/1", key(b"1")), Cosigner("witness.example/2", key(b"2"))
BOTH = (ONE.verifier, TWO.verifier)
CHECKPOINT = Checkpoint("log.example", 7, bytes(32))
NOTE = sign(CHECKPOINT, LOG)


def test_the_specifications_example_is_read() -> None:
    """Its cosignature has the time that the document says, and a signature of 64 bytes."""
    _, (_, line) = split_note(EXAMPLE)

    assert ("witness.example.com/w1", EXAMPLE_SECONDS) == (line.name, time_of(line.signature))
    assert 8 + 64 == len(line.signature)
    assert EXAMPLE.endswith(line.text())


def test_the_message_is_that_of_the_specification() -> None:
    """What is signed is the document's five lines, by plain Ed25519."""
    line = ONE.cosign(EXAMPLE_TEXT, EXAMPLE_SECONDS)
    _, (parsed,) = split_note(f"{EXAMPLE_TEXT}\n{line}")
    message = f"cosignature/v1\ntime 1679315147\n{EXAMPLE_TEXT}".encode()

    ONE.verifier.public_key.verify(parsed.signature[8:], message)
    assert (1679315147).to_bytes(8, "big") == parsed.signature[:8]


def test_a_witnesss_key_is_of_its_own_type() -> None:
    """Key ID and text hold the type 0x04, and no other type is taken for it."""
    raw = b"\x04" + key(b"1").public_key().public_bytes_raw()
    vkey = ONE.verifier.vkey

    assert sha256(b"witness.example/1\n" + raw).digest()[:4] == ONE.verifier.key_id
    assert ONE.verifier == CosignatureVerifier.parse(vkey)
    with pytest.raises(InvalidInputError, match="not an Ed25519 key"):
        NoteVerifier.parse(vkey)
    with pytest.raises(InvalidInputError, match="not that of a witness"):
        CosignatureVerifier.parse(LOG.vkey)


def test_a_cosigned_checkpoint_is_still_the_logs() -> None:
    """Who knows the log's key alone reads it as before."""
    cosigned = add_cosignatures(NOTE, [ONE.cosign(CHECKPOINT.text(), 5)])

    assert CHECKPOINT == verify_checkpoint(cosigned, LOG.verifier)


def test_each_witness_counts_once_with_its_newest() -> None:
    """Of many lines of one witness the newest is taken; strangers' are passed over."""
    stranger = Cosigner("witness.example/3", key(b"3"))
    lines = [w.cosign(CHECKPOINT.text(), t) for w, t in ((ONE, 5), (ONE, 9), (stranger, 7))]
    cosigned = add_cosignatures(NOTE, [*lines, lines[0]])

    found = cosignatures(cosigned, BOTH)

    assert [(ONE.verifier, 9, lines[1])] == [(c.witness, c.seconds, c.line) for c in found]
    assert 4 == len(split_note(cosigned)[1])
    with pytest.raises(VerificationError, match=r"cosigned by 1 of 2 witnesses; 2 are"):
        require_quorum(cosigned, BOTH, 2)


def test_one_key_under_two_names_counts_once() -> None:
    """The message does not hold the witness's name, so one key is one witness."""
    again = Cosigner("witness.example/again", key(b"1"))
    lines = [each.cosign(CHECKPOINT.text(), 5) for each in (ONE, again)]

    with pytest.raises(VerificationError, match="cosigned by 1 of 2"):
        require_quorum(add_cosignatures(NOTE, lines), [ONE.verifier, again.verifier], 2)


def test_enough_witnesses_pass() -> None:
    """Two of two."""
    cosigned = add_cosignatures(NOTE, [w.cosign(CHECKPOINT.text(), 5) for w in (ONE, TWO)])

    assert 2 == len(require_quorum(cosigned, BOTH, 2))


@pytest.mark.parametrize("place", range(72))
def test_every_byte_of_a_cosignature_counts(place: int) -> None:
    """The time is signed as well as the rest."""
    line = ONE.cosign(CHECKPOINT.text(), EXAMPLE_SECONDS)
    _, (parsed,) = split_note(f"{CHECKPOINT.text()}\n{line}")
    wrong = bytearray(parsed.signature)
    wrong[place] ^= 1
    forged = add_cosignatures(NOTE, [parsed._replace(signature=bytes(wrong)).text()])

    with pytest.raises(VerificationError, match=r"'witness\.example/1' is wrong"):
        cosignatures(forged, BOTH)


def test_a_cosignature_of_another_checkpoint_does_not_hold() -> None:
    """Nor does one that is too short or too long to be one."""
    other = ONE.cosign(Checkpoint("log.example", 8, bytes(32)).text(), 5)
    _, (parsed,) = split_note(f"{CHECKPOINT.text()}\n{ONE.cosign(CHECKPOINT.text(), 5)}")
    short = parsed._replace(signature=parsed.signature[:-1]).text()
    long = parsed._replace(signature=parsed.signature + b"\0").text()

    for line in (other, short, long):
        with pytest.raises(VerificationError):
            cosignatures(add_cosignatures(NOTE, [line]), BOTH)


@pytest.mark.parametrize("seconds", [-1, 2**63])
def test_a_time_beyond_the_format_is_refused(seconds: int) -> None:
    """The specification allows 0 to 2**63 - 1."""
    with pytest.raises(InvalidInputError):
        ONE.cosign(CHECKPOINT.text(), seconds)


def test_what_is_no_signature_line_is_not_added() -> None:
    """A witness's answer could hold anything."""
    with pytest.raises(InvalidInputError):
        add_cosignatures(NOTE, ["log.example\n9\n"])
