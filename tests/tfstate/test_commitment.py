"""Tests of proxy.tfstate.commitment."""

import base64
import hmac

import pytest

from proxy.tfstate.commitment import (
    SALT_BYTES,
    commitment,
    commitments,
    text_commitment,
    workspace_key,
)
from proxy.tfstate.diff import Number, Value

KEY = bytes(range(32))
SALT = b"s" * SALT_BYTES


def test_a_commitment_is_eight_bytes_of_a_keyed_hash() -> None:
    """RFC 2104 over the type's name, a line break and the text."""
    digest = hmac.digest(KEY, b"string\nhunter2", "sha256")[:8]
    assert f"hmac-sha256:{base64.b64encode(digest).decode()}" == text_commitment(KEY, "hunter2")
    assert text_commitment(KEY, "hunter2") == commitment(KEY, "hunter2")


def test_equal_values_of_different_types_differ() -> None:
    """So that a guess must know the type, too."""
    values: list[Value] = ["1", 1, Number("1.0"), True, "true", [1], {"a": 1}, "", None]
    assert len(values) == len({commitment(KEY, value) for value in values})


def test_neither_type_nor_length_shows() -> None:
    """Every commitment has the same form."""
    values: list[Value] = ["", "x" * 1000, 12, [1] * 100, {"a": "b"}]
    assert {24} == {len(commitment(KEY, value)) for value in values}


def test_the_order_of_keys_does_not_matter() -> None:
    """Two objects that are equal are the same secret."""
    assert commitment(KEY, {"a": 1, "b": 2}) == commitment(KEY, {"b": 2, "a": 1})


def test_what_is_nested_too_deep_still_has_one() -> None:
    """A state may hold anything."""
    value: Value = 1
    for _ in range(100_000):
        value = [value]
    assert commitment(KEY, value).startswith("hmac-sha256:")


def test_a_key_is_of_one_workspace_and_one_salt() -> None:
    """And of the redaction key."""
    keys = {
        workspace_key(KEY, "prod", SALT),
        workspace_key(KEY, "dev", SALT),
        workspace_key(KEY, "prod", b"t" * SALT_BYTES),
        workspace_key(SALT, "prod", SALT),
    }
    assert 4 == len(keys)
    assert {32} == {len(key) for key in keys}


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("hunter2", "hunter2"),
        (" hunter2 ", "hunter2"),
        ("4711", 4711),
        ("4711", "4711"),
        ("1.50", Number("1.50")),
        ("1e400", Number("1e400")),
        ("true", True),
        ('{"b": 1.5, "a": [null]}', {"a": [None], "b": Number("1.5")}),
        ('p"w', 'p\\"w'),
        ("a<b", "a\\u003cb"),
        ("a b", "a%20b"),
        ("hunter2", base64.b64encode(b"hunter2").decode()),
        ("hunter2", base64.b64encode(b"hunter2").decode().rstrip("=")),
    ],
)
def test_a_typed_value_is_found_however_it_was_recorded(typed: str, recorded: Value) -> None:
    """As a text, as the JSON that it reads as, and as it stands in other texts."""
    assert commitment(KEY, recorded) in commitments(KEY, typed)


@pytest.mark.parametrize("typed", ["", "\ud800", "[" * 100_000, "9" * 10_000, "{", "NaN"])
def test_any_text_has_commitments(typed: str) -> None:
    """Whatever somebody types."""
    assert commitment(KEY, typed) in commitments(KEY, typed)
