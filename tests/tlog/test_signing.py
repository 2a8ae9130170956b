"""Tests of what signs in this process."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.tlog.signing import SIGNATURE_BYTES, PrivateKeySigner, public_key_of, signer_of

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def test_a_private_key_signs_as_itself() -> None:
    """The signature is the only one that Ed25519 has for a key and a message."""
    signer = PrivateKeySigner(KEY, "here")
    assert KEY.sign(b"message") == signer.sign(b"message")
    assert SIGNATURE_BYTES == len(signer.sign(b""))
    assert "here" == signer.place
    signer.close()


def test_the_public_half_is_known() -> None:
    """Raw, and as what checks signatures."""
    signer = signer_of(KEY)
    assert KEY.public_key().public_bytes_raw() == signer.public_key
    public_key_of(signer).verify(signer.sign(b"message"), b"message")


def test_what_signs_already_is_left_as_it_is() -> None:
    """Whoever takes a key takes a signer, too."""
    signer = PrivateKeySigner(KEY)
    assert signer is signer_of(signer)
