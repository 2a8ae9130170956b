"""What the settings of a workspace allow: the rules of deletion, protection and locks, without I/O.

They are applied in the transaction, to the settings as they are stored at that moment.
"""

from collections.abc import Mapping
from typing import Final

from proxy.access import Permission, Principal, refusal
from proxy.contracts import HeldLock, StateVersion
from proxy.directory import WorkspaceRecord
from proxy.errors import ForbiddenError
from proxy.refusals import (
    BodyTooLargeError,
    DestroyedError,
    LockRequiredError,
    ProtectedError,
    PrunedError,
    WorkspaceDeletedError,
)
from proxy.tfstate.lock import PLAN_OPERATIONS

_OF_ISSUERS: Final = "oidc"
"""The kind of principal that an issuer vouches for."""

_FORCING: Final[Mapping[str, Permission]] = {
    "writer": Permission.LOCK,
    "operator": Permission.FORCE_UNLOCK,
    "admin": Permission.ADMINISTER,
}
_HIGHER: Final[Mapping[str, str]] = {"admin": "an administrator", "operator": "an operator"}


def standing(head: StateVersion | None, record: WorkspaceRecord) -> StateVersion | None:
    """Return the newest version that still exists; None is certain knowledge that there is none.

    Args:
        head: the newest version that was ever stored.
        record: the workspace's settings.
    """
    if head is None or head.number <= record.destroyed_versions:
        return None
    return head


def require_alive(record: WorkspaceRecord) -> None:
    """Pass when the workspace is not deleted.

    Raises:
        WorkspaceDeletedError: with when, and what can be done about it.
    """
    if record.deleted is None:
        return
    name = record.name
    if record.purged:
        raise WorkspaceDeletedError(
            f"{name} was deleted at {record.deleted} and its states are destroyed: choose another "
            f"name, or an administrator frees this one with `tfaudit workspace create {name} "
            "--reuse`"
        )
    raise WorkspaceDeletedError(
        f"{name} was deleted at {record.deleted}; until {record.restorable_until} an operator can "
        f"bring it back with `tfaudit workspace restore {name}`"
    )


def require_kept(version: StateVersion, record: WorkspaceRecord) -> None:
    """Pass when a version's bytes were destroyed neither by a purge nor by retention.

    Raises:
        DestroyedError, PrunedError: they were.
    """
    require_unpruned(version)
    if version.number <= record.destroyed_versions:
        raise DestroyedError(
            f"version {version.number} of {version.workspace} was destroyed when the workspace was "
            "purged: nothing but what the log says of it is left"
        )


def require_unpruned(version: StateVersion) -> None:
    """Pass when a version's bytes were not destroyed by retention.

    Raises:
        PrunedError: they were; says when, and which entry records it.
    """
    if version.pruned is not None:
        raise PrunedError(
            f"version {version.number} of {version.workspace} was pruned at {version.pruned}, as "
            f"entry {version.pruned_by} records: nothing but what the log says of it is left; "
            f"`tfaudit state versions {version.workspace}` shows which versions are kept"
        )


def require_writable(record: WorkspaceRecord, principal: Principal) -> None:
    """Pass when states may be written there, and locked for that, by somebody of this kind.

    Raises:
        WorkspaceDeletedError: nobody may.
        ProtectedError: only an identity that an issuer vouches for may.
    """
    require_alive(record)
    if record.protected and principal.kind != _OF_ISSUERS:
        raise ProtectedError(
            f"{principal.name} may not write {record.name}: it is protected, so that only runs of "
            "a CI system with an identity token of an issuer change it; in an emergency an "
            f"administrator runs `tfaudit workspace update {record.name} --no-protected`, which is "
            "on record"
        )


def require_lockable(record: WorkspaceRecord, principal: Principal, operation: str) -> None:
    """Pass when the workspace may be locked for an operation by somebody of this kind.

    Raises:
        WorkspaceDeletedError, ProtectedError: as ``require_writable``; a plan is no write.
    """
    if operation in PLAN_OPERATIONS:
        require_alive(record)
    else:
        require_writable(record, principal)


def require_size(record: WorkspaceRecord, size: int) -> None:
    """Pass when a state of so many bytes may be stored.

    Raises:
        BodyTooLargeError: the workspace's own limit is lower.
    """
    if record.body_limit is not None and size > record.body_limit:
        raise BodyTooLargeError(
            f"the state has {size} bytes, and {record.name} takes {record.body_limit}: split it, "
            "or raise the workspace's body_limit"
        )


def require_lock(record: WorkspaceRecord, lock: HeldLock | None) -> None:
    """Pass when an upload may come without a lock, or there is one, whoever holds it.

    Raises:
        LockRequiredError: none is held, and the workspace wants one.
    """
    if record.require_lock and lock is None:
        raise LockRequiredError(
            f"{record.name} takes no upload without a lock: run again without -lock=false, with "
            "lock_address in the backend block; what a run could not save, `terraform state push` "
            "stores"
        )


def require_forcing(record: WorkspaceRecord, principal: Principal) -> None:
    """Pass when the principal may release a lock there that somebody else holds.

    Raises:
        ForbiddenError: the workspace's settings ask for more than the principal may.
    """
    permission = force_permission(record)
    decision = principal.rights.decide(permission, record.name)
    if not decision.allowed:
        told = refusal(principal, Permission.FORCE_UNLOCK, record.name, decision.reason)
        if record.force_unlock in _HIGHER:
            told += f"; there it takes {_HIGHER[record.force_unlock]}"
        raise ForbiddenError(told)


def force_permission(record: WorkspaceRecord) -> Permission:
    """Return what somebody needs to release a lock there that somebody else holds."""
    return _FORCING[record.force_unlock]
