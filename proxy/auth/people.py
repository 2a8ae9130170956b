"""People's passwords and sessions, for those who may: each change and each refusal an entry."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from proxy.access import EVERYWHERE, Caller, Permission
from proxy.audit_log import draft
from proxy.auth.password_hasher import PasswordHasher
from proxy.auth.sessions import SessionKeeper
from proxy.client_text import client_text
from proxy.contracts import Committed, Store, StoredSession, Transaction
from proxy.directory import Object, PrincipalRecord
from proxy.errors import ConflictError, InvalidInputError, NotFoundError
from proxy.gate import gate
from proxy.passwords import check_password
from proxy.statuses import status_of

_MAX_SHOWN: Final = 100


class People:
    """What is done about people, but for the guessing at their passwords: see ``logins``.

    Args:
        store: keeps passwords and sessions.
        hasher: makes the hashes.
        sessions: knows which are over.
    """

    def __init__(self, store: Store, hasher: PasswordHasher, sessions: SessionKeeper) -> None:
        self._store = store
        self._hasher = hasher
        self._sessions = sessions

    @property
    def hasher(self) -> PasswordHasher:
        """What makes and checks hashes."""
        return self._hasher

    @property
    def keeper(self) -> SessionKeeper:
        """What knows sessions."""
        return self._sessions

    async def set_password(self, caller: Caller, name: str, password: str) -> Committed[Object]:
        """Give a person a password, and end all sessions of theirs but the caller's own.

        Args:
            caller: who asks.
            name: of a person, or its ID.
            password: as it was typed.

        Returns:
            The person.

        Raises:
            ForbiddenError: the caller may not administer.
            InvalidInputError: it may not be chosen; says why.
            NotFoundError: there is no such principal.
            ConflictError: it is no person.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
        found = self._store.directory().get("principal", name)
        hashed = await self._hasher.hash(
            check_password(password, name if found is None else found.name)
        )

        def job(tx: Transaction) -> Object | NotFoundError | ConflictError:
            person = tx.directory().get("principal", name)
            refusal = _why_not(person, name)
            if person is None or refusal is not None:
                error = refusal or NotFoundError(name)
                outcome = "conflict" if isinstance(error, ConflictError) else "error"
                message = f"{caller.principal.name}: {error}"
                tx.append(draft("principal.updated", outcome, message, caller, status_of(error)))
                return error
            message = f"{caller.principal.name} set the password of {person.name}"
            replace_password(tx, caller, person, hashed, message)
            return person

        done = await self._store.write(job)
        if isinstance(done.value, NotFoundError | ConflictError):
            done.value.audit_index = done.index
            raise done.value
        return Committed(done.value, done.index)

    async def sessions(self, caller: Caller, principal: str | None = None) -> list[StoredSession]:
        """Return the sessions that are not over, oldest first; with the time of their newest use.

        Args:
            caller: who asks.
            principal: whose, by name or ID; None is the caller.

        Raises:
            InvalidInputError: the caller is nobody who logs in, and named nobody.
            ForbiddenError: they are somebody else's, and the caller may not administer.
            NotFoundError: there is no such principal.
        """
        who = caller.principal
        own = who.id if who.kind == "user" else None
        if principal is None or principal in {own, own and who.name}:
            if own is None:
                raise InvalidInputError(
                    "you are not logged in with a password: name the principal whose sessions to "
                    "list, as ?principal=NAME"
                )
            asked = own
        else:
            await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
            found = self._store.directory().get("principal", principal)
            if found is None:
                raise no_principal(principal)
            asked = found.id

        def job(tx: Transaction) -> list[StoredSession]:
            # No entry is made here that would find out.
            tx.require_in_force(who)
            return tx.sessions(asked)

        listed = (await self._store.write(job)).value
        return [session for session in listed if self._sessions.is_live(session)]

    async def logout(self, caller: Caller) -> Committed[None]:
        """End the session that the caller asks in.

        Raises:
            InvalidInputError: it is none.
            UnauthenticatedError: it is over already.
        """
        session_id = caller.principal.session
        if not session_id:
            raise InvalidInputError(
                "there is no session to end: a token or certificate is no login, and works on"
            )

        def job(tx: Transaction) -> None:
            _end(tx, caller, session_id, f"{caller.principal.name} logged out")

        return await self._store.write(job)

    async def end_session(self, caller: Caller, session_id: str) -> Committed[None]:
        """End one session of the caller, or of anybody when the caller administers.

        Raises:
            ForbiddenError: it is not the caller's, and the caller may not administer.
            NotFoundError: there is none, or it is over.
        """
        who = caller.principal
        asked = (await self._store.write(lambda tx: tx.session(session_id))).value
        is_own = asked is not None and who.kind == "user" and asked.principal == who.id
        if not is_own:
            await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)

        def job(tx: Transaction) -> NotFoundError | None:
            session = tx.session(session_id)
            if session is None or session.ended is not None or session.expires <= tx.time:
                error = NotFoundError("there is no such session, or it is over: list them")
                message = f"{who.name}: {error}"
                tx.append(draft("auth.logout", "error", message, caller, 404))
                return error
            whose = tx.directory().get("principal", session.principal)
            name = session.principal if whose is None else whose.name
            _end(tx, caller, session_id, f"{who.name} ended a session of {name}")
            return None

        done = await self._store.write(job)
        if done.value is not None:
            done.value.audit_index = done.index
            raise done.value
        return Committed(None, done.index)


