"""Tests of proxy.state_service."""

import asyncio
import hashlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from proxy.access import Role
from proxy.contracts import Committed, LogQuery, Store, Transaction
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
from proxy.preparation import Keys, Order, Prepared
from proxy.preparers import LocalPreparer
from proxy.refusals import (
    DamagedUploadError,
    ForgedReadError,
    HeldBySomebodyElseError,
    LineageChangedError,
    LockedByAnotherError,
    LockGoneError,
    LockIdMissingError,
    LostUpdateError,
    SerialRegressionError,
    SlowUploadError,
)
from proxy.state_service import StateService, Written
from proxy.tfstate.commitment import text_commitment, workspace_key
from proxy.tfstate.document import NotAStateError, NotJsonError
from proxy.tfstate.policy import Policy
from tests.fakes import FakeStore, Fault
from tests.samples import (
    LINEAGE,
    OTHER_LINEAGE,
    WORKSPACE,
    Clock,
    a_caller,
    a_draft,
    a_lock_info,
    a_state,
    an_encrypted_state,
    an_open_store,
    events_of,
    last_of,
    log_of,
    md5_of,
)

T = TypeVar("T")

ALICE = a_caller(Role.OPERATOR)
READER = a_caller(Role.READER)
AUDITOR = a_caller(Role.AUDITOR)
KEYS = Keys(master=bytes(range(32)), redaction=bytes(32))


def a_service(store: Store, **settings: Any) -> StateService:
    """Return a service over a store; a new one has nothing in memory."""
    return StateService(store, KEYS, clock=Clock(), random=os.urandom, **settings)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open an empty store."""
    async with an_open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def states(store: Store) -> StateService:
    """Return the service over it."""
    return a_service(store)


@pytest.fixture
def locks(store: Store) -> LockService:
    """Return the locks of the same store."""
    return LockService(store)


async def write(
    states: StateService,
    body: bytes,
    *,
    lock_id: str | None = None,
    content_md5: str | None = None,
    caller: Any = ALICE,
) -> Written:
    """Upload a state."""

    async def receive(_: int | None) -> bytes:
        return body

    return await states.write(caller, WORKSPACE, receive, lock_id, content_md5)


# ---------------------------------------------------------------- reading


async def test_a_workspace_without_a_state_is_told_and_recorded(
    store: Store, states: StateService
) -> None:
    """Certain knowledge that there is none: 404, as an entry."""
    reading = await states.read(READER, WORKSPACE)
    entry = await last_of(store)
    assert (None, None, 0) == (reading.version, reading.body, reading.index)
    assert ("state.read", "success", 404) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )


@pytest.mark.parametrize("is_fresh", [True, False], ids=["from disk", "from memory"])
async def test_a_state_comes_back_byte_for_byte(store: Store, is_fresh: bool) -> None:
    """Odd spacing, order and numbers of a state are nobody's to change."""
    body = (
        b'{ "serial":1,\t"version":4 ,"lineage":"\\u0061","big":123456789012345678901234567890,'
        b'"f":1.10,"resources":[ ]}\r\n'
    )
    states = a_service(store)
    await write(states, body)
    reading = await (a_service(store) if is_fresh else states).read(READER, WORKSPACE)
    assert body == reading.body


async def test_a_read_is_recorded_with_what_was_read(store: Store, states: StateService) -> None:
    """Serial, digest, size and version of exactly the bytes that were given out."""
    written = await write(states, a_state(7))
    reading = await states.read(READER, WORKSPACE)
    entry = await last_of(store)
    assert reading.index == written.index + 1 if written.index is not None else False
    assert ("state.read", "alice") == (entry["event"], entry["actor"]["name"])
    assert {
        "lineage": LINEAGE,
        "serial": 7,
        "sha256": hashlib.sha256(a_state(7)).hexdigest(),
        "size": len(a_state(7)),
        "version": written.version.id,
        "terraform_version": "1.11.4",
    } == entry["state"]


