"""Tokens and the log, for those who may: each change an entry, each refusal an entry."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from typing import Final

from proxy import tokens
from proxy.access import Caller, Permission, Role
from proxy.audit_log import draft
from proxy.contracts import (
    Committed,
    Draft,
    LogQuery,
    Store,
    StoredRecord,
    StoredToken,
    Transaction,
)
from proxy.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from proxy.events import EVENTS, OUTCOMES
from proxy.gate import gate
from proxy.timestamps import uuid7

MAX_NAME: Final = 100
MAX_GLOBS: Final = 100
MAX_GLOB: Final = 255
MAX_LIFETIME: Final = timedelta(days=36_525)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_GLOB: Final = re.compile(r"[A-Za-z0-9._/*?-]+", re.ASCII)

_EVERYTHING: Final = "*"


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


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """A reading of the log that is on record.

    Attributes:
        records: what matches and the caller may see.
        index: of the entry that records the reading.
    """

    records: AsyncIterator[StoredRecord]
    index: int | None


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

    async def create_token(
        self,
        caller: Caller,
        name: str,
        role: str,
        workspaces: Sequence[str],
        expires_in: timedelta | None,
    ) -> MintedToken:
        """Make a token and record it.

        Args:
            caller: who asks.
            name: letters, digits and ``._@+-``, at most 100; unique among tokens in force.
            role: a role's name.
            workspaces: globs the role holds for.
            expires_in: from now; None never expires.

        Raises:
            ForbiddenError: the caller may not administer all workspaces.
            InvalidInputError: a value can't be used.
            ConflictError: a token of this name is in force.
        """
        await self._require_administrator(caller)
        _check_name(name)
        granted = _parse_role(role)
        globs = _parse_globs(workspaces)
        expires = self._expiry(expires_in)
        text = tokens.mint(self._random)
        digest = tokens.digest(text)
        identity = uuid7(int(self._now().timestamp() * 1_000_000), self._random(8))
        about = {"name": name, "role": granted.value, "workspaces": list(globs)}

        def job(tx: Transaction) -> StoredToken | ConflictError:
            if tx.token(name) is not None:
                refusal = ConflictError(
                    f"a token named {name} is in force: revoke it first, or choose another name"
                )
                tx.append(
                    draft("token.created", "conflict", str(refusal), caller, 409, token=about)
                )
                return refusal
            token = StoredToken(
                id=identity,
                name=name,
                role=granted.value,
                workspaces=globs,
                hint=text[-tokens.HINT :],
                created=tx.time,
                expires=expires,
                revoked=None,
            )
            tx.add_token(token, digest)
            message = (
                f"{_who(caller)} created the token {name}: {granted.value} on {', '.join(globs)}, "
                + (f"until {expires}" if expires else "without an end")
            )
            tx.append(
                draft(
                    "token.created",
                    "success",
                    message,
                    caller,
                    201,
                    # With 220 random bits behind it the digest tells nothing, and it ties the
                    # token to the log: nobody can put their own in its place unseen.
                    token={**_token_part(token), "sha256": digest.hex()},
                )
            )
            return token

        done = await self._store.write(job)
        if isinstance(done.value, ConflictError):
            done.value.audit_index = done.index
            raise done.value
        return MintedToken(done.value, text, done.index)

    async def list_tokens(self, caller: Caller) -> list[StoredToken]:
        """Return all tokens, oldest first, those revoked and expired too.

        Raises:
            ForbiddenError: the caller may not administer all workspaces.
            UnauthenticatedError: the caller's own token was revoked meanwhile.
        """
        await self._require_administrator(caller)
        await self._store.write(partial(_require_in_force, caller))
        return await self._store.tokens()

    async def revoke_token(self, caller: Caller, name_or_id: str) -> Committed[StoredToken]:
        """Take a token out of force, from the next request on.

        Returns:
            The token as it is kept from now on.

        Raises:
            ForbiddenError: the caller may not administer all workspaces.
            NotFoundError: no token in force has this name or ID.
        """
        await self._require_administrator(caller)
        # Whoever puts the token itself here must not find it in the record.
        shown = name_or_id if _NAME.fullmatch(name_or_id) else "(not a name)"
        if name_or_id.startswith(tokens.PREFIX) or len(name_or_id) > MAX_NAME:
            shown = "(not a name)"

        def job(tx: Transaction) -> StoredToken | NotFoundError:
            token = tx.token(name_or_id)
            if token is None or token.revoked is not None:
                refusal = NotFoundError(
                    f"no token in force has the name or ID {shown}: list the tokens to see all"
                )
                tx.append(draft("token.revoked", "error", str(refusal), caller, 404))
                return refusal
            tx.revoke_token(token.id)
            message = f"{_who(caller)} revoked the token {token.name}"
            tx.append(
                draft("token.revoked", "success", message, caller, 200, token=_token_part(token))
            )
            return replace(token, revoked=tx.time)

        done = await self._store.write(job)
        if isinstance(done.value, NotFoundError):
            done.value.audit_index = done.index
            raise done.value
        return Committed(done.value, done.index)

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
        narrowed = replace(query, workspaces=caller.principal.workspaces)
        filters = _filters(query)
        named = [f"{name} {value}" for name, value in filters.items() if name != "newest_first"]
        message = f"{_who(caller)} read the log: {', '.join(named) or 'all of it'}"
        entry = draft("audit.read", "success", message, caller, 200, query=filters)
        index = (await self._store.write(_append(entry))).index
        return OpenedLog(self._store.entries(narrowed), index)

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
        await gate(self._store, caller, Permission.ADMINISTER, _EVERYTHING)

    def _expiry(self, expires_in: timedelta | None) -> str | None:
        if expires_in is None:
            return None
        if not timedelta(0) < expires_in <= MAX_LIFETIME:
            raise InvalidInputError(
                "a token must live longer than no time and at most a hundred years"
            )
        moment = (self._now() + expires_in).astimezone(UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _append(entry: Draft) -> Callable[[Transaction], None]:
    return lambda tx: tx.append(entry)


def _require_in_force(caller: Caller, tx: Transaction) -> None:
    """Pass when the caller's token is in force now: no entry is made here that would find out."""
    if caller.principal.kind != "token":
        return
    token = tx.token(caller.principal.id)
    if token is None or token.revoked is not None:
        raise UnauthenticatedError(
            "the token is unknown or revoked: ask an administrator for a new one"
        )


def _who(caller: Caller) -> str:
    return caller.principal.name or "anonymous"


def _token_part(token: StoredToken) -> dict[str, object]:
    """Return the ``token`` object of an entry."""
    part = asdict(token)
    part["workspaces"] = list(token.workspaces)
    del part["created"], part["revoked"]
    return part


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise InvalidInputError(
            f"a token's name must be letters, digits and any of '._@+-', begin with a letter or "
            f"digit, and have at most {MAX_NAME} characters"
        )
    if _UUID.fullmatch(name) or name.startswith(tokens.PREFIX):
        raise InvalidInputError("a token's name may not look like an ID or like a token")


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
                "'*' stands for anything and '?' for one character"
            )
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
    if query.limit is not None and query.limit < 1:
        raise InvalidInputError("the limit must be at least 1")


def _filters(query: LogQuery) -> dict[str, object]:
    """Return the narrowing fields as the ``query`` object of an entry."""
    filters = asdict(query)
    # The reader's limits follow from who the reader is, which the entry says anyway.
    del filters["workspaces"]
    return {
        name: value for name, value in filters.items() if value is not None and value is not False
    }
