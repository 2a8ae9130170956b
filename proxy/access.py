"""Who is asking, and may they: principals, roles, permissions, and the one gate."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache
from typing import Any, Final, NamedTuple

from proxy.errors import ForbiddenError, InvalidInputError

MAX_TEXT = 256
"""Characters kept of a text that a client says of itself (user agent, host name …)."""

_WORKSPACE = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*", re.ASCII)
_RESERVED = frozenset({"lock", "unlock"})
_TOKEN = re.compile(r"tfa_[0-9A-Za-z]{43}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}", re.ASCII)
"""A token of ours, or a signed JSON Web Token (RFC 7515 section 3.1)."""
MAX_WORKSPACE = 255


class Permission(StrEnum):
    """One thing that can be allowed."""

    STATE_READ = "state:read"
    OUTPUTS_READ = "state:read-outputs"
    STATE_WRITE = "state:write"
    ROLL_BACK = "state:roll-back"
    LOCK = "lock:take"
    LOCK_TO_PLAN = "lock:take-to-plan"
    FORCE_UNLOCK = "lock:force"
    DELETE = "workspace:delete"
    LOG_READ = "log:read"
    ADMINISTER = "administer"


MEANINGS: Final[Mapping[Permission, str]] = {
    Permission.STATE_READ: "read states, with every version and every secret in them",
    Permission.OUTPUTS_READ: "read a state's root outputs and nothing else of it",
    Permission.STATE_WRITE: "store and import states",
    Permission.ROLL_BACK: "store an older version again as the newest",
    Permission.LOCK: "take and release locks",
    Permission.LOCK_TO_PLAN: "take and release locks for `plan` and `refresh` alone",
    Permission.FORCE_UNLOCK: "release locks that somebody else holds",
    Permission.DELETE: "delete workspaces, and bring them back",
    Permission.LOG_READ: "read the log",
    Permission.ADMINISTER: "change who may do what, how workspaces are kept, and where events go",
}
"""What each permission allows, for people; the documentation's table is made of it."""


class Role(StrEnum):
    """A named set of permissions."""

    ADMIN = "admin"
    OPERATOR = "operator"
    WRITER = "writer"
    PLANNER = "planner"
    READER = "reader"
    OUTPUTS_READER = "outputs-reader"
    AUDITOR = "auditor"


_PLANNER: Final = frozenset({Permission.STATE_READ, Permission.LOCK_TO_PLAN})
_WRITER: Final = _PLANNER | {Permission.STATE_WRITE, Permission.LOCK}

PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.ADMIN: frozenset(Permission),
    Role.OPERATOR: _WRITER | {Permission.FORCE_UNLOCK, Permission.ROLL_BACK, Permission.DELETE},
    Role.WRITER: _WRITER,
    Role.PLANNER: _PLANNER,
    Role.READER: frozenset({Permission.STATE_READ}),
    Role.OUTPUTS_READER: frozenset({Permission.OUTPUTS_READ}),
    Role.AUDITOR: frozenset({Permission.LOG_READ}),
}
"""The one table of roles. Nobody's permission edits the log: there is no such permission."""


EVERYWHERE: Final = "*"
"""In place of a workspace: all of them, those to come too."""


class Grant(NamedTuple):
    """A role on some workspaces, given or denied.

    Attributes:
        role: what is given; of a denial, whose permissions are taken away.
        workspaces: globs; ``*`` also matches ``/``.
        name: of the grant, for people; empty for what a token says of itself.
        deny: takes away instead of giving.
        sensitive_outputs: an outputs-reader also gets the outputs that are marked as sensitive.
    """

    role: Role
    workspaces: tuple[str, ...] = ("*",)
    name: str = ""
    deny: bool = False
    sensitive_outputs: bool = False

    def covers(self, permission: Permission, workspace: str | None) -> bool:
        """Tell whether this is about the permission there; without a workspace, about it at all.

        What is asked for everywhere is given only by a grant for all workspaces, and denied by
        one for any.
        """
        if permission not in PERMISSIONS[self.role]:
            return False
        if workspace == EVERYWHERE:
            return self.deny or EVERYWHERE in self.workspaces
        return workspace is None or matches_any(self.workspaces, workspace)

    def __str__(self) -> str:
        """Return it as people read it: ``writer on prod/*``."""
        return f"{self.role.value} on {', '.join(self.workspaces)}"


