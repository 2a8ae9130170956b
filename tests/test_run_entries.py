"""Tests of proxy.run_entries: what the services put on record of a run, and when."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from proxy.access import Role
from proxy.cli._verification import TrustedKeys, verify_store
from proxy.contracts import Store
from proxy.errors import ConflictError, LockedError, TfauditError, UnavailableError
from proxy.lock_service import LockService
from proxy.preparation import Order, Prepared
from proxy.refusals import LockRefusedError
from proxy.state_service import StateService
from proxy.storage.reader import SQLiteReader
from proxy.tfstate.document import NotJsonError
from proxy.tlog.entry import key_id
from tests.documents import check_entries
from tests.fakes import ENTRY_KEY, FakeStore
from tests.samples import (
    OTHER_LINEAGE,
    WORKSPACE,
    Clock,
    a_caller,
    a_lock_info,
    a_state,
    an_audit_log,
    an_encrypted_state,
    an_open_store,
    log_of,
    runs_of,
)
from tests.test_state_service import KEYS, a_service, write
from tests.test_workspace_service import World

ALICE = a_caller(Role.OPERATOR)
BOB = a_caller(Role.OPERATOR, name="bob")
MINE = a_lock_info("lock-1")
THEIRS = a_lock_info("lock-2", who="bob@runner")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open an empty store; at the end its log and tables are verified, and entries' shapes."""
    async with an_open_store(tmp_path) as opened:
        yield opened
        check_entries(await log_of(opened))
    await verified(tmp_path / "tfaudit.db")


async def verified(path: Path) -> None:
    """Verify a database as the command does.

    Raises:
        VerificationError: something does not hold.
    """
    public = ENTRY_KEY.public_key()
    keys = TrustedKeys(
        {key_id(public.public_bytes_raw()): public},
        (an_audit_log().note_signer.verifier,),
        (KEYS.master,),
    )
    async with SQLiteReader(path) as reader:
        await verify_store(reader, keys, (), lambda: None)


@pytest.fixture
def states(store: Store) -> StateService:
    """Return the states of the store."""
    return a_service(store)


@pytest.fixture
def locks(store: Store) -> LockService:
    """Return its locks."""
    return LockService(store)


def with_resources(
    serial: int, *, tainted: bool = False, failed: bool = False, empty: bool = False
) -> bytes:
    """Return a state with one resource, or with none."""
    document = json.loads(a_state(serial, f"value-{serial}"))
    if tainted:
        document["resources"][0]["instances"][0]["status"] = "tainted"
    if failed:
        check = {"object_addr": "check.health", "status": "fail", "failure_messages": ["down"]}
        document["check_results"] = [
            {
                "object_kind": "check",
                "config_addr": "check.health",
                "status": "fail",
                "objects": [check],
            }
        ]
    if empty:
        document["resources"] = []
    return json.dumps(document, indent=2).encode()


async def told(store: Store) -> list[tuple[str, list[str]]]:
    """Return event and reasons of what was inferred of runs."""
    return [(each["event"], each["run"].get("reasons", [])) for each in await runs_of(store)]


CREATED: tuple[str, list[str]] = ("run.created", [])
COMPLETED: tuple[str, list[str]] = ("run.completed", [])


def errored(*reasons: str) -> tuple[str, list[str]]:
    """Return what is told of a run that errored."""
    return "run.errored", list(reasons)


def attention(*reasons: str) -> tuple[str, list[str]]:
    """Return what is told of a run that needs attention."""
    return "run.needs_attention", list(reasons)


# ---------------------------------------------------------------- from lock to unlock


