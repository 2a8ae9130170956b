"""Tests of `tfaudit grant`."""

import json

import pytest

from tests.cli.conftest import Tfaudit

RULE = 'repository == "acme/infra"'


@pytest.fixture
def known(tfaudit: Tfaudit) -> Tfaudit:
    """Return the command line where alice and an issuer are known, and alice may write."""
    tfaudit("principal", "create", "alice")
    tfaudit("issuer", "create", "ci", "--url", "https://ci.example", "--audience", "tfaudit")
    tfaudit(
        *("grant", "create", "g", "--principal", "alice", "--role", "writer"),
        *("--workspace", "prod/*", "--workspace", "dev"),
    )
    return tfaudit


def test_a_grant_is_as_asked(known: Tfaudit) -> None:
    """A role on workspaces for a principal."""
    told = json.loads(known("grant", "show", "g", "--json").stdout)
    assert ("alice", "writer", ["prod/*", "dev"], False) == (
        told["principal"],
        told["role"],
        told["workspaces"],
        told["deny"],
    )


def test_grants_are_listed_with_what_they_give(known: Tfaudit) -> None:
    """One line each."""
    line = known("grant", "list").stdout.splitlines()[1]
    assert ["g", "writer", "prod/*,", "dev", "no", "alice"] == line.split()[:6]


def test_a_grant_moves_from_a_principal_to_an_issuer_and_back(known: Tfaudit) -> None:
    """Whoever names one means it instead of the other."""
    known("grant", "update", "g", "--issuer", "ci", "--when", RULE)
    told = json.loads(known("grant", "show", "g", "--json").stdout)
    assert (None, "ci", RULE) == (told["principal"], told["issuer"], told["when"])
    known("grant", "update", "g", "--principal", "alice")
    told = json.loads(known("grant", "show", "g", "--json").stdout)
    assert ("alice", None, "") == (told["principal"], told["issuer"], told["when"])


def test_a_grant_is_deleted(known: Tfaudit) -> None:
    """Then its principal can go, too."""
    assert (
        "alice still has the grant g: delete it first"
        in known("principal", "delete", "alice", code=1).stderr
    )
    known("grant", "delete", "g")
    known("principal", "delete", "alice")


def test_what_can_not_be_granted_is_told(known: Tfaudit) -> None:
    """And nothing is."""
    for arguments, code, message in (
        (
            ("--principal", "bob", "--role", "writer", "--workspace", "*"),
            1,
            "there is no principal bob: make it first",
        ),
        (("--role", "writer", "--workspace", "*"), 2, "name one of them"),
        (("--issuer", "ci", "--role", "writer", "--workspace", "*"), 2, "needs the rule"),
        (("--principal", "alice", "--role", "king", "--workspace", "*"), 2, "choose one of admin"),
        (("--principal", "alice", "--role", "writer"), 2, "--workspace"),
    ):
        assert message in known("grant", "create", "h", *arguments, code=code).stderr
    assert 1 == len(json.loads(known("grant", "list", "--json").stdout))
