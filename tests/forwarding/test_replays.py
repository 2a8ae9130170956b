"""Tests of what a sink is given once more: ranges, and what was set aside."""

import pytest

from proxy.contracts import SinkReplay
from proxy.directory import Object
from proxy.errors import ConflictError, InvalidInputError, NotFoundError
from proxy.sink_service import SinkService
from proxy.sinks.contract import Limits
from tests.fakes import FakeSink, FakeStore, Fault, refuse
from tests.forwarding.world import DOWN, SYSTEM, World, rejecting, until


def service(world: World) -> SinkService:
    """Return what administrators ask."""
    numbers = iter(range(1, 1000))
    return SinkService(
        world.store,
        FakeSink().make,
        "tfaudit.test/fake",
        world.time.now,
        lambda size: (next(numbers) << 8).to_bytes(size, "big"),
    )


async def delivered(world: World, sink: FakeSink, count: int = 9) -> Object:
    """Return a sink that took so many entries."""
    found = await world.add_sink()
    await world.append(count)
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.sent) >= 1)
        await until(lambda: max(sink.taken, default=0) >= count)
    sink.taken.clear()
    sink.events.clear()
    return found


async def test_a_range_is_given_once_more() -> None:
    """Beside what is new; asked for and done are on record, and nothing of it is left."""
    world, sink = World(), FakeSink(limits=Limits(3))
    found = await delivered(world, sink)
    asked = await service(world).replay(SYSTEM, "siem", 2, 8)
    assert ((2, 8), 10) == ((asked.value.first, asked.value.until), asked.index)
    async with world.forwarding(found, sink):
        await until(lambda: sink.events.count("sink.replayed") == 2)
    assert [2, 3, 4, 5, 6, 7] == [index for index in sink.taken if index < 10]
    assert [2, 3, 4, 5, 6, 7] == sink.replayed
    assert [] == await world.store.replays()
    wish, done = await world.entries("sink.replayed")
    assert {"from": 2, "until": 8} == {
        key: wish["sink"]["replay"][key] for key in ("from", "until")
    }
    assert "taken" not in wish["sink"]
    assert (True, [], asked.value.id) == (
        done["sink"]["is_done"],
        done["sink"]["taken"],
        done["sink"]["replay"]["id"],
    )


async def test_a_replay_waits_for_a_sink_and_goes_on_after_a_restart() -> None:
    """Where it was; also when nobody stopped in order."""
    world, sink = World(), FakeSink(limits=Limits(100))
    found = await delivered(world, sink, 250)
    await service(world).replay(SYSTEM, "siem", 1)
    sink.script.extend([None, None])
    sink.always = DOWN
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.taken) >= 101)
    [left] = await world.store.replays()
    assert left.cursor > left.first == 1
    sink.always = None
    async with world.forwarding(found, sink):
        await until(lambda: sink.events.count("sink.replayed") == 2)
    assert set(range(1, 251)) <= set(sink.taken)


async def test_dead_letters_that_are_taken_are_none_any_more() -> None:
    """The log says which; what is refused again stays, with the newer reason."""
    world, sink = World(), FakeSink()
    sink.always = rejecting(2, 3, 7)
    found = await delivered(world, sink)
    sink.always = refuse(7, reason="still not valid")
    asked = await service(world).replay(SYSTEM, "siem", only_dead_letters=True)
    assert (2, 8) == (asked.value.first, asked.value.until)
    async with world.forwarding(found, sink):
        await until(lambda: sink.events.count("sink.replayed") == 2)
        assert 2 == len(await world.entries("sink.dead_lettered"))
    assert [2, 3] == [index for index in sink.taken if index < 10]
    [letter] = await world.store.dead_letters(found.id)
    assert (7, "still not valid") == (letter.index, letter.reason)
    done = (await world.entries("sink.replayed"))[-1]
    assert (True, [[2, 3]]) == (done["sink"]["is_done"], done["sink"]["taken"])
    assert [] == await world.store.replays()


async def test_a_range_takes_the_dead_letters_in_it_along() -> None:
    """They were sent again like all others."""
    world, sink = World(), FakeSink()
    sink.always = rejecting(4)
    found = await delivered(world, sink)
    sink.always = None
    await service(world).replay(SYSTEM, "siem", 1, 6)
    async with world.forwarding(found, sink):
        await until(lambda: sink.events.count("sink.replayed") == 2)
    assert [] == await world.store.dead_letters(found.id)
    assert [[4, 4]] == (await world.entries("sink.replayed"))[-1]["sink"]["taken"]


