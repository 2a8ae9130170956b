"""How what a table holds is compared with what an entry says."""

from typing import Final

from proxy.access import printable
from proxy.client_text import client_text
from proxy.errors import InvalidInputError
from proxy.timestamps import micros_of

BATCH_MICROS: Final = 1_000_000
"""An entry is dated a microsecond after the one before it in its transaction, whose own time the
tables have: a transaction of a million entries there is not."""


def is_moment(column: object, entry_time: str) -> bool:
    """Tell whether a column holds the time of the transaction that appended such an entry."""
    try:
        since = micros_of(entry_time) - micros_of(column)  # type: ignore[arg-type]
    except (InvalidInputError, TypeError):
        return False
    return 0 <= since < BATCH_MICROS


def is_printed(said: object, kept: object, limit: int = 256) -> bool:
    """Tell whether an entry shows a text as it is kept: without its credentials, or with them.

    Entries of older releases have the lineage and the version of a state with what stands in them.
    """
    if not isinstance(kept, str):
        return said == kept
    return said in (client_text(kept, limit), printable(kept, limit))


def printed(value: object, limit: int = 256) -> object:
    """Return a text as an entry shows it, and anything else as it is."""
    return client_text(value, limit) if isinstance(value, str) else value
