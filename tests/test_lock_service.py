"""Tests of proxy.lock_service."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.access import Role
from proxy.contracts import Committed, LogQuery, Store
from proxy.errors import ForbiddenError, InvalidInputError, UnavailableError
from proxy.lock_service import LockService
from proxy.refusals import (
    DamagedUploadError,
    LockRefusedError,
    StrippedUnlockError,
    UnlockRefusedError,
)
from proxy.tfstate import lock as lock_infos
from tests.fakes import FakeStore, Fault
from tests.samples import (
    WORKSPACE,
    a_caller,
    a_lock_info,
    an_open_store,
    events_of,
    last_of,
    log_of,
    md5_of,
    until,
)

OPERATOR = a_caller(Role.OPERATOR)
BOB = a_caller(Role.WRITER, name="bob")
READER = a_caller(Role.READER)
MINE = a_lock_info("lock-1")
THEIRS = a_lock_info("lock-2", who="bob@runner")
ID_ONLY = json.dumps({"ID": "lock-1", "Created": "0001-01-01T00:00:00Z"}).encode()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open an empty store."""
    async with an_open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def locks(store: Store) -> LockService:
    """Return the service over it."""
    return LockService(store)


async def held_by(store: Store) -> str | None:
    """Return the ID of the lock that is held."""
    return next((lock.id for lock in await store.locks()), None)


# ---------------------------------------------------------------- taking it


async def test_a_free_lock_is_taken_and_recorded(store: Store, locks: LockService) -> None:
    """The entry tells who, for which run, and that the client names somebody else."""
    committed = await locks.lock(OPERATOR, WORKSPACE, MINE, md5_of(MINE))
    entry = await last_of(store)
    assert (0, "lock-1") == (committed.index, await held_by(store))
    assert ("state.locked", "success", WORKSPACE, 200) == (
        entry["event"],
        entry["outcome"],
        entry["workspace"],
        entry["request"]["status"],
    )
    assert {
        "id": "lock-1",
        "operation": "OperationTypeApply",
        "who": "alice@laptop",
        "terraform_version": "1.11.4",
    } == entry["run"]


async def test_an_entry_says_when_the_client_names_another_than_who_authenticated(
    store: Store, locks: LockService
) -> None:
    """Both identities are kept and never mixed."""
    await locks.lock(OPERATOR, WORKSPACE, THEIRS, None)
    entry = await last_of(store)
    assert ("alice", "bob@runner", True) == (
        entry["actor"]["name"],
        entry["run"]["who"],
        entry["run"]["who_differs_from_actor"],
    )


async def test_the_holder_is_confirmed(store: Store, locks: LockService) -> None:
    """A LOCK that is sent again because its answer got lost."""
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    committed = await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    assert 2 == committed.index
    assert ["state.locked", "state.locked"] == await events_of(store)


