"""Reads the values of options that are moments."""

import re
from datetime import UTC, datetime
from typing import Final

from proxy.errors import InvalidInputError
from proxy.timestamps import parse_length

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


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
