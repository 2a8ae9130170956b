"""Signing with Ed25519 (RFC 8032) by libsodium, which takes two thirds of OpenSSL's time for it.

It also lets other threads run meanwhile, and a log signs for every request. The signatures are the
same: Ed25519 has only one for a key and a message.
"""

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

_SIGNATURE: Final = 64


def signer(private_key: Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    """Return what gives the key's signature, 64 bytes, of a message."""
    _, secret = crypto_sign_seed_keypair(private_key.private_bytes_raw())

    def sign(message: bytes) -> bytes:
        return crypto_sign(message, secret)[:_SIGNATURE]  # the message follows

    return sign
