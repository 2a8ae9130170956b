"""Every secret is told once, with its place and reason, and never with its value."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from proxy.tfstate.document import Document, parse
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tfstate.scan import Finding, matched, scan
from tests.tfstate.test_diff import resource, state, v3
from tests.tfstate.test_redact import _KNOWN, mark, secretive

SECRET = "hunter2-hunter2"
TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
ADDRESS = "aws_instance.a"


def told(attributes: dict[str, Any], policy: Policy = STANDARD, **instance: Any) -> dict[str, str]:
    """The reason of each path of one resource."""
    findings = scan(state(resource(attributes=attributes, **instance)), policy)
    assert len({finding.path for finding in findings}) == len(findings)
    assert {ADDRESS} >= {finding.address for finding in findings}
    return {finding.path: finding.why for finding in findings}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"size": "x"}, {}),
        ({"password": SECRET}, {"password": "its name says so"}),
        ({"t": TOKEN}, {"t": "looks like github-token"}),
        ({"t": f'{{"password": "{SECRET}"}}'}, {"t.password": "json: its name says so"}),
        (
            {"password": SECRET, "copy": f"x {SECRET}"},
            {"password": "its name says so", "copy": "the same as a secret elsewhere in the state"},
        ),
        ({"password": ""}, {}),
        ({"credentials": {}}, {}),
    ],
)
def test_reasons(attributes: dict[str, Any], expected: dict[str, str]) -> None:
    """In words, behind the format that carries the secret."""
    assert expected == told(attributes)


def test_marks_of_the_state_and_of_the_schema_are_told_apart() -> None:
    """The one can be cleaned up in the configuration, the other can't."""
    attributes = {"x": SECRET, "user_data": "-"}
    assert {"x": "Terraform marks it"} == told(attributes, sensitive_attributes=[mark("x")])
    table = resource(attributes={"result": SECRET}) | {"type": "random_password"}
    assert ["the provider's schema says so"] == [found.why for found in scan(state(table))]


def test_the_policy_is_a_reason() -> None:
    """For places and for values; a readable place is none."""
    policy = Policy(
        hidden=("aws_instance.x",), readable=("aws_instance.password",), hidden_values=("^47",)
    )
    attributes = {"x": "1", "password": SECRET, "n": 4711}
    assert dict.fromkeys(("x", "n"), "the policy says so") == told(attributes, policy)


def test_the_data_of_a_kubernetes_secret_is_told() -> None:
    """It needs no secret's name."""
    manifest = {"kind": "Secret", "data": {"a": SECRET}}
    assert {"manifest.data": "it lies in a Kubernetes Secret"} == told({"manifest": manifest})


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"postgres://user:{SECRET}@host/db", "x.password"),
        (f"export DB_URL=postgres://user:{SECRET}@host/db", "x.DB_URL.password"),
        (f"token: {TOKEN}", "x.token"),
        (f'{{"a": {{"token": "{TOKEN}"}}}}', "x.a.token"),
    ],
)
def test_one_secret_in_one_place_is_told_once(text: str, path: str) -> None:
    """By the innermost place, though the whole text looks like one as well."""
    assert [path] == list(told({"x": text}))


def test_two_secrets_in_one_text_are_both_told() -> None:
    """One has a name, the other a shape."""
    assert ["x.password", "x"] == list(told({"x": f"password={SECRET}\n# {TOKEN}"}))


def test_a_short_secret_hides_no_longer_one() -> None:
    """That it stands in the other by chance says nothing."""
    assert ["x.password", "x"] == list(told({"x": f"password=ghp\n# {TOKEN}"}))


def test_outputs_are_told() -> None:
    """By their address, with the path below `value`."""
    outputs = {
        "s": {"value": SECRET, "sensitive": True},
        "o": {"value": {"password": "another-secret"}},
        "c": {"value": ["x", f"a {SECRET}"]},
    }
    assert [
        Finding("output.c", "value[1]", "the same as a secret elsewhere in the state"),
        Finding("output.o", "value.password", "its name says so"),
        Finding("output.s", "value", "Terraform marks it"),
    ] == sorted(scan(state(outputs=outputs)))


def test_an_encrypted_state_tells_nothing() -> None:
    """There is nothing to read."""
    sealed = parse(b'{"serial":1,"encryption_version":"v0","encrypted_data":"eA=="}')
    assert [] == scan(sealed)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("aws_instance.tags", True),
        ("aws_*.**.Owner", True),
        ("aws_instance.disks[].size", True),
        ("output.o.inner", True),
        ("aws_instance.a.tags", False),
        ("aws_iam_user.tags", False),
        ("output.p", False),
    ],
)
def test_patterns_that_match_anything_are_told(pattern: str, matches: bool) -> None:
    """Hidden or readable, of resources and outputs; an address is no type."""
    attributes = {"tags": {"Owner": "x"}, "disks": [{"size": 1}]}
    document = state(resource(attributes=attributes), outputs={"o": {"value": {"inner": 1}}})
    expected = {pattern} if matches else set()
    assert expected == matched(document, Policy(hidden=(pattern,)))
    assert expected == matched(document, Policy(readable=(pattern,)))


def test_patterns_that_match_in_flat_maps_are_told() -> None:
    """Whose keys are whole paths."""
    policy = Policy(hidden=("aws_instance.tags.a",), readable=("aws_instance.tags.b",))
    assert {"aws_instance.tags.a"} == matched(_flat({"tags.a": "x"}), policy)


def _flat(attributes: dict[str, str]) -> Document:
    return v3({ADDRESS: {"primary": {"attributes": attributes}}})


def test_flat_maps() -> None:
    """With their keys as paths, the secret parts of them hidden."""
    found = scan(
        _flat({"password": SECRET, f"tags.{SECRET}": SECRET, "credentials.a b!": "abcd-efgh"})
    )
    assert ["credentials.[redacted]", "password", "tags.[redacted]"] == sorted(
        finding.path for finding in found
    )


def test_keys_that_may_be_secrets_are_hidden() -> None:
    """In addresses and in paths."""
    held = resource(
        "h", attributes={"password": SECRET, "credentials": {"a key & secret": "x-y-z"}}
    )
    found = scan(
        state(held, resource(index_key=SECRET, attributes={"m": {SECRET: {"token": "t"}}}))
    )
    text = json.dumps(found)
    assert 'aws_instance.a["[redacted]"]' in {finding.address for finding in found}
    assert SECRET not in text
    assert "a key & secret" not in text


@settings(max_examples=30)
@given(secretive())
def test_a_finding_never_holds_a_value(resources: list[dict[str, Any]]) -> None:
    """Whatever the state: a list of secrets would be the best of all secrets."""
    found = scan(state(*resources))
    assert any(finding.address == "aws_instance.holder" for finding in found)
    for finding in found:
        for secret in _KNOWN:
            if len(secret) >= 8:
                assert secret not in "\n".join(finding)
                assert json.dumps(secret)[1:-1] not in "\n".join(finding)


@settings(max_examples=30)
@given(secretive())
def test_nothing_is_told_twice(resources: list[dict[str, Any]]) -> None:
    """Not in the same words."""
    found = scan(state(*resources))
    assert len(set(found)) == len(found)
