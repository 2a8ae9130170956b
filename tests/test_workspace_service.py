"""Tests of proxy.workspace_service."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.access import Caller, Role
from proxy.contracts import Store
from proxy.directory import Object, WorkspaceRecord
from proxy.directory_service import DirectoryService
from proxy.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    LockedError,
    NotFoundError,
    TfauditError,
    UnavailableError,
)
from proxy.lock_service import LockService
from proxy.refusals import DestroyedError, LockRefusedError, WorkspaceDeletedError
from proxy.retention import KEEP_ALL, Retention
from proxy.retention_service import RetentionService
from proxy.state_service import StateService
from proxy.storage.sqlite import SQLiteStore
from proxy.workspace_service import WorkspaceService
from tests.documents import check_entries
from tests.fakes import START, FakeStore, Fault
from tests.samples import (
    WORKSPACE,
    Clock,
    a_caller,
    a_lock_info,
    a_state,
    an_audit_log,
    events_of,
    last_of,
    log_of,
)
from tests.test_state_service import a_service, write

ADMIN = a_caller()
OPERATOR = a_caller(Role.OPERATOR)
WRITER = a_caller(Role.WRITER)
DAY = 86_400_000_000


class World:
    """A store with all that works on it, and a clock that can be set."""

    def __init__(self, store: Store, clock: Clock, rules: Retention = KEEP_ALL) -> None:
        self.store = store
        self.clock = clock
        self.states: StateService = a_service(store)
        self.locks = LockService(store)
        self.directory = DirectoryService(store, self.now, os.urandom)
        self.workspaces = WorkspaceService(store, self.now, os.urandom, grace_days=30)
        self.retention = RetentionService(store, rules, lambda: clock.micros)

    def now(self) -> datetime:
        """Return the present."""
        return datetime.fromtimestamp(self.clock.micros / 1_000_000, UTC)

    async def record(self) -> WorkspaceRecord:
        """Return the workspace's settings as they are stored."""
        directory = (await self.store.write(lambda tx: tx.directory())).value
        return directory.workspace(WORKSPACE)

    async def purged(self) -> None:
        """Write two versions, delete and purge the workspace."""
        for serial in (1, 2):
            await write(self.states, a_state(serial, f"value-{serial}"))
        await self.workspaces.delete(OPERATOR, WORKSPACE)
        await self.workspaces.purge(ADMIN, WORKSPACE, at_once=True)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open an empty store."""
    clock = Clock()
    path = tmp_path / "tfaudit.db"
    async with SQLiteStore(path, an_audit_log(clock), create=True) as store:
        yield World(store, clock)


# ---------------------------------------------------------------- deleting


async def test_a_deletion_is_one_entry_with_before_and_after(world: World) -> None:
    """And says until when it can be undone: 30 days here."""
    await write(world.states, a_state(1))
    done = await world.workspaces.delete(OPERATOR, WORKSPACE)
    entries = await log_of(world.store)
    said = entries[-1]["object"]
    assert ("workspace.deleted", 200, len(entries) - 1) == (
        entries[-1]["event"],
        entries[-1]["request"]["status"],
        done.index,
    )
    assert said["before"] is None
    assert said["after"]["deleted"] == entries[-1]["time"]
    assert "2026-12-22T10:00" == said["after"]["restorable_until"][:16]
    assert "with 1 version; it can be restored until 2026-12-22T10:00" in entries[-1]["message"]
    check_entries(entries)


_Touch = Callable[[World], Awaitable[Any]]


@pytest.mark.parametrize(
    ("touch", "event"),
    [
        (lambda world: world.states.read(ADMIN, WORKSPACE), "state.read"),
        (
            lambda world: world.states.read(a_caller(Role.OUTPUTS_READER), WORKSPACE),
            "state.outputs_read",
        ),
        (lambda world: world.states.read_version(ADMIN, WORKSPACE, "1"), "state.version_read"),
        (lambda world: world.states.show(ADMIN, WORKSPACE), "state.version_read"),
        (lambda world: world.states.scan(ADMIN, WORKSPACE), "state.version_read"),
        (lambda world: world.states.compare(ADMIN, WORKSPACE, None, None), "state.version_read"),
        (lambda world: write(world.states, a_state(3)), "state.write_refused"),
        (
            lambda world: world.states.import_state(ADMIN, WORKSPACE, a_state(3)),
            "state.write_refused",
        ),
        (lambda world: world.states.roll_back(ADMIN, WORKSPACE, "1"), "state.write_refused"),
    ],
)
@pytest.mark.parametrize("is_purged", [False, True], ids=["deleted", "purged"])
async def test_nothing_is_given_out_or_taken_in(
    world: World, touch: _Touch, event: str, is_purged: bool
) -> None:
    """Each refusal is an entry with its own number, never 404."""
    await write(world.states, a_state(1))
    await write(world.states, a_state(2, "two"))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    if is_purged:
        await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    with pytest.raises(WorkspaceDeletedError, match="was deleted at") as caught:
        await touch(world)
    entry = await last_of(world.store)
    assert (event, "conflict", 424) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )
    assert len(await log_of(world.store)) - 1 == caught.value.audit_index


@pytest.mark.parametrize("operation", ["OperationTypePlan", "OperationTypeApply"])
async def test_a_lock_is_refused_with_the_reason_in_its_info(world: World, operation: str) -> None:
    """The only text that a client shows."""
    await write(world.states, a_state(1))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    with pytest.raises(LockRefusedError) as caught:
        await world.locks.lock(ADMIN, WORKSPACE, a_lock_info("lock-1", operation), None)
    assert b"until 2026-12-22" in caught.value.info
    assert ("state.lock_refused", 423) == (
        (await last_of(world.store))["event"],
        (await last_of(world.store))["request"]["status"],
    )


async def test_a_body_is_not_read_for_a_deleted_workspace(world: World) -> None:
    """It would be for nothing."""
    await write(world.states, a_state(1))
    await world.workspaces.delete(OPERATOR, WORKSPACE)

    async def receive(_: int | None) -> bytes:
        raise AssertionError("it was asked for")

    with pytest.raises(WorkspaceDeletedError):
        await world.states.write(ADMIN, WORKSPACE, receive, "lock-1", None)


async def test_a_workspace_that_is_locked_stays(world: World) -> None:
    """A run is under way; the refusal is on record."""
    await world.locks.lock(OPERATOR, WORKSPACE, a_lock_info(), None)
    await write(world.states, a_state(1), lock_id="lock-1")
    with pytest.raises(LockedError, match="is locked by alice@laptop"):
        await world.workspaces.delete(OPERATOR, WORKSPACE)
    entry = await last_of(world.store)
    assert ("workspace.deleted", "conflict", 423) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )
    assert (await world.record()).deleted is None


@pytest.mark.parametrize("name", ["elsewhere", "-", "x" * 200])
async def test_what_there_is_not_can_not_be_deleted(world: World, name: str) -> None:
    """Neither written nor made ahead."""
    with pytest.raises(NotFoundError, match="tfaudit workspace list"):
        await world.workspaces.delete(OPERATOR, name)
    assert "error" == (await last_of(world.store))["outcome"]


@pytest.mark.parametrize("name", ["lock", "a/../b", "", "x" * 256, "a b"])
async def test_what_is_no_name_is_refused(world: World, name: str) -> None:
    """Before anything is looked up."""
    for act in (world.workspaces.delete, world.workspaces.restore, world.workspaces.purge):
        with pytest.raises(InvalidInputError):
            await act(OPERATOR, name)


async def test_an_id_names_no_workspace(world: World) -> None:
    """Rights are for names: whoever may `0*` must not reach another's workspace by its ID."""
    made = await world.directory.create(ADMIN, "workspace", {"name": "prod/db"})
    for act in (world.workspaces.delete, world.workspaces.restore, world.workspaces.purge):
        with pytest.raises(NotFoundError):
            await act(OPERATOR, made.value.id)


