"""Tests that a bundle is written and checked in memory that does not grow with the log."""

import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from proxy.cli._bundle.checking import check_bundle
from proxy.cli._bundle.writing import Wanted, write_bundle
from proxy.cli._common import run, settings
from proxy.contracts import LogQuery, StoredRecord
from proxy.program import open_program
from proxy.tlog.checkpoint import Checkpoint
from proxy.tlog.entry import Record, canonical
from proxy.tlog.merkle import HASH_SIZE, leaf_hash
from proxy.tlog.note import NoteVerifier
from proxy.tlog.tiles import Tile
from tests.cli._bundle.bundles import appends, commit, content, export
from tests.samples import a_draft

FEW, MANY = 1_500, 9_000
SLACK = 700_000
"""Bytes that the larger may take more; its entries alone are six times as many."""


class LongLog:
    """A store of so many entries, each made when it is asked for, under hashes of nothing."""

    def __init__(self, entries: int) -> None:
        self._entries = entries

    async def entries(self, query: LogQuery) -> AsyncIterator[StoredRecord]:
        """Yield all; the query is that of a whole range."""
        assert query.after is None
        for index in range(self._entries):
            said = dict(a_draft(f"number {index}").entry)
            said["actor"] = {
                "type": "user",
                "id": f"{index % 1000}",
                "name": f"user {index % 1000}",
            }
            said["workspace"] = f"team-{index % 5000}/network"
            entry = canonical({**said, "time": "2026-11-22T10:00:00.000000Z", "id": f"{index}"})
            record = Record(index, entry, leaf_hash(entry), bytes(64), "0" * 16)
            yield StoredRecord(record, None)

    async def tiles(self, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
        """Return hashes of nothing."""
        return {tile: bytes(tile.width * HASH_SIZE) for tile in wanted}


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that Python held at a time while it worked, beyond those before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bundle_of_many_entries_is_written_in_the_memory_of_one_of_few(tmp_path: Path) -> None:
    """Entries go through, into files; only counts of them stay."""

    def write(entries: int) -> None:
        store: Any = LongLog(entries)
        checkpoint = Checkpoint("log.example", entries, bytes(HASH_SIZE))
        wanted = Wanted(0, entries - 1, LogQuery(), {}, "note\n", checkpoint, {}, {})
        with (tmp_path / "b.zip").open("w+b") as file:
            assert entries == run(write_bundle(store, file, wanted, tmp_path))

    write(10)  # what is made once
    few = peak(lambda: write(FEW))
    assert peak(lambda: write(MANY)) < few + SLACK


def test_a_bundle_of_many_entries_is_checked_in_the_memory_of_one_of_few(tmp_path: Path) -> None:
    """Each entry is let go of when its run is proved."""
    size, data = 4_000, tmp_path / "data"
    commit(data, appends(range(1000, 1000 + size)))
    verifiers: list[NoteVerifier] = []

    async def keys() -> None:
        async with open_program(settings(data, None), create=False) as program:
            verifiers.append(NoteVerifier.parse(program.keys.vkey))

    run(keys())
    peaks = []
    for last in (300, size - 1):
        path = tmp_path / f"{last}.zip"
        export(data, path, "--from", 0, "--to", last)
        peaks.append(peak(lambda path=path: check_bundle(path, {}, verifiers, [], lambda: None)))  # type: ignore[misc]
    few, many = peaks
    entries = content(path)["entries.jsonl"]
    assert many < few + len(entries) // 5
