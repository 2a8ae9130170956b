"""Tests of tokens that belong to a principal, over HTTP and in the log."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from proxy.access import Role
from tests.running import SYSTEM, Face
from tests.samples import a_state

PROD, DEV = "/state/prod/network", "/state/dev/network"


async def a_principal(face: Face, *grants: dict[str, Any], name: str = "pipeline") -> str:
    """Make a principal with these grants; return its ID."""
    directory = face.program.directory
    made = await directory.create(SYSTEM, "principal", {"name": name})
    for number, grant in enumerate(grants):
        fields = {"name": f"{name}-{number}", "principal": name, **grant}
        await directory.create(SYSTEM, "grant", fields)
    return made.value.id


async def a_token(
    face: Face,
    role: str = "",
    *workspaces: str,
    name: str = "ci",
    expires_in: timedelta | None = None,
) -> str:
    """Make a token of the principal; return its text."""
    minted = await face.program.admin.create_token(
        SYSTEM, name, role, workspaces or ("*",), expires_in, principal="pipeline"
    )
    return minted.text


async def statuses(face: Face, token: str) -> list[int]:
    """Return what comes of reading and writing in two places, in this order."""
    return [
        (await face.ask(method, path, body, token=token)).status
        for path in (PROD, DEV)
        for method, body in (("GET", None), ("POST", a_state(1)))
    ]


WRITER = {"role": "writer", "workspaces": ["*"]}
READER = {"role": "reader", "workspaces": ["*"]}


@pytest.mark.parametrize(
    ("grants", "role", "workspaces", "expected"),
    [
        # Whatever the principal may.
        ([WRITER], "", ["*"], [404, 200, 404, 200]),
        ([WRITER | {"workspaces": ["prod/*"]}], "", ["*"], [404, 200, 403, 403]),
        ([], "", ["*"], [403] * 4),
        # Narrowed by role, by workspaces, by both.
        ([WRITER], "reader", ["*"], [404, 403, 404, 403]),
        ([WRITER], "", ["dev/*"], [403, 403, 404, 200]),
        ([WRITER], "reader", ["dev/*"], [403, 403, 404, 403]),
        # Never more than the principal.
        ([READER], "writer", ["*"], [404, 403, 404, 403]),
        ([READER], "admin", ["*"], [404, 403, 404, 403]),
        ([], "admin", ["*"], [403] * 4),
        # What is denied to the principal is denied to its tokens.
        (
            [WRITER, WRITER | {"workspaces": ["prod/*"], "deny": True}],
            "",
            ["*"],
            [403, 403, 404, 200],
        ),
        ([WRITER, READER | {"deny": True}], "writer", ["prod/*"], [403, 200, 403, 403]),
    ],
)
async def test_a_token_narrows_what_its_principal_may(
    face: Face,
    grants: list[dict[str, Any]],
    role: str,
    workspaces: list[str],
    expected: list[int],
) -> None:
    """It gives nothing by itself."""
    await a_principal(face, *grants)
    token = await a_token(face, role, *workspaces)
    assert expected == await statuses(face, token)
    assert 403 == (await face.ask("GET", "/api/v1/tokens", token=token)).status


async def test_an_entry_says_whose_token_it_was(face: Face) -> None:
    """Both names, and the token's last characters alone."""
    await a_principal(face, WRITER)
    token = await a_token(face)
    await face.ask("GET", PROD, token=token)
    entry = await face.last()
    assert ("token", "ci", "pipeline", token[-6:]) == (
        entry["actor"]["type"],
        entry["actor"]["name"],
        entry["actor"]["principal"],
        entry["actor"]["token_hint"],
    )
    assert token[:-6] not in json.dumps(await face.log())


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_token_of_somebody_gone_is_refused_as_theirs(face: Face, is_deleted: bool) -> None:
    """From the next request on; of a deleted principal the log knows the ID."""
    principal_id = await a_principal(face, WRITER)
    token = await a_token(face)
    assert 404 == (await face.ask("GET", PROD, token=token)).status
    directory = face.program.directory
    if is_deleted:
        await directory.delete(SYSTEM, "grant", "pipeline-0")
        await directory.delete(SYSTEM, "principal", "pipeline")
    else:
        await directory.update(SYSTEM, "principal", "pipeline", {"disabled": True})
    answer = await face.ask("GET", PROD, token=token)
    entry = await face.last()
    assert (401, "auth.failed", "denied", "ci") == (
        answer.status,
        entry["event"],
        entry["outcome"],
        entry["actor"]["name"],
    )
    assert (principal_id if is_deleted else "pipeline") == entry["actor"]["principal"]
    assert b"is disabled or deleted" in answer.body


