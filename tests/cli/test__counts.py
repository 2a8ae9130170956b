"""Tests of proxy.cli._counts."""

from collections.abc import AsyncIterator, Mapping

import orjson
import pytest

from proxy.cli._counts import Count, CountBy, counted
from proxy.contracts import StoredRecord
from proxy.tlog.entry import Record


async def records(*entries: Mapping[str, object]) -> AsyncIterator[StoredRecord]:
    """Yield these as entries of the log."""
    for index, entry in enumerate(entries):
        whole = {"event": "auth.failed", "outcome": "denied", "actor": {"type": "x", "name": ""}}
        yield StoredRecord(Record(index, orjson.dumps({**whole, **entry}), b"", b"", ""), None)


ONE = {"time": "2026-11-22T10:00:00Z", "source": {"ip": "10.0.0.1"}}
FOLDED = {
    "time": "2026-11-22T12:00:00Z",
    "source": {"ip": "10.0.0.1"},
    "count": 40,
    "first_time": "2026-11-22T09:00:00Z",
    "last_time": "2026-11-22T11:00:00Z",
}
OTHER = {"time": "2026-11-22T10:30:00Z", "source": {"ip": "10.0.0.2"}, "workspace": "prod"}


async def test_what_was_folded_counts_as_often_as_it_happened() -> None:
    """From its first time to its last; the most come first."""
    counts = await counted(records(OTHER, ONE, FOLDED), CountBy.SOURCE_IP)
    assert [
        ("10.0.0.1", Count(41, "2026-11-22T09:00:00Z", "2026-11-22T11:00:00Z")),
        ("10.0.0.2", Count(1, "2026-11-22T10:30:00Z", "2026-11-22T10:30:00Z")),
    ] == list(counts.items())


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (CountBy.ACTOR, {"x": 42}),
        (CountBy.EVENT, {"auth.failed": 42}),
        (CountBy.OUTCOME, {"denied": 42}),
        (CountBy.WORKSPACE, {"": 41, "prod": 1}),
    ],
)
async def test_entries_are_counted_by_what_was_asked_for(
    by: CountBy, expected: dict[str, int]
) -> None:
    """Those that say nothing of it are counted, too."""
    counts = await counted(records(OTHER, ONE, FOLDED), by)
    assert expected == {value: each.count for value, each in counts.items()}
