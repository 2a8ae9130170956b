"""Sessions of people who logged in: from the cookie to the principal, and when that ends.

The cookie holds 256 random bits, and their SHA-256 digest is what is kept. A session ends when
nobody used it for some time, at a fixed time after the login however much it is used, at the
logout, and with the password or the principal. When it was used is known to the second here and
kept to the minute, with entries that are written anyway: after a restart a session may so end up
to as much earlier as it was used without leaving an entry, and never later.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from proxy.access import Principal
from proxy.auth.presented import KnownButRefusedError, Presented
from proxy.contracts import Store, StoredSession
from proxy.directory import Directory, Object, PrincipalRecord
from proxy.errors import UnauthenticatedError, UnavailableError
from proxy.refusals import ForeignRequestError

LONGEST_HEADER: Final = 128
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_OVER: Final = "there is no such session, or it is over: log in again"
_MANY: Final = 1024
"""Sessions in memory before those that are over are looked for."""


def new_cookie(random: Callable[[int], bytes]) -> str:
    """Return the text of a new session's cookie: 256 random bits."""
    return urlsafe_b64encode(random(32)).rstrip(b"=").decode()


def digest_of(cookie: str) -> bytes:
    """Return what is kept in place of the cookie, 32 bytes."""
    return sha256(cookie.encode()).digest()


def csrf_token(cookie: str) -> str:
    """Return what a page of ours sends beside the cookie.

    It follows from the cookie, which no script can read, so that nothing has to be kept; the
    cookie does not follow from it.
    """
    mac = hmac.digest(cookie.encode(), b"tfaudit-csrf-token-v1", sha256)
    return urlsafe_b64encode(mac).rstrip(b"=").decode()


def person(directory: Directory, principal_id: str) -> Object | None:
    """Return the principal of this ID when it is a person who is not disabled."""
    found = directory.enabled(principal_id)
    if found is None or not isinstance(record := found.record, PrincipalRecord):
        return None
    return found if record.kind == "person" else None


def user(directory: Directory, found: Object, session_id: str) -> Principal:
    """Return the principal that a person is in a session."""
    return Principal(
        "user",
        found.id,
        found.name,
        directory.rights_of(found.id),
        holder=found.id,
        holder_name=found.name,
        session=session_id,
        generation=directory.generation,
    )


class _Seen(NamedTuple):
    """A session in use.

    Attributes:
        at: its newest use.
        principal: as it was found then.
    """

    at: datetime
    principal: Principal


class SessionKeeper:
    """Knows who logged in; see authenticator.Sessions.

    Args:
        store: keeps sessions and directory.
        now: the present, with a time zone.
        idle: so long a session may be unused.
        lifetime: so long it may last, however it was when it began.
    """

    def __init__(
        self, store: Store, now: Callable[[], datetime], idle: timedelta, lifetime: timedelta
    ) -> None:
        self._store = store
        self._now = now
        self._idle = idle
        self._lifetime = lifetime
        self._seen: dict[str, _Seen] = {}

    async def identify(self, presented: Presented) -> Principal:
        """Return whose session this is.

        Raises:
            UnauthenticatedError: there is no such session.
            KnownButRefusedError: it is over, or its owner is disabled or deleted.
            ForeignRequestError: the request is none of a page of ours.
            UnavailableError: it could not be told.
        """
        cookie = presented.session or ""
        stored = self._store.session_by_digest(digest_of(cookie)) if is_cookie(cookie) else None
        if stored is None:
            raise UnauthenticatedError(_OVER)
        principal = self._principal_of(stored)
        now = self._now()
        why = self._why_over(stored, now)
        if why:
            self._seen.pop(stored.id, None)
            raise KnownButRefusedError(f"the session {why}: log in again", principal)
        if presented.is_foreign:
            raise ForeignRequestError(
                "the request was made by a page of another site, so it was not answered", principal
            )
        if presented.is_change and not _is_csrf(presented.csrf, cookie):
            raise ForeignRequestError(
                "whatever may change something needs the header X-CSRF-Token beside the session's "
                "cookie, with the csrf_token that the login returned, or GET /api/v1/sessions",
                principal,
            )
        self._note(stored.id, _Seen(now, principal))
        return principal

    def last_seen(self, stored: StoredSession) -> datetime:
        """Return when a session was used last.

        Raises:
            UnavailableError: what is kept of it is no time.
        """
        seen = _moment(stored.seen)
        known = self._seen.get(stored.id)
        return seen if known is None else max(seen, known.at)

    def is_live(self, stored: StoredSession) -> bool:
        """Tell whether the session is still one."""
        return not self._why_over(stored, self._now())

    def _why_over(self, stored: StoredSession, now: datetime) -> str:
        """Return why a session is over, to be read after "the session"; empty when it is not."""
        if stored.ended is not None:
            return "was ended"
        if now >= min(_moment(stored.expires), _moment(stored.created) + self._lifetime):
            return "lasted as long as one may"
        if now - self.last_seen(stored) >= self._idle:
            return "was not used for too long"
        return ""

    def _principal_of(self, stored: StoredSession) -> Principal:
        directory = self._store.directory()
        known = self._seen.get(stored.id)
        if known is not None and known.principal.generation == directory.generation:
            return known.principal
        found = person(directory, stored.principal)
        if found is None:
            gone = directory.get("principal", stored.principal)
            name = "somebody who was deleted" if gone is None else gone.name
            principal = Principal("user", stored.principal, name, session=stored.id)
            raise KnownButRefusedError(f"{name} may not log in: ask an administrator", principal)
        return user(directory, found, stored.id)

    def _note(self, session_id: str, seen: _Seen) -> None:
        if session_id not in self._seen and len(self._seen) >= _MANY:
            # As many as are in use stay: nobody makes a session who did not log in.
            before = seen.at - self._idle
            self._seen = {key: each for key, each in self._seen.items() if each.at > before}
        self._seen[session_id] = seen


def is_cookie(text: str) -> bool:
    """Tell whether a text has the shape of a session's cookie."""
    return _SHAPE.fullmatch(text) is not None


def _is_csrf(given: str | None, cookie: str) -> bool:
    if given is None or len(given) > LONGEST_HEADER:
        return False
    return hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token(cookie).encode())


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise UnavailableError(
            "what is kept of the session can't be read: the database was altered; run "
            "`tfaudit verify`"
        ) from error
