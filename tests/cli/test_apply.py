"""Tests of `tfaudit apply`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Tfaudit, events, json_lines

FILE = """
[[principal]]
name = "alice"
kind = "person"

[[principal]]
name = "deployer"

[[grant]]
name = "alice-administers"
principal = "alice"
role = "admin"
workspaces = ["*"]

[[grant]]
name = "ci-writes"
issuer = "ci"
when = 'repository == "acme/infra"'
role = "writer"
workspaces = ["prod/*"]

[[issuer]]
name = "ci"
url = "https://ci.example"
audience = ["tfaudit"]

[[workspace]]
name = "prod/network"
protected = true
lock_alert_minutes = 60
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes access.toml and says where it is."""

    def write_file(text: str) -> Path:
        path = tmp_path / "access.toml"
        path.write_text(text, "utf-8")
        return path

    return write_file


def objects(tfaudit: Tfaudit, kind: str) -> list[str]:
    """Return the names of all objects of a kind."""
    return [each["name"] for each in json.loads(tfaudit(kind, "list", "--json").stdout)]


def test_all_that_the_file_says_is_made_at_once(tfaudit: Tfaudit, write: Write) -> None:
    """In whatever order it stands there; each change is an entry."""
    result = tfaudit("apply", write(FILE), "--yes")
    assert "Done: 6 created." in result.stdout
    assert ["alice", "deployer"] == objects(tfaudit, "principal")
    assert ["alice-administers", "ci-writes"] == objects(tfaudit, "grant")
    lines = json_lines(tfaudit("log", "--json", "--since", "1h").stdout)[:6]
    assert 6 == len({line["entry"]["object"]["name"] for line in lines})
    assert {("apply", "cli")} == {
        (line["entry"]["request"]["method"], line["entry"]["request"]["via"]) for line in lines
    }


def test_the_same_file_again_changes_nothing(tfaudit: Tfaudit, write: Write) -> None:
    """Nor asks, nor leaves an entry."""
    tfaudit("apply", write(FILE), "--yes")
    assert "Nothing differs: nothing to do.\n" == tfaudit("apply", write(FILE)).stdout
    assert 6 == sum(event.partition(".")[2] == "created" for event in events(tfaudit))


def test_a_difference_is_shown_field_by_field(tfaudit: Tfaudit, write: Write) -> None:
    """What is made, what is changed from what to what, what goes."""
    tfaudit("apply", write(FILE), "--yes")
    changed = (
        FILE.replace('role = "writer"', 'role = "planner"')
        .replace('name = "deployer"', 'name = "builder"')
        .replace("lock_alert_minutes = 60", "")
    )
    lines = tfaudit("apply", write(changed), "--dry-run", "--prune").stdout.splitlines()
    assert [
        "+ principal builder",
        "~ grant ci-writes",
        '    role: "writer" -> "planner"',
        "~ workspace prod/network",
        "    lock_alert_minutes: 60 -> nothing",
        "- principal deployer",
        "Nothing was done: 1 to create, 2 to update, 1 to delete.",
    ] == lines
    shown = tfaudit("apply", write(FILE.replace("alice", "eve")), "--dry-run").stdout
    assert '+ principal eve\n    kind = "person"\n' in shown


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--exit-code",), 1)])
def test_a_dry_run_changes_nothing(
    tfaudit: Tfaudit, write: Write, options: tuple[str, ...], code: int
) -> None:
    """Whether there is a difference its exit code tells on demand, as that of `git diff` does."""
    tfaudit("apply", write(FILE), "--dry-run", *options, code=code)
    assert [] == objects(tfaudit, "principal")
    tfaudit("apply", write(FILE), "--yes")
    tfaudit("apply", write(FILE), "--dry-run", *options, code=0)


def test_what_the_file_does_not_name_is_kept(tfaudit: Tfaudit, write: Write) -> None:
    """And told of, unless it is to be pruned."""
    tfaudit("principal", "create", "bob")
    result = tfaudit("apply", write(FILE), "--yes")
    assert "1 object not in the file: principal bob: kept; --prune deletes them." in result.stderr
    assert "bob" in objects(tfaudit, "principal")
    assert "- principal bob" in tfaudit("apply", write(FILE), "--yes", "--prune").stdout
    assert "bob" not in objects(tfaudit, "principal")


def test_only_kinds_that_the_file_names_are_pruned(tfaudit: Tfaudit, write: Write) -> None:
    """An empty list names a kind of which there shall be none."""
    tfaudit("apply", write(FILE), "--yes")
    people = '[[principal]]\nname = "alice"\nkind = "person"\n'
    result = tfaudit("apply", write(people), "--prune", "--yes")
    assert "- principal deployer" in result.stdout
    assert "kept; the file names none" in result.stderr
    assert ["alice-administers", "ci-writes"] == objects(tfaudit, "grant")
    nobody = f"grant = []\nissuer = []\n{people}"
    tfaudit("apply", write(nobody), "--prune", "--yes", "--allow-lockout")
    assert ([], []) == (objects(tfaudit, "grant"), objects(tfaudit, "issuer"))


def test_whoever_reads_no_question_changes_nothing(tfaudit: Tfaudit, write: Write) -> None:
    """Without a terminal, and without --yes."""
    result = tfaudit("apply", write(FILE), code=2)
    assert "give --yes" in result.stderr
    assert [] == objects(tfaudit, "principal")


@pytest.mark.parametrize(("answer", "made"), [("n\n", []), ("y\n", ["alice", "deployer"])])
def test_it_asks_before_it_changes_anything(
    tfaudit: Tfaudit, write: Write, answer: str, made: list[str]
) -> None:
    """What it is told is what it does."""
    tfaudit("apply", write(FILE), answer=answer, code=0 if made else 1)
    assert made == objects(tfaudit, "principal")


def test_the_last_administrator_is_not_locked_out(tfaudit: Tfaudit, write: Write) -> None:
    """Unless that is what is wanted, or a token administers by itself."""
    tfaudit("apply", write(FILE), "--yes")
    demoted = write(FILE.replace('role = "admin"', 'role = "reader"'))
    refused = tfaudit("apply", demoted, "--yes", code=1)
    assert "nobody but this command line could administer" in refused.stderr
    assert "would be refused" in tfaudit("apply", demoted, "--dry-run").stderr
    tfaudit("token", "create", "root", "--role", "admin", "--workspace", "*")
    tfaudit("apply", demoted, "--yes")
    back = write(FILE)
    tfaudit("apply", back, "--yes")
    tfaudit("token", "revoke", "root")
    disabled = write(FILE.replace('kind = "person"', "disabled = true"))
    tfaudit("apply", disabled, "--yes", code=1)
    tfaudit("apply", disabled, "--yes", "--allow-lockout")


def test_a_new_administrator_who_can_not_get_in_yet_is_none(tfaudit: Tfaudit, write: Write) -> None:
    """It has no token and no password; a certificate stands in the file itself."""
    tfaudit("apply", write(FILE), "--yes")
    handed_over = FILE.replace('principal = "alice"', 'principal = "bob"')
    bob = '\n[[principal]]\nname = "bob"\n'
    refused = tfaudit("apply", write(handed_over + bob), "--yes", code=1)
    assert "nobody but this command line could administer" in refused.stderr
    tfaudit("apply", write(f'{handed_over}{bob}certificates = ["CN=bob"]\n'), "--yes")


def test_programs_get_the_changes(tfaudit: Tfaudit, write: Write) -> None:
    """Before and after, and whether it was done."""
    told = json.loads(tfaudit("apply", write(FILE), "--dry-run", "--json").stdout)
    assert (False, 6) == (told["done"], len(told["changes"]))
    assert ("create", "principal", "alice", None, "person") == (
        told["changes"][0]["action"],
        told["changes"][0]["kind"],
        told["changes"][0]["name"],
        told["changes"][0]["before"],
        told["changes"][0]["after"]["kind"],
    )
    assert json.loads(tfaudit("apply", write(FILE), "--yes", "--json").stdout)["done"]


MISTAKES = """
[[principle]]
name = "x"

