"""Tests of how anchors are seen to: who is asked when, what is told, what is never held up."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.anchors.anchor import Anchor
from proxy.anchors.keeping import Anchors
from proxy.anchors.place import Label, label_of
from proxy.contracts import Store
from proxy.errors import ConfigError, UnavailableError
from proxy.last_checkpoint import LastCheckpoint, Lost
from proxy.tlog.checkpoint import verify_checkpoint
from tests.anchors.scenes import VERIFIER, grow
from tests.samples import an_open_store


class Shelf:
    """A place in memory.

    Attributes:
        notes: what stands there.
        calls: how often it was asked or given anything.
        fault: raised by every call.
        hangs: whether nothing is ever answered.
    """

    def __init__(self) -> None:
        self.where = "a shelf"
        self.is_settled = True
        self.notes: dict[Label, str] = {}
        self.calls = 0
        self.fault: Exception | None = None
        self.hangs = False
        self.is_closed = False

    async def seen(self, size: int) -> Sequence[Label]:  # noqa: ARG002 - all are few
        """Return all."""
        await self._called()
        return sorted(self.notes, reverse=True)

    async def read(self, label: Label) -> str:
        """Return one."""
        await self._called()
        return self.notes[label]

    async def put(self, label: Label, note: str) -> None:
        """Keep one."""
        await self._called()
        self.notes[label] = note

    async def _called(self) -> None:
        self.calls += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.fault is not None:
            raise self.fault

    async def aclose(self) -> None:
        """Be closed."""
        self.is_closed = True


class World:
    """A log with two anchors, and what is told of them.

    Attributes:
        store: has the log.
        shelves: the places, of the anchors one and two.
        anchors: both.
        waited: how long was slept, in order.
    """

    def __init__(self, store: Store, directory: Path) -> None:
        self.store = store
        self.directory = directory
        self.shelves = Shelf(), Shelf()
        self.waited: list[float] = []
        self.lost: list[Lost] = []
        self.restart()

    def restart(self) -> None:
        """Forget what is not in a place."""
        last = LastCheckpoint(self.directory / "checkpoint.last", VERIFIER)
        self.anchors = Anchors(
            [
                Anchor(name, "shelf", shelf, 60.0, self.directory / f"{name}.lock")
                for name, shelf in zip(("one", "two"), self.shelves, strict=True)
            ],
            self.store,
            last.verified,
        )

    async def run(self, until: Callable[[], bool], *, is_copy: bool = False) -> None:
        """Follow the log, without waiting between rounds, until something is so."""

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)
            await asyncio.sleep(0.001)

        self.waited.clear()
        task = asyncio.create_task(self.anchors.run(self.lost.append, sleep, is_copy=is_copy))
        async with asyncio.timeout(20):
            while not until():  # noqa: ASYNC110 - whatever it is, nobody tells of it
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait({task})

    def rounds(self, number: int) -> Callable[[], bool]:
        """Return what tells whether so many rounds passed."""
        return lambda: len(self.waited) >= number

    async def newest(self) -> tuple[Label, str]:
        """Return the newest checkpoint."""
        note = await self.store.checkpoint()
        return label_of(verify_checkpoint(note, VERIFIER)), note


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Begin with a log of three entries."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 3)
        yield World(store, tmp_path)


async def test_each_is_given_the_newest_at_its_interval(world: World) -> None:
    """At once after the start, then after a minute; nothing is asked when nothing grew."""
    await world.run(world.rounds(6))
    label, note = await world.newest()
    assert {60.0} == set(world.waited)
    assert [{label: note}] * 2 == [each.notes for each in world.shelves]
    calls = [each.calls for each in world.shelves]
    await world.run(world.rounds(6))
    assert calls == [each.calls for each in world.shelves]


async def test_one_that_fails_holds_up_no_other(world: World) -> None:
    """It is tried again soon, then later and later; told once, and when it takes them again."""
    bad, good = world.shelves
    bad.fault = UnavailableError("no room")

    def mended() -> bool:
        if world.waited.count(300.0) >= 2:
            bad.fault = None
        return bool(bad.notes) and world.waited.count(60.0) > 2 and not world.anchors.failures

    with capture_logs() as lines:
        await world.run(mended)
    assert 2 == [await world.newest() in each.notes.items() for each in (bad, good)].count(True)
    pauses = [each for each in world.waited if each != 60.0]
    assert [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0] == pauses[:8]
    told = [line["event"] for line in lines]
    assert ["an anchor takes no checkpoint", "the anchor takes checkpoints again"] == told


async def test_what_nobody_expects_is_a_failure_like_others(world: World) -> None:
    """The place has a fault: the others go on, and its words, which may be secret, are not told."""
    bad, good = world.shelves
    bad.fault = RuntimeError("hunter2")
    with capture_logs() as lines:
        await world.run(world.rounds(4))
    assert await world.newest() in good.notes.items()
    assert {"one": "a fault of the program (RuntimeError): see the server's log"} == (
        world.anchors.failures
    )
    assert lines
    assert "hunter2" not in str(lines)


async def test_one_that_never_answers_delays_a_start_and_a_stop_by_its_patience(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is told of."""
    monkeypatch.setattr("proxy.anchors.keeping.PATIENCE", 0.05)
    world.shelves[0].hangs = True
    await world.anchors.check()
    assert {"one": "a shelf did not answer within 0.05 s"} == world.anchors.uncompared
    await world.anchors.keep()
    assert ["one"] == list(world.anchors.failures)
    assert await world.newest() in world.shelves[1].notes.items()


