"""Tests of proxy.lock_service: planners, who may force a lock, protected workspaces."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.access import Caller, Principal, Role, taker_of
from proxy.contracts import Store
from proxy.directory_service import DirectoryService
from proxy.errors import ForbiddenError
from proxy.lock_service import LockService
from proxy.refusals import LockRefusedError, UnlockRefusedError
from proxy.tfstate import lock as lock_infos
from tests.samples import (
    WORKSPACE,
    a_caller,
    a_held_lock,
    a_lock_info,
    an_open_store,
    events_of,
    last_of,
    md5_of,
)

PLANNER = a_caller(Role.PLANNER)
WRITER = a_caller(Role.WRITER, name="bob")
OPERATOR = a_caller(Role.OPERATOR)
PLAN, REFRESH, APPLY = (f"OperationType{name}" for name in ("Plan", "Refresh", "Apply"))
ID_ONLY = b'{"ID": "lock-1", "Created": "0001-01-01T00:00:00Z"}'


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open an empty store."""
    async with an_open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def locks(store: Store) -> LockService:
    """Return the service over it."""
    return LockService(store)


async def keep(store: Store, **settings: Any) -> None:
    """Give the workspace these settings."""
    directory = DirectoryService(store, lambda: datetime.now(UTC), os.urandom)
    await directory.create(a_caller(), "workspace", {"name": WORKSPACE, **settings})


async def is_locked(store: Store) -> bool:
    """Tell whether the lock is held."""
    return bool(await store.locks())


# ---------------------------------------------------------------- planners


@pytest.mark.parametrize("operation", [PLAN, REFRESH])
async def test_a_planner_locks_and_unlocks_to_plan(
    store: Store, locks: LockService, operation: str
) -> None:
    """With the body, and by its MD5 when the body got lost on the way."""
    info = a_lock_info("lock-1", operation)
    for body in (info, b""):
        await locks.lock(PLANNER, WORKSPACE, info, None)
        await locks.unlock(PLANNER, WORKSPACE, body, md5_of(info))
        assert not await is_locked(store)
    assert ["state.locked", "state.unlocked"] * 2 == await events_of(store)


@pytest.mark.parametrize(
    ("operation", "shown"),
    [
        (APPLY, "not for apply"),
        ("state-push", "not for state-push"),
        ("OperationTypeInvalid", "not for invalid"),
        ("", "not for other operations"),
        ("OperationTypePlan ", "not for plan "),
        ("operationtypeplan", "not for operationtypeplan"),
    ],
)
async def test_a_planner_locks_for_nothing_else(
    store: Store, locks: LockService, operation: str, shown: str
) -> None:
    """The reason stands in the LockInfo, where Terraform shows it."""
    with pytest.raises(LockRefusedError) as caught:
        await locks.lock(PLANNER, WORKSPACE, a_lock_info("lock-1", operation), None)
    told = lock_infos.parse(caught.value.info)
    assert "alice (planner) may lock prod/network for plan and refresh alone" in told.id
    assert shown in told.id
    assert told.id == told.info
    entry = await last_of(store)
    assert ("state.lock_refused", "denied", 423) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )


async def test_a_planner_releases_no_lock_that_was_taken_to_write(
    store: Store, locks: LockService
) -> None:
    """Not even with its ID, whatever it says of itself; nor by the MD5 of its body."""
    held = a_lock_info("lock-1", APPLY, "bob@runner")
    await locks.lock(WRITER, WORKSPACE, held, None)
    with pytest.raises(ForbiddenError):
        await locks.unlock(PLANNER, WORKSPACE, held, None)
    for body, md5 in ((a_lock_info("lock-1", PLAN), None), (b"", md5_of(held))):
        with pytest.raises(ForbiddenError, match="is locked for apply"):
            await locks.unlock(PLANNER, WORKSPACE, body, md5)
        entry = await last_of(store)
        assert ("state.unlock_refused", "denied", 403) == (
            entry["event"],
            entry["outcome"],
            entry["request"]["status"],
        )
    assert await is_locked(store)


async def test_a_planner_does_not_release_the_lock_of_another_plan(locks: LockService) -> None:
    """Without its ID."""
    await locks.lock(WRITER, WORKSPACE, a_lock_info("lock-2", PLAN), None)
    with pytest.raises(UnlockRefusedError):
        await locks.unlock(PLANNER, WORKSPACE, a_lock_info("lock-1", PLAN), None)


async def test_a_writer_releases_its_locks_with_their_ids(store: Store, locks: LockService) -> None:
    """As ever."""
    for operation in (PLAN, APPLY):
        await locks.lock(WRITER, WORKSPACE, a_lock_info("lock-1", operation), None)
        await locks.unlock(WRITER, WORKSPACE, a_lock_info("lock-1", operation), None)
    assert not await is_locked(store)


@pytest.mark.parametrize(
    ("caller", "operation"), [(PLANNER, PLAN), (OPERATOR, APPLY), (WRITER, PLAN)]
)
async def test_a_lock_is_confirmed_to_who_took_it_for_what_it_was_taken_alone(
    store: Store, locks: LockService, caller: Caller, operation: str
) -> None:
    """Everybody learns its ID who is refused it."""
    held = a_lock_info("lock-1", APPLY)
    await locks.lock(WRITER, WORKSPACE, held, None)
    with pytest.raises(LockRefusedError, match="is locked by") as caught:
        await locks.lock(caller, WORKSPACE, a_lock_info("lock-1", operation), None)
    assert held == caught.value.info
    assert "state.lock_refused" == (await last_of(store))["event"]


