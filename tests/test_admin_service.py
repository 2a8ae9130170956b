"""Tests of proxy.admin_service."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy import tokens
from proxy.access import Caller, Principal, Role, rights_of
from proxy.admin_service import AdminService
from proxy.auth.authenticator import Authenticator
from proxy.auth.presented import Presented
from proxy.contracts import LogQuery, StoredRecord
from proxy.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from proxy.tlog.entry import check
from tests.fakes import FakeStore, Fault, a_caller

SYSTEM = a_caller()._replace(principal=Principal("system", "cli", "root", rights_of(Role.ADMIN)))
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def store() -> FakeStore:
    """Return an empty store."""
    return FakeStore()


@pytest.fixture
def admin(store: FakeStore) -> AdminService:
    """Return the service on the store; its random bytes differ from call to call."""
    calls = iter(range(1, 1000))
    return AdminService(store, lambda: NOW, lambda size: bytes([next(calls)]) * size)


async def taken(records: AsyncIterator[StoredRecord]) -> list[int]:
    """Return the indices of all records."""
    return [stored.record.index async for stored in records]


async def test_a_new_token_is_kept_as_its_digest_and_recorded(
    store: FakeStore, admin: AdminService
) -> None:
    """The store knows the token by digest; the entry tells all about it but the token."""
    minted = await admin.create_token(a_caller(), "ci", "writer", ["prod/*", "prod/*"], YEAR)
    assert minted.token == store.token_by_digest(tokens.digest(minted.text))
    assert ("ci", "writer", ("prod/*",), minted.text[-6:], "2027-11-22T10:00:00.000000Z") == (
        minted.token.name,
        minted.token.role,
        minted.token.workspaces,
        minted.token.hint,
        minted.token.expires,
    )
    (entry,) = store.log
    assert ("token.created", "success", 0) == (entry["event"], entry["outcome"], minted.index)
    assert {
        "id": minted.token.id,
        "name": "ci",
        "role": "writer",
        "workspaces": ["prod/*"],
        "hint": minted.text[-6:],
        "expires": "2027-11-22T10:00:00.000000Z",
        "principal": None,
        "sha256": tokens.digest(minted.text).hex(),
    } == entry["token"]
    assert minted.text not in str(store.log)
    assert minted.text not in repr(minted)
    check(entry)


async def test_a_new_token_works(store: FakeStore, admin: AdminService) -> None:
    """Who sends it is known by its name and role."""
    minted = await admin.create_token(a_caller(), "ci", Role.READER, ["*"], None)
    presented = Presented(f"Bearer {minted.text}")
    known = await Authenticator(store, lambda: NOW).identify(presented)
    assert ("ci", "reader") == (known.name, known.rights.roles())


async def test_a_token_that_is_in_force_keeps_its_name(
    store: FakeStore, admin: AdminService
) -> None:
    """A second token of the name is a recorded conflict; after revocation the name is free."""
    await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    with pytest.raises(ConflictError, match="a token named ci is in force") as caught:
        await admin.create_token(a_caller(), "ci", "admin", ["*"], None)
    assert 1 == caught.value.audit_index
    assert ("token.created", "conflict", 409) == (
        store.log[1]["event"],
        store.log[1]["outcome"],
        store.log[1]["request"]["status"],
    )
    assert ["reader"] == [token.role for token in await admin.list_tokens(SYSTEM)]
    await admin.revoke_token(a_caller(), "ci")
    await admin.create_token(a_caller(), "ci", "admin", ["*"], None)


@pytest.mark.parametrize(
    ("name", "role", "workspaces", "expires_in", "reason"),
    [
        ("", "reader", ["*"], None, "name must be"),
        ("a b", "reader", ["*"], None, "name must be"),
        ("a/b", "reader", ["*"], None, "name must be"),
        ("-a", "reader", ["*"], None, "name must be"),
        ("a\n", "reader", ["*"], None, "name must be"),
        ("\u00e4", "reader", ["*"], None, "name must be"),
        ("a" * 101, "reader", ["*"], None, "at most 100"),
        ("01930000-0000-7000-8000-000000000000", "reader", ["*"], None, "look like an ID"),
        ("tfa_x", "reader", ["*"], None, "like a token"),
        ("a", "owner", ["*"], None, "choose one of admin, operator, writer"),
        ("a", "reader", [], None, "at least one workspace glob"),
        ("a", "reader", [""], None, "no workspace glob"),
        ("a", "reader", ["prod", "a b"], None, "'a b' is no workspace glob"),
        ("a", "reader", ["[a-z]"], None, "no workspace glob"),
        ("a", "reader", ["prod/"], None, "no name begins or ends with '/'"),
        ("a", "reader", ["/prod"], None, "no workspace glob"),
        ("a", "reader", ["a//*"], None, "no workspace glob"),
        ("a", "reader", ["a" * 256], None, "no workspace glob"),
        ("a", "reader", [str(n) for n in range(101)], None, "at most 100 workspace globs"),
        ("a", "reader", ["*"], timedelta(0), "longer than no time"),
        ("a", "reader", ["*"], -YEAR, "longer than no time"),
        ("a", "reader", ["*"], timedelta.max, "a hundred years"),
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(
    store: FakeStore,
    admin: AdminService,
    *,
    name: str,
    role: str,
    workspaces: list[str],
    expires_in: timedelta | None,
    reason: str,
) -> None:
    """Each value that can't be used is told, and nothing is stored."""
    with pytest.raises(InvalidInputError, match=reason):
        await admin.create_token(a_caller(), name, role, workspaces, expires_in)
    assert [] == await store.tokens()


