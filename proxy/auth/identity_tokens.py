"""What an identity token says, and whether its issuer said it now and to us.

A JSON Web Token (RFC 7519) as a CI system gives it to a run; RFC 8725 says what goes wrong with
them. PyJWT checks signatures; the clock and the issuer's keys arrive as arguments. It does not take
a token apart here: it looks at each character in Python, which for a long one takes milliseconds
that anybody could make the server spend.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from proxy.auth.key_sets import IssuerKey
from proxy.client_text import client_text
from proxy.directory import IssuerRecord
from proxy.errors import UnauthenticatedError
from proxy.timestamps import rfc3339

if TYPE_CHECKING:
    from jwt.algorithms import Algorithm

MAX_TOKEN: Final = 12_000
"""Characters; those of GitHub have some 1,500, those of GitLab up to 4,000."""
MAX_LIFETIME: Final = 24 * 3600
"""Seconds from a token's issue to its end."""
LEEWAY: Final = 60
"""Seconds by which an issuer's clock may be ahead of ours. None is given at the end."""
MAX_SUBJECT: Final = 1024
"""Characters. OpenID Connect says 255, but a subject that is made of a branch's name has more."""

_LATEST: Final = 253_402_300_799
"""The end of the year 9999, seconds since 1970."""
_ADDRESS: Final = re.compile(r"https?://[!-~]{1,300}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9-]{1,20}", re.ASCII)
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)", re.ASCII)
"""The compact serialization of RFC 7515 section 7.1."""


class Claimed(NamedTuple):
    """What a token says of itself, before anything of it is proved.

    Attributes:
        issuer: its ``iss``: whom to ask.
        algorithm: its header's ``alg``.
        key_id: its header's ``kid``.
    """

    issuer: str
    algorithm: str
    key_id: str | None

    @property
    def shown_issuer(self) -> str:
        """The issuer, fit for a message."""
        return client_text(self.issuer) if _ADDRESS.fullmatch(self.issuer) else "(no address)"

    @property
    def shown_algorithm(self) -> str:
        """The algorithm, fit for a message."""
        return self.algorithm if _WORD.fullmatch(self.algorithm) else "something unknown"


class UntimelyTokenError(UnauthenticatedError):
    """The issuer said it, but not for this moment or not for this server."""


def read(token: str) -> Claimed:
    """Return what a token says of itself.

    Raises:
        UnauthenticatedError: it is no identity token.
    """
    if len(token) > MAX_TOKEN:
        raise UnauthenticatedError(
            f"the identity token has {len(token)} characters; at most {MAX_TOKEN} are read"
        )
    parts = _TOKEN.fullmatch(token)
    try:
        header, claims = (orjson.loads(_decoded(parts[n])) for n in (1, 2)) if parts else ({}, {})
    except ValueError:
        header = claims = None
    if parts is None or not isinstance(header, dict) or not isinstance(claims, dict):
        raise UnauthenticatedError("the identity token can't be read: is it cut off?")
    issuer = claims.get("iss")
    algorithm, key_id, kind = (header.get(name) for name in ("alg", "kid", "typ"))
    if not (
        isinstance(issuer, str)
        and isinstance(algorithm, str)
        and (key_id is None or isinstance(key_id, str))
    ):
        raise UnauthenticatedError("the identity token names no issuer, no algorithm or no key")
    # Nothing that a header may demand is understood here (RFC 7515 section 4.1.11), and an access
    # token of the same issuer is no identity token (RFC 8725 section 3.11).
    if "crit" in header or "b64" in header or str(kind or "JWT").upper() != "JWT":
        raise UnauthenticatedError("the token is not a plain JSON Web Token")
    return Claimed(issuer, algorithm, key_id)


@cache
def _algorithms() -> Mapping[str, "Algorithm"]:
    """PyJWT's, loaded for the first token: a server without an issuer starts quicker."""
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415

    return get_default_algorithms()


def require_signed(token: str, algorithm: str, key: IssuerKey) -> dict[str, Any]:
    """Return the claims when the key signed them.

    Raises:
        UnauthenticatedError: it did not.
    """
    signed, _, signature = token.rpartition(".")
    try:
        # The algorithm is one of the issuer's and the key fits it: there is no telling us another.
        is_good = key.fits(algorithm) and _algorithms()[algorithm].verify(
            signed.encode("ascii"), key.public, _decoded(signature)
        )
    except ValueError:  # it is no base64
        is_good = False
    if not is_good:
        raise UnauthenticatedError("the identity token's signature is not the issuer's")
    claims: dict[str, Any] = orjson.loads(_decoded(signed.partition(".")[2]))
    return claims


def _decoded(text: str) -> bytes:
    """Return what stands in base64url without padding (RFC 7515 section 2).

    Raises:
        ValueError: nothing does.
    """
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def require_subject(issuer: IssuerRecord, claims: Mapping[str, Any]) -> None:
    """Pass when the claims tell whose they are.

    Raises:
        UnauthenticatedError: they don't.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise UnauthenticatedError(
            f"the identity token of the issuer {issuer.name} names no subject, or one of more "
            f"than {MAX_SUBJECT} characters"
        )


def require_timely(issuer: IssuerRecord, claims: Mapping[str, Any], now: float) -> int:
    """Pass when the claims hold now, and for this server (RFC 7519 section 4.1).

    Args:
        issuer: who signed them.
        claims: what it signed.
        now: seconds since 1970.

    Returns:
        When they end, seconds since 1970.

    Raises:
        UntimelyTokenError: they don't hold, and why.
    """
    whose = f"the identity token of the issuer {issuer.name}"
    expires = _moment(claims, "exp")
    if expires is None:
        raise UntimelyTokenError(f"{whose} does not say when it expires")
    begins = [moment for name in ("nbf", "iat") if (moment := _moment(claims, name)) is not None]
    if any(name in claims and _moment(claims, name) is None for name in ("nbf", "iat")):
        raise UntimelyTokenError(f"{whose} does not say when it begins, but something else there")
    if expires <= now:
        raise UntimelyTokenError(
            f"{whose} expired at {_text(expires)}: get a new one for each run; for a run that "
            "takes longer, exchange it first at POST /api/v1/token"
        )
    if any(begin > now + LEEWAY for begin in begins):
        raise UntimelyTokenError(
            f"{whose} begins at {_text(max(begins))}, and here it is {_text(int(now))}: compare "
            "the clocks"
        )
    # Without a beginning, what is left of it must be short enough.
    if expires - min([*begins, now]) > MAX_LIFETIME:
        raise UntimelyTokenError(
            f"{whose} is good until {_text(expires)}, for more than {MAX_LIFETIME // 3600} hours "
            "in all: ask the issuer for one that lives shorter"
        )
    if not issuer.is_meant(claims):
        raise UntimelyTokenError(
            f"{whose} is for the audience {_audiences(claims)}; wanted is "
            f"{' or '.join(issuer.audience)}"
        )
    return expires


def _moment(claims: Mapping[str, Any], name: str) -> int | None:
    """Return a NumericDate (RFC 7519 section 2) in whole seconds; None when it is none."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        return None
    return int(value)


def _text(moment: int) -> str:
    return rfc3339(moment * 1_000_000)[:19] + "Z"


def _audiences(claims: Mapping[str, Any]) -> str:
    audience = claims.get("aud")
    found = audience if isinstance(audience, list) else [audience]
    texts = [client_text(each, 100) for each in found[:5] if isinstance(each, str)]
    return ", ".join(texts) or "(none)"