async def test_a_read_is_not_blocked_by_a_lock(states: StateService, locks: LockService) -> None:
    """A plan of somebody else may go on."""
    await write(states, a_state(1))
    await locks.lock(ALICE, WORKSPACE, a_lock_info(), None)
    assert a_state(1) == (await states.read(READER, WORKSPACE)).body


async def test_whoever_may_not_read_gets_nothing_but_an_entry(
    store: Store, states: StateService
) -> None:
    """An auditor reads the log, not the states."""
    await write(states, a_state(1))
    with pytest.raises(ForbiddenError) as caught:
        await states.read(AUDITOR, WORKSPACE)
    entry = await last_of(store)
    assert ("access.denied", "denied", "state:read", 403) == (
        entry["event"],
        entry["outcome"],
        entry["permission"],
        entry["request"]["status"],
    )
    assert caught.value.audit_index == await store.size() - 1


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM state_body",
        "UPDATE state_body SET sealed = x''",
        "UPDATE state_body SET sealed = substr(sealed, 1, 90)",
        "UPDATE state_version SET sha256 = 'other'",
        "UPDATE state_version SET lineage = 'other'",
        "DELETE FROM state_version",
        "DELETE FROM workspace",
    ],
)
async def test_a_state_that_can_not_be_read_is_never_no_state(tmp_path: Path, sql: str) -> None:
    """Doubt is a failure: a false "there is none" would cost the record of real infrastructure."""
    async with an_open_store(tmp_path) as store:
        await write(a_service(store), a_state(1))
    with closing(sqlite3.connect(tmp_path / "tfaudit.db")) as connection, connection:
        connection.execute(sql)
    async with an_open_store(tmp_path) as store:
        with pytest.raises(UnavailableError):
            await a_service(store).read(READER, WORKSPACE)


async def test_a_wrong_master_key_is_never_no_state(store: Store, states: StateService) -> None:
    """Nor anything else than a failure."""
    await write(states, a_state(1))
    other = StateService(store, Keys(bytes(32), bytes(32)), clock=Clock(), random=os.urandom)
    with pytest.raises(UnavailableError, match=r"check keys\.master"):
        await other.read(READER, WORKSPACE)


async def test_a_body_passed_off_as_another_workspaces_is_found(tmp_path: Path) -> None:
    """Somebody with the database copies prod's sealed body over dev's."""
    async with an_open_store(tmp_path) as store:
        states = a_service(store)
        for workspace in ("prod", "dev"):
            await states.import_state(ALICE, workspace, a_state(1))
    with closing(sqlite3.connect(tmp_path / "tfaudit.db")) as connection, connection:
        connection.execute(
            "UPDATE state_body SET sealed = (SELECT b.sealed FROM state_body b "
            "JOIN state_version v ON v.id = b.id WHERE v.workspace = 'prod')"
        )
    async with an_open_store(tmp_path) as store:
        states = a_service(store)
        assert a_state(1) == (await states.read(READER, "prod")).body
        with pytest.raises(UnavailableError, match="it was altered"):
            await states.read(READER, "dev")


async def test_a_read_that_can_not_be_recorded_gives_nothing() -> None:
    """Not persisted or answer lost: no byte leaves without a committed entry."""
    store = FakeStore()
    states = a_service(store)
    await write(states, a_state(1))
    for fault in Fault:
        store.fault = fault
        with pytest.raises(UnavailableError):
            await states.read(READER, WORKSPACE)


# ---------------------------------------------------------------- writing


async def test_a_first_write_creates_the_workspace(store: Store, states: StateService) -> None:
    """Two entries and one version, in one transaction."""
    written = await write(states, a_state(1), content_md5=md5_of(a_state(1)))
    assert ["workspace.created", "state.written"] == await events_of(store)
    assert (1, 1, False, 1) == (
        written.version.number,
        written.version.serial,
        written.repeated,
        written.index,
    )
    assert [written.version] == await store.versions(WORKSPACE)


