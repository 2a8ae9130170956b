"""What the entries about sinks say: one fails, recovers, refuses entries, or gets them anew."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import orjson

from proxy.access import Caller
from proxy.audit_log import draft
from proxy.client_text import client_text
from proxy.contracts import DeadLetter, Delivery, Draft, SinkReplay
from proxy.directory import Object
from proxy.errors import ConflictError, TfauditError
from proxy.statuses import status_of

ABOUT_SINKS: Final = frozenset({"sink.failed", "sink.recovered", "sink.dead_lettered"})
"""Events that follow from what happens to other entries on their way. On their own way they beget
none of their kind: two sinks that fail would tell each other so for ever."""

LETTERS: Final = 50
"""Dead letters in one entry."""

_REASON: Final = 300
"""Characters of a reason."""

_RANGES: Final = 500


def is_about_sinks(entry: Mapping[str, Any]) -> bool:
    """Tell whether it is such an entry."""
    return entry["event"] in ABOUT_SINKS


def is_own_failure(entry: Mapping[str, Any], sink: str) -> bool:
    """Tell whether it is the news that this sink fails, which it would get when it no longer does.

    Its ``sink.recovered`` says all of it again.
    """
    return bool(entry["event"] == "sink.failed" and entry["sink"]["id"] == sink)


def reason_of(text: str) -> str:
    """Return a reason as it is kept: one line without credentials."""
    return client_text(text, _REASON)


def _sink(found: Object, **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON of any shape
    return {"id": found.id, "name": found.name, **parts}


def failed(found: Object, delivery: Delivery, caller: Caller) -> Draft:
    """Return the entry of a sink that takes no events."""
    return draft(
        "sink.failed",
        "error",
        f"the sink {found.name} takes no events: {delivery.error}",
        caller,
        sink=_sink(
            found,
            error=delivery.error,
            since=delivery.failing_since,
            failures=delivery.failures,
            cursor=delivery.cursor,
            unreported=delivery.unreported,
        ),
    )


def recovered(found: Object, before: Delivery, caller: Caller) -> Draft:
    """Return the entry of a sink that takes events again.

    Args:
        found: the sink.
        before: how it did when it failed.
        caller: the server itself.
    """
    return draft(
        "sink.recovered",
        "success",
        f"the sink {found.name} takes events again; it had failed since {before.failing_since}",
        caller,
        sink=_sink(
            found,
            error=before.error,
            since=before.failing_since,
            failures=before.failures,
            unreported=before.unreported,
        ),
    )


def dead_lettered(found: Object, letters: Sequence[DeadLetter], caller: Caller) -> list[Draft]:
    """Return the entries of what is set aside, each with its reason."""
    drafts = []
    for start in range(0, len(letters), LETTERS):
        part = letters[start : start + LETTERS]
        many = "1 entry was" if len(part) == 1 else f"{len(part)} entries were"
        drafts.append(
            draft(
                "sink.dead_lettered",
                "success",
                f"{many} refused by the sink {found.name} and set aside: entry {part[0].index}: "
                f"{part[0].reason}",
                caller,
                sink=_sink(
                    found,
                    dead_letters=[{"index": each.index, "reason": each.reason} for each in part],
                ),
            )
        )
    return drafts


def replay_asked(found: Object, replay: SinkReplay, caller: Caller) -> Draft:
    """Return the entry of somebody's wish that a sink gets entries once more."""
    what = "what was set aside" if replay.only_dead_letters else "the entries"
    return draft(
        "sink.replayed",
        "success",
        f"{caller.principal.name} has {what} from {replay.first} to {replay.until - 1} sent to the "
        f"sink {found.name} once more",
        caller,
        202,
        sink=_sink(found, replay=_replay(replay)),
    )


def replay_went_on(
    found: Object, replay: SinkReplay, taken: Sequence[int], caller: Caller
) -> list[Draft]:
    """Return the entries of what a replay came to so far.

    Args:
        found: the sink.
        replay: as it is from now on: all below its ``first`` is done with.
        taken: indices of dead letters that were taken, and are none any more; rising.
        caller: the server itself.
    """
    ranges = _ranges(taken)
    is_done = replay.first >= replay.until
    drafts = []
    for start in range(0, max(1, len(ranges)), _RANGES):
        part = ranges[start : start + _RANGES]
        is_last = start + _RANGES >= len(ranges)
        words = "is done" if is_done and is_last else f"is at entry {replay.first}"
        count = sum(last - first + 1 for first, last in part)
        drafts.append(
            draft(
                "sink.replayed",
                "success",
                f"the replay to the sink {found.name} {words}"
                + (f"; {count} that had been set aside were taken" if count else ""),
                caller,
                sink=_sink(
                    found,
                    replay=_replay(replay),
                    is_done=is_done and is_last,
                    taken=[list(each) for each in part],
                ),
            )
        )
    return drafts


def _replay(replay: SinkReplay) -> dict[str, Any]:
    return {
        "id": replay.id,
        "from": replay.first,
        "until": replay.until,
        "only_dead_letters": replay.only_dead_letters,
    }


def _ranges(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Return rising numbers as (first, last) of what stands together."""
    groups = groupby(enumerate(indices), lambda pair: pair[1] - pair[0])
    return [(group[0][1], group[-1][1]) for group in (list(each) for _, each in groups)]


def refused(event: str, error: TfauditError, caller: Caller) -> Draft:
    """Return the entry of what could not be done with a sink."""
    outcome = "conflict" if isinstance(error, ConflictError) else "error"
    return draft(event, outcome, f"{caller.principal.name}: {error}", caller, status_of(error))


def tested(found: Object, caller: Caller) -> Draft:
    """Return the entry that is itself sent to a sink, to try it."""
    return draft(
        "sink.tested",
        "success",
        f"{caller.principal.name} sends this very entry to the sink {found.name}, to try it",
        caller,
        200,
        sink=_sink(found),
    )


def disabled(found: Object, after: Object, reason: str, caller: Caller) -> Draft:
    """Return the entry of a sink that is disabled because its far side wants nothing more."""
    return draft(
        "sink.disabled",
        "success",
        f"the sink {found.name} was disabled: {reason}",
        caller,
        object={
            "kind": found.kind,
            "name": found.name,
            "id": found.id,
            "before": orjson.loads(found.document),
            "after": orjson.loads(after.document),
        },
        sink=_sink(found, error=reason),
    )
