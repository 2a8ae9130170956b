"""Tests of proxy.server.api_log."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientError
from multidict import MultiDict

from proxy.access import Role
from proxy.audit_log import draft
from proxy.contracts import LogQuery, StoredRecord, Transaction
from proxy.errors import InvalidInputError, UnavailableError
from proxy.server.api_log import parse_log_query
from tests.fakes import FakeStore, Fault, a_caller
from tests.server.faces import Client, Serve, api_app, token_of


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
        ("limit=0", "limit: Expected int >= 1"),
        ("after=x", "after must be a whole number"),
        ("after=99999999999999999999", "after must be a whole number"),
        ("newest_first=1", "newest_first must be true or false"),
        ("since=yesterday", "since: 'yesterday' is not an RFC 3339 time"),
        ("since=2026-11-22T10:00:00", "has no offset"),
        ("until=2026-11-22T10:00:00+01:00", "write + as %2B"),
        ("outcome=ok", "outcome: Invalid enum value 'ok': choose one of"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_named(
    client: Client, store: FakeStore, admin: dict[str, str], query: str, reason: str
) -> None:
    """A typing error is a 400 that says what would be right, never an empty log."""
    response = await client.get(f"/api/v1/log?{query}", headers=admin)
    assert 400 == response.status
    assert reason in (await response.json())["detail"]
    assert [("access.denied", "error")] == [(e["event"], e["outcome"]) for e in store.log]


def test_times_are_taken_to_utc() -> None:
    """Whatever offset a client uses, entries are compared in UTC with microseconds."""
    expected = LogQuery(since="2026-11-22T09:00:00.000000Z", after=3)
    assert expected == parse_log_query({"since": "2026-11-22T10:00:00+01:00", "after": "3"})


def test_a_parameter_given_twice_is_found_in_a_multidict() -> None:
    """The second value must not silently win or lose."""
    with pytest.raises(InvalidInputError, match="more than once"):
        parse_log_query(MultiDict([("event", "a"), ("event", "a")]))
