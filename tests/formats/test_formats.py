"""Tests of proxy.formats as a whole: what holds in every format."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args

import orjson
import pytest

from proxy.contracts import StoredRecord
from proxy.formats import FORMATS
from proxy.sinks.options import Format
from tests.examples import entry_of, example
from tests.formats.samples import EVERY, formatted, leaves, odd


def all_of_them() -> Iterator[StoredRecord]:
    """Yield every example with every outcome, and the odd entries."""
    for event, outcome in EVERY:
        yield example(event, outcome)
    yield from odd()


def test_the_options_of_sinks_name_all_formats() -> None:
    """What an administrator can choose is what there is."""
    assert set(FORMATS) == set(get_args(get_args(Format)[0]))


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_of_an_entry_is_lost(name: str) -> None:
    """Each value stands somewhere in the event, as often as in the entry or more."""
    for stored in all_of_them():
        entry = entry_of(stored)
        lost = Counter(leaves(entry)) - Counter(leaves(formatted(name, stored)))
        assert {} == {value: count for value, count in lost.items() if count}, entry["event"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_evidence_travels_along(name: str) -> None:
    """Index, leaf hash, signature and key ID, in the spelling of ``tfaudit log --json``."""
    for stored in all_of_them():
        record = stored.record
        wanted = {
            str(record.index),
            record.leaf_hash.hex(),
            record.key_id,
            b64encode(record.signature).decode(),
        }
        assert wanted <= set(leaves(formatted(name, stored)))


@pytest.mark.parametrize("name", FORMATS)
def test_an_event_is_json_and_the_entry_is_left_as_it_was(name: str) -> None:
    """The entry is shared by all sinks; what comes out is written by orjson in one call."""
    for stored in all_of_them():
        entry = entry_of(stored)
        event = FORMATS[name](entry, stored.record, "tfaudit.example.com/log")
        assert event == orjson.loads(orjson.dumps(event))
        assert entry_of(stored) == entry


@pytest.mark.parametrize("name", FORMATS)
def test_two_events_share_nothing_that_a_sink_may_add_to(name: str) -> None:
    """A sink puts its own members beside ours: they don't appear in the next event."""
    stored = example("state.read")
    before = orjson.dumps(formatted(name, stored))
    added: dict[str, Any] = formatted(name, stored)
    added["ddtags"] = "env:prod"
    for value in added.values():
        if isinstance(value, dict) and value != entry_of(stored):
            value["added"] = True
    assert before == orjson.dumps(formatted(name, stored))
