"""Tests of proxy.retention_service."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from proxy.access import EVERYWHERE, Role
from proxy.contracts import StateVersion, Transaction
from proxy.errors import ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from proxy.refusals import PrunedError
from proxy.retention import KEEP_ALL, Retention
from proxy.retention_service import RetentionService
from proxy.storage.sqlite import SQLiteStore
from tests.documents import check_entries
from tests.fakes import FakeStore, Fault
from tests.samples import (
    WORKSPACE,
    Clock,
    a_caller,
    a_draft,
    a_lock_info,
    a_state,
    an_audit_log,
    events_of,
    last_of,
    log_of,
)
from tests.test_state_service import a_service, write
from tests.test_workspace_service import DAY, World

ADMIN = a_caller()
ONE = Retention(versions=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Open an empty store."""
    clock = Clock()
    path = tmp_path / "tfaudit.db"
    async with SQLiteStore(path, an_audit_log(clock), create=True) as store:
        yield World(store, clock)


async def save(world: World, *serials: int, lock_id: str | None = None) -> None:
    """Write states, a version each."""
    for serial in serials:
        await write(world.states, a_state(serial, f"value-{serial}"), lock_id=lock_id)


async def run_of(world: World, lock_id: str, *serials: int) -> None:
    """Write states under a lock, and release it."""
    info = a_lock_info(lock_id)
    await world.locks.lock(ADMIN, WORKSPACE, info, None)
    await save(world, *serials, lock_id=lock_id)
    await world.locks.unlock(ADMIN, WORKSPACE, info, None)


async def kept(world: World) -> list[int]:
    """Return the numbers of the versions that still have a body; the others say that they don't."""
    found = []
    for version in reversed(await world.store.versions(WORKSPACE)):
        try:
            await world.store.sealed(version.id)
        except UnavailableError:
            assert version.pruned is not None
            continue
        assert (None, None) == (version.pruned, version.pruned_by)
        found.append(version.number)
    return found


# ---------------------------------------------------------------- what is dropped


async def test_what_no_rule_keeps_is_destroyed_and_on_record(world: World) -> None:
    """One entry, with the versions, their size and the rules; the rows stay with their digests."""
    await save(world, 1, 2, 3, 4)
    before = await world.store.versions(WORKSPACE)
    (done,) = await world.retention.prune(ADMIN, WORKSPACE, Retention(versions=2))
    entry = await last_of(world.store)
    size = sum(version.size for version in before[2:])
    assert {
        "versions": [[1, 2]],
        "number": 2,
        "size": size,
        "asked_by": "command",
        "kept": {"versions": 2, "last_of_run": False},
    } == entry["pruned"]
    assert "alice pruned 2 versions of prod/network, keeping 2: 1-2" == entry["message"]
    assert (WORKSPACE, (1, 2), size, (await world.store.size() - 1,)) == (
        done.workspace,
        done.numbers,
        done.size,
        done.indices,
    )
    assert [3, 4] == await kept(world)
    assert before == [
        version._replace(pruned=None, pruned_by=None)
        for version in await world.store.versions(WORKSPACE)
    ]
    check_entries(await log_of(world.store))


async def test_the_last_version_of_each_run_is_kept(world: World) -> None:
    """A run is what was written under one lock, whatever its ID; a write without one is a run."""
    await run_of(world, "same", 1, 2)
    await run_of(world, "same", 3, 4)
    await save(world, 5)
    await run_of(world, "other", 6, 7)
    await world.retention.prune(ADMIN, WORKSPACE, Retention(last_of_run=True))
    assert [2, 4, 5, 7] == await kept(world)


async def test_a_version_before_a_pruned_one_ends_its_run_or_not_as_ever(world: World) -> None:
    """By what followed it, though that is gone."""
    await run_of(world, "a", 1, 2, 3)
    await run_of(world, "b", 4, 5, 6)
    await save(world, 7)
    await world.directory.create(ADMIN, "workspace", {"name": WORKSPACE, "keep_versions": "all"})
    first, third = (await world.store.versions(WORKSPACE))[::-1][1:4:2]

    def drop(transaction: Transaction) -> None:
        index = transaction.append(a_draft())
        transaction.prune_versions([first.id, third.id], index)

    await world.store.write(drop)  # 2 and 4, as if rules that are gone had let 1 and 3 stay
    await world.directory.update(ADMIN, "workspace", WORKSPACE, {"keep_versions": ""})
    await world.retention.prune(ADMIN, WORKSPACE, Retention(last_of_run=True))
    assert [3, 6, 7] == await kept(world)


