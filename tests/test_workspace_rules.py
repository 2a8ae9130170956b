"""Tests of proxy.workspace_rules."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from proxy.access import Permission, Role
from proxy.directory import WorkspaceRecord
from proxy.errors import ForbiddenError, TfauditError
from proxy.refusals import (
    BodyTooLargeError,
    DestroyedError,
    LockRequiredError,
    ProtectedError,
    PrunedError,
    WorkspaceDeletedError,
)
from proxy.workspace_rules import (
    force_permission,
    require_alive,
    require_forcing,
    require_kept,
    require_lock,
    require_lockable,
    require_size,
    require_writable,
    standing,
)
from tests.samples import WORKSPACE, a_caller, a_held_lock, a_version

TOKEN = a_caller(Role.ADMIN).principal
OIDC = replace(TOKEN, kind="oidc")
DELETED = {
    "deleted": "2026-11-22T10:00:00.000000Z",
    "restorable_until": "2026-12-22T10:00:00.000000Z",
}
PLAN, APPLY = "OperationTypePlan", "OperationTypeApply"


def a_record(**settings: Any) -> WorkspaceRecord:
    """Return settings of the workspace."""
    return WorkspaceRecord(name=WORKSPACE, **settings)


@pytest.mark.parametrize(
    "passes",
    [
        lambda: require_alive(a_record()),
        lambda: require_writable(a_record(), TOKEN),
        lambda: require_writable(a_record(protected=True), OIDC),
        lambda: require_lockable(a_record(protected=True), TOKEN, PLAN),
        lambda: require_lockable(a_record(protected=True), TOKEN, "OperationTypeRefresh"),
        lambda: require_lockable(a_record(protected=True), OIDC, APPLY),
        lambda: require_size(a_record(), 10**12),
        lambda: require_size(a_record(body_limit=10), 10),
        lambda: require_lock(a_record(), None),
        lambda: require_lock(a_record(require_lock=True), a_held_lock()),
        lambda: require_kept(a_version(3), a_record(destroyed_versions=2)),
    ],
)
def test_what_the_settings_allow_passes(passes: Callable[[], None]) -> None:
    """Without a word."""
    passes()


@pytest.mark.parametrize(
    ("refused", "error", "says"),
    [
        (lambda: require_alive(a_record(**DELETED)), WorkspaceDeletedError, "workspace restore"),
        (
            lambda: require_alive(a_record(**DELETED, purged=True)),
            WorkspaceDeletedError,
            "states are destroyed",
        ),
        (lambda: require_writable(a_record(**DELETED), OIDC), WorkspaceDeletedError, "was deleted"),
        (
            lambda: require_lockable(a_record(**DELETED), OIDC, PLAN),
            WorkspaceDeletedError,
            "was deleted",
        ),
        (
            lambda: require_writable(a_record(protected=True), TOKEN),
            ProtectedError,
            "workspace update prod/network --no-protected",
        ),
        (
            lambda: require_lockable(a_record(protected=True), TOKEN, APPLY),
            ProtectedError,
            "is protected",
        ),
        (
            lambda: require_lockable(a_record(protected=True), TOKEN, ""),
            ProtectedError,
            "is protected",
        ),
        (
            lambda: require_size(a_record(body_limit=10), 11),
            BodyTooLargeError,
            "11 bytes, and prod/network takes 10",
        ),
        (
            lambda: require_lock(a_record(require_lock=True), None),
            LockRequiredError,
            "-lock=false",
        ),
        (
            lambda: require_kept(a_version(2), a_record(destroyed_versions=2)),
            DestroyedError,
            "version 2 of prod/network was destroyed",
        ),
        (
            lambda: require_kept(
                a_version(2)._replace(pruned="2026-11-22T10:00:00.000000Z", pruned_by=7), a_record()
            ),
            PrunedError,
            "version 2 of prod/network was pruned at 2026-11-22T10:00:00.000000Z, as entry 7",
        ),
    ],
)
def test_what_the_settings_forbid_is_refused_with_what_to_do(
    refused: Callable[[], None], error: type[TfauditError], says: str
) -> None:
    """Each by its own class."""
    with pytest.raises(error, match=says):
        refused()


@pytest.mark.parametrize(
    ("setting", "role", "allowed"),
    [
        ("writer", Role.PLANNER, False),
        ("writer", Role.WRITER, True),
        ("writer", Role.OPERATOR, True),
        ("operator", Role.WRITER, False),
        ("operator", Role.OPERATOR, True),
        ("admin", Role.OPERATOR, False),
        ("admin", Role.ADMIN, True),
    ],
)
def test_who_forces_a_lock_is_the_workspaces_setting(
    setting: Any, role: Role, allowed: bool
) -> None:
    """Whoever has the role there, or more."""
    record = a_record(force_unlock=setting)
    if allowed:
        require_forcing(record, a_caller(role).principal)
    else:
        with pytest.raises(ForbiddenError, match=r"may not lock:force on prod/network"):
            require_forcing(record, a_caller(role).principal)


def test_a_right_elsewhere_forces_nothing_here() -> None:
    """It is asked for there."""
    caller = a_caller(Role.OPERATOR, workspaces=("dev/*",))
    with pytest.raises(ForbiddenError):
        require_forcing(a_record(), caller.principal)


def test_the_refusal_says_what_it_takes_there() -> None:
    """An operator would wonder."""
    record = a_record(force_unlock="admin")
    with pytest.raises(ForbiddenError, match="there it takes an administrator"):
        require_forcing(record, a_caller(Role.OPERATOR).principal)
    assert Permission.ADMINISTER is force_permission(record)


@pytest.mark.parametrize(
    ("number", "destroyed", "stands"), [(1, 0, True), (2, 2, False), (3, 2, True)]
)
def test_what_was_destroyed_does_not_stand(number: int, destroyed: int, stands: bool) -> None:
    """The versions after it do."""
    head = a_version(number)
    assert (head if stands else None) == standing(head, a_record(destroyed_versions=destroyed))
    assert standing(None, a_record()) is None
