"""What a state document is, what it is not, and that its bytes are never changed."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError
from proxy.tfstate.document import (
    MAX_SERIAL,
    Document,
    NotAStateError,
    NotJsonError,
    _read,
    _read_usual,
    _scan,
    parse,
    pieces,
    with_serial,
)
from tests.strategies import json_values, odd_states, states

STATE = b"""{
  "version": 4,
  "terraform_version": "1.11.4",
  "serial": 7,
  "lineage": "5b92b752-0c83-5ce3-b3da-4ef100000000",
  "outputs": {"o": {"value": 1.50, "type": "number"}},
  "resources": [
    {"mode": "managed", "type": "t", "name": "a", "instances": []},
    {"mode": "managed", "type": "t", "name": "b", "instances": []}
  ],
  "check_results": null
}
"""
ENCRYPTED = (
    b'{"serial":3,"lineage":"l","meta":{"key_provider.pbkdf2.x":"e30="},'
    b'"encrypted_data":"c2VjcmV0","encryption_version":"v0"}'
)
V3 = b"""{
    "version": 3, "terraform_version": "0.11.11", "serial": 1, "lineage": "l",
    "backend": {"type": "http"},
    "modules": [{"path": ["root"], "outputs": {}, "resources": {}, "depends_on": []}]
}
"""


def test_the_header_is_read() -> None:
    """Format, serial, lineage and version come from the top level."""
    document = parse(STATE)
    assert document.kind == "v4"
    assert document.serial == 7
    assert document.lineage == "5b92b752-0c83-5ce3-b3da-4ef100000000"
    assert document.terraform_version == "1.11.4"


def test_resources_are_slices_of_the_body() -> None:
    """A slice is the resource's own bytes."""
    first, second = parse(STATE).resources
    assert bytes(first) == b'{"mode": "managed", "type": "t", "name": "a", "instances": []}'
    assert bytes(second) == b'{"mode": "managed", "type": "t", "name": "b", "instances": []}'


def test_outputs_are_a_slice() -> None:
    """Outputs stay as they are written, down to a number's zeros."""
    assert bytes(parse(STATE).outputs) == b'{"o": {"value": 1.50, "type": "number"}}'


def test_version_3_slices_are_its_modules() -> None:
    """Terraform 0.7 to 0.11 keep resources inside modules."""
    document = parse(V3)
    assert document.kind == "v3"
    assert len(document.resources) == 1
    assert bytes(document.other["backend"]) == b'{"type": "http"}'


def test_an_encrypted_state_shows_serial_and_lineage_only() -> None:
    """OpenTofu leaves these two in clear for servers."""
    document = parse(ENCRYPTED)
    assert document.kind == "encrypted"
    assert document.serial == 3
    assert document.lineage == "l"
    assert document.resources == ()


def test_absent_and_null_members_are_empty_as_in_go() -> None:
    """Go leaves a field at its zero value for both."""
    document = parse(b'{"version":4,"serial":null,"outputs":null,"resources":null}')
    assert document.serial == 0
    assert document.lineage == ""
    assert document.resources == ()


@pytest.mark.parametrize("view", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_taken(view: type[bytes | bytearray | memoryview]) -> None:
    """An upload may arrive as any of the three."""
    assert parse(view(STATE)).serial == 7


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<html>", "not JSON"),
        (STATE[:-20], "not JSON"),
        (STATE + STATE, "not JSON"),
        (b"\xef\xbb\xbf" + STATE, "not JSON"),
        (b'{"version":4,"lineage":"\xff"}', "lineage"),
        (b'{"version":4,"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deep"),
    ],
    ids=["empty", "blank", "html", "cut", "twice", "bom", "utf-8", "deep"],
)
def test_what_is_no_json_is_refused(body: bytes, words: str) -> None:
    """The message says what is wrong with it."""
    with pytest.raises(InvalidInputError, match=words):
        parse(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[]", "is an object"),
        (b'"state"', "is an object"),
        (b"null", "is an object"),
        (b"{}", 'no "version"'),
        (b'{"version":5}', "version 5"),
        (b'{"version":0}', "from 1 to 4"),
        (b'{"version":"4"}', "from 1 to 4"),
        (b'{"version":4.0}', "from 1 to 4"),
        (b'{"ID":"x","Operation":"","Who":""}', "lock_address"),
        (b'{"format_version":"1.0","values":{}}', "show -json"),
        (b'{"version":4,"serial":-1}', "serial"),
        (b'{"version":4,"serial":1.5}', "serial"),
        (b'{"version":4,"serial":1e2}', "serial"),
        (b'{"version":4,"serial":"1"}', "serial"),
        (b'{"version":4,"serial":9007199254740992}', "serial"),
        (b'{"version":4,"lineage":1}', "lineage"),
        (b'{"version":4,"terraform_version":[]}', "terraform_version"),
        (b'{"version":4,"resources":{}}', "resources"),
        (b'{"version":4,"resources":[1]}', "resources"),
        (b'{"version":4,"outputs":[]}', "outputs"),
        (b'{"version":3,"modules":{}}', "modules"),
        (b'{"encryption_version":"v0","serial":1}', "nothing encrypted"),
        (b'{"encryption_version":"v0","version":4}', "both"),
    ],
)
def test_what_is_json_but_no_state_is_refused(body: bytes, words: str) -> None:
    """The message says what it looks like, or which member is wrong."""
    with pytest.raises(NotAStateError, match=words):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"version":4,"serial":1,"serial":2}',
        b'{"version":4,"serial":1,"serial":12}',
        b'{"version":4,"serial":12,"serial":1}',
        b'{"version":4,"serial":1,"serial":1}',
        b'{"version":4,"serial":1,"s\\u0065rial":2}',
        b'{"version":4,"x":1,"x":[2]}',
        b'{"version":4,"Serial":1}',
        b'{"version":4,"RESOURCES":[]}',
        '{"version":4,"re\u017fources":[]}'.encode(),
    ],
)
def test_a_member_that_readers_could_take_in_two_ways_is_refused(body: bytes) -> None:
    """Go takes the last of two, and any case; another reader might not."""
    with pytest.raises(NotAStateError, match="disagree"):
        parse(body)