async def test_a_write_is_recorded_with_what_changed(store: Store, states: StateService) -> None:
    """Both serials, the digest, and the attribute before and after."""
    await write(states, a_state(1, "one"))
    await write(states, a_state(2, "two"))
    entry = await last_of(store)
    assert (1, 2) == (entry["state"]["previous_serial"], entry["state"]["serial"])
    assert hashlib.sha256(a_state(2, "two")).hexdigest() == entry["state"]["sha256"]
    assert {"added": 0, "changed": 1, "removed": 0} == entry["changes"]["resources"]
    (item,) = entry["changes"]["items"]
    assert ("terraform_data.main", "update") == (item["address"], item["action"])
    assert "serial 1 -> 2" in entry["message"]


async def test_the_run_of_the_lock_is_in_the_entry_of_the_write(
    store: Store, states: StateService, locks: LockService
) -> None:
    """So that a write can be told from the run that made it."""
    await locks.lock(ALICE, WORKSPACE, a_lock_info("lock-1"), None)
    await write(states, a_state(1), lock_id="lock-1")
    assert ("lock-1", "OperationTypeApply") == (
        (await last_of(store))["run"]["id"],
        (await last_of(store))["run"]["operation"],
    )


async def test_the_same_bytes_again_store_nothing(store: Store, states: StateService) -> None:
    """A success, with an entry, and no second version."""
    first = await write(states, a_state(1))
    again = await write(states, a_state(1))
    assert (True, first.version) == (again.repeated, again.version)
    assert 1 == len(await store.versions(WORKSPACE))
    assert "no new version" in (await last_of(store))["message"]


async def test_every_version_is_kept(store: Store, states: StateService) -> None:
    """And each can be had, by number and by ID, on record."""
    for serial in (1, 2, 3):
        await write(states, a_state(serial, str(serial)))
    versions = await store.versions(WORKSPACE)
    assert [3, 2, 1] == [version.number for version in versions]
    for version in versions:
        for reference in (str(version.number), version.id):
            reading = await states.read_version(READER, WORKSPACE, reference)
            assert a_state(version.number, str(version.number)) == reading.body
    assert "state.version_read" == (await last_of(store))["event"]


async def test_a_state_at_rest_can_not_be_read_in_the_file(tmp_path: Path) -> None:
    """Neither in the database nor in its log."""
    async with an_open_store(tmp_path) as store:
        await write(a_service(store), a_state(1, "hunter2-very-secret"))
        files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(b"sensitive_attributes" in content for content in files)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", NotJsonError),
        (b"<html>login</html>", NotJsonError),
        (a_state(1)[:-20], NotJsonError),
        (b"{}", NotAStateError),
        (b"[]", NotAStateError),
        (b'{"version": 9, "serial": 1, "lineage": "a"}', NotAStateError),
        (a_lock_info(), NotAStateError),
    ],
)
async def test_what_is_no_state_is_refused_and_recorded(
    store: Store, states: StateService, body: bytes, error: type[TfauditError]
) -> None:
    """Malformed is one number, well formed but no state another."""
    with pytest.raises(error) as caught:
        await write(states, body, lock_id="lock-1")
    entry = await last_of(store)
    assert error is caught.type
    assert (0, "state.write_refused", "error", "lock-1") == (
        caught.value.audit_index,
        entry["event"],
        entry["outcome"],
        entry["run"]["id"],
    )
    assert [] == await store.versions(WORKSPACE)


async def test_a_damaged_upload_is_refused_and_recorded(store: Store, states: StateService) -> None:
    """5xx, so that the client sends it again; the damaged bytes are not kept."""
    with pytest.raises(DamagedUploadError):
        await write(states, a_state(1), content_md5=md5_of(a_state(2)))
    assert 503 == (await last_of(store))["request"]["status"]
    assert [] == await store.versions(WORKSPACE)


