"""Tests of proxy.records."""

import json
from base64 import b64decode

from proxy.audit_log import draft
from proxy.contracts import LogQuery, StoredRecord
from proxy.records import json_line
from tests.fakes import ENTRY_KEY, FakeStore, a_caller


async def stored_record(document: bytes | None = None) -> StoredRecord:
    """Return a committed entry."""
    store = FakeStore()
    entry = draft("audit.read", "success", "J\u00fcrgen read", a_caller(), document=document)
    await store.write(lambda tx: tx.append(entry))
    return await anext(store.entries(LogQuery()))


async def test_a_line_carries_the_signed_bytes_as_they_are() -> None:
    """Whoever cuts the entry out of the line has what was hashed and signed."""
    stored = await stored_record()
    line = json_line(stored)
    assert stored.record.entry in line
    assert b"\n" not in line
    parsed = json.loads(line)
    assert ["index", "entry", "leaf_hash", "signature"] == list(parsed)
    assert (0, stored.record.leaf_hash.hex()) == (parsed["index"], parsed["leaf_hash"])


async def test_the_signature_can_be_checked_from_the_line() -> None:
    """Key ID in hex, signature in base64: enough to verify with the public key alone."""
    stored = await stored_record()
    signature = json.loads(json_line(stored))["signature"]
    assert stored.record.key_id == signature["key_id"]
    ENTRY_KEY.public_key().verify(
        b64decode(signature["value"]), b"tfaudit-entry-v1\n" + stored.record.entry
    )


async def test_the_document_is_added_when_asked_for() -> None:
    """The redacted change document stands outside the signed entry."""
    stored = await stored_record(b'{"items":[]}')
    assert {"items": []} == json.loads(json_line(stored, with_document=True))["document"]
    assert "document" not in json.loads(json_line(stored))
    bare = await stored_record()
    assert "document" not in json.loads(json_line(bare, with_document=True))
