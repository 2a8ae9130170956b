"""What entries say of a log that went on without some that it once had: ``log recover``."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

EVENT: Final = "audit.recovered"
RECOVERED: Final = b'"audit.recovered"'


class Loss(NamedTuple):
    """A loss on record.

    Attributes:
        entry: index of the one that records it.
        size: how many entries were left.
        known: how many there once were.
    """

    entry: int
    size: int
    known: int


def loss_in(index: int, entry: object) -> Loss | None:
    """Return the loss that an entry records; None of one that records none, or is none."""
    try:
        said = orjson.loads(entry)  # type: ignore[arg-type] # from anybody
        if said["event"] != EVENT:
            return None
        return Loss(index, int(said["recovery"]["size"]), int(said["recovery"]["known_size"]))
    except (LookupError, TypeError, ValueError):
        return None


def told(losses: Iterable[Loss]) -> list[str]:
    """Return what can't be told of a log since each loss, each a sentence for people."""
    return [
        (
            f"what the {each.known - each.size} entries said that were lost"
            if each.known > each.size
            else "what the entries said that others stand for"
        )
        + f": entry {each.entry} records that the log went on with {each.size} entries, where it "
        f"once had {each.known}"
        for each in losses
    ]
