"""What is known of a data directory's log outside its database, without being asked for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from proxy.anchors.keeping import PATIENCE
from proxy.anchors.place import Place
from proxy.anchors.settings import open_places
from proxy.cli._anchors import Anchor
from proxy.cli._losses import EVENT, loss_in
from proxy.config import Config
from proxy.errors import InvalidInputError, TfauditError, VerificationError
from proxy.last_checkpoint import FORK
from proxy.program import now
from proxy.storage.reader import SQLiteReader
from proxy.tlog.checkpoint import verify_checkpoint
from proxy.tlog.note import NoteVerifier


@dataclass(slots=True)
class Known:
    """Checkpoints that the log has to contain.

    Attributes:
        found: those that hold, the smallest first.
        unchecked: of what could not be read or does not hold, a sentence each.
    """

    found: list[Anchor] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def is_any_known(config: Config) -> bool:
    """Tell whether there may be a checkpoint beside the database, or in an anchor."""
    return bool(config.anchors) or any(each.is_file() for each in _beside(config))


async def read_known(
    config: Config, store: SQLiteReader, verifiers: Sequence[NoteVerifier], *, is_backup: bool
) -> Known:
    """Read the checkpoints beside a database, and the newest in each anchor of the configuration.

    What a recovery put on record as lost is passed over: its sizes prove nothing any more.

    Args:
        config: names the data directory and the anchors.
        store: has the log.
        verifiers: the log's checkpoint key, and its former ones.
        is_backup: the log may well be older than what its anchors know.
    """
    known, size = Known(), await store.size()
    lost = await _lost_size(store)
    fork, cosigned = _beside(config)
    if fork.is_file():  # never on record as lost: a recovery takes it away
        _take(known, verifiers, fork.name, _text(fork), 0)
    if cosigned.is_file():
        _take(known, verifiers, cosigned.name, _text(cosigned), lost)
    for name, notes in (await _read_anchors(config, size, known)).items():
        for note in notes:
            _take(known, verifiers, f"the anchor {name}", note, lost)
    if is_backup:
        known.found = [each for each in known.found if each.checkpoint.size <= size]
    known.found.sort(key=lambda each: each.checkpoint.size)
    return known


def _beside(config: Config) -> tuple[Path, Path]:
    return config.data.directory / FORK, config.data.cosigned_checkpoint


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace")


async def _lost_size(store: SQLiteReader) -> int:
    """Return how many entries the log once had by the recoveries on record; 0 without one.

    They are entries that are never pruned, and whether they hold is checked with the log.
    """
    records = store.filed_as(EVENT, await store.size())
    found = [loss_in(record.index, record.entry) async for record in records]
    return max((each.known for each in found if each), default=0)


def _take(
    known: Known, verifiers: Sequence[NoteVerifier], where: str, note: str, lost: int
) -> None:
    """Take a checkpoint up, if it holds and is larger than what was lost."""
    try:
        checkpoint = verify_checkpoint(note, *verifiers)
    except (InvalidInputError, VerificationError) as error:
        known.unchecked.append(f"{where}, which holds no checkpoint of this log: {error}")
        return
    if checkpoint.size > lost:
        known.found.append(Anchor(where, checkpoint, note))


async def _read_anchors(config: Config, size: int, known: Known) -> dict[str, list[str]]:
    """Return the newest checkpoints that each anchor shows; told of those that can't be read."""
    if not config.anchors:
        return {}
    try:
        places = open_places(config, now)
    except TfauditError as error:
        known.unchecked.append(f"whether the log is the one that its anchors know: {error}")
        return {}
    found = {}
    for name, place in places.items():
        try:
            async with asyncio.timeout(PATIENCE):
                found[name] = await _newest(place, size)
        except (TfauditError, OSError, TimeoutError) as error:
            why = str(error) or f"it did not answer within {PATIENCE:g} s"
            known.unchecked.append(
                f"whether the log is the one that the anchor {name} knows, which can't be told: "
                f"{why}"
            )
        finally:
            await place.aclose()
    return found


async def _newest(place: Place, size: int) -> list[str]:
    """Return the largest checkpoint; two, where two histories are of that size."""
    labels = await place.seen(size)
    return [await place.read(each) for each in labels if each.size == labels[0].size]
