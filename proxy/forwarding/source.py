"""Where a forwarder's events come from: the committed log, read ahead in bounded pieces."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from proxy.contracts import SinkReplay, Store
from proxy.forwarding.window import Window
from proxy.sink_entries import is_own_failure
from proxy.sinks.contract import Event
from proxy.tlog.entry import Record

_PIECE: Final = 500
"""Entries that are read at a time; fewer when they are large."""

_AHEAD_BYTES: Final = 4 << 20
"""Bytes of entries that are read ahead; what was read with the last of them may be more."""

IsMatch = Callable[[Mapping[str, Any]], bool]


class Source:
    """The entries that are for one sink, in the order of the log.

    Args:
        store: has the log.
        sink: ID of the sink's object.
        is_match: whether an entry is for it.
        start: index of the first entry to look at.
    """

    def __init__(self, store: Store, sink: str, is_match: IsMatch, start: int) -> None:
        self._store = store
        self._sink = sink
        self._is_match = is_match
        self._read = start
        self._ahead: deque[Event] = deque()
        self._ahead_bytes = 0
        self.has_replays = True

    @property
    def position(self) -> int:
        """The index of the next event for the sink, or of the next entry that is to be read."""
        return self._ahead[0].record.index if self._ahead else self._read

    async def fill(self, events: int) -> bool:
        """Read one piece ahead unless so many events wait; tell whether there was anything to do.

        Raises:
            UnavailableError: the log can't be read.
        """
        if len(self._ahead) >= events or self._ahead_bytes >= _AHEAD_BYTES:
            return False
        records = await self._store.following(self._read, _PIECE)
        if not records:
            return False
        # Parsing and matching take a while, in which the event loop answers requests.
        found, has_replays = await asyncio.to_thread(self._parse, records)
        self._ahead.extend(found)
        self._ahead_bytes += _bytes(found)
        self._read = records[-1].index + 1
        self.has_replays = self.has_replays or has_replays
        return True

    @property
    def waiting(self) -> int:
        """How many events were read ahead."""
        return len(self._ahead)

    def window(self, events: int) -> Window:
        """Return the next events, at most so many, of those that were read."""
        found = [self._ahead.popleft() for _ in range(min(events, len(self._ahead)))]
        self._ahead_bytes -= _bytes(found)
        return Window(found, self.position)

    def put_back(self, events: Sequence[Event]) -> None:
        """Take events back that are to be given again."""
        self._ahead.extendleft(reversed(events))
        self._ahead_bytes += _bytes(events)

    def _parse(self, records: Sequence[Record]) -> tuple[list[Event], bool]:
        found: list[Event] = []
        has_replays = False
        for record in records:
            entry = orjson.loads(record.entry)
            if entry["event"] == "sink.replayed":
                has_replays = has_replays or entry.get("sink", {}).get("id") == self._sink
            if self._is_for_it(entry):
                found.append(Event(record, entry))
        return found, has_replays

    def _is_for_it(self, entry: Mapping[str, Any]) -> bool:
        return not is_own_failure(entry, self._sink) and self._is_match(entry)

    # ------------------------------------------------------------ once more

    async def replays(self) -> list[SinkReplay]:
        """Return what is to be sent once more, oldest first.

        Raises:
            UnavailableError: it can't be told.
        """
        self.has_replays = False
        return [each for each in await self._store.replays() if each.sink == self._sink]

    async def replayed(self, replay: SinkReplay, events: int) -> Window:
        """Return the next events of a replay, about so many.

        Raises:
            UnavailableError: the log can't be read.
        """
        letters = await self._store.dead_letters(self._sink, replay.cursor, events)
        known = [each.index for each in letters if each.index < replay.until]
        if not replay.only_dead_letters:
            limit = min(events, replay.until - replay.cursor)
            records = await self._store.following(replay.cursor, limit)
            found, _ = await asyncio.to_thread(self._parse, records)
            end = records[-1].index + 1 if records else replay.until
            return Window(found, end, replay, known)
        # What was set aside was for the sink then, whatever is now.
        found = await asyncio.to_thread(_events, await self._records(known))
        end = known[-1] + 1 if known else replay.until
        return Window(found, end, replay, known)

    async def _records(self, indices: Sequence[int]) -> list[Record]:
        found = []
        for index in indices:
            found += [each for each in await self._store.following(index, 1) if each.index == index]
        return found


def _bytes(events: Sequence[Event]) -> int:
    return sum(len(each.record.entry) for each in events)


def _events(records: Sequence[Record]) -> list[Event]:
    return [Event(record, orjson.loads(record.entry)) for record in records]
