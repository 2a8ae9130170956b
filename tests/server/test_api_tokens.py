"""Tests of proxy.server.api_tokens."""

import json
from typing import Any

import pytest

from proxy.access import Role
from proxy.auth.authenticator import Authenticator
from proxy.auth.presented import Presented
from proxy.server.requests import MAX_BODY
from tests.fakes import FakeStore
from tests.server.faces import NOW, Client, Serve, api_app, token_of

WISH = {"name": "ci", "role": "writer", "workspaces": ["prod/*"], "expires_in": 3600}


@pytest.fixture
def store() -> FakeStore:
    """Return an empty store."""
    return FakeStore()


@pytest.fixture
async def client(store: FakeStore, aiohttp_client: Serve) -> Client:
    """Return a client of the server."""
    return await aiohttp_client(api_app(store))


@pytest.fixture
async def admin(store: FakeStore) -> dict[str, str]:
    """Return an administrator's headers."""
    return {"Authorization": await token_of(store, Role.ADMIN)}


async def created(client: Client, headers: dict[str, str], **wish: object) -> dict[str, Any]:
    """Make a token and return the answer."""
    response = await client.post("/api/v1/tokens", json={**WISH, **wish}, headers=headers)
    assert 201 == response.status, await response.text()
    answer: dict[str, Any] = await response.json()
    return answer


async def test_a_token_is_made_and_works(
    client: Client, store: FakeStore, admin: dict[str, str]
) -> None:
    """The answer holds the token once, and the index of its entry."""
    response = await client.post("/api/v1/tokens", json=WISH, headers=admin)
    answer = await response.json()
    assert (201, "0", "no-store") == (
        response.status,
        response.headers["Audit-Index"],
        response.headers["Cache-Control"],
    )
    assert ("ci", "writer", ["prod/*"], "2026-11-22T11:00:00.000000Z") == (
        answer["name"],
        answer["role"],
        answer["workspaces"],
        answer["expires"],
    )
    presented = Presented(f"Bearer {answer['token']}")
    known = await Authenticator(store, lambda: NOW).identify(presented)
    assert answer["id"] == known.id
    assert "api" == store.log[0]["request"]["via"]


async def test_without_an_end_a_token_has_no_expiry(client: Client, admin: dict[str, str]) -> None:
    """An absent or null expires_in never expires."""
    assert (await created(client, admin, expires_in=None))["expires"] is None


async def test_tokens_are_listed_without_their_text(client: Client, admin: dict[str, str]) -> None:
    """The list tells all about the tokens but what they are."""
    made = await created(client, admin)
    response = await client.get("/api/v1/tokens", headers=admin)
    shown = (await response.json())["items"]
    assert {"admin", "ci"} == {token["name"] for token in shown}
    assert made["token"] not in await response.text()


@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_token_is_revoked(client: Client, admin: dict[str, str], by: str) -> None:
    """From then on the token is refused, and a second revocation finds nothing."""
    made = await created(client, admin)
    response = await client.delete(f"/api/v1/tokens/{made[by]}", headers=admin)
    assert (200, "1") == (response.status, response.headers["Audit-Index"])
    assert (await response.json())["revoked"] is not None
    refused = await client.get("/api/v1/log", headers={"Authorization": f"Bearer {made['token']}"})
    assert 401 == refused.status
    again = await client.delete(f"/api/v1/tokens/{made[by]}", headers=admin)
    assert (404, "3") == (again.status, again.headers["Audit-Index"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ("the token is not JSON", None)),
        (b"[]", ("token: must be an object", None)),
        (b"{", ("the token is not JSON", None)),
        (b"\xff", ("the token is not JSON", None)),
        (json.dumps({**WISH, "rolle": "x"}).encode(), ("did you mean role?", "rolle")),
        (json.dumps({**WISH, "name": 1}).encode(), ("name: must be a text", "name")),
        (json.dumps({"name": "x"}).encode(), ("the field workspaces is missing", "workspaces")),
        (json.dumps({**WISH, "workspaces": "*"}).encode(), ("is a text", "workspaces")),
        (json.dumps({**WISH, "workspaces": [1]}).encode(), ("is a whole number", "workspaces[0]")),
        (json.dumps({**WISH, "expires_in": "1d"}).encode(), ("is a text", "expires_in")),
        (json.dumps({**WISH, "expires_in": True}).encode(), ("is true or false", "expires_in")),
        (json.dumps({**WISH, "expires_in": 1.5}).encode(), ("is a number", "expires_in")),
        (json.dumps({**WISH, "expires_in": 2**62}).encode(), ("<= 3155760000", "expires_in")),
        (json.dumps({**WISH, "role": "owner"}).encode(), ("choose one of admin, op", "role")),
        (json.dumps({**WISH, "role": None}).encode(), ("there is no role ''", None)),
    ],
)
async def test_a_wish_that_cannot_be_read_is_refused(
    client: Client,
    store: FakeStore,
    admin: dict[str, str],
    body: bytes,
    expected: tuple[str, str | None],
) -> None:
    """Each mistake is a 400 that names it, and no token is made."""
    headers = {**admin, "Content-Type": "application/json"}
    response = await client.post("/api/v1/tokens", data=body, headers=headers)
    assert 400 == response.status
    problem = await response.json()
    reason, field = expected
    assert reason in problem["detail"]
    assert field == problem.get("field")
    assert 1 == len(await store.tokens())


