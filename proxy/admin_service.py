"""Tokens and the log, for those who may: each change an entry, each refusal an entry."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from proxy import tokens
from proxy.access import EVERYWHERE, Caller, Permission, Role
from proxy.audit_log import draft
from proxy.client_text import client_text, require_plain
from proxy.contracts import (
    Committed,
    Draft,
    LogQuery,
    Store,
    StoredRecord,
    StoredToken,
    Transaction,
)
from proxy.directory import GLOB_PATTERN
from proxy.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TfauditError,
)
from proxy.events import EVENTS, OUTCOMES
from proxy.gate import gate
from proxy.pruned_entries import unsearched
from proxy.timestamps import micros_at, micros_of, rfc3339, uuid7
from proxy.token_entries import token_part

MAX_NAME: Final = 100
MAX_GLOBS: Final = 100
MAX_GLOB: Final = 255
MAX_PREDECESSORS: Final = 20
"""Tokens of one name that may work at once beside the newest; an entry must hold them all."""
MAX_OVERLAP: Final = timedelta(days=90)
MAX_LIFETIME: Final = timedelta(days=36_525)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
MAX_CLAIM: Final = 255

_CLAIM: Final = re.compile(r"[!#-\[\]-~]+", re.ASCII)
"""No quotation mark and no backslash: nothing that ends the name where it is asked for."""
_GLOB: Final = re.compile(GLOB_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token that was just made.

    Attributes:
        token: what is kept of it.
        text: the token itself, which is kept nowhere.
        index: of the entry that records it.
    """

    token: StoredToken
    text: str = field(repr=False)
    index: int | None


