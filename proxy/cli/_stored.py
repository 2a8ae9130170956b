"""What is stored of an entry, beside its hash and signature."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from proxy.contracts import StoredRecord
from proxy.errors import MissingError, VerificationError
from proxy.tlog.entry import Record

_KINDS: Final = [bytes, bytes, bytes, str]
"""Types of a record's parts after its index."""


def check_kinds(record: Record) -> None:
    """Refuse what SQLite was made to hold in place of bytes; whoever edits by SQL leaves text."""
    parts = (record.entry, record.leaf_hash, record.signature, record.key_id)
    if [type(part) for part in parts] != _KINDS:
        raise VerificationError(
            f"Entry {record.index} was changed: it is not stored as it was written.", record.index
        )


def check_document(
    stored: StoredRecord, entry: Mapping[str, Any], *, required: bool = True
) -> None:
    """Compare the change document beside an entry with the digest in it."""
    index = stored.record.index
    changes = entry.get("changes")
    digest = changes.get("sha256") if isinstance(changes, dict) else None
    document: object = stored.document
    if document is None:
        if digest is not None and required:
            raise MissingError(f"The change document of entry {index} is missing.", index)
        return
    if not isinstance(document, bytes) or hashlib.sha256(document).hexdigest() != digest:
        raise VerificationError(f"The change document of entry {index} was changed.", index)
