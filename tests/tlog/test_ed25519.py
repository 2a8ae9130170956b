"""Tests of proxy.tlog.ed25519."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proxy.tlog.ed25519 import signer, verifier


def test_a_published_vector_is_met() -> None:
    """RFC 8032 section 7.1, test 3."""
    seed = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
    signature = (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    sign = signer(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)))
    assert signature == sign(bytes.fromhex("af82")).hex()


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=2048))
def test_the_signature_is_the_one_that_openssl_gives(seed: bytes, message: bytes) -> None:
    """A log goes on where it stopped, whichever library signed until then."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert key.sign(message) == signer(key)(message)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.integers(0), st.booleans())
def test_a_signature_is_taken_when_openssl_takes_it(
    seed: bytes, message: bytes, at: int, in_signature: bool
) -> None:
    """The true one, and none with a bit of it, or of the message, flipped; nor one cut."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    is_signed = verifier(key.public_key())
    signature = key.sign(message)
    assert is_signed(signature, message)
    flipped = bytearray(signature if in_signature or not message else message)
    flipped[at // 8 % len(flipped)] ^= 1 << at % 8
    wrong = bytes(flipped)
    is_other = in_signature or not message
    assert not is_signed(wrong if is_other else signature, message if is_other else wrong)
    for cut in (signature[:-1], signature + b"\x00", b""):
        assert not is_signed(cut, message)
