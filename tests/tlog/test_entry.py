"""Tests of the canonical form of an entry and of what is signed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError
from proxy.tlog import entry
from tests.strategies import Json, json_values, texts

MAX_INTEGER = 2**53 - 1

ascii_keys = st.text(st.characters(max_codepoint=127), max_size=12)
allowed_values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(max_size=40),
    lambda values: st.lists(values, max_size=5) | st.dictionaries(ascii_keys, values, max_size=5),
    max_leaves=25,
)
allowed_entries = st.dictionaries(ascii_keys, allowed_values, max_size=8)


@dataclass
class AnyDataclass:
    """A value that orjson would write without being asked."""

    member: int


@given(allowed_entries)
def test_canonical_is_rfc_8785(members: dict[str, Any]) -> None:
    """For every entry in the allowed subset our bytes are those of another JCS library."""
    assert rfc8785.dumps(members) == entry.canonical(members)


@given(allowed_entries)
def test_parse_reads_what_canonical_wrote(members: dict[str, Any]) -> None:
    """Nothing is lost between the two."""
    assert members == entry.parse(entry.canonical(members))


@given(allowed_entries)
def test_check_passes_the_allowed_subset(members: dict[str, Any]) -> None:
    """The walk refuses nothing that the canonical form can hold."""
    entry.check(members)


def test_canonical_sorts_keys_and_drops_whitespace() -> None:
    """Keys come in the order of their characters, at every depth; text stays UTF-8."""
    expected = '{"A":[1,{"a":true,"b":null}],"a":"…\\n\\u0000\x7f"}'.encode()

    assert expected == entry.canonical({"a": "…\n\0\x7f", "A": [1, {"b": None, "a": True}]})


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        -(2**53),
        2**64,
        {1, 2},
        datetime(2026, 11, 22, tzinfo=UTC),
        AnyDataclass(1),
        b"bytes",
        "\ud800",
    ],
)
def test_canonical_refuses_what_json_would_bend(value: object) -> None:
    """An integer beyond 53 bits, a type without a JSON form and half a character raise."""
    with pytest.raises(InvalidInputError, match="no canonical form"):
        entry.canonical({"a": value})


def test_canonical_refuses_keys_that_are_no_text() -> None:
    """An integer as a key raises rather than turn into text."""
    members: dict[Any, object] = {1: "a"}

    with pytest.raises(InvalidInputError, match="no canonical form"):
        entry.canonical(members)


def test_canonical_takes_the_longest_entry() -> None:
    """65,535 bytes pass."""
    frame = len(entry.canonical({"a": ""}))

    assert 65_535 == len(entry.canonical({"a": "x" * (65_535 - frame)}))


def test_canonical_refuses_one_byte_more() -> None:
    """65,536 bytes raise, and the message says how many there were."""
    frame = len(entry.canonical({"a": ""}))

    with pytest.raises(InvalidInputError, match="65,536 bytes"):
        entry.canonical({"a": "x" * (65_536 - frame)})


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"a": 1.5}, "a float under 'a'"),
        ({"a": [{"b": [float("nan")]}]}, "a float under 'b'"),
        ({"a": {"é": 1}}, "not ASCII text under 'a'"),
        ({"a": {1: 1}}, "not ASCII text under 'a'"),
        ({"a": 2**53}, "beyond 53 bits under 'a'"),
        ({"a": (1, -(2**53))}, "beyond 53 bits under 'a'"),
        ({"a": b"raw"}, "a bytes under 'a'"),
        (["a"], "not a list"),
    ],
)
def test_check_names_what_is_not_allowed(members: object, words: str) -> None:
    """The key and the type are named."""
    with pytest.raises(InvalidInputError, match=words):
        entry.check(members)


@given(st.dictionaries(texts, json_values, max_size=3))
def test_parse_refuses_what_the_walk_refuses(members: dict[str, Json]) -> None:
    """Whatever else may stand in canonical bytes: it looks at most of them without walking."""
    try:
        encoded = orjson.dumps(members, option=entry._CANONICAL)
    except orjson.JSONEncodeError:
        return
    try:
        entry.check(orjson.loads(encoded))
    except InvalidInputError:
        with pytest.raises(InvalidInputError):
            entry.parse(encoded)
    else:
        assert orjson.loads(encoded) == entry.parse(encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        b'{"a":1.5}',
        b'{"a":[-0.0]}',
        b'{"a":[1,2.5]}',
        b'{"a":1e16}',
        b'{"a":9007199254740992}',
        b'{"a":[1,-9007199254740992]}',
        b'{"\xc3\xa9":1}',
        b"[1]",
        b"1.5",
    ],
)
def test_parse_walks_what_looks_strange(encoded: bytes) -> None:
    """A float, a long integer and a key beyond ASCII are found wherever they stand."""
    with pytest.raises(InvalidInputError):
        entry.parse(encoded)


def test_check_never_tells_the_value() -> None:
    """An entry might hold what must not be repeated."""
    with pytest.raises(InvalidInputError) as refusal:
        entry.check({"a": b"hunter2"})

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut"),
        pytest.param(b'{"a":1}\n', id="final newline"),
        pytest.param(b'{"a": 1}', id="space"),
        pytest.param(b'{"b":1,"a":1}', id="order"),
        pytest.param(b'{"a":1,"a":1}', id="repeated key"),
        pytest.param(b'{"a":"\\u0041"}', id="needless escape"),
        pytest.param(b'{"a":"\\/"}', id="escaped slash"),
        pytest.param(b'{"a":-0}', id="minus nought"),
        pytest.param(b'{"a":1.5}', id="float"),
        pytest.param(b'{"a":1e3}', id="exponent"),
        pytest.param(b'{"a":NaN}', id="not a number"),
        pytest.param(b'{"a":9007199254740992}', id="54 bits"),
        pytest.param(b'{"a":100000000000000000000000}', id="beyond 64 bits"),
        pytest.param(b'{"\xc3\xa9":1}', id="key beyond ASCII"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param(b"[1]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", id="deeper than is written"),
        pytest.param(b"[" * 60_000, id="deeper than is read"),
        pytest.param(b'{"a":"' + b"x" * 65_535 + b'"}', id="too long"),
    ],
)
def test_parse_refuses_other_spellings(encoded: bytes) -> None:
    """Bytes that `canonical` would not have written are no entry."""
    with pytest.raises(InvalidInputError):
        entry.parse(encoded)


@given(st.binary(max_size=60))
def test_parse_refuses_or_reads_any_bytes(encoded: bytes) -> None:
    """Whatever comes, the answer is an entry that writes back to the same bytes, or ours."""
    try:
        members = entry.parse(encoded)
    except InvalidInputError:
        return
    assert encoded == orjson.dumps(members)


def test_signing_input_is_told_apart_by_its_prefix() -> None:
    """The signature covers the prefix of AUDIT section 3, then the entry."""
    assert b'tfaudit-entry-v1\n{"a":1}' == entry.signing_input(b'{"a":1}')


def test_key_id_is_the_start_of_the_keys_digest() -> None:
    """16 hex digits of SHA-256, here over 32 zero bytes."""
    assert "66687aadf862bd77" == entry.key_id(bytes(32))
