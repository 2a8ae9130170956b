"""Tests of proxy.auth.logins where the store, or the clock, does what a server never sees."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy.access import ANONYMOUS, Caller
from proxy.auth.failures import FailureLog
from proxy.auth.logins import Logins
from proxy.auth.password_hasher import PasswordHasher
from proxy.auth.people import People
from proxy.auth.sessions import SessionKeeper
from proxy.directory_service import DirectoryService
from proxy.errors import UnauthenticatedError, UnavailableError
from proxy.refusals import TooManyTriesError
from tests.fakes import FakeStore, Fault
from tests.people import PASSWORD, QUICK, WRONG, Clock, logins_of
from tests.running import SYSTEM

NOBODY = Caller(ANONYMOUS, "10.0.0.7", "request-1", "api", "POST", "/api/v1/login")


class Parts:
    """What logs people in, over a store in memory; a program as far as it is asked for.

    Attributes:
        store: that fails when it is told to.
        hasher: counts what it compares.
        compared: the hashes that were compared with, oldest first.
    """

    def __init__(self, hasher: PasswordHasher) -> None:
        self.store = FakeStore()
        self.hasher = hasher
        self.compared: list[str | None] = []
        self.clock = Clock(datetime(2026, 11, 22, 10, 0, tzinfo=UTC))
        keeper = SessionKeeper(
            self.store, self.clock.now, timedelta(minutes=30), timedelta(hours=12)
        )
        self.people = People(self.store, hasher, keeper)
        self.failures = FailureLog(
            self.store, window=3600, immediate=100, now=lambda: self.clock.time
        )
        self.logins: Logins = logins_of(self, self.failures, self.clock)  # type: ignore[arg-type]
        verify = hasher.verify

        async def counted(hashed: str | None, password: str, **options: Any) -> bool:
            self.compared.append(hashed)
            return await verify(hashed, password, **options)

        hasher.verify = counted  # type: ignore[method-assign]


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    """Return the parts, with alice, bob who is disabled, and carol who has no password."""
    async with PasswordHasher(QUICK) as hasher:
        parts = Parts(hasher)
        directory = DirectoryService(parts.store, parts.clock.now, bytes)
        for number, name in enumerate(("alice", "bob", "carol")):
            directory._random = lambda n, number=number: bytes([number]) * n  # type: ignore[misc]
            fields = {"name": name, "kind": "person"}
            await directory.create(SYSTEM, "principal", fields)
            if name != "carol":
                await parts.people.set_password(SYSTEM, name, PASSWORD)
        await directory.update(SYSTEM, "principal", "bob", {"disabled": True})
        yield parts
        await parts.failures.aclose()


@pytest.mark.parametrize("name", ["alice", "bob", "carol", "nobody", "x" * 100])
async def test_whoever_fails_costs_one_hash(parts: Parts, name: str) -> None:
    """Somebody, who is disabled, who has no password, who is not there: nobody can tell by time."""
    with pytest.raises(UnauthenticatedError, match="the name or the password is wrong"):
        await parts.logins.login(NOBODY, name, WRONG)
    assert 1 == len(parts.compared)
    assert (name == "alice") == (parts.compared[0] is not None)


async def test_whoever_is_locked_out_costs_none(parts: Parts) -> None:
    """Neither a hash nor a question to the store."""
    for _ in range(5):
        with pytest.raises(UnauthenticatedError):
            await parts.logins.login(NOBODY, "alice", WRONG)
    parts.compared.clear()
    with pytest.raises(TooManyTriesError):
        await parts.logins.login(NOBODY, "alice", PASSWORD)
    assert [] == parts.compared


@pytest.mark.parametrize("password", [PASSWORD, WRONG])
async def test_what_can_not_be_recorded_is_not_answered(parts: Parts, password: str) -> None:
    """A login that failed as little as one that did not; nobody learns which it was."""
    before = len(parts.store.log)
    parts.store.fault = Fault.NOT_PERSISTED
    with pytest.raises(UnavailableError) as failed:
        await parts.logins.login(NOBODY, "alice", password)
    assert "password" not in str(failed.value)
    assert before == len(parts.store.log)
    assert [] == (await parts.store.tokens())


async def test_guesses_count_while_nothing_can_be_recorded(parts: Parts) -> None:
    """Else a full disk would let somebody guess on; a right password does not count."""
    parts.store.fault = Fault.NOT_PERSISTED
    for _ in range(8):
        with pytest.raises(UnavailableError):
            await parts.logins.login(NOBODY, "alice", PASSWORD)
    for _ in range(5):
        with pytest.raises(UnavailableError):
            await parts.logins.login(NOBODY, "alice", WRONG)
    parts.store.fault = None
    with pytest.raises(TooManyTriesError):
        await parts.logins.login(NOBODY, "alice", PASSWORD)


async def test_a_store_that_can_not_be_read_lets_nobody_in(parts: Parts) -> None:
    """And counts nothing: no password was compared."""
    parts.store.is_readable = False
    for _ in range(8):
        with pytest.raises(UnavailableError):
            await parts.logins.login(NOBODY, "alice", PASSWORD)
    parts.store.is_readable = True
    assert "alice" == (await parts.logins.login(NOBODY, "alice", PASSWORD)).principal.name


async def test_the_answer_that_got_lost_leaves_a_session_of_nobody(parts: Parts) -> None:
    """It is on record, and the person can end it."""
    parts.store.fault = Fault.ANSWER_LOST
    with pytest.raises(UnavailableError):
        await parts.logins.login(NOBODY, "alice", PASSWORD)
    parts.store.fault = None
    done = await parts.logins.login(NOBODY, "alice", PASSWORD)
    sessions = await parts.people.sessions(NOBODY._replace(principal=done.principal))
    assert 2 == len(sessions)
    events = [entry["event"] for entry in parts.store.log]
    assert 2 == events.count("auth.login")


async def test_nothing_of_it_is_printed(parts: Parts) -> None:
    """A cookie, a device or a hash that is printed by accident."""
    done = await parts.logins.login(NOBODY, "alice", PASSWORD)
    stored = await parts.store.password(done.principal.id)
    assert stored is not None
    shown = f"{done!r} {stored!r} {stored}"
    assert [] == [each for each in (done.cookie, done.device, stored.hash) if each in shown]
