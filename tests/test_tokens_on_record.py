"""No token gets on record, wherever somebody who is known puts it."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.access import Role
from proxy.directory import read_record
from proxy.directory_service import cleaned
from proxy.errors import InvalidInputError
from tests.running import STATE, SYSTEM, Face, a_face
from tests.samples import a_state


def _part(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


LONG: Final = ".".join(
    (_part(b'{"alg":"RS256","typ":"JWT"}'), _part(b'{"sub":"repo:acme/infra"}' * 8), "s1-G_n" * 40)
)
SHORT: Final = ".".join(
    (_part(b'{"alg":"ES256"}'), _part(b'{"iss":"https://ci.example","aud":"x"}'), "s1-G_n" * 10)
)
MD5: Final = {"Content-MD5": "x"}


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Run the application."""
    async with a_face(tmp_path) as running:
        issuer = {"name": "ci", "url": "https://ci.example", "audience": ["a"]}
        await running.program.directory.create(SYSTEM, "issuer", issuer)
        yield running


async def leave(face: Face, secret: str) -> None:
    """Put a secret wherever somebody who is known can."""
    escaped = "".join(f"%{ord(sign):02X}" for sign in secret)
    twice = escaped.replace("%", "%25")
    for name in (secret, f"a/{secret}", f"{secret}/lock", f"{secret}!", escaped, twice):
        for headers in ({}, MD5):
            # aiohttp's client would unescape the path.
            sent = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
            head = f"GET /state/{name} HTTP/1.1\r\n{sent}{{auth}}\r\nConnection: close\r\n\r\n"
            answer = await face.raw(head.encode())
            assert (400, True) == (answer.status, answer.index is not None), name
    for query in ("actor", "workspace", "source_ip", "since", "event", "claim.sub"):
        await face.ask("GET", f"/api/v1/log?{query}={secret}", role=Role.ADMIN)
    lock = {"ID": secret, "Operation": secret, "Who": secret, "Version": secret, "Info": secret}
    assert 200 == (await face.ask("LOCK", body=json.dumps(lock).encode())).status
    for body in (json.dumps({"ID": "2", "Operation": secret}).encode(), json.dumps(lock).encode()):
        await face.ask("UNLOCK", body=body)
    push = {"ID": "push", "Operation": "state-push"}
    await face.ask("LOCK", body=json.dumps(push).encode())
    for serial, text in ((1, secret), (2, f"password={secret}")):
        state = json.loads(a_state(serial)) | {"lineage": text, "terraform_version": text}
        written = await face.ask("POST", f"{STATE}?ID=push", json.dumps(state).encode())
        assert 200 == written.status
        await face.ask("GET")
    await face.ask("UNLOCK", body=json.dumps(push).encode())
    grant = {"name": "g", "issuer": "ci", "role": "reader", "workspaces": ["x"], "when": 'a == "b"'}
    issuer = {"name": "i", "url": "https://i.example", "audience": ["a"]}
    refused: list[tuple[str, dict[str, Any]]] = [
        ("grants", grant | {"when": f'sub == "{secret}"'}),
        ("grants", grant | {"workspaces": [f"{secret}*"]}),
        ("grants", grant | {"name": f"x.{secret}"}),
        ("grants", grant | {"issuer": f"x.{secret}"}),
        ("issuers", issuer | {"url": f"https://i.example/{secret}"}),
        ("issuers", issuer | {"audience": [secret]}),
        ("issuers", issuer | {"claims": [secret]}),
        ("principals", {"name": f"x.{secret}"}),
        ("workspaces", {"name": f"x.{secret}"}),
        ("tokens", {"name": f"x.{secret}", "role": "reader", "workspaces": ["x"]}),
        ("tokens", {"name": "t", "role": "reader", "workspaces": [f"a/{secret}"]}),
    ]
    for kind, content in refused:
        body = json.dumps(content).encode()
        json_type = {"Content-Type": "application/json"}
        answer = await face.ask("POST", f"/api/v1/{kind}", body, role=Role.ADMIN, headers=json_type)
        assert 400 <= answer.status < 500, (kind, content)


async def test_no_token_is_on_record(face: Face) -> None:
    """Of ours, or an identity's: as it is, and escaped."""
    ours = await face.token(Role.READER)
    for secret in (ours, LONG, SHORT):
        before = len(await face.log())
        await leave(face, secret)
        escaped = "".join(f"%{ord(sign):02X}" for sign in secret)
        # A part is too much already.
        parts = {secret[:60], secret[-30:], escaped[:60], escaped.replace("%", "%25")[:60]}
        for entry in (await face.log())[before:]:
            text = json.dumps(entry)
            assert [] == [part for part in parts if part in text], entry


@pytest.mark.parametrize(
    "when",
    [
        'repository == "acme/infra" and ref == "refs/heads/main"',
        'job_workflow_ref == "acme/infra/.github/workflows/apply.yml@refs/heads/main"',
        'sub == "repo:acme/infra:environment:production"',
        'sub == "project_path:acme/infra:ref_type:branch:ref:main"',
        'project_path == "acme/infra" and ref_protected == "true"',
        'sha == "da39a3ee5e6b4b0d3255bfef95601890afd80709"',
    ],
)
def test_a_usual_rule_is_taken(when: str) -> None:
    """As GitHub's and GitLab's claims are asked for."""
    fields = {"name": "ci-token", "issuer": "github", "role": "writer", "workspaces": ["prod/*"]}
    record = read_record("grant", {**fields, "when": when})
    assert record == cleaned(record)


@pytest.mark.parametrize(
    "url",
    [
        "https://token.actions.githubusercontent.com",
        "https://gitlab.com",
        "https://tfaudit.example.com",
        "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E",
    ],
)
def test_a_usual_issuer_is_taken(url: str) -> None:
    """With such addresses as audiences, too."""
    audience = [url, "https://tfaudit.example.com", "api://AzureADTokenExchange"]
    claims = ["repository", "job_workflow_ref", "runner_environment", "user_login"]
    record = read_record(
        "issuer", {"name": "github", "url": url, "audience": audience, "claims": claims}
    )
    assert record == cleaned(record)


def test_what_an_older_release_took_can_still_be_narrowed() -> None:
    """A name with a credential in it is no reason to keep somebody enabled."""
    fields = {"name": f"x.{'ghp_' + 'a1B2' * 9}", "kind": "person"}
    before = read_record("principal", fields)
    after = read_record("principal", {**fields, "disabled": True})
    with pytest.raises(InvalidInputError, match="the field name holds what looks like a cred"):
        cleaned(after)
    assert after == cleaned(after, before)
