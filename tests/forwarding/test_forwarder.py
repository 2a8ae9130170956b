"""Tests of proxy.forwarding.forwarder: order, batches, waiting, circuits; clocks are injected."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proxy.directory import Object
from proxy.sinks.contract import Limits, NotTakenError, SinkGoneError
from tests.fakes import HANG, FakeSink
from tests.forwarding.world import DOWN, World, is_any, until

HOUR = 3600.0


# ---------------------------------------------------------------- the usual


async def test_all_entries_since_it_was_made_are_given_in_order() -> None:
    """In batches as large as the sink takes; none before it was made, and not its own making."""
    world, sink = World(), FakeSink(limits=Limits(3))
    await world.append(4)
    found = await world.add_sink()
    await world.append(7)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 7)
    assert list(range(5, 12)) == sink.taken
    assert [[5, 6, 7], [8, 9, 10], [11]] == sink.sent
    delivery = await world.delivery(found)
    assert (12, 7, 0) == (delivery.cursor, delivery.delivered, delivery.retries)
    assert delivery.last_delivery is not None
    assert sink.is_closed


@pytest.mark.parametrize(("start", "first"), [(0, 0), (2, 2), (99, 5)])
async def test_a_new_sink_gets_older_entries_from_where_it_is_told(start: int, first: int) -> None:
    """And when that is beyond the log's end, what comes next."""
    world, sink = World(), FakeSink()
    await world.append(4)
    found = await world.add_sink(start=start)
    async with world.forwarding(found, sink):
        await until(lambda: sink.made == 1)
        await until(lambda: len(sink.taken) >= 5 - first)
        await world.append()
        await until(lambda: len(sink.taken) >= 6 - first)
    assert list(range(first, 6)) == sink.taken


async def test_a_sink_goes_on_where_it_was() -> None:
    """Nothing comes twice after a stop in order."""
    world, sink = World(), FakeSink()
    found = await world.add_sink()
    await world.append(3)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 3)
    await world.append(2)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 5)
    assert [1, 2, 3, 4, 5] == sink.taken


async def test_what_the_filter_leaves_out_is_passed_over() -> None:
    """The sink's place moves all the same, so that it does not seem to lag."""
    world, sink = World(), FakeSink()
    found = await world.add_sink()
    await world.append(2, event="state.read")
    await world.append(2, event="state.written")
    await world.append(1200, event="state.read")
    async with world.forwarding(found, sink, lambda entry: entry["event"] == "state.written"):
        await until(lambda: len(sink.taken) >= 2)

        async def is_at_the_end() -> bool:
            return (await world.delivery(found)).cursor == 1205

        await until(is_at_the_end)
    assert [3, 4] == sink.taken


async def test_a_batch_that_is_not_full_waits_for_more() -> None:
    """So that a busy server does not send every entry alone."""
    world, sink = World(), FakeSink()
    world.pace = type(world.pace)(linger=0.25)
    found = await world.add_sink()
    await world.append(2)
    sleep = world.time.sleep

    async def meanwhile(seconds: float) -> None:
        if seconds == 0.25 and not sink.sent:
            await world.append(3)
        await sleep(seconds)

    world.time.sleep = meanwhile  # type: ignore[method-assign]
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 5)
    assert [[1, 2, 3, 4, 5]] == sink.sent


async def test_a_sink_that_wants_a_pause_gets_it() -> None:
    """Between two calls, measured from the end of the first."""
    world, sink = World(), FakeSink(limits=Limits(1, pause=2.0))
    found = await world.add_sink()
    await world.append(3)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 3)
    assert [[1], [2], [3]] == sink.sent
    assert 2 == world.time.slept.count(2.0)


async def test_each_batch_brings_the_newest_checkpoint() -> None:
    """It covers all of the batch: evidence in the hands of whoever receives it."""
    world, sink = World(), FakeSink()
    seen = []
    found = await world.add_sink()
    await world.append(2)

    def look(batch: object) -> object:
        seen.append((batch.checkpoint, batch.origin))  # type: ignore[attr-defined]
        raise DOWN

    sink.script.append(look)  # type: ignore[arg-type]
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 2)
    assert [(await world.store.checkpoint(3), "tfaudit.test/fake")] == seen


# ---------------------------------------------------------------- trouble