async def test_a_workspace_that_was_made_ahead_keeps_its_settings(world: World) -> None:
    """Also when it was never written; restored, it is as it was."""
    settings = {"name": WORKSPACE, "protected": True, "environment": "production"}
    made = (await world.directory.create(ADMIN, "workspace", settings)).value
    deleted = (await world.workspaces.delete(OPERATOR, WORKSPACE)).value
    restored = (await world.workspaces.restore(OPERATOR, WORKSPACE)).value
    assert (made.id, made.created) == (deleted.id, deleted.created)
    assert made.document == restored.document


@pytest.mark.parametrize("act", ["delete", "restore", "purge"])
async def test_whoever_may_not_delete_is_refused(world: World, act: str) -> None:
    """A writer, and an operator of other workspaces."""
    await write(world.states, a_state(1))
    for caller in (WRITER, a_caller(Role.OPERATOR, workspaces=("dev/*",))):
        with pytest.raises(ForbiddenError, match="may not workspace:delete on prod/network"):
            await getattr(world.workspaces, act)(caller, WORKSPACE)
        assert "access.denied" == (await last_of(world.store))["event"]


# ---------------------------------------------------------------- restoring


async def test_a_restored_workspace_goes_on(world: World) -> None:
    """With the same state and the next number."""
    await write(world.states, a_state(1))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    await world.workspaces.restore(OPERATOR, WORKSPACE)
    assert a_state(1) == (await world.states.read(ADMIN, WORKSPACE)).body
    assert 2 == (await write(world.states, a_state(2, "two"))).version.number
    entry = next(e for e in await log_of(world.store) if e["event"] == "workspace.restored")
    assert (True, None) == (
        bool(entry["object"]["before"]["deleted"]),
        entry["object"]["after"]["deleted"],
    )


