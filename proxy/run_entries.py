"""Puts the events of runs on record, in the transaction that holds what they are inferred from.

Each function here is called by a job beside the entry of what happened: it keeps the run in the
store and appends what follows. What follows is said by `runs`; here it gets words, and who did it.
"""

from collections.abc import Mapping
from typing import Any, Final

from proxy import runs
from proxy.access import Caller
from proxy.audit_log import draft
from proxy.contracts import HeldLock, StateVersion, Transaction
from proxy.preparation import Prepared
from proxy.runs import Addresses, Evidence, News, Run, Save
from proxy.state_entries import holder_of, name_of, run_of, state_of
from proxy.tfstate.aftermath import Named

_SHOWN: Final = 3
"""Addresses that a message names."""

_OUTCOMES: Final[Mapping[str, str]] = {"run.errored": "error"}


def begin(transaction: Transaction, caller: Caller, lock: HeldLock, index: int) -> None:
    """Record that a run began.

    Args:
        transaction: in which its lock is taken.
        caller: who took it.
        lock: the lock.
        index: of the entry of that.
    """
    shown = run_of(lock, caller)["run"]
    run = Run(
        lock.workspace,
        shown["id"],
        shown["operation"],
        shown["who"],
        shown["terraform_version"],
        lock.taken,
        (Evidence("state.locked", index),),
    )
    transaction.set_run(run)
    _append(transaction, caller, 200, runs.begun(run), run_of(lock, caller)["run"])


def refuse_other(
    transaction: Transaction, caller: Caller, lock: HeldLock, index: int | None
) -> None:
    """Record that somebody waits for the lock of a run; once for each run.

    Args:
        transaction: in which the lock is refused, or found held by somebody who waits in line.
        caller: who waits.
        lock: that is held.
        index: of the entry of the refusal; None of somebody in line, of whom there is none yet.
    """
    run = transaction.run(lock.workspace)
    if run is None:
        return
    evidence = () if index is None else (Evidence("state.lock_refused", index),)
    changed, news = runs.alerted(run, (runs.LOCK_WAITED_FOR,), *evidence)
    if news is not None:
        transaction.set_run(changed)
        status, outcome = (None, "success") if index is None else (423, "conflict")
        _append(transaction, caller, status, news, outcome=outcome, holder=holder_of(lock))


def left_by(prepared: Prepared) -> dict[str, Any]:
    """Return what the entry of a save says of what it leaves behind, for its ``run``."""
    left = prepared.aftermath
    if left is None:
        return {}
    return runs.left_behind(
        tainted=_addresses(left.tainted),
        untainted=_addresses(left.untainted),
        failed_checks=_addresses(left.failed_checks),
    )


def save(  # noqa: PLR0913, PLR0917 - the parts of one save
    transaction: Transaction,
    caller: Caller,
    run: Run,
    prepared: Prepared,
    version: StateVersion,
    forced: str,
    index: int,
) -> None:
    """Record what follows from a save under the lock of a run.

    Args:
        transaction: in which the state is stored.
        caller: who saves.
        run: that holds the lock.
        prepared: the upload.
        version: as it is stored.
        forced: see upload_rules.Accepted.
        index: of the entry of the save.
    """
    left = prepared.aftermath
    if left is None:
        raise AssertionError("an upload with a lock's ID is prepared as that of a run")
    changed = runs.saved(
        run,
        Save(
            version.serial,
            left.resources,
            _addresses(left.tainted),
            _addresses(left.untainted),
            _addresses(left.failed_checks),
        ),
        index,
    )
    found = {
        runs.SERIAL_FORCED: forced == "serial",
        runs.LINEAGE_FORCED: forced == "lineage",
        runs.STATE_EMPTIED: left.is_emptied,
    }
    reasons = tuple(reason for reason, is_so in found.items() if is_so)
    changed, news = runs.alerted(changed, reasons, Evidence("state.written", index))
    transaction.set_run(changed)
    if news is not None:
        _append(transaction, caller, 200, news, state=state_of(version))


def save_again(transaction: Transaction, run: Run, index: int) -> None:
    """Follow a save that brought the bytes which are stored already."""
    transaction.set_run(runs.saved_again(run, index))


def refuse_save(transaction: Transaction, workspace: str, status: int, index: int) -> None:
    """Follow the refusal of a save that carries the ID of the lock which is held.

    Args:
        transaction: in which it is refused.
        workspace: whose lock is held.
        status: of the HTTP answer.
        index: of the entry of the refusal.
    """
    run = transaction.run(workspace)
    if run is not None:
        transaction.set_run(runs.save_refused(run, status, index))


def end(  # noqa: PLR0913 - what ends, how, and by whom
    transaction: Transaction,
    caller: Caller,
    lock: HeldLock,
    event: str,
    index: int,
    *,
    is_forced: bool = False,
) -> None:
    """Record how a run ended.

    Args:
        transaction: in which its lock is released.
        caller: by whom.
        lock: the lock.
        event: of the entry of that.
        index: of that entry.
        is_forced: whether that is not its holder's own end of it.
    """
    run = transaction.run(lock.workspace)
    if run is None:
        return
    head = transaction.head(lock.workspace)
    transaction.clear_run(lock.workspace)
    parts: dict[str, Any] = {}
    if run.writes and head is not None:
        parts["state"] = state_of(head)
    said = None if is_forced else run_of(lock, caller)["run"]
    if is_forced:
        parts["holder"] = holder_of(lock)
    for news in runs.ended(run, Evidence(event, index), is_forced=is_forced):
        _append(transaction, caller, 200, news, said, **parts)


