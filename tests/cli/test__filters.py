"""Tests of the filters of log and export."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proxy.cli._filters import Filters
from proxy.contracts import LogQuery
from proxy.errors import InvalidInputError

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


def test_every_filter_reaches_the_store() -> None:
    """And times become what entries write."""
    filters = Filters("prod/*", "state.*", "alice", "10.0.0.7", "denied", "2h", "2026-11-22", 5)
    filters = replace(filters, claims=("ref=refs/heads/a=b",))
    assert LogQuery(
        workspace="prod/*",
        event="state.*",
        actor="alice",
        source_ip="10.0.0.7",
        outcome="denied",
        since="2026-11-22T08:00:00.000000Z",
        until="2026-11-22T00:00:00.000000Z",
        limit=5,
        newest_first=True,
        claims=(("ref", "refs/heads/a=b"),),
    ) == filters.query(NOW, newest_first=True)


def test_an_outcome_that_no_entry_has_is_refused() -> None:
    """A slip of the pen must not look like "nothing happened"."""
    with pytest.raises(InvalidInputError, match="success, denied, conflict, error"):
        Filters(outcome="failed").query(NOW, newest_first=False)


def test_an_event_that_does_not_exist_is_refused() -> None:
    """As above, and the names are told."""
    with pytest.raises(InvalidInputError, match=r"state\.written"):
        Filters(event="state.writen").query(NOW, newest_first=False)


def test_the_record_says_what_was_asked_for() -> None:
    """Only what was given."""
    assert {"event": "state.*", "limit": 3} == Filters(event="state.*", limit=3).as_entry()


def test_nothing_given_is_the_whole_log() -> None:
    """Any filter makes it a part."""
    assert Filters().is_whole
    assert not Filters(limit=3).is_whole