async def test_when_the_time_is_over_nothing_is_restored(world: World) -> None:
    """Even before it is purged: to the microsecond."""
    await write(world.states, a_state(1))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    world.clock.micros += 30 * DAY
    with pytest.raises(ConflictError, match="it is too late"):
        await world.workspaces.restore(OPERATOR, WORKSPACE)


async def refused(act: Awaitable[Any], says: str) -> None:
    """Expect a conflict."""
    with pytest.raises(ConflictError, match=says):
        await act


async def test_each_step_needs_the_one_before(world: World) -> None:
    """And none is done twice."""
    await write(world.states, a_state(1))
    await refused(world.workspaces.restore(OPERATOR, WORKSPACE), "is not deleted")
    await refused(world.workspaces.purge(ADMIN, WORKSPACE, at_once=True), "is not deleted")
    await refused(world.workspaces.reuse(ADMIN, WORKSPACE, {}), "is not purged")
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    await refused(world.workspaces.delete(OPERATOR, WORKSPACE), "already")
    await refused(world.workspaces.purge(OPERATOR, WORKSPACE), "can be restored until")
    await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    await refused(world.workspaces.restore(OPERATOR, WORKSPACE), "states are destroyed")
    again = await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    assert again.index is None


# ---------------------------------------------------------------- purging


async def test_a_purge_destroys_bodies_and_salt_and_keeps_the_record(
    world: World, tmp_path: Path
) -> None:
    """Nothing of the bodies is in any file; the versions are still listed."""
    versions = [(await write(world.states, a_state(n, f"v{n}"))).version for n in (1, 2)]
    sealed = [await world.store.sealed(version.id) for version in versions]
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [False, False] == [body[20:60] in stored for body in sealed]
    for version in versions:
        with pytest.raises(UnavailableError):
            await world.store.sealed(version.id)
    assert (await world.store.write(lambda tx: tx.salt(WORKSPACE))).value is None
    assert [2, 1] == [version.number for version in await world.store.versions(WORKSPACE)]
    entry = await last_of(world.store)
    assert ("workspace.purged", True, 2) == (
        entry["event"],
        entry["object"]["after"]["purged"],
        entry["object"]["after"]["destroyed_versions"],
    )
    assert "2 versions and the key of its commitments are destroyed" in entry["message"]
    check_entries(await log_of(world.store))