class Decision(NamedTuple):
    """Whether somebody may, and why.

    Attributes:
        allowed: the answer.
        reason: for people: which grant gives or denies it, or that none does.
        grant: the one that decided, if one did.
    """

    allowed: bool
    reason: str
    grant: Grant | None = None


_MAX_DECIDED: Final = 4096


class Rights:
    """What somebody may: the sum of their grants. A denial wins; nothing is allowed by default.

    Args:
        grants: of the principal.
        scope: what a token narrows them to; None narrows nothing.
    """

    __slots__ = ("_decided", "grants", "scope")

    def __init__(self, grants: Iterable[Grant] = (), scope: Grant | None = None) -> None:
        self.grants = tuple(grants)
        self.scope = scope
        self._decided: dict[tuple[Permission, str | None], Decision] = {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rights):
            return NotImplemented
        return (self.grants, self.scope) == (other.grants, other.scope)

    def __hash__(self) -> int:
        return hash((self.grants, self.scope))

    def __repr__(self) -> str:
        return f"Rights({self.grants!r}, {self.scope!r})"

    def decide(self, permission: Permission, workspace: str | None = None) -> Decision:
        """Return whether it is allowed, and why.

        Args:
            permission: what is asked for.
            workspace: where; EVERYWHERE for what concerns all of them; None asks whether it is
                allowed in any, which may decide no more than whether to go on asking.
        """
        key = permission, workspace
        found = self._decided.get(key)
        if found is None:
            if len(self._decided) >= _MAX_DECIDED:
                self._decided.clear()
            found = self._decided[key] = self._decide(permission, workspace)
        return found

    def _decide(self, permission: Permission, workspace: str | None) -> Decision:
        covering = [grant for grant in self.grants if grant.covers(permission, workspace)]
        for grant in covering:
            # Without a workspace, a denial in some of them leaves the others.
            if grant.deny and (workspace is not None or EVERYWHERE in grant.workspaces):
                return Decision(allowed=False, reason=f"{_titled(grant)} denies it", grant=grant)
        giving = [grant for grant in covering if not grant.deny] or self._implied(
            permission, workspace
        )
        if not giving:
            return Decision(allowed=False, reason="no grant allows it")
        if self.scope is not None and not self.scope.covers(permission, workspace):
            reason = f"the token is for {self.scope} alone"
            return Decision(allowed=False, reason=reason, grant=self.scope)
        grant = max(giving, key=lambda each: each.sensitive_outputs)
        return Decision(allowed=True, reason=f"{_titled(grant)} allows it", grant=grant)

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is given, anywhere."""
        return all(grant.deny for grant in self.grants)

    def _implied(self, permission: Permission, workspace: str | None) -> list[Grant]:
        """Return what gives the outputs of a state that one may read to a token for outputs alone.

        Without such a token nothing is implied: whoever is denied the state is denied its outputs.
        """
        scope = self.scope
        if permission is not Permission.OUTPUTS_READ or scope is None:
            return []
        whole = Rights(self.grants).decide(Permission.STATE_READ, workspace)
        return [scope._replace(sensitive_outputs=False)] if whole.allowed else []

    def roles(self) -> str:
        """Return the names of the roles that are given, for a sentence."""
        given = dict.fromkeys(grant.role.value for grant in self.grants if not grant.deny)
        return ", ".join(given) or "no role"

    def view(self, permission: Permission) -> "View":
        """Return which workspaces a permission holds for, for a search that shows only those."""
        given: dict[str, None] = {}
        denied: dict[str, None] = {}
        for grant in self.grants:
            if permission in PERMISSIONS[grant.role]:
                (denied if grant.deny else given).update(dict.fromkeys(grant.workspaces))
        scope: tuple[str, ...] = (EVERYWHERE,)
        if self.scope is not None:
            scope = self.scope.workspaces if permission in PERMISSIONS[self.scope.role] else ()
        return View(tuple(given), scope, tuple(denied))


class View(NamedTuple):
    """Which workspaces are shown: those of ``given`` and of ``scope``, but none of ``denied``.

    Attributes:
        given: globs of which one must match.
        scope: globs of which one must match, too.
        denied: globs of which none may match.
    """

    given: tuple[str, ...]
    scope: tuple[str, ...] = ("*",)
    denied: tuple[str, ...] = ()

    def shows(self, workspace: str | None) -> bool:
        """Tell whether something of this workspace is shown; None: of no workspace."""
        if workspace is None:
            given = EVERYWHERE in self.given and EVERYWHERE in self.scope
            return given and EVERYWHERE not in self.denied
        return (
            matches_any(self.given, workspace)
            and matches_any(self.scope, workspace)
            and not matches_any(self.denied, workspace)
        )


EVERYTHING: Final = View((EVERYWHERE,))
NO_RIGHTS: Final = Rights()


def rights_of(role: Role | None, *workspaces: str) -> Rights:
    """Return the rights of one role on some workspaces, all by default; None gives none."""
    return NO_RIGHTS if role is None else Rights([Grant(role, workspaces or ("*",))])


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody known, and what they may do.

    Attributes:
        kind: how the identity was proved: ``token``, ``user``, ``oidc``, ``certificate``,
            ``system`` or ``anonymous``.
        id: stable and unique: a token's or a principal's ID; of a CI identity issuer and subject.
        name: for people.
        rights: what they may.
        token_hint: the last six characters of the token, never more.
        holder: ID of the principal of the directory behind it; empty when there is none.
        holder_name: that principal's name.
        issuer: of a CI identity, the issuer's name.
        claims: of a CI identity, what its issuer says of it that is put on record; of a
            certificate, by which ``certificate`` name it is known, and its ``sha256``.
        all_claims: all that the issuer says, by which grants are found.
        session: the session's ID, when it is one.
        generation: of the directory that the rights are from; None when they are from none.
        token: of a CI identity, the ID of the token that its identity token was exchanged for.
        expires: RFC 3339 UTC; from then on nothing is done on its behalf. Empty has no such end.
    """

    kind: str
    id: str
    name: str
    rights: Rights = NO_RIGHTS
    token_hint: str = ""
    holder: str = ""
    holder_name: str = ""
    issuer: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict, hash=False)
    all_claims: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    session: str = ""
    generation: int | None = field(default=None, compare=False)
    token: str = ""
    expires: str = field(default="", compare=False)

    def allows(self, permission: Permission, workspace: str | None = None) -> bool:
        """Tell whether this principal may; a question without a workspace is a global one."""
        return self.rights.decide(permission, workspace).allowed

    def actor(self) -> dict[str, object]:
        """Return the ``actor`` object of an entry."""
        actor: dict[str, object] = {"type": self.kind, "id": self.id, "name": self.name}
        if self.token_hint:
            actor["token_hint"] = self.token_hint
        if self.holder and self.kind == "token":
            actor["principal"] = self.holder_name
        if self.issuer:
            actor["issuer"] = self.issuer
        if self.claims:
            actor["claims"] = dict(self.claims)
        if self.session:
            actor["session"] = self.session
        if self.token:
            actor["token"] = self.token
        return actor


