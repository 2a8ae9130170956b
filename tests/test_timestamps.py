"""Tests of proxy.timestamps."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError
from proxy.timestamps import micros_of, parse_length, pooled, rfc3339, uuid7

_LAST = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z."""
_FIRST = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z."""


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_341_600_123_456, "2026-11-22T10:00:00.123456Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (_LAST, "9999-12-31T23:59:59.999999Z"),
        (_FIRST, "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_is_written_with_microseconds_and_z(micros: int, expected: str) -> None:
    """Always 27 characters, so that texts sort as their times do; years have four digits."""
    assert expected == rfc3339(micros)


@given(st.integers(_FIRST, _LAST))
def test_a_written_time_is_read_back(micros: int) -> None:
    """rfc3339 and micros_of undo each other."""
    assert micros == micros_of(rfc3339(micros))


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-11-22T10:00:00Z", 1_795_341_600_000_000),
        ("2026-11-22T12:00:00+02:00", 1_795_341_600_000_000),
        ("2026-11-22T10:00:00.5Z", 1_795_341_600_500_000),
    ],
)
def test_a_time_with_any_offset_is_understood(text: str, micros: int) -> None:
    """RFC 3339 allows an offset and any number of digits."""
    assert micros == micros_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-13-22T10:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """Also a time without an offset, and one that lies outside the years that can be written."""
    with pytest.raises(InvalidInputError, match=r"is not an RFC 3339 time|has no offset"):
        micros_of(text)


def test_an_id_is_a_uuid_of_version_7() -> None:
    """RFC 9562 section 5.7: the version, the variant, and the milliseconds in front."""
    found = UUID(uuid7(1_795_341_600_123_456, bytes(range(8))))
    assert (7, "specified in RFC 4122") == (found.version, found.variant)
    assert 1_795_341_600_123 == found.int >> 80


def test_ids_of_following_microseconds_rise_whatever_the_random_bytes() -> None:
    """A log's order can be told from the IDs alone: all 2,000 microseconds of two milliseconds."""
    ids = [
        uuid7(1_795_341_600_000_000 + n, b"\xff\x00"[n % 2 : n % 2 + 1] * 8) for n in range(2000)
    ]
    assert sorted(ids) == ids
    assert 2000 == len(set(ids))


@given(st.integers(0, _LAST))
def test_the_time_agrees_with_the_standard_library(micros: int) -> None:
    """The same digits as datetime."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    assert moment.isoformat(timespec="microseconds").replace("+00:00", "Z") == rfc3339(micros)


def test_random_bytes_are_asked_for_many_ids_at_once_and_given_to_one_each() -> None:
    """Two IDs with the same bytes could be equal; a system asked for each costs its time."""
    asked: list[int] = []

    def random(size: int) -> bytes:
        start = sum(asked)
        asked.append(size)
        return b"".join(number.to_bytes(8, "big") for number in range(start, start + size, 8))

    take = pooled(random)
    given = [take() for _ in range(100)]
    assert len(given) == len(set(given))
    assert {8} == set(map(len, given))
    assert len(asked) < 10


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
