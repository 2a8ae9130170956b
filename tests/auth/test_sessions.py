"""Tests of proxy.auth.sessions; most of what it promises is tested over HTTP, with its pages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from proxy.auth.presented import KnownButRefusedError, Presented
from proxy.auth.sessions import SessionKeeper, csrf_token, digest_of, is_cookie, new_cookie
from proxy.contracts import StoredSession
from proxy.directory import Object
from proxy.errors import UnauthenticatedError, UnavailableError
from tests.fakes import FakeStore
from tests.people import Clock

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
COOKIE = new_cookie(lambda size: b"c" * size)
ALICE = Object("principal", "alice", "id-1", "", "", b'{"kind":"person","name":"alice"}')
IDLE, LIFETIME = timedelta(minutes=30), timedelta(hours=12)


@pytest.fixture
def clock() -> Clock:
    """Return a clock at the time of the login."""
    return Clock(START)


@pytest.fixture
async def store(clock: Clock) -> FakeStore:
    """Return a store with alice."""
    store = FakeStore()
    await store.write(lambda tx: tx.put_object(ALICE))
    await keep(store, a_session(clock))
    return store


def a_session(clock: Clock) -> StoredSession:
    """Return the session of the cookie."""
    expires = clock.text().replace("2026-11-22T10", "2026-11-22T22")
    return StoredSession("s-1", "id-1", clock.text(), clock.text(), "10.0.0.1", expires)


async def keep(store: FakeStore, session: StoredSession) -> None:
    """Put the session into the store."""
    await store.write(lambda tx: tx.add_session(session, digest_of(COOKIE)))


def keeper(store: FakeStore, clock: Clock, lifetime: timedelta = LIFETIME) -> SessionKeeper:
    """Return what knows sessions."""
    return SessionKeeper(store, clock.now, IDLE, lifetime)


def test_a_cookie_is_random_and_its_token_tells_nothing_of_it() -> None:
    """256 bits; two of them have nothing in common."""
    assert is_cookie(COOKIE)
    other = new_cookie(lambda size: b"d" * size)
    assert csrf_token(COOKIE) != csrf_token(other)
    assert COOKIE not in csrf_token(COOKIE)
    assert digest_of(COOKIE).hex() not in csrf_token(COOKIE)


async def test_a_session_is_its_owner(store: FakeStore, clock: Clock) -> None:
    """With the rights of now."""
    who = await keeper(store, clock).identify(Presented(session=COOKIE))
    assert ("user", "id-1", "alice", "s-1", 1) == (
        who.kind,
        who.id,
        who.name,
        who.session,
        who.generation,
    )


async def test_a_shorter_lifetime_counts_for_sessions_that_are_there(
    store: FakeStore, clock: Clock
) -> None:
    """The configuration was changed because somebody thought that they were too long."""
    clock.go_on(minutes=10)
    await keeper(store, clock).identify(Presented(session=COOKIE))
    shorter = keeper(store, clock, timedelta(minutes=10))
    with pytest.raises(KnownButRefusedError, match="as long as one may"):
        await shorter.identify(Presented(session=COOKIE))


async def test_a_request_that_was_refused_prolongs_nothing(store: FakeStore, clock: Clock) -> None:
    """Else a page of another site could keep a session alive."""
    sessions = keeper(store, clock)
    for presented in (
        Presented(session=COOKIE, is_foreign=True),
        Presented(session=COOKIE, is_change=True, csrf="wrong"),
    ):
        clock.go_on(minutes=14)
        with pytest.raises(UnauthenticatedError):
            await sessions.identify(presented)
    clock.go_on(minutes=2)
    with pytest.raises(KnownButRefusedError, match="not used for too long"):
        await sessions.identify(Presented(session=COOKIE))


@pytest.mark.parametrize("column", ["created", "seen", "expires"])
async def test_a_session_that_can_not_be_read_is_nobody(
    store: FakeStore, clock: Clock, column: str
) -> None:
    """The database was altered: 503, never access."""
    broken = {column: "no time"}
    await keep(store, replace(a_session(clock), **broken))
    with pytest.raises(UnavailableError, match="tfaudit verify"):
        await keeper(store, clock).identify(Presented(session=COOKIE))


async def test_a_store_that_can_not_be_read_is_nobody(store: FakeStore, clock: Clock) -> None:
    """Also for who was known a moment ago."""
    sessions = keeper(store, clock)
    await sessions.identify(Presented(session=COOKIE))
    store.is_readable = False
    with pytest.raises(UnavailableError):
        await sessions.identify(Presented(session=COOKIE))


async def test_memory_holds_what_is_in_use(store: FakeStore, clock: Clock) -> None:
    """Whatever is over makes room."""
    sessions = keeper(store, clock)
    for number in range(3000):
        cookie = new_cookie(lambda size, number=number: number.to_bytes(size, "big"))  # type: ignore[misc]
        session = replace(a_session(clock), id=f"s-{number}", expires="2999-01-01T00:00:00.000000Z")
        store._contents.sessions[digest_of(cookie)] = session
        await sessions.identify(Presented(session=cookie))
        clock.go_on(minutes=1)
    assert len(sessions._seen) <= 1024
