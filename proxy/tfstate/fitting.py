"""Cuts a redacted change so that it fits into an entry, and keeps the whole beside it.

The shape is the `changes` object of an audit entry, which holds no floats, ASCII keys only, and
integers below 2^53, so that sorted keys without spaces are its canonical form (RFC 8785).
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import orjson

DEFAULT_LIMIT_BYTES: Final = 48_000
"""Of a `changes` object, so that an entry stays below its 65,535 bytes with all the rest."""

_CUT_ITEM_BYTES: Final = 4_096
_SMALLEST_ITEM_BYTES: Final = len('{"action":"check","address":"","attributes":{}}')
_FEW_ITEMS: Final = 16
_CANONICAL: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


class RedactedChanges(msgspec.Struct, frozen=True):
    """What may be recorded of a change.

    Attributes:
        entry: the `changes` object of an entry, cut to the limit.
        canonical: the same as canonical JSON.
        document: the whole object in canonical JSON, when `entry` had to be cut; its SHA-256
            stands in `entry["sha256"]`. Of a change of more than 32 MiB of attributes, it names
            every object, but tells only the number (`omitted`) of the attributes of the last.
    """

    entry: dict[str, Any]
    canonical: bytes
    document: bytes | None = None


def fit(
    head: dict[str, Any], items: Iterable[dict[str, Any]], number: int, limit_bytes: int
) -> RedactedChanges:
    """Put a change together.

    Args:
        head: everything but the items, which are empty in it.
        items: one for each object, output and check that changed, redacted.
        number: how many items there are.
        limit_bytes: the most that `entry` may have as canonical JSON; at least 8,192.
    """
    if number <= _FEW_ITEMS:
        items = list(items)
        entry = head | {"items": items}
        canonical = _canonical(entry)
        if len(canonical) < limit_bytes:
            return RedactedChanges(entry, canonical)
    shown: list[dict[str, Any]] = []
    rendered: list[bytes] = []
    size = len(_canonical(head))
    for item in items:
        rendered.append(_canonical(item))
        size += len(rendered[-1]) + 1
        if size <= limit_bytes:
            shown.append(item)
    if size <= limit_bytes:
        entry = head | {"items": shown}
        return RedactedChanges(entry, _canonical(entry))
    document = _with_items(head, rendered)
    cut = head | {"sha256": hashlib.sha256(document).hexdigest(), "omitted": len(rendered)}
    left = limit_bytes - len(_canonical(cut))
    kept: list[dict[str, Any]] = []
    for item_bytes in rendered:
        if left < _SMALLEST_ITEM_BYTES:
            break
        kept_item = _cut_item(item_bytes, min(left, _CUT_ITEM_BYTES))
        if kept_item is None:
            continue
        kept.append(kept_item)
        left -= len(_canonical(kept_item)) + 1
    entry = cut | {"items": kept, "omitted": len(rendered) - len(kept)}
    return RedactedChanges(entry, _canonical(entry), document)


def _canonical(value: object) -> bytes:
    """The bytes of a value whose keys are ASCII: sorted keys, no space (RFC 8785)."""
    return orjson.dumps(value, option=_CANONICAL)


def _with_items(head: Mapping[str, Any], items: list[bytes]) -> bytes:
    """The canonical bytes of a change object, from its items' bytes."""
    before, _, after = _canonical(head).partition(b'"items":[]')
    return b"".join((before, b'"items":[', b",".join(items), b"]", after))


def _cut_item(item_bytes: bytes, limit_bytes: int) -> dict[str, Any] | None:
    """An item that fits, with fewer attributes if need be; None if not even its address does."""
    item: dict[str, Any] = orjson.loads(item_bytes)
    if len(item_bytes) <= limit_bytes:
        return item
    whole = item["attributes"]
    beyond = item.get("omitted", 0)
    item |= {"attributes": {}, "omitted": beyond + len(whole)}
    item.pop("settings", None)
    size = len(_canonical(item))
    if size > limit_bytes:
        return None
    for path, sides in whole.items():
        size += len(_canonical({path: sides}))
        if size > limit_bytes:
            break
        item["attributes"][path] = sides
    item["omitted"] = beyond + len(whole) - len(item["attributes"])
    return item
