"""Writes a bundle: one pass over the log, in memory that does not grow with it."""

import csv
import hashlib
import pkgutil
import shutil
import zlib
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import orjson

from proxy.cli._bundle import layout
from proxy.cli._bundle.page import Summary, page
from proxy.cli._records import CSV_COLUMNS, csv_row
from proxy.contracts import LogQuery, Store, StoredRecord
from proxy.errors import UnavailableError
from proxy.events import EVENTS, OUTCOMES
from proxy.records import json_line
from proxy.tlog.checkpoint import Checkpoint
from proxy.tlog.proof import Node
from proxy.tlog.ranges import subtrees
from proxy.tlog.tiles import Tile, hash_of, tile_of

_KEPT_TILES: Final = 64
_PIECE: Final = 1 << 20

_README: Final = """\
This is a part of the audit log {origin}: entries {first} to {last}, as of {size} entries.
{says}

Verify it with the log's public keys, which its owner gives you on another way than this file:

    python3 -I verify.py BUNDLE.zip --key KEYS.json

verify.py is short and needs Python 3.11 and its package "cryptography" (pip install cryptography);
read it first. Whoever doubts the verify.py in here takes the one of another copy of tfaudit, or
uses "tfaudit verify BUNDLE.zip --key KEYS.json". A checkpoint that you kept from an earlier bundle
(checkpoints/newest) shows with --since that the log only grew since then.

  entries.jsonl        the entries, one a line: place, signed bytes, hash, signature
  documents/           change documents that are too long for their entries, by the entry's place
  proofs/              that the entries are in the log, and that it only grew
  checkpoints/         the log's signed promises, with the cosignatures of witnesses
  keys.json            the public keys, and how each handed over to the next
  events.json          what each kind of entry means
  entry.schema.json    what may be in an entry (JSON Schema)
  manifest.json        what was asked for
  index.html           a summary for people            | to read, no evidence: nothing
  entries.csv          the entries for a spreadsheet   | proves these two
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a bundle is to hold.

    Attributes:
        first: index of the first entry of the range.
        last: of the last.
        query: the filters.
        filters: the same as it is told; empty for all entries of the range.
        newest: the signed checkpoint that all is proved by.
        checkpoint: what it says.
        older: signed checkpoints of before, by a name of ``layout.OLDER``, and what they say.
        keys: content of ``keys.json``.
    """

    first: int
    last: int
    query: LogQuery
    filters: Mapping[str, object]
    newest: str
    checkpoint: Checkpoint
    older: Mapping[str, tuple[str, Checkpoint]]
    keys: Mapping[str, object]

    def manifest(self, entries: int) -> dict[str, Any]:
        """Return what the bundle says of itself."""
        says = (
            "It is filtered: each entry in it is proved, but that none is missing which the filter "
            "would have let through can't be proved."
            if self.filters
            else "Nothing is missing between the first and the last of them, which is proved."
        )
        return {
            "format": layout.FORMAT,
            "origin": self.checkpoint.origin,
            "from": self.first,
            "to": self.last,
            "entries": entries,
            "complete": not self.filters,
            "filters": dict(self.filters),
            "size": self.checkpoint.size,
            "says": says,
        }


@dataclass(slots=True)
class _Hashes:
    """Hashes of the tree, out of the tiles that were read last."""

    store: Store
    size: int
    tiles: OrderedDict[Tile, bytes] = field(default_factory=OrderedDict)

    async def of(self, start: int, end: int) -> list[bytes]:
        """Return those of the fewest subtrees of a range."""
        return [await self._of(node) for node in subtrees(start, end)]

    async def _of(self, node: Node) -> bytes:
        tile = tile_of(node, self.size)
        if tile not in self.tiles:
            self.tiles |= await self.store.tiles([tile])
        self.tiles.move_to_end(tile)
        if len(self.tiles) > _KEPT_TILES:
            self.tiles.popitem(last=False)
        return hash_of(node, self.tiles, self.size)