async def test_a_lock_that_is_confirmed_is_one_run(world: World) -> None:
    """The client asks again when the answer got lost."""
    await world.locks.lock(ADMIN, WORKSPACE, a_lock_info("a"), None)
    await save(world, 1, lock_id="a")
    await world.locks.lock(ADMIN, WORKSPACE, a_lock_info("a"), None)
    await save(world, 2, lock_id="a")
    await world.retention.prune(ADMIN, WORKSPACE, Retention(last_of_run=True))
    assert [2] == await kept(world)


async def test_what_is_young_is_kept(world: World) -> None:
    """By the clock of the store."""
    await save(world, 1)
    world.clock.micros += 2 * DAY
    await save(world, 2, 3)
    assert [] == await world.retention.prune(ADMIN, WORKSPACE, Retention(seconds=3 * 86_400))
    await world.retention.prune(ADMIN, WORKSPACE, Retention(seconds=86_400))
    assert [2, 3] == await kept(world)


async def test_what_the_run_under_way_began_with_is_kept(world: World) -> None:
    """It can be rolled back; when it is over, that version goes too."""
    await save(world, 1, 2)
    await world.locks.lock(ADMIN, WORKSPACE, a_lock_info("a"), None)
    await world.retention.prune(ADMIN, WORKSPACE, ONE)
    await save(world, 3, 4, lock_id="a")
    await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert [2, 4] == await kept(world)
    await world.locks.unlock(ADMIN, WORKSPACE, a_lock_info("a"), None)
    await world.states.roll_back(ADMIN, WORKSPACE, "2")
    await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert [5] == await kept(world)


async def test_nothing_is_recorded_when_nothing_is_dropped(world: World) -> None:
    """A version is pruned once."""
    await save(world, 1, 2)
    assert 1 == len(await world.retention.prune(ADMIN, WORKSPACE, ONE))
    size = await world.store.size()
    assert [] == await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert size == await world.store.size()


async def test_only_the_workspaces_that_are_named_are_pruned(world: World) -> None:
    """By a glob."""
    await save(world, 1, 2)
    for serial in (1, 2):
        await write_to(world, "dev/app", serial)
    for act in (world.retention.plan, world.retention.prune):
        with pytest.raises(NotFoundError, match="that test/\\* matches"):
            await act(ADMIN, "test/*", ONE)
    done = await world.retention.prune(ADMIN, "dev/*", ONE)
    assert ["dev/app"] == [each.workspace for each in done]
    assert [1, 2] == await kept(world)


async def write_to(world: World, workspace: str, serial: int) -> None:
    """Write a state of another workspace."""

    async def receive(_: int | None) -> bytes:
        return a_state(serial, f"value-{serial}")

    await world.states.write(ADMIN, workspace, receive, None, None)


async def test_a_deleted_workspace_is_left_alone(world: World) -> None:
    """What is restored is as it was; and a purge takes all the rest."""
    await save(world, 1, 2, 3)
    await world.retention.prune(ADMIN, WORKSPACE, Retention(versions=2))
    await world.workspaces.delete(ADMIN, WORKSPACE)
    assert [] == await world.retention.prune(ADMIN, EVERYWHERE, ONE)
    assert [2, 3] == await kept(world)
    await world.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
    await world.workspaces.reuse(ADMIN, WORKSPACE, {})
    await save(world, 7, 8)
    (done,) = await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert (4,) == done.numbers