@pytest.mark.parametrize("act", ["write", "roll_back"])
async def test_a_write_onto_what_can_not_be_read_is_refused_and_recorded(
    tmp_path: Path, act: str
) -> None:
    """Nothing is compared with nothing: 503, on record, and the newest version stays."""
    async with an_open_store(tmp_path) as store:
        for serial in (1, 2):
            await write(a_service(store), a_state(serial))
    with closing(sqlite3.connect(tmp_path / "tfaudit.db")) as connection, connection:
        connection.execute("DELETE FROM state_body")
    async with an_open_store(tmp_path) as store:
        states = a_service(store)
        with pytest.raises(UnavailableError, match="is missing from the store") as caught:
            await (
                write(states, a_state(3), lock_id="lock-1")
                if act == "write"
                else states.roll_back(ALICE, WORKSPACE, "1")
            )
        entry = await last_of(store)
        assert ("state.write_refused", "error", 503) == (
            entry["event"],
            entry["outcome"],
            entry["request"]["status"],
        )
        assert await store.size() - 1 == caught.value.audit_index
        assert 2 == len(await store.versions(WORKSPACE))


async def test_a_broken_upload_leaves_nothing_but_an_entry(
    store: Store, states: StateService
) -> None:
    """The connection broke half-way."""

    async def receive(_: int | None) -> bytes:
        raise SlowUploadError("the connection broke")

    with pytest.raises(SlowUploadError):
        await states.write(ALICE, WORKSPACE, receive, None, None)
    assert ["state.write_refused"] == await events_of(store)
    assert 408 == (await last_of(store))["request"]["status"]


async def test_a_body_is_not_asked_for_from_whoever_may_not_write(
    store: Store, states: StateService
) -> None:
    """The permission comes first."""

    async def receive(_: int | None) -> bytes:
        raise AssertionError("the body was read")

    with pytest.raises(ForbiddenError):
        await states.write(READER, WORKSPACE, receive, None, None)
    assert ["access.denied"] == await events_of(store)


_Prepare = Callable[[StateService, LockService], Awaitable[object]]


async def _stored(states: StateService, _: LockService) -> None:
    await write(states, a_state(5))


async def _locked(states: StateService, locks: LockService) -> None:
    await _stored(states, locks)
    await locks.lock(ALICE, WORKSPACE, a_lock_info("lock-1"), None)


async def _locked_by_another(states: StateService, locks: LockService) -> None:
    await _stored(states, locks)
    await locks.lock(a_caller(name="bob"), WORKSPACE, a_lock_info("lock-1"), None)


@pytest.mark.parametrize(
    ("prepare", "body", "lock_id", "error", "status"),
    [
        (_locked, a_state(6), None, LockIdMissingError, 428),
        (_locked, a_state(6), "lock-2", LockedByAnotherError, 423),
        (_locked_by_another, a_state(6), "lock-1", HeldBySomebodyElseError, 423),
        (_locked, a_state(4), "lock-1", SerialRegressionError, 412),
        (_locked, a_state(6, lineage=OTHER_LINEAGE), "lock-1", LineageChangedError, 421),
        (_locked, a_state(5, "other"), "lock-1", LostUpdateError, 409),
        (_stored, a_state(5, "other"), None, LostUpdateError, 409),
        (_stored, a_state(4), None, SerialRegressionError, 412),
        (_stored, a_state(9), "gone", LockGoneError, 410),
    ],
)
async def test_each_rule_refuses_with_an_entry_of_its_own(  # noqa: PLR0917 - a row of a table
    store: Store,
    states: StateService,
    locks: LockService,
    prepare: _Prepare,
    body: bytes,
    lock_id: str | None,
    error: type[TfauditError],
    status: int,
) -> None:
    """The entry has the upload's serial and size, the answer's status; nothing is stored."""
    await prepare(states, locks)
    with pytest.raises(error) as caught:
        await write(states, body, lock_id=lock_id)
    entry = await last_of(store)
    assert ("state.write_refused", "conflict", status, len(body)) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
        entry["state"]["size"],
    )
    assert await store.size() - 1 == caught.value.audit_index
    assert [5] == [version.serial for version in await store.versions(WORKSPACE)]


async def test_a_forced_push_is_recorded_as_such(
    store: Store, states: StateService, locks: LockService
) -> None:
    """Legal under the lock of ``state push``; the version before is kept."""
    await write(states, a_state(5))
    await locks.lock(ALICE, WORKSPACE, a_lock_info("lock-1", "state-push"), None)
    await write(states, a_state(2), lock_id="lock-1")
    assert "serial forced from 5 to 2" in (await last_of(store))["message"]
    assert [2, 5] == [version.serial for version in await store.versions(WORKSPACE)]


