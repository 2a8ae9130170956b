"""The text of a token: how it is made, told from a typing error, and kept only as a digest.

A token is ``tfa_``, 37 characters of base 62 that hold 220 random bits, and 6 characters that
hold the CRC-32 of all before them. The checksum lets a scanner for leaked secrets, and us, tell a
token from a text that looks like one. With 220 random bits a plain SHA-256 is as good as a slow
password hash: there is nothing to guess.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from zlib import crc32

PREFIX: Final = "tfa_"
HINT: Final = 6
"""Characters at the end that people may see; they are the checksum and tell nothing secret."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE: Final = re.compile(r"tfa_[0-9A-Za-z]{43}", re.ASCII)
_RANDOM: Final = 37
_CHECKSUM: Final = 6


def mint(random: Callable[[int], bytes]) -> str:
    """Return a new token.

    Args:
        random: gives so many random bytes; 32 are asked for.
    """
    # 62**37 is near 2**220: taking 256 bits modulo it favours no value by more than 2**-35.
    number = int.from_bytes(random(32), "big") % 62**_RANDOM
    body = PREFIX + _base62(number, _RANDOM)
    return body + _checksum(body)


def digest(token: str) -> bytes:
    """Return what is stored instead of the token: the SHA-256 of its text, 32 bytes."""
    return sha256(token.encode()).digest()


def is_well_formed(token: str) -> bool:
    """Tell whether the text has a token's shape and checksum; not whether there is such a token."""
    if not _SHAPE.fullmatch(token):
        return False
    # No secret is compared here: the checksum is worked out from what the client sent.
    return _checksum(token[:-_CHECKSUM]) == token[-_CHECKSUM:]


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
