"""Our own shape: the entry as it was signed, and its evidence around it."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from proxy.tlog.entry import Record


def native(entry: Mapping[str, Any], record: Record, origin: str) -> dict[str, Any]:  # noqa: ARG001
    """Return the object that ``tfaudit log --json`` and exports have in a line.

    The canonical form (RFC 8785) of ``entry`` gives the signed bytes back.

    Args:
        entry: the committed entry, as decoded JSON; it is not changed.
        record: the signed bytes and what stands around them.
        origin: the log's name; it stands in each checkpoint, and not here.
    """
    return {"index": record.index, "entry": entry, **evidence(record)}


def evidence(record: Record) -> dict[str, Any]:
    """Return the ``leaf_hash`` (hex) and the ``signature`` (key ID in hex, value in base64)."""
    return {
        "leaf_hash": record.leaf_hash.hex(),
        "signature": {
            "key_id": record.key_id,
            "value": b64encode(record.signature).decode("ascii"),
        },
    }
