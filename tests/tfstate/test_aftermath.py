"""Tests of proxy.tfstate.aftermath: what a save leaves behind."""

import json
from typing import Any

import pytest

from proxy.tfstate import diff
from proxy.tfstate.aftermath import Aftermath, Named
from proxy.tfstate.document import Document, parse
from proxy.tfstate.policy import Policy
from proxy.tfstate.redact import Redactor

KEY = bytes(32)


def an_instance(**fields: Any) -> dict[str, Any]:
    """Return an instance of a resource."""
    return {"schema_version": 0, "attributes": {"id": "1"}, **fields}


def a_state(
    resources: dict[str, list[dict[str, Any]]], checks: Any = None, serial: int = 1
) -> Document:
    """Return a state with these resources of type ``terraform_data``."""
    document = {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": serial,
        "lineage": "l",
        "outputs": {},
        "resources": [
            {
                "mode": "managed",
                "type": "terraform_data",
                "name": name,
                "provider": 'provider["terraform.io/builtin/terraform"]',
                "instances": instances,
            }
            for name, instances in resources.items()
        ],
        "check_results": checks,
    }
    return parse(json.dumps(document, indent=2).encode())


def left(old: Document | None, new: Document, policy: Policy | None = None) -> Aftermath:
    """Return what the second of two versions leaves behind."""
    redactor = Redactor() if policy is None else Redactor(policy)
    return redactor.save(old, new, KEY)[2]


TAINTED = an_instance(status="tainted")
READY = an_instance()
REPLACED = an_instance(status="tainted", attributes={"id": "2"})


@pytest.mark.parametrize(
    ("before", "after", "tainted", "untainted"),
    [
        (None, [TAINTED], ["terraform_data.a"], []),
        ([READY], [TAINTED], ["terraform_data.a"], []),
        ([TAINTED], [REPLACED], ["terraform_data.a"], []),
        ([TAINTED], [TAINTED], [], []),
        ([TAINTED], [READY], [], ["terraform_data.a"]),
        ([TAINTED], [], [], ["terraform_data.a"]),
        ([READY], [an_instance(attributes={"id": "2"})], [], []),
        (
            [READY],
            [READY, {**TAINTED, "deposed": "abcd1234"}],
            ["terraform_data.a (deposed object abcd1234)"],
            [],
        ),
    ],
)
def test_what_changed_and_is_tainted_is_left_behind(
    before: list[dict[str, Any]] | None,
    after: list[dict[str, Any]],
    tainted: list[str],
    untainted: list[str],
) -> None:
    """Also what was tainted before, when the run changed it."""
    old = None if before is None else a_state({"a": before})
    found = left(old, a_state({"a": after}, serial=2))
    assert (tuple(tainted), tuple(untainted)) == (found.tainted.shown, found.untainted.shown)


def test_a_key_that_is_a_secret_is_hidden_in_an_address() -> None:
    """Addresses leave by the same door as everywhere."""
    secret = "hunter2-hunter2-hunter2"
    marks = [[{"type": "get_attr", "value": "input"}]]
    tainted = an_instance(
        index_key=secret,
        status="tainted",
        attributes={"id": "1", "input": secret},
        sensitive_attributes=marks,
    )
    check = {"object_addr": f'terraform_data.a["{secret}"]', "status": "fail"}
    checks = [
        {
            "object_kind": "resource",
            "config_addr": "terraform_data.a",
            "status": "fail",
            "objects": [check],
        }
    ]
    found = left(None, a_state({"a": [tainted]}, checks))
    assert 1 == len(found.tainted.shown) == len(found.failed_checks.shown)
    assert secret not in repr(found)
    assert "[redacted hmac-sha256:" in found.failed_checks.shown[0]
    hidden = left(None, a_state({"a": [tainted]}, checks), Policy(mode="names-only"))
    assert ('terraform_data.a["[redacted]"]',) == hidden.tainted.shown