async def test_what_was_not_taken_is_given_again_after_longer_and_longer_waits() -> None:
    """Exponential back-off with full jitter: from nothing up to a bound that doubles."""
    world, sink = World(), FakeSink(DOWN, DOWN, DOWN, DOWN)
    found = await world.add_sink()
    await world.append(2)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 2)
    assert [[1, 2]] * 5 == sink.sent
    assert [1.0, 2.0, 4.0, 8.0] == [each for each in world.time.slept if each >= 1]
    delivery = await world.delivery(found)
    assert (4, 2) == (delivery.retries, delivery.delivered)
    assert (None, 0, "", None) == (
        *(delivery.failing_since, delivery.failures),
        *(delivery.error, delivery.next_try),
    )
    assert ["sink.created", "state.read", "state.read"] == await world.events()


async def test_only_what_was_left_is_given_again() -> None:
    """Before anything that comes after it."""
    left = NotTakenError("throttled", left=[1, 3])
    world, sink = World(), FakeSink(left, limits=Limits(4))
    found = await world.add_sink()
    await world.append(6)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 6)
    assert [[1, 2, 3, 4], [2, 4], [5, 6]] == sink.sent
    assert 6 == (await world.delivery(found)).delivered


@pytest.mark.parametrize(("asked", "waited"), [(30.0, 30.0), (0.1, 1.0), (1e9, HOUR)])
async def test_a_far_side_is_left_alone_for_as_long_as_it_asks(asked: float, waited: float) -> None:
    """Up to an hour, and never for less than the back-off says."""
    world, sink = World(), FakeSink(NotTakenError("429", retry_after=asked))
    found = await world.add_sink()
    await world.append()
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 1)
    assert waited == max(world.time.slept)


async def test_a_circuit_opens_and_closes_and_both_are_on_record_once() -> None:
    """After five failures it is tried seldom; the news of it is not for the sink itself."""
    world, sink = World(), FakeSink(*[DOWN] * 20)
    found = await world.add_sink()
    await world.append()
    async with world.forwarding(found, sink):
        await until(lambda: "sink.recovered" in sink.events)
    waits = [each for each in world.time.slept if each >= 1]
    assert [1.0, 2.0, 4.0, 8.0, *[300.0] * 16] == waits[:20]
    failed, recovered = await world.entries("sink.failed", "sink.recovered")
    assert ("sink.failed", "error", 5) == (
        *(failed["event"], failed["outcome"]),
        failed["sink"]["failures"],
    )
    assert "503 Service Unavailable" == failed["sink"]["error"]
    assert ("sink.recovered", failed["sink"]["since"]) == (
        recovered["event"],
        recovered["sink"]["since"],
    )
    assert ["state.read", "sink.recovered"] == sink.events


async def test_what_somebody_must_mend_opens_the_circuit_at_once() -> None:
    """Nothing is set aside for it, and the next try is by a new sink: with secrets read anew."""
    world, sink = World(), FakeSink(NotTakenError("401 Unauthorized", needs_repair=True))
    found = await world.add_sink()
    await world.append()
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 1)
    assert 900.0 == max(world.time.slept)
    assert 2 == sink.made
    assert 1 == len(await world.entries("sink.failed"))
    assert [] == await world.store.dead_letters(found.id)


async def test_a_sink_that_is_down_for_days_loses_nothing() -> None:
    """Longer than any far side takes a late entry for a new one."""
    world, sink = World(), FakeSink()
    sink.always = DOWN
    found = await world.add_sink()
    await world.append(10)
    began = world.time.monotonic()
    async with world.forwarding(found, sink):
        await until(lambda: world.time.monotonic() - began > 72 * HOUR)
        await world.append(1000)
        sink.always = None
        await until(lambda: len([e for e in sink.events if e == "state.read"]) == 1010)
    assert sorted(set(sink.taken)) == sink.taken
    assert 1 == len(await world.entries("sink.failed"))
    assert 1 == len(await world.entries("sink.recovered"))


async def test_a_sink_that_never_answers_is_cut_off() -> None:
    """And counts as not having taken anything."""
    world, sink = World(), FakeSink(HANG)
    world.pace = type(world.pace)(deadline=0.02)
    found = await world.add_sink()
    await world.append()
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 1)
    assert [[1], [1]] == sink.sent


