"""Tests of `tfaudit token`."""

import json
import re
from pathlib import Path

import pytest

from proxy.cli._common import caller, opened, run, settings
from proxy.tokens import is_well_formed
from tests.cli.conftest import Tfaudit, events


def test_the_token_stands_alone_on_stdout(tfaudit: Tfaudit) -> None:
    """So that a script can take it as it is; what people want to know goes to stderr."""
    result = tfaudit("token", "create", "ci", "--role", "writer", "--workspace", "prod/*")
    assert is_well_formed(result.stdout.removesuffix("\n"))
    assert "shown only now" in result.stderr


def test_a_token_is_made_as_asked(tfaudit: Tfaudit) -> None:
    """With its role, all its workspaces and its end."""
    created = json.loads(
        tfaudit(
            *("token", "create", "ci", "--role", "reader", "--json", "--expires", "90d"),
            *("--workspace", "a/*", "--workspace", "b"),
        ).stdout
    )
    listed = json.loads(tfaudit("token", "list", "--json").stdout)
    token = created.pop("token")
    assert [created] == listed
    assert ("ci", "reader", ["a/*", "b"]) == (
        created["name"],
        created["role"],
        created["workspaces"],
    )
    assert created["created"] < created["expires"]
    assert token.endswith(created["hint"])


def test_the_list_never_shows_a_token(tfaudit: Tfaudit) -> None:
    """Only the last six characters, which are its checksum."""
    token = tfaudit("token", "create", "ci", "--role", "admin", "--workspace", "*").stdout.strip()
    output = tfaudit("token", "list").output + tfaudit("token", "list", "--json").output
    assert token not in output
    assert re.search(rf"ci\s+admin\s+\*\s+…{token[-6:]}\s.*in force", output)


def test_a_revoked_token_says_so(tfaudit: Tfaudit) -> None:
    """It stays in the list."""
    tfaudit("token", "create", "ci", "--role", "admin", "--workspace", "*")
    assert "Revoked ci" in tfaudit("token", "revoke", "ci").stdout
    assert "revoked" in tfaudit("token", "list").stdout
    assert json.loads(tfaudit("token", "list", "--json").stdout)[0]["revoked"]


def test_making_and_revoking_are_on_record(tfaudit: Tfaudit) -> None:
    """Each is an entry."""
    tfaudit("token", "create", "ci", "--role", "admin", "--workspace", "*")
    tfaudit("token", "revoke", "ci")
    assert ["token.created", "token.revoked"] == events(tfaudit)[:2]


def test_revoking_what_is_not_there_is_a_no(tfaudit: Tfaudit) -> None:
    """Exit code 1, one line."""
    result = tfaudit("token", "revoke", "nobody", code=1)
    assert not result.stdout
    assert 1 == len(result.stderr.splitlines())


def test_a_name_in_use_is_a_no(tfaudit: Tfaudit) -> None:
    """Two tokens in force never have one name."""
    tfaudit("token", "create", "ci", "--role", "admin", "--workspace", "*")
    assert "revoke it first" in (
        tfaudit("token", "create", "ci", "--role", "admin", "--workspace", "*", code=1).stderr
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--role", "king", "--workspace", "*"),
        ("--role", "admin"),
        ("--role", "admin", "--workspace", "*", "--expires", "soon"),
        ("--role", "admin", "--workspace", "a b"),
    ],
)
def test_what_can_not_be_meant_is_wrong_usage(tfaudit: Tfaudit, options: tuple[str, ...]) -> None:
    """Exit code 2, and no token is made."""
    tfaudit("token", "create", "ci", *options, code=2)
    assert [] == json.loads(tfaudit("token", "list", "--json").stdout)


# ---------------------------------------------------------------- rotation


