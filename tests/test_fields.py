"""Tests of proxy.fields."""

from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from proxy.errors import InvalidInputError
from proxy.fields import FieldError, decode_fields, fields_of, read_fields

PATTERN = "^[a-z]+$"


class Thing(Struct, forbid_unknown_fields=True):
    """What is read here."""

    name: Annotated[str, Meta(pattern=PATTERN)]
    kinds: tuple[Literal["a", "b"], ...] = ()
    size: Annotated[int, Meta(ge=1)] | None = None


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ("{}", "name", "the field name is missing"),
        ('{"name": 1}', "name", 'must be a text, such as "text", and is a whole number'),
        ('{"name": "A"}', "name", "Expected small letters"),
        ('{"name": "x", "nmae": 1}', "nmae", "did you mean name?"),
        ('{"name": "x", "qqq": 1}', "qqq", "there are name, kinds, size"),
        ('{"name": "x", "a`b": 1}', "a`b", "there is no field 'a`b'"),
        ('{"name": "x", "kinds": ["a", "c"]}', "kinds[1]", "choose one of a, b"),
        ('{"name": "x", "size": 0}', "size", "Expected int >= 1"),
        ("[]", "", "must be an object"),
    ],
)
def test_a_mistake_is_told_with_its_field(content: str, field: str, message: str) -> None:
    """In words, and with what would be right."""
    with pytest.raises(FieldError) as caught:
        decode_fields(content.encode(), Thing, "thing", {PATTERN: "small letters"})
    assert field == caught.value.field
    assert message in str(caught.value)
    assert str(caught.value).startswith("thing: ")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"name": "\xff"}', b'{"name": "\\ud83d"}', b"nul"]
)
def test_what_is_no_json_is_told(content: bytes) -> None:
    """It is in no field."""
    with pytest.raises(InvalidInputError, match="is not JSON"):
        decode_fields(content, Thing, "thing")


def test_json_nested_too_deep_is_refused() -> None:
    """Instead of ending the program."""
    with pytest.raises(InvalidInputError):
        decode_fields(b"[" * 50_000, list, "thing")


@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_comes_is_read_or_refused(content: bytes) -> None:
    """No other error gets out."""
    try:
        decode_fields(content, Thing, "thing")
    except InvalidInputError as error:
        assert str(error)  # noqa: PT017 - what is raised depends on what comes


def test_values_are_read_as_the_type() -> None:
    """As JSON is in Python."""
    assert Thing("x", ("a",)) == read_fields({"name": "x", "kinds": ["a"]}, Thing, "thing")


def test_fields_are_those_of_a_struct() -> None:
    """Another type has none."""
    assert ["name", "kinds", "size"] == fields_of(Thing)
    assert [] == fields_of(dict)
