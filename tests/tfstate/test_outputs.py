"""Tests of proxy.tfstate.outputs: a state with its root outputs and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate import document as documents
from proxy.tfstate.outputs import UnsplittableError, only_outputs, root_outputs
from tests.samples import LINEAGE, an_encrypted_state

OUTPUTS = (
    '{"big":{"value":123456789012345678901234567890.10,"type":"number"},'
    '"order":{"type":["object",{"b":"string","a":"string"}],"value":{"b":"\\u00e9", "a" : "é"}},'
    '"marked":{"value":"hunter2","type":"string","sensitive":true}}'
)


def v4(outputs: str, *, version: str = "1.11.4") -> bytes:
    """Return a state of version 4 with a secret resource."""
    return (
        f'{{"version":4,"terraform_version":"{version}","serial":41,"lineage":"{LINEAGE}",'
        f'"outputs":{outputs},"resources":[{{"mode":"managed","type":"a","name":"b",'
        '"instances":[{"attributes":{"secret":"of the producer"}}]}],"check_results":null}'
    ).encode()


def v3(*modules: dict[str, Any]) -> bytes:
    """Return a state of version 3."""
    state = {"version": 3, "terraform_version": "0.11.14", "serial": 7, "lineage": LINEAGE}
    return json.dumps({**state, "modules": list(modules)}).encode()


def taken(body: bytes, *names: str) -> bytes:
    """Return the state with these outputs alone."""
    document = documents.parse(body)
    outputs = root_outputs(document)
    return only_outputs(document, {name: outputs[name] for name in names})


def test_values_stay_as_they_are_written() -> None:
    """Digits, the order of keys, escapes and spaces: nothing is decoded and written anew."""
    found = taken(v4(OUTPUTS), "big", "order")
    assert b'"value": 123456789012345678901234567890.10' in found
    assert b'"value": {"b":"\\u00e9", "a" : "\xc3\xa9"}' in found
    assert b'"type": ["object",{"b":"string","a":"string"}]' in found


def test_it_is_the_same_state_without_all_else() -> None:
    """Version, serial and lineage are the producer's; resources and check results are none."""
    document = documents.parse(taken(v4(OUTPUTS), "big"))
    assert ("v4", 41, LINEAGE, "1.11.4", ()) == (
        document.kind,
        document.serial,
        document.lineage,
        document.terraform_version,
        document.resources,
    )
    whole = json.loads(document.body)
    assert ([], None, ["big"]) == (
        whole["resources"],
        whole["check_results"],
        list(whole["outputs"]),
    )
    assert b"of the producer" not in bytes(document.body)


@pytest.mark.parametrize("outputs", ["{}", "null"])
def test_a_state_without_outputs_has_none(outputs: str) -> None:
    """An empty object, also where the state says null."""
    assert {} == json.loads(taken(v4(outputs)))["outputs"]


@pytest.mark.parametrize(
    ("sensitive", "expected"),
    [("true", True), ("false", False), ("null", False), ("1", True), ('"no"', True), ("{}", True)],
)
def test_whatever_is_not_plainly_false_is_sensitive(sensitive: str, expected: bool) -> None:
    """A mark that can't be read counts."""
    outputs = f'{{"o":{{"value":1,"type":"number","sensitive":{sensitive}}}}}'
    assert expected == root_outputs(documents.parse(v4(outputs)))["o"].sensitive


def test_a_sensitive_output_stays_marked() -> None:
    """So that the consumer's plan hides it, too."""
    assert json.loads(taken(v4(OUTPUTS), "marked"))["outputs"]["marked"]["sensitive"] is True


def test_what_terraform_does_not_know_is_left_out() -> None:
    """Nobody has judged it."""
    outputs = '{"o":{"value":1,"type":"number","comment":"of the producer"}}'
    assert {"value": 1, "type": "number"} == json.loads(taken(v4(outputs), "o"))["outputs"]["o"]


@pytest.mark.parametrize("member", ["Sensitive", "VALUE", "tYPE"])
def test_a_member_in_another_case_is_refused(member: str) -> None:
    """Go would read it, and nothing here has judged it."""
    with pytest.raises(UnsplittableError):
        root_outputs(documents.parse(v4(f'{{"o":{{"value":1,"{member}":true}}}}')))


def test_of_version_3_the_root_module_alone() -> None:
    """A child's outputs are inside of the producer."""
    body = v3(
        {
            "path": ["root"],
            "outputs": {"a": {"sensitive": False, "type": "string", "value": "one"}},
            "resources": {"aws_db_instance.a": {"primary": {"attributes": {"password": "x"}}}},
        },
        {"path": ["root", "child"], "outputs": {"b": {"value": "inside"}}, "resources": {}},
    )
    found = json.loads(taken(body, *root_outputs(documents.parse(body))))
    assert {
        "version": 3,
        "terraform_version": "0.11.14",
        "serial": 7,
        "lineage": LINEAGE,
        "modules": [
            {
                "path": ["root"],
                "outputs": {"a": {"value": "one", "type": "string"}},
                "resources": {},
                "depends_on": [],
            }
        ],
    } == found


@pytest.mark.parametrize(
    "body",
    [
        an_encrypted_state(),
        b'{"version":1,"serial":1,"outputs":{"a":"b"}}',
        b'{"version":2,"serial":1,"lineage":"a","modules":[{"path":["root"],"outputs":{}}]}',
        v4('{"o": "no object"}'),
    ],
)
def test_what_can_not_be_told_apart_is_refused(body: bytes) -> None:
    """Never the whole state instead."""
    with pytest.raises(UnsplittableError):
        root_outputs(documents.parse(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.data())
def test_any_names_and_values_come_out_as_they_went_in(
    values: dict[str, Any], data: st.DataObject
) -> None:
    """Whatever the outputs are called and hold, and whichever are wanted."""
    outputs = json.dumps({name: {"value": value, "type": "any"} for name, value in values.items()})
    wanted = data.draw(st.lists(st.sampled_from(sorted(values)), unique=True)) if values else []
    found = json.loads(taken(v4(outputs), *wanted))["outputs"]
    assert {name: values[name] for name in wanted} == {
        name: output["value"] for name, output in found.items()
    }