def some_checks(*statuses: str) -> list[dict[str, Any]]:
    """Return check results, each of one object."""
    return [
        {
            "object_kind": "check",
            "config_addr": f"check.c{number}",
            "status": status,
            "objects": [{"object_addr": f"check.c{number}", "status": status}],
        }
        for number, status in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("statuses", "failed"),
    [
        ((), ()),
        (("pass", "unknown"), ()),
        (("pass", "fail"), ("check.c1",)),
        (("error", "pass", "fail"), ("check.c0", "check.c2")),
    ],
)
def test_checks_that_fail_are_told(statuses: tuple[str, ...], failed: tuple[str, ...]) -> None:
    """Also when the version before had them."""
    checks = some_checks(*statuses)
    for old in (None, a_state({"a": [READY]}, checks)):
        assert failed == left(old, a_state({"a": [READY]}, checks, 2)).failed_checks.shown


def test_results_that_all_pass_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large state has thousands of them."""

    def decoded(_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("proxy.tfstate.aftermath.checks", decoded)
    checks = some_checks("pass", "unknown")
    assert not left(None, a_state({}, checks)).failed_checks.shown
    with pytest.raises(AssertionError, match="decoded"):
        left(None, a_state({}, some_checks("fail")))


def test_what_did_not_change_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work follows the change: of a thousand resources one is looked at."""
    many = {f"r{number}": [an_instance(attributes={"id": str(number)})] for number in range(1000)}
    old, new = a_state(many), a_state({**many, "r7": [TAINTED]}, serial=2)
    redactor = Redactor()
    redactor.change(None, old, KEY)
    seen = []
    real = diff._resource

    def counted(slice_: Any) -> Any:
        seen.append(1)
        return real(slice_)

    monkeypatch.setattr(diff, "_resource", counted)
    found = redactor.save(old, new, KEY)[2]
    assert ("terraform_data.r7",) == found.tainted.shown
    assert 2 == len(seen)


@pytest.mark.parametrize(
    ("before", "after", "is_emptied"),
    [
        (None, {}, False),
        ({}, {}, False),
        ({"a": [READY]}, {}, True),
        ({"a": [READY], "b": [READY]}, {"a": [READY]}, False),
        ({}, {"a": [READY]}, False),
    ],
)
def test_a_state_that_drops_to_nothing(
    before: dict[str, Any] | None, after: dict[str, Any], is_emptied: bool
) -> None:
    """Only if it had something."""
    old = None if before is None else a_state(before)
    assert is_emptied is left(old, a_state(after, serial=2)).is_emptied


def an_old_state(resources: dict[str, Any], serial: int) -> Document:
    """Return a state as Terraform 0.11 wrote it."""
    module = {"path": ["root"], "outputs": {}, "resources": resources, "depends_on": []}
    document = {"version": 3, "serial": serial, "lineage": "l", "modules": [module]}
    return parse(json.dumps(document).encode())


def test_an_old_state_that_drops_to_nothing() -> None:
    """Its modules stay, without resources; what is tainted is told of it, too."""
    resource = {"type": "null_resource", "primary": {"id": "1", "tainted": True}}
    full = an_old_state({"null_resource.a": resource}, 1)
    assert ("null_resource.a",) == left(None, full).tainted.shown
    found = left(full, an_old_state({}, 2))
    assert (True, ("null_resource.a",)) == (found.is_emptied, found.untainted.shown)
    assert not left(full, full).is_emptied


def test_nothing_is_known_of_an_encrypted_state() -> None:
    """Neither before nor after."""
    encrypted = parse(b'{"serial":1,"lineage":"l","encryption_version":"v0","encrypted_data":"x"}')
    plain = a_state({"a": [TAINTED]})
    for pair in ((encrypted, plain), (plain, encrypted), (None, encrypted)):
        assert Aftermath(None) == left(*pair)


def test_of_very_many_addresses_the_first_are_told() -> None:
    """So that an entry has room for its changes."""
    short = {f"r{number:03}": [TAINTED] for number in range(50)}
    found = left(None, a_state(short)).tainted
    assert (20, 30) == (len(found.shown), found.omitted)
    long = {f"r{number:03}" + "x" * 400: [TAINTED] for number in range(50)}
    found = left(None, a_state(long)).tainted
    assert (3, 47) == (len(found.shown), found.omitted)
    assert Named((), 1) == left(None, a_state({"x" * 2000: [TAINTED]})).tainted


def test_a_save_is_told_as_any_other_change() -> None:
    """The same entry, the same words."""
    old, new = a_state({"a": [READY]}), a_state({"a": [REPLACED]}, serial=2)
    told, words, found = Redactor().save(old, new, KEY)
    assert (told, words) == Redactor().change(old, new, KEY)
    assert (0, 1, 0) == found.resources
