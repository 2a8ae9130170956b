"""Tests of what a sink refuses: dead letters, one by one, and when it is rather the sink."""

import pytest

from proxy.directory import Object
from proxy.sink_entries import is_about_sinks
from proxy.sinks.contract import Batch, Limits, NotTakenError, Receipt, RefusedError
from tests.fakes import FakeSink, FakeStore, Fault, refuse
from tests.forwarding.world import DOWN, World, rejecting, until


async def dead(world: World, found: Object) -> list[int]:
    """Return the indices of what is set aside."""
    return [each.index for each in await world.store.dead_letters(found.id)]


async def test_a_refused_batch_is_halved_until_each_poison_stands_alone() -> None:
    """In order; the others are delivered, and the reason is kept and recorded."""
    world, sink = World(), FakeSink()
    sink.always = refuse(3, 6, reason="400 Bad Request")
    found = await world.add_sink()
    await world.append(8)
    async with world.forwarding(found, sink):
        await until(lambda: {1, 2, 4, 5, 7, 8} <= set(sink.taken))
        await until(lambda: "sink.dead_lettered" in sink.events)
    assert [1, 2, 4, 5, 7, 8, 9] == sink.taken
    assert [3, 6] == await dead(world, found)
    [recorded] = await world.entries("sink.dead_lettered")
    reasons = [{"index": index, "reason": "400 Bad Request"} for index in (3, 6)]
    assert (found.id, reasons) == (recorded["sink"]["id"], recorded["sink"]["dead_letters"])
    assert [] == await world.entries("sink.failed")
    delivery = await world.delivery(found)
    assert (2, 10, 7) == (delivery.dead_letters, delivery.cursor, delivery.delivered)


async def test_what_a_sink_names_itself_is_set_aside_and_the_rest_taken() -> None:
    """One answer is enough then, also when it has to be asked again for others."""
    later = NotTakenError("partly", left=[0], rejected={1: "too large"})
    world, sink = World(), FakeSink(later, rejecting(1))
    found = await world.add_sink()
    await world.append(3)
    async with world.forwarding(found, sink):
        await until(lambda: 3 in sink.taken)
        await until(lambda: "sink.dead_lettered" in sink.events)
    letters = await world.store.dead_letters(found.id)
    assert [(1, "not valid: 1"), (2, "too large")] == [
        (each.index, each.reason) for each in letters
    ]


async def test_what_was_not_tried_is_given_after_the_refused() -> None:
    """As the sink says."""
    partly = RefusedError("400", refused=[1], left=[2, 3])
    world, sink = World(), FakeSink(partly)
    found = await world.add_sink()
    await world.append(4)
    async with world.forwarding(found, sink):
        await until(lambda: {1, 3, 4} <= set(sink.taken))
    assert [[1, 2, 3, 4], [3, 4]] == sink.sent[:2]
    assert [2] == await dead(world, found)


@pytest.mark.parametrize("refused", [[], [17]])
async def test_a_refusal_that_names_nothing_is_of_the_whole_batch(refused: list[int]) -> None:
    """That the sink took what it did not name would be a guess."""
    world, sink = World(), FakeSink(RefusedError("400", refused=refused))
    found = await world.add_sink()
    await world.append(2)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.sent) >= 3)
    assert [[1, 2], [1], [2]] == sink.sent[:3]


async def test_a_sink_that_refuses_everything_is_wrong_itself() -> None:
    """Nothing is set aside for it; once it is mended all comes."""
    world, sink = World(), FakeSink()
    sink.always = RefusedError("400 no such index", refused=range(1000))
    found = await world.add_sink()
    await world.append(40)
    async with world.forwarding(found, sink):
        await until(lambda: world.time.slept.count(900.0) >= 2)
        assert [] == await dead(world, found)
        assert 1 == (await world.delivery(found)).cursor
        sink.always = None
        await until(lambda: set(range(1, 41)) <= set(sink.taken))
    assert list(range(1, 41)) == sorted(index for index in sink.taken if index <= 40)
    [failed] = await world.entries("sink.failed")
    assert "400 no such index" in failed["sink"]["error"]
    assert [] == await world.entries("sink.dead_lettered")


async def test_a_sink_that_refuses_one_after_the_other_is_wrong_too() -> None:
    """Also when they come alone: at most nine are set aside before that is noticed."""
    world, sink = World(), FakeSink(limits=Limits(1))
    sink.always = RefusedError("400", refused=[0])
    found = await world.add_sink()
    await world.append(30)
    async with world.forwarding(found, sink):
        await until(lambda: 900.0 in world.time.slept)
        assert list(range(1, 10)) == await dead(world, found)
        sink.always = None
        await until(lambda: set(range(10, 31)) <= set(sink.taken))
    # Mended in the middle of a try, it has what came later first.
    assert list(range(10, 31)) == sorted(index for index in sink.taken if index <= 30)