async def test_a_sink_that_fails_in_its_own_way_is_given_the_same_again() -> None:
    """What it says may hold a secret, so that only its kind and its place are kept."""
    world, sink = World(), FakeSink(RuntimeError("the key is hunter2"), HANG)
    found = await world.add_sink()
    await world.append()
    with capture_logs() as lines:
        await _fail_in_its_own_way(world, found, sink)
    assert "in _played" in str(lines)
    assert "hunter2" not in str(lines)


async def _fail_in_its_own_way(world: World, found: Object, sink: FakeSink) -> None:
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.sent) == 2)
        assert "RuntimeError" in (error := (await world.delivery(found)).error)
        assert "hunter2" not in error
        sink.hang.set()
        await until(lambda: len(sink.taken) >= 1)


async def test_a_sink_that_can_not_be_probed_gets_nothing() -> None:
    """Some far sides swallow whatever they are sent when they are not set up."""
    world, sink = World(), FakeSink()
    sink.probes.extend([NotTakenError("no such bus", needs_repair=True), None])
    found = await world.add_sink()
    async with world.forwarding(found, sink):
        await until(lambda: sink.made == 2)
        await until(lambda: "sink.recovered" in sink.events)
    assert ["sink.created", "sink.failed", "sink.recovered"] == await world.events()
    assert [2] == sink.taken


async def test_a_far_side_that_wants_no_more_disables_the_sink() -> None:
    """On record, on behalf of the server; what waits goes on waiting."""
    world, sink = World(), FakeSink(SinkGoneError("410 Gone"))
    found = await world.add_sink()
    await world.append(2)
    async with world.forwarding(found, sink):
        await until(lambda: "sink.disabled" in sink.events or sink.is_closed)
    [disabled] = await world.entries("sink.disabled")
    assert (True, False) == (
        disabled["object"]["before"]["enabled"],
        disabled["object"]["after"]["enabled"],
    )
    kept = world.store.directory().get("sink", "siem")
    assert kept is not None
    assert not kept.record.enabled  # type: ignore[union-attr]
    assert (1, "410 Gone") == (
        (await world.delivery(found)).cursor,
        (await world.delivery(found)).error,
    )


async def test_what_a_disabled_sink_said_is_over_with_the_first_that_it_takes() -> None:
    """Its error stays as long as it is disabled, and no longer."""
    world = World()
    found = await world.add_sink()
    await world.append(2)
    gone, sink = FakeSink(SinkGoneError("410 Gone")), FakeSink()
    async with world.forwarding(found, gone):
        await until(lambda: "sink.disabled" in gone.events or gone.is_closed)
    async with world.forwarding(found, sink):
        await until(lambda: 2 in sink.taken)
    assert "" == (await world.delivery(found)).error


# ---------------------------------------------------------------- stopping


async def test_a_stop_keeps_what_was_taken() -> None:
    """Also when the rest of the batch was not."""
    world, sink = World(), FakeSink(NotTakenError("throttled", left=[2]))
    world.chance = 0.0
    found = await world.add_sink()
    await world.append(3)
    sink.always = NotTakenError("throttled", retry_after=10)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.sent) >= 2)
    assert 3 == (await world.delivery(found)).cursor
    sink.always = None
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 3)
    assert [1, 2, 3] == sink.taken


async def test_a_cancelled_forwarder_keeps_its_place() -> None:
    """A batch under way is given again."""
    world, sink = World(), FakeSink(None, HANG, limits=Limits(2))
    found = await world.add_sink()
    await world.append(4)
    task = asyncio.create_task(world.forwarder(found, sink).run())
    await until(lambda: len(sink.sent) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 3 == (await world.delivery(found)).cursor
    async with world.forwarding(found, sink, is_any):
        await until(lambda: len(sink.taken) >= 4)
    assert [1, 2, 3, 4] == sink.taken


async def test_a_sink_that_is_deleted_meanwhile_leaves_nothing() -> None:
    """Another one of its name begins anew."""
    world, sink = World(), FakeSink()
    found = await world.add_sink()
    await world.append()
    task = asyncio.create_task(world.forwarder(found, sink).run())
    await until(lambda: len(sink.taken) >= 1)
    await world.store.write(lambda tx: tx.drop_object("sink", "siem"))
    await world.append()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled() or task.exception() is None
    assert [] == await world.store.deliveries()
    again = await world.add_sink(number=2)
    await world.append()
    fresh = FakeSink()
    async with world.forwarding(again, fresh):
        await until(lambda: len(fresh.taken) == 1)
    assert [4] == fresh.taken
