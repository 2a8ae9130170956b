"""Tests of proxy.upload_rules."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access import taker_of
from proxy.contracts import HeldLock, StateVersion
from proxy.errors import ConflictError, LockedError, TfauditError
from proxy.refusals import (
    HeldBySomebodyElseError,
    LineageChangedError,
    LockedByAnotherError,
    LockGoneError,
    LockIdMissingError,
    LostUpdateError,
    SerialRegressionError,
)
from proxy.tfstate.lock import FORCE_OPERATIONS, RUN_OPERATIONS
from proxy.upload_rules import Accepted, Upload, judge
from tests.samples import LINEAGE, OTHER_LINEAGE, WORKSPACE, a_caller, a_held_lock, a_version

ALICE = a_caller().principal
HEAD = a_version()._replace(serial=5, sha256="5" * 64)


def upload(
    serial: int = 6, *, lineage: str = LINEAGE, sha256: str = "6" * 64, lock_id: str | None = None
) -> Upload:
    """Return an upload that continues HEAD unless told otherwise."""
    return Upload(WORKSPACE, lineage, serial, sha256, lock_id, ALICE)


def locked(operation: str = "OperationTypeApply") -> HeldLock:
    """Return the lock of a run."""
    return replace(a_held_lock("lock-1"), operation=operation)


# ---------------------------------------------------------------- what is accepted


def test_the_first_state_of_a_workspace_is_accepted() -> None:
    """With any serial: Terraform before 1.4 begins with 0."""
    assert Accepted() == judge(upload(0), None, None)


def test_the_next_serial_is_accepted_without_a_lock() -> None:
    """``-lock=false`` or no lock_address."""
    assert Accepted() == judge(upload(6), HEAD, None)


@pytest.mark.parametrize("operation", sorted(RUN_OPERATIONS | FORCE_OPERATIONS))
def test_the_next_serial_is_accepted_under_its_own_lock(operation: str) -> None:
    """Every operation may go forward."""
    assert Accepted() == judge(upload(6, lock_id="lock-1"), HEAD, locked(operation))


def test_a_serial_may_jump() -> None:
    """``state push`` of a newer file."""
    assert Accepted() == judge(upload(40, lock_id="lock-1"), HEAD, locked())


@pytest.mark.parametrize("lock", [None, locked()])
def test_the_same_bytes_again_are_a_repetition(lock: HeldLock | None) -> None:
    """A client whose answer was lost sends the same again."""
    again = upload(5, sha256=HEAD.sha256, lock_id="lock-1")
    assert judge(again, HEAD, lock).repeated


def test_the_same_bytes_again_are_a_repetition_after_the_lock_is_gone() -> None:
    """The answer was lost, and the lock was forced in between."""
    assert judge(upload(5, sha256=HEAD.sha256, lock_id="gone"), HEAD, None).repeated


@pytest.mark.parametrize("operation", [*sorted(FORCE_OPERATIONS), "something-new"])
@pytest.mark.parametrize(
    ("serial", "lineage", "note"),
    [
        (2, LINEAGE, "serial forced from 5 to 2"),
        (5, LINEAGE, "serial forced from 5 to 5"),
        (1, OTHER_LINEAGE, f"lineage forced from {LINEAGE}"),
    ],
)
def test_a_push_or_migration_may_bring_any_serial_and_lineage(
    operation: str, serial: int, lineage: str, note: str
) -> None:
    """It is legal under such a lock, and noted; an operation that is not known is one of these."""
    forced = upload(serial, lineage=lineage, lock_id="lock-1")
    accepted = judge(forced, HEAD, locked(operation))
    assert Accepted(note=note, forced=note.split(maxsplit=1)[0]) == accepted


def test_a_state_without_a_lineage_is_judged_by_its_serial() -> None:
    """States of old versions have none."""
    assert Accepted() == judge(upload(6, lineage=""), HEAD, None)
    assert Accepted() == judge(upload(6), HEAD._replace(lineage=""), None)


def test_a_run_whose_lock_was_forced_may_save_its_work() -> None:
    """It continues the stored state and nobody holds the lock: spare the user errored.tfstate."""
    accepted = judge(upload(6, lock_id="gone"), HEAD, None)
    assert Accepted(note="its lock was no longer held; it continues the stored state") == accepted


def test_a_run_whose_lock_was_forced_may_save_the_first_state() -> None:
    """There was nothing that it could overwrite."""
    accepted = judge(upload(1, lock_id="gone"), None, None)
    assert Accepted(note="its lock was no longer held; there was no state yet") == accepted


def test_an_unlocked_force_is_accepted_where_the_configuration_says_so() -> None:
    """accept_unlocked_force is for people who run ``state push -force -lock=false``."""
    accepted = judge(upload(2), HEAD, None, accept_unlocked_force=True)
    assert Accepted(note="serial forced from 5 to 2", forced="serial") == accepted


# ---------------------------------------------------------------- what is refused


def refusal(
    sent: Upload,
    head: StateVersion | None,
    lock: HeldLock | None,
    *,
    accept_unlocked_force: bool = False,
) -> type[TfauditError]:
    """Return the family of the refusal that must come."""
    with pytest.raises(TfauditError) as caught:
        judge(sent, head, lock, accept_unlocked_force=accept_unlocked_force)
    assert WORKSPACE in str(caught.value)
    return caught.type


@pytest.mark.parametrize("lock_id", [None, ""])
def test_an_upload_without_an_id_is_refused_while_locked(lock_id: str | None) -> None:
    """``-lock=false`` during somebody's run."""
    assert LockIdMissingError is refusal(upload(6, lock_id=lock_id), HEAD, locked())


