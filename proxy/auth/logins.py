"""Logging in: who guesses is slowed down, learns nothing, and is on record.

Whoever fails is told the same, and after as long a time, whether the name or the password was
wrong, and whether such a person is disabled or has no password at all.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

from proxy.access import Caller, Principal
from proxy.audit_log import draft
from proxy.auth.attempts import Attempt, Attempts, Lockout
from proxy.auth.devices import Devices
from proxy.auth.failures import FailureLog, network_of
from proxy.auth.people import People, ended_part, password_part, replace_password
from proxy.auth.sessions import SessionKeeper, digest_of, is_cookie, new_cookie, person, user
from proxy.contracts import Committed, Store, StoredPassword, StoredSession, Transaction
from proxy.directory import Object, PrincipalRecord
from proxy.errors import ForbiddenError, InvalidInputError, UnauthenticatedError
from proxy.passwords import check_password, normalised
from proxy.refusals import AccessChangedError, TooManyTriesError
from proxy.timestamps import micros_at, micros_of, rfc3339, uuid7

MAX_SESSIONS: Final = 20
"""Sessions of one person; a further login ends the one that was not used for the longest."""

_WRONG: Final = "the name or the password is wrong"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session that just began.

    Attributes:
        principal: who.
        session: what is kept of it.
        cookie: its secret, which is kept nowhere.
        device: that tells this browser from others at the next login.
        index: of the entry that records it.
    """

    principal: Principal
    session: StoredSession
    cookie: str = field(repr=False)
    device: str = field(repr=False)
    index: int | None


class _Account(NamedTuple):
    """Whose password is tried.

    Attributes:
        found: the principal of this name; None when there is none.
        key: what its failures are counted under.
        device: on which they logged in before; None knows none.
        why_not: for the record: why no password could be right; empty when one could.
    """

    found: Object | None
    key: str
    device: str | None
    why_not: str


