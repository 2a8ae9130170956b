"""Tests of proxy.server.api_objects, over a real store."""

import json
from typing import Any

import pytest

from proxy.access import Role
from tests import sample_sink
from tests.running import Answer, Face

ALICE = {"name": "alice", "kind": "person", "description": "of the platform team"}
GRANT = {"name": "g", "principal": "alice", "role": "writer", "workspaces": ["prod/*"]}
ISSUER = {"name": "ci", "url": "https://ci.example", "audience": ["tfaudit"]}
WORKSPACE = {"name": "prod/network", "environment": "production", "require_lock": True}
SINK: dict[str, Any] = {
    "name": "siem",
    "type": sample_sink.TYPE,
    "options": {"url": "https://siem.example", "size": 10},
    "filter": {"event": ["state.written"]},
    "start": 0,
}
KINDS: dict[str, dict[str, Any]] = {
    "principal": ALICE,
    "grant": GRANT,
    "issuer": ISSUER,
    "workspace": WORKSPACE,
    "sink": SINK,
}


@pytest.fixture(autouse=True)
def _type(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_sink.install(monkeypatch)


async def call(
    face: Face, method: str, path: str, body: object = None, role: Role = Role.ADMIN
) -> Answer:
    """Ask the API as an administrator; a body goes as JSON."""
    content = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    return await face.ask(method, f"/api/v1/{path}", content, role=role, headers=headers)


async def made(face: Face, kind: str) -> dict[str, Any]:
    """Make the object of KINDS, and what it needs; return the answer."""
    if kind == "grant":
        await call(face, "POST", "principals", ALICE)
    answer = await call(face, "POST", f"{kind}s", KINDS[kind])
    assert 201 == answer.status, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    assert f"/api/v1/{kind}s/{found['name']}" == answer.headers["location"]
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_an_object_is_made_shown_changed_and_deleted(face: Face, kind: str) -> None:
    """By name or ID; each change is an entry, what is only shown is none."""
    found = await made(face, kind)
    assert KINDS[kind].items() <= found.items()
    path = f"{kind}s/{found['name']}"
    for reference in (path, f"{kind}s/{found['id']}"):
        answer = await call(face, "GET", reference)
        assert (200, found, None) == (answer.status, json.loads(answer.body), answer.index)
    listed = json.loads((await call(face, "GET", f"{kind}s")).body)
    assert {"items": [found], "next": None} == listed
    field, value = ("deny", True) if kind == "grant" else ("description", "changed")
    changed = await call(face, "PATCH", path, {field: value})
    after = {**found, field: value}
    after["updated"] = json.loads(changed.body)["updated"]
    assert (200, after) == (changed.status, json.loads(changed.body))
    entry = await face.last()
    assert (f"{kind}.updated", value) == (entry["event"], entry["object"]["after"][field])
    if kind == "workspace":
        return  # its deletion is another thing: see test_workspaces
    gone = await call(face, "DELETE", path)
    assert (200, after) == (gone.status, json.loads(gone.body))
    assert 404 == (await call(face, "GET", path)).status
    events = [each["event"] for each in await face.log()]
    expected = [f"{kind}.{past}" for past in ("created", "updated", "deleted")]
    assert expected == [event for event in events if event.startswith(f"{kind}.")]


async def test_null_puts_a_field_back_to_its_default(face: Face) -> None:
    """As in a JSON merge patch (RFC 7396); what must be given can't be taken away."""
    await made(face, "principal")
    answer = await call(face, "PATCH", "principals/alice", {"kind": None, "description": None})
    told = json.loads(answer.body)
    assert ("service", "") == (told["kind"], told["description"])
    await call(face, "POST", "grants", GRANT)
    refused = await call(face, "PATCH", "grants/g", {"role": None})
    assert (400, "role") == (refused.status, json.loads(refused.body)["field"])


async def test_what_changes_nothing_is_no_entry(face: Face) -> None:
    """And says so by having no index."""
    before = await made(face, "principal")
    entries = len(await face.log())
    answer = await call(face, "PATCH", "principals/alice", {"kind": "person"})
    assert (200, before, None) == (answer.status, json.loads(answer.body), answer.index)
    assert entries == len(await face.log())


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("principals", {**ALICE, "pasword": "x"}, "pasword"),
        ("principals", {**ALICE, "name": "a b"}, "name"),
        ("principals", {**ALICE, "name": "tfa_x"}, "name"),
        ("principals", {"kind": "person"}, "name"),
        ("grants", {**GRANT, "role": "king"}, "role"),
        ("grants", {**GRANT, "workspaces": ["ok", "not ok"]}, "workspaces[1]"),
        ("issuers", {**ISSUER, "algorithms": ["none"]}, "algorithms[0]"),
        ("issuers", {**ISSUER, "url": "file:///etc"}, "url"),
        ("workspaces", {**WORKSPACE, "deleted": "2026-11-22T10:00:00.000000Z"}, "deleted"),
        ("workspaces", {**WORKSPACE, "purged": True}, "purged"),
        ("workspaces", {**WORKSPACE, "body_limit": 0}, "body_limit"),
        ("sinks", {**SINK, "managed": "configuration"}, "managed"),
        ("sinks", {**SINK, "type": "smaple"}, "type"),
        ("sinks", {**SINK, "start": -1}, "start"),
        ("sinks", {**SINK, "options": []}, "options"),
        ("sinks", {**SINK, "options": {"url": "https://s.example", "size": "x"}}, "options.size"),
        ("sinks", {**SINK, "options": {"url": "https://s.example?key=x"}}, "options.url"),
    ],
)
async def test_a_field_that_can_not_be_is_named(
    face: Face, path: str, body: dict[str, Any], field: str
) -> None:
    """In the problem; what a deletion sets can't be set by hand."""
    answer = await call(face, "POST", path, body)
    assert (400, field) == (answer.status, json.loads(answer.body)["field"])
    assert answer.index is not None