async def test_many_poisons_in_a_row_are_got_over_when_one_behind_them_is_taken() -> None:
    """It looks ahead further with each try: then they are wrong, and not the sink."""
    world, sink = World(), FakeSink(limits=Limits(1))
    poison = range(5, 35)
    sink.always = refuse(*poison)
    found = await world.add_sink()
    await world.append(40)
    async with world.forwarding(found, sink):
        await until(lambda: 40 in sink.taken)
        await until(lambda: "sink.recovered" in sink.events)
    assert list(poison) == await dead(world, found)
    assert [*range(1, 5), *range(35, 41)] == [index for index in sink.taken if index <= 40]
    assert 30 == (await world.delivery(found)).dead_letters


@pytest.mark.parametrize("fault", Fault)
async def test_a_dead_letter_has_its_entry_however_the_commit_ends(fault: Fault) -> None:
    """Not persisted, or persisted and the answer lost: once in the end, and nothing is skipped."""
    store = FakeStore()
    world, sink = World(store), FakeSink()
    sink.always = refuse(2)
    found = await world.add_sink()
    await world.append(3)
    store.fault = fault
    async with world.forwarding(found, sink):
        await until(lambda: store.writes > 4)
        store.fault = None
        await until(lambda: {1, 3} <= set(sink.taken))
        await until(lambda: "sink.dead_lettered" in sink.events)
    assert [2] == await dead(world, found)
    assert 1 == len(await world.entries("sink.dead_lettered"))
    assert 1 == (await world.delivery(found)).dead_letters


async def test_entries_are_parted_when_many_are_set_aside() -> None:
    """Each entry of the log stays small."""
    world, sink = World(), FakeSink(limits=Limits(200))
    odd = [index for index in range(1, 200) if index % 2]
    sink.script.append(rejecting(*odd))
    found = await world.add_sink()
    await world.append(199)
    async with world.forwarding(found, sink):
        await until(lambda: "sink.dead_lettered" in sink.events)
    recorded = await world.entries("sink.dead_lettered")
    assert [50, 50] == [len(each["sink"]["dead_letters"]) for each in recorded]
    assert odd == await dead(world, found)


# ---------------------------------------------------------------- news about sinks


async def test_what_is_refused_about_sinks_makes_no_news() -> None:
    """It is set aside all the same; an entry about it would be refused for the next."""
    world, sink = World(), FakeSink()
    sink.always = rejecting(*range(2, 100))
    found = await world.add_sink()
    await world.append(2)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.sent) >= 2)
        await world.append(0)
    assert 1 == len(await world.entries("sink.dead_lettered"))
    assert [2, 3] == await dead(world, found)
    assert 2 == (await world.delivery(found)).dead_letters


async def test_two_sinks_that_fail_tell_each_other_no_more_than_once() -> None:
    """What is only about sinks may fail in silence: it shows in the list of sinks."""
    world, one, other = World(), FakeSink(), FakeSink()
    one.always = other.always = DOWN
    first = await world.add_sink("one", 1)
    second = await world.add_sink("other", 2)
    await world.append()
    async with world.forwarding(first, one), world.forwarding(second, other):
        await until(lambda: len(one.sent) > 50 and len(other.sent) > 50)
        size = await world.store.size()
        assert 2 == len(await world.entries("sink.failed"))
        sent = len(one.sent)
        await until(lambda: len(one.sent) > sent + 50)
        assert size == await world.store.size()


async def test_a_sink_that_fails_on_news_about_sinks_alone_makes_none() -> None:
    """Else two of them would go on for ever."""
    world, sink, down = World(), FakeSink(), FakeSink()

    def step(batch: Batch) -> Receipt:
        if all(is_about_sinks(each.entry) for each in batch.events):
            raise DOWN
        return Receipt("200 OK")

    sink.always, down.always = step, DOWN
    found, other = await world.add_sink(), await world.add_sink("other", 2)
    await world.append()
    async with world.forwarding(found, sink):
        await until(lambda: sink.taken == [1, 2])
        async with world.forwarding(other, down):
            await until(lambda: len(down.sent) > 10)
        await until(lambda: len(sink.sent) > 30)
        delivery = await world.delivery(found)
    assert ["other"] == [each["sink"]["name"] for each in await world.entries("sink.failed")]
    assert (True, False) == (delivery.is_open, delivery.is_reported)


async def test_a_flapping_sink_is_news_at_most_every_ten_minutes() -> None:
    """What was left out is counted in the next."""
    world, sink = World(), FakeSink()
    calls = 0

    def flap(_: Batch) -> Receipt:
        nonlocal calls
        calls += 1
        if calls % 6:
            raise DOWN
        return Receipt("200 OK")

    sink.always = flap
    world.pace = type(world.pace)(linger=0.0, open_wait=1.0)
    found = await world.add_sink()
    began = world.time.monotonic()
    async with world.forwarding(found, sink):
        while world.time.monotonic() - began < 3000:
            await world.append()
            sent = len(sink.taken)
            await until(lambda sent=sent: len(sink.taken) > sent)  # type: ignore[misc]
    times = [each["sink"]["since"] for each in await world.entries("sink.failed")]
    assert 2 <= len(times) <= 6
    assert sum(each["sink"]["unreported"] for each in await world.entries("sink.failed")) > 10
