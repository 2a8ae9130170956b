"""Tests of proxy.tfstate.sightings."""

import base64
import gzip
import json
from typing import Any

import pytest

from proxy.tfstate.document import parse
from proxy.tfstate.sightings import HIDDEN, Search, Sighting

VALUE = 'p"w<0rd>/+é'


def state_of(attributes: Any, *, outputs: Any = None, **instance: Any) -> bytes:
    """Return a state of one object."""
    return json.dumps(
        {
            "version": 4,
            "serial": 1,
            "lineage": "l",
            "outputs": outputs or {},
            "resources": [
                {
                    "mode": "managed",
                    "type": "aws_x",
                    "name": "main",
                    "instances": [{"attributes": attributes, **instance}],
                }
            ],
        }
    ).encode()


def seen(value: str, body: bytes) -> list[tuple[str, str, str]]:
    """Return where a value stands in a state."""
    return [
        (place.address, place.path, place.how) for place in Search(value).in_document(parse(body))
    ]


# ---------------------------------------------------------------- in a state


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (VALUE, "value"),
        (f" {VALUE}\n", "value"),
        (f"before{VALUE}behind", "text"),
        (json.dumps({"a": VALUE}, ensure_ascii=False), "escaped"),
        (json.dumps(["b", json.dumps([VALUE], ensure_ascii=False)], ensure_ascii=False), "escaped"),
        (json.dumps({"a": VALUE}), "escaped"),
        ("x p%22w%3C0rd%3E%2F%2B%C3%A9", "percent-encoded"),
        (f"x {VALUE.encode().hex()}", "hex"),
        *(
            (base64.b64encode(b"x" * skipped + VALUE.encode() + b"yz").decode(), "base64")
            for skipped in range(3)
        ),
        (base64.urlsafe_b64encode(VALUE.encode()).decode(), "base64"),
        (base64.b64encode(gzip.compress(VALUE.encode() * 3, mtime=0)).decode(), "inside"),
        (base64.b64encode(base64.b64encode(f"pw: {VALUE}".encode())).decode(), "inside"),
    ],
)
def test_a_value_is_found_in_whatever_a_text_is(text: str, how: str) -> None:
    """As it is, inside, escaped and encoded."""
    assert ("aws_x.main", "a", how) in seen(VALUE, state_of({"a": text}))


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("4711", 4711),
        ("4711", "4711"),
        ("1.50", 1.5),
        ("true", True),
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("12", 12),
    ],
)
def test_a_value_is_found_whatever_its_type(typed: str, value: Any) -> None:
    """Also where it is too short to be looked for inside others."""
    body = state_of({"a": {"b": ["x", value]}}).replace(b"1.5]", b"1.50]")
    assert [("aws_x.main", "a.b[1]", "value")] == seen(typed, body)


def test_a_short_value_is_not_found_inside_others() -> None:
    """It would stand everywhere."""
    assert [] == seen("12", state_of({"a": "a12b", "b": 1234}))


def test_keys_addresses_and_outputs_are_looked_at_and_hide_the_value() -> None:
    """What is told never holds it, nor another key that looks random."""
    random = "kX9vQ2mZ7pL4tR8wB1nC6yD3eF5g"
    body = state_of(
        {"tags": {VALUE: "x", random: {"a b": VALUE}}},
        outputs={"o": {"value": {"inner": VALUE}, "type": "string"}},
        index_key=VALUE,
    )
    address = f'aws_x.main["{HIDDEN}"]'
    assert [
        (address, "", "key"),
        (address, f'tags["{HIDDEN}"]', "key"),
        (address, 'tags["…"]["a b"]', "value"),
        ("output.o", "value.inner", "value"),
    ] == seen(VALUE, body)


def test_what_is_kept_beside_the_attributes_is_looked_at() -> None:
    """A provider's private data is JSON in base64."""
    private = base64.b64encode(json.dumps({"token": VALUE}).encode()).decode()
    assert [("aws_x.main", "private", "inside")] == [
        place for place in seen(VALUE, state_of({}, private=private)) if place[2] == "inside"
    ]


def test_flat_states_are_looked_at() -> None:
    """Up to Terraform 0.11."""
    body = json.dumps(
        {
            "version": 3,
            "serial": 1,
            "lineage": "l",
            "modules": [
                {
                    "path": ["root"],
                    "outputs": {},
                    "resources": {
                        "aws_x.main": {
                            "type": "aws_x",
                            "primary": {"id": "1", "attributes": {"list.0.pw": VALUE}},
                        }
                    },
                }
            ],
        }
    ).encode()
    assert [("aws_x.main", "list.0.pw", "value")] == seen(VALUE, body)


def test_an_object_that_did_not_change_is_told_for_each_version() -> None:
    """Though it is looked through once."""
    search = Search(VALUE)
    first = search.in_document(parse(state_of({"a": VALUE})))
    assert [Sighting("aws_x.main", "a", "value")] == first
    assert first == search.in_document(parse(state_of({"a": VALUE}, outputs={"o": {"value": 1}})))
    assert [] == search.in_document(parse(state_of({"a": "other"})))


@pytest.mark.parametrize("value", ["\ud800", "x" * 100_000, "[" * 10_000, " ", "\0"])
def test_a_search_never_raises(value: str) -> None:
    """Whatever somebody types."""
    nested: Any = "x"
    for _ in range(500):
        nested = [nested]
    assert [] == seen(value, state_of({"a": ["x", 1, None, nested]}))