async def test_a_token_that_was_revoked_meanwhile_lists_nothing(admin: AdminService) -> None:
    """Between the look at the credentials and the answer; no entry would have found out."""
    minted = await admin.create_token(SYSTEM, "root", "admin", ["*"], None)
    of_token = Principal("token", minted.token.id, "root", rights_of(Role.ADMIN))
    caller = a_caller()._replace(principal=of_token)
    assert ["root"] == [token.name for token in await admin.list_tokens(caller)]
    await admin.revoke_token(SYSTEM, "root")
    with pytest.raises(UnauthenticatedError, match="unknown or revoked"):
        await admin.list_tokens(caller)


async def test_revocation_by_name_and_by_id_is_recorded(
    store: FakeStore, admin: AdminService
) -> None:
    """A revoked token stays in the list with the moment of its end."""
    for by in ("name", "id"):
        minted = await admin.create_token(a_caller(), f"by-{by}", "reader", ["*"], None)
        done = await admin.revoke_token(a_caller(), getattr(minted.token, by))
        assert ("token.revoked", "success", f"by-{by}") == (
            store.log[-1]["event"],
            store.log[-1]["outcome"],
            store.log[-1]["token"]["name"],
        )
        assert done.value.revoked is not None
        assert done.value == (await store.tokens())[-1]
        assert len(store.log) - 1 == done.index


async def test_a_token_that_is_not_in_force_is_not_found(
    store: FakeStore, admin: AdminService
) -> None:
    """Unknown and revoked tokens can't be revoked; the attempt is on record."""
    minted = await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    await admin.revoke_token(a_caller(), "ci")
    for reference in ("ci", minted.token.id, "nobody"):
        with pytest.raises(NotFoundError, match=f"name or ID {reference}") as caught:
            await admin.revoke_token(a_caller(), reference)
        assert len(store.log) - 1 == caught.value.audit_index
        assert ("token.revoked", "error") == (store.log[-1]["event"], store.log[-1]["outcome"])


async def test_a_token_in_the_place_of_its_name_stays_out_of_the_record(
    store: FakeStore, admin: AdminService
) -> None:
    """Whoever revokes by the token itself is refused without repeating it."""
    minted = await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    with pytest.raises(NotFoundError) as caught:
        await admin.revoke_token(a_caller(), minted.text)
    assert minted.text not in str(caught.value) + str(store.log)


@pytest.mark.parametrize(
    "caller",
    [
        a_caller(Role.WRITER),
        a_caller(Role.READER),
        a_caller(Role.AUDITOR),
        a_caller(None),
        a_caller(Role.ADMIN, workspaces=("prod/*",)),
    ],
)
@pytest.mark.parametrize(
    "act",
    [
        lambda admin, caller: admin.create_token(caller, "x", "admin", ["*"], None),
        lambda admin, caller: admin.list_tokens(caller),
        lambda admin, caller: admin.revoke_token(caller, "victim"),
    ],
)
async def test_only_an_administrator_of_everything_administers_tokens(
    store: FakeStore,
    admin: AdminService,
    caller: Caller,
    act: Callable[[AdminService, Caller], Coroutine[Any, Any, object]],
) -> None:
    """Others are refused on record, also who could give the rest of the rights to themselves."""
    await admin.create_token(a_caller(), "victim", "reader", ["*"], None)
    with pytest.raises(ForbiddenError) as caught:
        await act(admin, caller)
    entry = store.log[1]
    assert ("access.denied", "denied", "administer", 1) == (
        entry["event"],
        entry["outcome"],
        entry["permission"],
        caught.value.audit_index,
    )
    assert ["victim"] == [token.name for token in await store.tokens() if token.revoked is None]