async def test_one_of_many_uploads_of_the_same_serial_wins(
    store: Store, states: StateService
) -> None:
    """Ten ``-lock=false`` applies at once: one is stored, nine are told, all are recorded."""
    await write(states, a_state(1))
    answers = await asyncio.gather(
        *(write(states, a_state(2, f"value-{n}")) for n in range(10)), return_exceptions=True
    )
    assert 1 == sum(isinstance(answer, Written) for answer in answers)
    assert 9 == sum(isinstance(answer, LostUpdateError) for answer in answers)
    assert 2 == len(await store.versions(WORKSPACE))
    assert 9 == (await events_of(store)).count("state.write_refused")


async def test_writers_of_one_workspace_do_not_lose_each_others_versions(
    store: Store, states: StateService
) -> None:
    """Two services on one store, as two processes: numbers without a gap, each change recorded."""
    other = a_service(store)
    await write(states, a_state(0))
    await asyncio.gather(
        *(
            write(service, a_state(serial, str(serial)), lock_id=None)
            for serial, service in enumerate([states, other] * 10, start=1)
        ),
        return_exceptions=True,
    )
    versions = await store.versions(WORKSPACE)
    serials = [version.serial for version in versions]
    assert sorted(serials, reverse=True) == serials
    assert list(range(len(versions), 0, -1)) == [version.number for version in versions]
    for before, after in zip(versions[1:], versions, strict=False):
        entry = next(
            entry
            for entry in await log_of(store)
            if entry["event"] == "state.written" and entry["state"]["version"] == after.id
        )
        assert before.serial == entry["state"]["previous_serial"]


async def test_a_large_state_is_stored_and_comes_back(store: Store) -> None:
    """Prepared on a thread, sealed in pieces, not kept in memory."""
    document = json.loads(a_state(1))
    document["resources"][0]["instances"][0]["attributes"]["blob"] = os.urandom(3_000_000).hex()
    body = json.dumps(document).encode()
    await write(a_service(store), body)
    assert body == (await a_service(store).read(READER, WORKSPACE)).body


async def test_an_encrypted_state_is_kept_as_it_is(store: Store, states: StateService) -> None:
    """OpenTofu's: serial and lineage are known, nothing else."""
    for serial in (1, 2):
        await write(states, an_encrypted_state(serial))
    entry = await last_of(store)
    assert ("encrypted", 2) == (
        (await store.versions(WORKSPACE))[0].kind,
        entry["state"]["serial"],
    )
    assert an_encrypted_state(2) == (await states.read(READER, WORKSPACE)).body


async def test_an_entry_holds_no_value_that_the_state_marks_as_secret(
    store: Store, states: StateService
) -> None:
    """Nor one whose name says so; equal values are told by an equal commitment."""
    document = json.loads(a_state(1))
    instance = document["resources"][0]["instances"][0]
    instance["attributes"] |= {"marked": "hunter2", "password": "hunter3", "private": "hunter4"}
    instance["sensitive_attributes"] = [[{"type": "get_attr", "value": "marked"}]]
    instance["private"] = "aHVudGVyNQ=="
    await write(states, json.dumps(document).encode())
    stored = [record async for record in store.entries(LogQuery())]
    everything = b"".join(each.record.entry + (each.document or b"") for each in stored)
    assert b"terraform_data.main" in everything
    for secret in (b"hunter2", b"hunter3", b"aHVudGVyNQ"):
        assert secret not in everything


async def test_a_write_that_was_not_persisted_changed_nothing() -> None:
    """The client is told so, and sends it again."""
    store = FakeStore()
    states = a_service(store)
    await write(states, a_state(1))
    store.fault = Fault.NOT_PERSISTED
    with pytest.raises(UnavailableError):
        await write(states, a_state(2))
    store.fault = None
    assert a_state(1) == (await states.read(READER, WORKSPACE)).body
    assert 2 == (await write(states, a_state(2))).version.number


