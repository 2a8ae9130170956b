"""Tests of `tfaudit principal`, and with it of what the verbs of objects share."""

import json

import pytest

from tests.cli.conftest import Tfaudit, events


def test_a_principal_is_made_shown_changed_and_deleted(tfaudit: Tfaudit) -> None:
    """Each change says what it did, and is an entry."""
    made = tfaudit("principal", "create", "alice", "--kind", "person", "--description", "ops")
    assert made.stdout.startswith("Created the principal alice (ID ")
    shown = tfaudit("principal", "show", "alice").stdout
    assert "description   ops\n" in shown
    changed = tfaudit("principal", "update", "alice", "--disabled", "--description", "")
    assert (
        "Updated the principal alice: description ops -> nothing, disabled no -> yes."
        in changed.stdout
    )
    told = json.loads(tfaudit("principal", "show", "alice", "--json").stdout)
    assert (True, "", "person") == (told["disabled"], told["description"], told["kind"])
    assert "Deleted the principal alice" in tfaudit("principal", "delete", told["id"]).stdout
    assert ["principal.created", "principal.updated", "principal.deleted"] == events(tfaudit)[:3]


def test_all_are_listed(tfaudit: Tfaudit) -> None:
    """By name, as a table or as the objects they are."""
    for name in ("bob", "alice"):
        tfaudit("principal", "create", name, "--certificate", f"CN={name}")
    table = tfaudit("principal", "list").stdout.splitlines()
    assert ["NAME", "alice", "bob"] == [line.split()[0] for line in table]
    objects = json.loads(tfaudit("principal", "list", "--json").stdout)
    assert [["CN=alice"], ["CN=bob"]] == [each["certificates"] for each in objects]


def test_a_list_is_emptied_by_an_empty_text(tfaudit: Tfaudit) -> None:
    """As leaving the option out leaves the list as it is."""
    tfaudit("principal", "create", "a", "--certificate", "CN=a", "--certificate", "DNS:a.example")
    told = json.loads(tfaudit("principal", "update", "a", "--disabled", "--json").stdout)
    assert ["CN=a", "DNS:a.example"] == told["certificates"]
    told = json.loads(tfaudit("principal", "update", "a", "--certificate", "", "--json").stdout)
    assert [] == told["certificates"]


def test_what_is_so_already_is_said(tfaudit: Tfaudit) -> None:
    """It is no failure, and no entry."""
    tfaudit("principal", "create", "alice")
    assert "is so already" in tfaudit("principal", "update", "alice", "--enabled").stdout
    assert 1 == events(tfaudit).count("principal.created")
    assert "principal.updated" not in events(tfaudit)


def test_what_can_not_be_done_is_told_in_one_line(tfaudit: Tfaudit) -> None:
    """On stderr, with 1 for a no and 2 for what was not understood."""
    tfaudit("principal", "create", "alice")
    for arguments, code, message in (
        (("show", "nobody"), 1, "there is no principal nobody"),
        (("delete", "nobody"), 1, "there is no principal nobody"),
        (("update", "nobody", "--disabled"), 1, "there is no principal nobody"),
        (("update", "alice"), 2, "say what of the principal to change"),
        (("create", "alice"), 1, "there is a principal alice already"),
        (("create", "a b"), 2, "letters, digits"),
        (("create", "bob", "--kind", "robot"), 2, "choose one of person, service"),
    ):
        result = tfaudit("principal", *arguments, code=code)
        assert not result.stdout
        assert 1 == len(result.stderr.splitlines())
        assert message in result.stderr


def test_a_password_is_read_from_stdin(tfaudit: Tfaudit) -> None:
    """One line, without its end; on record by a digest, and never said again."""
    tfaudit("principal", "create", "alice", "--kind", "person")
    password = "wörds that bélong together "
    done = tfaudit("principal", "set-password", "alice", answer=f"{password}\r\nmore\n".encode())
    assert "Set the password of alice" in done.stdout
    assert "principal.updated" == events(tfaudit)[-2]
    line = tfaudit("log", "--json", "--event", "principal.updated").stdout
    assert "set the password of alice" in line
    assert "belong" not in line + done.stdout + done.stderr
    tfaudit("verify")


@pytest.mark.parametrize(
    ("name", "answer", "code", "why"),
    [
        ("alice", b"", 2, "no password on stdin"),
        ("alice", b"\n", 2, "no password on stdin"),
        ("alice", b"\xff" * 20, 2, "not UTF-8"),
        ("alice", b"too short\n", 2, "at least 12"),
        ("alice", b"x" * 5000, 2, "at most 256"),
        ("robot", b"correct horse battery nail\n", 1, "only a person"),
        ("nobody", b"correct horse battery nail\n", 1, "there is no principal nobody"),
    ],
)
def test_a_password_that_can_not_be_is_refused(
    tfaudit: Tfaudit, name: str, answer: bytes, code: int, why: str
) -> None:
    """In words that hold nothing of it."""
    tfaudit("principal", "create", "alice", "--kind", "person")
    tfaudit("principal", "create", "robot")
    refused = tfaudit("principal", "set-password", name, answer=answer, code=code)
    assert why in refused.stderr
    assert "horse" not in refused.output


def test_a_password_is_no_argument(tfaudit: Tfaudit) -> None:
    """Anybody on the machine could read it there."""
    tfaudit("principal", "set-password", "alice", "correct horse battery nail", code=2)
