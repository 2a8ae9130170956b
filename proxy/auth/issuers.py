"""Whom issuers vouch for: identity tokens of CI systems, by OpenID Connect."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

from proxy.access import Principal
from proxy.auth.identities import identity_of
from proxy.auth.identity_tokens import (
    Claimed,
    UntimelyTokenError,
    read,
    require_signed,
    require_subject,
    require_timely,
)
from proxy.auth.issuer_keys import IssuerKeys
from proxy.auth.key_sets import KeySet
from proxy.auth.presented import KnownButRefusedError
from proxy.client_text import client_text
from proxy.contracts import Store
from proxy.directory import Directory, IssuerRecord
from proxy.errors import UnauthenticatedError
from proxy.timestamps import rfc3339

_REMEMBERED: Final = 1024
"""Identity tokens that need not be verified again; of each only the digest is kept."""


class _Verified(NamedTuple):
    """An identity token that was verified.

    Attributes:
        principal: whose it is, by the directory of its generation.
        url: of the issuer.
        keys: with which it was verified.
        expires: seconds since 1970.
    """

    principal: Principal
    url: str
    keys: KeySet
    expires: int


class Issuers:
    """Knows a principal by an identity token.

    Whom to ask for the keys is read from the token itself, and nothing else is before its
    signature is good: only an issuer that an administrator named is ever asked.

    Args:
        store: keeps the directory.
        keys: of the issuers.
        now: the present, with a time zone.
    """

    def __init__(self, store: Store, keys: IssuerKeys, now: Callable[[], datetime]) -> None:
        self._store = store
        self._keys = keys
        self._now = now
        self._verified: dict[bytes, _Verified] = {}

    async def identify(self, token: str) -> Principal:
        """Return whose identity token this is.

        Raises:
            UnauthenticatedError: it is nobody's.
            KnownButRefusedError: the issuer said it, but it does not hold now or here.
            UnavailableError: the issuer's keys could not be asked for.
        """
        digest = sha256(token.encode("latin-1", "replace")).digest()
        known = self._verified.get(digest)
        if known is not None and self._holds(known):
            return known.principal
        claimed = read(token)
        url = self._issuer(claimed).url
        keys = await self._keys.get(url)
        verified = self._verify(token, claimed, keys)
        if verified is None:
            newer = await self._keys.newer(url, than=keys)
            if newer is not keys:
                verified = self._verify(token, claimed, newer)
        if verified is None:
            raise self._unknown_key(claimed)
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[digest] = verified
        return verified.principal

    def _holds(self, known: _Verified) -> bool:
        return (
            known.principal.generation == self._store.directory().generation
            and known.keys is self._keys.fresh(known.url)
            and self._now().timestamp() < known.expires
        )

    def _issuer(self, claimed: Claimed) -> IssuerRecord:
        """Return the record of the issuer that a token names."""
        directory = self._store.directory()
        found = directory.issuer_by_url(claimed.issuer)
        if found is None:
            raise UnauthenticatedError(
                f"the issuer {claimed.shown_issuer} of the identity token is not known here"
                + _near(directory, claimed.issuer)
            )
        record = Directory.issuer_record(found)
        if claimed.algorithm not in record.algorithms:
            raise UnauthenticatedError(
                f"the identity token is signed by {claimed.shown_algorithm}; of the issuer "
                f"{record.name} accepted are {', '.join(record.algorithms)}"
            )
        return record

    def _verify(self, token: str, claimed: Claimed, keys: KeySet) -> _Verified | None:
        """Return the token as verified by the present directory; None when no key is the one.

        Nothing is waited for here: what is checked is all of one moment.
        """
        record = self._issuer(claimed)
        key = keys.find(claimed.algorithm, claimed.key_id)
        if key is None:
            return None
        try:
            claims = require_signed(token, claimed.algorithm, key)
        except UnauthenticatedError:
            if claimed.key_id is None:
                return None  # it may be the key that follows the one at hand
            raise
        require_subject(record, claims)
        directory = self._store.directory()
        try:
            expires = require_timely(record, claims, self._now().timestamp())
        except UntimelyTokenError as error:
            raise KnownButRefusedError(
                str(error), identity_of(record.name, claims, record.claims)
            ) from error
        principal = identity_of(
            record.name,
            claims,
            record.claims,
            directory,
            expires=rfc3339(expires * 1_000_000),
        )
        return _Verified(principal, record.url, keys, expires)

    def _unknown_key(self, claimed: Claimed) -> UnauthenticatedError:
        record = self._issuer(claimed)
        which = "the key" if claimed.key_id is not None else "no key that is named, but one"
        failure = self._keys.failure(record.url)
        return UnauthenticatedError(
            f"the identity token is signed with {which} that the issuer {record.name} does not "
            "publish, or not yet"
            + (f", and it can't be asked for newer ones: {failure}" if failure else "")
        )


def _near(directory: Directory, url: str) -> str:
    """Return a hint when an issuer is known whose address differs by a slash alone."""
    other = url[:-1] if url.endswith("/") else f"{url}/"
    found = directory.issuer_by_url(other)
    if found is None:
        return ": an administrator can name it with `tfaudit issuer create`"
    return f": the issuer {found.name} has the url {client_text(other)}, which differs by a slash"
