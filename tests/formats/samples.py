"""What every format is tried with: each event with each outcome, and entries with odd members."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from proxy.access import Caller
from proxy.audit_log import draft
from proxy.contracts import Draft, StoredRecord
from proxy.events import EVENTS, OUTCOMES
from proxy.formats import FORMATS
from tests.examples import NOBODY, ORIGIN, ROOT, committed, entry_of, example

EVERY: Final = [(event, outcome) for event in EVENTS for outcome in OUTCOMES]
"""Each event of the catalogue with each outcome, whether it can have it today or not."""


def formatted(name: str, stored: StoredRecord) -> dict[str, Any]:
    """Return a committed entry in a format."""
    return FORMATS[name](entry_of(stored), stored.record, ORIGIN)


def an_example(name: str, event: str, outcome: str | None = None) -> dict[str, Any]:
    """Return the example of an event in a format."""
    return formatted(name, example(event, outcome))


def bare(event: str, caller: Caller, **parts: Any) -> Draft:
    """Return an entry with nothing but what every entry has, and these parts."""
    return draft(event, "denied", "it was refused", caller, **parts)


@cache
def odd() -> tuple[StoredRecord, ...]:
    """Return entries in which something is empty, missing or of an unusual form."""
    return tuple(_odd())


def _odd() -> Iterator[StoredRecord]:
    counted = Caller(NOBODY, "", "", "api", "", "")
    zone = Caller(NOBODY, "fe80::1%eth0", "r", "terraform", "LOCK", "/state/a", "", ("unknown",))
    named = Caller(ROOT, "localhost", "r", "cli", "state pull", "")
    for event in EVENTS:
        for caller in (counted, zone, named):
            yield committed(bare(event, caller), event)
        yield committed(bare(event, counted, count=3, account="b\u00fcrger"), event)
        yield committed(bare(event, counted, workspace="a/b", state={"serial": 0}), event)


def leaves(value: Any) -> Iterator[str]:
    """Yield every value of some JSON as a text, but for the empty ones."""
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from leaves(each)
    elif value not in {"", None}:
        yield str(value)
