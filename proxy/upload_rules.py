"""Which upload may become the newest state: the rules of serial, lineage and lock, without I/O.

Terraform never says on the wire whether an upload is forced, so the lock's Operation decides:
under the lock of an ordinary run a state can only move forward, while ``state push`` and
migrations may legally bring any serial and lineage. Source: Terraform's
``internal/states/remote/state.go`` (PersistState) and ``statemgr/migrate.go`` (CheckValidImport).
"""

from typing import NamedTuple

from proxy.access import Principal
from proxy.contracts import HeldLock, StateVersion
from proxy.refusals import (
    HeldBySomebodyElseError,
    LineageChangedError,
    LockedByAnotherError,
    LockGoneError,
    LockIdMissingError,
    LostUpdateError,
    SerialRegressionError,
)
from proxy.tfstate.lock import RUN_OPERATIONS


class Upload(NamedTuple):
    """What is to be judged of an upload.

    Attributes:
        workspace: where it goes.
        lineage: as the state says; may be empty.
        serial: as the state says.
        sha256: of the body, hex.
        lock_id: the query's ``ID``; None when the client sent none.
        principal: who sends it.
    """

    workspace: str
    lineage: str
    serial: int
    sha256: str
    lock_id: str | None
    principal: Principal


class Accepted(NamedTuple):
    """The upload may be stored.

    Attributes:
        repeated: it is the stored state again, byte for byte: store nothing.
        note: what was unusual, for the entry's message; empty when nothing was.
        forced: what of the stored state it does not continue: ``serial``, ``lineage`` or nothing.
    """

    repeated: bool = False
    note: str = ""
    forced: str = ""


def judge(
    upload: Upload,
    head: StateVersion | None,
    lock: HeldLock | None,
    *,
    accept_unlocked_force: bool = False,
) -> Accepted:
    """Accept the upload, or raise the reason why it must not become the newest state.

    Args:
        upload: what came in.
        head: the newest stored version, None when there is none.
        lock: the lock held now, None when there is none.
        accept_unlocked_force: let an upload without any lock lower the serial or change the
            lineage, as ``state push -force -lock=false`` does.

    Raises:
        LockIdMissingError, LockedByAnotherError, HeldBySomebodyElseError: a lock is held, and not
            by this client.
        LockGoneError: see there.
        LostUpdateError, SerialRegressionError, LineageChangedError: the upload would replace
            something that it doesn't continue.
    """
    workspace = upload.workspace
    if lock is not None:
        _require_holder(upload, lock)
    if head is not None and head.sha256 == upload.sha256:
        return Accepted(repeated=True, note="the same bytes again")
    note = ""
    if lock is None and upload.lock_id:
        note = _require_continuation(upload, head)
    if head is None:
        return Accepted(note=note)
    may_force = (lock is not None and lock.operation not in RUN_OPERATIONS) or (
        lock is None and accept_unlocked_force
    )
    if head.lineage and upload.lineage and head.lineage != upload.lineage:
        if not may_force:
            raise LineageChangedError(
                f"the upload belongs to lineage {upload.lineage}, but {workspace} holds "
                f"{head.lineage}: another state would be replaced; if that is meant, run "
                "`terraform state push -force` with locking on"
            )
        return Accepted(note=f"lineage forced from {head.lineage}", forced="lineage")
    if upload.serial > head.serial:
        return Accepted(note=note)
    if may_force:
        note = f"serial forced from {head.serial} to {upload.serial}"
        return Accepted(note=note, forced="serial")
    if upload.serial == head.serial:
        raise LostUpdateError(
            f"{workspace} already has a different state with serial {head.serial}: somebody else "
            "wrote first; run plan again on top of it"
        )
    raise SerialRegressionError(
        f"the upload's serial {upload.serial} is older than serial {head.serial} that {workspace} "
        "holds; if that is meant, run `terraform state push -force` with locking on"
    )


def _require_holder(upload: Upload, lock: HeldLock) -> None:
    if not upload.lock_id:
        raise LockIdMissingError(
            f"{upload.workspace} is locked by {lock.who or lock.actor} ({lock.operation}), and the "
            "upload carries no lock ID: run again with locking on"
        )
    if upload.lock_id != lock.id:
        raise LockedByAnotherError(
            f"{upload.workspace} is locked by {lock.who or lock.actor} ({lock.operation}) with "
            "another lock ID: the lock of this run was taken away"
        )
    if not lock.is_of(upload.principal):
        raise HeldBySomebodyElseError(
            f"{upload.workspace} is locked by {lock.who or lock.actor} ({lock.operation}), and "
            f"{lock.actor} took that lock, not {upload.principal.name}: the lock's ID alone gives "
            "nobody the right to save; save with the credentials that took the lock, or wait for it"
        )


def _require_continuation(upload: Upload, head: StateVersion | None) -> str:
    """Let a run whose lock was taken away save its work, if nobody wrote meanwhile."""
    if head is None:
        return "its lock was no longer held; there was no state yet"
    if upload.serial == head.serial + 1 and upload.lineage == head.lineage:
        return "its lock was no longer held; it continues the stored state"
    raise LockGoneError(
        f"the lock that this upload names is no longer held on {upload.workspace}, and the upload "
        f"(serial {upload.serial}) does not continue the stored state (serial {head.serial}): "
        "look at both, then `terraform state push`"
    )