async def test_reading_the_log_is_an_entry_before_it_is_an_answer(
    store: FakeStore, admin: AdminService
) -> None:
    """The reading is on record with its filters, and stands in what it returns."""
    await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    query = LogQuery(event="*", after=0, newest_first=True)
    opened = await admin.open_log(a_caller(Role.AUDITOR), query)
    assert 1 == opened.index
    assert ("audit.read", {"event": "*", "after": 0, "newest_first": True}) == (
        store.log[1]["event"],
        store.log[1]["query"],
    )
    assert [1] == await taken(opened.records)


async def test_a_reading_by_claims_says_which(store: FakeStore, admin: AdminService) -> None:
    """As they are written on the command line."""
    claims = (("repository", "acme/infra"), ("ref", "main"))
    await admin.open_log(a_caller(), LogQuery(claims=claims, outcome="denied"))
    assert store.log[0]["message"].endswith(
        "read the log: outcome denied, claim repository=acme/infra, claim ref=main"
    )


async def test_reading_as_an_iterator_records_once(store: FakeStore, admin: AdminService) -> None:
    """read_log records when the first entry is asked for, not for each of them."""
    await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    records = admin.read_log(a_caller(), LogQuery())
    assert 1 == len(store.log)
    assert [0, 1] == await taken(records)
    assert 2 == len(store.log)


async def test_a_reader_of_some_workspaces_sees_only_those(
    store: FakeStore, admin: AdminService
) -> None:
    """The limits of the reader's token narrow whatever the query asks for."""
    await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    caller = a_caller(Role.AUDITOR, workspaces=("prod/*",))
    assert [] == await taken(admin.read_log(caller, LogQuery()))
    assert 2 == len(store.log)


@pytest.mark.parametrize("role", [Role.WRITER, Role.READER, None])
async def test_others_do_not_read_the_log(
    store: FakeStore, admin: AdminService, role: Role | None
) -> None:
    """Only administrators and auditors read; the attempt is on record."""
    with pytest.raises(ForbiddenError):
        await admin.open_log(a_caller(role), LogQuery())
    assert ["access.denied"] == [entry["event"] for entry in store.log]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (LogQuery(outcome="ok"), "choose one of success, denied, conflict, error"),
        (LogQuery(event="state.raed"), "did you mean state.read?"),
        (LogQuery(event="*.nothing"), "no event matches"),
        (LogQuery(limit=0), "at least 1"),
    ],
)
async def test_a_query_that_can_match_nothing_is_refused(
    admin: AdminService, query: LogQuery, reason: str
) -> None:
    """A typing error must not look like an empty log."""
    with pytest.raises(InvalidInputError, match=reason):
        await admin.open_log(a_caller(), query)


async def test_nothing_is_done_or_read_when_it_cannot_be_recorded(
    store: FakeStore, admin: AdminService
) -> None:
    """A store that does not persist gives no token, revokes none and shows no log."""
    await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    store.fault = Fault.NOT_PERSISTED
    with pytest.raises(UnavailableError):
        await admin.create_token(a_caller(), "other", "reader", ["*"], None)
    with pytest.raises(UnavailableError):
        await admin.revoke_token(a_caller(), "ci")
    with pytest.raises(UnavailableError):
        await taken(admin.read_log(a_caller(), LogQuery()))
    assert [("ci", None)] == [(token.name, token.revoked) for token in await store.tokens()]
    assert 1 == len(store.log)


async def test_a_lost_answer_leaves_effect_and_entry_together(
    store: FakeStore, admin: AdminService
) -> None:
    """When the commit landed but the answer got lost, a second try tells what happened."""
    store.fault = Fault.ANSWER_LOST
    with pytest.raises(UnavailableError):
        await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    store.fault = None
    with pytest.raises(ConflictError):
        await admin.create_token(a_caller(), "ci", "reader", ["*"], None)
    assert ["success", "conflict"] == [entry["outcome"] for entry in store.log]
