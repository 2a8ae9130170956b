"""An event as JSON in the format that a sink's options choose."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from proxy.sinks.contract import Event
from proxy.sinks.options import Format
from proxy.tlog.entry import Record


def _native(entry: Mapping[str, Any], record: Record, _: str) -> dict[str, Any]:
    return {
        "index": record.index,
        "entry": entry,
        "leaf_hash": record.leaf_hash.hex(),
        "signature": {"key_id": record.key_id, "value": b64encode(record.signature).decode()},
    }


def _cloudevents(entry: Mapping[str, Any], record: Record, origin: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": entry["id"],
        "source": origin,
        "type": f"tfaudit.{entry['event']}",
        "time": entry["time"],
        "datacontenttype": "application/json",
        "data": _native(entry, record, origin),
    }


_FORMATS: Final[Mapping[str, Callable[[Mapping[str, Any], Record, str], dict[str, Any]]]] = {
    "native": _native,
    "cloudevents": _cloudevents,
}


def rendered(form: Format, event: Event, origin: str) -> dict[str, Any]:
    """Return the event as a JSON object with its evidence: index, leaf hash and signature.

    Args:
        form: the format's name.
        event: the committed entry.
        origin: the log's name.
    """
    return _FORMATS[form](event.entry, event.record, origin)


def json_line(form: Format, event: Event, origin: str) -> bytes:
    """Return the event as one line of JSON with its line end, UTF-8."""
    return orjson.dumps(rendered(form, event, origin), option=orjson.OPT_APPEND_NEWLINE)
