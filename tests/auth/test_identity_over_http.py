"""Identity tokens over HTTP: the whole program, a real store, a provider in its own process."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.access import Role
from proxy.config import AuditConfig
from proxy.errors import NotFoundError
from tests.oidc.issuer import AUDIENCE, TestIssuer
from tests.running import SYSTEM, Answer, Face, a_config, a_face
from tests.samples import a_state

MAIN: dict[str, Any] = {
    "name": "main",
    "issuer": "ci",
    "when": 'repository == "acme/infra" and ref == "refs/heads/main"',
    "role": "writer",
    "workspaces": ["prod/*"],
}


@pytest.fixture
async def face(tmp_path: Path, issuer: TestIssuer) -> AsyncIterator[Face]:
    """The program, which believes the test's issuer; its main branch may write on prod/*."""
    async with a_face(tmp_path) as made:
        directory = made.program.directory
        record = {"name": "ci", "url": issuer.url, "audience": [AUDIENCE], "session_minutes": 60}
        await directory.create(SYSTEM, "issuer", record)
        await directory.create(SYSTEM, "grant", MAIN)
        yield made


async def exchange(face: Face, token: str, query: str = "") -> Answer:
    """Exchange an identity token."""
    return await face.ask("POST", f"/api/v1/token{query}", token=token)


async def test_a_run_writes_and_reads(face: Face, issuer: TestIssuer) -> None:
    """As Basic password and as Bearer; the entry says which run it was."""
    token = issuer.token()

    written = await face.ask("POST", body=a_state(), token=token)
    read = await face.ask(
        "GET", role=None, headers={"Authorization": f"Bearer {issuer.token(run_id='2')}"}
    )

    assert (200, 200, a_state()) == (written.status, read.status, read.body)
    *_, write, reading = await face.log()
    assert ["state.written", "state.read"] == [write["event"], reading["event"]]
    assert ["1658821493", "2"] == [e["actor"]["claims"]["run_id"] for e in (write, reading)]
    assert {"type": "oidc", "name": "acme/infra", "issuer": "ci"}.items() <= write["actor"].items()
    assert token.split(".")[2] not in json.dumps(await face.log())


async def test_who_is_granted_nothing_is_known_and_refused(face: Face, issuer: TestIssuer) -> None:
    """403, on record with the claims; it may ask who it is."""
    answer = await face.ask("GET", token=issuer.token(repository="evil/infra"))

    assert 403 == answer.status
    assert b"evil/infra may do nothing here: nothing is granted to it" in answer.body
    entry = await face.last()
    assert ("access.denied", "evil/infra", "octocat") == (
        entry["event"],
        entry["actor"]["claims"]["repository"],
        entry["actor"]["claims"]["actor"],
    )
    assert 403 == (await exchange(face, issuer.token(repository="evil/infra"))).status
    told = await face.ask("GET", "/api/v1/whoami", token=issuer.token(repository="evil/infra"))
    assert 200 == told.status