async def test_a_run_that_saves_is_told_from_lock_to_unlock(
    store: Store, states: StateService, locks: LockService
) -> None:
    """Who, for how long, what it saved, and from which entries that follows."""
    await write(states, a_state(1))
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    await write(states, a_state(2, "two"), lock_id="lock-1")
    await write(states, a_state(3, "three"), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    log = await log_of(store)
    created, completed = await runs_of(store)
    assert ["run.created", "run.completed"] == [created["event"], completed["event"]]
    assert ("success", "alice", "10.0.0.7", WORKSPACE) == (
        completed["outcome"],
        completed["actor"]["name"],
        completed["source"]["ip"],
        completed["workspace"],
    )
    run = completed["run"]
    assert ("lock-1", "OperationTypeApply", "alice@laptop", "1.11.4") == (
        run["id"],
        run["operation"],
        run["who"],
        run["terraform_version"],
    )
    assert (2, 2, 3, {"added": 0, "changed": 2, "removed": 0}) == (
        run["writes"],
        run["first_serial"],
        run["last_serial"],
        run["resources"],
    )
    assert (await store.versions(WORKSPACE))[0].id == completed["state"]["version"]
    assert [
        {"event": "state.locked", "index": 2},
        {"event": "state.written", "index": 5, "first": 4, "times": 2},
        {"event": "state.unlocked", "index": 6},
    ] == completed["inferred_from"]
    for each in (*created["inferred_from"], *completed["inferred_from"]):
        assert each["event"] == log[each["index"]]["event"]
    assert [] == await store.runs()
    assert (
        "the run of alice@laptop on prod/network (OperationTypeApply) completed after 0 s: 2 "
        "saves, serials 2 to 3: 0 added, 2 changed, 0 removed" == completed["message"]
    )


async def test_the_answer_names_the_entry_of_what_was_asked_for(
    states: StateService, locks: LockService
) -> None:
    """Not one of what follows from it."""
    assert 0 == (await locks.lock(ALICE, WORKSPACE, MINE, None)).index  # 1: run.created
    written = await write(states, with_resources(1), lock_id="lock-1")  # 2: workspace.created
    assert 3 == written.index
    written = await write(states, with_resources(2, empty=True), lock_id="lock-1")
    assert 4 == written.index  # 5: run.needs_attention
    with pytest.raises(LockRefusedError) as caught:
        await locks.lock(BOB, WORKSPACE, THEIRS, None)
    assert 6 == caught.value.audit_index  # 7: run.needs_attention
    assert 8 == (await locks.unlock(ALICE, WORKSPACE, MINE, None)).index


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("OperationTypePlan", "completed after 0 s: no changes"),
        ("OperationTypeApply", "completed after 0 s: no changes, or given up before it saved any"),
    ],
)
async def test_a_run_that_saves_nothing_completes_without_changes(
    store: Store, locks: LockService, operation: str, words: str
) -> None:
    """An apply that was given up looks the same, and that is said."""
    info = a_lock_info("lock-1", operation)
    await locks.lock(ALICE, WORKSPACE, info, None)
    await locks.unlock(ALICE, WORKSPACE, info, None)
    entry = (await runs_of(store))[-1]
    assert [CREATED, COMPLETED] == await told(store)
    assert entry["message"].endswith(words)
    assert (0, False) == (entry["run"]["writes"], "state" in entry)


async def test_a_lock_that_is_taken_again_by_its_run_begins_no_other(
    store: Store, locks: LockService
) -> None:
    """Its answer was lost."""
    for _ in range(3):
        await locks.lock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED] == await told(store)