class _LosesAnswers(FakeStore):
    """A store that commits what a job recorded, and then fails."""

    is_losing = False

    async def write(self, job: Callable[[Transaction], T]) -> Committed[T]:
        committed = await super().write(job)
        if self.is_losing and committed.index is not None:
            raise UnavailableError("the answer got lost")
        return committed


async def test_a_write_whose_answer_got_lost_is_repeated_in_peace() -> None:
    """It landed; the same bytes again are a success and no second version."""
    store = _LosesAnswers()
    states = a_service(store)
    await write(states, a_state(1))
    store.is_losing = True
    with pytest.raises(UnavailableError):
        await write(states, a_state(2))
    store.is_losing = False
    again = await write(states, a_state(2))
    assert (True, 2) == (again.repeated, again.version.number)
    assert a_state(2) == (await states.read(READER, WORKSPACE)).body


async def test_a_forged_read_is_refused_and_recorded(store: Store, states: StateService) -> None:
    """A redirect made a GET of an upload; to answer 200 would lose the state in silence."""
    with pytest.raises(ForgedReadError, match="redirect"):
        await states.refuse_forged_read(ALICE, WORKSPACE)
    assert ("state.write_refused", 400) == (
        (await last_of(store))["event"],
        (await last_of(store))["request"]["status"],
    )


# ---------------------------------------------------------------- how secrets are hidden


def a_secret_state(serial: int, password: str) -> bytes:
    """Return a state with a password that its name gives away."""
    return a_state(serial).replace(b'"id": "1"', f'"id": "1", "password": "{password}"'.encode())


async def hidden(store: Store) -> dict[str, str]:
    """Return what stands for the password before and after, in the newest entry of a write."""
    entries = [entry for entry in await log_of(store) if entry["event"] == "state.written"]
    (item,) = entries[-1]["changes"]["items"]
    sides = item["attributes"]["password"]
    return {side: value["redacted"] for side, value in sides.items()}


async def forget(store: Store) -> None:
    """Destroy the workspace's salt, as the command line does."""

    def job(transaction: Transaction) -> None:
        transaction.append(a_draft("forgotten"))
        transaction.destroy_salt(WORKSPACE)

    await store.write(job)


async def salt_of(store: Store) -> bytes | None:
    """Return the workspace's salt."""
    salt = (await store.write(lambda transaction: transaction.salt(WORKSPACE))).value
    return None if salt is None else salt.value


async def test_the_first_write_gives_the_workspace_a_salt(
    store: Store, states: StateService
) -> None:
    """In its own transaction; what is hidden from then on is hidden with it."""
    assert await salt_of(store) is None
    await write(states, a_secret_state(1, "hunter2"))
    salt = await salt_of(store)
    assert salt is not None
    await write(states, a_secret_state(2, "hunter3"))
    assert salt == await salt_of(store)
    key = workspace_key(KEYS.redaction, WORKSPACE, salt)
    assert {
        "before": text_commitment(key, "hunter2"),
        "after": text_commitment(key, "hunter3"),
    } == await hidden(store)


async def test_a_write_that_is_refused_gives_no_salt(store: Store, states: StateService) -> None:
    """Nothing was hidden."""
    with pytest.raises(NotAStateError):
        await write(states, b"{}")
    assert await salt_of(store) is None


@pytest.mark.parametrize("is_fresh", [True, False], ids=["fresh", "remembering"])
async def test_after_the_salt_is_destroyed_the_next_write_gets_another(
    store: Store, states: StateService, is_fresh: bool
) -> None:
    """Also by a server that remembers the old one: nothing is hidden with it any more."""
    await write(states, a_secret_state(1, "hunter2"))
    old = await salt_of(store)
    await forget(store)
    await write(a_service(store) if is_fresh else states, a_secret_state(2, "hunter3"))
    new = await salt_of(store)
    assert new is not None
    assert new != old
    key = workspace_key(KEYS.redaction, WORKSPACE, new)
    assert text_commitment(key, "hunter2") == (await hidden(store))["before"]


