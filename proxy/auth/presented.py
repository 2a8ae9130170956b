"""What a request presents to prove who is asking, and how that fails."""

import binascii
import re
from typing import Final, NamedTuple

from proxy import tokens
from proxy.access import Principal
from proxy.errors import UnauthenticatedError

_MAX_HEADER: Final = 16_384
"""An identity token has up to 4 KB, once more in base64 a third more; the server's own limit of a
header is below this."""
# One credential and nothing after it: "Basic x, Bearer y" is one header to some, two to others.
_HEADER: Final = re.compile(r"([A-Za-z]+) +([A-Za-z0-9._~+/-]+=*) *", re.ASCII)

HOW: Final = (
    'send a token as the password of Basic authentication (username = any, password = "tfa_…"), '
    "or as a Bearer token"
)


class Presented(NamedTuple):
    """What one request presents; what it has of the first is looked at alone.

    Attributes:
        authorization: the header; None when there is none.
        session: the session cookie.
        csrf: the header that a page of ours sends beside the cookie, and another's can't.
        is_change: whether the request's method may change something.
        is_foreign: whether the browser says that a page of another site made the request.
        certificate: subject and alternative names of the client's certificate, which was verified.
        certificate_sha256: of that certificate, hex; empty when only its subject is known.
    """

    authorization: str | None = None
    session: str | None = None
    csrf: str | None = None
    is_change: bool = False
    is_foreign: bool = False
    certificate: tuple[str, ...] = ()
    certificate_sha256: str = ""


class KnownButRefusedError(UnauthenticatedError):
    """The credentials were somebody's, but are not good any more.

    Attributes:
        principal: whose they are, for the record.
        event: what it is on record as.
    """

    event = "auth.failed"

    def __init__(self, message: str, principal: Principal) -> None:
        super().__init__(message)
        self.principal = principal


class TokenExpiredError(KnownButRefusedError):
    """The token is right but its time is over."""

    event = "token.expired"


class RevokedTokenError(KnownButRefusedError):
    """The token was taken out of force; the client is told no more than of an unknown one."""


def secret_of(authorization: str) -> str:
    """Return what an Authorization header holds as a token or a password.

    Args:
        authorization: the header's value (RFC 9110 section 11, RFC 7617, RFC 6750).

    Raises:
        UnauthenticatedError: it can't be read, and how to send one.
    """
    found = _HEADER.fullmatch(authorization) if len(authorization) <= _MAX_HEADER else None
    if found is None:
        raise UnauthenticatedError(f"the Authorization header can't be read: {HOW}")
    scheme, credentials = found[1].lower(), found[2]
    if scheme == "bearer":
        return credentials
    if scheme != "basic":
        # The scheme is not repeated: someone may have put the token in its place.
        raise UnauthenticatedError(f"this way of authentication is not known here: {HOW}")
    try:
        pair = binascii.a2b_base64(credentials, strict_mode=True)
    except (binascii.Error, ValueError):
        raise UnauthenticatedError(f"the Basic credentials are not base64: {HOW}") from None
    user, colon, password = pair.partition(b":")
    if not colon:
        raise UnauthenticatedError(f"the Basic credentials have no colon: {HOW}")
    if not password:
        hint = "the password is empty"
        if user.startswith(tokens.PREFIX.encode()):
            hint = "the token stands in the place of the user name and the password is empty"
        raise UnauthenticatedError(f"{hint}: {HOW}")
    # Latin-1 takes any byte; a password that is not ASCII is no token and is refused as such.
    return password.decode("latin-1")