async def test_a_held_lock_is_refused_with_its_holder(store: Store, locks: LockService) -> None:
    """The body is the holder's LockInfo, byte for byte, and the entry names the holder."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    with pytest.raises(LockRefusedError, match="is locked by bob@runner") as caught:
        await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    entry = await last_of(store)
    assert THEIRS == caught.value.info
    assert (2, "state.lock_refused", "conflict", 423) == (
        caught.value.audit_index,
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )
    assert ("lock-2", "bob") == (entry["holder"]["id"], entry["holder"]["actor"])


async def test_one_of_many_gets_the_lock(store: Store, locks: LockService) -> None:
    """Fifty at once: one has it, forty-nine are told who."""
    infos = [a_lock_info(f"lock-{number}") for number in range(50)]
    answers = await asyncio.gather(
        *(locks.lock(OPERATOR, WORKSPACE, info, None) for info in infos), return_exceptions=True
    )
    winners = [n for n, answer in enumerate(answers) if isinstance(answer, Committed)]
    refused = [answer for answer in answers if isinstance(answer, LockRefusedError)]
    assert (1, 49) == (len(winners), len(refused))
    assert {infos[winners[0]]} == {each.info for each in refused}
    assert f"lock-{winners[0]}" == await held_by(store)


async def test_whoever_may_not_lock_is_told_in_the_lock_info(
    store: Store, locks: LockService
) -> None:
    """The only text that a client shows: ``ID`` before 1.15, ``Info`` since."""
    with pytest.raises(LockRefusedError) as caught:
        await locks.lock(READER, WORKSPACE, MINE, None)
    told = lock_infos.parse(caught.value.info)
    entry = await last_of(store)
    assert "alice (reader) may not lock:take on prod/network" in told.id
    assert told.id == told.info
    assert "tfaudit" == told.who
    assert ("state.lock_refused", "denied") == (entry["event"], entry["outcome"])
    assert await held_by(store) is None


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"no", b'{"ID": 7}', b'{"ID": "1", "Created": "yesterday"}']
)
async def test_a_body_that_is_no_lock_info_is_refused_and_recorded(
    store: Store, locks: LockService, body: bytes
) -> None:
    """What Go could not read back is not taken in."""
    with pytest.raises(InvalidInputError) as caught:
        await locks.lock(OPERATOR, WORKSPACE, body, None)
    entry = await last_of(store)
    assert (0, "state.lock_refused", "error", 400) == (
        caught.value.audit_index,
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )


async def test_a_damaged_lock_is_sent_again(store: Store, locks: LockService) -> None:
    """A body that is not what its Content-MD5 says."""
    with pytest.raises(DamagedUploadError):
        await locks.lock(OPERATOR, WORKSPACE, MINE, md5_of(THEIRS))
    assert ("state.lock_refused", None) == (
        (await last_of(store))["event"],
        await held_by(store),
    )


async def test_a_lock_of_another_workspace_is_not_in_the_way(
    store: Store, locks: LockService
) -> None:
    """Not even of one inside it."""
    await locks.lock(BOB, f"{WORKSPACE}/eu", THEIRS, None)
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    assert 2 == len(await store.locks())


# ---------------------------------------------------------------- waiting for it


async def test_a_lock_is_waited_for_and_had_at_once_when_it_is_free(
    store: Store, locks: LockService
) -> None:
    """No polling gap: the release wakes the waiter."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    waiting = asyncio.create_task(locks.lock(OPERATOR, WORKSPACE, MINE, None, wait=30))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await locks.unlock(BOB, WORKSPACE, THEIRS, None)
    async with asyncio.timeout(0.5):
        await waiting
    assert "lock-1" == await held_by(store)


async def test_waiting_fills_the_log_with_nothing(store: Store, locks: LockService) -> None:
    """One entry for the refusal at the end, however often it was looked."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    with pytest.raises(LockRefusedError) as caught:
        await locks.lock(OPERATOR, WORKSPACE, MINE, None, wait=0.3)
    assert THEIRS == caught.value.info
    assert ["state.locked", "state.lock_refused"] == await events_of(store)


async def test_who_waits_is_served_in_order(store: Store, locks: LockService) -> None:
    """First come, first served, through three releases."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    infos = [a_lock_info(f"waiter-{number}") for number in range(3)]
    waiting = []
    for info in infos:
        waiting.append(asyncio.create_task(locks.lock(OPERATOR, WORKSPACE, info, None, wait=30)))
        await asyncio.sleep(0.05)
    for task, before, number in zip(waiting, [THEIRS, *infos], range(3), strict=False):
        await locks.unlock(OPERATOR, WORKSPACE, before, None)
        async with asyncio.timeout(2):
            await task
        assert f"waiter-{number}" == await held_by(store)


async def test_the_holder_need_not_wait_for_those_who_wait(locks: LockService) -> None:
    """Its LOCK is sent again while others stand in line for what it holds."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    waiting = asyncio.create_task(locks.lock(OPERATOR, WORKSPACE, MINE, None, wait=30))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(1):
        await locks.lock(BOB, WORKSPACE, THEIRS, None, wait=30)
    await locks.unlock(BOB, WORKSPACE, THEIRS, None)
    await waiting


async def test_a_release_by_another_process_is_found(
    store: Store, locks: LockService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tfaudit lock release`` can't wake anybody here, so the first in line looks for itself."""
    monkeypatch.setattr("proxy.lock_service.POLL_SECONDS", 0.1)
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    waiting = asyncio.create_task(locks.lock(OPERATOR, WORKSPACE, MINE, None, wait=30))
    await asyncio.sleep(0.05)
    await LockService(store).release(a_caller(), WORKSPACE)
    async with asyncio.timeout(2):
        await waiting