async def test_a_salt_destroyed_while_a_write_was_prepared_is_not_used(store: Store) -> None:
    """The transaction finds it gone, and the upload is prepared again."""
    used: list[bytes] = []

    class Preparer(LocalPreparer):
        async def prepare(self, order: Order) -> Prepared:
            used.append(order.salt)
            if len(used) == 2:
                await forget(store)
            return await super().prepare(order)

    states = a_service(store, preparer=Preparer(KEYS))
    await write(states, a_secret_state(1, "hunter2"))
    await write(states, a_secret_state(2, "hunter3"))
    assert (used[0], 3) == (used[1], len(used))
    assert used[2] == await salt_of(store) != used[1]


async def test_the_same_bytes_after_the_salt_was_destroyed_hide_nothing(
    store: Store, states: StateService
) -> None:
    """No new version, no change document, no new salt."""
    await write(states, a_secret_state(1, "hunter2"))
    await forget(store)
    assert (await write(states, a_secret_state(1, "hunter2"))).repeated
    assert await salt_of(store) is None


async def test_a_look_at_a_state_is_hidden_as_the_record_is(
    store: Store, states: StateService
) -> None:
    """While there is a salt; after that with what is good for nothing."""
    await write(states, a_secret_state(1, "hunter2"))

    async def shown() -> str:
        (resource,) = (await states.show(READER, WORKSPACE))["resources"]
        commitment: str = resource["attributes"]["password"]["redacted"]
        return commitment

    assert (await hidden(store))["after"] == await shown()
    await forget(store)
    assert (await hidden(store))["after"] != await shown() != await shown()


async def test_a_write_needs_no_transaction_more_for_its_salt() -> None:
    """One to find the newest version and the salt, and one for each write."""
    store = FakeStore()
    states = a_service(store)
    for serial in (1, 2, 3):
        await write(states, a_state(serial))
    assert 1 + 3 == store.writes


async def test_nothing_is_stored_under_another_policy_than_the_one_in_force(
    store: Store, states: StateService
) -> None:
    """A command that began before the server was started anew with other settings."""

    def job(transaction: Transaction) -> None:
        transaction.append(a_draft("another policy"))
        transaction.set_policy(Policy("strict").packed)

    await write(states, a_state(1))
    await store.write(job)
    with pytest.raises(UnavailableError, match="the redaction policy in force is another"):
        await write(states, a_state(2))
    assert 1 == len(await store.versions(WORKSPACE))
    await write(a_service(store, policy=Policy("strict")), a_state(2))


# ---------------------------------------------------------------- versions, rollback, import


async def test_a_version_that_is_not_there_is_not_found(states: StateService) -> None:
    """Of a workspace without any, and of one with others: with the command that lists them."""
    for version in ("1", None):
        with pytest.raises(NotFoundError, match="has no state: `tfaudit state list` shows"):
            await states.show(READER, WORKSPACE, version)
    await write(states, a_state(1))
    with pytest.raises(NotFoundError, match="has no version 2: `tfaudit state versions"):
        await states.read_version(READER, WORKSPACE, "2")


async def test_a_rollback_writes_the_old_bytes_with_the_next_serial(
    store: Store, states: StateService
) -> None:
    """Only the serial's digits differ, so no client is wedged and no saved plan still fits."""
    for serial in (8, 9, 10):
        await write(states, a_state(serial, f"value-{serial}"))
    written = await states.roll_back(ALICE, WORKSPACE, "1")
    entry = await last_of(store)
    assert a_state(11, "value-8") == (await states.read(READER, WORKSPACE)).body
    assert (4, 11, "state.rolled_back") == (
        written.version.number,
        written.version.serial,
        entry["event"],
    )
    assert (10, 11) == (entry["state"]["previous_serial"], entry["state"]["serial"])


