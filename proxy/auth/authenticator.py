"""From what a request presents to a Principal: token, issuer, session or certificate."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from proxy import tokens
from proxy.access import EVERYWHERE, Grant, Principal, Rights, Role
from proxy.auth.exchanged import exchanged_identity
from proxy.auth.presented import (
    HOW,
    KnownButRefusedError,
    Presented,
    RevokedTokenError,
    TokenExpiredError,
    secret_of,
)
from proxy.client_text import client_text
from proxy.contracts import Store, StoredToken
from proxy.directory import Directory
from proxy.errors import UnauthenticatedError
from proxy.refusals import ForeignRequestError

_NOT_IN_FORCE: Final = "the token is unknown or revoked: ask an administrator for a new one"
_REMEMBERED: Final = 1024
"""Headers whose token is remembered; of each only the digest is kept."""
_MAX_NAMES_SHOWN: Final = 400
_JOSE: Final = "eyJ"
"""How every JSON Web Token begins: base64url of ``{"`` (RFC 7515 section 3.3)."""


class IdentityTokens(Protocol):
    """Knows whom an issuer vouches for."""

    async def identify(self, token: str) -> Principal:
        """Return whose identity token this is.

        Raises:
            UnauthenticatedError: it is not good.
            UnavailableError: the issuer's keys could not be asked for.
        """


class Sessions(Protocol):
    """Knows who logged in."""

    async def identify(self, presented: Presented) -> Principal:
        """Return whose session this is.

        Raises:
            UnauthenticatedError: there is no such session, or it is over.
        """


class _Read(NamedTuple):
    """What a header was read as: facts of its text, and the principal of a token as stored."""

    digest: bytes
    stored: StoredToken
    principal: Principal


class Authenticator:
    """Knows a principal by what it presents.

    A token is looked up by its SHA-256 digest. Nothing secret is compared character by
    character: the time of a look-up tells at most something of the digest of what the client
    itself sent, from which no token can be found.

    A header that held a token before is not taken apart again, but whether the token is in force
    is asked of the store for each request.

    Args:
        store: keeps tokens and directory.
        now: the present, with a time zone.
        issuers: for identity tokens; None knows none.
        sessions: for people who logged in; None knows none.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime],
        issuers: IdentityTokens | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self._store = store
        self._now = now
        self._issuers = issuers
        self._sessions = sessions
        self._read: dict[bytes, _Read] = {}

    async def identify(self, presented: Presented) -> Principal:
        """Return who is asking.

        Raises:
            UnauthenticatedError: no credentials, malformed ones, or unknown ones.
            KnownButRefusedError: they were somebody's; the text is that of unknown ones where
                more would help an attacker.
            ForeignRequestError: a browser made the request for a page of another site.
            UnavailableError: it could not be told.
        """
        if presented.is_foreign and presented.is_change:
            # A browser sends certificates and remembered passwords, too, with whatever page asks.
            raise ForeignRequestError(
                "the request was made by a page of another site, so nothing was done"
            )
        if presented.authorization is not None:
            return await self._by_header(presented.authorization)
        if presented.session is not None and self._sessions is not None:
            return await self._sessions.identify(presented)
        if presented.certificate:
            return self._by_certificate(presented.certificate, presented.certificate_sha256)
        raise UnauthenticatedError(f"there are no credentials: {HOW}")

    # ------------------------------------------------------------ tokens

    async def _by_header(self, authorization: str) -> Principal:
        key = sha256(authorization.encode("utf-8", "surrogatepass")).digest()
        read = self._read.get(key)
        if read is None:
            secret = secret_of(authorization)
            if secret.startswith(_JOSE) and self._issuers is not None:
                return await self._issuers.identify(secret)
            if not tokens.is_well_formed(secret):
                raise UnauthenticatedError(f"the credentials hold no valid token: {HOW}")
            digest = tokens.digest(secret)
        else:
            digest = read.digest
        stored = self._store.token_by_digest(digest)
        if stored is None:
            raise UnauthenticatedError(_NOT_IN_FORCE)
        if read is not None and read.stored is stored and self._is_current(read.principal):
            principal = read.principal
        else:
            principal = self._principal_of(stored)
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            self._read[key] = _Read(digest, stored, principal)
        if stored.revoked is not None:
            raise RevokedTokenError(_NOT_IN_FORCE, principal)
        expires = principal.expires or stored.expires
        if expires is not None and _moment(expires) <= self._now():
            raise TokenExpiredError(_expired(stored, expires), principal)
        if stored.principal is not None:
            _require_enabled(self._store.directory(), principal)
        return principal

    def _is_current(self, principal: Principal) -> bool:
        return (
            principal.generation is None
            or principal.generation == self._store.directory().generation
        )

    def _principal_of(self, stored: StoredToken) -> Principal:
        if stored.issuer is not None:
            return exchanged_identity(stored, self._store.directory())
        # A role that a later release gave is not ours to interpret: it allows nothing.
        role = Role(stored.role) if stored.role in set(Role) else None
        own = None if role is None else Grant(role, stored.workspaces)
        if stored.principal is None:
            rights = Rights([] if own is None else [own])
            return Principal("token", stored.id, stored.name, rights, stored.hint)
        if not stored.role:  # whatever the principal may, there
            own = None
            if stored.workspaces != (EVERYWHERE,):
                own = Grant(Role.ADMIN, stored.workspaces)
        directory = self._store.directory()
        rights = directory.rights_of(stored.principal, own)
        if role is None and stored.role:
            rights = Rights()
        return Principal(
            "token",
            stored.id,
            stored.name,
            rights,
            stored.hint,
            holder=stored.principal,
            holder_name=_name_of(directory, stored.principal),
            generation=directory.generation,
        )

    # ------------------------------------------------------------ certificates

    def _by_certificate(self, names: tuple[str, ...], sha256: str) -> Principal:
        directory = self._store.directory()
        found = {name: known for name in names if (known := directory.certified(name)) is not None}
        if len({known.id for known in found.values()}) != 1:
            shown = client_text(" or ".join(names), _MAX_NAMES_SHOWN)
            raise UnauthenticatedError(
                "the client's certificate is valid, but "
                + ("several principals are" if found else "no principal is")
                + f" known by its names ({shown}): an administrator can name it with "
                "`tfaudit principal update NAME --certificate …`"
            )
        name, known = next(iter(found.items()))
        claims = {"certificate": name} | ({"sha256": sha256} if sha256 else {})
        principal = Principal(
            "certificate",
            known.id,
            known.name,
            directory.rights_of(known.id),
            holder=known.id,
            holder_name=known.name,
            claims=claims,
            generation=directory.generation,
        )
        _require_enabled(directory, principal)
        return principal


def _require_enabled(directory: Directory, principal: Principal) -> None:
    if directory.enabled(principal.holder) is None:
        name = principal.holder_name or principal.name
        message = f"{name} is disabled or deleted: ask an administrator"
        raise KnownButRefusedError(message, principal)


def _expired(stored: StoredToken, expires: str) -> str:
    if stored.replaced is not None:
        return (
            f"this token was replaced by a newer one named {stored.name}, and worked beside it "
            f"until {expires}: use the newer one"
        )
    what_now = "ask an administrator for a new one"
    if stored.issuer is not None:
        what_now = "a run gets a new one for a new identity token"
    return f"the token {stored.name} expired at {expires}: {what_now}"


def _name_of(directory: Directory, principal_id: str) -> str:
    """Return the principal's name; of one that was deleted the ID, by which the log knows it."""
    found = directory.get("principal", principal_id)
    return principal_id if found is None else found.name


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
