"""Tests of proxy.forwarding.forwarders: sinks come, change, pause and go while it runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from proxy.contracts import Transaction
from proxy.directory import Object, document_of
from proxy.errors import InvalidInputError
from proxy.forwarding import forwarders as module
from proxy.forwarding.forwarders import Bell, Forwarders, Forwarding
from proxy.sink_service import SinkService
from proxy.sink_status import record_of
from proxy.sinks.contract import NotTakenError
from proxy.storage.sqlite import SQLiteStore
from tests.fakes import HANG, FakeSink
from tests.forwarding.world import DOWN, SYSTEM, World, until
from tests.samples import a_draft, an_audit_log


class Runner:
    """Forwarders of a world, each with a sink of its name.

    Attributes:
        sinks: by name.
        made: names of the objects of which a forwarder was made.
        fault: raised when one is made.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.sinks: dict[str, FakeSink] = {}
        self.made: list[str] = []
        self.fault: Exception | None = None
        self.bell = Bell()

    def sink(self, name: str) -> FakeSink:
        """Return the sink of this name."""
        return self.sinks.setdefault(name, FakeSink())

    def make(self, found: Object) -> Forwarding:
        """Make a forwarder."""
        self.made.append(found.name)
        if self.fault is not None:
            raise self.fault
        return self.world.forwarder(found, self.sink(found.name))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Forwarders]:
        """Run all, and stop them in order."""

        async def sleep(_: float) -> None:
            await asyncio.sleep(0.005)

        forwarders = Forwarders(
            self.world.store,
            self.make,
            self.bell,
            sleep=sleep,
            monotonic=self.world.time.monotonic,
        )
        task = asyncio.create_task(forwarders.run())
        try:
            yield forwarders
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.timeout(10):
                    await task

    async def change(self, name: str, **fields: object) -> None:
        """Change a sink's object, as an administrator does."""

        def job(tx: Transaction) -> None:
            found = tx.directory().get("sink", name)
            assert found is not None
            record = msgspec.structs.replace(record_of(found), **fields)
            tx.put_object(found._replace(updated=tx.time, document=document_of(record)))
            tx.append(a_draft(f"changed {name}", event="sink.updated"))

        await self.world.store.write(job)


async def test_sinks_are_fed_from_when_they_are_made() -> None:
    """Each on its own: one that hangs keeps nobody."""
    runner = Runner(World())
    runner.sink("one").always = HANG
    await runner.world.add_sink("one", 1)
    async with runner.running():
        await until(lambda: runner.made == ["one"])
        await runner.world.add_sink("other", 2)
        await runner.world.append(3)
        await until(lambda: len(runner.sink("other").taken) == 3)
    assert ["one", "other"] == runner.made


async def test_a_paused_sink_keeps_its_place() -> None:
    """And gets what happened meanwhile when it goes on."""
    runner = Runner(World())
    sink = runner.sink("siem")
    await runner.world.add_sink()
    async with runner.running():
        await runner.world.append()
        await until(lambda: len(sink.taken) == 1)
        await runner.change("siem", enabled=False)
        await until(lambda: sink.is_closed)
        await runner.world.append(2)
        await asyncio.sleep(0.05)
        before = len(sink.taken)
        await runner.change("siem", enabled=True)
        await until(lambda: len(sink.taken) == 5)
    assert before <= 2
    assert [1, 2, 3, 4, 5] == sink.taken


async def test_a_changed_sink_is_made_anew() -> None:
    """With its new options, from where it was."""
    runner = Runner(World())
    sink = runner.sink("siem")
    await runner.world.add_sink()
    async with runner.running():
        await until(lambda: sink.made == 1)
        await runner.change("siem", description="changed")
        await until(lambda: sink.made == 2)
        await until(lambda: len(sink.taken) >= 1)
    assert [1] == sink.taken


async def test_a_sink_of_the_same_name_begins_anew() -> None:
    """Nothing is left of the one before."""
    runner = Runner(World())
    sink = runner.sink("siem")
    old = await runner.world.add_sink()
    async with runner.running():
        await runner.world.append()
        await until(lambda: len(sink.taken) == 1)

        def job(tx: Transaction) -> None:
            tx.drop_object("sink", "siem")
            tx.append(a_draft("deleted", event="sink.deleted"))

        await runner.world.store.write(job)
        await until(lambda: sink.is_closed)
        new = await runner.world.add_sink(number=2)
        await runner.world.append()
        await until(lambda: 4 in sink.taken)
    assert old.id != new.id
    assert [new.id] == [each.sink for each in await runner.world.store.deliveries()]


