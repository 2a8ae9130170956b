"""Tests of `tfaudit verify` on tokens that were given in exchange for identity tokens."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proxy import program
from proxy.access import Caller
from proxy.auth.exchanged import exchanged_identity
from proxy.auth.identities import identity_of
from proxy.cli._common import caller, opened, run, settings
from tests.cli.conftest import Tfaudit
from tests.oidc.issuer import AUDIENCE, GITHUB

URL = "https://token.example.com"
CLAIMS: dict[str, Any] = {"iss": URL, "aud": AUDIENCE, "email": "a@example.com", **GITHUB}


@pytest.fixture
def given(data: Path) -> str:
    """Make an issuer and a grant by entries 0 and 1, give two tokens by 2 and 3; end the second."""

    async def work() -> str:
        async with opened(settings(data, None)) as parts:
            who = caller("test")
            issuer = {"name": "ci", "url": URL, "audience": [AUDIENCE], "session_minutes": 60}
            await parts.directory.create(who, "issuer", issuer)
            grant = {
                "name": "g",
                "issuer": "ci",
                "when": 'ref != ""',
                "role": "auditor",
                "workspaces": ["*"],
            }
            await parts.directory.create(who, "grant", grant)
            directory = parts.store.directory()
            run_of_ci = Caller(identity_of("ci", CLAIMS, (), directory), "", "", "api", "POST", "")
            await parts.exchange.exchange(run_of_ci)
            await parts.exchange.exchange(run_of_ci)
            _, token = await parts.store.tokens()
            identity = exchanged_identity(token, directory)
            await parts.exchange.end(run_of_ci._replace(principal=identity))
            return token.name

    return run(work())


@pytest.mark.usefixtures("given")
def test_tokens_as_they_were_given_hold(tfaudit: Tfaudit) -> None:
    """One that was used and ended, and one that was not."""
    tfaudit("verify")


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("UPDATE token SET identity = replace(identity, 'acme/infra', 'evil/infra')", 3),
        ("UPDATE token SET identity = NULL", 3),
        ("UPDATE token SET issuer = 'x'", 3),
        ("UPDATE token SET issuer = NULL, identity = NULL, role = 'admin'", 3),
        ("UPDATE token SET expires = '2099-01-01T00:00:00.000000Z'", 3),
        ("UPDATE token SET revoked = NULL", 4),
        ("DELETE FROM token", 3),
    ],
)
def test_a_changed_token_is_found(
    tfaudit: Tfaudit, data: Path, given: str, statement: str, index: int
) -> None:
    """Another's claims, another issuer, a longer life: the token and its entry are named."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database, database:
        database.execute(f"{statement} WHERE name = ?", (given,))

    result = json.loads(tfaudit("verify", "--json", "--no-record", code=1).stdout)

    assert index == result["first_bad_index"]
    assert f"token {given} " in result["message"]


def test_one_that_ended_long_ago_may_be_gone(
    tfaudit: Tfaudit, data: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are dropped a week after their end; the log keeps that they were."""
    assert given
    ahead = 8 * 86_400 * 1_000_000
    now = program.clock
    monkeypatch.setattr(program, "clock", lambda: now() + ahead)

    async def work() -> int:
        async with opened(settings(data, None)) as parts:
            directory = parts.store.directory()
            identity = identity_of("ci", CLAIMS, (), directory)
            run_of_ci = Caller(identity, "", "", "api", "POST", "")
            await parts.exchange.exchange(run_of_ci)
            return len(await parts.store.tokens())

    assert 1 == run(work())
    tfaudit("verify")
