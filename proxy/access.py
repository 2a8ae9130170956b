"""Who is asking, and may they: principals, roles, permissions, and the one gate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple

from proxy.errors import ForbiddenError, InvalidInputError

MAX_TEXT = 256
"""Characters kept of a text that a client says of itself (user agent, host name …)."""

_WORKSPACE = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*", re.ASCII)
_RESERVED = frozenset({"lock", "unlock"})
MAX_WORKSPACE = 255


class Permission(StrEnum):
    """One thing that can be allowed."""

    STATE_READ = "state:read"
    STATE_WRITE = "state:write"
    LOCK = "lock:take"
    FORCE_UNLOCK = "lock:force"
    LOG_READ = "log:read"
    ADMINISTER = "administer"


class Role(StrEnum):
    """A named set of permissions."""

    ADMIN = "admin"
    WRITER = "writer"
    READER = "reader"
    AUDITOR = "auditor"


PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.WRITER: frozenset(
        {
            Permission.STATE_READ,
            Permission.STATE_WRITE,
            Permission.LOCK,
            Permission.FORCE_UNLOCK,
        }
    ),
    Role.READER: frozenset({Permission.STATE_READ}),
    Role.AUDITOR: frozenset({Permission.LOG_READ}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody known, and what they may do.

    Attributes:
        kind: how the identity was proved: ``token``, ``system`` or ``anonymous``.
        id: stable and unique; a token's ID.
        name: for people.
        role: what is allowed; None allows nothing.
        workspaces: globs the role holds for; ``*`` also matches ``/``.
        token_hint: the last six characters of the token, never more.
    """

    kind: str
    id: str
    name: str
    role: Role | None
    workspaces: tuple[str, ...] = ("*",)
    token_hint: str = ""

    def allows(self, permission: Permission, workspace: str | None = None) -> bool:
        """Tell whether this principal may; a question without a workspace is a global one."""
        if self.role is None or permission not in PERMISSIONS[self.role]:
            return False
        return workspace is None or matches_any(self.workspaces, workspace)

    def actor(self) -> dict[str, object]:
        """Return the ``actor`` object of an entry."""
        actor: dict[str, object] = {"type": self.kind, "id": self.id, "name": self.name}
        if self.token_hint:
            actor["token_hint"] = self.token_hint
        return actor


ANONYMOUS = Principal("anonymous", "", "anonymous", None, ())
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
        ForbiddenError: with who, what and on what, for the record and for the person.
    """
    if principal.allows(permission, workspace):
        return
    place = f" on {workspace}" if workspace is not None else ""
    role = principal.role.value if principal.role else "no role"
    message = (
        f"{principal.name} ({role}) may not {permission.value}{place}: "
        "ask an administrator for a token whose role and workspaces allow it"
    )
    raise ForbiddenError(message)


@lru_cache(maxsize=8192)
def parse_workspace(name: str) -> str:
    """Return the name when it is a workspace's: segments ``[A-Za-z0-9._-]+`` joined by ``/``.

    Raises:
        InvalidInputError: for anything else, for ``.`` and ``..`` as a segment, and for a
            name that ends in the reserved words ``lock`` or ``unlock``.
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