async def test_much_is_destroyed_in_portions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry each, so that nobody waits long; by number and by size."""
    monkeypatch.setattr("proxy.retention_service._MOST_VERSIONS", 2)
    await save(world, *range(1, 7))
    (done,) = await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert ((1, 2, 3, 4, 5), 3) == (done.numbers, len(done.indices))
    told = [each["pruned"]["versions"] for each in await log_of(world.store) if "pruned" in each]
    assert [[[1, 2]], [[3, 4]], [[5, 5]]] == told
    monkeypatch.setattr("proxy.retention_service._MOST_BYTES", 1)
    await save(world, 7, 8)
    (done,) = await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert ((6, 7), 2) == (done.numbers, len(done.indices))


# ---------------------------------------------------------------- whose rules


async def test_what_a_workspace_says_takes_the_place_of_what_the_server_says(
    world: World,
) -> None:
    """Each on record as whose rules they are."""
    service = RetentionService(world.store, Retention(versions=2), world.clock)
    await save(world, 1, 2, 3)
    for serial in (1, 2, 3):
        await write_to(world, "dev", serial)
    await world.directory.create(ADMIN, "workspace", {"name": "dev", "keep_versions": "1"})
    done = await service.prune_due(ADMIN)
    assert [("dev", (1, 2)), (WORKSPACE, (1,))] == [(d.workspace, d.numbers) for d in done]
    told = [each["pruned"]["asked_by"] for each in await log_of(world.store) if "pruned" in each]
    assert ["workspace", "configuration"] == told
    await world.directory.update(ADMIN, "workspace", "dev", {"keep_versions": ""})
    await world.directory.create(ADMIN, "workspace", {"name": WORKSPACE, "keep_versions": "all"})
    await save(world, 4, 5)
    assert [] == await service.prune_due(ADMIN)


async def test_a_command_takes_nothing_that_the_workspace_itself_keeps(world: World) -> None:
    """Somebody set it there for a reason; ``all`` holds everything."""
    await save(world, 1, 2, 3, 4)
    await world.directory.create(ADMIN, "workspace", {"name": WORKSPACE, "keep_versions": "all"})
    assert [] == await world.retention.prune(ADMIN, "*", ONE)
    await world.directory.update(ADMIN, "workspace", WORKSPACE, {"keep_versions": "3"})
    (done,) = await world.retention.prune(ADMIN, "*", ONE)
    assert ((1,), Retention(versions=3)) == (done.numbers, done.rules)


async def test_a_plan_destroys_nothing(world: World) -> None:
    """It says what would be, and leaves no entry."""
    await save(world, 1, 2, 3)
    size = await world.store.size()
    (planned,) = await world.retention.plan(ADMIN, WORKSPACE, ONE)
    assert ((1, 2), ()) == (planned.numbers, planned.indices)
    assert ([1, 2, 3], size) == (await kept(world), await world.store.size())
    (done,) = await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert (planned.numbers, planned.size) == (done.numbers, done.size)


async def test_without_any_rule_a_command_is_refused(world: World) -> None:
    """And what the server does by itself does nothing."""
    await save(world, 1, 2)
    for act in (world.retention.plan, world.retention.prune):
        with pytest.raises(InvalidInputError, match="--keep, --keep-for or --last-of-run"):
            await act(ADMIN)
    with pytest.raises(InvalidInputError):
        await world.retention.prune(ADMIN, "*", KEEP_ALL)
    assert [] == await world.retention.prune_due(ADMIN)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.WRITER, Role.AUDITOR])
async def test_only_an_administrator_prunes(world: World, role: Role) -> None:
    """A refusal is on record, and nothing is gone."""
    await save(world, 1, 2)
    for act in (world.retention.plan, world.retention.prune):
        with pytest.raises(ForbiddenError):
            await act(a_caller(role), WORKSPACE, ONE)
        assert "access.denied" == (await last_of(world.store))["event"]
    assert [1, 2] == await kept(world)


# ---------------------------------------------------------------- whoever reads


async def test_a_pruned_version_is_told_as_such(world: World) -> None:
    """By number, in a comparison and as what to roll back to: when, by which entry; on record."""
    await save(world, 1, 2, 3)
    (done,) = await world.retention.prune(ADMIN, WORKSPACE, ONE)
    fresh = a_service(world.store)
    for states in (world.states, fresh):
        for act, event in (
            (states.read_version(ADMIN, WORKSPACE, "2"), "state.version_read"),
            (states.show(ADMIN, WORKSPACE, "1"), "state.version_read"),
            (states.compare(ADMIN, WORKSPACE, None, None), "state.version_read"),
            (states.roll_back(ADMIN, WORKSPACE, "1"), "state.write_refused"),
        ):
            with pytest.raises(PrunedError, match=f"as entry {done.indices[0]} records") as raised:
                await act
            entry = (await log_of(world.store))[-1]
            assert (event, "conflict", 424) == (
                entry["event"],
                entry["outcome"],
                entry["request"]["status"],
            )
            assert await world.store.size() - 1 == raised.value.audit_index
    assert a_state(3, "value-3") == (await fresh.read(ADMIN, WORKSPACE)).body
    check_entries(await log_of(world.store))


async def test_the_next_write_builds_on_what_is_left(world: World) -> None:
    """By a process that remembers an older version as the newest, which is pruned by now."""
    other = a_service(world.store)
    await save(world, 1)
    await write(other, a_state(2, "value-2"))
    await save(world, 3)
    await world.retention.prune(ADMIN, WORKSPACE, ONE)
    other._bodies.clear()
    written = await write(other, a_state(4, "value-4"))
    assert (4, [3, 4]) == (written.version.number, await kept(world))
    assert 3 == (await last_of(world.store))["state"]["previous_serial"]


@pytest.mark.parametrize("role", [Role.READER, Role.OUTPUTS_READER])
async def test_a_read_never_meets_a_pruned_version(world: World, role: Role) -> None:
    """Somebody writes and prunes between the look at the newest and its body: the read goes on."""
    await save(world, 1)
    fresh = a_service(world.store)
    real = fresh._load
    met: list[int] = []

    async def load(version: StateVersion) -> bytes:
        if not met:
            await save(world, 2)
            await world.retention.prune(ADMIN, WORKSPACE, ONE)
        met.append(version.number)
        return await real(version)

    setattr(fresh, "_load", load)  # noqa: B010 - in place of a method
    reading = await fresh.read(a_caller(role), WORKSPACE)
    assert ([1, 2], 2) == (met, reading.version and reading.version.number)
    assert "success" == (await last_of(world.store))["outcome"]


async def test_a_version_that_is_pruned_while_it_is_looked_at_is_told_as_such(
    world: World,
) -> None:
    """It was found, and is gone when its body is read."""
    await save(world, 1, 2)
    fresh = a_service(world.store)
    real = fresh._load

    async def load(version: StateVersion) -> bytes:
        await world.retention.prune(ADMIN, WORKSPACE, ONE)
        return await real(version)

    setattr(fresh, "_load", load)  # noqa: B010 - in place of a method
    with pytest.raises(PrunedError):
        await fresh.read_version(ADMIN, WORKSPACE, "1")
    entry = await last_of(world.store)
    assert ("state.version_read", "conflict") == (entry["event"], entry["outcome"])


async def test_a_rollback_to_what_is_pruned_meanwhile_is_refused(world: World) -> None:
    """It was found, and is gone when its body is read: on record, and nothing is stored."""
    await save(world, 1, 2)
    fresh = a_service(world.store)
    real = fresh._load

    async def load(version: StateVersion) -> bytes:
        await world.retention.prune(ADMIN, WORKSPACE, ONE)
        return await real(version)

    setattr(fresh, "_load", load)  # noqa: B010 - in place of a method
    with pytest.raises(PrunedError):
        await fresh.roll_back(ADMIN, WORKSPACE, "1")
    entry = await last_of(world.store)
    assert ("state.write_refused", "conflict") == (entry["event"], entry["outcome"])
    assert 2 == len(await world.store.versions(WORKSPACE))


async def test_a_rollback_that_has_read_its_version_goes_on(world: World) -> None:
    """Pruned from then on, it is stored anew all the same."""
    await save(world, 1, 2)
    fresh = a_service(world.store)
    real = fresh._load

    async def load(version: StateVersion) -> bytes:
        body = await real(version)
        await world.retention.prune(ADMIN, WORKSPACE, ONE)
        return body

    setattr(fresh, "_load", load)  # noqa: B010 - in place of a method
    written = await fresh.roll_back(ADMIN, WORKSPACE, "1")
    assert ([2, 3], 3) == (await kept(world), written.version.number)
    assert a_state(3, "value-1") == (await fresh.read(ADMIN, WORKSPACE)).body


async def test_what_another_process_does_since_the_choice_counts(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It locks, writes and prunes between a server's look and its transaction."""
    await save(world, 1, 2, 3)
    real = RetentionService._due

    async with SQLiteStore(tmp_path / "tfaudit.db", an_audit_log(world.clock)) as beside:
        other = World(beside, world.clock)

        async def due(self: RetentionService, record: Any, rules: Any) -> Any:
            found = await real(self, record, rules)
            monkeypatch.undo()
            await other.retention.prune(ADMIN, WORKSPACE, Retention(versions=2))
            await other.locks.lock(ADMIN, WORKSPACE, a_lock_info("a"), None)
            await save(other, 4, 5, lock_id="a")
            return found

        monkeypatch.setattr(RetentionService, "_due", due)
        (done,) = await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert ((2, 4), [3, 5]) == (done.numbers, await kept(world))


