"""What is left out of an event that is too long, and that the rest says so."""

from base64 import b64encode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.sinks._fitting import fitted
from proxy.sinks._rendering import rendered
from proxy.sinks.options import Format
from tests.fakes import ORIGIN, START
from tests.forwarded import an_entry, an_event_of

TEXT = st.text(max_size=3000)
PARTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**53 - 1) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["a", "b", "value", "data", "c" * 30]), inner, max_size=5)
    ),
    max_leaves=8,
)


def test_what_fits_is_left_as_it_is() -> None:
    """And no marker is added."""
    document = {"index": 1, "entry": {"message": "x" * 100}}
    assert document is fitted(document, 1000, orjson.dumps)


def test_the_smallest_part_that_is_enough_goes() -> None:
    """What is left out is named by its path; what came in is not changed."""
    document = {
        "index": 1,
        "entry": {"id": "1", "message": "m" * 300, "changes": {"items": ["x" * 900], "added": 1}},
    }
    found = fitted(document, 600, orjson.dumps)
    assert {
        "index": 1,
        "entry": {"id": "1", "message": "m" * 300, "changes": {"added": 1}},
        "trimmed": "entry.changes.items",
    } == found
    assert ["x" * 900] == document["entry"]["changes"]["items"]  # type: ignore[index]


def test_an_object_of_ocsf_says_it_where_its_schema_has_a_place() -> None:
    """A member that the schema does not know would make the whole object invalid."""
    found = fitted({"unmapped": {"changes": "x" * 900}, "time": 1}, 300, orjson.dumps)
    assert {"unmapped": {"trimmed": "unmapped.changes"}, "time": 1} == found


@pytest.mark.parametrize("form", ["native", "cloudevents", "ocsf", "ecs"])
@settings(max_examples=20)
@given(parts=st.dictionaries(st.sampled_from(["run", "state", "changes", "extra"]), PARTS))
def test_any_entry_fits_into_the_smallest_message_of_syslog(
    form: Format, parts: dict[str, object]
) -> None:
    """Its identity and its evidence are in it, in every format."""
    event = an_event_of(an_entry(3, extra=parts), 3)
    found = orjson.dumps(fitted(rendered(form, event, ORIGIN), 1700, orjson.dumps)).decode()
    assert len(found) <= 1700
    assert event.entry["id"] in found
    assert event.record.leaf_hash.hex() in found
    assert event.record.key_id in found
    assert b64encode(event.record.signature).decode() in found
    assert event.entry["time"][:19] in found or str(START // 1000 + 3) in found