class Logins:
    """Begins sessions.

    Args:
        store: keeps them.
        people: for the hashes and the sessions that are over.
        attempts: counts failures.
        devices: knows browsers.
        failures: records failures.
        lifetime: of a session.
        now: the present, with a time zone.
        random: gives so many random bytes, fit for secrets.
    """

    def __init__(  # noqa: PLR0913 - what a login needs
        self,
        store: Store,
        people: People,
        attempts: Attempts,
        devices: Devices,
        failures: FailureLog,
        *,
        lifetime: timedelta,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._hasher = people.hasher
        self._keeper: SessionKeeper = people.keeper
        self._attempts = attempts
        self._devices = devices
        self._failures = failures
        self._lifetime = lifetime
        self._now = now
        self._random = random

    async def login(
        self,
        caller: Caller,
        name: str,
        password: str,
        *,
        cookie: str | None = None,
        device: str | None = None,
    ) -> LoggedIn:
        """Begin a session.

        Args:
            caller: nobody known yet.
            name: as it was typed.
            password: as it was typed.
            cookie: of the session that the browser has already; it ends with this login.
            device: the browser's device cookie.

        Raises:
            UnauthenticatedError: on record; the text is always the same.
            TooManyTriesError: no password is looked at for some time.
            InvalidInputError: this can be no password of anybody.
            UnavailableError: it could not be told, or not be put on record.
        """
        text = normalised(password)
        account = self._account(name, device)
        attempt = await self._begin(caller, account)
        try:
            # The same is asked of nobody, and takes as long.
            stored = await self._store.password("" if account.found is None else account.found.id)
            if stored is None and not account.why_not:
                account = account._replace(why_not=f"{_name(account)} has no password")
            usable = None if account.why_not or stored is None else stored
            hashed = None if usable is None else usable.hash
            is_right = await self._hasher.verify(hashed, text, is_known=account.device is not None)
            done = None
            if is_right and account.found is not None and usable is not None:
                done = await self._begin_session(caller, account.found, usable, text, cookie)
        except BaseException:
            attempt.withdraw()
            raise
        if done is None:
            raise await self._failed(caller, account, attempt)
        attempt.succeed()
        return done

    async def change_password(self, caller: Caller, old: str, new: str) -> Committed[None]:
        """Give the person who asks another password; all other sessions of theirs end.

        Raises:
            InvalidInputError: it may not be chosen, or the caller did not log in.
            ForbiddenError: the old one is wrong.
            TooManyTriesError: it was wrong too often.
            UnavailableError: nothing was changed.
        """
        who = caller.principal
        if who.kind != "user" or not who.session:
            raise InvalidInputError("log in first: a password is changed by the person it is of")
        text = check_password(new, who.name)
        directory = self._store.directory()
        found = person(directory, who.id)
        stored = None if found is None else await self._store.password(who.id)
        account = _Account(found, who.id, f"session {who.session}", "")
        attempt = await self._begin(caller, account)
        try:
            hashed = None if stored is None else stored.hash
            is_right = await self._hasher.verify(hashed, normalised(old), is_known=True)
            if found is None or stored is None or not is_right:
                is_right = False
            else:
                changed = await self._change(caller, found, stored, text)
        except BaseException:
            attempt.withdraw()
            raise
        if not is_right:
            error = ForbiddenError("the old password is wrong: nothing was changed")
            await self._record_failure(caller, account, attempt, f"{who.name}: {error}", error, 403)
            raise error
        attempt.succeed()
        return changed

    async def _change(
        self, caller: Caller, found: Object, stored: StoredPassword, text: str
    ) -> Committed[None]:
        hashed = await self._hasher.hash(text)

        def job(tx: Transaction) -> None:
            _require_unchanged(tx, found.id, stored)
            replace_password(tx, caller, found, hashed, f"{found.name} changed their password")

        return await self._store.write(job)

    # ------------------------------------------------------------ one try

    def _account(self, name: str, device: str | None) -> _Account:
        directory = self._store.directory()
        found = directory.get("principal", name)
        if found is not None and found.name != name:
            found = None
        if found is None:
            key = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
            return _Account(None, key, None, "an unknown name")
        why_not = ""
        if person(directory, found.id) is None:
            is_person = isinstance(found.record, PrincipalRecord) and found.record.kind == "person"
            why_not = f"{found.name} is disabled" if is_person else f"{found.name} is a service"
        return _Account(found, found.id, self._devices.known(device, found.id), why_not)

    async def _begin(self, caller: Caller, account: _Account) -> Attempt:
        try:
            return self._attempts.begin(
                account.key,
                network_of(caller.ip),
                account.device,
                exists=account.found is not None,
            )
        except TooManyTriesError as error:
            error.audit_index = await self._failures.record(
                caller,
                "a login was refused unseen, after too many that failed",
                status=429,
                account=_name(account),
            )
            raise

    async def _failed(
        self, caller: Caller, account: _Account, attempt: Attempt
    ) -> UnauthenticatedError:
        error = UnauthenticatedError(_WRONG)
        why = account.why_not or f"a wrong password for {_name(account)}"
        await self._record_failure(caller, account, attempt, f"login failed: {why}", error, 401)
        return error

    async def _record_failure(  # noqa: PLR0913, PLR0917 - who failed, at what, and how it is answered
        self,
        caller: Caller,
        account: _Account,
        attempt: Attempt,
        message: str,
        error: UnauthenticatedError | ForbiddenError,
        status: int,
    ) -> None:
        lockout = attempt.fail()
        name = _name(account)
        error.audit_index = await self._failures.record(
            caller, message, status=status, account=name
        )
        if lockout is not None:
            await self._failures.record(
                caller,
                _locked_out(lockout, name),
                "auth.locked_out",
                status=status,
                account=name,
                lockout={
                    "what": lockout.what,
                    "failures": lockout.failures,
                    "seconds": round(lockout.seconds),
                },
            )

    # ------------------------------------------------------------ success

    async def _begin_session(
        self,
        caller: Caller,
        found: Object,
        stored: StoredPassword,
        text: str,
        old_cookie: str | None,
    ) -> LoggedIn | None:
        """Begin the session, when the person may still log in; with a new hash when it is time."""
        rehashed = await self._hasher.hash(text) if self._hasher.is_outdated(stored.hash) else None
        cookie = new_cookie(self._random)
        digest = digest_of(cookie)
        session_id = uuid7(micros_at(self._now()), self._random(8))
        replaced = None
        if old_cookie is not None and is_cookie(old_cookie):
            replaced = self._store.session_by_digest(digest_of(old_cookie))

        def job(tx: Transaction) -> tuple[Principal, StoredSession] | None:
            directory = tx.directory()
            now_found = person(directory, found.id)
            if now_found is None:
                return None
            _require_unchanged(tx, found.id, stored)
            principal = user(directory, now_found, session_id)
            live = sorted(tx.sessions(found.id), key=self._keeper.last_seen)
            over = [each.id for each in live[: max(0, len(live) - MAX_SESSIONS + 1)]]
            if replaced is not None:
                before = tx.session(replaced.id)
                if before is not None and before.ended is None and before.expires > tx.time:
                    over.append(before.id)
            expires = rfc3339(micros_of(tx.time) + self._lifetime // timedelta(microseconds=1))
            session = StoredSession(session_id, found.id, tx.time, tx.time, caller.ip, expires)
            parts: dict[str, Any] = ended_part(tx, over)
            if rehashed is not None:
                tx.set_password(found.id, rehashed)
                parts["password"] = password_part(found.id, rehashed)
            tx.add_session(session, digest)
            tx.append(
                draft(
                    "auth.login",
                    "success",
                    f"{principal.name} logged in",
                    caller._replace(principal=principal),
                    200,
                    session={"id": session_id, "expires": expires, "sha256": digest.hex()},
                    **parts,
                )
            )
            return principal, session

        done = await self._store.write(job)
        if done.value is None:
            return None
        device = self._devices.issue(found.id)
        return LoggedIn(*done.value, cookie, device, done.index)


def _require_unchanged(tx: Transaction, principal_id: str, stored: StoredPassword) -> None:
    kept = tx.password(principal_id)
    if kept is None or not hmac.compare_digest(kept.hash, stored.hash):
        raise AccessChangedError(
            "the password was changed while the request was under way, so nothing was done: try "
            "again"
        )


def _name(account: _Account) -> str:
    return "" if account.found is None else account.found.name


def _locked_out(lockout: Lockout, name: str) -> str:
    whom = f" to {name}" if name and lockout.what != "address" else ""
    where = {
        "device": " from a device that is known",
        "account from this address": " from this address",
        "address": " from this address",
        "account": " from devices that are not known",
    }[lockout.what]
    return (
        f"logins{whom}{where} are refused for {round(lockout.seconds)} seconds, after "
        f"{lockout.failures} that failed"
    )
