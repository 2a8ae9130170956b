"""Tests of proxy.cli._values."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from proxy.cli._values import parse_moment
from proxy.errors import InvalidInputError

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


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
