"""Lock infos: as strict as Go on the way in, byte for byte Go's on the way out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError
from proxy.tfstate.lock import (
    EMPTY_MD5,
    FORCE_OPERATIONS,
    MAX_BODY_BYTES,
    RUN_OPERATIONS,
    ZERO_TIME,
    LockInfo,
    content_md5,
    is_empty_md5,
    parse,
)
from tests.strategies import lock_infos

TERRAFORM = (
    b'{"ID":"02a0ac0d-f4b6-2d0e-8ee8-b9ac65c4cd8f","Operation":"OperationTypePlan","Info":"",'
    b'"Who":"root@vm","Version":"1.11.4","Created":"2026-11-22T10:49:32.84296812Z","Path":""}'
)
OPENTOFU_FORCE_UNLOCK = (
    b'{"ID":"abc","Operation":"","Info":"","Who":"","Version":"",'
    b'"Created":"0001-01-01T00:00:00Z","Path":""}'
)


def test_what_terraform_sends_is_read() -> None:
    """Each of the seven members has its place."""
    expected = LockInfo(
        id="02a0ac0d-f4b6-2d0e-8ee8-b9ac65c4cd8f",
        operation="OperationTypePlan",
        who="root@vm",
        version="1.11.4",
        created="2026-11-22T10:49:32.84296812Z",
    )
    assert expected == parse(TERRAFORM)


@pytest.mark.parametrize("body", [TERRAFORM, OPENTOFU_FORCE_UNLOCK])
def test_a_clients_own_bytes_come_back(body: bytes) -> None:
    """So the Content-MD5 of a LOCK can be compared with that of its UNLOCK."""
    assert body == parse(body).to_json()


def test_html_characters_are_escaped_as_go_does() -> None:
    """`json.Marshal` writes them so, for HTML's sake."""
    assert rb'"Who":"\u003ca\u0026b\u003e\u2028"' in LockInfo("x", who="<a&b>\u2028").to_json()


def test_an_id_alone_is_a_lock_info() -> None:
    """OpenTofu's force-unlock knows no more."""
    assert LockInfo(id="x", created=ZERO_TIME) == parse(b'{"ID":"x"}')


def test_unknown_and_null_members_are_ignored() -> None:
    """Go does the same."""
    assert LockInfo(id="x") == parse(b'{"ID":"x","Who":null,"Created":null,"More":[1]}')


@given(lock_infos)
def test_any_lock_info_survives_the_round_trip(info: dict[str, str]) -> None:
    """All seven members are there, with the same values."""
    assert info == json.loads(parse(json.dumps(info).encode()).to_json())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no lock info"),
        (b"[]", "no lock info"),
        (b"null", "no lock info"),
        (b'{"ID":', "no lock info"),
        (b'{"ID":"\xff"}', "ID"),
        (b"{}", "no ID"),
        (b'{"ID":""}', "no ID"),
        (b'{"ID":null}', "no ID"),
        (b'{"id":"x"}', "no ID"),
        (b'{"ID":1}', "ID is not a string"),
        (b'{"ID":"x","Who":{}}', "Who is not a string"),
        (b'{"ID":"x","Info":false}', "Info is not a string"),
        (b'{"ID":"x","Operation":[]}', "Operation is not a string"),
        (b'{"ID":"x","Version":1.11}', "Version is not a string"),
        (b'{"ID":"x","Path":0}', "Path is not a string"),
        (b'{"ID":"x","Created":1}', "Created is not a string"),
        (b'{"ID":"x","Created":""}', "Created is not a time"),
        (b'{"ID":"x","Created":"yesterday"}', "Created is not a time"),
        (b'{"ID":"x","Created":"2026-01-31T10:00:00"}', "Created is not a time"),
        (b'{"ID":"x","Created":"2026-02-30T10:00:00Z"}', "Created is not a time"),
        (b'{"ID":"x","Info":"' + b"x" * MAX_BODY_BYTES + b'"}', "at most"),
    ],
)
def test_what_go_would_not_read_is_refused(body: bytes, words: str) -> None:
    """The message names the member."""
    with pytest.raises(InvalidInputError, match=words):
        parse(body)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but our own error comes out, whatever goes in."""
    with pytest.raises(InvalidInputError):
        parse(body)


def test_the_md5_of_nothing_is_known() -> None:
    """It tells a force-unlock from a body that was lost on the way."""
    assert content_md5(b"") == EMPTY_MD5
    assert is_empty_md5(EMPTY_MD5)
    assert not is_empty_md5(content_md5(TERRAFORM))
    assert not is_empty_md5("")


def test_the_md5_is_what_clients_send() -> None:
    """Taken from a real LOCK of Terraform 0.11."""
    body = (
        b'{"ID":"27929744-c5bc-209f-f169-c3335369e844","Operation":"OperationTypePlan","Info":"",'
        b'"Who":"@vm","Version":"0.11.11","Created":"2026-11-22T10:57:17.389182172Z","Path":""}'
    )
    assert content_md5(body) == "kwX97VxxZx42mTdOGhFfCw=="


def test_no_operation_is_both_kinds() -> None:
    """The two sets lead to opposite rules."""
    assert not RUN_OPERATIONS & FORCE_OPERATIONS
