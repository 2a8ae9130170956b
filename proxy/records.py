"""One committed entry as a line of JSON: the shape in which the log leaves this program."""

from base64 import b64encode

from proxy.contracts import StoredRecord


def json_line(stored: StoredRecord, *, with_document: bool = False) -> bytes:
    """Return the record as one line of JSON without its line end; the signed bytes as they are.

    Args:
        stored: the committed entry.
        with_document: add the redacted change document that is kept beside the entry, if any.

    Returns:
        ``index`` (from 0), ``entry``, ``leaf_hash`` (hex) and ``signature`` with ``key_id``
        (hex) and ``value`` (base64).
    """
    record = stored.record
    document = stored.document if with_document else None
    return (
        b'{"index":%d,"entry":%b,"leaf_hash":"%b","signature":{"key_id":"%b","value":"%b"}%b}'
        % (
            record.index,
            record.entry,
            record.leaf_hash.hex().encode(),
            record.key_id.encode(),
            b64encode(record.signature),
            b',"document":' + document if document is not None else b"",
        )
    )