async def test_a_rollback_respects_the_lock(
    store: Store, states: StateService, locks: LockService
) -> None:
    """Somebody's run is under way; the refusal is on record."""
    for serial in (1, 2):
        await write(states, a_state(serial, str(serial)))
    await locks.lock(ALICE, WORKSPACE, a_lock_info(), None)
    with pytest.raises(LockedError, match="tfaudit lock release"):
        await states.roll_back(ALICE, WORKSPACE, "1")
    assert "state.write_refused" == (await last_of(store))["event"]
    assert 2 == len(await store.versions(WORKSPACE))


async def test_a_rollback_of_an_encrypted_state_says_what_to_run(states: StateService) -> None:
    """Its serial is authenticated inside."""
    for serial in (1, 2):
        await write(states, an_encrypted_state(serial))
    with pytest.raises(InvalidInputError, match="tofu state push -force"):
        await states.roll_back(ALICE, WORKSPACE, "1")


async def test_a_rollback_to_another_lineage_is_refused(
    states: StateService, locks: LockService
) -> None:
    """It would replace one state by another."""
    await write(states, a_state(1))
    await locks.lock(ALICE, WORKSPACE, a_lock_info("lock-1", "state-push"), None)
    await write(states, a_state(1, lineage=OTHER_LINEAGE), lock_id="lock-1")
    await locks.release(ALICE, WORKSPACE)
    with pytest.raises(ConflictError, match="has lineage"):
        await states.roll_back(ALICE, WORKSPACE, "1")


async def test_a_rollback_to_the_newest_is_refused(states: StateService) -> None:
    """There is nothing to roll back."""
    await write(states, a_state(1))
    with pytest.raises(ConflictError, match="is the newest state"):
        await states.roll_back(ALICE, WORKSPACE, "1")


async def test_a_rollback_needs_the_right_to_write(states: StateService) -> None:
    """A reader can't."""
    with pytest.raises(ForbiddenError):
        await states.roll_back(READER, WORKSPACE, "1")


async def test_an_import_keeps_bytes_lineage_and_serial(store: Store, states: StateService) -> None:
    """What ``init -migrate-state`` can't do."""
    body = a_state(41)
    written = await states.import_state(ALICE, WORKSPACE, body)
    assert (41, LINEAGE) == (written.version.serial, written.version.lineage)
    assert body == (await states.read(READER, WORKSPACE)).body
    assert ["workspace.created", "state.written", "state.read"] == await events_of(store)


async def test_an_import_may_be_repeated_but_replaces_nothing(
    store: Store, states: StateService, locks: LockService
) -> None:
    """The same file again is fine; another one, or a lock, is in the way."""
    await states.import_state(ALICE, WORKSPACE, a_state(1))
    assert (await states.import_state(ALICE, WORKSPACE, a_state(1))).repeated
    with pytest.raises(ConflictError, match="already holds serial 1"):
        await states.import_state(ALICE, WORKSPACE, a_state(2))
    await locks.lock(ALICE, "dev", a_lock_info(), None)
    with pytest.raises(LockedError):
        await states.import_state(ALICE, "dev", a_state(1))
    assert 1 == len(await store.versions(WORKSPACE))


async def test_a_comparison_is_redacted_and_recorded(store: Store, states: StateService) -> None:
    """The newest with the one before, unless others are named; both readings are entries."""
    for serial in (1, 2, 3):
        await write(states, a_state(serial, f"value-{serial}"))
    changes, before, after = await states.compare(READER, WORKSPACE, None, None)
    assert before is not None
    assert (2, 3) == (before.number, after.number)
    assert {"added": 0, "changed": 1, "removed": 0} == changes.entry["resources"]
    assert ["state.version_read"] * 2 == (await events_of(store))[-2:]


async def test_a_state_is_shown_redacted_and_on_record(store: Store, states: StateService) -> None:
    """The one way a whole state is looked at."""
    await write(states, a_state(1))
    shown = await states.show(READER, WORKSPACE)
    assert "terraform_data" in json.dumps(shown, default=str)
    assert "state.version_read" == (await last_of(store))["event"]


def test_keys_do_not_show_themselves() -> None:
    """In a traceback or a log."""
    assert "Keys(…)" == repr(KEYS)