# ---------------------------------------------------------------- forcing


@pytest.mark.parametrize(
    ("setting", "caller", "allowed"),
    [
        ("writer", PLANNER, False),
        ("writer", WRITER, True),
        ("operator", WRITER, False),
        ("operator", OPERATOR, True),
        ("admin", OPERATOR, False),
        ("admin", a_caller(Role.ADMIN), True),
    ],
)
@pytest.mark.parametrize("body", [b"", ID_ONLY], ids=["empty", "ID only"])
async def test_who_forces_a_lock_is_the_workspaces_setting(  # noqa: PLR0917 - a row of a table
    store: Store, locks: LockService, setting: str, caller: Caller, allowed: bool, body: bytes
) -> None:
    """Read in the transaction; a refusal is on record with what it takes, and the lock stays."""
    await keep(store, force_unlock=setting)
    await locks.lock(WRITER, WORKSPACE, a_lock_info(), None)
    if allowed:
        await locks.unlock(caller, WORKSPACE, body, None)
        assert "state.force_unlocked" == (await last_of(store))["event"]
    else:
        with pytest.raises(ForbiddenError, match="may not lock:force on prod/network"):
            await locks.unlock(caller, WORKSPACE, body, None)
        entry = await last_of(store)
        needed = {"writer": "lock:take", "operator": "lock:force", "admin": "administer"}
        assert ("access.denied", "denied", needed[setting]) == (
            entry["event"],
            entry["outcome"],
            entry["permission"],
        )
    assert allowed != await is_locked(store)


@pytest.mark.parametrize(
    ("body", "md5"),
    [
        (a_lock_info(who="mallory"), None),
        (b'{"ID": "lock-1", "Who": "mallory"}', None),
        (a_lock_info(), None),
        (b"", md5_of(a_lock_info())),
    ],
    ids=["its ID", "its ID alone with a name", "its whole body", "the MD5 of that"],
)
@pytest.mark.parametrize("may_force", [False, True])
async def test_another_than_who_took_a_lock_forces_it_whatever_it_knows_of_it(
    store: Store, locks: LockService, body: bytes, md5: str | None, *, may_force: bool
) -> None:
    """All of it stands in the answer to whoever is refused the lock."""
    await locks.lock(a_caller(Role.WRITER, name="ci"), WORKSPACE, a_lock_info(), None)
    if may_force:
        await locks.unlock(OPERATOR, WORKSPACE, body, md5)
        assert "state.force_unlocked" == (await last_of(store))["event"]
    else:
        with pytest.raises(ForbiddenError, match="may not lock:force"):
            await locks.unlock(WRITER, WORKSPACE, body, md5)
        assert "access.denied" == (await last_of(store))["event"]
    assert may_force != await is_locked(store)


_OF_ANN = Principal("token", "t1", "laptop", holder="p1", holder_name="ann")


@pytest.mark.parametrize(
    ("taker", "other", "same"),
    [
        (Principal("token", "1", "ci"), Principal("token", "2", "ci"), True),
        (Principal("token", "1", "ci"), Principal("token", "2", "cd"), False),
        (_OF_ANN, replace(_OF_ANN, id="t2", name="desk"), True),
        (_OF_ANN, Principal("user", "p1", "ann", holder="p1", holder_name="ann"), True),
        (_OF_ANN, replace(_OF_ANN, holder="p2", holder_name="bob"), False),
        (_OF_ANN, Principal("token", "1", "ann"), False),
        (Principal("oidc", "gh:a", "web"), Principal("oidc", "gh:a", "web", token="7"), True),
        (Principal("oidc", "gh:a", "web"), Principal("oidc", "gl:a", "web"), False),
        (Principal("oidc", "gh:a", "web"), Principal("token", "1", "web"), False),
    ],
)
def test_who_took_a_lock_is_known_by_kind_and_name(
    taker: Principal, other: Principal, *, same: bool
) -> None:
    """A rotated token and another one of the same principal are the same; a namesake is not."""
    lock = replace(a_held_lock(), actor=taker.name, taker=taker_of(taker.actor()))
    assert same == lock.is_of(other)


def test_who_took_a_lock_before_that_was_stored_is_known_by_name() -> None:
    """Of the token or of who it belongs to: a run goes on through an upgrade."""
    lock = replace(a_held_lock(), actor="ann", taker="")
    assert (True, False) == (lock.is_of(_OF_ANN), lock.is_of(WRITER.principal))


# ---------------------------------------------------------------- protection


async def test_a_protected_workspace_is_locked_to_write_by_identities_of_an_issuer_alone(
    store: Store, locks: LockService
) -> None:
    """Everybody else may lock to plan."""
    await keep(store, protected=True)
    await locks.lock(OPERATOR, WORKSPACE, a_lock_info("lock-1", PLAN), None)
    await locks.unlock(OPERATOR, WORKSPACE, a_lock_info("lock-1", PLAN), None)
    with pytest.raises(LockRefusedError) as caught:
        await locks.lock(OPERATOR, WORKSPACE, a_lock_info(), None, wait=30)
    assert "it is protected" in lock_infos.parse(caught.value.info).id
    entry = await last_of(store)
    assert ("state.lock_refused", "denied", 423) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )
    oidc = OPERATOR._replace(principal=replace(OPERATOR.principal, kind="oidc"))
    await locks.lock(oidc, WORKSPACE, a_lock_info(), None)
    assert await is_locked(store)
