"""Tests of proxy.auth.failures."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.access import ANONYMOUS, Caller
from proxy.auth.failures import MAX_SOURCES, FailureLog
from proxy.errors import UnavailableError
from tests.fakes import FakeStore, Fault, a_caller

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def stranger(ip: str = "10.0.0.7") -> Caller:
    """Return a request of somebody unknown."""
    return a_caller(ip=ip)._replace(principal=ANONYMOUS)


def failure_log(store: FakeStore, *, window: float = 3600, immediate: int = 2) -> FailureLog:
    """Return a failure log whose window ends only when the test closes it."""
    return FailureLog(store, window=window, immediate=immediate, now=lambda: NOW)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a background task does."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the task tells nobody when it is done
            await asyncio.sleep(0.005)


def counted(store: FakeStore) -> list[dict[str, Any]]:
    """Return the entries that stand for more than one failure."""
    return [entry for entry in store.log if "count" in entry]


async def test_the_first_failures_have_an_entry_each() -> None:
    """Below the limit a failure is an entry before it is answered, with its index."""
    store = FakeStore()
    failures = failure_log(store)
    assert [0, 1] == [await failures.record(stranger(), "wrong token") for _ in range(2)]
    assert ("auth.failed", "denied", "wrong token", "10.0.0.7", 401) == (
        store.log[0]["event"],
        store.log[0]["outcome"],
        store.log[0]["message"],
        store.log[0]["source"]["ip"],
        store.log[0]["request"]["status"],
    )
    await failures.aclose()


async def test_a_flood_is_counted_and_committed_when_the_window_closes() -> None:
    """What is above the limit is one entry that says how many, from where, from when to when."""
    store = FakeStore()
    failures = failure_log(store)
    for _ in range(100):
        await failures.record(stranger(), "wrong token")
    assert 2 == len(store.log)
    await failures.aclose()
    assert 3 == len(store.log)
    (entry,) = counted(store)
    assert (98, "10.0.0.7", "2026-11-22T10:00:00.000000Z", "2026-11-22T10:00:00.000000Z") == (
        entry["count"],
        entry["source"]["ip"],
        entry["first_time"],
        entry["last_time"],
    )


async def test_a_window_ends_by_itself() -> None:
    """The count is committed without any further failure, and the next window starts anew."""
    store = FakeStore()
    failures = failure_log(store, window=0.02)
    for _ in range(5):
        await failures.record(stranger(), "wrong token")
    await until(lambda: bool(counted(store)))
    assert 3 == counted(store)[0]["count"]
    assert await failures.record(stranger(), "wrong token") is not None
    await failures.aclose()


async def test_one_source_does_not_use_up_the_entries_of_another() -> None:
    """A flood from one address leaves another address its own entries."""
    store = FakeStore()
    failures = failure_log(store)
    for _ in range(50):
        await failures.record(stranger("10.0.0.7"), "wrong token")
    assert await failures.record(stranger("10.0.0.8"), "wrong token") is not None
    await failures.aclose()


async def test_an_ipv6_network_is_one_source() -> None:
    """Who owns 64 bits of addresses can't get an entry for each of them."""
    store = FakeStore()
    failures = failure_log(store)
    for number in range(50):
        await failures.record(stranger(f"2001:db8::{number:x}"), "wrong token")
    await failures.aclose()
    (entry,) = counted(store)
    assert (48, "2001:db8::/64") == (entry["count"], entry["source"]["ip"])


async def test_ten_thousand_sources_take_bounded_memory_and_disk() -> None:
    """Too many sources are told by one number; no failure is missing from the sums."""
    store = FakeStore()
    failures = failure_log(store)
    for number in range(10_000):
        await failures.record(stranger(f"10.1.{number // 256}.{number % 256}"), "wrong token")
    assert MAX_SOURCES + 1 >= len(failures._counts)
    await failures.aclose()
    assert 100 > len(store.log)
    assert 10_000 == sum(entry.get("count", 1) for entry in store.log)
    assert [""] == [entry["source"]["ip"] for entry in counted(store) if entry["count"] > 9000]


async def test_an_expired_token_is_counted_under_its_owner() -> None:
    """Uses of an expired token keep their event and their actor, also when counted."""
    store = FakeStore()
    failures = failure_log(store)
    for _ in range(5):
        await failures.record(a_caller(), "expired", event="token.expired")
    await failures.aclose()
    (entry,) = counted(store)
    assert ("token.expired", "alice", 3) == (
        entry["event"],
        entry["actor"]["name"],
        entry["count"],
    )


async def test_strangers_are_counted_as_such() -> None:
    """Whoever is known and granted nothing did not fail to log in."""
    store = FakeStore()
    failures = failure_log(store)
    for _ in range(5):
        await failures.record(a_caller(), "nothing", "access.denied", status=403)
    await failures.aclose()
    (entry,) = counted(store)
    assert ("access.denied", 403, 3) == (entry["event"], entry["request"]["status"], entry["count"])
    assert entry["message"].startswith("3 more requests of whom nothing is granted to")


async def test_a_failure_that_cannot_be_recorded_is_not_answered() -> None:
    """When the entry can't be committed the caller must not be told anything but 'unavailable'."""
    store = FakeStore()
    store.fault = Fault.NOT_PERSISTED
    failures = failure_log(store)
    with pytest.raises(UnavailableError):
        await failures.record(stranger(), "wrong token")
    await failures.aclose()


async def test_a_count_that_cannot_be_committed_is_kept_for_the_next_window() -> None:
    """A store that fails at the window's end loses no count."""
    store = FakeStore()
    failures = failure_log(store, window=0.02)
    for _ in range(5):
        await failures.record(stranger(), "wrong token")
    store.fault = Fault.NOT_PERSISTED
    tried = store.writes
    await until(lambda: store.writes >= tried + 2)
    store.fault = None
    await until(lambda: bool(counted(store)))
    await failures.aclose()
    assert [3] == [entry["count"] for entry in counted(store)]


async def test_nothing_runs_when_nothing_fails() -> None:
    """Closing without a failure writes nothing."""
    store = FakeStore()
    await failure_log(store).aclose()
    assert 0 == store.writes
