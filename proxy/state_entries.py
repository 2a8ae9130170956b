"""What the entries of states and locks say: the parts of an entry, made from values of ours."""

import re
from typing import Any, Final

import orjson

from proxy.access import Caller
from proxy.audit_log import draft
from proxy.client_text import client_text
from proxy.contracts import Draft, HeldLock, StateVersion
from proxy.errors import TfauditError
from proxy.outputs import Outputs
from proxy.preparation import Prepared
from proxy.statuses import status_of
from proxy.tfstate.lock import LockInfo

_NAMES: Final = 200
"""Names of outputs in one entry; the rest are counted."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}", re.ASCII)
"""An output's name as Terraform takes it, which is no place for anything else."""


def name_of(caller: Caller) -> str:
    """Return the name that messages use."""
    return caller.principal.name or "somebody unknown"


def state_of(version: StateVersion) -> dict[str, Any]:
    """Return the ``state`` of a stored version."""
    return {
        "lineage": client_text(version.lineage),
        "serial": version.serial,
        "sha256": version.sha256,
        "size": version.size,
        "version": version.id,
        "terraform_version": client_text(version.terraform_version, 64),
    }


def upload_of(prepared: Prepared) -> dict[str, Any]:
    """Return the ``state`` of an upload that was refused: nothing is stored under any ID."""
    return {
        "state": {
            "lineage": client_text(prepared.lineage),
            "serial": prepared.serial,
            "size": prepared.size,
            "terraform_version": client_text(prepared.terraform_version, 64),
        }
    }


def run_of_info(info: LockInfo, caller: Caller) -> dict[str, Any]:
    """Return the ``run`` that a LOCK or UNLOCK names, as a part of an entry."""
    return _run(info.id, info.operation, info.who, info.version, caller)


def run_of(lock: HeldLock | None, caller: Caller) -> dict[str, Any]:
    """Return the ``run`` of the lock that is held, as a part of an entry; nothing without one."""
    if lock is None:
        return {}
    return _run(lock.id, lock.operation, lock.who, lock.version, caller)


def _run(lock_id: str, operation: str, who: str, version: str, caller: Caller) -> dict[str, Any]:
    """Return the ``run``: what the client says of itself, and whether that is who authenticated."""
    run: dict[str, Any] = {
        "id": client_text(lock_id),
        "operation": client_text(operation),
        "who": client_text(who),
        "terraform_version": client_text(version, 64),
    }
    if who and who.split("@", 1)[0] != caller.principal.name:
        run["who_differs_from_actor"] = True
    return {"run": run}


def holder_of(lock: HeldLock) -> dict[str, Any]:
    """Return the ``holder`` of a lock that stood in the way."""
    return {
        "id": client_text(lock.id),
        "operation": lock.operation,
        "who": lock.who,
        "actor": lock.actor,
        "since": lock.taken,
    }


def refused(
    event: str,
    outcome: str,
    error: TfauditError,
    caller: Caller,
    workspace: str | None,
    **parts: Any,  # noqa: ANN401 - JSON of any shape; what may be in it is the log's rule
) -> Draft:
    """Return the entry of a refusal; its status is the one that the client gets."""
    return draft(
        event,
        outcome,
        f"{name_of(caller)}: {error}",
        caller,
        status_of(error),
        workspace=workspace,
        **parts,
    )


def outputs_read(
    caller: Caller, workspace: str, version: StateVersion | None, found: Outputs | None
) -> Draft:
    """Return the entry of a read of outputs alone; without a version there was no state."""
    reader = name_of(caller)
    if version is None or found is None:
        message = f"{reader} read the outputs of {workspace}: there is no state yet"
        return draft("state.outputs_read", "success", message, caller, 404, workspace=workspace)
    left_out = found.sensitive + found.secret
    message = (
        f"{reader} read the outputs of {workspace}, serial {version.serial}: {len(found.sent)} sent"
        + (f", {left_out} left out" if left_out else "")
    )
    names = [name for name in found.sent if _is_shown(name)][:_NAMES]
    outputs: dict[str, Any] = {
        "sent": names,
        "unnamed": len(found.sent) - len(names),
        "left_out": {"sensitive": found.sensitive, "secret": found.secret},
    }
    return draft(
        "state.outputs_read",
        "success",
        message,
        caller,
        200,
        workspace=workspace,
        state=state_of(version),
        outputs=outputs,
    )


def _is_shown(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None and client_text(name) == name


def created(caller: Caller, workspace: str) -> Draft:
    """Return the entry of a workspace's first write."""
    return draft(
        "workspace.created",
        "success",
        f"{name_of(caller)} created {workspace} with its first state",
        caller,
        200,
        workspace=workspace,
    )


def repeated(
    event: str, caller: Caller, head: StateVersion, note: str, run: dict[str, Any]
) -> Draft:
    """Return the entry of a write that brought the stored bytes again."""
    return draft(
        event,
        "success",
        f"{name_of(caller)} wrote {head.workspace}, serial {head.serial}: {note}, no new version",
        caller,
        200,
        workspace=head.workspace,
        state=state_of(head),
        **run,
    )


def written(  # noqa: PLR0913 - the parts of one write
    event: str,
    caller: Caller,
    version: StateVersion,
    head: StateVersion | None,
    prepared: Prepared,
    *,
    note: str,
    run: dict[str, Any],
) -> Draft:
    """Return the entry of a new version: the state before and after, and what changed."""
    state = state_of(version)
    serial = str(version.serial)
    if head is not None:
        state["previous_serial"] = head.serial
        serial = f"{head.serial} -> {version.serial}"
    return draft(
        event,
        "success",
        f"{name_of(caller)} wrote {version.workspace}, serial {serial}: {prepared.summary}"
        + (f" ({client_text(note)})" if note else ""),
        caller,
        200,
        workspace=version.workspace,
        document=prepared.document,
        state=state,
        changes=orjson.Fragment(prepared.changes),
        **run,
    )