def test_messages_never_quote_the_body() -> None:
    """What is refused may still hold a secret."""
    with pytest.raises(NotAStateError) as refused:
        parse(b'{"version":4,"hunter2":1,"hunter2":2}')
    assert "hunter2" not in str(refused.value)


@given(odd_states())
def test_pieces_join_to_the_same_bytes(body: bytes) -> None:
    """Whatever the JSON looks like, cutting it changes nothing."""
    assert body == b"".join(pieces(body))


@given(odd_states(versions=(2, 3, 4)))
def test_every_second_piece_is_a_slice(body: bytes) -> None:
    """The cuts are exactly at the slices' borders."""
    assert [bytes(slice_) for slice_ in parse(body).resources] == pieces(body)[1::2]


@given(odd_states(versions=(4,)))
def test_slices_are_what_a_full_decoder_sees(body: bytes) -> None:
    """Reading slice by slice gives what reading the whole gives."""
    expected = json.loads(body)
    document = parse(body)
    assert expected["resources"] == [json.loads(bytes(slice_)) for slice_ in document.resources]
    assert expected["serial"] == document.serial
    assert expected.get("lineage", "") == document.lineage
    assert expected.get("outputs") == json.loads(bytes(document.outputs))


@given(odd_states(), st.integers(0, MAX_SERIAL))
def test_with_serial_changes_the_digits_only(body: bytes, serial: int) -> None:
    """The serial is the new one, and taking the old one back gives the same bytes."""
    changed = with_serial(body, serial)
    assert serial == parse(changed).serial
    assert body == with_serial(changed, parse(body).serial)
    assert len(body) - len(str(parse(body).serial)) == len(changed) - len(str(serial))


def test_with_serial_leaves_inner_serials_alone() -> None:
    """A resource may have an attribute of that name."""
    body = b'{"resources":[{"serial": 1}], "version": 4, "serial" : 1 }'
    assert with_serial(body, 2) == b'{"resources":[{"serial": 1}], "version": 4, "serial" : 2 }'


def test_with_serial_refuses_an_encrypted_state() -> None:
    """OpenTofu checks the serial against an encrypted copy; the message says what to run."""
    with pytest.raises(InvalidInputError, match="tofu state push -force"):
        with_serial(ENCRYPTED, 4)


@pytest.mark.parametrize("body", [b'{"version":4}', b'{"version":4,"serial":null}'])
def test_with_serial_needs_a_serial_to_replace(body: bytes) -> None:
    """Adding a member would be more than an edit of digits."""
    with pytest.raises(InvalidInputError, match="no serial"):
        with_serial(body, 4)