async def test_one_that_could_not_be_asked_at_the_start_is_compared_later(world: World) -> None:
    """It knew more: nothing is put there, and who serves is told, once."""
    await grow(world.store, 4)
    label, note = await world.newest()
    for each in world.shelves:
        each.notes[label] = note
    world.shelves[0].fault = UnavailableError("away")
    async with an_open_store(_older(world.directory)) as store:
        await grow(store, 5)
        world.store = store
        world.restart()
        world.shelves[1].notes.clear()
        await world.anchors.check()
        statuses = await world.anchors.statuses(datetime.now(UTC))
        assert [(False, math.inf), (True, True)] == [
            (statuses[0].is_compared, statuses[0].age),
            (statuses[1].is_compared, statuses[1].age < math.inf),
        ]
        world.shelves[0].fault = None
        await world.run(lambda: bool(world.lost))
        assert [("the anchor one", 7)] == [(each.by, each.size) for each in world.lost]
        assert {label: note} == world.shelves[0].notes
        with pytest.raises(ConfigError, match="the anchor one knows with 7 entries"):
            await world.anchors.check()


def _older(directory: Path) -> Path:
    """Return a directory for another log of the same keys."""
    other = directory / "other"
    other.mkdir()
    return other


async def test_a_copy_compares_and_puts_nothing(world: World) -> None:
    """The anchors are those of the log that it was made of."""
    await world.run(world.rounds(4), is_copy=True)
    assert [{}, {}] == [each.notes for each in world.shelves]
    assert {} == world.anchors.failures
    assert all(each.calls for each in world.shelves)


async def test_how_far_each_is(world: World) -> None:
    """In entries, and by the age of the first that it does not cover."""
    await world.anchors.keep(["one"])
    await grow(world.store, 2)
    now = datetime.now(UTC)
    await world.anchors.check()
    one, two = await world.anchors.statuses(now)
    assert ("one", "shelf", "a shelf", 3, 2, True, "", None) == (*one[:5], *one[6:])
    assert ("two", None, 5, True) == (two.name, two.size, two.lag, two.is_compared)
    await world.anchors.keep()
    assert [(5, 0, 0.0)] * 2 == [
        (each.size, each.lag, each.age) for each in await world.anchors.statuses(now)
    ]


async def test_all_are_closed(world: World) -> None:
    """Also the second."""
    await world.anchors.aclose()
    assert [True, True] == [each.is_closed for each in world.shelves]
