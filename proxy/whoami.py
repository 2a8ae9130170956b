"""What somebody is told of themselves: who they are, what they were granted, what they may and why.

The shape is the API's and the command line's alike.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from proxy.access import (
    EVERYWHERE,
    MEANINGS,
    Grant,
    Permission,
    Principal,
    Role,
    parse_workspace,
)

_PROVED: Final[Mapping[str, str]] = {
    "token": "a token",
    "user": "a session that began with user name and password",
    "oidc": "an identity token of the issuer {issuer}",
    "certificate": "a client certificate",
    "system": "access to the data directory",
    "anonymous": "nothing",
}


class Granted(Struct, frozen=True):
    """A role on some workspaces, given or denied.

    Attributes:
        name: of the grant; empty for what a token gives by itself.
        role: whose permissions.
        workspaces: globs.
        deny: they are taken away instead of given.
        sensitive_outputs: outputs that are marked as sensitive are given, too.
    """

    name: str
    role: Role
    workspaces: tuple[str, ...]
    deny: bool = False
    sensitive_outputs: bool = False


class Allowed(Struct, frozen=True):
    """Whether something is allowed on the workspace that was asked about.

    Attributes:
        permission: its name.
        meaning: for people.
        allowed: the answer.
        reason: which grant gives or denies it, or that none does.
    """

    permission: Permission
    meaning: str
    allowed: bool
    reason: str


class WhoAmI(Struct, frozen=True):
    """Who is asking.

    Attributes:
        kind: how the identity was proved: ``token``, ``user``, ``oidc``, ``certificate`` or
            ``system``.
        id: stable and unique, as entries of the log have it.
        name: for people.
        proved_by: the same as kind, in words.
        roles: that are given somewhere.
        grants: all that was granted and denied.
        scope: what the token narrows them to; null narrows nothing.
        workspace: that was asked about; null: about none.
        permissions: each permission there is, and whether it is allowed on that workspace.
        token_hint: the last six characters of the token.
        principal: whose token it is, or who is behind the certificate or session.
        issuer: who vouches for it.
        claims: what the issuer says of it, as far as it is put on record.
        csrf: what a change must send as ``X-CSRF-Token`` beside the session's cookie.
    """

    kind: str
    id: str
    name: str
    proved_by: str
    roles: tuple[Role, ...]
    grants: tuple[Granted, ...]
    scope: Granted | None
    workspace: str | None
    permissions: tuple[Allowed, ...]
    token_hint: str | UnsetType = UNSET
    principal: str | UnsetType = UNSET
    issuer: str | UnsetType = UNSET
    claims: dict[str, Any] | UnsetType = UNSET
    csrf: str | UnsetType = UNSET


def who_am_i(principal: Principal, workspace: str | None = None, csrf: str = "") -> WhoAmI:
    """Return what somebody is told of themselves.

    Args:
        principal: who asks.
        workspace: on which to say what is allowed; None says it of none.
        csrf: of the session, if it is one.

    Raises:
        InvalidInputError: that is no workspace's name.
    """
    if workspace is not None:
        parse_workspace(workspace)
    rights = principal.rights
    given = dict.fromkeys(grant.role for grant in rights.grants if not grant.deny)
    return WhoAmI(
        kind=principal.kind,
        id=principal.id,
        name=principal.name,
        proved_by=_PROVED[principal.kind].format(issuer=principal.issuer),
        roles=tuple(given),
        grants=tuple(map(_granted, rights.grants)),
        scope=None if rights.scope is None else _granted(rights.scope),
        workspace=workspace,
        permissions=() if workspace is None else _permissions(principal, workspace),
        token_hint=principal.token_hint or UNSET,
        principal=principal.holder_name or UNSET,
        issuer=principal.issuer or UNSET,
        claims=dict(principal.claims) or UNSET,
        csrf=csrf or UNSET,
    )


def _permissions(principal: Principal, workspace: str) -> tuple[Allowed, ...]:
    told = []
    for permission in Permission:
        # Whoever administers does so everywhere, or not at all.
        place = EVERYWHERE if permission is Permission.ADMINISTER else workspace
        allowed, reason, _ = principal.rights.decide(permission, place)
        told.append(Allowed(permission, MEANINGS[permission], allowed, reason))
    return tuple(told)


def _granted(grant: Grant) -> Granted:
    return Granted(grant.name, grant.role, grant.workspaces, grant.deny, grant.sensitive_outputs)
