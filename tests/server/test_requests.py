"""Tests of proxy.server.requests."""

from typing import Annotated

import pytest
from msgspec import Meta, Struct
from multidict import MultiDict

from proxy.fields import FieldError
from proxy.server.requests import NoParameters, read_query


class Parameters(Struct, frozen=True):
    """What is asked for here."""

    name: str | None = None
    limit: Annotated[int, Meta(ge=1, le=9)] = 5
    newest: bool = False
    claim: tuple[str, ...] = ()


def test_parameters_are_read_as_their_types() -> None:
    """Those that are left out have their defaults; a list may be given more than once."""
    query = MultiDict([("limit", "3"), ("newest", "true"), ("claim", "a"), ("claim", "b")])
    assert Parameters(None, 3, newest=True, claim=("a", "b")) == read_query(query, Parameters)
    assert Parameters() == read_query({}, Parameters)


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ([("nam", "x")], "nam", "is not known: there are name, limit, newest, claim"),
        ([("name", "")], "name", "is empty"),
        ([("name", "a"), ("name", "a")], "name", "more than once"),
        ([("limit", "10")], "limit", "<= 9"),
        ([("limit", "-1")], "limit", "whole number from 0"),
        ([("limit", "１")], "limit", "whole number from 0"),  # noqa: RUF001 - a digit, not ours
        ([("limit", "9" * 99)], "limit", "whole number from 0"),
        ([("newest", "1")], "newest", "true or false"),
        ([("claim", "")], "claim", "is empty"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(
    query: list[tuple[str, str]], field: str, message: str
) -> None:
    """None is passed over, and none wins silently."""
    with pytest.raises(FieldError, match=message) as caught:
        read_query(MultiDict(query), Parameters)
    assert field == caught.value.field


def test_an_address_without_parameters_takes_none() -> None:
    """What does nothing is a mistake of whoever asks."""
    with pytest.raises(FieldError, match="there are none"):
        read_query({"x": "y"}, NoParameters)
