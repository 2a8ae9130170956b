"""Tests of the record of who reads tiles: never silent, never a flood."""

from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.access import ANONYMOUS, Role
from proxy.errors import UnauthenticatedError, UnavailableError
from proxy.reading_log import MAX_READERS, ReadingLog
from proxy.tlog.tiles import Bundle, Tile
from tests.documents import check_entries
from tests.fakes import FakeStore, Fault, a_caller
from tests.samples import log_of

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def a_log(store: FakeStore, window: float = 3600) -> ReadingLog:
    """Return the record over a store; its clock stands still."""
    return ReadingLog(store, window=window, now=lambda: NOW)


async def entries(store: FakeStore) -> list[dict[str, Any]]:
    """Return what is on record, as the schema wants it."""
    found = await log_of(store)
    check_entries(found)
    return found


async def test_the_first_reading_is_on_record_before_it_is_answered() -> None:
    """With its file, and until when further ones are counted."""
    store = FakeStore()
    readings = a_log(store)
    assert 0 == await readings.record(a_caller(Role.AUDITOR), Tile(0, 3))
    (entry,) = await entries(store)
    assert ("audit.read", "success", {"tile": "tile/0/003"}) == (
        entry["event"],
        entry["outcome"],
        entry["query"],
    )
    assert "counted until 2026-11-22T11:00:00.000000Z" in entry["message"]
    await readings.aclose()
    assert 1 == len(await entries(store))


async def test_further_ones_are_one_entry_at_the_end() -> None:
    """How many files, and from which entry to which."""
    store = FakeStore()
    readings = a_log(store)
    who = a_caller(Role.AUDITOR)
    for wanted in (Tile(0, 0), Tile(0, 1), Bundle(2), Bundle(1), Bundle(7, 5), Tile(1, 0, 3)):
        await readings.record(who, wanted)
    assert 1 == len(await entries(store))
    await readings.aclose()
    folded = (await entries(store))[1]
    assert {"tiles": 2, "bundles": 3, "first": 256, "last": 1796} == folded["query"]
    assert (5, "2026-11-22T10:00:00.000000Z") == (folded["count"], folded["first_time"])
    assert ("alice", "10.0.0.7") == (folded["actor"]["name"], folded["source"]["ip"])
    assert (
        "alice read 5 more files of the log's tiles, with entries from 256 to 1796"
        == (folded["message"])
    )


async def test_readers_are_told_apart_by_who_and_from_where() -> None:
    """Each has a first entry of their own."""
    store = FakeStore()
    readings = a_log(store)
    for who in (a_caller(), a_caller(name="bob"), a_caller(ip="10.0.0.8"), a_caller()):
        await readings.record(who, Tile(0, 0))
    assert 3 == len(await entries(store))
    await readings.aclose()
    assert ["alice"] == [entry["actor"]["name"] for entry in (await entries(store))[3:]]
    assert "without entries" in (await entries(store))[3]["message"]


async def test_any_number_of_readers_fills_neither_memory_nor_disk() -> None:
    """Beyond a fixed number they are one, also with an entry first and a count at the end."""
    store = FakeStore()
    readings = a_log(store)
    for number in range(MAX_READERS + 100):
        who = a_caller(ip=f"10.1.{number // 250}.{number % 250}")
        await readings.record(who._replace(principal=ANONYMOUS), Bundle(0))
    assert MAX_READERS + 1 == len(await entries(store))
    await readings.aclose()
    folded = (await entries(store))[MAX_READERS + 1 :]
    assert [99] == [entry["count"] for entry in folded]
    assert "many other readers read 99 more files" in folded[0]["message"]


async def test_a_window_ends_by_itself_and_the_next_begins_with_an_entry() -> None:
    """Counts are committed while the server runs; a window without a reading is the last."""
    store = FakeStore()
    readings = a_log(store, window=0.001)
    await readings.record(a_caller(), Tile(0, 0))
    await readings.record(a_caller(), Tile(0, 1))
    assert not readings._windows.begin()  # one is under way
    await readings._windows.wait()
    assert [None, 1] == [entry.get("count") for entry in await entries(store)]
    assert 2 == await readings.record(a_caller(), Tile(0, 2))
    await readings.aclose()


async def test_after_the_stop_began_each_reading_has_its_entry() -> None:
    """There is no window left that could end."""
    store = FakeStore()
    readings = a_log(store)
    await readings.aclose()
    assert [0, 1] == [await readings.record(a_caller(), Tile(0, n)) for n in range(2)]
    assert "counted" not in (await entries(store))[0]["message"]


async def test_whoever_lost_the_right_gets_nothing_and_the_count_still_stands() -> None:
    """What was read before stays on record, though its reader may not any more."""
    store = FakeStore()
    readings = a_log(store)
    who = a_caller(Role.AUDITOR)
    await readings.record(who, Tile(0, 0))
    await readings.record(who, Tile(0, 1))
    lost = who._replace(principal=who.principal)

    async def refuse(_: object) -> None:
        raise UnauthenticatedError("the token is unknown or revoked")

    write, store.write = store.write, refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(UnauthenticatedError):
        await readings.record(lost, Tile(0, 2))
    store.write = write  # type: ignore[method-assign]
    await readings.aclose()
    assert 1 == (await entries(store))[1]["count"]


async def test_a_first_entry_that_failed_is_tried_again_by_the_next() -> None:
    """Nobody reads uncounted because an entry was not committed."""
    store = FakeStore()
    readings = a_log(store)
    store.fault = Fault.NOT_PERSISTED
    with pytest.raises(UnavailableError):
        await readings.record(a_caller(), Tile(0, 0))
    store.fault = None
    assert 0 == await readings.record(a_caller(), Tile(0, 0))
    await readings.aclose()
    assert 1 == len(await entries(store))


async def test_counts_that_can_not_be_committed_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """They join those of the next window."""
    store = FakeStore()
    readings = a_log(store)
    await readings.record(a_caller(), Tile(0, 0))
    await readings.record(a_caller(), Bundle(0))
    turns = 0

    async def wait_for(waiting: Any, _: float) -> None:
        nonlocal turns
        waiting.close()
        turns += 1
        store.fault = Fault.NOT_PERSISTED if turns == 1 else None
        if turns == 2:
            await readings.record(a_caller(), Bundle(4))
            await readings.record(a_caller(name="bob"), Tile(0, 0))
        raise TimeoutError

    monkeypatch.setattr("asyncio.wait_for", wait_for)
    assert not readings._windows.begin()  # one is under way
    await readings._windows.wait()
    folded = [entry for entry in await entries(store) if "count" in entry]
    assert [(2, {"tiles": 0, "bundles": 2, "first": 0, "last": 1279})] == [
        (entry["count"], entry["query"]) for entry in folded
    ]
