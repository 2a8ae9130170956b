"""Tests of proxy.housekeeping."""

from pathlib import Path

import pytest

from proxy.access import Caller, Role
from proxy.app import SYSTEM
from proxy.errors import UnavailableError
from proxy.housekeeping import Housekeeper
from proxy.retention import Retention
from proxy.storage.sqlite import SQLiteStore
from tests.samples import (
    WORKSPACE,
    Clock,
    a_caller,
    a_lock_info,
    a_state,
    an_audit_log,
    events_of,
    runs_of,
)
from tests.test_state_service import write
from tests.test_workspace_service import DAY, World

ADMIN = a_caller()


def a_keeper(world: World) -> Housekeeper:
    """Return what tidies up in a world."""
    return Housekeeper(
        world.store, world.workspaces, world.states, world.locks, world.retention, ADMIN
    )


async def test_a_round_purges_what_is_due_and_empties_the_memory(tmp_path: Path) -> None:
    """Once; as long as nothing is purged, what is in memory stays there."""
    clock = Clock()
    async with SQLiteStore(tmp_path / "db", an_audit_log(clock), create=True) as store:
        world = World(store, clock)
        keeper = a_keeper(world)
        version = (await write(world.states, a_state(1))).version
        await world.workspaces.delete(ADMIN, WORKSPACE)
        assert [] == await keeper.tidy()
        assert world.states._bodies.get(version.id) is not None
        clock.micros += 31 * DAY
        assert [WORKSPACE] == await keeper.tidy()
        assert world.states._bodies.get(version.id) is None
        world.states._bodies.put("another", b"kept")
        assert [] == await keeper.tidy()
        assert b"kept" == world.states._bodies.get("another")
        assert 1 == (await events_of(store)).count("workspace.purged")


async def test_what_another_process_purged_leaves_the_memory(tmp_path: Path) -> None:
    """The command line beside the server."""
    async with (
        SQLiteStore(tmp_path / "db", an_audit_log(), create=True) as store,
        SQLiteStore(tmp_path / "db", an_audit_log()) as beside,
    ):
        server, other = World(store, Clock()), World(beside, Clock())
        version = (await write(server.states, a_state(1))).version
        await other.workspaces.delete(ADMIN, WORKSPACE)
        await other.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
        store._directory = None  # it may be a second old
        await a_keeper(server).tidy()
        assert server.states._bodies.get(version.id) is None


@pytest.mark.parametrize("is_forgotten", [True, False], ids=["forgotten", "remembered"])
async def test_a_running_server_writes_to_a_name_that_another_process_freed(
    tmp_path: Path, *, is_forgotten: bool
) -> None:
    """Whether or not it knows by then that the version it builds on is destroyed."""
    async with (
        SQLiteStore(tmp_path / "db", an_audit_log(), create=True) as store,
        SQLiteStore(tmp_path / "db", an_audit_log()) as beside,
    ):
        server, other = World(store, Clock()), World(beside, Clock())
        await write(server.states, a_state(1))
        await other.workspaces.delete(ADMIN, WORKSPACE)
        await other.workspaces.purge(ADMIN, WORKSPACE, at_once=True)
        await other.workspaces.reuse(ADMIN, WORKSPACE, {})
        store._directory = None  # it may be a second old
        if is_forgotten:
            await a_keeper(server).tidy()
            assert not server.states._newest
        else:
            server.states._bodies.clear()  # others' states may take its place
        for serial in (1, 2):
            written = await write(server.states, a_state(serial, f"new-{serial}"))
            assert serial + 1 == written.version.number


