"""Tests of proxy.whoami."""

import msgspec
import pytest

from proxy.access import Grant, Permission, Principal, Rights, Role, rights_of
from proxy.errors import InvalidInputError
from proxy.whoami import WhoAmI, who_am_i

ALICE = Principal(
    "token",
    "id-1",
    "alice-ci",
    Rights(
        [
            Grant(Role.WRITER, ("prod/*",), "alice-writes"),
            Grant(Role.READER, ("prod/secret",), "but-not-that", deny=True),
            Grant(Role.ADMIN, ("dev/*",), "alice-dev"),
        ],
        Grant(Role.ADMIN, ("prod/*",)),
    ),
    "a1b2c3",
    holder="id-2",
    holder_name="alice",
)


def allowed(told: WhoAmI) -> dict[str, bool]:
    """Return each permission's answer."""
    return {each.permission.value: each.allowed for each in told.permissions}


def test_identity_and_grants_are_told() -> None:
    """With how it was proved, and never more of a token than its hint."""
    told = who_am_i(ALICE)
    assert ("token", "id-1", "alice-ci", "alice", "a1b2c3", "a token") == (
        told.kind,
        told.id,
        told.name,
        told.principal,
        told.token_hint,
        told.proved_by,
    )
    assert (Role.WRITER, Role.ADMIN) == told.roles
    assert ["alice-writes", "but-not-that", "alice-dev"] == [each.name for each in told.grants]
    assert told.scope is not None
    assert ("prod/*",) == told.scope.workspaces


def test_without_a_workspace_no_permission_is_told() -> None:
    """What is allowed depends on where."""
    assert () == who_am_i(ALICE).permissions


def test_each_permission_is_told_with_the_reason() -> None:
    """Which grant gives it, denies it, or that none gives it."""
    told = who_am_i(ALICE, "prod/web")
    assert list(Permission) == [each.permission for each in told.permissions]
    why = {each.permission: each.reason for each in told.permissions}
    assert "the grant alice-writes (writer on prod/*) allows it" == why[Permission.STATE_WRITE]
    assert "no grant allows it" == why[Permission.FORCE_UNLOCK]
    denied = {each.permission: each.reason for each in who_am_i(ALICE, "prod/secret").permissions}
    assert (
        "the grant but-not-that (reader on prod/secret) denies it"
        == (denied[Permission.STATE_READ])
    )


def test_a_token_that_narrows_is_the_reason() -> None:
    """The grant gives it, the token does not hold there."""
    told = who_am_i(ALICE, "dev/web")
    assert {False} == set(allowed(told).values())
    assert "the token is for admin on prod/* alone" in {each.reason for each in told.permissions}


def test_an_administrator_of_some_workspaces_does_not_administer() -> None:
    """As that is asked for everywhere."""
    some = Principal("user", "id", "bob", rights_of(Role.ADMIN, "prod/*"))
    every = Principal("user", "id", "bob", rights_of(Role.ADMIN))
    assert not allowed(who_am_i(some, "prod/web"))["administer"]
    assert allowed(who_am_i(every, "prod/web"))["administer"]


def test_what_is_no_workspace_is_refused() -> None:
    """By the rules of its name."""
    with pytest.raises(InvalidInputError, match="segment"):
        who_am_i(ALICE, "prod/lock")


def test_it_can_be_read_back() -> None:
    """The command line reads what a server says."""
    told = who_am_i(ALICE, "prod/web")
    assert told == msgspec.json.decode(msgspec.json.encode(told), type=WhoAmI)
