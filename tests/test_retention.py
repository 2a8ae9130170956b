"""Tests of proxy.retention."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError
from proxy.retention import (
    KEEP_ALL,
    Retention,
    parse,
    parse_period,
    ranges,
    ranges_text,
    started_with,
    to_drop,
)
from proxy.timestamps import rfc3339
from tests.fakes import START

DAY = 86_400


class Version(NamedTuple):
    """A version as the rules look at it."""

    number: int
    created: str
    run: str | None = None


def versions(*runs: str | None) -> list[Version]:
    """Return a version for each run that is named, one a day, the newest of today."""
    age = len(runs) - 1
    return [
        Version(number, rfc3339(START - (age - number + 1) * DAY * 1_000_000), run)
        for number, run in enumerate(runs, start=1)
    ]


def dropped(
    found: list[Version], rules: Retention, *, destroyed: int = 0, held_since: str | None = None
) -> list[int]:
    """Return the numbers of what is dropped."""
    now = rfc3339(START + 2_000_000)
    chosen = to_drop(found, rules, now, destroyed=destroyed, held_since=held_since)
    return [version.number for version in chosen]


FIVE = versions("a", "a", "b", None, "c")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (KEEP_ALL, []),
        (Retention(versions=2), [1, 2, 3]),
        (Retention(versions=9), []),
        (Retention(seconds=2 * DAY), [1, 2, 3]),
        (Retention(seconds=2 * DAY + 60), [1, 2]),
        (Retention(last_of_run=True), [1]),
        (Retention(versions=1), [1, 2, 3, 4]),
        (Retention(versions=1, last_of_run=True), [1]),
        (Retention(versions=2, seconds=3 * DAY + 60), [1]),
    ],
)
def test_what_no_rule_keeps_is_dropped(rules: Retention, expected: list[int]) -> None:
    """Each rule keeps some; without one everything is kept. A write without a lock is a run."""
    assert expected == dropped(FIVE, rules)


def test_the_newest_version_is_never_dropped() -> None:
    """However old it is."""
    assert [] == dropped([Version(1, rfc3339(0))], Retention(seconds=3600))
    assert [] == dropped([], Retention(versions=1))


def test_what_the_run_under_way_began_with_is_kept() -> None:
    """So that it can be rolled back: the newest version that it did not write."""
    assert [1, 2, 4] == dropped(versions("a", "b", "c", "d", "d"), Retention(1), held_since="d")
    assert [1, 2] == dropped(versions("a", "b", "c"), Retention(1), held_since="d")


def test_without_a_lock_there_is_no_such_version() -> None:
    """And a run that wrote the very first version began with none."""
    assert started_with(FIVE, None) is None
    assert started_with(versions("a", "a"), "a") is None


def test_what_a_purge_destroyed_is_not_dropped_again() -> None:
    """Its numbers go on counting."""
    assert [3] == dropped(FIVE, Retention(versions=2), destroyed=2)


def test_a_version_of_a_boundary_is_kept_a_second_longer() -> None:
    """An entry is dated after its transaction: by the entries, too, it must be old enough."""
    found = [Version(1, rfc3339(START - 3_600_000_000)), Version(2, rfc3339(START))]
    rules = Retention(seconds=3600)
    for micros, expected in ((START + 1_000_000, []), (START + 1_000_001, [1])):
        chosen = to_drop(found, rules, rfc3339(micros), destroyed=0, held_since=None)
        assert expected == [version.number for version in chosen]


RULES = st.builds(
    Retention,
    st.none() | st.integers(1, 9),
    st.none() | st.integers(3600, 9 * DAY),
    st.booleans(),
)
RUNS = st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=9)


@given(RUNS, RULES, RULES)
def test_two_sets_of_rules_keep_what_either_keeps(
    runs: list[str | None], one: Retention, other: Retention
) -> None:
    """In whatever order; together with none they keep everything."""
    found = versions(*runs)
    both = set(dropped(found, one)) & set(dropped(found, other))
    assert both == set(dropped(found, one.with_rules(other)))
    assert one.with_rules(other) == other.with_rules(one)


@given(RULES)
def test_rules_are_read_as_they_are_written(rules: Retention) -> None:
    """For people, and in an entry."""
    assert rules == parse(str(rules))
    assert rules == Retention.of_entry(rules.as_entry())


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("all", KEEP_ALL),
        ("20", Retention(versions=20)),
        ("90d", Retention(seconds=90 * DAY)),
        (" last-of-run , 20,1w1d ", Retention(20, 8 * DAY, last_of_run=True)),
    ],
)
def test_rules_are_written_with_commas(text: str, rules: Retention) -> None:
    """A number of the newest, a length of time, the last of each run; or all."""
    assert rules == parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'20, 90d, last-of-run'"),
        ("20,", "'20, 90d, last-of-run'"),
        ("all, 20", "'20, 90d, last-of-run'"),
        ("twenty", "'20, 90d, last-of-run'"),
        ("-1", "'20, 90d, last-of-run'"),
        ("59m", "'20, 90d, last-of-run'"),
        ("0", "from 1 to 2147483647"),
        ("9" * 40, "from 1 to 2147483647"),
        ("20, 30", "one thing twice"),
        ("1d, 2d", "one thing twice"),
        ("last-of-run, last-of-run", "one thing twice"),
    ],
)
def test_anything_else_is_refused(text: str, said: str) -> None:
    """With what can be written."""
    with pytest.raises(InvalidInputError, match=said):
        parse(text)


def test_a_period_is_an_hour_at_least() -> None:
    """What is dropped the minute it was written was rarely meant to be."""
    assert 3600 == parse_period("1h")
    with pytest.raises(InvalidInputError, match="less than an hour"):
        parse_period("59m59s")


def test_numbers_are_told_as_ranges() -> None:
    """In an entry as first and last, to people as they write them."""
    found = ranges([1, 2, 3, 7, 9, 10])
    assert [[1, 3], [7, 7], [9, 10]] == found
    assert "1-3, 7, 9-10" == ranges_text(found)
    assert [] == ranges([])
