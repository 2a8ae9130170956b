"""Reads the values of options that are times and lengths of time."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from proxy.errors import InvalidInputError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LENGTH: Final = re.compile(r"(?:[0-9]{1,9}[smhdw])+", re.ASCII)
_PART: Final = re.compile(r"([0-9]+)([smhdw])")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LONGEST: Final = timedelta(days=36_500)


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


def parse_moment(text: str, now: datetime) -> str:
    """Read a moment: RFC 3339, a date (its first moment, UTC), or a length before now.

    Args:
        text: for example ``2026-11-22T10:00:00Z``, ``2026-11-22`` or ``2h``.
        now: with a time zone.

    Returns:
        RFC 3339 UTC with microseconds and ``Z``, as entries write it.

    Raises:
        InvalidInputError: none of the three.
    """
    try:
        moment = now - parse_length(text)
    except InvalidInputError:
        moment = _absolute(text)
    utc = moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _absolute(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None and _DATE.fullmatch(text):
        return moment.replace(tzinfo=UTC)
    if moment is None or moment.tzinfo is None:
        raise InvalidInputError(
            f"{text!r} is not a time: write 2026-11-22T10:00:00Z, 2026-11-22, or 2h for two "
            "hours ago"
        )
    return moment
