"""Tests of `tfaudit issuer`."""

import json

import pytest

from tests.cli.conftest import Tfaudit
from tests.oidc.fixtures import issuer, provider
from tests.oidc.issuer import TestIssuer, ec_key, jwk, rsa_key

__all__ = ["issuer", "provider"]

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


def test_what_an_issuer_publishes_is_told(tfaudit: Tfaudit, issuer: TestIssuer) -> None:
    """Which key is for which of the algorithms that it is known for."""
    issuer.publish(jwk(rsa_key(), "a"), jwk(ec_key(), "b"), jwk(rsa_key("two"), None, alg="RS512"))
    tfaudit("issuer", "create", "ci", "--url", issuer.url, "--audience", "tfaudit")

    told = json.loads(tfaudit("issuer", "test", "ci", "--json").stdout)

    assert {
        "name": "ci",
        "url": issuer.url,
        "jwks_uri": f"{issuer.url}/jwks",
        "keys": [
            {"id": "a", "type": "RSA", "algorithms": ["RS256"]},
            {"id": "b", "type": "EC P-256", "algorithms": ["ES256"]},
            {"id": None, "type": "RSA", "algorithms": []},
        ],
    } == told
    assert f"publishes its keys at {issuer.url}/jwks" in tfaudit("issuer", "test", "ci").stdout


def test_an_issuer_of_no_use_is_told(tfaudit: Tfaudit, issuer: TestIssuer) -> None:
    """1: its keys are for something else. 2: it could not be asked, or there is none."""
    tfaudit(
        "issuer", "create", "ci", "--url", issuer.url, "--audience", "x", "--algorithm", "EdDSA"
    )
    assert "None of its keys" in tfaudit("issuer", "test", "ci", code=1).stderr

    issuer.tell(issuer="https://other.example")
    assert "not to the letter" in tfaudit("issuer", "test", "ci", code=2).stderr
    assert "no issuer other" in tfaudit("issuer", "test", "other", code=1).stderr
