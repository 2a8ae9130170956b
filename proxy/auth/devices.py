"""Device cookies: that somebody logged in from a browser before, and may not be locked out there.

After OWASP, "Slow Down Online Guessing Attacks with Device Cookies". A device cookie proves nothing
but that, to one account, and opens nothing: it only keeps the failures of others apart from its
holder's.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LIFETIME: Final = timedelta(days=365)
_SHAPE: Final = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})", re.ASCII)


def device_key(master: bytes) -> bytes:
    """Return the key that signs device cookies: one for this purpose alone (RFC 5869)."""
    return HKDF(SHA256(), 32, salt=None, info=b"tfaudit-device-cookie-v1").derive(master)


class Devices:
    """Makes and knows device cookies.

    Args:
        key: 32 bytes that nobody else knows.
        now: the present, with a time zone.
        random: gives so many random bytes.
    """

    def __init__(
        self, key: bytes, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._key = key
        self._now = now
        self._random = random

    def issue(self, principal_id: str) -> str:
        """Return a new cookie for somebody who just logged in."""
        issued = str(int(self._now().timestamp()))
        nonce = _base64url(self._random(16))
        return f"{issued}.{nonce}.{self._mac(principal_id, issued, nonce)}"

    def known(self, cookie: str | None, principal_id: str) -> str | None:
        """Return what tells this device from others, or None when it is not known as theirs."""
        found = None if cookie is None else _SHAPE.fullmatch(cookie)
        if found is None:
            return None
        issued, nonce, mac = found.groups()
        if not hmac.compare_digest(self._mac(principal_id, issued, nonce), mac):
            return None
        age = self._now().timestamp() - int(issued)
        return nonce if age < LIFETIME.total_seconds() else None

    def _mac(self, principal_id: str, issued: str, nonce: str) -> str:
        message = f"{principal_id}.{issued}.{nonce}".encode()
        return _base64url(hmac.digest(self._key, message, sha256))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
