"""Times and IDs as an entry writes them: RFC 3339 UTC with microseconds, and UUIDv7.

And lengths of time as people write them.

A time is an integer of microseconds since 1970-01-01T00:00:00Z everywhere inside the program.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from proxy.errors import InvalidInputError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000
_VARIANT: Final = 0b10 << 62
_RANDOM: Final = 8
_TOGETHER: Final = 32

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LENGTH: Final = re.compile(r"(?:[0-9]{1,9}[smhdw])+", re.ASCII)
_PART: Final = re.compile(r"([0-9]+)([smhdw])")
_LONGEST: Final = timedelta(days=36_500)


@lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    # Not strftime: it writes the year 300 with three digits, and the text would no longer sort.
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[: len("2026-11-22T10:00:00")]


def rfc3339(micros: int) -> str:
    """Return the time as ``2026-11-22T10:00:00.123456Z`` (RFC 3339 section 5.6)."""
    seconds, fraction = divmod(micros, _SECOND)
    return f"{_to_the_second(seconds)}.{fraction:06d}Z"


def micros_at(moment: datetime) -> int:
    """Return the microseconds of a moment that has a time zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def micros_of(text: str) -> int:
    """Return the microseconds of an RFC 3339 time with any offset.

    Raises:
        InvalidInputError: not such a time, or one without an offset, or in UTC outside the years
            1 to 9999.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{text!r} is not an RFC 3339 time") from error
    if moment.tzinfo is None:
        raise InvalidInputError(f"{text!r} has no offset: write 2026-11-22T10:00:00Z")
    try:
        return micros_at(moment.astimezone(UTC))
    except OverflowError as error:
        raise InvalidInputError(f"{text!r} is not an RFC 3339 time: its year is too far") from error


def parse_length(text: str) -> timedelta:
    """Read a length of time such as ``90d``, ``2h`` or ``1h30m`` (s, m, h, d, w).

    Raises:
        InvalidInputError: not such a text, nothing at all, or more than 100 years.
    """
    if _LENGTH.fullmatch(text):
        parts = {_UNITS[unit]: 0 for _, unit in _PART.findall(text)}
        for amount, unit in _PART.findall(text):
            parts[_UNITS[unit]] += int(amount)
        try:
            length = timedelta(**parts)
        except OverflowError:
            length = timedelta.max
        if timedelta(0) < length <= _LONGEST:
            return length
    raise InvalidInputError(
        f"{text!r} is not a length of time: write a number and s, m, h, d or w, such as 90d or 12h"
    )


def uuid7(micros: int, random: bytes) -> str:
    """Return a UUIDv7 (RFC 9562 section 5.7) whose text sorts by the microsecond.

    The 12 bits after the milliseconds hold the fraction of the millisecond (RFC 9562 section
    6.2, method 3), so that two different microseconds never give the same order.

    Args:
        micros: microseconds since 1970.
        random: 8 bytes; 62 bits of them are used.
    """
    millis, fraction = divmod(micros, 1000)
    high = f"{millis:012x}"
    low = f"{int.from_bytes(random, 'big') >> 2 | _VARIANT:016x}"
    return f"{high[:8]}-{high[8:]}-7{fraction * 4096 // 1000:03x}-{low[:4]}-{low[4:]}"


def pooled(random: Callable[[int], bytes]) -> Callable[[], bytes]:
    """Return what gives the 8 random bytes of one UUIDv7, and asks for those of many at once.

    Each time the system is asked, the interpreter's lock goes to whichever thread waits for it.

    Args:
        random: gives so many random bytes.
    """
    pool: list[bytes] = []

    def take() -> bytes:
        if not pool:
            many = random(_TOGETHER * _RANDOM)
            pool.extend(many[start : start + _RANDOM] for start in range(0, len(many), _RANDOM))
        return pool.pop()

    return take