@pytest.mark.parametrize("serial", [-1, MAX_SERIAL + 1])
def test_with_serial_refuses_a_serial_out_of_range(serial: int) -> None:
    """No entry could carry it."""
    with pytest.raises(InvalidInputError, match="out of range"):
        with_serial(STATE, serial)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but our own errors comes out, whatever goes in."""
    with pytest.raises(InvalidInputError):
        parse(body)


@given(st.dictionaries(st.sampled_from(["version", "serial", "lineage", "resources"]), json_values))
def test_any_object_is_read_or_refused(value: dict[str, object]) -> None:
    """Wrong types in the header never become another error."""
    try:
        parse(json.dumps(value).encode())
    except (NotJsonError, NotAStateError) as refused:
        assert re.search(r"; ", str(refused))  # noqa: PT017 - both outcomes are right


# ---------------------------------------------------------------- the usual body, in one pass


def general(body: bytes) -> Document | type[InvalidInputError]:
    """What reading member by member gives: a document or a refusal."""
    try:
        return _read(body, _scan(body))
    except InvalidInputError as refused:
        return type(refused)


def assert_read_alike(body: bytes) -> None:
    """The short way gives what the long way gives, or leaves the body to it."""
    usual = _read_usual(body)
    if usual is not None:
        assert general(body) == usual


@given(states(), st.sampled_from([None, 0, 2]), st.integers(0, 1))
def test_what_clients_write_is_read_in_one_pass(
    value: dict[str, object], indent: int | None, checks: int
) -> None:
    """Indented by Terraform or compact by OpenTofu, with check results or without."""
    del value["check_results"]
    value |= {"check_results": None} if checks else {}
    body = json.dumps(value, indent=indent).encode()
    assert _read_usual(body) == general(body)


@given(odd_states(versions=(4,)))
def test_odd_bodies_are_read_alike_both_ways(body: bytes) -> None:
    """However the JSON is written."""
    assert_read_alike(body)


@given(states(), st.data())
def test_edited_bodies_are_read_alike_both_ways(
    value: dict[str, object], data: st.DataObject
) -> None:
    """A part written twice, moved, or left out is never taken in two ways."""
    body = json.dumps(value, indent=data.draw(st.sampled_from([None, 1]))).encode()
    tokens = re.split(rb'([,{}\[\]:]|"(?:[^"\\]|\\.)*")', body)
    places = st.integers(0, len(tokens))
    for _ in range(data.draw(st.integers(1, 2))):
        first, last, to = [*sorted(data.draw(st.tuples(places, places))), data.draw(places)]
        part = tokens[first:last]
        tokens = tokens[:to] + part + tokens[to:]
        if data.draw(st.booleans()):
            tokens = tokens[:first] + tokens[last:]
    assert_read_alike(b"".join(tokens))


_PARTS = (
    b'"outputs":{}',
    b'"outputs":{"o":{"value":1}}',
    b'"resources":[]',
    b'"resources":[{"a":1}]',
    b'"resources":[{"a":1},{"b":"],"}]',
    b'"resources":[{"a":1} , {"b":2}]',
    b'"resources":[{"a":1},2]',
    b'"resources":null',
    b'"check_results":null',
    b'"check_results":1',
    b'"check_results":12',
    b'"serial":1',
    b'"serial":9007199254740992',
    b'"x":1',
)


@given(st.lists(st.sampled_from(_PARTS), max_size=5), st.sampled_from([b"1", b"9007199254740992"]))
def test_members_in_any_order_and_number_are_read_alike_both_ways(
    parts: list[bytes], serial: bytes
) -> None:
    """A second member of one name is found, even when it is the same or begins alike."""
    head = b'"version":4,"terraform_version":"1","serial":%b,"lineage":"l"' % serial
    assert_read_alike(b"{" + b",".join((head, *parts)) + b"}")


@pytest.mark.parametrize(
    "tail",
    [
        b'"resources":[{"a":1}],"resources":[{"a":1}]}',
        b'"resources":[{"a":1}],"resources":[{"b":1}]}',
        b'"resources":[{"a":1},{"b":1}],"resources":[{"a":1}]}',
        b'"resources":[],"check_results":1,"check_results":12}',
        b'"resources":[],"check_results":12,"check_results":1}',
        b'"resources":[],"outputs":{}}',
        b'"resources":[],"lineage":"m"}',
    ],
)
def test_a_second_member_of_one_name_is_never_taken_for_a_usual_body(tail: bytes) -> None:
    """The decoder would take the last one without a word."""
    body = b'{"version":4,"terraform_version":"1","serial":1,"lineage":"l","outputs":{},' + tail
    assert _read_usual(body) is None
    with pytest.raises(NotAStateError, match="disagree"):
        parse(body)


def test_many_resources_are_read_in_one_pass() -> None:
    """Also when they are compared with the body in more than one step."""
    resources = [{"name": f"r{number}"} for number in range(200)]
    value = json.loads(STATE) | {"resources": resources}
    body = json.dumps(value, indent=2).encode()
    usual = _read_usual(body)
    assert usual is not None
    assert general(body) == usual
    assert resources == [json.loads(bytes(slice_)) for slice_ in usual.resources]


def test_a_document_shows_no_content() -> None:
    """Its text ends up in messages and logs; the content may hold secrets."""
    assert "1.50" not in repr(parse(STATE))
