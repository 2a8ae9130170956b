"""Counts entries by what they say: failed logins by address, changes by actor."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from proxy.cli._output import print_json, print_table, time_text
from proxy.contracts import StoredRecord


class CountBy(StrEnum):
    """What entries are counted by."""

    SOURCE_IP = "source_ip"
    ACTOR = "actor"
    EVENT = "event"
    OUTCOME = "outcome"
    WORKSPACE = "workspace"


@dataclass(slots=True)
class Count:
    """How often, and from when to when.

    Attributes:
        count: what was folded into one entry in a flood counts as often as it happened.
        first: RFC 3339 UTC.
        last: RFC 3339 UTC.
    """

    count: int
    first: str
    last: str


async def counted(records: AsyncIterator[StoredRecord], by: CountBy) -> dict[str, Count]:
    """Return the counts by value, the most first; entries that say nothing of it count as ""."""
    counts: dict[str, Count] = {}
    async for stored in records:
        entry = orjson.loads(stored.record.entry)
        number = entry.get("count", 1)
        first, last = entry.get("first_time", entry["time"]), entry.get("last_time", entry["time"])
        found = counts.setdefault(_value(entry, by), Count(0, first, last))
        found.count += number
        found.first = min(found.first, first)
        found.last = max(found.last, last)
    return dict(sorted(counts.items(), key=lambda item: (-item[1].count, item[0])))


def print_counts(counts: dict[str, Count], by: CountBy, *, as_json: bool) -> None:
    """Print the counts as a table, or as a list of objects."""
    if as_json:
        print_json(
            [
                {by.value: value, "count": each.count, "first": each.first, "last": each.last}
                for value, each in counts.items()
            ]
        )
        return
    print_table(
        (">COUNT", by.value.upper().replace("_", " "), "FIRST", "LAST"),
        (
            (str(each.count), value or "-", time_text(each.first), time_text(each.last))
            for value, each in counts.items()
        ),
    )


def _value(entry: dict[str, Any], by: CountBy) -> str:
    match by:
        case CountBy.SOURCE_IP:
            return str(entry["source"]["ip"])
        case CountBy.ACTOR:
            return str(entry["actor"]["name"] or entry["actor"]["type"])
        case _:
            return str(entry.get(by.value, ""))
