"""An event as JSON in the format that a sink's options choose."""

from base64 import b64encode
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


def with_checkpoint(form: Format, document: dict[str, Any], checkpoint: str) -> dict[str, Any]:
    """Return an event that carries the newest checkpoint, where its format has a place for such.

    Args:
        form: the format's name.
        document: the event in that format; it is not changed.
        checkpoint: signed. CloudEvents has no line ends in an attribute: there it is in base64.
    """
    place = {"ocsf": "unmapped", "ecs": "tfaudit"}.get(form)
    if place is not None:
        return {**document, place: {**document.get(place, {}), "checkpoint": checkpoint}}
    if form == "cloudevents":
        checkpoint = b64encode(checkpoint.encode()).decode()
    return {**document, "checkpoint": checkpoint}


def index_of_line(line: bytes) -> int | None:
    """Return the index of the entry that a line of ``json_line`` tells, in whatever format.

    None is a line of something else.
    """
    try:
        document = orjson.loads(line)
        for place in (document, document.get("unmapped", {}), document.get("tfaudit", {})):
            if "index" in place:
                return int(place["index"])
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        pass
    return None


def json_line(form: Format, event: Event, origin: str) -> bytes:
    """Return the event as one line of JSON with its line end, UTF-8."""
    document = rendered(form, event, origin)
    if form == "native":
        # The signed bytes as they are, as an export has them.
        document["entry"] = orjson.Fragment(event.record.entry)
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
