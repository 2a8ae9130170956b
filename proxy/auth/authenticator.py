"""From the Authorization header to a Principal (RFC 9110 section 11, RFC 7617, RFC 6750)."""

import binascii
import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from proxy import tokens
from proxy.access import Principal, Role
from proxy.contracts import Store, StoredToken
from proxy.errors import UnauthenticatedError

_MAX_HEADER: Final = 4096
# One credential and nothing after it: "Basic x, Bearer y" is one header to some, two to others.
_HEADER: Final = re.compile(r"([A-Za-z]+) +([A-Za-z0-9._~+/-]+=*) *", re.ASCII)

_HOW: Final = (
    'send a token as the password of Basic authentication (username = any, password = "tfa_…"), '
    "or as a Bearer token"
)
_NOT_IN_FORCE: Final = "the token is unknown or revoked: ask an administrator for a new one"
_REMEMBERED: Final = 1024
"""Headers whose token is remembered; of each only the digest is kept."""


class TokenExpiredError(UnauthenticatedError):
    """The token is right but its time is over.

    Attributes:
        principal: whose token it is, for the record.
    """

    def __init__(self, message: str, principal: Principal) -> None:
        super().__init__(message)
        self.principal = principal


class RevokedTokenError(UnauthenticatedError):
    """The token was taken out of force; the client is told no more than of an unknown one.

    Attributes:
        principal: whose token it was, for the record.
    """

    def __init__(self, message: str, principal: Principal) -> None:
        super().__init__(message)
        self.principal = principal


class _Read(NamedTuple):
    """What a header was read as: facts of its text, and the principal of a token as stored."""

    digest: bytes
    stored: StoredToken
    principal: Principal


class Authenticator:
    """Knows a principal by its token.

    A token is looked up by its SHA-256 digest. Nothing secret is compared character by
    character: the time of a look-up tells at most something of the digest of what the client
    itself sent, from which no token can be found.

    A header that held a token before is not taken apart again, but whether the token is in force
    is asked of the store for each request.

    Args:
        store: keeps the tokens.
        now: the present, with a time zone.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._read: dict[bytes, _Read] = {}

    def identify(self, authorization: str | None) -> Principal:
        """Return whose credentials these are.

        Args:
            authorization: the header's value; None when there is none.

        Raises:
            UnauthenticatedError: no credentials, malformed ones, or an unknown token.
            RevokedTokenError: the token was revoked; its text is that of an unknown one.
            TokenExpiredError: the token's time is over.
            UnavailableError: the store could not tell.
        """
        if authorization is None:
            raise UnauthenticatedError(f"there are no credentials: {_HOW}")
        stored, principal = self._look_up(authorization)
        if stored.revoked is not None:
            raise RevokedTokenError(_NOT_IN_FORCE, principal)
        if stored.expires is not None and _moment(stored.expires) <= self._now():
            raise TokenExpiredError(
                f"the token {stored.name} expired at {stored.expires}: "
                "ask an administrator for a new one",
                principal,
            )
        return principal

    def _look_up(self, authorization: str) -> tuple[StoredToken, Principal]:
        """Return the token that the header holds, as it is stored now."""
        key = sha256(authorization.encode("utf-8", "surrogatepass")).digest()
        read = self._read.get(key)
        digest = _digest_of(authorization) if read is None else read.digest
        stored = self._store.token_by_digest(digest)
        if stored is None:
            raise UnauthenticatedError(_NOT_IN_FORCE)
        if read is not None and read.stored is stored:
            return stored, read.principal
        if len(self._read) >= _REMEMBERED:
            self._read.clear()
        principal = _principal(stored)
        self._read[key] = _Read(digest, stored, principal)
        return stored, principal


def _digest_of(authorization: str) -> bytes:
    """Return the digest of the token in the header; whether there is such a one is not asked."""
    token = _token_of(authorization)
    if not tokens.is_well_formed(token):
        raise UnauthenticatedError(f"the credentials hold no valid token: {_HOW}")
    return tokens.digest(token)


def _token_of(authorization: str) -> str:
    """Return what stands in the place of the token; whether it is one is not looked at."""
    found = _HEADER.fullmatch(authorization) if len(authorization) <= _MAX_HEADER else None
    if found is None:
        raise UnauthenticatedError(f"the Authorization header can't be read: {_HOW}")
    scheme, credentials = found[1].lower(), found[2]
    if scheme == "bearer":
        return credentials
    if scheme != "basic":
        # The scheme is not repeated: someone may have put the token in its place.
        raise UnauthenticatedError(f"this way of authentication is not known here: {_HOW}")
    try:
        pair = binascii.a2b_base64(credentials, strict_mode=True)
    except (binascii.Error, ValueError):
        raise UnauthenticatedError(f"the Basic credentials are not base64: {_HOW}") from None
    user, colon, password = pair.partition(b":")
    if not colon:
        raise UnauthenticatedError(f"the Basic credentials have no colon: {_HOW}")
    if not password:
        hint = "the password is empty"
        if user.startswith(tokens.PREFIX.encode()):
            hint = "the token stands in the place of the user name and the password is empty"
        raise UnauthenticatedError(f"{hint}: {_HOW}")
    # Latin-1 takes any byte; a password that is not ASCII is no token and is refused as such.
    return password.decode("latin-1")


def _principal(stored: StoredToken) -> Principal:
    # A role that a later release gave is not ours to interpret: it allows nothing.
    role = Role(stored.role) if stored.role in set(Role) else None
    return Principal("token", stored.id, stored.name, role, stored.workspaces, stored.hint)


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
