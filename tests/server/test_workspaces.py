"""Tests of proxy.server.workspaces, over a real store."""

import json
from typing import Any

import pytest

from proxy.access import Role
from tests.running import Answer, Face
from tests.samples import a_state

API = "/api/v1/workspaces"
NAME = "prod/network"


async def call(face: Face, method: str, path: str = "", role: Role = Role.OPERATOR) -> Answer:
    """Ask the API."""
    return await face.ask(method, f"{API}{path}", role=role)


def content(answer: Answer) -> dict[str, Any]:
    """Return the answer's JSON."""
    found: dict[str, Any] = json.loads(answer.body)
    return found


@pytest.fixture
async def written(face: Face) -> Face:
    """Return the face with a state in the workspace."""
    await face.ask("POST", body=a_state(1))
    return face


async def test_a_workspace_is_deleted_restored_and_purged(written: Face) -> None:
    """Each answer shows it as it then is, and names its entry."""
    deleted = await call(written, "DELETE", f"/{NAME}")
    assert (200, True) == (deleted.status, bool(content(deleted)["restorable_until"]))
    assert "workspace.deleted" == (await written.last())["event"]
    assert deleted.index is not None
    restored = await call(written, "POST", f"/{NAME}/restore")
    assert (200, None) == (restored.status, content(restored)["deleted"])
    await call(written, "DELETE", f"/{NAME}")
    assert 409 == (await call(written, "POST", f"/{NAME}/purge")).status
    assert 403 == (await call(written, "POST", f"/{NAME}/purge?now=true")).status
    purged = await call(written, "POST", f"/{NAME}/purge?now=true", Role.ADMIN)
    assert (200, True, 1) == (
        purged.status,
        content(purged)["purged"],
        content(purged)["destroyed_versions"],
    )
    again = await call(written, "POST", f"/{NAME}/purge?now=true", Role.ADMIN)
    assert (200, None) == (again.status, again.index)


async def test_all_are_listed_and_shown(written: Face) -> None:
    """Those that a first write made, too."""
    listed = content(await call(written, "GET", role=Role.ADMIN))
    assert [(NAME, "", False)] == [
        (each["name"], each["id"], each["protected"]) for each in listed["items"]
    ]
    shown = content(await call(written, "GET", f"/{NAME}", Role.ADMIN))
    assert listed["items"] == [shown]
    assert 404 == (await call(written, "GET", "/elsewhere", Role.ADMIN)).status


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", ""), ("POST", "/restore"), ("POST", "/purge")]
)
async def test_what_there_is_not_is_not_found(face: Face, method: str, path: str) -> None:
    """As a problem, with the entry that records it."""
    answer = await call(face, method, f"/elsewhere{path}")
    assert (404, "urn:tfaudit:problem:not-found") == (answer.status, content(answer)["type"])
    assert answer.index is not None


@pytest.mark.parametrize("query", ["?now=perhaps", "?later=true", "?now=true&now=true"])
async def test_a_purge_takes_no_other_parameter(written: Face, query: str) -> None:
    """A mistake destroys nothing."""
    await call(written, "DELETE", f"/{NAME}")
    assert 400 == (await call(written, "POST", f"/{NAME}/purge{query}", Role.ADMIN)).status
    assert "workspace.purged" not in [entry["event"] for entry in await written.log()]


async def test_a_state_is_not_deleted_at_its_own_address(written: Face) -> None:
    """There DELETE is a dialect's unlock."""
    assert 405 == (await written.ask("DELETE")).status
    assert 200 == (await written.ask("GET")).status
