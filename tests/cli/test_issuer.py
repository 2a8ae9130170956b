"""Tests of `tfaudit issuer`."""

import json

import pytest

from tests.cli.conftest import Tfaudit

CREATE = ("issuer", "create", "ci", "--url", "https://ci.example", "--audience", "tfaudit")


def test_an_issuer_is_made_shown_changed_and_deleted(tfaudit: Tfaudit) -> None:
    """With its defaults where nothing was said."""
    made = json.loads(tfaudit(*CREATE, "--claim", "team", "--json").stdout)
    assert (["RS256", "ES256"], ["team"]) == (made["algorithms"], made["claims"])
    tfaudit("issuer", "update", "ci", "--algorithm", "EdDSA", "--claim", "", "--audience", "a")
    told = json.loads(tfaudit("issuer", "show", "ci", "--json").stdout)
    assert (["EdDSA"], [], ["a"]) == (told["algorithms"], told["claims"], told["audience"])
    assert "https://ci.example" in tfaudit("issuer", "list").stdout
    tfaudit("issuer", "delete", "ci")
    assert [] == json.loads(tfaudit("issuer", "list", "--json").stdout)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--algorithm", "HS256"), "choose one of"),
        (("--algorithm", "none"), "choose one of"),
        (("--url", "https://user:pass@ci.example"), "no user, password, query"),
        (("--url", "ci.example"), "an address such as"),
    ],
)
def test_what_can_not_be_believed_is_told(
    tfaudit: Tfaudit, options: tuple[str, ...], message: str
) -> None:
    """And no issuer is made."""
    assert message in tfaudit(*CREATE, *options, code=2).stderr
    assert [] == json.loads(tfaudit("issuer", "list", "--json").stdout)