def test_an_upload_with_another_id_is_refused_while_locked() -> None:
    """A run whose lock was forced and taken by another."""
    assert LockedByAnotherError is refusal(upload(6, lock_id="lock-2"), HEAD, locked())


@pytest.mark.parametrize("taker", ["", "principal:alice"])
def test_the_locks_id_is_worth_nothing_to_anybody_else(taker: str) -> None:
    """Each 423 shows it; who took the lock is asked, also of a lock of an older release."""
    lock = replace(locked(), taker=taker)
    sent = upload(6, lock_id="lock-1")
    theirs = sent._replace(principal=a_caller(name="bob").principal)
    assert HeldBySomebodyElseError is refusal(theirs, HEAD, lock)
    own = taker_of(ALICE.actor()) if taker else ""
    assert Accepted() == judge(sent, HEAD, replace(lock, taker=own))


def test_a_lock_is_respected_before_the_first_state_too() -> None:
    """A workspace that has only a lock is somebody's."""
    assert LockIdMissingError is refusal(upload(1), None, locked())


def test_even_the_same_bytes_are_refused_under_anothers_lock() -> None:
    """Who holds no lock changes nothing, not even to the same."""
    again = upload(5, sha256=HEAD.sha256, lock_id="lock-2")
    assert LockedByAnotherError is refusal(again, HEAD, locked())


@pytest.mark.parametrize("operation", sorted(RUN_OPERATIONS))
def test_a_lower_serial_is_refused_under_the_lock_of_a_run(operation: str) -> None:
    """It can only be a fault or a race."""
    sent = upload(4, lock_id="lock-1")
    assert SerialRegressionError is refusal(sent, HEAD, locked(operation))


@pytest.mark.parametrize("operation", sorted(RUN_OPERATIONS))
def test_another_lineage_is_refused_under_the_lock_of_a_run(operation: str) -> None:
    """Whatever its serial: another state would be replaced."""
    sent = upload(6, lineage=OTHER_LINEAGE, lock_id="lock-1")
    assert LineageChangedError is refusal(sent, HEAD, locked(operation))


@pytest.mark.parametrize("lock", [None, locked()])
def test_the_same_serial_with_other_bytes_is_a_lost_update(lock: HeldLock | None) -> None:
    """Two ``-lock=false`` applies at once: the second would overwrite the first."""
    sent = upload(5, lock_id="lock-1" if lock else None)
    assert LostUpdateError is refusal(sent, HEAD, lock)


def test_a_lower_serial_without_a_lock_is_refused() -> None:
    """Nobody can tell a force from a mistake there, unless the configuration allows it."""
    assert SerialRegressionError is refusal(upload(4), HEAD, None)


def test_another_lineage_without_a_lock_is_refused() -> None:
    """The catastrophe after a false 404: a new lineage over the real state."""
    assert LineageChangedError is refusal(upload(1, lineage=OTHER_LINEAGE), HEAD, None)


@pytest.mark.parametrize(
    "sent",
    [
        upload(5, lock_id="gone"),
        upload(7, lock_id="gone"),
        upload(6, lineage=OTHER_LINEAGE, lock_id="gone"),
        upload(6, lineage="", lock_id="gone"),
    ],
    ids=["same serial", "a gap", "another lineage", "no lineage"],
)
def test_a_stale_run_that_does_not_continue_the_state_is_refused(sent: Upload) -> None:
    """Somebody else wrote since its lock was taken away."""
    assert LockGoneError is refusal(sent, HEAD, None)


def test_a_lost_lock_is_no_way_around_the_rules() -> None:
    """accept_unlocked_force is for uploads that never had a lock."""
    sent = upload(2, lock_id="gone")
    assert LockGoneError is refusal(sent, HEAD, None, accept_unlocked_force=True)


@given(
    serial=st.integers(0, 9),
    lineage=st.sampled_from([LINEAGE, OTHER_LINEAGE, ""]),
    lock_id=st.sampled_from([None, "", "lock-1", "lock-2"]),
    operation=st.sampled_from([None, "OperationTypeApply", "state-push"]),
)
def test_a_state_never_goes_back_but_by_force(
    serial: int, lineage: str, lock_id: str | None, operation: str | None
) -> None:
    """Whatever comes: accepted without a forcing lock means a higher serial of this lineage."""
    lock = locked(operation) if operation else None
    sent = upload(serial, lineage=lineage, lock_id=lock_id)
    try:
        judge(sent, HEAD, lock)
    except (ConflictError, LockedError):
        return
    assert lock is None or lock_id == lock.id
    if operation != "state-push":
        assert serial > HEAD.serial
        assert lineage in {LINEAGE, ""}