async def test_nobody_gets_a_lock_he_never_hears_of(store: Store, locks: LockService) -> None:
    """The client hung up while it waited; the lock comes free afterwards."""
    gone = False
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    waiting = asyncio.create_task(
        locks.lock(OPERATOR, WORKSPACE, MINE, None, wait=30, is_gone=lambda: gone)
    )
    await asyncio.sleep(0.1)
    gone = True
    await locks.unlock(BOB, WORKSPACE, THEIRS, None)
    with pytest.raises(UnavailableError, match="hung up"):
        await waiting
    entry = await last_of(store)
    assert ("state.lock_refused", "error") == (entry["event"], entry["outcome"])
    assert await held_by(store) is None


async def test_nobody_gets_a_lock_he_never_hears_of_at_the_end_of_the_wait(
    store: Store, locks: LockService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hung up, freed by another process between two looks, and the time is over."""
    monkeypatch.setattr("proxy.lock_service.POLL_SECONDS", 60)
    gone = False
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    waiting = asyncio.create_task(
        locks.lock(OPERATOR, WORKSPACE, MINE, None, wait=0.4, is_gone=lambda: gone)
    )
    await asyncio.sleep(0.1)
    gone = True
    await LockService(store).release(a_caller(), WORKSPACE)
    with pytest.raises(UnavailableError, match="hung up"):
        await waiting
    assert await held_by(store) is None


async def test_a_stop_sends_the_waiters_away(store: Store, locks: LockService) -> None:
    """With a failure that clients try again, and on record."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    waiting = [
        asyncio.create_task(locks.lock(OPERATOR, WORKSPACE, a_lock_info(f"w{n}"), None, wait=30))
        for n in range(3)
    ]
    await asyncio.sleep(0.1)
    locks.stop_waiting()
    async with asyncio.timeout(2):
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [UnavailableError] * 3 == [type(answer) for answer in answers]
    refused = await log_of(store, LogQuery(event="state.lock_refused"))
    assert [503] * 3 == [entry["request"]["status"] for entry in refused]


# ---------------------------------------------------------------- releasing it


async def test_the_holder_releases_its_lock(store: Store, locks: LockService) -> None:
    """And the entry tells whose run it was."""
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    await locks.unlock(OPERATOR, WORKSPACE, MINE, md5_of(MINE))
    entry = await last_of(store)
    assert await held_by(store) is None
    assert ("state.unlocked", "lock-1") == (entry["event"], entry["run"]["id"])


async def test_an_unlock_may_come_twice(store: Store, locks: LockService) -> None:
    """Its answer got lost; the second is a success, too."""
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    for _ in range(2):
        await locks.unlock(OPERATOR, WORKSPACE, MINE, None)
    assert ["state.locked", "state.unlocked", "state.unlocked"] == await events_of(store)


async def test_anothers_lock_is_not_released(store: Store, locks: LockService) -> None:
    """Refused with the holder's LockInfo, and on record."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    with pytest.raises(UnlockRefusedError) as caught:
        await locks.unlock(OPERATOR, WORKSPACE, MINE, None)
    entry = await last_of(store)
    assert (THEIRS, "lock-2") == (caught.value.info, await held_by(store))
    assert ("state.unlock_refused", "conflict", 409) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )


@pytest.mark.parametrize("content_md5", [None, lock_infos.EMPTY_MD5])
async def test_an_empty_body_is_a_force_unlock(
    store: Store, locks: LockService, content_md5: str | None
) -> None:
    """Whoever holds it; the entry says whose lock it was."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    await locks.unlock(OPERATOR, WORKSPACE, b"", content_md5)
    entry = await last_of(store)
    assert await held_by(store) is None
    assert ("state.force_unlocked", "lock-2", "bob") == (
        entry["event"],
        entry["holder"]["id"],
        entry["holder"]["actor"],
    )


async def test_a_force_unlock_of_a_free_lock_is_a_success(store: Store, locks: LockService) -> None:
    """Idempotent, and on record."""
    await locks.unlock(OPERATOR, WORKSPACE, b"", None)
    assert "state.force_unlocked" == (await last_of(store))["event"]


async def test_a_body_that_was_stripped_still_releases_its_own_lock(
    store: Store, locks: LockService
) -> None:
    """The MD5 of the holder's LOCK body proves the holder."""
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    await locks.unlock(OPERATOR, WORKSPACE, b"", md5_of(MINE))
    entry = await last_of(store)
    assert await held_by(store) is None
    assert "state.unlocked" == entry["event"]
    assert "its body was lost on the way" in entry["message"]