def is_act(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry is the record of a success at its own time.

    One with a count is not: it tells of what was done before, when whoever did it might. So it is
    no use of their token or session, and nobody asks whether they still may. The writer goes by
    this, and so does whoever verifies what it wrote.
    """
    return entry["outcome"] == "success" and "count" not in entry


def proof_of(actor: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the IDs of the token and of the session with which an entry's actor proved who it is.

    At most one of them is given: a token needs no session.

    Args:
        actor: as an entry has it.
    """
    token: str | None = actor["id"] if actor["type"] == "token" else actor.get("token")
    return (token, None) if token is not None else (None, actor.get("session"))


def taker_of(actor: Mapping[str, Any]) -> str:
    """Return who took a lock, the same for every way in which one of them proves who they are.

    All tokens of a principal are that principal, as is whoever logs in as it; a rotated token is
    the one before; a CI identity is itself, with its own token or one given in exchange. A name
    counts among its own kind alone: a token may be named like somebody.

    Args:
        actor: as ``Principal.actor`` returns it, and as an entry has it.
    """
    kind = actor["type"]
    if kind == "token" and "principal" not in actor:
        return f"token:{actor['name']}"
    if kind in {"token", "user", "certificate"}:
        return f"principal:{actor.get('principal', actor['name'])}"
    return f"{kind}:{actor['id']}"


ANONYMOUS: Final = Principal("anonymous", "", "anonymous")
"""Whoever has not proved who they are; allowed nothing."""


class Caller(NamedTuple):
    """One request as the record tells it: the principal, from where, by what.

    Attributes:
        principal: who authenticated.
        ip: the client's address after trusted proxies are taken off.
        forwarded_for: the addresses that trusted proxies reported, nearest client first.
        user_agent: as the client says, cut to MAX_TEXT characters.
        request_id: also sent in the reply header ``Request-Id``.
        via: ``terraform``, ``api``, ``ui`` or ``cli``.
        method: the HTTP method, or the command of the command line.
        path: without the query.
    """

    principal: Principal
    ip: str
    request_id: str
    via: str
    method: str
    path: str
    user_agent: str = ""
    forwarded_for: tuple[str, ...] = ()


@lru_cache(maxsize=512)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


@lru_cache(maxsize=8192)
def matches_any(globs: tuple[str, ...], name: str) -> bool:
    """Tell whether any of the globs matches the whole name (``*`` matches ``/`` too)."""
    return any(_compiled(glob).match(name) for glob in globs)


def require(principal: Principal, permission: Permission, workspace: str | None = None) -> None:
    """Pass when the principal may; the one gate for everything that is guarded.

    Raises:
        ForbiddenError: with who, what, on what and why, for the record and for the person.
    """
    decision = principal.rights.decide(permission, workspace)
    if not decision.allowed:
        raise ForbiddenError(refusal(principal, permission, workspace, decision.reason))


def refusal(
    principal: Principal, permission: Permission, workspace: str | None, reason: str
) -> str:
    """Return the sentence that tells somebody what they may not, why, and what to do."""
    place = f" on {workspace}" if workspace is not None else ""
    who = f"{principal.name} ({principal.rights.roles()})"
    if principal.kind == "token" and not principal.holder:
        advice = "ask an administrator for a token whose role and workspaces allow it"
    else:
        advice = f"{reason}; ask an administrator for a grant"
    return f"{who} may not {permission.value}{place}: {advice}"


def _titled(grant: Grant) -> str:
    return f"the grant {grant.name} ({grant})" if grant.name else f"{grant}"


@lru_cache(maxsize=8192)
def parse_workspace(name: str) -> str:
    """Return the name when it is a workspace's: segments ``[A-Za-z0-9._-]+`` joined by ``/``.

    Raises:
        InvalidInputError: for anything else, for ``.`` and ``..`` as a segment, for what looks
            like a token of ours, and for a name that ends in the reserved words ``lock`` or
            ``unlock``.
    """
    segments = name.split("/")
    if len(name) > MAX_WORKSPACE or not _WORKSPACE.fullmatch(name):
        message = (
            "the workspace in the address must be one or more segments of letters, digits, "
            f"'.', '_' or '-', joined by '/', at most {MAX_WORKSPACE} characters in all"
        )
        raise InvalidInputError(message)
    if "." in segments or ".." in segments:
        message = "the workspace in the address may not have '.' or '..' as a segment"
        raise InvalidInputError(message)
    if _TOKEN.search(name):
        # Whoever mistakes the one for the other must not find it in the record for ever.
        message = "the workspace in the address looks like a token: revoke it if it is one"
        raise InvalidInputError(message)
    if segments[-1] in _RESERVED:
        message = "the last segment of a workspace may not be 'lock' or 'unlock'"
        raise InvalidInputError(message)
    return name


def printable(text: str, limit: int = MAX_TEXT) -> str:
    """Return a client's text fit for a record: cut, and without lone surrogates.

    Header values arrive decoded with surrogate escapes, which no JSON can carry.
    """
    text = text[:limit]
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")
