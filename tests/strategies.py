"""Every Hypothesis strategy of the test suite: what JSON, states and lock infos can look like."""

import json
from collections.abc import Iterable
from typing import TypeAlias

from hypothesis import strategies as st

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
"""Any text that UTF-8 can carry."""

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
"""Terraform identifiers."""

json_values: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Decoded JSON of any shape."""

# ---------------------------------------------------------------- JSON as bytes, oddly written

_space = st.sampled_from(["", "", "", " ", "\n", "\t", "\r\n", "  \n "])


@st.composite
def _string_literals(draw: st.DrawFn, values: st.SearchStrategy[str] = texts) -> str:
    """A JSON string, each character plain or as an escape."""
    literal = ""
    for character in draw(values):
        escaped = json.dumps(character)[1:-1]
        must_escape = character < " " or character in '"\\'
        literal += escaped if must_escape or draw(st.booleans()) else character
    return f'"{literal}"'


_number_literals = st.one_of(
    st.integers().map(str),
    st.integers(-(2**200), 2**200).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


def _spaced(draw: st.DrawFn, opening: str, parts: Iterable[str], closing: str) -> str:
    """Join parts with commas and white space anywhere JSON allows it."""
    inside = ",".join(f"{draw(_space)}{part}{draw(_space)}" for part in parts)
    return f"{opening}{inside or draw(_space)}{closing}"


@st.composite
def _arrays(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    """An array."""
    return _spaced(draw, "[", draw(st.lists(items, max_size=3)), "]")


@st.composite
def _objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """An object; its keys may repeat."""
    members = draw(st.lists(st.tuples(_string_literals(st.sampled_from("aab") | texts), values)))
    parts = (f"{key}{draw(_space)}:{draw(_space)}{value}" for key, value in members)
    return _spaced(draw, "{", parts, "}")


json_literals: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(["null", "true", "false"]) | _number_literals | _string_literals(),
    lambda inner: _arrays(inner) | _objects(inner),
    max_leaves=8,
)
"""JSON as somebody might write it: white space, escapes, long numbers, repeated inner keys."""


@st.composite
def odd_states(draw: st.DrawFn, versions: tuple[int, ...] = (1, 2, 3, 4)) -> bytes:
    """A state of any format with members in any order, unknown members, and odd JSON inside."""
    objects = _objects(json_literals)
    members = {
        "version": str(draw(st.sampled_from(versions))),
        "serial": str(draw(st.integers(0, 2**53 - 1))),
        "lineage": draw(_string_literals()),
        "terraform_version": draw(_string_literals()),
        "outputs": draw(objects),
        "resources": draw(_arrays(objects)),
        "modules": draw(_arrays(objects)),
        "check_results": draw(st.just("null") | _arrays(objects)),
        "x_unknown": draw(json_literals),
    }
    optional = ("lineage", "terraform_version", "outputs", "check_results", "x_unknown")
    for name in draw(st.sets(st.sampled_from(optional))):
        del members[name]
    parts = (
        f'"{name}"{draw(_space)}:{draw(_space)}{members[name]}'
        for name in draw(st.permutations(sorted(members)))
    )
    return f"{draw(_space)}{_spaced(draw, '{', parts, '}')}{draw(_space)}".encode()


# ---------------------------------------------------------------- lock infos

lock_infos = st.fixed_dictionaries(
    {
        "ID": texts.filter(bool),
        "Operation": st.sampled_from(["OperationTypeApply", "state-push", "taint"]) | texts,
        "Info": texts,
        "Who": texts,
        "Version": st.sampled_from(["1.11.4", "0.12.29", ""]),
        "Created": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
        "Path": texts,
    }
)
"""A lock info as decoded JSON, with all seven of Go's members."""