async def test_a_sink_that_never_answers_does_not_hang_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is cut off; what it did not take comes again."""
    monkeypatch.setattr(module, "GRACE", 0.02)
    runner = Runner(World())
    sink = runner.sink("siem")
    sink.always = HANG
    found = await runner.world.add_sink()
    await runner.world.append()
    async with runner.running():
        await until(lambda: len(sink.sent) == 1)
    assert sink.is_closed
    assert 1 == (await runner.world.delivery(found)).cursor


@pytest.mark.parametrize("is_taken", [True, False])
async def test_a_sink_that_took_a_test_is_tried_at_once(
    is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a command tested it, of which the server hears by the store; no other is."""
    runner = Runner(World())
    sink, other = runner.sink("siem"), runner.sink("other")
    sink.always = other.always = NotTakenError("401 Unauthorized", needs_repair=True)
    for name in ("siem", "other"):
        await runner.world.add_sink(name, 1 + (name == "other"))

    at_once = runner.world.time.sleep

    async def sleep(seconds: float) -> None:
        if seconds > 60:  # what a circuit that is open waits
            await asyncio.Event().wait()
        await at_once(seconds)

    monkeypatch.setattr(runner.world.time, "sleep", sleep)
    tester = FakeSink() if is_taken else FakeSink(DOWN)
    service = SinkService(
        runner.world.store, tester.make, "tfaudit.test/fake", runner.world.time.now, bytes
    )

    async def are_waiting() -> bool:
        kept = await runner.world.store.deliveries()
        return sum(each.next_try is not None for each in kept) == 2

    async with runner.running():
        await runner.world.append()
        await until(are_waiting)
        sink.always = None
        tested = await service.test(SYSTEM, "siem")
        assert is_taken == tested.value.is_taken
        if is_taken:
            await until(lambda: tested.index in sink.taken)
        else:
            await asyncio.sleep(0.05)
            assert [] == sink.taken
        assert 1 == len(other.sent)


async def test_a_forwarder_that_fails_by_a_bug_is_started_again_later() -> None:
    """Logged with its traceback; the others run on."""
    runner = Runner(World())

    class Faulty:
        next_try = None

        def try_again(self) -> None:
            """Do nothing."""

        def wake(self) -> None:
            """Do nothing."""

        def stop(self) -> None:
            """Do nothing."""

        async def run(self) -> None:
            raise RuntimeError("a bug")

    make = runner.make

    def first_faulty(found: Object) -> Forwarding:
        if runner.made:
            return make(found)
        runner.made.append("faulty")
        return Faulty()

    runner.make = first_faulty  # type: ignore[method-assign]
    await runner.world.add_sink()
    await runner.world.append()
    async with runner.running():
        await asyncio.sleep(0.1)
        assert ["faulty"] == runner.made
        runner.world.time.micros += 61_000_000
        await until(lambda: runner.sink("siem").taken == [1])


async def test_a_sink_that_can_not_be_used_is_left_until_it_is_changed() -> None:
    """Said once in the log."""
    runner = Runner(World())
    runner.fault = InvalidInputError("the filter is none")
    await runner.world.add_sink()
    async with runner.running():
        await until(lambda: runner.made == ["siem"])
        await asyncio.sleep(0.05)
        assert ["siem"] == runner.made
        runner.fault = None
        await runner.change("siem", description="mended")
        await until(lambda: len(runner.made) == 2)


async def test_what_another_process_commits_is_forwarded(tmp_path: Path) -> None:
    """The command line beside the server rings no bell."""
    async with (
        SQLiteStore(tmp_path / "db", an_audit_log(), create=True) as store,
        SQLiteStore(tmp_path / "db", an_audit_log()) as beside,
    ):
        runner = Runner(World(store))
        await World(beside).add_sink()
        async with runner.running():
            await until(lambda: runner.made == ["siem"])
            await beside.write(lambda tx: tx.append(a_draft()))
            await until(lambda: runner.sink("siem").taken == [1])


async def test_a_bell_is_heard_once_for_many_rings() -> None:
    """On the event loop, from whatever thread it is rung; and by nobody after a hush."""
    bell, heard = Bell(), []
    bell.ring(1)  # nobody listens yet
    bell.listen(lambda: heard.append(1))

    def many() -> None:
        for _ in range(100):
            bell.ring(1)
        bell.ring(0)

    await asyncio.to_thread(many)
    await until(lambda: heard == [1])
    bell.ring(0)  # nothing was committed
    bell.ring(1)
    bell.hush()
    await asyncio.sleep(0.1)
    assert [1] == heard