async def test_a_round_that_fails_is_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one does what is left."""
    monkeypatch.setattr("proxy.storage.sqlite._SCRUB_MILLISECONDS", 100)
    clock = Clock()
    async with SQLiteStore(tmp_path / "db", an_audit_log(clock), create=True) as store:
        world = World(store, clock)
        keeper = a_keeper(world)
        await write(world.states, a_state(1))
        await world.workspaces.delete(ADMIN, WORKSPACE)
        clock.micros += 31 * DAY
        with store._reading() as reader:
            reader.execute("SELECT count(*) FROM entry").fetchone()
            await write_something(world)
            with pytest.raises(UnavailableError):
                await keeper.tidy()
        assert (await world.record()).purged
        assert 0 < (tmp_path / "db-wal").stat().st_size
        assert [] == await keeper.tidy()
        assert 0 == (tmp_path / "db-wal").stat().st_size


async def test_a_server_that_purged_nothing_leaves_the_files_alone(tmp_path: Path) -> None:
    """Emptying the write-ahead log makes everybody wait, so it is done only when it has to be."""
    async with SQLiteStore(tmp_path / "db", an_audit_log(), create=True) as store:
        world = World(store, Clock())
        await write(world.states, a_state(1))

        async def scrub() -> None:
            raise AssertionError("it was scrubbed")

        setattr(store, "scrub", scrub)  # noqa: B010 - in place of a method
        keeper = a_keeper(world)
        assert [] == await keeper.tidy()


async def test_a_run_that_takes_too_long_is_told_by_the_server_itself(tmp_path: Path) -> None:
    """Once, whatever else is not done yet."""
    clock = Clock()
    system = Caller(SYSTEM, "", "", "cli", "housekeeping", "")
    async with SQLiteStore(tmp_path / "db", an_audit_log(clock), create=True) as store:
        world = World(store, clock)
        keeper = Housekeeper(
            store, world.workspaces, world.states, world.locks, world.retention, system
        )
        fields = {"name": WORKSPACE, "lock_alert_minutes": 5}
        await world.directory.create(ADMIN, "workspace", fields)
        await world.locks.lock(ADMIN, WORKSPACE, a_lock_info(), None)
        assert [] == await keeper.alert()
        clock.micros += 6 * DAY // 1440
        assert [WORKSPACE] == await keeper.alert()
        assert [] == await keeper.alert()
        told = (await runs_of(store))[-1]
        assert ("system", "tfaudit", "alice", 6 * 60) == (
            told["actor"]["type"],
            told["actor"]["name"],
            told["holder"]["actor"],
            told["run"]["seconds"],
        )


async def test_versions_are_pruned_at_the_start_and_each_hour(tmp_path: Path) -> None:
    """By the rules of the configuration; they leave the memory, and all else stays there."""
    clock = Clock()
    async with SQLiteStore(tmp_path / "db", an_audit_log(clock), create=True) as store:
        world = World(store, clock, Retention(versions=1))
        keeper = a_keeper(world)
        first, second = [await write(world.states, a_state(n, f"v{n}")) for n in (1, 2)]
        assert [WORKSPACE] == await keeper.prune()
        assert world.states._bodies.get(first.version.id) is None
        assert world.states._bodies.get(second.version.id) is not None
        await write(world.states, a_state(3, "v3"))
        rounds = [list(await keeper.prune()) for _ in range(60)]
        assert [[]] * 59 + [[WORKSPACE]] == rounds
        assert world.states._bodies.get(second.version.id) is None
        assert 2 == (await events_of(store)).count("state.versions_pruned")


async def test_versions_that_another_process_pruned_leave_the_memory(tmp_path: Path) -> None:
    """The command line beside the server; also outputs that were taken out."""
    async with (
        SQLiteStore(tmp_path / "db", an_audit_log(), create=True) as store,
        SQLiteStore(tmp_path / "db", an_audit_log()) as beside,
    ):
        server, other = World(store, Clock()), World(beside, Clock())
        keeper = a_keeper(server)
        assert [] == await keeper.prune()
        reader = a_caller(Role.OUTPUTS_READER)
        versions = []
        for number in (1, 2):
            versions.append((await write(server.states, a_state(number, f"v{number}"))).version)
            await server.states.read(reader, WORKSPACE)
        await other.retention.prune(ADMIN, WORKSPACE, Retention(versions=1))
        await keeper.prune()
        known = server.states._taker.known
        assert [False, True] == [
            server.states._bodies.get(each.id) is not None for each in versions
        ]
        assert [False, True] == [known(each.id, sensitive=False) is not None for each in versions]


async def test_a_pruning_that_fails_is_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did leaves the memory all the same; the traces go with the next round for that."""
    monkeypatch.setattr("proxy.storage.sqlite._SCRUB_MILLISECONDS", 100)
    async with SQLiteStore(tmp_path / "db", an_audit_log(), create=True) as store:
        world = World(store, Clock(), Retention(versions=1))
        keeper = a_keeper(world)
        first, _ = [await write(world.states, a_state(n, f"v{n}")) for n in (1, 2)]
        with store._reading() as reader:
            reader.execute("SELECT count(*) FROM entry").fetchone()
            await write_something(world)
            with pytest.raises(UnavailableError):
                await keeper.prune()
        assert world.states._bodies.get(first.version.id) is None
        assert 0 < (tmp_path / "db-wal").stat().st_size
        for _ in range(60):
            await keeper.prune()
        assert 0 == (tmp_path / "db-wal").stat().st_size


async def write_something(world: World) -> None:
    """Let the log grow beyond what the reader sees."""
    await world.directory.create(ADMIN, "workspace", {"name": "dev"})
