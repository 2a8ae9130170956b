"""Tests of checkpoints: their text, and who may sign them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, parse, sign, verify_checkpoint
from proxy.tlog.merkle import EMPTY_ROOT
from proxy.tlog.note import NoteSigner

SIGNER = NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(b"a" * 32))
STRANGER = NoteSigner("other.example", Ed25519PrivateKey.from_private_bytes(b"b" * 32))
EMPTY = Checkpoint("log.example", 0, EMPTY_ROOT)
EMPTY_TEXT = "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"


def test_text_is_origin_size_and_root() -> None:
    """The three lines of C2SP tlog-checkpoint."""
    assert EMPTY_TEXT == EMPTY.text()


@given(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32))
def test_text_round_trips(size: int, root: bytes) -> None:
    """Every checkpoint reads back from its text."""
    checkpoint = Checkpoint("log.example/a b", size, root)

    assert checkpoint == parse(checkpoint.text())


@given(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32))
def test_a_signed_checkpoint_verifies(size: int, root: bytes) -> None:
    """What was signed comes back with the log's key."""
    checkpoint = Checkpoint("log.example", size, root)

    assert checkpoint == verify_checkpoint(sign(checkpoint, SIGNER), SIGNER.verifier)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(EMPTY_TEXT[:-1], id="no final newline"),
        pytest.param(EMPTY_TEXT + "extension\n", id="extension line"),
        pytest.param(EMPTY_TEXT.removeprefix("log.example"), id="no origin"),
        pytest.param(EMPTY_TEXT.replace("\n0\n", "\n00\n"), id="leading zero"),
        pytest.param(EMPTY_TEXT.replace("\n0\n", "\n-1\n"), id="minus"),
        pytest.param(EMPTY_TEXT.replace("\n0\n", "\n+1\n"), id="plus"),
        pytest.param(EMPTY_TEXT.replace("\n0\n", "\n\u0661\n"), id="other digits"),
        pytest.param(EMPTY_TEXT.replace("\n0\n", "\n" + "9" * 5000 + "\n"), id="endless size"),
        pytest.param("log.example\n0\nQUFB\n", id="short root"),
        pytest.param(EMPTY_TEXT.replace("47DE", "47D*"), id="not base64"),
        pytest.param(EMPTY_TEXT.replace("FU=", "FV="), id="unused bits"),
    ],
)
def test_parse_refuses_other_texts(text: str) -> None:
    """A checkpoint has one spelling."""
    with pytest.raises(InvalidInputError):
        parse(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [("", 0, EMPTY_ROOT), ("a\nb", 0, EMPTY_ROOT), ("a", -1, EMPTY_ROOT), ("a", 0, b"short")],
)
def test_a_checkpoint_can_not_say_nonsense(origin: str, size: int, root: bytes) -> None:
    """What would not read back can't be made."""
    with pytest.raises(InvalidInputError, match="A checkpoint needs"):
        Checkpoint(origin, size, root)


def test_sign_refuses_another_logs_key() -> None:
    """The key's name is the origin, else no verifier would find it."""
    with pytest.raises(InvalidInputError, match="belongs to this log"):
        sign(EMPTY, STRANGER)


def test_another_key_is_not_believed() -> None:
    """A checkpoint signed by another key of the same name is refused."""
    forger = NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(b"f" * 32))

    with pytest.raises(VerificationError, match="no key that is trusted"):
        verify_checkpoint(sign(EMPTY, forger), SIGNER.verifier)


def test_another_logs_checkpoint_is_not_believed() -> None:
    """A known key that signs for a foreign origin is refused."""
    with pytest.raises(VerificationError, match=r"another log, 'other\.example'"):
        verify_checkpoint(
            SIGNER.sign(EMPTY_TEXT.replace("log.", "other.")),
            SIGNER.verifier,
        )


def test_a_former_key_is_believed_when_it_is_given() -> None:
    """After a rotation both keys verify."""
    former = NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(b"f" * 32))

    assert EMPTY == verify_checkpoint(sign(EMPTY, former), SIGNER.verifier, former.verifier)


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    """The log's key never lends weight to another text."""
    with pytest.raises(InvalidInputError, match="Not a checkpoint"):
        verify_checkpoint(SIGNER.sign("hello\n"), SIGNER.verifier)