async def write_bundle(store: Store, file: BinaryIO, wanted: Wanted, directory: Path) -> int:
    """Write a bundle.

    Args:
        store: holds the log.
        file: new and empty.
        wanted: what goes into it.
        directory: for what is under way: the entries once more, in files without a name.

    Returns:
        The number of entries in it.

    Raises:
        UnavailableError: the store can't be read, or lacks entries.
    """
    summary = Summary()
    hashes = _Hashes(store, wanted.checkpoint.size)
    with ExitStack() as after:
        archive = after.enter_context(ZipFile(file, "w", ZIP_DEFLATED))
        entries, proofs, table = (
            after.enter_context(TemporaryFile(dir=directory)) for _ in range(3)
        )
        text = TextIOWrapper(table, "utf-8", newline="", write_through=True)
        rows = csv.writer(text)
        rows.writerow(CSV_COLUMNS)
        run: list[int] = []
        async for stored in store.entries(wanted.query):
            index = stored.record.index
            if index > wanted.last:
                break
            if run and (index != run[-1] + 1 or index % layout.RUN == 0):
                proofs.write(await _proof(hashes, run[0], run[-1]))
                run = []
            if not wanted.filters and index != wanted.first + summary.entries:
                raise _lacking(wanted.first + summary.entries)
            run = [run[0], index] if run else [index]
            entries.write(json_line(stored) + b"\n")
            rows.writerow(csv_row(stored))
            summary.add(index, orjson.loads(stored.record.entry))
            _put_document(archive, stored)
        if run:
            proofs.write(await _proof(hashes, run[0], run[-1]))
        if not wanted.filters and summary.entries != wanted.last + 1 - wanted.first:
            raise _lacking(wanted.first + summary.entries)
        about = wanted.manifest(summary.entries)
        for name, content in _small(wanted, about).items():
            archive.writestr(layout.member(name), content)
        archive.writestr(layout.member(layout.PAGE), page(summary, about))
        archive.writestr(layout.member(layout.GROWTH), await _growth(hashes, wanted))
        text.flush()
        for name, spool in (
            (layout.PROOFS, proofs),
            (layout.ENTRIES, entries),
            (layout.TABLE, table),
        ):
            _copy(archive, name, spool)
        text.detach()
    return summary.entries


def _small(wanted: Wanted, about: Mapping[str, Any]) -> dict[str, str | bytes]:
    """Return the files that are as long for any range."""
    readme = _README.format(
        origin=about["origin"],
        first=about["from"],
        last=about["to"],
        size=about["size"],
        says=about["says"],
    )
    events = {name: {"group": each.group, "meaning": each.meaning} for name, each in EVENTS.items()}
    return {
        layout.README: readme,
        layout.MANIFEST: orjson.dumps(about, option=orjson.OPT_SORT_KEYS) + b"\n",
        layout.VERIFIER: _data("verify.py"),
        layout.KEYS: orjson.dumps(wanted.keys) + b"\n",
        layout.EVENTS: orjson.dumps({"events": events, "outcomes": OUTCOMES}) + b"\n",
        layout.SCHEMA: _data("entry.schema.json"),
        layout.NEWEST: wanted.newest,
        **{f"checkpoints/{name}": note for name, (note, _) in sorted(wanted.older.items())},
    }


def _data(name: str) -> bytes:
    content = pkgutil.get_data(__package__ or "", name)
    if content is None:
        raise UnavailableError(f"this installation of tfaudit lacks {name}: install it anew")
    return content


def _put_document(archive: ZipFile, stored: StoredRecord) -> None:
    """Write the change document of an entry, packed unless that would look like a zip bomb."""
    if stored.document is None:
        return
    packed = len(zlib.compress(stored.document, 1))
    is_dense = len(stored.document) < packed * layout.MAX_RATIO // 2
    how = ZIP_DEFLATED if is_dense else ZIP_STORED
    archive.writestr(layout.member(layout.document_of(stored.record.index), how), stored.document)


async def _proof(hashes: _Hashes, first: int, last: int) -> bytes:
    around = await _around(hashes, first, last + 1)
    return orjson.dumps({"from": first, "to": last, **around}) + b"\n"


async def _growth(hashes: _Hashes, wanted: Wanted) -> bytes:
    proofs = {
        name: await _around(hashes, each.size, each.size)
        for name, (_, each) in sorted(wanted.older.items())
    }
    return orjson.dumps(proofs) + b"\n"


async def _around(hashes: _Hashes, start: int, end: int) -> dict[str, list[str]]:
    left, right = await hashes.of(0, start), await hashes.of(end, hashes.size)
    return {"left": _encoded(left), "right": _encoded(right)}


def _encoded(hashes: Iterable[bytes]) -> list[str]:
    return [b64encode(each).decode() for each in hashes]


def _copy(archive: ZipFile, name: str, spool: IO[bytes]) -> None:
    spool.seek(0)
    with archive.open(layout.member(name), "w", force_zip64=True) as to:
        shutil.copyfileobj(spool, to, _PIECE)


def _lacking(index: int) -> UnavailableError:
    return UnavailableError(f"entry {index} can't be read from the log: run `tfaudit verify`")


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