async def test_a_body_that_was_stripped_releases_no_other_lock(
    store: Store, locks: LockService
) -> None:
    """It is no force-unlock, though it looks like one."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    with pytest.raises(StrippedUnlockError) as caught:
        await locks.unlock(OPERATOR, WORKSPACE, b"", md5_of(MINE))
    assert (2, "lock-2") == (caught.value.audit_index, await held_by(store))
    assert "state.unlock_refused" == (await last_of(store))["event"]


async def test_opentofus_force_unlock_names_the_id(store: Store, locks: LockService) -> None:
    """The right ID releases the lock and is recorded as forced."""
    await locks.lock(BOB, WORKSPACE, MINE, None)
    await locks.unlock(OPERATOR, WORKSPACE, ID_ONLY, md5_of(ID_ONLY))
    assert ("state.force_unlocked", None) == (
        (await last_of(store))["event"],
        await held_by(store),
    )


async def test_opentofus_force_unlock_with_the_wrong_id_is_refused(
    store: Store, locks: LockService
) -> None:
    """Unlike Terraform's, it can be checked."""
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    with pytest.raises(UnlockRefusedError):
        await locks.unlock(OPERATOR, WORKSPACE, ID_ONLY, None)
    assert "lock-2" == await held_by(store)


async def test_an_unlock_that_is_no_lock_info_is_refused_and_recorded(
    store: Store, locks: LockService
) -> None:
    """Garbage releases nothing."""
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    with pytest.raises(InvalidInputError):
        await locks.unlock(OPERATOR, WORKSPACE, b"garbage", None)
    assert ("state.unlock_refused", "lock-1") == (
        (await last_of(store))["event"],
        await held_by(store),
    )


@pytest.mark.parametrize("body", [MINE, ID_ONLY, b""])
async def test_whoever_may_not_unlock_is_refused(
    store: Store, locks: LockService, body: bytes
) -> None:
    """By ID, forced by ID, and forced without."""
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    with pytest.raises(ForbiddenError) as caught:
        await locks.unlock(READER, WORKSPACE, body, None)
    assert (2, "access.denied", "lock-1") == (
        caught.value.audit_index,
        (await last_of(store))["event"],
        await held_by(store),
    )


async def test_a_writer_of_another_workspace_can_not_force(
    store: Store, locks: LockService
) -> None:
    """The globs count for a release, too."""
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    with pytest.raises(ForbiddenError):
        await locks.release(a_caller(Role.WRITER, workspaces=("dev/*",)), WORKSPACE)
    assert "lock-1" == await held_by(store)


# ---------------------------------------------------------------- faults, both kinds


async def test_a_lock_that_was_not_persisted_is_not_held() -> None:
    """The request fails, and the lock is free for whoever comes."""
    store = FakeStore()
    locks = LockService(store)
    store.fault = Fault.NOT_PERSISTED
    with pytest.raises(UnavailableError):
        await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    store.fault = None
    await locks.lock(BOB, WORKSPACE, THEIRS, None)
    assert "lock-2" == await held_by(store)


async def test_a_lock_whose_answer_got_lost_is_confirmed_when_asked_again() -> None:
    """The client sends the same LOCK again, as it does after a failure."""
    store = FakeStore()
    locks = LockService(store)
    store.fault = Fault.ANSWER_LOST
    with pytest.raises(UnavailableError):
        await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    store.fault = None
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    assert "lock-1" == await held_by(store)


async def test_an_unlock_whose_answer_got_lost_succeeds_when_sent_again() -> None:
    """And waiters learn of it."""
    store = FakeStore()
    locks = LockService(store)
    await locks.lock(OPERATOR, WORKSPACE, MINE, None)
    waiting = asyncio.create_task(locks.lock(BOB, WORKSPACE, THEIRS, None, wait=30))
    await asyncio.sleep(0)
    store.fault = Fault.ANSWER_LOST
    with pytest.raises(UnavailableError):
        await locks.unlock(OPERATOR, WORKSPACE, MINE, None)
    store.fault = None
    await locks.unlock(OPERATOR, WORKSPACE, MINE, None)
    await until(waiting.done)
    assert "lock-2" == await held_by(store)