async def test_much_is_destroyed_in_portions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each an entry of its own; from the first on nothing is restored, and the last says all."""
    monkeypatch.setattr("proxy.workspace_service._PORTION", len(a_state(1, "1")) + 1)
    for serial in range(1, 6):
        await write(world.states, a_state(serial, str(serial)))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    entries = await log_of(world.store)
    purges = [
        (after["destroyed_versions"], after["purged"], after["restorable_until"] <= entry["time"])
        for entry in entries
        if entry["event"] == "workspace.purged"
        for after in [entry["object"]["after"]]
    ]
    assert [(2, False, True), (4, False, True), (5, True, True)] == purges
    for version in await world.store.versions(WORKSPACE):
        with pytest.raises(UnavailableError):
            await world.store.sealed(version.id)


async def test_a_purge_that_broke_off_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can't be restored any more, and the next round does the rest."""
    monkeypatch.setattr("proxy.workspace_service._PORTION", 1)
    for serial in range(1, 4):
        await write(world.states, a_state(serial, str(serial)))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    real, calls = world.store.write, iter(range(10))

    async def failing(job: Any) -> Any:
        if next(calls) == 1:
            raise UnavailableError("the disk is full")
        return await real(job)

    setattr(world.store, "write", failing)  # noqa: B010 - in place of a method
    with pytest.raises(UnavailableError):
        await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    setattr(world.store, "write", real)  # noqa: B010
    await refused(world.workspaces.restore(OPERATOR, WORKSPACE), "it is too late")
    assert [WORKSPACE] == await world.workspaces.purge_due(ADMIN)
    assert (True, 3) == ((await world.record()).purged, (await world.record()).destroyed_versions)
    purged = [e for e in await events_of(world.store) if e == "workspace.purged"]
    assert 3 == len(purged)


async def test_only_an_administrator_purges_at_once(world: World) -> None:
    """An operator waits."""
    await write(world.states, a_state(1))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    with pytest.raises(ForbiddenError):
        await world.workspaces.purge(OPERATOR, WORKSPACE, at_once=True)
    world.clock.micros += 30 * DAY
    await world.workspaces.purge(OPERATOR, WORKSPACE)
    assert (await world.record()).purged


async def test_an_administrator_of_some_workspaces_neither_purges_at_once_nor_frees_a_name(
    world: World,
) -> None:
    """That takes one of all, as every change of settings does: the new ones need not protect."""
    some = a_caller(workspaces=("prod/*",))
    await write(world.states, a_state(1))
    await world.workspaces.delete(some, WORKSPACE)
    with pytest.raises(ForbiddenError):
        await world.workspaces.purge(some, WORKSPACE, at_once=True)
    await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    with pytest.raises(ForbiddenError):
        await world.workspaces.reuse(some, WORKSPACE, {})
    await world.workspaces.reuse(ADMIN, WORKSPACE, {})


async def test_what_is_due_is_purged_and_nothing_else(world: World) -> None:
    """Once; what was deleted later stays till its time."""
    await write(world.states, a_state(1))
    await world.directory.create(ADMIN, "workspace", {"name": "dev"})
    await world.directory.create(ADMIN, "workspace", {"name": "kept"})
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    world.clock.micros += 29 * DAY
    await world.workspaces.delete(OPERATOR, "dev")
    assert [] == await world.workspaces.purge_due(ADMIN)
    world.clock.micros += DAY
    assert [WORKSPACE] == await world.workspaces.purge_due(ADMIN)
    assert [] == await world.workspaces.purge_due(ADMIN)
    assert 1 == (await events_of(world.store)).count("workspace.purged")


