"""Tests of proxy.tfstate.recorded."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from proxy.tfstate.commitment import commitments, text_commitment
from proxy.tfstate.recorded import in_changes, in_plain
from proxy.tfstate.sightings import HIDDEN, Search, Sighting

KEY = bytes(32)
VALUE = 'p"w<0rd>/+é'


def test_a_commitment_is_found_wherever_it_stands() -> None:
    """As a value, inside a text, a key and an address; on either side."""
    mine, other = text_commitment(KEY, VALUE), text_commitment(KEY, "other")
    address = f'aws_x.main["[redacted {mine}]"]'
    changes = {
        "other": [f"[redacted {mine}]"],
        "items": [
            {
                "address": address,
                "attributes": {
                    "password": {"before": {"redacted": other}, "after": {"redacted": mine}},
                    "url": {"before": f"https://a:[redacted {mine}]@b", "after": "x"},
                    "tags": {"after": {f"[redacted {mine}]": [{"redacted": mine}]}},
                    "long": {"after": {"text": "x", "bytes": 9, "digest": mine}},
                },
                "settings": {"each": {"after": f"[redacted {mine}]"}, "private": {"changed": True}},
            },
            {"address": "aws_x.other", "attributes": {"a": {"after": {"redacted": other}}}},
        ],
    }
    key = json.dumps(f"[redacted {mine}]")
    assert [
        (address, "", "key", ""),
        (address, "password", "value", "after"),
        (address, "url", "text", "before"),
        (address, f"tags[{key}]", "key", "after"),
        (address, f"tags[{key}][0]", "value", "after"),
        (address, "long", "value", "after"),
        (address, "each", "text", "after"),
        ("", "other[0]", "text", ""),
    ] == in_changes(changes, commitments(KEY, VALUE))


@pytest.mark.parametrize("changes", [{}, {"items": None}, {"items": [1, {"attributes": [1]}]}])
def test_changes_of_another_shape_hold_nothing(changes: dict[str, Any]) -> None:
    """Settings have changes, too."""
    assert [] == in_changes(changes, commitments(KEY, VALUE))


# ---------------------------------------------------------------- in plain


def an_entry(**attributes: Any) -> dict[str, Any]:
    """Return an entry of a change that shows these values."""
    shown = {name: {"after": value} for name, value in attributes.items()}
    item = {"address": "aws_x.main", "action": "create", "attributes": shown}
    return {"event": "state.written", "v": 1, "changes": {"items": [item], "omitted": 0}}


@pytest.mark.parametrize(
    "text",
    [
        VALUE,
        f"before {VALUE} behind",
        json.dumps({"a": VALUE}),
        base64.b64encode(b"x" + VALUE.encode()).decode(),
        quote(VALUE, safe=""),
        VALUE.encode().hex(),
        [{"b": VALUE}],
    ],
)
def test_an_entry_that_shows_the_value_is_told(text: Any) -> None:
    """However it is written there."""
    search = Search(VALUE)
    (first, *_) = in_plain(search, an_entry(a=text), None)
    assert ("aws_x.main", "a", "plain", "after") == (
        first.address,
        first.path[:1],
        first.how,
        first.side,
    )
    assert VALUE not in str(first)


def test_keys_addresses_messages_and_the_document_beside_are_looked_at() -> None:
    """What is told never holds the value."""
    entry = an_entry(**{f"tags.{VALUE}": "x"}) | {"message": f"m {VALUE}", "run": {"who": VALUE}}
    entry["changes"]["items"][0]["address"] = f'aws_x.main["{VALUE}"]'
    address = f'aws_x.main["{HIDDEN}"]'
    assert [
        Sighting(address, "", "plain"),
        Sighting(address, f"tags.{HIDDEN}", "plain"),
        Sighting("aws_x.main", "whole", "plain", "after"),
        Sighting("", "message", "plain"),
        Sighting("", "run.who", "plain"),
    ] == in_plain(Search(VALUE), entry, an_entry(whole=VALUE)["changes"])


@pytest.mark.parametrize("value", ["redacted", "hmac-sha256", "AAAAAAAAAAA=", "beef", "1", "12"])
def test_what_tfaudit_writes_itself_shows_no_value(value: str) -> None:
    """Marks, digests, IDs, counts and sizes."""
    mark = "hmac-sha256:AAAAAAAAAAA="
    entry = an_entry(
        a={"redacted": mark}, b=f"x [redacted {mark}] y {quote(f'[redacted {mark}]')}", c="z"
    )
    entry |= {
        "id": "01a202b2-beef-7000-a349-ac08df10d3ff",
        "request": {"id": "01a202b2-beef-7000-a349-ac08df10d3ff", "status": 12},
        "state": {"sha256": "beef" * 16, "size": 12},
    }
    entry["changes"]["items"][0]["attributes"]["d"] = {
        "after": {"text": "x", "bytes": 12, "digest": mark}
    }
    assert [] == in_plain(Search(value), entry, None)


def test_a_number_that_an_attribute_has_is_told() -> None:
    """Also a short one: it is the whole value."""
    assert [Sighting("aws_x.main", "pin", "plain", "after")] == (
        in_plain(Search("12"), an_entry(pin=12), None)
    )


def test_an_id_itself_is_told_when_it_is_asked_for() -> None:
    """Only chance is left out."""
    drawn = "beef" * 16
    assert [Sighting("", "state.sha256", "plain")] == (
        in_plain(Search(drawn), {"state": {"sha256": drawn}}, None)
    )
