"""Entries that were archived and pruned: whoever asks for one learns where it is now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from proxy.contracts import LogQuery, Store
from proxy.errors import EntryPrunedError

EVENT: Final = "audit.pruned"
LASTING: Final = frozenset({EVENT, "audit.recovered", "key.rotated"})
"""Events whose entries are never pruned: which keys sign the log, what of it was lost, and where
the rest of it is."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """One pruning of the log.

    Attributes:
        index: of the entry that records it.
        first: index of the first entry that it pruned.
        until: one more than that of the last.
        archive: where these entries are.
        sha256: of the archive, hex.
    """

    index: int
    first: int
    until: int
    archive: str
    sha256: str

    def __str__(self) -> str:
        """Return it as people read it."""
        return (
            f"entries {self.first} to {self.until - 1} were pruned, as entry {self.index} records, "
            f"and are archived in {self.archive} (SHA-256 {self.sha256})"
        )


async def prunings(store: Store) -> Sequence[Pruning]:
    """Return what was pruned, oldest first: of these entries none is ever pruned itself.

    Raises:
        UnavailableError: the log can't be read.
    """
    found = []
    async for stored in store.entries(LogQuery(event=EVENT, outcome="success")):
        said = orjson.loads(stored.record.entry)["pruning"]
        parts = (said[name] for name in ("from", "until", "archive", "sha256"))
        found.append(Pruning(stored.record.index, *parts))
    return found


async def unsearched(store: Store, query: LogQuery) -> int:
    """Return below which index entries may be missing that a query asks for; 0 when none are.

    Raises:
        UnavailableError: the log can't be read.
    """
    until = await store.pruned()
    if not until or (query.after or 0) >= until - 1 or query.event in LASTING:
        return 0
    if query.since is not None:
        [first] = await store.following(until, 1)
        if query.since >= orjson.loads(first.entry)["time"]:
            return 0
    return until


async def refuse_pruned(store: Store, index: int, *, tells_archive: bool = True) -> None:
    """Pass when an entry is not among those that are pruned.

    Args:
        store: has the log.
        index: of the entry.
        tells_archive: whoever asks may know where all entries are.

    Raises:
        EntryPrunedError: it is; says where it was archived.
        UnavailableError: the log can't be read.
    """
    if index >= await store.pruned():
        return
    for each in await prunings(store):
        if each.first <= index < each.until:
            told = str(each) if tells_archive else f"as entry {each.index} records"
            raise EntryPrunedError(f"entry {index} is not in the log's database any more: {told}")
    raise EntryPrunedError(f"entry {index} is not in the log's database any more: it was pruned")