async def test_traces_that_could_not_be_removed_are_told_and_removed_later(world: World) -> None:
    """Somebody reads an older view: the purge is done and on record, and the rest is caught up."""
    await write(world.states, a_state(1))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    scrubbed: list[bool] = []
    real = world.store.scrub

    async def busy() -> None:
        raise UnavailableError("somebody is reading the database")

    async def counted() -> None:
        scrubbed.append(True)
        await real()

    await world.workspaces.purge_due(ADMIN)
    setattr(world.store, "scrub", busy)  # noqa: B010 - in place of a method
    with pytest.raises(UnavailableError, match="are destroyed, and that is on record; but a copy"):
        await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    assert (await world.record()).purged
    setattr(world.store, "scrub", counted)  # noqa: B010
    assert [] == await world.workspaces.purge_due(ADMIN)
    assert [] == await world.workspaces.purge_due(ADMIN)
    assert [True] == scrubbed


# ---------------------------------------------------------------- the name


async def test_the_name_of_a_purged_workspace_is_not_reused_by_itself(world: World) -> None:
    """Neither by a write nor by making it."""
    await world.purged()
    with pytest.raises(WorkspaceDeletedError, match="choose another name"):
        await write(world.states, a_state(1))
    with pytest.raises(ConflictError, match="workspace create prod/network --reuse"):
        await world.directory.create(ADMIN, "workspace", {"name": WORKSPACE})


async def test_a_freed_name_begins_anew_after_the_old_numbers(world: World) -> None:
    """No state, certainly; the first write has the next number, and any serial and lineage."""
    await world.purged()
    await world.workspaces.reuse(ADMIN, WORKSPACE, {"environment": "staging"})
    assert (await world.states.read(ADMIN, WORKSPACE)).body is None
    assert 404 == (await last_of(world.store))["request"]["status"]
    written = await write(world.states, a_state(1, "new"))
    assert (3, 1) == (written.version.number, written.version.serial)
    assert a_state(1, "new") == (await world.states.read(ADMIN, WORKSPACE)).body
    fresh = a_service(world.store)
    assert 4 == (await write(fresh, a_state(2, "newer"))).version.number
    events = await events_of(world.store)
    assert ["workspace.created"] * 2 == [e for e in events if e == "workspace.created"]
    assert "staging" == (await world.record()).environment


async def test_a_destroyed_version_is_told_as_such(world: World) -> None:
    """By number, in a comparison and as what to roll back to."""
    await world.purged()
    await world.workspaces.reuse(ADMIN, WORKSPACE, {})
    await write(world.states, a_state(1, "new"))
    for act in (
        world.states.read_version(ADMIN, WORKSPACE, "2"),
        world.states.compare(ADMIN, WORKSPACE, "1", "3"),
        world.states.roll_back(ADMIN, WORKSPACE, "1"),
    ):
        with pytest.raises(DestroyedError, match="was destroyed when the workspace was purged"):
            await act
    changes, before, after = await world.states.compare(ADMIN, WORKSPACE, None, None)
    assert (None, 3) == (before, after.number)
    assert 1 == changes.entry["resources"]["added"]


async def test_a_name_is_purged_and_freed_again(world: World) -> None:
    """Each time all that was stored so far is destroyed."""
    await world.purged()
    await world.workspaces.reuse(ADMIN, WORKSPACE, {})
    await write(world.states, a_state(1, "new"))
    await world.workspaces.delete(OPERATOR, WORKSPACE)
    await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    assert 3 == (await world.record()).destroyed_versions


@pytest.mark.parametrize("caller", [OPERATOR, WRITER, a_caller(Role.AUDITOR)])
async def test_only_an_administrator_frees_a_name(world: World, caller: Caller) -> None:
    """An operator could otherwise make a pipeline begin a new state."""
    await world.purged()
    with pytest.raises(ForbiddenError):
        await world.workspaces.reuse(caller, WORKSPACE, {})