def alert_overdue(transaction: Transaction, caller: Caller, workspace: str) -> bool:
    """Record that a run holds its lock for too long, if it does; once for each run.

    Args:
        transaction: looks, and records it.
        caller: the system.
        workspace: whose run.

    Returns:
        Whether it was recorded.
    """
    run, lock = transaction.run(workspace), transaction.lock(workspace)
    minutes = transaction.directory().workspace(workspace).lock_alert_minutes
    if run is None or lock is None or not runs.is_overdue(run, minutes, transaction.time):
        return False
    changed, news = runs.alerted(run, (runs.LOCK_HELD_LONG,))
    if news is None:
        return False
    transaction.set_run(changed)
    limit = {"lock_alert_minutes": minutes}
    _append(transaction, caller, None, news, limit, holder=holder_of(lock))
    return True


def _append(  # noqa: PLR0913 - the parts of an entry
    transaction: Transaction,
    caller: Caller,
    status: int | None,
    news: News,
    more: Mapping[str, Any] | None = None,
    *,
    outcome: str = "success",
    **parts: Any,  # noqa: ANN401 - JSON of any shape
) -> None:
    """Append a run's event.

    Args:
        transaction: takes it.
        caller: whose request it follows from.
        status: of the answer to that.
        news: the event.
        more: of its ``run``.
        outcome: unless the event has one of its own.
        parts: of the entry; ``holder`` where somebody else than who holds the lock is the actor.
    """
    shown = dict(more or {}) | runs.described(news, transaction.time)
    entry = draft(
        news.event,
        _OUTCOMES.get(news.event, outcome),
        _message(news, caller, shown),
        caller,
        status,
        workspace=news.run.workspace,
        run=shown,
        inferred_from=[_told(each) for each in news.evidence],
        **parts,
    )
    transaction.append(entry)


def _told(evidence: Evidence) -> dict[str, Any]:
    told: dict[str, Any] = {"event": evidence.event, "index": evidence.index}
    if evidence.first is not None:
        told |= {"first": evidence.first, "times": evidence.times}
    return told


def _addresses(named: Named) -> Addresses:
    return Addresses(named.shown, named.omitted)


# ---------------------------------------------------------------- words


def _message(news: News, caller: Caller, shown: Mapping[str, Any]) -> str:
    run = news.run
    who = run.who or "somebody"
    named = f"the run of {who} on {run.workspace} ({run.operation or 'no operation named'})"
    if news.event == "run.created":
        return f"{named} began"
    because = "; ".join(_because(reason, run, caller, shown) for reason in news.reasons)
    after = f"after {shown['seconds']} s"
    if news.event == "run.needs_attention":
        return f"{named} needs attention {after}: {because}"
    if news.event == "run.errored":
        return f"{named} errored {after}: {because}; {_saves(run)}"
    if run.writes:
        return f"{named} completed {after}: {_saves(run)}"
    if run.operation in runs.CARRIES_OUT:
        return f"{named} completed {after}: no changes, or given up before it saved any"
    return f"{named} completed {after}: no changes"


def _saves(run: Run) -> str:
    if run.serials is None:
        return "nothing was saved"
    first, last = run.serials
    serials = f"serial {last}" if first == last else f"serials {first} to {last}"
    saves = f"{run.writes} save{'s'[: run.writes != 1]}, {serials}"
    if run.unknown == run.writes:
        return f"{saves}, encrypted, so the changes are unknown"
    added, changed, removed = run.resources
    return f"{saves}: {added} added, {changed} changed, {removed} removed"


def _because(reason: str, run: Run, caller: Caller, shown: Mapping[str, Any]) -> str:
    words = {
        runs.LOCK_BROKEN: f"{name_of(caller)} broke its lock by force",
        runs.SAVE_REFUSED: "a save was refused",
        runs.TAINTED: f"it left {run.tainted.number} tainted: {_some(run.tainted)}",
        runs.CHECKS_FAILED: (
            f"{run.failed_checks.number} check{'s'[: run.failed_checks.number != 1]} failed: "
            f"{_some(run.failed_checks)}"
        ),
        runs.LOCK_HELD_LONG: (
            f"it holds the lock for more than {shown.get('lock_alert_minutes')} minutes; if it is "
            f"lost, `tfaudit lock release {run.workspace}`"
        ),
        runs.LOCK_WAITED_FOR: f"{name_of(caller)} waits for its lock",
        runs.SERIAL_FORCED: "it replaced a state that it does not continue: the serial was forced",
        runs.LINEAGE_FORCED: "it replaced a state of another lineage",
        runs.STATE_EMPTIED: "it saved a state without any resource over one that had some",
    }
    return words[reason]


def _some(addresses: Addresses) -> str:
    shown = ", ".join(addresses.shown[:_SHOWN])
    more = addresses.number - min(_SHOWN, len(addresses.shown))
    return shown + (f" and {more} more" if more else "")
