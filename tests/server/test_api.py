"""Tests of proxy.server.api."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientError
from multidict import MultiDict

from proxy.access import Role
from proxy.audit_log import draft
from proxy.auth.authenticator import Authenticator
from proxy.auth.presented import Presented
from proxy.contracts import LogQuery, StoredRecord, Transaction
from proxy.errors import InvalidInputError, UnavailableError
from proxy.server.api import MAX_BODY, parse_log_query
from tests.fakes import FakeStore, Fault, a_caller
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
    assert ["admin", "ci"] == [token["name"] for token in (await response.json())["tokens"]]
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
    ("body", "reason"),
    [
        (b"", "the body is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"{", "the body is not JSON"),
        (json.dumps({**WISH, "rolle": "x"}).encode(), "the key 'rolle' is not known"),
        (json.dumps({**WISH, "name": 1}).encode(), "name and role must be texts"),
        (json.dumps({"name": "x"}).encode(), "name and role must be texts"),
        (json.dumps({**WISH, "workspaces": "*"}).encode(), "must be a list of globs"),
        (json.dumps({**WISH, "workspaces": [1]}).encode(), "must be a list of globs"),
        (json.dumps({**WISH, "expires_in": "1d"}).encode(), "whole number of seconds"),
        (json.dumps({**WISH, "expires_in": True}).encode(), "whole number of seconds"),
        (json.dumps({**WISH, "expires_in": 1.5}).encode(), "whole number of seconds"),
        (json.dumps({**WISH, "expires_in": 2**62}).encode(), "too many seconds"),
        (json.dumps({**WISH, "role": "owner"}).encode(), "there is no role 'owner'"),
    ],
)
async def test_a_wish_that_cannot_be_read_is_refused(
    client: Client, store: FakeStore, admin: dict[str, str], body: bytes, reason: str
) -> None:
    """Each mistake is a 400 that names it, and no token is made."""
    headers = {**admin, "Content-Type": "application/json"}
    response = await client.post("/api/v1/tokens", data=body, headers=headers)
    assert 400 == response.status
    assert reason in (await response.json())["error"]
    assert 1 == len(await store.tokens())


async def test_a_wish_too_long_is_refused(
    client: Client, store: FakeStore, admin: dict[str, str]
) -> None:
    """413 with the limit."""
    headers = {**admin, "Content-Type": "application/json"}
    wish = b" " * (MAX_BODY + 1)
    response = await client.post("/api/v1/tokens", data=wish, headers=headers)
    assert 413 == response.status
    assert "65537 bytes" in (await response.json())["error"]
    assert 1 == len(await store.tokens())


async def test_a_form_of_another_site_is_refused(client: Client, admin: dict[str, str]) -> None:
    """A browser sends plain text across sites without asking; that makes no token."""
    headers = {**admin, "Content-Type": "text/plain"}
    response = await client.post("/api/v1/tokens", data=json.dumps(WISH), headers=headers)
    assert 400 == response.status


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


async def fill(store: FakeStore, count: int) -> None:
    """Append entries of two workspaces in turn."""

    def job(tx: Transaction) -> None:
        for number in range(count):
            place = "prod/web" if number % 2 else "dev"
            tx.append(draft("state.read", "success", "read", a_caller(), 200, workspace=place))

    await store.write(job)


async def test_the_log_streams_as_one_object_a_line(
    client: Client, store: FakeStore, admin: dict[str, str]
) -> None:
    """Every committed entry comes, the reading itself included, with what proves it."""
    await fill(store, 300)
    response = await client.get("/api/v1/log", headers=admin)
    assert (200, "application/x-ndjson", "300") == (
        response.status,
        response.content_type,
        response.headers["Audit-Index"],
    )
    lines = [json.loads(line) for line in (await response.text()).splitlines()]
    assert list(range(301)) == [line["index"] for line in lines]
    assert store.log == [line["entry"] for line in lines]
    assert ["index", "entry", "leaf_hash", "signature"] == list(lines[0])


async def test_filters_narrow_the_log(
    client: Client, store: FakeStore, admin: dict[str, str]
) -> None:
    """The parameters are those of the query, and stand in the entry of the reading."""
    await fill(store, 10)
    parameters = {"workspace": "prod/*", "limit": "2", "newest_first": "true"}
    response = await client.get("/api/v1/log", params=parameters, headers=admin)
    indices = [json.loads(line)["index"] for line in (await response.text()).splitlines()]
    assert [9, 7] == indices
    assert {"workspace": "prod/*", "limit": 2, "newest_first": True} == store.log[-1]["query"]


async def test_an_auditor_of_some_workspaces_sees_only_those(
    client: Client, store: FakeStore
) -> None:
    """The token's globs hold also when the parameters ask for more."""
    await fill(store, 10)
    headers = {"Authorization": await token_of(store, Role.AUDITOR, ("prod/*",))}
    response = await client.get("/api/v1/log?workspace=*", headers=headers)
    places = [json.loads(line)["entry"]["workspace"] for line in (await response.text()).split()]
    assert {"prod/web"} == set(places)


