"""What follows for a run from what happens under a workspace's lock: values in, values out.

Terraform tells a backend of a run only its lock: who took it and for what, what was saved under it,
and how it came free. All that is told of a run is inferred from that, and says from which entries.
It can't be told whether a run that saved nothing had nothing to do, or was given up.
"""

from typing import Any, Final, NamedTuple

import msgspec

from proxy.timestamps import micros_of

CARRIES_OUT: Final = frozenset({"OperationTypeApply", "OperationTypeRefresh"})
"""Operations that carry out a configuration: what they leave tainted or failing, they failed at."""

REARRANGES: Final = frozenset(
    {"taint", "untaint", "state-mv", "state-rm", "state-replace-provider"}
)
"""Operations with which somebody arranges a state by hand: what is tainted after them is meant."""

LOCK_BROKEN: Final = "lock_broken"
SAVE_REFUSED: Final = "save_refused"
TAINTED: Final = "tainted"
CHECKS_FAILED: Final = "checks_failed"
LOCK_HELD_LONG: Final = "lock_held_long"
LOCK_WAITED_FOR: Final = "lock_waited_for"
SERIAL_FORCED: Final = "serial_forced"
LINEAGE_FORCED: Final = "lineage_forced"
STATE_EMPTIED: Final = "state_emptied"

REASONS: Final = {
    LOCK_BROKEN: "the lock was released by another than its holder, or without its ID",
    SAVE_REFUSED: "a save was refused, so that the state is not what the run made",
    TAINTED: "objects that the run changed are tainted: a part of their creation failed",
    CHECKS_FAILED: "checks or conditions failed, by the state that the run saved last",
    LOCK_HELD_LONG: "the lock is held for longer than the workspace's `lock_alert_minutes`",
    LOCK_WAITED_FOR: "somebody else wants the lock: was refused it, or waits in line for it",
    SERIAL_FORCED: "a save replaced a state of the same or a higher serial",
    LINEAGE_FORCED: "a save replaced the state of another lineage",
    STATE_EMPTIED: "a save without any resource replaced a state that had some",
}
"""Why a run errored or needs attention, and what that means."""

_TRY_AGAIN: Final = 500
"""From this HTTP status on, clients send a save again."""
_KEPT: Final = 20
"""Addresses of each kind that a run remembers; the rest are counted."""
_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Entries of one kind from which something was inferred.

    Attributes:
        event: their kind.
        index: of the newest of them.
        first: of the oldest, when there are several.
        times: how many there are.
    """

    event: str
    index: int
    first: int | None = None
    times: int = 1


class Addresses(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Some addresses, redacted, and how many more there are."""

    shown: tuple[str, ...] = ()
    omitted: int = 0

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self.shown or self.omitted)

    @property
    def number(self) -> int:
        """How many there are in all."""
        return len(self.shown) + self.omitted