async def test_no_credential_is_kept_in_settings(world: World) -> None:
    """Neither of what is made nor of what is freed."""
    await world.purged()
    secret = "ghp_" + "a1B2" * 9
    fields = {"description": f"use {secret}"}
    await world.workspaces.reuse(ADMIN, WORKSPACE, fields)
    await world.directory.create(ADMIN, "workspace", {"name": "dev", **fields})
    with pytest.raises(InvalidInputError, match="is a label"):
        await world.directory.update(ADMIN, "workspace", "dev", {"environment": secret})
    assert secret not in str(await log_of(world.store))
    assert secret not in str(await world.record())


@pytest.mark.parametrize(
    "fields",
    [{"purged": False}, {"destroyed_versions": 0}, {"body_limit": -1}, {"no": "such"}],
)
async def test_a_name_is_not_freed_with_settings_that_can_not_be(
    world: World, fields: dict[str, Any]
) -> None:
    """Nothing changes."""
    await world.purged()
    with pytest.raises(InvalidInputError):
        await world.workspaces.reuse(ADMIN, WORKSPACE, fields)
    assert (await world.record()).purged


# ---------------------------------------------------------------- listing


async def test_all_workspaces_are_listed_with_their_settings(world: World) -> None:
    """Written, made ahead, or both; one whose settings were never set has no ID."""
    await write(world.states, a_state(1))
    await world.directory.create(ADMIN, "workspace", {"name": "ahead", "protected": True})
    ahead, written = await world.workspaces.list(ADMIN)
    assert ("ahead", True) == (ahead.name, getattr(ahead.record, "protected", None))
    assert (WORKSPACE, "") == (written.name, written.id)
    assert written == await world.workspaces.show(ADMIN, WORKSPACE)
    assert ahead == await world.workspaces.show(ADMIN, ahead.id)
    with pytest.raises(NotFoundError):
        await world.workspaces.show(ADMIN, "")
    with pytest.raises(ForbiddenError):
        await world.workspaces.list(OPERATOR)


async def test_the_first_write_of_what_was_made_ahead_makes_it_no_second_time(
    world: World,
) -> None:
    """Until then there is certainly no state."""
    await world.directory.create(ADMIN, "workspace", {"name": WORKSPACE})
    assert (await world.states.read(ADMIN, WORKSPACE)).body is None
    await write(world.states, a_state(1))
    assert ["workspace.created", "state.read", "state.written"] == await events_of(world.store)


async def test_settings_of_what_a_first_write_made_are_an_update(world: World) -> None:
    """By update or by create: before it had none, and it is no new workspace."""
    await write(world.states, a_state(1))
    await world.directory.update(ADMIN, "workspace", WORKSPACE, {"protected": True})
    entry = await last_of(world.store)
    assert ("workspace.updated", None, True) == (
        entry["event"],
        entry["object"]["before"],
        entry["object"]["after"]["protected"],
    )
    check_entries(await log_of(world.store))


# ---------------------------------------------------------------- when it goes wrong


@pytest.mark.parametrize("fault", Fault)
async def test_whatever_can_not_be_committed_is_unavailable(fault: Fault) -> None:
    """Not persisted: nothing happened. Answer lost: asked again, it is told as done."""
    store = FakeStore()
    clock = Clock(START)
    world = World(store, clock)
    await world.directory.create(ADMIN, "workspace", {"name": WORKSPACE})
    store.fault = fault
    with pytest.raises(UnavailableError):
        await world.workspaces.delete(OPERATOR, WORKSPACE)
    store.fault = None
    again: Object | TfauditError
    try:
        again = (await world.workspaces.delete(OPERATOR, WORKSPACE)).value
    except ConflictError as error:
        again = error
    assert (fault is Fault.ANSWER_LOST) == isinstance(again, ConflictError)
    assert (await world.record()).deleted is not None
