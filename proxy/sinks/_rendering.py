"""An event as JSON in the format that a sink's options choose."""

from typing import Any

import orjson

from proxy.formats import FORMATS
from proxy.formats.native import evidence as proof
from proxy.sinks.contract import Event
from proxy.sinks.options import Format


def rendered(form: Format, event: Event, origin: str) -> dict[str, Any]:
    """Return the event as a JSON object with its evidence: index, leaf hash and signature.

    Args:
        form: the format's name.
        event: the committed entry.
        origin: the log's name.
    """
    return FORMATS[form](event.entry, event.record, origin)


def evidence(event: Event, origin: str, checkpoint: str) -> dict[str, Any]:
    """Return what proves an entry, for a far side that gets the entry's fields themselves.

    Args:
        event: the committed entry.
        origin: the log's name.
        checkpoint: the newest, signed; it covers the entry.
    """
    return {
        "log": origin,
        "index": event.record.index,
        **proof(event.record),
        "checkpoint": checkpoint,
    }


def json_line(form: Format, event: Event, origin: str) -> bytes:
    """Return the event as one line of JSON with its line end, UTF-8."""
    return orjson.dumps(rendered(form, event, origin), option=orjson.OPT_APPEND_NEWLINE)