async def test_an_unlock_that_comes_twice_ends_the_run_once(
    store: Store, locks: LockService
) -> None:
    """Nothing is known of the second."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    for _ in range(2):
        await locks.unlock(ALICE, WORKSPACE, MINE, None)
    await locks.release(BOB, WORKSPACE)
    assert [CREATED, COMPLETED] == await told(store)


async def test_who_says_of_themselves_is_kept_apart_from_who_they_are(
    store: Store, locks: LockService
) -> None:
    """As in the entry of the lock."""
    await locks.lock(ALICE, WORKSPACE, THEIRS, None)
    await locks.unlock(ALICE, WORKSPACE, THEIRS, None)
    for entry in await runs_of(store):
        assert ("alice", "bob@runner", True) == (
            entry["actor"]["name"],
            entry["run"]["who"],
            entry["run"]["who_differs_from_actor"],
        )


async def test_a_write_without_a_lock_is_no_run(store: Store, states: StateService) -> None:
    """Nor is it looked at for what it leaves behind."""
    await write(states, with_resources(1, tainted=True, failed=True))
    assert [] == await runs_of(store)
    assert "run" not in (await log_of(store))[-1]


async def test_the_bytes_of_a_save_again_are_no_second_one(
    store: Store, states: StateService, locks: LockService
) -> None:
    """The answer to the first was lost."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    for _ in range(2):
        await write(states, a_state(1), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    entry = (await runs_of(store))[-1]
    assert (1, {"added": 1, "changed": 0, "removed": 0}) == (
        entry["run"]["writes"],
        entry["run"]["resources"],
    )


async def test_of_encrypted_states_the_saves_are_told_and_no_resources(
    store: Store, states: StateService, locks: LockService
) -> None:
    """OpenTofu's serials are readable."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    await write(states, an_encrypted_state(4), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    entry = (await runs_of(store))[-1]
    assert ("run.completed", 1, 1, 4) == (
        entry["event"],
        entry["run"]["writes"],
        entry["run"]["unknown_writes"],
        entry["run"]["last_serial"],
    )
    assert "resources" not in entry["run"]
    assert entry["message"].endswith("1 save, serial 4, encrypted, so the changes are unknown")


# ---------------------------------------------------------------- errors


async def test_what_a_failed_apply_leaves_tainted_is_told(
    store: Store, states: StateService, locks: LockService
) -> None:
    """It errored, and somebody has to look; the save's entry says which object."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    await write(states, with_resources(1, tainted=True), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED, attention("tainted"), errored("tainted")] == await told(store)
    saved = next(each for each in await log_of(store) if each["event"] == "state.written")
    entry = (await runs_of(store))[-1]
    assert ["terraform_data.main"] == saved["run"]["tainted"] == entry["run"]["tainted"]
    assert "error" == entry["outcome"]
    assert entry["message"].endswith(
        "errored after 0 s: it left 1 tainted: terraform_data.main; 1 save, serial 1: 1 added, 0 "
        "changed, 0 removed"
    )


async def test_what_is_put_right_by_a_later_save_is_not_left_behind(
    store: Store, states: StateService, locks: LockService
) -> None:
    """An intermediate state had it tainted."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    await write(states, with_resources(1, tainted=True), lock_id="lock-1")
    await write(states, with_resources(2), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED, COMPLETED] == await told(store)
    saved = [each for each in await log_of(store) if each["event"] == "state.written"][-1]
    assert ["terraform_data.main"] == saved["run"]["untainted"]


async def test_an_object_that_somebody_tainted_is_no_failure(
    store: Store, states: StateService, locks: LockService
) -> None:
    """``terraform taint`` did what it was told."""
    info = a_lock_info("lock-1", "taint")
    await locks.lock(ALICE, WORKSPACE, info, None)
    await write(states, with_resources(1, tainted=True), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, info, None)
    assert [CREATED, COMPLETED] == await told(store)


async def test_failed_checks_are_told(
    store: Store, states: StateService, locks: LockService
) -> None:
    """With their addresses."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    await write(states, with_resources(1, failed=True), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED, errored("checks_failed")] == await told(store)
    entry = (await runs_of(store))[-1]
    assert ["check.health"] == entry["run"]["failed_checks"]
    assert "1 check failed: check.health" in entry["message"]


async def test_a_refused_save_makes_a_run_error(
    store: Store, states: StateService, locks: LockService
) -> None:
    """A stale one; what Terraform then keeps in errored.tfstate is not here."""
    await write(states, a_state(5))
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    with pytest.raises(ConflictError):
        await write(states, a_state(5, "other"), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED, errored("save_refused")] == await told(store)
    (refused,) = (each for each in await log_of(store) if each["event"] == "state.write_refused")
    assert (True, "OperationTypeApply") == (
        refused["run"]["unsaved"],
        refused["run"]["operation"],
    )
    entry = (await runs_of(store))[-1]
    assert {"event": "state.write_refused", "index": 4} in entry["inferred_from"]
    assert entry["message"].endswith("a save was refused; nothing was saved")


async def test_a_save_that_is_no_state_makes_a_run_error(
    store: Store, states: StateService, locks: LockService
) -> None:
    """It is refused before it is compared with anything."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    with pytest.raises(NotJsonError):
        await write(states, b"cut sho", lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED, errored("save_refused")] == await told(store)


class Failing:
    """A preparer that fails so many times."""

    def __init__(self, service: StateService, times: int) -> None:
        self._real = service._preparer
        self._left = times

    async def prepare(self, order: Order) -> Prepared:
        """Fail, or do it.

        Raises:
            UnavailableError: as long as it is to.
        """
        if self._left:
            self._left -= 1
            raise UnavailableError("the worker is busy")
        return await self._real.prepare(order)


@pytest.mark.parametrize("is_saved", [True, False])
async def test_a_save_that_clients_repeat_is_only_lost_if_it_stays_so(
    store: Store, states: StateService, locks: LockService, is_saved: bool
) -> None:
    """Terraform sends it again after a 503."""
    states._preparer = Failing(states, 1)
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    with pytest.raises(UnavailableError):
        await write(states, a_state(1), lock_id="lock-1")
    if is_saved:
        await write(states, a_state(1), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    end = COMPLETED if is_saved else errored("save_refused")
    assert [CREATED, end] == await told(store)


@pytest.mark.parametrize("lock_id", [None, "another", "lock-1"])
async def test_what_others_could_not_save_is_not_the_runs_failure(
    store: Store, states: StateService, locks: LockService, lock_id: str | None
) -> None:
    """Without the lock's ID, with another, or with the very one, which each 423 shows to everybody.

    Neither are a roll-back and an import.
    """
    await write(states, a_state(1))
    await write(states, a_state(2, "two"))
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    for body in (a_state(3, "other"), b"no state"):
        with pytest.raises(TfauditError):
            await write(states, body, lock_id=lock_id, caller=BOB)
    with pytest.raises(LockedError):
        await states.roll_back(BOB, WORKSPACE, "1")
    with pytest.raises(LockedError):
        await states.import_state(BOB, WORKSPACE, a_state(9, "nine"))
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED, COMPLETED] == await told(store)
    refused = [each for each in await log_of(store) if each["event"] == "state.write_refused"]
    assert 4 == len(refused)
    assert all("unsaved" not in each.get("run", {}) for each in refused)
    named = [each for each in refused if each.get("run") == {"id": "lock-1"}]
    assert ["alice"] * (2 * (lock_id == "lock-1")) == [each["holder"]["actor"] for each in named]


@pytest.mark.parametrize("body", [b"", json.dumps({"ID": "lock-1"}).encode(), MINE])
async def test_a_lock_that_is_broken_makes_its_run_error(
    store: Store, states: StateService, locks: LockService, body: bytes
) -> None:
    """By whom, with whose lock it was; what the run still does is no run's any more."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    await write(states, a_state(1), lock_id="lock-1")
    await locks.unlock(BOB, WORKSPACE, body, None)
    await write(states, a_state(2, "two"), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED, errored("lock_broken")] == await told(store)
    entry = (await runs_of(store))[-1]
    assert ("bob", "alice", "alice@laptop", 1) == (
        entry["actor"]["name"],
        entry["holder"]["actor"],
        entry["run"]["who"],
        entry["run"]["writes"],
    )
    assert "state.force_unlocked" == entry["inferred_from"][-1]["event"]
    assert "errored after 0 s: bob broke its lock by force; 1 save" in entry["message"]


async def test_a_lock_is_broken_by_the_command_as_well(store: Store, locks: LockService) -> None:
    """``tfaudit lock release``."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    await locks.release(BOB, WORKSPACE)
    assert [CREATED, errored("lock_broken")] == await told(store)


async def test_what_may_not_be_released_goes_on(store: Store, locks: LockService) -> None:
    """A refused unlock ends nothing."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    for body in (MINE, THEIRS, b""):
        with pytest.raises(TfauditError):
            await locks.unlock(a_caller(Role.WRITER, name="carol"), WORKSPACE, body, None)
    assert [CREATED] == await told(store)
    assert ["lock-1"] == [run.id for run in await store.runs()]


# ---------------------------------------------------------------- attention


async def test_somebody_who_waits_is_told_once_a_run(store: Store, locks: LockService) -> None:
    """However often they ask; the next run is another."""
    for lock_id in ("first", "second"):
        mine = a_lock_info(lock_id)
        await locks.lock(ALICE, WORKSPACE, mine, None)
        for wait in (0, 0, 0.02):
            with pytest.raises(LockRefusedError):
                await locks.lock(BOB, WORKSPACE, THEIRS, None, wait=wait)
        await locks.unlock(ALICE, WORKSPACE, mine, None)
    assert [CREATED, attention("lock_waited_for"), COMPLETED] * 2 == await told(store)
    entry = (await runs_of(store))[1]
    assert ("conflict", "bob", "alice", 423, "first", "OperationTypeApply") == (
        entry["outcome"],
        entry["actor"]["name"],
        entry["holder"]["actor"],
        entry["request"]["status"],
        entry["run"]["id"],
        entry["run"]["operation"],
    )
    assert [
        {"event": "state.locked", "index": 0},
        {"event": "state.lock_refused", "index": 2},
    ] == entry["inferred_from"]
    assert entry["message"].endswith("needs attention after 0 s: bob waits for its lock")


async def test_who_waits_in_line_is_told_when_they_begin_to(
    store: Store, locks: LockService
) -> None:
    """Not only once they are refused: whoever gets the lock in the end waited, too."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    waiting = asyncio.create_task(locks.lock(BOB, WORKSPACE, THEIRS, None, wait=5))
    carol = a_caller(Role.OPERATOR, name="carol")
    while len(await told(store)) < 2:
        pass
    with pytest.raises(LockRefusedError):
        await locks.lock(carol, WORKSPACE, a_lock_info("lock-3"), None)
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    await waiting
    assert [CREATED, attention("lock_waited_for"), COMPLETED, CREATED] == await told(store)
    entry = (await runs_of(store))[1]
    assert ("success", "bob", "alice") == (
        entry["outcome"],
        entry["actor"]["name"],
        entry["holder"]["actor"],
    )
    assert [{"event": "state.locked", "index": 0}] == entry["inferred_from"]
    assert entry["message"].endswith("needs attention after 0 s: bob waits for its lock")


async def test_who_gets_no_lock_for_another_reason_does_not_wait(
    store: Store, locks: LockService
) -> None:
    """They may not have it at all, or it was no lock info."""
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    with pytest.raises(LockRefusedError):
        await locks.lock(a_caller(Role.READER, name="eve"), WORKSPACE, THEIRS, None)
    with pytest.raises(TfauditError):
        await locks.lock(BOB, WORKSPACE, b"{}", None)
    assert [CREATED] == await told(store)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (a_state(2, "older"), "serial_forced"),
        (a_state(9, "other", lineage=OTHER_LINEAGE), "lineage_forced"),
        (with_resources(6, empty=True), "state_emptied"),
    ],
)
async def test_what_is_rarely_meant_needs_attention_at_once(
    store: Store, states: StateService, locks: LockService, second: bytes, reason: str
) -> None:
    """In the transaction of the save, and once, though it is done twice."""
    push = a_lock_info("lock-1", "state-push")
    await write(states, a_state(5))
    await locks.lock(ALICE, WORKSPACE, push, None)
    await write(states, second, lock_id="lock-1")
    assert [CREATED, attention(reason)] == await told(store)
    entry = (await runs_of(store))[-1]
    assert {"event": "state.written", "index": 4} == entry["inferred_from"][-1]
    assert json.loads(second)["serial"] == entry["state"]["serial"]
    await write(states, a_state(5), lock_id="lock-1")
    await write(states, second, lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, push, None)
    events = [event for event in await told(store) if event[1] == [reason]]
    assert [attention(reason)] == events
    assert COMPLETED == (await told(store))[-1]


# ---------------------------------------------------------------- runs that nothing is known of


async def test_a_run_of_an_older_release_ends_without_a_word() -> None:
    """Its lock was taken when runs were not followed: all works as before."""
    store = FakeStore()
    states, locks = a_service(store), LockService(store)
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    store._contents.runs.clear()
    await write(states, with_resources(1, tainted=True), lock_id="lock-1")
    with pytest.raises(TfauditError):
        await write(states, b"no state", lock_id="lock-1")
    with pytest.raises(LockRefusedError):
        await locks.lock(BOB, WORKSPACE, THEIRS, None)
    await locks.alert_overdue(ALICE)
    await locks.unlock(ALICE, WORKSPACE, MINE, None)
    assert [CREATED] == await told(store)


async def test_a_workspace_is_not_deleted_under_a_run(tmp_path: Path) -> None:
    """That is refused, and the run goes on; afterwards no run can begin there."""
    async with an_open_store(tmp_path) as store:
        world = World(store, Clock())
        await write(world.states, a_state(1))
        await world.locks.lock(ALICE, WORKSPACE, MINE, None)
        with pytest.raises(LockedError):
            await world.workspaces.delete(ALICE, WORKSPACE)
        await write(world.states, a_state(2, "two"), lock_id="lock-1")
        await world.locks.unlock(ALICE, WORKSPACE, MINE, None)
        await world.workspaces.delete(ALICE, WORKSPACE)
        with pytest.raises(LockRefusedError):
            await world.locks.lock(ALICE, WORKSPACE, MINE, None)
        assert [CREATED, COMPLETED] == await told(store)


# ---------------------------------------------------------------- for how long

MINUTE = 60_000_000


async def limited(world: World, minutes: int | None = 30) -> None:
    """Give the workspace a limit."""
    await world.directory.create(
        a_caller(), "workspace", {"name": WORKSPACE, "lock_alert_minutes": minutes}
    )


async def test_a_run_that_takes_too_long_is_told_once(tmp_path: Path) -> None:
    """By the system; also when the server starts anew, or was down when it came due."""
    clock = Clock()
    system = a_caller(name="system")
    async with an_open_store(tmp_path) as store:
        store._audit = replace_clock(store._audit, clock)
        world = World(store, clock)
        await limited(world)
        await world.locks.lock(ALICE, WORKSPACE, MINE, None)
        clock.micros += 29 * MINUTE
        assert [] == await world.locks.alert_overdue(system)
        clock.micros += 2 * MINUTE
    async with an_open_store(tmp_path) as store:
        store._audit = replace_clock(store._audit, clock)
        locks = LockService(store)
        assert [WORKSPACE] == await locks.alert_overdue(system)
        assert [] == await locks.alert_overdue(system)
    async with an_open_store(tmp_path) as store:
        store._audit = replace_clock(store._audit, clock)
        assert [] == await LockService(store).alert_overdue(system)
        entry = (await runs_of(store))[-1]
        assert ("run.needs_attention", "system", "alice", ["lock_held_long"], 30, 1860) == (
            entry["event"],
            entry["actor"]["name"],
            entry["holder"]["actor"],
            entry["run"]["reasons"],
            entry["run"]["lock_alert_minutes"],
            entry["run"]["seconds"],
        )
        assert "it holds the lock for more than 30 minutes" in entry["message"]
        await LockService(store).unlock(ALICE, WORKSPACE, MINE, None)
        assert [CREATED, attention("lock_held_long"), COMPLETED] == await told(store)
        check_entries(await log_of(store))
    await verified(tmp_path / "tfaudit.db")


def replace_clock(audit: Any, clock: Clock) -> Any:
    """Return the log's signer with another clock."""
    audit.clock = clock
    return audit


async def test_only_where_there_is_a_limit_a_run_can_take_too_long(tmp_path: Path) -> None:
    """A shorter one that is set later counts from the beginning of the run."""
    clock = Clock()
    async with an_open_store(tmp_path) as store:
        store._audit = replace_clock(store._audit, clock)
        world = World(store, clock)
        await world.locks.lock(ALICE, WORKSPACE, MINE, None)
        await world.locks.lock(ALICE, "prod/other", a_lock_info("other"), None)
        clock.micros += 600 * MINUTE
        assert [] == await world.locks.alert_overdue(ALICE)
        await limited(world, 60)
        assert [WORKSPACE] == await world.locks.alert_overdue(ALICE)


async def test_a_server_without_long_runs_writes_nothing() -> None:
    """Each minute: no transaction, as long as no workspace with a run has a limit."""
    fake = FakeStore()
    locks = LockService(fake)
    await locks.lock(ALICE, WORKSPACE, MINE, None)
    before = fake.writes
    assert [] == await locks.alert_overdue(ALICE)
    assert before == fake.writes


# ---------------------------------------------------------------- whatever happens


def under_way_by(told: list[dict[str, Any]]) -> dict[str, str]:
    """Return the runs that are under way by what was told of them, once that is in order."""
    found: dict[str, str] = {}
    for entry in told:
        workspace, run_id = entry["workspace"], entry["run"]["id"]
        if entry["event"] == "run.created":
            assert workspace not in found
            found[workspace] = run_id
        assert run_id == found[workspace]
        if entry["event"] in {"run.completed", "run.errored"}:
            del found[workspace]
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_each_run_ends_once_and_the_log_explains_the_tables(
    tmp_path: Path, seed: int
) -> None:
    """A hundred requests by chance, on two workspaces; then all is verified."""
    chance = Random(seed)
    clock = Clock()
    async with an_open_store(tmp_path) as store:
        store._audit = replace_clock(store._audit, clock)
        world = World(store, clock)
        await limited(world, 1)

        async def request(serial: int) -> None:
            workspace = chance.choice([WORKSPACE, "dev"])
            lock_id = chance.choice(["lock-1", "lock-2"])
            who = chance.choice([ALICE, BOB])
            operation = chance.choice(["OperationTypeApply", "state-push", "taint"])
            info = a_lock_info(lock_id, operation)
            body = chance.choice(
                [
                    with_resources(serial, tainted=chance.random() < 0.5),
                    with_resources(serial, failed=True, empty=chance.random() < 0.5),
                    with_resources(max(0, serial - 30)),
                    an_encrypted_state(serial),
                    b"no state",
                ]
            )

            async def receive(_: int | None) -> bytes:
                return body

            match chance.randrange(8):
                case 0 | 1:
                    await world.locks.lock(who, workspace, info, None)
                case 2:
                    await world.locks.unlock(who, workspace, info, None)
                case 3:
                    await world.locks.release(who, workspace)
                case 4:
                    clock.micros += chance.randrange(2 * MINUTE)
                    await world.locks.alert_overdue(a_caller(name="system"))
                case _:
                    given = chance.choice([lock_id, lock_id, None])
                    await world.states.write(who, workspace, receive, given, None)

        for serial in range(1, 101):
            with suppress(TfauditError):
                await request(serial)
        under_way = under_way_by(await runs_of(store))
        assert under_way == {run.workspace: run.id for run in await store.runs()}
        assert under_way == {lock.workspace: lock.id for lock in await store.locks()}
        check_entries(await log_of(store))
    await verified(tmp_path / "tfaudit.db")