async def test_many_dead_letters_that_are_refused_again_do_not_stop_a_sink() -> None:
    """They were known to be wrong."""
    world, sink = World(), FakeSink()
    sink.always = rejecting(*range(1, 40))
    found = await delivered(world, sink, 60)
    await service(world).replay(SYSTEM, "siem", only_dead_letters=True)
    async with world.forwarding(found, sink):
        await until(lambda: sink.events.count("sink.replayed") == 2)
    assert list(range(1, 40)) == [each.index for each in await world.store.dead_letters(found.id)]
    assert [] == await world.entries("sink.failed")


@pytest.mark.parametrize("fault", Fault)
async def test_a_replay_is_told_once_however_a_commit_ends(fault: Fault) -> None:
    """Not persisted, or persisted and the answer lost."""
    store = FakeStore()
    world, sink = World(store), FakeSink()
    sink.always = rejecting(4)
    found = await delivered(world, sink)
    sink.always = None
    await service(world).replay(SYSTEM, "siem", only_dead_letters=True)
    store.fault = fault
    async with world.forwarding(found, sink):
        writes = store.writes
        await until(lambda: store.writes > writes + 3)
        store.fault = None
        await until(lambda: sink.events.count("sink.replayed") == 2)
    assert [] == await world.store.dead_letters(found.id)
    assert 2 == len(await world.entries("sink.replayed"))


async def test_news_of_a_closed_circuit_is_told_once_however_a_commit_ends() -> None:
    """The answer of the first commit is lost, for both kinds."""
    store = FakeStore()
    world, sink = World(store), FakeSink()
    sink.always = DOWN
    found = await world.add_sink()
    await world.append()
    store.fault = Fault.ANSWER_LOST
    async with world.forwarding(found, sink):
        await until(lambda: len(sink.sent) >= 5)
        await until(lambda: store.writes > 12)
        store.fault = None
        await until(lambda: len(sink.sent) >= 7)
        store.fault = Fault.ANSWER_LOST
        sink.always = None
        writes = store.writes
        await until(lambda: store.writes > writes + 3)
        store.fault = None
        await until(lambda: "sink.recovered" in sink.events)
    assert 1 == len(await world.entries("sink.failed"))
    assert 1 == len(await world.entries("sink.recovered"))


# ---------------------------------------------------------------- what can't be


@pytest.mark.parametrize(
    ("first", "until_index", "only", "error"),
    [
        (None, None, False, InvalidInputError),
        (-1, None, False, InvalidInputError),
        (5, 5, False, InvalidInputError),
        (10, None, False, ConflictError),
        (None, None, True, ConflictError),
    ],
)
async def test_what_can_not_be_sent_again_is_refused_on_record(
    first: int | None, until_index: int | None, *, only: bool, error: type[Exception]
) -> None:
    """No range, nothing that was given yet, nothing that is set aside."""
    world, sink = World(), FakeSink()
    await delivered(world, sink)
    size = await world.store.size()
    with pytest.raises(error) as caught:
        await service(world).replay(SYSTEM, "siem", first, until_index, only_dead_letters=only)
    assert size == caught.value.audit_index  # type: ignore[attr-defined]
    [refused] = (await world.entries())[size:]
    assert "sink.replayed" == refused["event"]
    assert refused["outcome"] in {"error", "conflict"}


async def test_a_sink_that_is_not_there_is_said_so() -> None:
    """On record, but for what only looks."""
    world = World()
    for ask in (
        lambda: service(world).replay(SYSTEM, "none", 0),
        lambda: service(world).test(SYSTEM, "none"),
        lambda: service(world).status(SYSTEM, "none"),
        lambda: service(world).dead_letters(SYSTEM, "none"),
    ):
        with pytest.raises(NotFoundError, match="there is no sink none"):
            await ask()
    assert ["sink.replayed", "sink.tested"] == await world.events()


async def test_only_so_many_replays_wait() -> None:
    """Whoever repeats a command in a loop is told."""
    world, sink = World(), FakeSink()
    await delivered(world, sink)
    asking = service(world)
    waiting: list[SinkReplay] = [(await asking.replay(SYSTEM, "siem", 1)).value for _ in range(20)]
    assert waiting == await world.store.replays()
    with pytest.raises(ConflictError, match="20 replays to the sink siem wait already"):
        await asking.replay(SYSTEM, "siem", 1)
