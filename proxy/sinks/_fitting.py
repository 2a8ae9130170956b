"""Makes an event fit where it is too long, and says in it what was left out."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

Document: TypeAlias = dict[str, Any]

TRIMMED: Final = "trimmed"
"""The member that names what was left out: paths with dots, with a comma between two."""

_NEVER: Final = frozenset(
    {
        "action",
        "category",
        "checkpoint",
        "class_uid",
        "data",
        "entry",
        "event",
        "id",
        "index",
        "key_id",
        "keyid",
        "leaf_hash",
        "leafhash",
        "origin",
        "outcome",
        "signature",
        "source",
        "specversion",
        "tfaudit",
        "time",
        "type",
        "type_uid",
        "unmapped",
        "value",
        TRIMMED,
    }
)
_WORTH: Final = 64
"""Bytes: what is shorter is not worth to be left out, while something longer is there."""


def fitted(document: Document, limit: int, encode: Callable[[Any], bytes]) -> Document:
    """Return the document, without its longest parts when it has too many bytes.

    What tells which entry it is, and the evidence, always stays; so does a marker of what went.
    Whoever needs the rest finds the entry by its index in the log.

    Args:
        document: is not changed.
        limit: bytes of its encoded form, at least about 1,000.
        encode: to JSON.
    """
    excess = len(encode(document)) - limit
    if excess <= 0:
        return document
    kept = _copied(document)
    gone: list[str] = []
    while excess > 0:
        parts = list(_parts(kept, encode))
        if not parts:
            break
        enough = [part for part in parts if part[0] >= excess + _WORTH]
        _, path, owner, name = min(enough, key=_size) if enough else max(parts, key=_size)
        del owner[name]
        gone.append(path)
        _mark(kept, gone)
        excess = len(encode(kept)) - limit
    return kept


def _size(part: tuple[int, str, Document, str]) -> int:
    return part[0]


def _mark(document: Document, gone: list[str]) -> None:
    """Say what is gone; OCSF and ECS have a place for what they do not know."""
    place = document.get("unmapped", document.get("tfaudit"))
    (place if isinstance(place, dict) else document)[TRIMMED] = ", ".join(gone)


def _parts(
    document: Document, encode: Callable[[Any], bytes], above: str = ""
) -> Iterator[tuple[int, str, Document, str]]:
    """Find what can be left out: size, path, where it is and its name there."""
    for name, value in document.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            yield from _parts(value, encode, f"{path}.")
        if name not in _NEVER and (size := len(encode(value))) >= _WORTH:
            yield size, path, document, name


def _copied(document: Document) -> Document:
    return {
        name: _copied(value) if isinstance(value, dict) else value
        for name, value in document.items()
    }