async def test_writes_locks_and_rollbacks_at_the_same_time_lose_nothing(world: World) -> None:
    """Whatever the order: the newest version and what a run began with have their bodies."""
    await save(world, 1, 2, 3)

    async def change(serial: int) -> None:
        info = a_lock_info(f"run-{serial}")
        await world.locks.lock(ADMIN, WORKSPACE, info, None)
        start = (await world.store.versions(WORKSPACE))[0]
        await save(world, serial, serial + 1, lock_id=f"run-{serial}")
        await world.store.sealed(start.id)
        await world.locks.unlock(ADMIN, WORKSPACE, info, None)
        with suppress(PrunedError):  # the lock is free: it may go
            await world.states.roll_back(ADMIN, WORKSPACE, str(start.number))

    async def prune(until: asyncio.Task[Any]) -> None:
        while not until.done():
            await world.retention.prune(ADMIN, WORKSPACE, Retention(versions=2))
            await asyncio.sleep(0)

    for serial in (10, 20, 30):
        task = asyncio.create_task(change(serial))
        await prune(task)
        await task
        head = (await world.store.versions(WORKSPACE))[0]
        assert head.number in await kept(world)
        assert (await a_service(world.store).read(ADMIN, WORKSPACE)).version == head


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize("fault", Fault)
async def test_what_can_not_be_committed_is_caught_up(fault: Fault) -> None:
    """Nothing happened, or it did and the answer got lost: the next one finds what is left."""
    store = FakeStore()
    world = World(store, Clock())
    await save(world, 1, 2, 3)
    store.fault = fault
    with pytest.raises(UnavailableError):
        await world.retention.prune(ADMIN, WORKSPACE, ONE)
    store.fault = None
    is_done = fault is Fault.ANSWER_LOST
    assert ([3] if is_done else [1, 2, 3]) == await kept(world)
    assert is_done == ("state.versions_pruned" in await events_of(store))
    assert len(await world.retention.prune(ADMIN, WORKSPACE, ONE)) == (0 if is_done else 1)
    assert [3] == await kept(world)
    assert 1 == (await events_of(store)).count("state.versions_pruned")


