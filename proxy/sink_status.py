"""How each sink is doing, by what the store keeps of it: the same for the server and beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

import orjson

from proxy.contracts import Delivery, SinkReplay, Store
from proxy.directory import Object, SinkRecord
from proxy.timestamps import micros_of

State: TypeAlias = Literal["new", "ok", "retrying", "failing", "paused"]
STATES: Final[tuple[State, ...]] = get_args(State)

_TOGETHER: Final = 1000
"""Entries of one transaction among which a sink's own is looked for."""


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How one sink is doing.

    Attributes:
        id: of the object.
        name: unique.
        type: of the sink.
        state: ``new`` was given nothing yet, ``ok`` takes what it is given, ``retrying`` did not
            take it lately, ``failing`` has not for long or needs somebody to mend it, ``paused``
            is given nothing.
        cursor: index of the first entry that it was not given yet.
        lag: entries of the log from there on.
        age: seconds since the first of those was committed; 0.0 without any.
        delivered: entries that its far side took, replays included.
        retries: batches that were given to it again.
        dead_letters: entries that are set aside for it now.
        failing_since: RFC 3339 UTC; None when it is not.
        error: why it did not take the newest batch, for people; empty when it did.
        last_delivery: RFC 3339 UTC; None when nothing was ever taken.
        next_try: RFC 3339 UTC; None when it does not wait for one.
        replays: that are not done, oldest first.
    """

    id: str
    name: str
    type: str
    state: State
    cursor: int
    lag: int
    age: float
    delivered: int
    retries: int
    dead_letters: int
    failing_since: str | None
    error: str
    last_delivery: str | None
    next_try: str | None
    replays: tuple[SinkReplay, ...]


def record_of(found: Object) -> SinkRecord:
    """Return the record of an object that is a sink."""
    record = found.record
    if not isinstance(record, SinkRecord):
        raise TypeError(f"{found.name} is a {found.kind}")
    return record


async def first_index(store: Store, found: Object) -> int:
    """Return the index of the first entry that a new sink gets; none that is pruned.

    Raises:
        UnavailableError: it can't be told.
    """
    size, pruned = await store.size(), await store.pruned()
    record = record_of(found)
    if record.start is not None:
        return min(max(record.start, pruned), size)
    # Times rise with the indices: look for the transaction that made the sink.
    low, high = pruned, size
    while low < high:
        middle = (low + high) // 2
        if await _time_of(store, middle) < found.created:
            low = middle + 1
        else:
            high = middle
    for each in await store.following(low, _TOGETHER):
        entry = orjson.loads(each.entry)
        if entry["event"] == "sink.created" and entry.get("object", {}).get("id") == found.id:
            return each.index + 1
    return low


async def _time_of(store: Store, index: int) -> str:
    [record] = await store.following(index, 1)
    time: str = orjson.loads(record.entry)["time"]
    return time


async def statuses(store: Store, sinks: Sequence[Object], now: datetime) -> list[SinkStatus]:
    """Return how each of the sinks is doing.

    Args:
        store: keeps it.
        sinks: objects of the directory.
        now: the present, with a time zone.

    Raises:
        UnavailableError: it can't be told.
    """
    if not sinks:
        return []
    deliveries = {each.sink: each for each in await store.deliveries()}
    letters = await store.dead_letter_counts()
    replays = await store.replays()
    size = await store.size()
    found = []
    for each in sinks:
        delivery = deliveries.get(each.id)
        known = delivery or Delivery(each.id, await first_index(store, each))
        lag = max(0, size - known.cursor)
        record = record_of(each)
        found.append(
            SinkStatus(
                id=each.id,
                name=each.name,
                type=record.type,
                state=_state(record, delivery),
                cursor=known.cursor,
                lag=lag,
                age=await age_of(store, known.cursor, now) if lag else 0.0,
                delivered=known.delivered,
                retries=known.retries,
                dead_letters=letters.get(each.id, 0),
                failing_since=known.failing_since,
                error=known.error,
                last_delivery=known.last_delivery,
                next_try=known.next_try,
                replays=tuple(replay for replay in replays if replay.sink == each.id),
            )
        )
    return found


async def age_of(store: Store, index: int, now: datetime) -> float:
    """Return seconds since an entry was committed.

    Raises:
        UnavailableError: it can't be read.
    """
    micros = micros_of(await _time_of(store, index))
    return max(0.0, now.timestamp() - micros / 1_000_000)


def _state(record: SinkRecord, delivery: Delivery | None) -> State:
    if not record.enabled:
        return "paused"
    if delivery is None:
        return "new"
    if delivery.failing_since is None:
        return "ok"
    return "failing" if delivery.is_open else "retrying"
