"""Every Hypothesis strategy of the test suite: what JSON, states and lock infos can look like."""

import json
import random
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

_SPACES = ["", "", "", " ", "\n", "\t", "\r\n", "  \n "]
_NUMBERS = [
    "0",
    "-0",
    "1.50",
    "1e400",
    "-0.0E-7",
    "18446744073709551616",
    "9" * 60,
    "0." + "3" * 40,
]


class _OddWriter:
    """Writes JSON as few programs would: white space, escapes, long numbers, repeated keys."""

    def __init__(self, choose: random.Random) -> None:
        self._choose = choose

    def space(self) -> str:
        """White space, or none."""
        return self._choose.choice(_SPACES)

    def text(self, value: str) -> str:
        """A string, each character plain or as an escape."""
        return '"' + "".join(self._character(character) for character in value) + '"'

    def _character(self, character: str) -> str:
        must_escape = character < " " or character in '"\\'
        if must_escape or self._choose.random() < 0.3:
            return json.dumps(character)[1:-1]
        return character

    def array(self, items: Iterable[str]) -> str:
        """An array of what is already written."""
        return f"[{self._spaced(items)}]"

    def object(self, members: Iterable[tuple[str, str]]) -> str:
        """An object of what is already written, members in the order given."""
        return (
            "{"
            + self._spaced(f"{key}{self.space()}:{self.space()}{value}" for key, value in members)
            + "}"
        )

    def _spaced(self, parts: Iterable[str]) -> str:
        spaced = ",".join(f"{self.space()}{part}{self.space()}" for part in parts)
        return spaced or self.space()

    def value(self, value: Json) -> str:
        """Any value; now and then a number is another one, or a member is written twice."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return self.array([self.value(item) for item in value])
        if isinstance(value, dict):
            members = [(self.text(key), self.value(item)) for key, item in value.items()]
            return self.object(members + members[: self._choose.choice([0, 0, 0, 1])])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._choose.choice([json.dumps(value), *_NUMBERS])
        return json.dumps(value)


_objects = st.dictionaries(texts, json_values, max_size=3)


@st.composite
def odd_states(draw: st.DrawFn, versions: tuple[int, ...] = (1, 2, 3, 4)) -> bytes:
    """A state of any format, oddly written: members in any order, unknown members among them."""
    writer = _OddWriter(random.Random(draw(st.integers(0, 2**32))))
    members = {
        "version": str(draw(st.sampled_from(versions))),
        "serial": str(draw(st.integers(0, 2**53 - 1))),
        "lineage": writer.text(draw(texts)),
        "terraform_version": writer.text(draw(texts)),
        "outputs": writer.value(dict(draw(_objects))),
        "resources": writer.value(list(draw(st.lists(_objects, max_size=3)))),
        "modules": writer.value(list(draw(st.lists(_objects, max_size=3)))),
        "check_results": writer.value(draw(st.none() | st.lists(json_values, max_size=2))),
        "x_unknown": writer.value(draw(json_values)),
    }
    optional = ("lineage", "terraform_version", "outputs", "check_results", "x_unknown")
    for name in draw(st.sets(st.sampled_from(optional))):
        del members[name]
    ordered = draw(st.permutations(sorted(members)))
    body = writer.object((f'"{name}"', members[name]) for name in ordered)
    return f"{writer.space()}{body}{writer.space()}".encode()


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


# ---------------------------------------------------------------- states that Terraform could write

_scalars = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.sampled_from([0.5, -1e30]) | texts
)
attribute_values: st.SearchStrategy[Json] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
"""What an attribute can hold."""

instance_keys = st.none() | st.integers(0, 3) | texts
"""No key, a key of `count`, or a key of `for_each`."""


@st.composite
def resources(draw: st.DrawFn) -> list[dict[str, Json]]:
    """The resources of a state, each with one instance; no two have the same address."""
    addresses = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["", "module.m", 'module.m["k"].module.n[0]']),
                st.sampled_from(["managed", "data"]),
                st.sampled_from(["aws_instance", "terraform_data"]),
                names,
                instance_keys,
            ),
            max_size=4,
            unique_by=lambda address: address[:4],
        )
    )
    return [
        {
            **({"module": module} if module else {}),
            "mode": mode,
            "type": type_,
            "name": name,
            "provider": 'provider["registry.terraform.io/hashicorp/x"]',
            "instances": [
                {
                    **({} if key is None else {"index_key": key}),
                    "schema_version": 0,
                    "attributes": draw(st.dictionaries(names, attribute_values, max_size=4)),
                    "sensitive_attributes": [],
                }
            ],
        }
        for module, mode, type_, name, key in addresses
    ]


@st.composite
def states(draw: st.DrawFn) -> dict[str, Json]:
    """A state of version 4, decoded."""
    outputs = draw(
        st.dictionaries(
            names,
            st.fixed_dictionaries(
                {"value": attribute_values, "type": st.just("dynamic"), "sensitive": st.booleans()}
            ),
            max_size=3,
        )
    )
    return {
        "version": 4,
        "terraform_version": draw(st.sampled_from(["1.11.4", "1.15.5"])),
        "serial": draw(st.integers(0, 2**53 - 1)),
        "lineage": "5b92b752-0c83-5ce3-b3da-4ef100000000",
        "outputs": dict(outputs),
        "resources": list(draw(resources())),
        "check_results": None,
    }


secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Zs", "Cc"]), min_size=6, max_size=12
).map(lambda tail: f"s3:{tail}")
"""Secret texts that no other strategy makes by chance."""
