"""CloudEvents 1.0 in its JSON format (github.com/cloudevents/spec, v1.0.2)."""

from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from proxy.tlog.entry import Record


def cloudevents(entry: Mapping[str, Any], record: Record, origin: str) -> dict[str, Any]:
    """Return the entry as ``data`` of an event; the evidence stands in extension attributes.

    ``source`` and ``id`` together are the same for each try to deliver an entry, and for no other.
    ``index`` is a text because an Integer of CloudEvents has 32 bits; ``sequence`` (an extension
    of the specification's own) is the same number in a form that sorts as text.

    Args:
        entry: the committed entry, as decoded JSON; it is not changed.
        record: the signed bytes and what stands around them.
        origin: the log's name.
    """
    event = {
        "specversion": "1.0",
        "id": entry["id"],
        "source": _source(origin),
        "type": f"tfaudit.{entry['event']}",
        "time": entry["time"],
        "datacontenttype": "application/json",
        "index": str(record.index),
        "sequence": f"{record.index:016d}",
        "leafhash": record.leaf_hash.hex(),
        "keyid": record.key_id,
        "signature": b64encode(record.signature).decode("ascii"),
        "data": entry,
    }
    if workspace := entry.get("workspace"):
        event["subject"] = workspace
    return event


@lru_cache(maxsize=16)
def _source(origin: str) -> str:
    """Return a URI-reference (RFC 3986 section 4.1) that names the log."""
    return "/tfaudit/" + quote(origin, safe="/:@!$&'()*,;=")
