"""Tests of `tfaudit token`."""

import json
import re

import pytest

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
