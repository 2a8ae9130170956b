"""Tests of proxy.state_service: reads of outputs alone, and what a workspace's settings forbid."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.access import Grant, Rights, Role
from proxy.contracts import Store
from proxy.directory_service import DirectoryService
from proxy.errors import ForbiddenError, UnavailableError
from proxy.lock_service import LockService
from proxy.preparation import Keys
from proxy.refusals import BodyTooLargeError, LockRequiredError, NoOutputsError, ProtectedError
from proxy.state_service import StateService
from tests.documents import check_entries
from tests.fakes import FakeStore, Fault
from tests.samples import (
    LINEAGE,
    WORKSPACE,
    Clock,
    a_caller,
    a_lock_info,
    a_state,
    an_encrypted_state,
    an_open_store,
    last_of,
    log_of,
)
from tests.test_state_service import a_service, write

ALICE = a_caller(Role.OPERATOR)


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


# ---------------------------------------------------------------- outputs alone


CONSUMER = a_caller(Role.OUTPUTS_READER)


def with_outputs(serial: int = 1) -> bytes:
    """Return a state with outputs, of which one is marked."""
    outputs = (
        b'"outputs": {"big": {"value": 1e400, "type": "number"}, '
        b'"key": {"value": "hunter2-of-the-producer", "type": "string", "sensitive": true}}'
    )
    return a_state(serial).replace(b'"outputs": {}', outputs)


async def test_a_reader_of_outputs_gets_them_alone_and_that_is_on_record(
    store: Store, states: StateService
) -> None:
    """The same serial and lineage; the entry names what was sent and counts what was not."""
    await write(states, with_outputs())
    for _ in range(2):  # made, and from memory
        reading = await states.read(CONSUMER, WORKSPACE)
        sent = json.loads(reading.body or b"")
        assert (1, LINEAGE, ["big"], []) == (
            sent["serial"],
            sent["lineage"],
            list(sent["outputs"]),
            sent["resources"],
        )
        assert b"1e400" in (reading.body or b"")
        entry = await last_of(store)
        assert ("state.outputs_read", "success", 200, reading.index) == (
            entry["event"],
            entry["outcome"],
            entry["request"]["status"],
            len(await log_of(store)) - 1,
        )
        assert {
            "sent": ["big"],
            "unnamed": 0,
            "left_out": {"sensitive": 1, "secret": 0},
        } == entry["outputs"]
    check_entries(await log_of(store))


async def test_a_grant_may_give_sensitive_outputs(store: Store, states: StateService) -> None:
    """And only to whom it was given, also from memory."""
    await write(states, with_outputs())
    grant = Grant(Role.OUTPUTS_READER, sensitive_outputs=True)
    trusted = CONSUMER._replace(principal=replace(CONSUMER.principal, rights=Rights([grant])))
    for caller, number in ((trusted, 2), (CONSUMER, 1), (trusted, 2), (CONSUMER, 1)):
        body = (await states.read(caller, WORKSPACE)).body or b""
        assert number == len(json.loads(body)["outputs"])
    assert 2 == len((await log_of(store))[-2]["outputs"]["sent"])


async def test_outputs_follow_the_newest_state(states: StateService) -> None:
    """What is in memory belongs to a version."""
    for serial in (1, 2):
        await write(states, with_outputs(serial))
        assert serial == json.loads((await states.read(CONSUMER, WORKSPACE)).body or b"")["serial"]


async def test_a_workspace_without_a_state_has_no_outputs(
    store: Store, states: StateService
) -> None:
    """404, certainly, and on record as a read of outputs."""
    assert (await states.read(CONSUMER, WORKSPACE)).body is None
    entry = await last_of(store)
    assert ("state.outputs_read", 404) == (entry["event"], entry["request"]["status"])


async def test_a_state_whose_outputs_can_not_be_told_apart_is_refused(
    store: Store, states: StateService
) -> None:
    """Never the whole state instead; the reason is on record, each time."""
    await write(states, an_encrypted_state())
    for _ in range(2):
        with pytest.raises(NoOutputsError, match="is encrypted by OpenTofu") as caught:
            await states.read(CONSUMER, WORKSPACE)
        entry = await last_of(store)
        assert ("state.outputs_read", "conflict", 406) == (
            entry["event"],
            entry["outcome"],
            entry["request"]["status"],
        )
        assert len(await log_of(store)) - 1 == caught.value.audit_index


async def test_outputs_that_can_not_be_read_are_never_no_state(
    store: Store, states: StateService
) -> None:
    """5xx, and on record as what was asked for."""
    await write(states, with_outputs())
    other = StateService(store, Keys(bytes(32), bytes(32)), clock=Clock(), random=os.urandom)
    with pytest.raises(UnavailableError):
        await other.read(CONSUMER, WORKSPACE)
    entry = await last_of(store)
    assert ("state.outputs_read", "error") == (entry["event"], entry["outcome"])


async def test_outputs_whose_read_can_not_be_recorded_are_not_given() -> None:
    """The entry first."""
    store = FakeStore()
    states = a_service(store)
    await write(states, with_outputs())
    store.fault = Fault.NOT_PERSISTED
    with pytest.raises(UnavailableError):
        await states.read(CONSUMER, WORKSPACE)


@pytest.mark.parametrize("role", [Role.READER, Role.PLANNER, Role.WRITER, Role.ADMIN])
async def test_whoever_may_read_states_gets_all_of_them(states: StateService, role: Role) -> None:
    """The right to less takes nothing away."""
    await write(states, with_outputs())
    both = Rights([Grant(Role.OUTPUTS_READER), Grant(role)])
    caller = CONSUMER._replace(principal=replace(CONSUMER.principal, rights=both))
    assert with_outputs() == (await states.read(caller, WORKSPACE)).body


async def test_a_denied_state_leaves_the_outputs_that_are_given(states: StateService) -> None:
    """How somebody is given less in one place than elsewhere; without that they get nothing."""
    await write(states, with_outputs())
    denied = [Grant(Role.WRITER), Grant(Role.READER, deny=True)]
    for grants, allowed in ((denied, False), ([*denied, Grant(Role.OUTPUTS_READER)], True)):
        principal = replace(CONSUMER.principal, rights=Rights(grants))
        caller = CONSUMER._replace(principal=principal)
        if allowed:
            assert [] == json.loads((await states.read(caller, WORKSPACE)).body or b"")["resources"]
        else:
            with pytest.raises(ForbiddenError):
                await states.read(caller, WORKSPACE)


async def test_a_protection_that_was_lifted_a_moment_ago_stops_nobody(
    store: Store, states: StateService
) -> None:
    """What is known outside of the transaction may be a second old."""
    await keep(store, protected=True)
    assert store.directory().workspace(WORKSPACE).protected
    directory = DirectoryService(store, lambda: datetime.now(UTC), os.urandom)
    stale = store.directory()
    await directory.update(a_caller(), "workspace", WORKSPACE, {"protected": False})
    setattr(store, "directory", lambda: stale)  # noqa: B010 - in place of a method
    assert 1 == (await write(states, a_state(1))).version.number


async def test_a_reader_of_outputs_sees_no_version_and_writes_nothing(
    store: Store, states: StateService
) -> None:
    """Each is refused and on record."""
    await write(states, with_outputs())
    for act in (
        states.read_version(CONSUMER, WORKSPACE, "1"),
        states.show(CONSUMER, WORKSPACE),
        states.scan(CONSUMER, WORKSPACE),
        states.compare(CONSUMER, WORKSPACE, None, None),
        states.roll_back(CONSUMER, WORKSPACE, "1"),
        states.import_state(CONSUMER, WORKSPACE, a_state(9)),
        write(states, a_state(9), caller=CONSUMER),
    ):
        with pytest.raises(ForbiddenError):
            await act
        assert "access.denied" == (await last_of(store))["event"]


async def test_a_denial_of_outputs_denies_them(states: StateService) -> None:
    """Whatever else gives them."""
    await write(states, with_outputs())
    rights = Rights([Grant(Role.OUTPUTS_READER), Grant(Role.OUTPUTS_READER, deny=True)])
    with pytest.raises(ForbiddenError):
        await states.read(
            CONSUMER._replace(principal=replace(CONSUMER.principal, rights=rights)), WORKSPACE
        )


# ---------------------------------------------------------------- settings of the workspace


async def keep(store: Store, **settings: Any) -> None:
    """Give the workspace these settings."""
    admin = a_caller()
    directory = DirectoryService(store, lambda: datetime.now(UTC), os.urandom)
    await directory.create(admin, "workspace", {"name": WORKSPACE, **settings})


async def test_an_upload_without_a_lock_is_refused_where_one_is_required(
    store: Store, states: StateService, locks: LockService
) -> None:
    """With none, and with one that is held no more; an import and a rollback need none."""
    await keep(store, require_lock=True)
    for lock_id in (None, "lock-1"):
        with pytest.raises(LockRequiredError):
            await write(states, a_state(1), lock_id=lock_id)
        entry = await last_of(store)
        assert ("state.write_refused", 428) == (entry["event"], entry["request"]["status"])
    await locks.lock(ALICE, WORKSPACE, a_lock_info(), None)
    await write(states, a_state(1), lock_id="lock-1")
    await write(states, a_state(2, "two"), lock_id="lock-1")
    await locks.unlock(ALICE, WORKSPACE, a_lock_info(), None)
    await states.roll_back(ALICE, WORKSPACE, "1")
    assert (await states.import_state(ALICE, WORKSPACE, a_state(3))).repeated


@pytest.mark.parametrize("kind", ["user", "system", "certificate"])
async def test_a_protected_workspace_is_written_by_identities_of_an_issuer_alone(
    store: Store, states: StateService, kind: str
) -> None:
    """Uploads, imports and rollbacks, also by an administrator at the server itself."""
    oidc = ALICE._replace(principal=replace(ALICE.principal, kind="oidc"))
    await keep(store, protected=True)
    for serial in (1, 2):
        await write(states, a_state(serial, str(serial)), caller=oidc)
    other = a_caller()._replace(principal=replace(a_caller().principal, kind=kind))
    for act in (
        write(states, a_state(3), caller=other),
        states.import_state(other, WORKSPACE, a_state(3)),
        states.roll_back(other, WORKSPACE, "1"),
    ):
        with pytest.raises(ProtectedError, match="--no-protected"):
            await act
        entry = await last_of(store)
        assert ("state.write_refused", "denied", 403) == (
            entry["event"],
            entry["outcome"],
            entry["request"]["status"],
        )
    assert a_state(2, "2") == (await states.read(other, WORKSPACE)).body


async def test_no_body_is_read_that_a_protected_workspace_would_refuse(
    store: Store, states: StateService
) -> None:
    """As for whoever may not write at all."""
    await keep(store, protected=True)

    async def receive(_: int | None) -> bytes:
        raise AssertionError("it was asked for")

    with pytest.raises(ProtectedError):
        await states.write(ALICE, WORKSPACE, receive, "lock-1", None)
    assert "lock-1" == (await last_of(store))["run"]["id"]


async def test_a_workspaces_own_limit_goes_for_every_way_in(
    store: Store, states: StateService
) -> None:
    """It is told to whoever receives, and asked again in the transaction."""
    await keep(store, body_limit=10)
    limits: list[int | None] = []

    async def receive(limit: int | None) -> bytes:
        limits.append(limit)
        return a_state(1)

    with pytest.raises(BodyTooLargeError, match="prod/network takes 10"):
        await states.write(ALICE, WORKSPACE, receive, None, None)
    with pytest.raises(BodyTooLargeError):
        await states.import_state(ALICE, WORKSPACE, a_state(1))
    assert ([10], "state.write_refused", 413) == (
        limits,
        (await last_of(store))["event"],
        (await last_of(store))["request"]["status"],
    )


async def test_settings_count_that_were_changed_while_an_upload_was_under_way(
    store: Store, states: StateService
) -> None:
    """They are read in the transaction that would store it."""

    async def receive(_: int | None) -> bytes:
        await keep(store, protected=True)
        return a_state(1)

    with pytest.raises(ProtectedError):
        await states.write(ALICE, WORKSPACE, receive, None, None)
    assert [] == await store.versions(WORKSPACE)
