"""What signs: a private key in this process, or anything else that holds one."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proxy.tlog.ed25519 import signer
from proxy.tlog.signer import Signer

SIGNATURE_BYTES: Final = 64


class PrivateKeySigner:
    """A private key in this process.

    Args:
        private_key: signs.
        place: where it came from.
    """

    def __init__(self, private_key: Ed25519PrivateKey, place: str = "memory") -> None:
        # The library's own function, without a call of ours around it: an entry costs little else.
        self.sign = signer(private_key)
        self.public_key = private_key.public_key().public_bytes_raw()
        self.place = place

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


def signer_of(key: Ed25519PrivateKey | Signer) -> Signer:
    """Return what signs with a key, be it a private key or a signer already."""
    return PrivateKeySigner(key) if isinstance(key, Ed25519PrivateKey) else key


def public_key_of(key: Signer) -> Ed25519PublicKey:
    """Return the public half of a signer's key."""
    return Ed25519PublicKey.from_public_bytes(key.public_key)
