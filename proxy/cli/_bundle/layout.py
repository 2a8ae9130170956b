"""What is in a bundle: names of files, and how an archive of them is made and read."""

import re
import stat
from typing import Final
from zipfile import ZIP_DEFLATED, ZipInfo

FORMAT: Final = "tfaudit-bundle-v1"

README: Final = "README.txt"
VERIFIER: Final = "verify.py"
MANIFEST: Final = "manifest.json"
KEYS: Final = "keys.json"
EVENTS: Final = "events.json"
SCHEMA: Final = "entry.schema.json"
PAGE: Final = "index.html"
TABLE: Final = "entries.csv"
ENTRIES: Final = "entries.jsonl"
PROOFS: Final = "proofs/entries.jsonl"
GROWTH: Final = "proofs/consistency.json"
NEWEST: Final = "checkpoints/newest"
OLDER: Final = ("before", "since", "cosigned")
"""Names of checkpoints from which the log is proved to have only grown to the newest."""

RUN: Final = 256
"""At most so many neighbouring entries share a proof."""
MAX_FILE: Final = 4_000_000
"""Bytes of the largest file that is read as a whole."""
MAX_RATIO: Final = 300
"""A file that unpacks to more than so many times its size, and a little, is a zip bomb."""
SPARE: Final = 10_000
"""Bytes to which a file may unpack whatever its size."""

_NAMES: Final = frozenset(
    {README, VERIFIER, MANIFEST, KEYS, EVENTS, SCHEMA, PAGE, TABLE, ENTRIES, PROOFS, GROWTH, NEWEST}
    | {f"checkpoints/{name}" for name in OLDER}
)
_DOCUMENT: Final = re.compile(r"documents/(0|[1-9][0-9]{0,15})\.json", re.ASCII)
_BEGINNING: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell: the same entries make the same bundle."""


def document_of(index: int) -> str:
    """Return the name of the change document that stands beside an entry."""
    return f"documents/{index}.json"


def is_document(name: str) -> bool:
    """Tell whether a name is one of a change document."""
    return _DOCUMENT.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """Tell whether a bundle may hold a file of this name."""
    return name in _NAMES or is_document(name)


def member(name: str, compression: int = ZIP_DEFLATED) -> ZipInfo:
    """Return what the archive says of a file: for its owner alone, of no time."""
    info = ZipInfo(name, date_time=_BEGINNING)
    info.compress_type = compression
    info.external_attr = (stat.S_IFREG | 0o600) << 16
    return info


def is_plain(info: ZipInfo) -> bool:
    """Tell whether a member of an archive is a plain file that nobody made to do harm."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    is_bomb = info.file_size > MAX_RATIO * info.compress_size + SPARE
    is_encrypted = bool(info.flag_bits & 1)
    return kind in {0, stat.S_IFREG} and not is_encrypted and not is_bomb
