"""Tests of reading times and lengths of time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from proxy.cli._values import parse_length, parse_moment
from proxy.errors import InvalidInputError

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90d", timedelta(days=90)),
        ("2h", timedelta(hours=2)),
        ("1h30m", timedelta(minutes=90)),
        ("45s", timedelta(seconds=45)),
        ("2w1d", timedelta(days=15)),
    ],
)
def test_a_length_is_numbers_with_units(text: str, length: timedelta) -> None:
    """Each number counts by its unit, and they add up."""
    assert length == parse_length(text)


@pytest.mark.parametrize(
    "text", ["", "0d", "90", "d", "-1d", "1y", "1.5h", "9" * 40 + "d", "999999999w", "٣d"]
)
def test_anything_else_is_no_length(text: str) -> None:
    """No sign, no fraction, no unknown unit, nothing beyond a hundred years."""
    with pytest.raises(InvalidInputError, match="90d"):
        parse_length(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00.000000Z"),
        ("2026-11-22T11:30:00.5+02:00", "2026-11-22T09:30:00.500000Z"),
        ("2026-11-21", "2026-11-21T00:00:00.000000Z"),
        ("2h", "2026-11-22T08:00:00.000000Z"),
        ("7d", "2026-11-15T10:00:00.000000Z"),
    ],
)
def test_a_moment_is_absolute_or_before_now(text: str, moment: str) -> None:
    """All three spellings become the one in which entries write their time."""
    assert moment == parse_moment(text, NOW)


def test_the_present_may_be_told_in_any_zone() -> None:
    """A relative time counts from the moment, not from the digits of a local clock."""
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    assert "2026-11-22T08:00:00.000000Z" == parse_moment("2h", elsewhere)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-22T09:00:00", "2026-13-01", "10:00"])
def test_anything_else_is_no_moment(text: str) -> None:
    """Nothing is guessed: a time without an offset could be any of 24."""
    with pytest.raises(InvalidInputError, match="2026-11-22T10:00:00Z"):
        parse_moment(text, NOW)