async def test_a_principal_made_again_does_not_have_the_old_tokens(face: Face) -> None:
    """A name is not an identity: whoever has it next is somebody else."""
    await a_principal(face, WRITER)
    token = await a_token(face)
    await face.program.directory.delete(SYSTEM, "grant", "pipeline-0")
    await face.program.directory.delete(SYSTEM, "principal", "pipeline")
    await a_principal(face, WRITER)
    assert 401 == (await face.ask("GET", PROD, token=token)).status


async def test_a_principal_that_is_enabled_again_has_its_tokens(face: Face) -> None:
    """Disabling is for the time being."""
    await a_principal(face, WRITER)
    token = await a_token(face)
    for disabled, status in ((True, 401), (False, 404)):
        await face.program.directory.update(SYSTEM, "principal", "pipeline", {"disabled": disabled})
        assert status == (await face.ask("GET", PROD, token=token)).status


async def test_a_right_that_ends_while_a_write_runs_ends_it(face: Face) -> None:
    """The transaction looks again; nothing is stored."""
    await a_principal(face, WRITER)
    token = await a_token(face)
    await face.ask("GET", PROD, token=token)
    body = a_state(1)
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> Any:
        yield body[:10]
        started.set()
        await go_on.wait()
        yield body[10:]

    headers = {"Content-Length": str(len(body))}
    upload = asyncio.create_task(face.ask("POST", PROD, slowly(), token=token, headers=headers))
    await started.wait()
    await face.program.directory.update(SYSTEM, "principal", "pipeline", {"disabled": True})
    go_on.set()
    assert (await upload).status in {401, 403, 503}
    assert 404 == (await face.ask("GET", PROD, role=Role.READER)).status


async def test_a_rotated_token_ends_with_its_overlap_on_record(face: Face) -> None:
    """As an expiry of that token, not as an unknown one."""
    await a_principal(face, WRITER)
    old = await a_token(face, expires_in=timedelta(days=9))
    answer = await face.ask(
        "POST",
        "/api/v1/tokens/ci/rotate",
        b'{"overlap": 0}',
        role=Role.ADMIN,
        headers={"Content-Type": "application/json"},
    )
    made = json.loads(answer.body)
    assert (201, "ci") == (answer.status, made["name"])
    refused = await face.ask("GET", PROD, token=old)
    entry = await face.last()
    assert (401, "token.expired", "denied", old[-6:]) == (
        refused.status,
        entry["event"],
        entry["outcome"],
        entry["actor"]["token_hint"],
    )
    assert b"replaced by a newer one named ci" in refused.body
    assert [404, 200, 404, 200] == await statuses(face, made["token"])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("ci", b'{"overlap": -1}', 400),
        ("ci", b'{"overlap": 7776001}', 400),
        ("ci", b'{"overlap": "1d"}', 400),
        ("ci", b'{"expires_in": 0}', 400),
        ("ci", b'{"what": 1}', 400),
        ("nobody", b"{}", 404),
    ],
)
async def test_a_rotation_that_makes_no_sense_is_refused(
    face: Face, path: str, body: bytes, status: int
) -> None:
    """The old one goes on."""
    await a_principal(face, WRITER)
    token = await a_token(face)
    headers = {"Content-Type": "application/json"}
    answer = await face.ask(
        "POST", f"/api/v1/tokens/{path}/rotate", body, role=Role.ADMIN, headers=headers
    )
    assert status == answer.status
    assert 404 == (await face.ask("GET", PROD, token=token)).status


async def test_the_last_use_is_shown(face: Face) -> None:
    """Its time and its address; a refusal is none."""
    await a_principal(face, READER)
    token = await a_token(face)
    await face.ask("POST", PROD, a_state(1), token=token)
    assert [None] == [each.used for each in await face.program.store.tokens() if each.name == "ci"]
    await face.ask("GET", PROD, token=token)
    entry = await face.last()
    answer = await face.ask("GET", "/api/v1/tokens/ci", role=Role.ADMIN)
    shown = json.loads(answer.body)
    assert "127.0.0.1" == shown["used_from"]
    assert entry["time"] == shown["used"]


async def test_a_principal_with_tokens_may_be_deleted(face: Face) -> None:
    """Its tokens are good for nothing then, and are still in the list."""
    await a_principal(face)
    await a_token(face)
    await face.program.directory.delete(SYSTEM, "principal", "pipeline")
    listed = json.loads((await face.ask("GET", "/api/v1/tokens", role=Role.ADMIN)).body)
    assert "ci" in str(listed)
