"""Tests of proxy.forwarding.source: the log is read ahead in pieces, and no further than needed."""

import pytest

from proxy.contracts import SinkReplay, Transaction
from proxy.forwarding import source as module
from proxy.forwarding.source import Source
from proxy.tlog.entry import Record
from tests.fakes import FakeStore
from tests.forwarding.world import World, is_any
from tests.samples import a_draft


class Counting(FakeStore):
    """A store that counts what was read of its log."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    async def following(self, first: int, limit: int) -> list[Record]:
        """Count, and read."""
        found = await super().following(first, limit)
        self.read.append(len(found))
        return found


async def a_log(count: int) -> tuple[World, Counting, str]:
    """Return a log of so many entries and one of a sink that was made before."""
    store = Counting()
    world = World(store)
    found = await world.add_sink()
    await world.append(count)
    return world, store, found.id


async def test_it_reads_no_more_than_it_needs() -> None:
    """However many wait: one piece at a time, and none while enough were read."""
    _, store, sink = await a_log(5_000)
    source = Source(store, sink, is_any, 1)
    assert await source.fill(100)
    assert not await source.fill(100)
    assert ([500], 500, 1) == (store.read, source.waiting, source.position)
    window = source.window(100)
    assert (list(range(1, 101)), 101) == (
        [each.record.index for each in window.events],
        window.end,
    )
    assert (400, 101) == (source.waiting, source.position)


async def test_it_reads_no_more_bytes_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large entries are fewer at a time."""
    monkeypatch.setattr(module, "_AHEAD_BYTES", 1000)
    _, store, sink = await a_log(2_000)
    source = Source(store, sink, is_any, 1)
    assert await source.fill(10_000)
    assert not await source.fill(10_000)
    source.window(10_000)
    assert await source.fill(10_000)
    assert [500, 500] == store.read


async def test_what_is_put_back_comes_first() -> None:
    """In its order."""
    _, store, sink = await a_log(10)
    source = Source(store, sink, is_any, 1)
    await source.fill(10)
    window = source.window(4)
    source.put_back(window.events[1:])
    assert (2, 9) == (source.position, source.waiting)
    assert [2, 3] == [each.record.index for each in source.window(2).events]


async def test_the_end_of_the_log_is_noticed() -> None:
    """And what is passed over moves the place all the same."""
    _, store, sink = await a_log(3)
    source = Source(store, sink, lambda _: False, 0)
    assert await source.fill(10)
    assert not await source.fill(10)
    assert (4, 0) == (source.position, source.waiting)


async def test_a_sink_is_not_told_that_it_fails_itself() -> None:
    """Other sinks are."""
    world, store, sink = await a_log(0)

    def job(tx: Transaction) -> None:
        for about in (sink, "another"):
            draft = a_draft(event="sink.failed")
            draft.entry["sink"] = {"id": about, "name": about}
            tx.append(draft)

    await world.store.write(job)
    source = Source(store, sink, is_any, 1)
    await source.fill(10)
    assert ["another"] == [each.entry["sink"]["id"] for each in source.window(10).events]


async def test_a_range_is_replayed_piece_by_piece() -> None:
    """Up to its end, whatever the filter leaves of it."""
    _, store, sink = await a_log(10)
    source = Source(store, sink, lambda entry: entry["message"] != "entry 2", 1)
    replay = SinkReplay("r", sink, 1, 6, only_dead_letters=False, cursor=2, requested="")
    first = await source.replayed(replay, 3)
    assert ([2, 4], 5) == ([each.record.index for each in first.events], first.end)
    last = await source.replayed(replay._replace(cursor=5), 3)
    assert ([5], 6) == ([each.record.index for each in last.events], last.end)
