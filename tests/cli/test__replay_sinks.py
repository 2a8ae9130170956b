"""Tests of proxy.cli._replay_sinks: what is kept of sinks is what the log says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.cli._replay_sinks import SinksReplay
from proxy.contracts import DeadLetter, Delivery, LogQuery, SinkReplay
from proxy.errors import VerificationError
from proxy.storage.reader import SQLiteReader
from proxy.storage.sqlite import SQLiteStore
from tests.fakes import FakeSink
from tests.forwarding.test_replays import service
from tests.forwarding.world import SYSTEM, World, rejecting, until
from tests.samples import an_audit_log, log_of

TIME = "2026-11-22T10:00:00.000000Z"
LATER = "2026-11-22T10:05:00.000000Z"
DELIVERY = Delivery("s", 5)
LETTER = DeadLetter("s", 3, "400", TIME)
REPLAY = SinkReplay("r", "s", 1, 9, only_dead_letters=False, cursor=1, requested=TIME)


def entry(event: str, time: str = TIME, **parts: Any) -> dict[str, Any]:
    """Return an entry of a success."""
    return {"event": event, "time": time, "outcome": "success", **parts}


def about(**parts: Any) -> dict[str, Any]:
    """Return the ``sink`` of an entry."""
    return {"id": "s", "name": "siem", **parts}


def asked(**parts: Any) -> dict[str, Any]:
    """Return the ``sink`` of an entry about a replay."""
    replay = {"id": "r", "from": 1, "until": 9, "only_dead_letters": False}
    return about(replay=replay, **parts)


def replayed(*entries: dict[str, Any]) -> SinksReplay:
    """Return what follows from a sink that was made, and then from these entries."""
    made = {"kind": "sink", "id": "s", "name": "siem", "after": {"name": "siem"}}
    replay = SinksReplay()
    for index, each in enumerate([entry("sink.created", object=made), *entries]):
        replay.note_any(index, each)
        replay.note(index, each)
    return replay


REFUSED = entry("sink.dead_lettered", sink=about(dead_letters=[{"index": 3, "reason": "400"}]))
ASKED = entry("sink.replayed", sink=asked())
DELETED = entry("sink.deleted", object={"kind": "sink", "id": "s", "name": "siem", "after": None})


def test_what_the_log_says_holds() -> None:
    """A place within the log, what was set aside, and what waits to be sent once more."""
    replay = replayed(REFUSED, ASKED)
    replay.check_deliveries([DELIVERY], 5)
    replay.check_dead_letters([LETTER])
    replay.check_replays([REPLAY])
    replay.check_replays([replace_replay(cursor=9)])


def replace_replay(**fields: Any) -> SinkReplay:
    """Return the replay with something else in it."""
    return REPLAY._replace(**fields)


@pytest.mark.parametrize("cursor", [6, -1, "5", None])
def test_a_place_beyond_the_log_is_named(cursor: Any) -> None:
    """The sink would not be given what comes next."""
    with pytest.raises(VerificationError, match="The sink siem is at entry"):
        replayed().check_deliveries([replace(DELIVERY, cursor=cursor)], 5)


def test_what_is_kept_of_a_sink_that_there_is_not_is_named() -> None:
    """Or of one that was deleted."""
    for replay in (SinksReplay(), replayed(DELETED)):
        with pytest.raises(VerificationError, match="does not know"):
            replay.check_deliveries([DELIVERY], 5)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [replace(LETTER, reason="other")],
        [replace(LETTER, time=LATER)],
        [LETTER, replace(LETTER, index=4)],
        [replace(LETTER, sink="t")],
    ],
)
def test_changed_dead_letters_do_not_hold(rows: list[DeadLetter]) -> None:
    """Taken away, put in, or with another reason."""
    with pytest.raises(VerificationError):
        replayed(REFUSED).check_dead_letters(rows)


def test_dead_letters_that_were_taken_are_gone() -> None:
    """An entry says so, and which."""
    done = entry("sink.replayed", LATER, sink=asked(is_done=True, taken=[[2, 4]]))
    replay = replayed(REFUSED, ASKED, done)
    replay.check_dead_letters([])
    replay.check_replays([])
    with pytest.raises(VerificationError, match="has no entry"):
        replay.check_dead_letters([LETTER])


def test_entries_about_sinks_are_set_aside_without_an_entry() -> None:
    """Which are so is told by the log."""
    replay = replayed(REFUSED)
    replay.check_dead_letters([LETTER, replace(LETTER, index=1, reason="anything")])


def test_a_deleted_sink_leaves_nothing() -> None:
    """Neither what was set aside nor what was asked for."""
    replay = replayed(REFUSED, ASKED, DELETED)
    replay.check_dead_letters([])
    replay.check_replays([])


@pytest.mark.parametrize(
    "change",
    [
        {"first": 2},
        {"until": 8},
        {"only_dead_letters": True},
        {"cursor": 10},
        {"cursor": 0},
        {"requested": LATER},
        {"id": "other"},
        {"sink": "t"},
    ],
)
def test_a_changed_replay_does_not_hold(change: dict[str, Any]) -> None:
    """Nor does one that is gone."""
    replay = replayed(ASKED)
    with pytest.raises(VerificationError):
        replay.check_replays([replace_replay(**change)])
    with pytest.raises(VerificationError, match="is gone"):
        replayed(ASKED).check_replays([])


def places(event: str, *cursors: int) -> dict[str, Any]:
    """Return the entry of a start or stop, which says how far the sink is."""
    said = [{"id": "s", "name": "siem", "cursor": each} for each in cursors]
    return entry(event, sinks=said)


STOPPED = places("audit.stopped", 4)


@pytest.mark.parametrize("rows", [[5], [3], []])
def test_a_place_that_was_moved_after_the_stop_is_named(rows: list[int]) -> None:
    """On, so that what waited is never sent; back; or taken away."""
    replay = replayed(STOPPED)
    replay.check_deliveries([Delivery("s", 4)], 9)
    with pytest.raises(VerificationError, match="was at entry 4 when the server stopped"):
        replay.check_deliveries([Delivery("s", each) for each in rows], 9)


@pytest.mark.parametrize("cursors", [[5], [3], []])
def test_a_place_that_was_moved_before_a_start_stays_named(cursors: list[int]) -> None:
    """Though the server went on from there."""
    replayed(STOPPED, places("audit.started", 4)).check_deliveries([Delivery("s", 7)], 9)
    with pytest.raises(VerificationError, match="at the next start"):
        replayed(STOPPED, places("audit.started", *cursors))


def test_a_place_that_appears_after_the_stop_is_named() -> None:
    """Nothing was ever given to the sink by then."""
    with pytest.raises(VerificationError, match="was at no place when the server stopped"):
        replayed(places("audit.stopped")).check_deliveries([Delivery("s", 0)], 9)


def test_nothing_is_told_of_places_by_a_release_that_did_not_record_them() -> None:
    """Before and after an upgrade, and when an older one runs once more."""
    older = entry("audit.stopped")
    replayed(older, places("audit.started", 7)).check_deliveries([Delivery("s", 8)], 9)
    replayed(older).check_deliveries([Delivery("s", 8)], 9)
    replayed(STOPPED, entry("audit.started")).check_deliveries([Delivery("s", 8)], 9)


def test_a_sink_that_is_deleted_after_the_stop_has_no_place() -> None:
    """Its rows went with it."""
    replayed(STOPPED, DELETED).check_deliveries([], 9)


async def test_what_a_forwarder_keeps_holds_at_each_step(tmp_path: Path) -> None:
    """Set aside, asked for once more, half way, and done: in a real database."""
    path = tmp_path / "db"

    async def check() -> None:
        async with SQLiteReader(path) as reader:
            replay = SinksReplay()
            async for stored in reader.entries(LogQuery()):
                parsed = (await log_of(reader))[stored.record.index]
                replay.note_any(stored.record.index, parsed)
                if parsed["outcome"] == "success":
                    replay.note(stored.record.index, parsed)
            snapshot = await reader.snapshot()
            replay.check_deliveries(snapshot.deliveries, snapshot.end)
            replay.check_dead_letters(snapshot.dead_letters)
            replay.check_replays(snapshot.replays)

    async with SQLiteStore(path, an_audit_log(), create=True) as store:
        world, sink = World(store), FakeSink()
        sink.always = rejecting(2, 3, 5)
        found = await world.add_sink()
        await world.append(6)
        async with world.forwarding(found, sink):
            await until(lambda: "sink.dead_lettered" in sink.events)
        await check()
        await service(world).replay(SYSTEM, "siem", only_dead_letters=True)
        await check()
        sink.always = rejecting(3)
        async with world.forwarding(found, sink):
            await until(lambda: sink.events.count("sink.replayed") == 2)
        await check()
        assert [3] == [each.index for each in await store.dead_letters(found.id)]
        await store.backup(tmp_path / "copy")
    async with SQLiteReader(tmp_path / "copy") as copy:
        snapshot = await copy.snapshot()
        assert (1, 1, []) == (
            len(snapshot.deliveries),
            len(snapshot.dead_letters),
            snapshot.replays,
        )
