"""Where the newest checkpoint travels in each format."""

from base64 import b64decode

import orjson
import pytest

from proxy.contracts import StoredRecord
from proxy.formats import FORMATS
from proxy.records import json_line as exported
from proxy.sinks._rendering import evidence, json_line, rendered, with_checkpoint
from proxy.sinks.options import Format
from tests.fakes import ORIGIN
from tests.forwarded import CHECKPOINT, an_event


def test_a_native_line_is_what_an_export_has() -> None:
    """Byte for byte, so that the same command proves both."""
    event = an_event(7, message="é")
    assert exported(StoredRecord(event.record, None)) + b"\n" == json_line("native", event, ORIGIN)


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_checkpoint_is_added_and_nothing_else_changes(form: Format) -> None:
    """The event is not changed; each format has its place."""
    event = an_event(7)
    before = rendered(form, event, ORIGIN)
    found = with_checkpoint(form, before, CHECKPOINT)
    assert before == rendered(form, event, ORIGIN)
    match form:
        case "native":
            assert CHECKPOINT == found.pop("checkpoint")
        case "cloudevents":
            assert CHECKPOINT == b64decode(found.pop("checkpoint")).decode()
        case "ocsf":
            assert CHECKPOINT == found["unmapped"].pop("checkpoint")
        case "ecs":
            assert CHECKPOINT == found["tfaudit"].pop("checkpoint")
    assert before == found


def test_evidence_is_all_that_proves_an_entry() -> None:
    """Beside its own bytes."""
    event = an_event(7)
    native = rendered("native", event, ORIGIN)
    del native["entry"]
    assert {**native, "log": ORIGIN, "checkpoint": CHECKPOINT} == evidence(
        event, ORIGIN, CHECKPOINT
    )
    orjson.dumps(native)
