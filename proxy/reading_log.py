"""The record of who reads the log as tiles: one entry at the first, one that counts the rest.

A reader that follows the log asks for many small files, over and over: an entry for each would
make the log grow by being read. So the first reading of somebody in a window gets an entry before
it is answered, which says until when further ones are counted, and these are committed as one entry
when the window ends. Readers beyond a fixed number are counted together. If the server is killed
the count is lost, not that somebody read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from proxy.access import ANONYMOUS, Caller, Principal
from proxy.audit_log import draft
from proxy.contracts import Draft, Store
from proxy.errors import TfauditError
from proxy.folding import Counted, Windows
from proxy.timestamps import micros_at, rfc3339
from proxy.tlog.tiles import Bundle, Tile

MAX_READERS: Final = 64
"""Readers that are told apart in one window."""


class _Reader(NamedTuple):
    """Whose readings are counted together; an empty address stands for all that were too many."""

    principal: Principal
    ip: str


_OTHERS: Final = _Reader(ANONYMOUS, "")


@dataclass(slots=True)
class _Count:
    """What somebody read in one window without an entry of its own.

    Attributes:
        tiles: files with hashes.
        bundles: files with entries.
        indices: of those entries, with the lowest and the highest among them.
        first_time: of the first counted reading.
        last_time: of the last one.
    """

    tiles: int = 0
    bundles: int = 0
    indices: set[int] = field(default_factory=set)
    first_time: datetime | None = None
    last_time: datetime | None = None

    @property
    def total(self) -> int:
        """How many files."""
        return self.tiles + self.bundles

    def add(self, wanted: Tile | Bundle, now: datetime) -> None:
        """Count one reading."""
        self.first_time = self.first_time or now
        self.last_time = now
        if isinstance(wanted, Tile):
            self.tiles += 1
            return
        self.bundles += 1
        self.indices |= {wanted.first, wanted.first + wanted.width - 1}
        self.indices = {min(self.indices), max(self.indices)}

    def merge(self, other: "_Count") -> None:
        """Add what was counted before and could not be committed."""
        self.tiles += other.tiles
        self.bundles += other.bundles
        self.indices |= other.indices
        self.first_time = other.first_time or self.first_time
        self.last_time = self.last_time or other.last_time


class ReadingLog:
    """Commits who reads tiles and entry bundles, folded.

    Args:
        store: keeps the entries.
        window: seconds after which counted readings are committed.
        now: the present, UTC.
    """

    def __init__(self, store: Store, *, window: float, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._counts: dict[_Reader, _Count] = {}
        self._ends = ""
        self._windows = Windows(
            store, window, "readings of the log", lambda: bool(self._counts), self._take
        )

    async def record(self, caller: Caller, wanted: Tile | Bundle) -> int | None:
        """Commit the reading, or count it; the file may be sent afterwards.

        Returns:
            The entry's index, or None when the reading was only counted.

        Raises:
            UnauthenticatedError, AccessChangedError: the caller may not any more.
            UnavailableError: it could not be committed: nothing may be sent.
        """
        now = self._now()
        reader = _Reader(caller.principal, caller.ip)
        if self._windows.begin():
            self._ends = self._end_of(now)
        if reader not in self._counts and len(self._counts) >= MAX_READERS:
            reader = _OTHERS
        known = self._counts.get(reader)
        if known is None or self._windows.is_closing:
            # Before it is committed, so that whoever reads at the same time is counted.
            count = self._counts.setdefault(reader, _Count())
            try:
                return await self._record_first(caller, wanted)
            except TfauditError:
                if not count.total:
                    self._counts.pop(reader, None)  # the next one is the first
                raise
        await self._store.write(lambda tx: tx.require_in_force(caller.principal))
        known.add(wanted, now)
        return None

    async def _record_first(self, caller: Caller, wanted: Tile | Bundle) -> int | None:
        until = (
            "" if self._windows.is_closing else f"; further files are counted until {self._ends}"
        )
        entry = draft(
            "audit.read",
            "success",
            f"{_name(caller.principal)} read the log as tiles: {wanted.path}{until}",
            caller,
            200,
            query={"tile": wanted.path},
        )
        return (await self._store.write(lambda tx: tx.append(entry))).index

    async def aclose(self) -> None:
        """Commit what was counted, without waiting for the window's end."""
        await self._windows.aclose()

    def _take(self) -> Counted:
        counts, self._counts = self._counts, {}
        self._ends = self._end_of(self._now())

        def put_back() -> None:
            for reader, count in counts.items():
                self._counts.setdefault(reader, _Count()).merge(count)

        return Counted(
            [_folded(*each) for each in counts.items() if each[1].total],
            sum(count.total for count in counts.values()),
            put_back,
        )

    def _end_of(self, begin: datetime) -> str:
        return rfc3339(micros_at(begin + timedelta(seconds=self._windows.seconds)))


def _folded(reader: _Reader, count: _Count) -> Draft:
    who = _name(reader.principal) if reader.ip or reader != _OTHERS else "many other readers"
    query: dict[str, int] = {"tiles": count.tiles, "bundles": count.bundles}
    what = "without entries"
    if count.indices:
        first, last = min(count.indices), max(count.indices)
        query |= {"first": first, "last": last}
        what = f"with entries from {first} to {last}"
    # By its count the store sees that it is no use of their token, which they may have lost.
    return draft(
        "audit.read",
        "success",
        f"{who} read {count.total} more files of the log's tiles, {what}",
        Caller(reader.principal, reader.ip, request_id="", via="api", method="", path=""),
        200,
        query=query,
        count=count.total,
        first_time=_text(count.first_time),
        last_time=_text(count.last_time),
    )


def _name(principal: Principal) -> str:
    return principal.name or "anonymous"


def _text(moment: datetime | None) -> str:
    return "" if moment is None else rfc3339(micros_at(moment))