[[principal]]
name = "alice"
pasword = "hunter2"

[[principal]]
name = "bob"

[[principal]]
name = "bob"

[[grant]]
name = "g"
role = "king"
workspaces = ["*"]

[[grant]]
name = "h"
role = "writer"
workspaces = ["*"]

[[workspace]]
name = "prod"
purged = true

[[workspace]]
name = "dev"
description = "token ghp_1234567890abcdefghijklmnopqrstuvwxyz12"
"""


def test_all_mistakes_are_told_at_once(tfaudit: Tfaudit, write: Write) -> None:
    """Each with its line and field, and no value that could be a secret; nothing is changed."""
    path = write(MISTAKES)
    lines = tfaudit("apply", path, "--yes", code=2).stderr.splitlines()
    expected = [
        "there is no kind 'principle': did you mean [[principal]]?",
        ":5: principal: there is no field 'pasword'",
        ":12: there is a principal bob above already",
        ":15: grant: role: Invalid enum value 'king': choose one of",
        ":20: grant h: a grant is for a principal or for an issuer",
        ":25: workspace: purged follows from a deletion",
        ":29: workspace: description holds what looks like a credential",
    ]
    assert len(expected) == len(lines)
    for each in expected:
        assert any(each in line for line in lines), (each, lines)
    assert "hunter2" not in "".join(lines)
    assert "ghp_" not in "".join(lines)
    assert [] == objects(tfaudit, "principal")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[principal]\n", "is not TOML"),
        ("principal = 1\n", "write principal as [[principal]]"),
        ("principal = [1]\n", "write principal as [[principal]]"),
        ('principal = [{name = "a b"}]\n', "[[principal]] number 1: principal: name"),
        ("x = " + "[" * 5000, "is nested too deep"),
    ],
)
def test_what_is_no_such_file_is_told(
    tfaudit: Tfaudit, write: Write, text: str, message: str
) -> None:
    """Exit code 2."""
    assert message in tfaudit("apply", write(text), "--yes", code=2).stderr


def test_a_workspace_that_was_written_already_is_changed_and_not_made(
    tfaudit: Tfaudit, write: Write, written: str
) -> None:
    """Its settings were the defaults, so what differs from them is shown, or nothing does."""
    bare = f'[[workspace]]\nname = "{written}"\n'
    assert "Nothing differs: nothing to do.\n" == tfaudit("apply", write(bare), "--yes").stdout
    result = tfaudit("apply", write(f"{bare}protected = true\n"), "--yes")
    assert [
        f"~ workspace {written}",
        "    protected: false -> true",
        "Done: 1 updated.",
    ] == result.stdout.splitlines()
    assert "workspace.updated" in events(tfaudit)


def test_every_grant_for_nobody_is_told(tfaudit: Tfaudit, write: Write) -> None:
    """Before anything is asked."""
    text = "".join(
        f'[[grant]]\nname = "g{n}"\nprincipal = "nobody{n}"\nrole = "reader"\nworkspaces = ["*"]\n'
        for n in range(2)
    )
    lines = tfaudit("apply", write(text), "--yes", code=2).stderr.splitlines()
    assert ["nobody0", "nobody1"] == [line.split("principal ")[1].split(",")[0] for line in lines]


def test_a_principal_that_somebody_else_depends_on_is_not_pruned(
    tfaudit: Tfaudit, write: Write
) -> None:
    """All changes are made or none."""
    tfaudit("apply", write(FILE), "--yes")
    only = '[[principal]]\nname = "deployer"\n[[principal]]\nname = "new"\n'
    result = tfaudit("apply", write(only), "--yes", "--prune", "--allow-lockout", code=1)
    assert "alice still has the grant alice-administers: delete it first" in result.stderr
    assert ["alice", "deployer"] == objects(tfaudit, "principal")


def test_what_was_shown_is_what_is_done(
    tfaudit: Tfaudit, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If somebody else changes who may do what while it asks, nothing is done."""

    def meanwhile(_: str) -> None:
        tfaudit("principal", "create", "eve")

    monkeypatch.setattr("proxy.cli.apply.confirm", meanwhile)
    assert "somebody else changed" in tfaudit("apply", write(FILE), code=1).stderr
    assert ["eve"] == objects(tfaudit, "principal")


