"""Tests of proxy.formats.cloudevents."""

import re
from typing import Any, Final

import jsonschema
import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from proxy.events import EVENTS
from proxy.formats import FORMATS
from tests.examples import entry_of, example
from tests.formats.samples import an_example, formatted, odd

_TEXT: Final = {"type": "string", "minLength": 1}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _TEXT,
        "source": _TEXT,
        "type": _TEXT,
        "subject": _TEXT,
        "time": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        },
        "datacontenttype": _TEXT,
        "data": {"type": "object"},
    },
    "patternProperties": {
        # extension attributes: small letters and digits; a value of a simple type
        "^[a-z0-9]{1,20}$": {
            "type": ["string", "boolean", "integer", "object"],
            "minimum": -(2**31),
            "maximum": 2**31 - 1,
        }
    },
    "additionalProperties": False,
}
"""CloudEvents 1.0.2: context attributes (section 3), JSON format (section 2.2)."""


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_read_by_the_specifications_own_sdk(event: str) -> None:
    """Which refuses wrong types, missing attributes and extensions with a wrong name."""
    made = an_example("cloudevents", event)
    read = JSONFormat().read(CloudEvent, orjson.dumps(made))
    entry = entry_of(example(event))
    assert (entry["id"], f"tfaudit.{event}", entry) == (
        read.get_id(),
        read.get_type(),
        read.get_data(),
    )
    assert entry.get("workspace") == read.get_subject()
    assert made["index"] == read.get_extension("index")


def test_every_event_fits_the_schema() -> None:
    """The rules of the specification, as far as JSON Schema can say them."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for stored in [*map(example, EVENTS), *odd()]:
        made = formatted("cloudevents", stored)
        validator.validate(made)
        assert all(not isinstance(value, dict) for name, value in made.items() if name != "data")


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("tfaudit.example.com/log", "/tfaudit/tfaudit.example.com/log"),
        ("b\u00fcro log?#%", "/tfaudit/b%C3%BCro%20log%3F%23%25"),
    ],
)
def test_the_source_is_a_reference_whatever_the_log_is_called(origin: str, source: str) -> None:
    """RFC 3986 section 4.1: no spaces, and nothing that would begin a query or a fragment."""
    stored = example("state.read")
    made = FORMATS["cloudevents"](entry_of(stored), stored.record, origin)
    assert source == made["source"]
    assert re.fullmatch(r"[A-Za-z0-9._~:/@!$&'()*+,;=%-]+", made["source"])


def test_the_sequence_sorts_as_text() -> None:
    """As the extension of that name asks; the index is the same number for people."""
    stored = example("state.read")
    made = formatted("cloudevents", stored)
    assert (16, stored.record.index) == (len(made["sequence"]), int(made["sequence"]))
    assert str(stored.record.index) == made["index"]
