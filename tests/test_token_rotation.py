"""Tests of proxy.admin_service: tokens that take the place of others, and how they end."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy import tokens
from proxy.access import Role
from proxy.admin_service import MAX_PREDECESSORS, AdminService
from proxy.auth.authenticator import Authenticator
from proxy.auth.presented import Presented, RevokedTokenError, TokenExpiredError
from proxy.contracts import StoredToken
from proxy.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from tests.documents import check_entries
from tests.fakes import FakeStore, Fault, a_caller

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Now:
    """The present, which a test moves."""

    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> datetime:
        """Return it."""
        return self.moment


@pytest.fixture
def now() -> Now:
    """Return the present."""
    return Now()


@pytest.fixture
def store() -> Iterator[FakeStore]:
    """Return an empty store; all that it recorded fits the published schema."""
    store = FakeStore()
    yield store
    check_entries(store.log)


@pytest.fixture
def admin(store: FakeStore, now: Now) -> AdminService:
    """Return the service on the store; its random bytes differ from call to call."""
    calls = iter(range(1, 1000))
    return AdminService(store, now, lambda size: next(calls).to_bytes(2, "big") * (size // 2))


async def made(
    admin: AdminService, name: str = "ci", expires_in: timedelta | None = 90 * DAY
) -> str:
    """Make a token and return its text."""
    return (await admin.create_token(a_caller(), name, "writer", ["a/*"], expires_in)).text


async def works(store: FakeStore, now: Now, *texts: str) -> list[str]:
    """Tell of each token whether it works: yes, or as what it is refused."""
    answers = []
    for text in texts:
        try:
            await Authenticator(store, now).identify(Presented(f"Bearer {text}"))
            answers.append("yes")
        except TokenExpiredError:
            answers.append("expired")
        except RevokedTokenError:
            answers.append("revoked")
    return answers


def stored(store: FakeStore, text: str) -> StoredToken:
    """Return what is kept of a token."""
    found = store.token_by_digest(tokens.digest(text))
    assert found is not None
    return found


# ---------------------------------------------------------------- rotation


async def test_a_successor_has_name_and_rights_and_as_long(
    store: FakeStore, admin: AdminService, now: Now
) -> None:
    """As the old one was given, from now on; both work for the overlap, then the new one alone."""
    old = await made(admin)
    now.moment += 80 * DAY
    minted = await admin.rotate_token(a_caller(), "ci", DAY)
    assert ("ci", "writer", ("a/*",), None, None) == (
        minted.token.name,
        minted.token.role,
        minted.token.workspaces,
        minted.token.principal,
        minted.token.used,
    )
    # The fake store's clock stands still: it dates what is made.
    assert "2027-02-20T10:00:00.000001Z" == minted.token.expires
    assert "2027-02-11T10:00:00.000000Z" == stored(store, old).expires
    assert ["yes", "yes"] == await works(store, now, old, minted.text)
    now.moment += DAY
    assert ["expired", "yes"] == await works(store, now, old, minted.text)


async def test_a_rotation_is_one_entry_without_a_secret(
    store: FakeStore, admin: AdminService
) -> None:
    """It names both tokens, and ties the new one to the log by its digest."""
    old = await made(admin)
    minted = await admin.rotate_token(a_caller(), "ci", HOUR, 30 * DAY)
    entry = store.log[-1]
    assert (2, 1, "token.rotated", "success", 201) == (
        len(store.log),
        minted.index,
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )
    assert {
        "id": stored(store, old).id,
        "hint": old[-6:],
        "expires": "2026-11-22T11:00:00.000000Z",
    } == entry["replaced"]
    assert (minted.token.id, tokens.digest(minted.text).hex(), "2026-12-22T10:00:00.000000Z") == (
        entry["token"]["id"],
        entry["token"]["sha256"],
        entry["token"]["expires"],
    )
    assert not [text for text in (old, minted.text) if text in str(store.log) + repr(minted)]


async def test_without_an_overlap_the_old_one_ends_at_once(
    store: FakeStore, admin: AdminService, now: Now
) -> None:
    """It says that there is a newer one."""
    old = await made(admin, expires_in=None)
    new = await admin.rotate_token(a_caller(), "ci", timedelta(0))
    assert ["expired", "yes"] == await works(store, now, old, new.text)
    assert new.token.expires is None
    with pytest.raises(TokenExpiredError, match="replaced by a newer one named ci"):
        await Authenticator(store, now).identify(Presented(f"Bearer {old}"))


async def test_no_overlap_makes_a_token_live_longer(store: FakeStore, admin: AdminService) -> None:
    """The old one ends no later than it would have."""
    old = await made(admin, expires_in=HOUR)
    await admin.rotate_token(a_caller(), "ci", DAY)
    assert "2026-11-22T11:00:00.000000Z" == stored(store, old).expires


@pytest.mark.parametrize(
    ("overlap", "expires_in", "reason"),
    [
        (-HOUR, None, "overlap must be"),
        (91 * DAY, None, "overlap must be"),
        (timedelta.max, None, "overlap must be"),
        (HOUR, timedelta(0), "longer than no time"),
        (HOUR, -HOUR, "longer than no time"),
        (HOUR, timedelta.max, "a hundred years"),
    ],
)
async def test_times_that_make_no_sense_are_refused(
    store: FakeStore,
    admin: AdminService,
    overlap: timedelta,
    expires_in: timedelta | None,
    reason: str,
) -> None:
    """And nothing is changed."""
    await made(admin)
    before = await store.tokens()
    with pytest.raises(InvalidInputError, match=reason):
        await admin.rotate_token(a_caller(), "ci", overlap, expires_in)
    assert before == await store.tokens()


async def test_what_is_not_in_force_is_not_rotated(store: FakeStore, admin: AdminService) -> None:
    """Unknown, revoked, or replaced already; the attempt is on record, without a token in it."""
    text = await made(admin)
    await made(admin, "gone")
    await admin.revoke_token(a_caller(), "gone")
    await admin.rotate_token(a_caller(), "ci", DAY)
    for reference in ("nobody", "gone", stored(store, text).id, text):
        with pytest.raises(NotFoundError) as caught:
            await admin.rotate_token(a_caller(), reference, DAY)
        assert len(store.log) - 1 == caught.value.audit_index
        assert ("token.rotated", "error") == (store.log[-1]["event"], store.log[-1]["outcome"])
    assert text not in str(store.log)


async def test_two_rotations_at_once_by_name_follow_each_other(
    store: FakeStore, admin: AdminService, now: Now
) -> None:
    """Both callers have a token that works, one of them only for the overlap."""
    old = await made(admin)
    both = await asyncio.gather(*(admin.rotate_token(a_caller(), "ci", DAY) for _ in range(2)))
    first, second = (each.text for each in both)
    assert ["yes"] * 3 == await works(store, now, old, first, second)
    assert [True, True, False] == [
        stored(store, text).replaced is not None for text in (old, first, second)
    ]
    now.moment += DAY
    assert ["expired", "expired", "yes"] == await works(store, now, old, first, second)


async def test_of_two_rotations_at_once_by_id_one_is_refused(
    store: FakeStore, admin: AdminService
) -> None:
    """Whoever names the very token sees that somebody was quicker."""
    token_id = stored(store, await made(admin)).id
    done = await asyncio.gather(
        *(admin.rotate_token(a_caller(), token_id, DAY) for _ in range(2)), return_exceptions=True
    )
    assert [True, False] == [isinstance(each, NotFoundError) for each in reversed(done)]


async def test_no_more_predecessors_work_than_an_entry_holds(
    store: FakeStore, admin: AdminService, now: Now
) -> None:
    """One more is a conflict on record; when they have ended there is room again."""
    await made(admin)
    for _ in range(MAX_PREDECESSORS):
        await admin.rotate_token(a_caller(), "ci", DAY)
    with pytest.raises(ConflictError, match="wait until they end"):
        await admin.rotate_token(a_caller(), "ci", DAY)
    assert ("token.rotated", "conflict", 409) == (
        store.log[-1]["event"],
        store.log[-1]["outcome"],
        store.log[-1]["request"]["status"],
    )
    assert MAX_PREDECESSORS == len((await admin.revoke_token(a_caller(), "ci")).predecessors)
    assert now.moment == NOW


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR, None])
async def test_only_an_administrator_rotates(
    store: FakeStore, admin: AdminService, role: Role | None
) -> None:
    """Others are refused on record."""
    await made(admin)
    with pytest.raises(ForbiddenError):
        await admin.rotate_token(a_caller(role), "ci", DAY)
    assert ["token.created", "access.denied"] == [entry["event"] for entry in store.log]


async def test_a_rotation_that_is_not_recorded_did_not_happen(
    store: FakeStore, admin: AdminService, now: Now
) -> None:
    """Nobody has the new one, and the old one goes on."""
    old = await made(admin)
    store.fault = Fault.NOT_PERSISTED
    with pytest.raises(UnavailableError):
        await admin.rotate_token(a_caller(), "ci", timedelta(0))
    assert ["yes"] == await works(store, now, old)
    assert [None] == [token.replaced for token in await store.tokens()]


# ---------------------------------------------------------------- the end of a name


async def test_a_revocation_takes_the_predecessors_with_it(
    store: FakeStore, admin: AdminService, now: Now
) -> None:
    """By one entry that names all of them: a leaked line of tokens ends with one command."""
    texts = [await made(admin)]
    texts += [(await admin.rotate_token(a_caller(), "ci", DAY)).text for _ in range(2)]
    done = await admin.revoke_token(a_caller(), "ci")
    assert ["revoked"] * 3 == await works(store, now, *texts)
    assert [stored(store, text) for text in texts] == [*done.predecessors, done.value]
    entry = store.log[-1]
    assert (4, "token.revoked", stored(store, texts[2]).id) == (
        len(store.log),
        entry["event"],
        entry["token"]["id"],
    )
    assert [{"id": stored(store, text).id, "hint": text[-6:]} for text in texts[:2]] == entry[
        "predecessors"
    ]


async def test_a_predecessor_is_revoked_alone_by_its_id(
    store: FakeStore, admin: AdminService, now: Now
) -> None:
    """When the pipelines have the new one."""
    old = await made(admin)
    new = (await admin.rotate_token(a_caller(), "ci", DAY)).text
    done = await admin.revoke_token(a_caller(), stored(store, old).id)
    assert () == done.predecessors
    assert "predecessors" not in store.log[-1]
    assert ["revoked", "yes"] == await works(store, now, old, new)


async def test_a_name_may_be_used_again(store: FakeStore, admin: AdminService, now: Now) -> None:
    """After its revocation; not while it is rotated."""
    await made(admin)
    await admin.rotate_token(a_caller(), "ci", DAY)
    with pytest.raises(ConflictError):
        await made(admin)
    await admin.revoke_token(a_caller(), "ci")
    again = await made(admin)
    assert ["yes"] == await works(store, now, again)
    ends: list[Any] = [token.revoked is None for token in await store.tokens()]
    assert [False, False, True] == ends