SINK = """
[[sink]]
name = "siem"
type = "syslog"
filter = { event = ["state.written"] }
[sink.options]
host = "siem.example"
"""


def test_sinks_are_brought_to_what_the_file_says(tfaudit: Tfaudit, write: Write) -> None:
    """Options and filter are what the file says and no more; taken out of it, it is pruned."""
    tfaudit("apply", write(SINK), "--yes")
    changed = SINK.replace('host = "siem.example"', 'host = "b.example"\nfacility = "user"')
    tfaudit("apply", write(changed.replace('["state.written"]', "[]") + "x = 1"), code=2)
    shown = tfaudit("apply", write(changed.replace("filter", "#")), "--yes").stdout
    assert "~ sink siem" in shown
    found = json.loads(tfaudit("sink", "show", "siem", "--json").stdout)
    assert ({"host": "b.example", "facility": "user"}, {}) == (found["options"], found["filter"])
    tfaudit("apply", write(SINK), "--yes")
    assert {"host": "siem.example"} == (
        json.loads(tfaudit("sink", "show", "siem", "--json").stdout)["options"]
    )
    again = json.loads(tfaudit("apply", write(SINK), "--yes", "--json").stdout)
    assert [] == again["changes"]
    tfaudit("apply", write("sink = []"), "--prune", "--yes")
    assert [] == objects(tfaudit, "sink")


def test_all_mistakes_of_sinks_are_told_at_once(tfaudit: Tfaudit, write: Write) -> None:
    """With the line of their table, and the place in it."""
    text = SINK.replace("host", "hsot") + 'port = "x"\n[[sink]]\nname = "b"\ntype = "x"\n'
    text += '[[sink]]\nname = "c"\ntype = "file"\nmanaged = "configuration"\n'
    said = tfaudit("apply", write(text), code=2).stderr
    for mistake in (
        "access.toml:2: sink siem: syslog options: there is no field 'hsot'",
        "access.toml:2: sink siem: syslog options: port: must be a whole number",
        "there is no type 'x' of sink",
        "sink: managed says who made it, and can't be set",
    ):
        assert mistake in said