@pytest.mark.parametrize(
    ("path", "status"), [("/state/prod/network", 403), ("/api/v1/whoami?bogus=1", 400)]
)
async def test_strangers_do_not_fill_the_log(
    tmp_path: Path, issuer: TestIssuer, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    """Anybody can be vouched for by a public issuer: a flood of them is counted."""
    config = replace(a_config(tmp_path), audit=AuditConfig(flood_immediate=2))
    monkeypatch.setattr("tests.running.a_config", lambda _: config)
    async with a_face(tmp_path) as face:
        record = {"name": "ci", "url": issuer.url, "audience": [AUDIENCE]}
        await face.program.directory.create(SYSTEM, "issuer", record)
        for number in range(15):
            token = issuer.token(run_id=str(number))
            for _ in range(3):
                assert status == (await face.ask("GET", path, token=token)).status

        denied = [entry for entry in await face.log() if entry["event"] == "access.denied"]

    assert 20 == len(denied)


async def test_an_expired_token_is_on_record_with_whose_it_was(
    face: Face, issuer: TestIssuer
) -> None:
    """The signature was good: who tried is no secret."""
    answer = await face.ask("GET", token=issuer.token(exp=1_700_000_000))

    assert 401 == answer.status
    assert b"expired at 2023-11-14T22:13:20Z" in answer.body
    entry = await face.last()
    assert ("auth.failed", "oidc") == (entry["event"], entry["actor"]["type"])
    assert "1658821493" == entry["actor"]["claims"]["run_id"]


async def test_what_is_not_proved_is_not_on_record(face: Face, issuer: TestIssuer) -> None:
    """With a bad signature nobody is named."""
    *start, _ = issuer.token().split(".")
    answer = await face.ask("GET", token=".".join([*start, "A" * 342]))

    assert 401 == answer.status
    entry = await face.last()
    assert ("auth.failed", "anonymous") == (entry["event"], entry["actor"]["type"])
    assert "acme" not in json.dumps(entry)


async def test_without_keys_there_is_no_access(face: Face, issuer: TestIssuer) -> None:
    """503 with a time to try again; never 404, which would say that there is no state."""
    issuer.tell(fail_document={"status": 500})

    answer = await face.ask("GET", token=issuer.token())

    assert 503 == answer.status
    assert "retry-after" in answer.headers
    assert b"answered with status 500" in answer.body


@pytest.mark.parametrize("length", [4_000, 6_000, 11_900])
async def test_large_identity_tokens_pass(face: Face, issuer: TestIssuer, length: int) -> None:
    """GitLab's lists of groups make them long, base64 once more a third longer."""
    padding = length - len(issuer.token(groups_direct=[]))
    token = issuer.token(groups_direct=["g" * 50] * (padding * 3 // 4 // 54))
    assert length - 100 < len(token) <= length

    assert 200 == (await face.ask("POST", body=a_state(), token=token)).status


async def test_a_header_beyond_all_bounds_is_refused(face: Face, issuer: TestIssuer) -> None:
    """By us with a reason, and what is longer still by the server."""
    token = issuer.token(padding="x" * 9_000)
    answer = await face.ask("GET", role=None, headers={"Authorization": f"Bearer {token}"})
    assert (401, True) == (answer.status, b"at most 12000 are read" in answer.body)

    huge = b64encode(b"x:" + b"y" * 20_000).decode()
    assert 400 == (await face.ask("GET", role=None, headers={"Authorization": huge})).status


async def test_a_run_that_takes_longer_exchanges_its_token(face: Face, issuer: TestIssuer) -> None:
    """It writes and unlocks with what it got, which ends with the job."""
    given = await exchange(face, issuer.token())
    content = json.loads(given.body)
    token = content.pop("access_token")

    assert (200, "no-store") == (given.status, given.headers["cache-control"])
    assert {
        "expires_in": 3600,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
    } == content
    assert 200 == (await face.ask("POST", body=a_state(), token=token)).status
    entry = await face.last()
    assert ("state.written", "oidc", "1658821493", token[-6:]) == (
        entry["event"],
        entry["actor"]["type"],
        entry["actor"]["claims"]["run_id"],
        entry["actor"]["token_hint"],
    )
    assert 400 == (await exchange(face, token)).status
    assert 200 == (await face.ask("DELETE", "/api/v1/token", token=token)).status
    assert 401 == (await face.ask("GET", token=token)).status


async def test_how_long_it_lives_can_be_asked_for(face: Face, issuer: TestIssuer) -> None:
    """Less than the issuer's record allows; what is no number is refused."""
    assert (
        90
        == json.loads((await exchange(face, issuer.token(), "?expires_in=90")).body)["expires_in"]
    )
    for wrong in ("0", "-1", "x", "86401", ""):
        answer = await exchange(face, issuer.token(), f"?expires_in={wrong}")
        assert 400 == answer.status


async def test_whoever_else_has_nothing_to_exchange(face: Face) -> None:
    """A token of ours is no identity token, and ends by an administrator alone."""
    for method in ("POST", "DELETE"):
        assert 400 == (await face.ask(method, "/api/v1/token")).status


async def test_an_administrator_sees_and_revokes_it(face: Face, issuer: TestIssuer) -> None:
    """In the list without what the issuer said; after its revocation it is nobody's."""
    given = json.loads((await exchange(face, issuer.token(email="a@example.com"))).body)
    name = (await face.program.store.tokens())[-1].name
    with pytest.raises(NotFoundError):  # its run gets another one
        await face.program.admin.rotate_token(SYSTEM, name, timedelta(0))

    shown = await face.ask("GET", f"/api/v1/tokens/{name}", role=Role.ADMIN)
    revoked = await face.ask("DELETE", f"/api/v1/tokens/{name}", role=Role.ADMIN)

    assert (200, 200) == (shown.status, revoked.status)
    assert b"example.com" not in shown.body + revoked.body
    assert json.loads(shown.body)["issuer"]
    assert 401 == (await face.ask("GET", token=given["access_token"])).status