async def test_a_wish_too_long_is_refused(
    client: Client, store: FakeStore, admin: dict[str, str]
) -> None:
    """413 with the limit."""
    headers = {**admin, "Content-Type": "application/json"}
    wish = b" " * (MAX_BODY + 1)
    response = await client.post("/api/v1/tokens", data=wish, headers=headers)
    assert 413 == response.status
    assert "65537 bytes" in (await response.json())["detail"]
    assert 1 == len(await store.tokens())


async def test_a_form_of_another_site_is_refused(client: Client, admin: dict[str, str]) -> None:
    """A browser sends plain text across sites without asking; that makes no token."""
    headers = {**admin, "Content-Type": "text/plain"}
    response = await client.post("/api/v1/tokens", data=json.dumps(WISH), headers=headers)
    assert 415 == response.status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/tokens"),
        ("POST", "/api/v1/tokens"),
        ("DELETE", "/api/v1/tokens/admin"),
        ("GET", "/api/v1/log"),
    ],
)
async def test_nothing_is_told_or_done_without_a_token(
    client: Client, store: FakeStore, method: str, path: str
) -> None:
    """Each address asks for credentials, on record."""
    response = await client.request(method, path, json=WISH)
    assert 401 == response.status
    assert ["auth.failed"] == [entry["event"] for entry in store.log]


@pytest.mark.parametrize("role", [Role.WRITER, Role.READER, Role.AUDITOR])
async def test_only_administrators_administer(client: Client, store: FakeStore, role: Role) -> None:
    """Others get 403 with the index of the entry that records it."""
    headers = {"Authorization": await token_of(store, role)}
    for number, (method, path) in enumerate(
        [("GET", "/api/v1/tokens"), ("POST", "/api/v1/tokens"), ("DELETE", "/api/v1/tokens/x")]
    ):
        response = await client.request(method, path, json=WISH, headers=headers)
        assert (403, str(number)) == (response.status, response.headers["Audit-Index"])
    assert {"access.denied"} == {entry["event"] for entry in store.log}


async def test_the_list_of_tokens_takes_no_other_parameters(
    client: Client, admin: dict[str, str]
) -> None:
    """A filter that does not exist is refused instead of passed over."""
    response = await client.get("/api/v1/tokens?role=admin", headers=admin)
    assert 400 == response.status


async def test_a_token_is_shown_by_id_or_name(client: Client, admin: dict[str, str]) -> None:
    """As the list shows it; one that there is not is 404."""
    made = await created(client, admin)
    text = made.pop("token")
    for reference in (made["id"], "ci"):
        response = await client.get(f"/api/v1/tokens/{reference}", headers=admin)
        assert made == await response.json()
        assert text not in await response.text()
    assert 404 == (await client.get("/api/v1/tokens/none", headers=admin)).status
