"""What signs: a private key in this process, or anything else that holds one."""

from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proxy.tlog.ed25519 import signer

SIGNATURE_BYTES: Final = 64


class Signer(Protocol):
    """Signs with one Ed25519 key (RFC 8032), wherever its private half is kept.

    The writer's thread calls it inside a transaction, one call at a time. It may be slow, and then
    every request waits; it returns or raises in bounded time.
    """

    @property
    def public_key(self) -> bytes:
        """The public half, 32 raw bytes; known without asking whoever signs."""
        ...

    @property
    def place(self) -> str:
        """Where the private half is kept, for people."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes: that of ``public_key``, and no other.

        Raises:
            UnavailableError: there is none; whoever called does nothing then.
        """
        ...

    def close(self) -> None:
        """Let go of what signing takes; safe to call twice."""
        ...


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