async def test_a_pattern_is_told_in_words(face: Face) -> None:
    """No one has to read a regular expression."""
    answer = await call(face, "POST", "principals", {"name": "a b"})
    assert "letters, digits and any of '._@+-'" in json.loads(answer.body)["detail"]


async def test_a_name_can_not_be_changed(face: Face) -> None:
    """Grants refer to it."""
    await made(face, "principal")
    answer = await call(face, "PATCH", "principals/alice", {"name": "bob"})
    assert (400, "name") == (answer.status, json.loads(answer.body)["field"])


async def test_what_depends_on_another_is_a_conflict(face: Face) -> None:
    """A principal does not go while something is granted to it."""
    await made(face, "grant")
    answer = await call(face, "DELETE", "principals/alice")
    assert (409, "urn:tfaudit:problem:conflict") == (answer.status, json.loads(answer.body)["type"])


async def test_pages_neither_repeat_nor_leave_out(face: Face) -> None:
    """Also when something is made and taken away between two of them."""
    for number in range(7):
        await call(face, "POST", "principals", {"name": f"p{number}"})
    first = json.loads((await call(face, "GET", "principals?limit=3")).body)
    assert ["p0", "p1", "p2"] == [each["name"] for each in first["items"]]
    await call(face, "POST", "principals", {"name": "a-first-one"})
    await call(face, "DELETE", "principals/p2")
    path = f"principals?limit=3&cursor={first['next']}"
    second = json.loads((await call(face, "GET", path)).body)
    assert ["p3", "p4", "p5"] == [each["name"] for each in second["items"]]
    path = f"principals?limit=3&cursor={second['next']}"
    third = json.loads((await call(face, "GET", path)).body)
    assert (["p6"], None) == ([each["name"] for each in third["items"]], third["next"])


async def test_whoever_was_an_administrator_is_told_nothing_more(face: Face) -> None:
    """The directory is told in the transaction that finds the token still in force."""
    token = await face.token(Role.ADMIN)
    service = face.program.directory
    caller = None

    original = service.list

    async def late(who: Any, kind: str) -> Any:
        nonlocal caller
        caller = who
        await face.program.admin.revoke_token(who, "admin")
        return await original(who, kind)

    object.__setattr__(service, "list", late)
    answer = await face.ask("GET", "/api/v1/principals", token=token)
    assert caller is not None
    assert 401 == answer.status


async def test_whoami_answers_whoever_is_known(face: Face) -> None:
    """Identity, grants, and what is allowed on a workspace; no entry is made of it."""
    answer = await call(face, "GET", "whoami?workspace=prod/web", role=Role.READER)
    told = json.loads(answer.body)
    assert (200, "token", "reader", ["reader"]) == (
        answer.status,
        told["kind"],
        told["name"],
        told["roles"],
    )
    assert ["state:read"] == [each["permission"] for each in told["permissions"] if each["allowed"]]
    assert [] == await face.log()
    assert 400 == (await call(face, "GET", "whoami?workspace=a//b", role=Role.READER)).status
    assert 401 == (await face.ask("GET", "/api/v1/whoami", role=None)).status