@dataclass(slots=True)
class Revoked(Committed[StoredToken]):
    """A token that was revoked, as it is kept from now on.

    Attributes:
        predecessors: those that it had taken the place of, and that are revoked with it.
    """

    predecessors: tuple[StoredToken, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """A reading of the log that is on record.

    Attributes:
        records: what matches and the caller may see.
        index: of the entry that records the reading.
        pruned: entries below this index may match, too, and are not there any more; 0 if none.
    """

    records: AsyncIterator[StoredRecord]
    index: int | None
    pruned: int


class AdminService:
    """Administration and the reading of the log.

    Args:
        store: keeps tokens and log.
        now: the present, with a time zone.
        random: gives so many random bytes, fit for secrets.
    """

    def __init__(
        self, store: Store, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._now = now
        self._random = random

    async def create_token(  # noqa: PLR0913 - what a token is made of
        self,
        caller: Caller,
        name: str,
        role: str,
        workspaces: Sequence[str],
        expires_in: timedelta | None,
        *,
        principal: str | None = None,
    ) -> MintedToken:
        """Make a token and record it.

        Args:
            caller: who asks.
            name: letters, digits and ``._@+-``, at most 100; unique among tokens in force.
            role: a role's name; with ``principal`` also empty, for whatever the principal may.
            workspaces: globs the role holds for.
            expires_in: from now; None never expires.
            principal: name or ID of whose token it is. The token then gives nothing by itself: it
                narrows what the principal was granted to its own role and workspaces.

        Raises:
            ForbiddenError: the caller may not administer all workspaces.
            InvalidInputError: a value can't be used.
            NotFoundError: there is no such principal.
            ConflictError: a token of this name is in force.
        """
        await self._require_administrator(caller)
        _check_name(name)
        granted = "" if principal is not None and not role else _parse_role(role).value
        globs = _parse_globs(workspaces)
        expires = self._expiry(expires_in)
        minted = self._mint()
        about = {"name": name, "role": granted, "workspaces": list(globs)}

        def job(tx: Transaction) -> StoredToken | ConflictError | NotFoundError:
            if tx.token(name) is not None:
                refusal: ConflictError | NotFoundError = ConflictError(
                    f"a token named {name} is in force: revoke it first, or choose another name"
                )
                tx.append(
                    draft("token.created", "conflict", str(refusal), caller, 409, token=about)
                )
                return refusal
            holder = None if principal is None else tx.directory().get("principal", principal)
            if principal is not None and holder is None:
                refusal = NotFoundError(
                    f"there is no principal {client_text(principal, MAX_NAME)}: make it first"
                )
                tx.append(draft("token.created", "error", str(refusal), caller, 404, token=about))
                return refusal
            token = StoredToken(
                id=minted.id,
                name=name,
                role=granted,
                workspaces=globs,
                hint=minted.text[-tokens.HINT :],
                created=tx.time,
                expires=expires,
                revoked=None,
                principal=None if holder is None else holder.id,
            )
            tx.add_token(token, minted.digest)
            whose = "" if holder is None else f" of {holder.name}"
            message = (
                f"{_who(caller)} created the token {name}{whose}: {granted or 'any role'} on "
                f"{', '.join(globs)}, " + (f"until {expires}" if expires else "without an end")
            )
            part = token_part(token, minted.digest)
            tx.append(draft("token.created", "success", message, caller, 201, token=part))
            return token

        done = await self._store.write(job)
        if isinstance(done.value, TfauditError):
            done.value.audit_index = done.index
            raise done.value
        return MintedToken(done.value, minted.text, done.index)

    async def rotate_token(
        self,
        caller: Caller,
        name_or_id: str,
        overlap: timedelta,
        expires_in: timedelta | None = None,
    ) -> MintedToken:
        """Make a successor of a token, which takes its name; the old one ends a little later.

        Args:
            caller: who asks.
            name_or_id: of the token in force that has its name.
            overlap: so long the old one still works, if it does not expire before.
            expires_in: of the new one, from now; None gives it as long as the old one was given.

        Raises:
            ForbiddenError: the caller may not administer all workspaces.
            InvalidInputError: a time can't be used.
            NotFoundError: no such token is in force.
            ConflictError: too many that it took the place of still work.
        """
        await self._require_administrator(caller)
        if not timedelta(0) <= overlap <= MAX_OVERLAP:
            raise InvalidInputError("the overlap must be no time at all or at most 90 days")
        minted = self._mint()
        until = self._moment(overlap)
        expires = self._expiry(expires_in)

        def job(tx: Transaction) -> StoredToken | NotFoundError | ConflictError:
            old = tx.token(name_or_id)
            # What was given in exchange for an identity token has no successor: its run gets one.
            if (
                old is None
                or old.revoked is not None
                or old.replaced is not None
                or old.issuer is not None
            ):
                return _no_token(tx, "token.rotated", caller, name_or_id)
            if len(tx.predecessors(old.name)) >= MAX_PREDECESSORS:
                refusal = ConflictError(
                    f"{MAX_PREDECESSORS} tokens that {old.name} took the place of still work: "
                    "wait until they end, or revoke them by their IDs"
                )
                tx.append(draft("token.rotated", "conflict", str(refusal), caller, 409))
                return refusal
            end = until if old.expires is None else min(until, old.expires)
            token = replace(
                old,
                id=minted.id,
                hint=minted.text[-tokens.HINT :],
                created=tx.time,
                expires=expires or _as_long(old, tx.time),
                used=None,
                used_from=None,
            )
            tx.replace_token(old.id, end)
            tx.add_token(token, minted.digest)
            tx.append(
                draft(
                    "token.rotated",
                    "success",
                    f"{_who(caller)} rotated the token {old.name}: the old one ends {end}",
                    caller,
                    201,
                    token=token_part(token, minted.digest),
                    replaced={"id": old.id, "hint": old.hint, "expires": end},
                )
            )
            return token

        done = await self._store.write(job)
        if isinstance(done.value, TfauditError):
            done.value.audit_index = done.index
            raise done.value
        return MintedToken(done.value, minted.text, done.index)

    def _mint(self) -> "_Minted":
        text = tokens.mint(self._random)
        identity = uuid7(micros_at(self._now()), self._random(8))
        return _Minted(identity, text, tokens.digest(text))

    async def list_tokens(self, caller: Caller) -> list[StoredToken]:
        """Return all tokens, oldest first, those revoked and expired too.

        Raises:
            ForbiddenError: the caller may not administer all workspaces.
            UnauthenticatedError: the caller's own token was revoked meanwhile.
            AccessChangedError: what the caller may was changed meanwhile.
        """
        await self._require_administrator(caller)
        await self._store.write(lambda tx: tx.require_in_force(caller.principal))
        return await self._store.tokens()

    async def show_token(self, caller: Caller, name_or_id: str) -> StoredToken:
        """Return one token: of a name the one in force, of an ID any.

        Raises:
            ForbiddenError: the caller may not administer all workspaces.
            UnauthenticatedError, AccessChangedError: nor may they any more.
            NotFoundError: there is none.
        """
        await self._require_administrator(caller)

        def job(tx: Transaction) -> StoredToken | None:
            tx.require_in_force(caller.principal)
            return tx.token(name_or_id)

        found = (await self._store.write(job)).value
        if found is None:
            raise NotFoundError("there is no such token: list the tokens to see all")
        return found

    async def revoke_token(self, caller: Caller, name_or_id: str) -> Revoked:
        """Take a token out of force, from the next request on.

        With the token that has a name go those whose place it took and that still work. One of
        these alone is revoked by its ID.

        Raises:
            ForbiddenError: the caller may not administer all workspaces.
            NotFoundError: no token in force has this name or ID.
        """
        await self._require_administrator(caller)

        def job(tx: Transaction) -> list[StoredToken] | NotFoundError:
            token = tx.token(name_or_id)
            if token is None or token.revoked is not None:
                return _no_token(tx, "token.revoked", caller, name_or_id)
            older = tx.predecessors(token.name) if token.replaced is None else []
            for each in (token, *older):
                tx.revoke_token(each.id)
            parts: dict[str, Any] = {"token": token_part(token)}
            message = f"{_who(caller)} revoked the token {token.name}"
            if older:
                message += f" and {_so_many(len(older))} whose place it took"
                parts["predecessors"] = [{"id": each.id, "hint": each.hint} for each in older]
            tx.append(draft("token.revoked", "success", message, caller, 200, **parts))
            return [replace(each, revoked=tx.time) for each in (token, *older)]

        done = await self._store.write(job)
        if isinstance(done.value, NotFoundError):
            done.value.audit_index = done.index
            raise done.value
        token, *older = done.value
        return Revoked(token, done.index, tuple(older))

    async def open_log(self, caller: Caller, query: LogQuery) -> OpenedLog:
        """Record the reading and return the entries that match and that the caller may see.

        Args:
            caller: who asks; whose workspaces narrow the query.
            query: which entries.

        Raises:
            ForbiddenError: the caller may not read the log.
            InvalidInputError: an event or outcome that no entry has, or a limit below 1.
        """
        await gate(self._store, caller, Permission.LOG_READ)
        _check_query(query)
        narrowed = replace(query, view=caller.principal.rights.view(Permission.LOG_READ))
        filters = _filters(query)
        named = [
            f"{name} {value}"
            for name, value in filters.items()
            if name not in {"newest_first", "claims"}
        ]
        named += [f"claim {name}={client_text(value)}" for name, value in query.claims]
        message = f"{_who(caller)} read the log: {', '.join(named) or 'all of it'}"
        entry = draft("audit.read", "success", message, caller, 200, query=filters)
        index = (await self._store.write(_append(entry))).index
        pruned = await unsearched(self._store, query)
        return OpenedLog(self._store.entries(narrowed), index, pruned)

    async def read_log(self, caller: Caller, query: LogQuery) -> AsyncIterator[StoredRecord]:
        """Yield what ``open_log`` returns; nothing happens before the first is asked for."""
        opened = await self.open_log(caller, query)
        async for stored in opened.records:
            yield stored

    async def _require_administrator(self, caller: Caller) -> None:
        """Pass when the caller administers everything.

        Whoever may make a token for any workspace could give the rest to themselves, so an
        administrator of some workspaces only may not administer tokens.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)

    def _expiry(self, expires_in: timedelta | None) -> str | None:
        if expires_in is None:
            return None
        if not timedelta(0) < expires_in <= MAX_LIFETIME:
            raise InvalidInputError(
                "a token must live longer than no time and at most a hundred years"
            )
        return self._moment(expires_in)

    def _moment(self, from_now: timedelta) -> str:
        return rfc3339(micros_at(self._now() + from_now))


class _Minted(NamedTuple):
    """A token in the making."""

    id: str
    text: str
    digest: bytes


def _no_token(tx: Transaction, event: str, caller: Caller, name_or_id: str) -> NotFoundError:
    """Record and return that there is no such token."""
    # Whoever puts the token itself here must not find it in the record.
    shown = name_or_id if _NAME.fullmatch(name_or_id) else "(not a name)"
    if name_or_id.startswith(tokens.PREFIX) or len(name_or_id) > MAX_NAME:
        shown = "(not a name)"
    refusal = NotFoundError(
        f"no token in force has the name or ID {shown}: list the tokens to see all"
    )
    tx.append(draft(event, "error", str(refusal), caller, 404))
    return refusal


def _so_many(number: int) -> str:
    return "one token" if number == 1 else f"{number} tokens"


def _as_long(old: StoredToken, now: str) -> str | None:
    """Return when a successor expires that lives as long as the old one was meant to."""
    if old.expires is None:
        return None
    return rfc3339(micros_of(now) + micros_of(old.expires) - micros_of(old.created))


def _append(entry: Draft) -> Callable[[Transaction], int]:
    return lambda tx: tx.append(entry)


def _who(caller: Caller) -> str:
    return caller.principal.name or "anonymous"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise InvalidInputError(
            f"a token's name must be letters, digits and any of '._@+-', begin with a letter or "
            f"digit, and have at most {MAX_NAME} characters"
        )
    if _UUID.fullmatch(name) or name.startswith(tokens.PREFIX):
        raise InvalidInputError("a token's name may not look like an ID or like a token")
    require_plain(name, "the name")


def _parse_role(role: str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise InvalidInputError(
            f"there is no role {role[:MAX_NAME]!r}: choose one of {', '.join(Role)}"
        ) from None


def _parse_globs(workspaces: Sequence[str]) -> tuple[str, ...]:
    if not workspaces:
        raise InvalidInputError("give at least one workspace glob; '*' is all workspaces")
    if len(workspaces) > MAX_GLOBS:
        raise InvalidInputError(f"a token may have at most {MAX_GLOBS} workspace globs")
    for glob in workspaces:
        if not _GLOB.fullmatch(glob) or len(glob) > MAX_GLOB:
            raise InvalidInputError(
                f"{glob[:MAX_GLOB]!r} is no workspace glob: write a workspace's name in which "
                "'*' stands for anything and '?' for one character; no name begins or ends with "
                "'/' or has '//' in it"
            )
        require_plain(glob, "a workspace glob")
    return tuple(dict.fromkeys(workspaces))


def _check_query(query: LogQuery) -> None:
    if query.outcome is not None and query.outcome not in OUTCOMES:
        raise InvalidInputError(
            f"there is no outcome {query.outcome!r}: choose one of {', '.join(OUTCOMES)}"
        )
    glob = query.event
    if glob is not None and not any(fnmatchcase(event, glob) for event in EVENTS):
        near = get_close_matches(glob, EVENTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(EVENTS)}"
        raise InvalidInputError(f"no event matches {glob[:MAX_GLOB]!r}: {hint}")
    for name, _ in query.claims:
        if not _CLAIM.fullmatch(name) or len(name) > MAX_CLAIM:
            raise InvalidInputError(f"{name[:MAX_CLAIM]!r} is no name of a claim")
    if query.limit is not None and query.limit < 1:
        raise InvalidInputError("the limit must be at least 1")


def _filters(query: LogQuery) -> dict[str, object]:
    """Return the narrowing fields as the ``query`` object of an entry."""
    filters = asdict(query)
    # The reader's limits follow from who the reader is, which the entry says anyway.
    del filters["view"]
    # Whoever asks for the token itself must not find it in the record.
    filters = {
        name: client_text(value) if isinstance(value, str) else value
        for name, value in filters.items()
    }
    filters["claims"] = [f"{name}={client_text(value)}" for name, value in query.claims] or None
    return {
        name: value for name, value in filters.items() if value is not None and value is not False
    }
