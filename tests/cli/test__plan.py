"""Tests of drawing changes as a plan."""

import re
from typing import Any

import pytest

from proxy.cli._plan import plan_lines, plan_of, state_lines
from proxy.tfstate.document import parse
from proxy.tfstate.redact import Redactor
from tests.cli.conftest import state


def changes(*items: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return a `changes` object with these items."""
    counts = {"added": 1, "changed": 2, "removed": 3}
    return {"resources": counts, "outputs": counts, "items": items, "omitted": 0, **more}


def item(action: str, path: str = "size", **sides: object) -> dict[str, Any]:
    """Return an item with one attribute."""
    return {"address": "aws_x.y", "action": action, "attributes": {path: sides}}


def drawn(*items: dict[str, Any], **more: object) -> list[str]:
    """Return the drawn lines without colours."""
    return [re.sub(r"\x1b\[\d+m", "", line) for line in plan_lines(changes(*items, **more))]


@pytest.mark.parametrize(
    ("what", "head", "attribute"),
    [
        (item("create", after="a"), "  + aws_x.y", '      + size = "a"'),
        (item("update", before=1, after=[2]), "  ~ aws_x.y", "      ~ size = 1 -> [2]"),
        (item("update", after=None), "  ~ aws_x.y", "      + size = null"),
        (item("delete", before=True), "  - aws_x.y", "      - size = true"),
    ],
)
def test_a_change_has_the_signs_of_a_plan(what: dict[str, Any], head: str, attribute: str) -> None:
    """Added, changed and removed; a side that is missing is not null."""
    assert [head, attribute] == drawn(what)[:2]


@pytest.mark.parametrize(("action", "colour"), [("create", 32), ("update", 33), ("delete", 31)])
def test_a_change_has_the_colours_of_a_plan(action: str, colour: int) -> None:
    """Green, yellow, red."""
    line = next(plan_lines(changes(item(action, before=1, after=2))))
    assert f"\x1b[{colour}m" in line


@pytest.mark.parametrize("action", ["taint", "untaint", "depose", "no-op", "check"])
def test_what_is_not_seen_in_the_attributes_is_said(action: str) -> None:
    """In words behind the address."""
    assert drawn(item(action))[0].endswith(")")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"redacted": "hmac-sha256:3q2+7w=="}, "(sensitive hmac-sha256:3q2+7w==)"),
        ({"number": "1.50"}, "1.50"),
        ({"text": "ab", "bytes": 9000, "digest": "d"}, '"ab"… (9000 bytes, d)'),
        ({"redacted": "is", "also": "a key"}, '{"redacted":"is","also":"a key"}'),
        ("two\nlines", '"two\\nlines"'),
        ("\x9b2J", '"\\u009b2J"'),
    ],
)
def test_a_value_is_shown_on_one_line(value: object, shown: str) -> None:
    """A secret as its commitment, a number with all its digits, a long text cut."""
    assert f"      + size = {shown}" == drawn(item("create", after=value))[1]


def test_all_else_that_changed_is_told() -> None:
    """Terraform's version, marks beside the attributes, what is counted only."""
    marked = item("update") | {"settings": {"private": {"changed": True}}, "omitted": 4}
    text = "\n".join(
        drawn(
            marked,
            terraform_version={"before": "1.5.0", "after": "1.6.6"},
            other=["check_results"],
            omitted=7,
        )
    )
    for part in (
        "~ (private) = (changed)",
        "and 4 more attributes",
        '~ terraform_version = "1.5.0" -> "1.6.6"',
        "also: check_results",
        "and 7 more",
        "Resources: 1 added, 2 changed, 3 removed.",
    ):
        assert part in text


def test_no_difference_is_said_so() -> None:
    """An empty answer would look like a failure."""
    assert ["No changes."] == drawn()


def test_an_encrypted_state_is_said_so() -> None:
    """Nothing is known of it, which is not "no changes"."""
    (line,) = drawn(encrypted={"before": True, "after": True})
    assert "encrypted" in line


def test_a_plan_is_drawn_whole() -> None:
    """Also when the entry's copy of it had to be cut."""
    new = parse(state(2, **{f"a{number:04}": "x" * 40 for number in range(2000)}))
    redacted, _ = Redactor().change(parse(state(1)), new, bytes(32))
    assert redacted.document is not None
    assert 0 == plan_of(redacted)["omitted"]
    assert 2000 == sum("+ a" in line for line in plan_lines(plan_of(redacted)))


def test_an_encrypted_state_is_not_shown() -> None:
    """Its serial and lineage are all that is known."""
    shown = {"kind": "encrypted", "serial": 3, "lineage": "l", "terraform_version": ""}
    assert "Serial 3, lineage l, Terraform unknown" == next(state_lines(shown))
    assert "encrypted" in list(state_lines(shown))[-1]


def test_a_state_is_drawn_with_its_outputs() -> None:
    """And with what the next apply will replace."""
    lines = list(
        state_lines(
            {
                "serial": 3,
                "lineage": "l",
                "terraform_version": "1.11.4",
                "resources": [{"address": "a.b", "attributes": {"x": 1}, "tainted": True}],
                "outputs": {"url": "https://…"},
            }
        )
    )
    assert any(line.endswith("(is tainted)") for line in lines)
    assert ["    x = 1", '    url = "https://…"'] == [line for line in lines if " = " in line]