NONE: Final = Addresses()


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A run that is under way: all that is remembered of it until its lock comes free.

    Attributes:
        workspace: that it holds the lock of.
        id: the lock's ID, as entries show it; so are the next three.
        operation: as its lock says.
        who: as its lock says.
        terraform_version: as its lock says.
        started: when it took the lock, RFC 3339.
        evidence: what it was followed by so far, a kind each.
        writes: so many states were stored; the same bytes again don't count.
        serials: of the first and the last of them.
        resources: added, changed and removed by them, each compared with the one before it.
        unknown: by so many of them nothing can be told of resources, since they are encrypted.
        refused: the last save was refused: ``again`` if clients try that again, else ``for good``;
            what was refused for good stays so.
        tainted: objects that it changed and that are tainted now.
        failed_checks: checks that fail by the last state.
        attention: why it needs attention, each told once.
    """

    workspace: str
    id: str
    operation: str
    who: str
    terraform_version: str
    started: str
    evidence: tuple[Evidence, ...]
    writes: int = 0
    serials: tuple[int, int] | None = None
    resources: tuple[int, int, int] = (0, 0, 0)
    unknown: int = 0
    refused: str = ""
    tainted: Addresses = NONE
    failed_checks: Addresses = NONE
    attention: tuple[str, ...] = ()


class Save(NamedTuple):
    """A state that a run stored, as its entry tells of it.

    Attributes:
        serial: of the state.
        resources: added, changed, removed; None when nothing can be told.
        tainted: objects that it changed and that are tainted now.
        untainted: that were tainted before it, and are not any more.
        failed_checks: checks that fail by it.
    """

    serial: int
    resources: tuple[int, int, int] | None
    tainted: Addresses = NONE
    untainted: Addresses = NONE
    failed_checks: Addresses = NONE


class News(NamedTuple):
    """An event of a run.

    Attributes:
        event: a name of the catalogue.
        run: as it stands.
        reasons: keys of REASONS.
        evidence: the entries from which it was inferred.
    """

    event: str
    run: Run
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


# ---------------------------------------------------------------- transitions


def begun(run: Run) -> News:
    """Tell that a lock was taken for a run."""
    return News("run.created", run, (), run.evidence)


def saved(run: Run, save: Save, index: int) -> Run:
    """Return a run after one of its states was stored.

    Args:
        run: as it stood.
        save: what was stored.
        index: of the entry that says so.
    """
    first = save.serial if run.serials is None else run.serials[0]
    counts = run.resources
    if save.resources is not None:
        added, changed, removed = save.resources
        counts = (counts[0] + added, counts[1] + changed, counts[2] + removed)
    return msgspec.structs.replace(
        saved_again(run, index),
        writes=run.writes + 1,
        serials=(first, save.serial),
        resources=counts,
        unknown=run.unknown + (save.resources is None),
        tainted=_tainted(run.tainted, save),
        failed_checks=save.failed_checks,
    )


def saved_again(run: Run, index: int) -> Run:
    """Return a run after the bytes that are stored were sent again."""
    refused = "" if run.refused == "again" else run.refused
    return msgspec.structs.replace(
        run, evidence=_noted(run.evidence, "state.written", index), refused=refused
    )


def save_refused(run: Run, status: int, index: int) -> Run:
    """Return a run after one of its saves was refused.

    Args:
        run: as it stood.
        status: of the HTTP answer.
        index: of the entry that says so.
    """
    refused = "for good" if status < _TRY_AGAIN or run.refused == "for good" else "again"
    return msgspec.structs.replace(
        run, evidence=_noted(run.evidence, "state.write_refused", index), refused=refused
    )


def alerted(run: Run, reasons: tuple[str, ...], *evidence: Evidence) -> tuple[Run, News | None]:
    """Return a run once it is told why it needs attention, and the news if there is a new reason.

    Args:
        run: as it stands.
        reasons: keys of REASONS; what was told of this run already is not told again.
        evidence: beside the lock: entries from which it was inferred.
    """
    fresh = tuple(reason for reason in reasons if reason not in run.attention)
    if not fresh:
        return run, None
    run = told(run, fresh)
    taken = tuple(each for each in run.evidence if each.event == "state.locked")
    return run, News("run.needs_attention", run, fresh, (*taken, *evidence))


def told(run: Run, reasons: tuple[str, ...]) -> Run:
    """Return a run of which it was told why it needs attention."""
    return msgspec.structs.replace(run, attention=run.attention + reasons)


def ended(run: Run, evidence: Evidence, *, is_forced: bool) -> list[News]:
    """Tell how a run ended, because its lock came free.

    Args:
        run: as it stood.
        evidence: the entry that says so.
        is_forced: whether its holder did not release the lock.

    Returns:
        The last of the news says that it completed, or that it errored.
    """
    news: list[News] = []
    seen = (*run.evidence, evidence)
    if run.tainted and run.operation not in REARRANGES and TAINTED not in run.attention:
        run = told(run, (TAINTED,))
        news.append(News("run.needs_attention", run, (TAINTED,), seen))
    carries_out = run.operation in CARRIES_OUT
    found = {
        LOCK_BROKEN: is_forced,
        SAVE_REFUSED: bool(run.refused),
        TAINTED: carries_out and bool(run.tainted),
        CHECKS_FAILED: carries_out and bool(run.failed_checks),
    }
    reasons = tuple(reason for reason, is_so in found.items() if is_so)
    news.append(News("run.errored" if reasons else "run.completed", run, reasons, seen))
    return news


def is_overdue(run: Run, minutes: int | None, time: str) -> bool:
    """Tell whether a run has held its lock for too long, and that was not told yet.

    Args:
        run: under way.
        minutes: the workspace's limit; None is none.
        time: the present, RFC 3339.
    """
    if minutes is None or LOCK_HELD_LONG in run.attention:
        return False
    return micros_of(time) - micros_of(run.started) > minutes * _MINUTE


# ---------------------------------------------------------------- as an entry says it


def described(news: News, time: str) -> dict[str, Any]:
    """Return the ``run`` of a run's event.

    Args:
        news: the event.
        time: of the transaction, RFC 3339.
    """
    run = news.run
    shown: dict[str, Any] = {
        "id": run.id,
        "operation": run.operation,
        "who": run.who,
        "terraform_version": run.terraform_version,
        "started": run.started,
    }
    if news.event == "run.created":
        return shown
    if news.event != "run.needs_attention":
        shown["ended"] = time
    shown["seconds"] = seconds(run, time)
    shown["writes"] = run.writes
    if run.serials is not None:
        shown["first_serial"], shown["last_serial"] = run.serials
    if run.writes > run.unknown:
        shown["resources"] = dict(zip(("added", "changed", "removed"), run.resources, strict=True))
    if run.unknown:
        shown["unknown_writes"] = run.unknown
    if news.reasons:
        shown["reasons"] = list(news.reasons)
    return shown | left_behind(tainted=run.tainted, failed_checks=run.failed_checks)


def left_behind(**addresses: Addresses) -> dict[str, Any]:
    """Return what an entry says of tainted objects and failed checks; nothing when there are none.

    Args:
        addresses: under the names that they get.
    """
    shown: dict[str, Any] = {}
    for name, each in addresses.items():
        if each:
            shown[name] = list(each.shown)
            if each.omitted:
                shown[f"{name}_omitted"] = each.omitted
    return shown


def listed(shown: dict[str, Any], name: str) -> Addresses:
    """Return what ``left_behind`` put under a name."""
    return Addresses(tuple(shown.get(name, ())), shown.get(f"{name}_omitted", 0))


def seconds(run: Run, time: str) -> int:
    """Return for how many seconds a run had held its lock by then."""
    return max(0, micros_of(time) - micros_of(run.started)) // _SECOND


# ---------------------------------------------------------------- details


def _noted(evidence: tuple[Evidence, ...], event: str, index: int) -> tuple[Evidence, ...]:
    """Return the evidence with one more entry."""
    found = {each.event: each for each in evidence}
    known = found.get(event)
    if known is None:
        found[event] = Evidence(event, index)
    else:
        first = known.index if known.first is None else known.first
        found[event] = Evidence(event, index, first, known.times + 1)
    return tuple(found.values())


def _tainted(known: Addresses, save: Save) -> Addresses:
    """Return which objects are tainted after a save."""
    gone = set(save.untainted.shown)
    shown = [address for address in known.shown if address not in gone]
    # One that is not among those shown may be one of those that are only counted.
    omitted = known.omitted - len(gone.difference(known.shown)) - save.untainted.omitted
    fresh = [address for address in save.tainted.shown if address not in shown]
    shown += fresh
    omitted = max(0, omitted) + save.tainted.omitted + max(0, len(shown) - _KEPT)
    return Addresses(tuple(shown[:_KEPT]), omitted)