async def test_an_empty_answer_is_an_answer(client: Client, admin: dict[str, str]) -> None:
    """Nothing that matches is 200 with an empty body."""
    response = await client.get("/api/v1/log?event=state.*", headers=admin)
    assert (200, "") == (response.status, await response.text())


async def test_a_reading_that_cannot_be_recorded_shows_nothing(
    client: Client, store: FakeStore, admin: dict[str, str]
) -> None:
    """When the entry can't be committed the answer is 503 without a line."""
    await fill(store, 10)
    store.fault = Fault.NOT_PERSISTED
    response = await client.get("/api/v1/log", headers=admin)
    assert 503 == response.status
    assert "state.read" not in await response.text()


async def test_the_stream_carries_the_id_of_its_request(
    client: Client, admin: dict[str, str]
) -> None:
    """A stream has the header that every answer has."""
    response = await client.get("/api/v1/log", headers=admin)
    assert "test-1" == response.headers["Request-Id"]


async def test_a_stream_that_fails_half_way_breaks_off(
    client: Client,
    store: FakeStore,
    admin: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Missing lines must not look like the end of the log."""
    await fill(store, 200)
    complete = store.entries

    async def failing(query: LogQuery) -> AsyncIterator[StoredRecord]:
        async for stored in complete(query):
            yield stored
        raise UnavailableError("the disk failed")

    monkeypatch.setattr(store, "entries", failing)
    with pytest.raises(ClientError):
        await (await client.get("/api/v1/log", headers=admin)).read()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("evnt=x", "the parameter 'evnt' is not known: there are workspace, event"),
        ("workspaces=*", "the parameter 'workspaces' is not known"),
        ("event=a&event=b", "the parameter event is given more than once"),
        ("event=", "the parameter event is empty"),
        ("limit=-1", "limit must be a whole number"),
        ("limit=0", "at least 1"),
        ("after=x", "after must be a whole number"),
        ("after=99999999999999999999", "after must be a whole number"),
        ("newest_first=1", "newest_first must be true or false"),
        ("since=yesterday", "since: 'yesterday' is not an RFC 3339 time"),
        ("since=2026-11-22T10:00:00", "has no offset"),
        ("until=2026-11-22T10:00:00+01:00", "write + as %2B"),
        ("outcome=ok", "there is no outcome 'ok'"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_named(
    client: Client, store: FakeStore, admin: dict[str, str], query: str, reason: str
) -> None:
    """A typing error is a 400 that says what would be right, never an empty log."""
    response = await client.get(f"/api/v1/log?{query}", headers=admin)
    assert 400 == response.status
    assert reason in (await response.json())["error"]
    assert [("access.denied", "error")] == [(e["event"], e["outcome"]) for e in store.log]


async def test_the_list_of_tokens_takes_no_parameters(
    client: Client, admin: dict[str, str]
) -> None:
    """A filter that does not exist is refused instead of passed over."""
    response = await client.get("/api/v1/tokens?role=admin", headers=admin)
    assert 400 == response.status


def test_times_are_taken_to_utc() -> None:
    """Whatever offset a client uses, entries are compared in UTC with microseconds."""
    expected = LogQuery(since="2026-11-22T09:00:00.000000Z", after=3)
    assert expected == parse_log_query({"since": "2026-11-22T10:00:00+01:00", "after": "3"})


def test_a_parameter_given_twice_is_found_in_a_multidict() -> None:
    """The second value must not silently win or lose."""
    with pytest.raises(InvalidInputError, match="more than once"):
        parse_log_query(MultiDict([("event", "a"), ("event", "a")]))
