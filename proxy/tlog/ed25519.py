"""Signing and verifying with Ed25519 (RFC 8032) by libsodium, in two thirds of OpenSSL's time.

PyNaCl's own function lets go of the interpreter's lock for each signature, and the writer then
waits for a busy event loop to give it back: many times as long as the signature takes, for every
entry of a batch. So the function of its library is called with the lock held. The signatures are
the same: Ed25519 has only one for a key and a message.
"""

import ctypes
from collections.abc import Callable
from typing import Final

import nacl._sodium  # type: ignore[import-not-found]
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from nacl.bindings import crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

_SIGNATURE: Final = 64

_sign_detached: Final = ctypes.PyDLL(nacl._sodium.__file__).crypto_sign_detached  # noqa: SLF001 - PyNaCl's libsodium
_sign_detached.argtypes = (
    ctypes.c_char_p,  # the signature, written to
    ctypes.c_void_p,  # its length, of no interest
    ctypes.c_char_p,
    ctypes.c_ulonglong,
    ctypes.c_char_p,
)
_sign_detached.restype = ctypes.c_int


def signer(private_key: Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    """Return what gives the key's signature, 64 bytes, of a message."""
    _, secret = crypto_sign_seed_keypair(private_key.private_bytes_raw())

    def sign(message: bytes) -> bytes:
        signature = ctypes.create_string_buffer(_SIGNATURE)
        if _sign_detached(signature, None, message, len(message), secret) != 0:
            raise RuntimeError("libsodium could not sign")
        return signature.raw

    return sign


def verifier(public_key: Ed25519PublicKey) -> Callable[[bytes, bytes], bool]:
    """Return what tells whether the key signed: takes a signature, 64 bytes, and its message."""
    raw = public_key.public_bytes_raw()

    def is_signed(signature: bytes, message: bytes) -> bool:
        if len(signature) != _SIGNATURE:
            return False
        try:
            crypto_sign_open(signature + message, raw)
        except BadSignatureError:
            return False
        return True

    return is_signed