def replace_password(
    tx: Transaction, caller: Caller, person: Object, hashed: str, message: str
) -> None:
    """Give a person another password, with its entry; all other sessions of theirs end."""
    ended = end_sessions(tx, person.id, but=caller.principal.session)
    tx.set_password(person.id, hashed)
    tx.append(
        draft(
            "principal.updated",
            "success",
            message,
            caller,
            200,
            password=password_part(person.id, hashed),
            **ended,
        )
    )


def end_sessions(tx: Transaction, principal_id: str, *, but: str) -> dict[str, Any]:
    """End a person's sessions but one; return the part of the entry that says so."""
    return ended_part(
        tx, [session.id for session in tx.sessions(principal_id) if session.id != but]
    )


def ended_part(tx: Transaction, session_ids: Iterable[str]) -> dict[str, Any]:
    """End these sessions; return the part of the entry that says so."""
    ended = list(dict.fromkeys(session_ids))
    for session_id in ended:
        tx.end_session(session_id)
    return {"ended_sessions": ended} if ended else {}


def log_everybody_out(tx: Transaction, caller: Caller, why: str) -> None:
    """End all sessions of all people, with an entry for each person who has any."""
    for found in tx.directory().objects("principal"):
        ended = end_sessions(tx, found.id, but="")
        if ended:
            message = f"all sessions of {found.name} ended: {why}"
            tx.append(draft("auth.logout", "success", message, caller, **ended))


def password_part(principal_id: str, hashed: str) -> dict[str, str]:
    """Return the ``password`` of an entry: it ties what is kept to the log.

    The hash holds 128 random bits of salt, so that its digest tells nothing of the password, and
    helps nobody to guess at it.
    """
    return {"principal": principal_id, "sha256": sha256(hashed.encode()).hexdigest()}


def no_principal(name: str) -> NotFoundError:
    """Return that there is no such principal."""
    return NotFoundError(f"there is no principal {client_text(name, _MAX_SHOWN)}: list them")


def _why_not(found: Object | None, name: str) -> NotFoundError | ConflictError | None:
    if found is None:
        return no_principal(name)
    record = found.record
    if isinstance(record, PrincipalRecord) and record.kind == "person":
        return None
    return ConflictError(
        f"{found.name} is a service, and only a person logs in with a password: give it a token, "
        "or make it a person first"
    )


def _end(tx: Transaction, caller: Caller, session_id: str, message: str) -> None:
    ended = ended_part(tx, [session_id])
    tx.append(draft("auth.logout", "success", message, caller, 200, **ended))