def test_a_rotation_prints_the_new_token_alone(tfaudit: Tfaudit) -> None:
    """As a creation does; the old one goes on for the overlap, and the list says until when."""
    old = tfaudit("token", "create", "ci", "--role", "writer", "--workspace", "*").stdout.strip()
    result = tfaudit("token", "rotate", "ci", "--overlap", "2h", "--expires", "30d")
    new = result.stdout.removesuffix("\n")
    assert is_well_formed(new)
    assert "still works for 2h" in result.stderr
    listed = tfaudit("token", "list").output
    assert re.search(rf"ci\s+writer\s+\*\s+…{old[-6:]}\s.*rotated, works until", listed)
    assert re.search(rf"ci\s+writer\s+\*\s+…{new[-6:]}\s.*in force until", listed)
    assert not {old, new} & set(listed.split())
    tfaudit("verify")


def test_a_rotation_without_an_overlap(tfaudit: Tfaudit) -> None:
    """For a token that leaked."""
    tfaudit("token", "create", "ci", "--role", "writer", "--workspace", "*")
    assert "works no more" in tfaudit("token", "rotate", "ci", "--overlap", "0").stderr
    assert "rotated, ended" in tfaudit("token", "list").output
    tfaudit("token", "rotate", "ci", "--overlap", "soon", code=2)


def test_one_token_is_shown_with_those_whose_place_it_took(tfaudit: Tfaudit) -> None:
    """For people and as JSON."""
    old = tfaudit("token", "create", "ci", "--role", "writer", "--workspace", "a/*").stdout.strip()
    tfaudit("token", "rotate", "ci")
    shown = json.loads(tfaudit("token", "show", "ci", "--json").stdout)
    assert ("ci", "writer", ["a/*"], None, [old[-6:]]) == (
        shown["name"],
        shown["role"],
        shown["workspaces"],
        shown["used"],
        [each["hint"] for each in shown["predecessors"]],
    )
    output = tfaudit("token", "show", "ci").output
    assert re.search(rf"took the place of: …{old[-6:]}, rotated, works until", output)
    assert re.search(r"last use: +never", output)
    before = shown["predecessors"][0]["id"]
    assert before == json.loads(tfaudit("token", "show", before, "--json").stdout)["id"]
    tfaudit("token", "show", "nobody", code=1)


def test_a_revocation_says_what_else_it_revoked(tfaudit: Tfaudit) -> None:
    """And verify follows."""
    old = tfaudit("token", "create", "ci", "--role", "writer", "--workspace", "a/*").stdout.strip()
    tfaudit("token", "rotate", "ci")
    assert f"whose place it took, …{old[-6:]}" in tfaudit("token", "revoke", "ci").stdout
    assert 2 == tfaudit("token", "list").output.count("revoked 2")
    tfaudit("verify")


# ---------------------------------------------------------------- tokens of a principal


@pytest.fixture
def principal(data: Path) -> str:
    """Return the name of a principal."""

    async def make() -> None:
        async with opened(settings(data, None)) as program:
            await program.directory.create(caller("test"), "principal", {"name": "pipeline"})

    run(make())
    return "pipeline"


def test_a_token_of_a_principal_needs_no_role_of_its_own(tfaudit: Tfaudit, principal: str) -> None:
    """It may whatever the principal may, and says so."""
    result = tfaudit("token", "create", "ci", "--principal", principal)
    assert is_well_formed(result.stdout.strip())
    assert "ci: whatever pipeline may, as any role on *, without an end" in result.stderr
    token = json.loads(tfaudit("token", "list", "--json").stdout)[0]
    assert ("", ["*"]) == (token["role"], token["workspaces"])
    assert re.search(r"ci\s+pipeline\s+any\s+\*", tfaudit("token", "list").output)
    assert re.search(r"principal: +pipeline", tfaudit("token", "show", "ci").output)
    assert "whatever pipeline may" in tfaudit("token", "rotate", "ci").stderr
    tfaudit("verify")


def test_a_token_of_nobody_is_a_no(tfaudit: Tfaudit) -> None:
    """A principal that there is not."""
    assert "make it first" in tfaudit("token", "create", "ci", "--principal", "x", code=1).stderr


@pytest.mark.parametrize("options", [(), ("--role", "reader"), ("--workspace", "*")])
def test_a_token_of_its_own_needs_role_and_workspace(
    tfaudit: Tfaudit, options: tuple[str, ...]
) -> None:
    """Nothing is given by default."""
    tfaudit("token", "create", "ci", *options, code=2)
