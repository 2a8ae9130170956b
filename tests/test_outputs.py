"""Tests of proxy.outputs: which outputs are secret, and what is remembered."""

import json
from typing import Any

import pytest

from proxy.outputs import Outputs, OutputsTaker
from proxy.refusals import NoOutputsError
from proxy.tfstate.policy import Policy
from proxy.tfstate.redact import Redactor
from tests.samples import LINEAGE, a_version, an_encrypted_state

SECRET = "correct-horse-battery-staple"
VERSION = a_version()


def a_state(outputs: dict[str, Any], **attributes: Any) -> bytes:
    """Return a state with these outputs, and a resource whose password is marked."""
    return json.dumps(
        {
            "version": 4,
            "terraform_version": "1.11.4",
            "serial": 1,
            "lineage": LINEAGE,
            "outputs": outputs,
            "resources": [
                {
                    "mode": "managed",
                    "type": "acme_thing",
                    "name": "main",
                    "provider": 'provider["registry.terraform.io/acme/acme"]',
                    "instances": [
                        {
                            "schema_version": 0,
                            "attributes": attributes,
                            "sensitive_attributes": [
                                [{"type": "get_attr", "value": "token_of_it"}]
                            ],
                        }
                    ],
                }
            ],
            "check_results": None,
        }
    ).encode()


def output(value: Any, *, sensitive: bool = False) -> dict[str, Any]:
    """Return an output as Terraform writes it."""
    marked = {"sensitive": True} if sensitive else {}
    return {"value": value, "type": "dynamic", **marked}


def take(body: bytes, policy: Policy | None = None, *, sensitive: bool = False) -> Outputs:
    """Take the outputs out of a state."""
    return OutputsTaker(Redactor(policy or Policy())).take(VERSION, body, sensitive=sensitive)


PLAIN = {"url": output("https://db.example.com/app"), "count": output(3)}
MARKED = {"marked": output(SECRET, sensitive=True)}


def test_what_is_marked_is_left_out_and_counted() -> None:
    """The rest is sent, in the state's order."""
    found = take(a_state(PLAIN | MARKED))
    assert (("url", "count"), 1, 0) == found[1:]
    assert SECRET.encode() not in found.body


def test_whoever_may_see_sensitive_outputs_gets_all() -> None:
    """Marked ones and those that hold a secret without a mark."""
    found = take(a_state(PLAIN | MARKED | {"copy": output(SECRET)}), sensitive=True)
    assert (("url", "count", "marked", "copy"), 0, 0) == found[1:]


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"postgres://app:{SECRET}@db/app",
        {"deep": ["a", {"er": SECRET}]},
        {SECRET: "a key"},
        json.dumps({"x": SECRET}),
    ],
)
@pytest.mark.parametrize("where", ["output", "attribute"])
def test_an_unmarked_copy_of_a_marked_value_is_left_out(value: Any, where: str) -> None:
    """`nonsensitive()`, old releases and providers that forget: the mark stands elsewhere."""
    outputs = PLAIN | {"copy": output(value)}
    if where == "output":
        found = take(a_state(outputs | MARKED))
    else:
        found = take(a_state(outputs, token_of_it=SECRET))
    assert ("copy" not in found.sent, 1) == (True, found.secret)
    assert SECRET.encode() not in found.body


def test_what_looks_like_a_secret_is_left_out() -> None:
    """By its name, and by its shape."""
    outputs = {
        "db_password": output("tiger-in-the-tank"),
        "note": output("AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    }
    assert ((), 0, 2) == take(a_state(outputs))[1:]


def test_an_output_whose_name_holds_a_secret_is_left_out() -> None:
    """Nothing of it may go out."""
    found = take(a_state({f"of-{SECRET}": output(1)} | MARKED))
    assert ((), 1, 1) == found[1:]


def test_what_is_configured_counts() -> None:
    """`hidden` keeps back, `readable` lets go what a name alone gave away."""
    outputs = {"db_password": output("tiger-in-the-tank"), "note": output("an internal note")}
    policy = Policy("standard", ("output.note",), ("output.db_password",))
    assert ("db_password",) == take(a_state(outputs), policy).sent


@pytest.mark.parametrize("mode", ["strict", "names-only"])
def test_the_mode_of_the_record_is_not_meant(mode: Any) -> None:
    """It says how much a record shows."""
    assert ("url", "count") == take(a_state(PLAIN | MARKED), Policy(mode)).sent


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (an_encrypted_state(), "encrypted", "is encrypted by OpenTofu"),
        (b'{"version":1,"serial":1}', "v1", "is of format v1"),
        (a_state({"o": "none"}), "v4", "not as Terraform writes them"),
    ],
)
def test_a_state_that_can_not_be_split_is_refused_with_a_reason(
    body: bytes, kind: str, why: str
) -> None:
    """And with whom to ask."""
    taker = OutputsTaker(Redactor())
    with pytest.raises(NoOutputsError, match=why):
        taker.take(VERSION._replace(kind=kind), body, sensitive=False)


def test_what_was_taken_is_remembered_apart_for_each_right() -> None:
    """Nobody gets what was made for somebody who may more; and it can be forgotten."""
    taker = OutputsTaker(Redactor())
    assert taker.known(VERSION.id, sensitive=False) is None
    few = taker.take(VERSION, a_state(PLAIN | MARKED), sensitive=False)
    all_ = taker.take(VERSION, a_state(PLAIN | MARKED), sensitive=True)
    assert few is taker.known(VERSION.id, sensitive=False)
    assert all_ is taker.known(VERSION.id, sensitive=True)
    assert few != all_
    taker.forget()
    assert taker.known(VERSION.id, sensitive=True) is None


def test_what_is_let_go_leaves_the_rest() -> None:
    """Of a version all that was taken out of it, for whomever."""
    taker = OutputsTaker(Redactor())
    for number in "12":
        for sensitive in (True, False):
            taker.take(VERSION._replace(id=number), a_state({}), sensitive=sensitive)
    taker.drop(["1", "none"])
    kept = [taker.known(number, sensitive=each) for number in "12" for each in (True, False)]
    assert [False, False, True, True] == [each is not None for each in kept]


def test_memory_is_bounded() -> None:
    """A large state is not kept; of small ones only so many."""
    taker = OutputsTaker(Redactor())
    taker.take(VERSION, a_state({"o": output("x y " * 100_000)}), sensitive=True)
    assert taker.known(VERSION.id, sensitive=True) is None
    for number in range(300):
        taker.take(VERSION._replace(id=str(number)), a_state({}), sensitive=True)
    kept = [taker.known(str(number), sensitive=True) for number in range(300)]
    assert 0 < sum(each is not None for each in kept) <= 256


@pytest.mark.parametrize(
    "outputs",
    [
        '{"a": {"value": "x", "type": "string", "sensitive": true, "sensitive": false}}',
        '{"a": {"value": "x", "type": "string", "sensitive": true}, "a": {"value": "x"}}',
        '{"a": {"value": "x", "type": "string", "sensitive": true, "sens\\u0069tive": false}}',
    ],
)
def test_outputs_with_two_members_of_one_name_are_refused(outputs: str) -> None:
    """Whether such an output is marked is for each reader to say."""
    body = a_state({}).replace(b'"outputs": {}', b'"outputs": ' + outputs.encode())
    with pytest.raises(NoOutputsError):
        take(body)