async def test_a_policy_that_changed_since_the_choice_is_the_one_that_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does a lock, a deletion, or somebody else who was quicker: the transaction decides."""
    await save(world, 1, 2)
    real = RetentionService._due

    async def due(self: RetentionService, record: Any, rules: Any) -> Any:
        found = await real(self, record, rules)
        await world.directory.create(
            ADMIN, "workspace", {"name": WORKSPACE, "keep_versions": "all"}
        )
        return found

    monkeypatch.setattr(RetentionService, "_due", due)
    assert [] == await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert [1, 2] == await kept(world)


async def test_a_trace_that_is_left_is_removed_later(world: World) -> None:
    """Somebody reads an older view: what is pruned is on record, and the rest is caught up."""
    service = RetentionService(world.store, ONE, world.clock)
    await save(world, 1, 2)
    scrubbed: list[bool] = []
    real = world.store.scrub

    async def busy() -> None:
        raise UnavailableError("somebody is reading the database")

    async def counted() -> None:
        scrubbed.append(True)
        await real()

    setattr(world.store, "scrub", busy)  # noqa: B010 - in place of a method
    with pytest.raises(UnavailableError, match="are destroyed, and that is on record; but a copy"):
        await service.prune_due(ADMIN)
    assert [2] == await kept(world)
    setattr(world.store, "scrub", counted)  # noqa: B010
    # The next process knows nothing of it.
    fresh = RetentionService(world.store, ONE, world.clock)
    for each in (service, service, fresh, fresh):
        assert [] == await each.prune_due(ADMIN)
    assert [True, True] == scrubbed


async def test_a_server_that_pruned_nothing_leaves_the_files_alone(world: World) -> None:
    """Emptying the write-ahead log makes everybody wait, so it is done only when it has to be."""
    await save(world, 1, 2)

    async def scrub() -> None:
        raise AssertionError("it was scrubbed")

    setattr(world.store, "scrub", scrub)  # noqa: B010 - in place of a method
    assert [] == await RetentionService(world.store, KEEP_ALL, world.clock).prune_due(ADMIN)


async def test_nothing_is_left_of_a_pruned_body(world: World, tmp_path: Path) -> None:
    """Neither in the database nor in its write-ahead log, not even sealed."""
    await save(world, 1, 2)
    path = tmp_path / "tfaudit.db"
    with closing(sqlite3.connect(path)) as database:
        sealed = [row[0] for row in database.execute("SELECT sealed FROM state_body ORDER BY id")]

    def traces(body: bytes) -> list[str]:
        parts = [body[place : place + 64] for place in range(0, len(body) - 64, 64)]
        files = (path, path.with_name("tfaudit.db-wal"))
        return [file.name for file in files if any(part in file.read_bytes() for part in parts)]

    assert [] != traces(sealed[0])
    await world.retention.prune(ADMIN, WORKSPACE, ONE)
    assert [] == traces(sealed[0])
    assert [] != traces(sealed[1])
