"""A world for a forwarder: a store with sinks in it, a clock that each sleep moves, and news."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from proxy.access import Caller, Principal, Role, rights_of
from proxy.contracts import Delivery, Store, Transaction
from proxy.directory import Object, SinkRecord, document_of
from proxy.forwarding.forwarder import Forwarder, Surroundings
from proxy.forwarding.pace import Pace
from proxy.sinks.contract import Batch, NotTakenError, Receipt
from proxy.timestamps import uuid7
from tests.fakes import START, FakeSink, FakeStore
from tests.samples import a_draft, log_of

SYSTEM = Caller(
    Principal("system", "server", "tfaudit", rights_of(Role.ADMIN)), "", "", "cli", "forward", ""
)
DOWN = NotTakenError("503 Service Unavailable")

Match = Callable[[Mapping[str, Any]], bool]


def is_any(_: Mapping[str, Any]) -> bool:
    """Match all entries."""
    return True


class Time:
    """A clock that stands still but for what is slept.

    Attributes:
        micros: the present, microseconds since 1970.
        slept: the seconds of each sleep that ended.
    """

    def __init__(self) -> None:
        self.micros = START
        self.slept: list[float] = []

    def clock(self) -> int:
        """Return the present in microseconds."""
        return self.micros

    def now(self) -> datetime:
        """Return the present."""
        return datetime.fromtimestamp(self.micros / 1e6, UTC)

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.micros / 1e6

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once, after everybody else had their turn."""
        await asyncio.sleep(0)
        self.micros += int(seconds * 1_000_000)
        self.slept.append(seconds)


class World:
    """A store, a clock, and what makes forwarders in it.

    Attributes:
        time: the clock.
        store: keeps everything.
        chance: what the next random numbers are.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.time = Time()
        self.store = store or FakeStore(self.time.clock)
        self.chance = 1.0
        self.pace = Pace(linger=0.0)

    async def add_sink(self, name: str = "siem", number: int = 1, **fields: Any) -> Object:
        """Make a sink's object, as an administrator does, with its entry."""
        record = SinkRecord(name=name, type="fake", **fields)
        sink_id = uuid7(START + number, number.to_bytes(8, "big"))

        def job(tx: Transaction) -> Object:
            found = Object("sink", name, sink_id, tx.time, tx.time, document_of(record))
            tx.put_object(found)
            draft = a_draft(f"made {name}", event="sink.created")
            after = {"name": name}
            about = {"kind": "sink", "name": name, "id": sink_id}
            draft.entry["object"] = {**about, "before": None, "after": after}
            tx.append(draft)
            return found

        return (await self.store.write(job)).value

    async def append(self, count: int = 1, *, event: str = "state.read") -> None:
        """Append so many entries in one commit."""

        def job(tx: Transaction) -> None:
            for number in range(count):
                tx.append(a_draft(f"entry {number}", event=event))

        await self.store.write(job)

    def forwarder(self, found: Object, sink: FakeSink, is_match: Match = is_any) -> Forwarder:
        """Return a forwarder to the sink."""
        around = Surroundings(
            store=self.store,
            open_sink=sink.make,
            origin="tfaudit.test/fake",
            caller=SYSTEM,
            now=self.time.now,
            monotonic=self.time.monotonic,
            sleep=self.time.sleep,
            chance=lambda: self.chance,
            pace=self.pace,
        )
        return Forwarder(found, is_match, around)

    @asynccontextmanager
    async def forwarding(
        self, found: Object, sink: FakeSink, is_match: Match = is_any
    ) -> AsyncIterator[Forwarder]:
        """Run a forwarder to the sink, and stop it in order."""
        forwarder = self.forwarder(found, sink, is_match)

        async def wake() -> None:
            while True:
                await asyncio.sleep(0.002)
                forwarder.wake()

        task = asyncio.create_task(forwarder.run())
        waker = asyncio.create_task(wake())
        try:
            yield forwarder
        finally:
            waker.cancel()
            forwarder.stop()
            async with asyncio.timeout(30):
                await task

    async def delivery(self, found: Object) -> Delivery:
        """Return what is kept of the sink; of one of which nothing is a cursor before the log."""
        kept = [each for each in await self.store.deliveries() if each.sink == found.id]
        return kept[0] if kept else Delivery(found.id, cursor=-1)

    async def entries(self, *events: str) -> list[dict[str, Any]]:
        """Return the entries of these kinds; without any all."""
        return [each for each in await log_of(self.store) if not events or each["event"] in events]

    async def events(self) -> list[str]:
        """Return the kinds of all entries."""
        return [each["event"] for each in await log_of(self.store)]


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so; fail when it does not become so."""
    async with asyncio.timeout(30):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.001)


def rejecting(*indices: int) -> Callable[[Batch], Receipt]:
    """Return a step that takes a batch but for these entries."""
    return lambda batch: Receipt(
        "200 OK",
        {
            at: f"not valid: {event.record.index}"
            for at, event in enumerate(batch.events)
            if event.record.index in indices
        },
    )
