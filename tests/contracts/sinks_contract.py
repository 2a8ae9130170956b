"""What every store keeps of sinks: a part of the contract of stores, see store_contract."""

from collections.abc import Callable
from dataclasses import replace

from proxy.contracts import DeadLetter, Delivery, SinkReplay, Store, Transaction
from proxy.directory import Object, SinkRecord, document_of
from proxy.timestamps import rfc3339
from tests.fakes import START
from tests.samples import a_draft

TIME = rfc3339(START)


def a_sink(name: str = "siem", number: int = 1) -> Object:
    """Return a sink as the directory keeps it."""
    document = document_of(SinkRecord(name=name, type="file"))
    sink_id = f"00000000-0000-7000-8000-00000000000{number}"
    return Object("sink", name, sink_id, TIME, TIME, document)


SINK, OTHER = a_sink(), a_sink("other", 2)
DELIVERY = Delivery(
    SINK.id,
    cursor=7,
    delivered=5,
    retries=2,
    dead_letters=1,
    failing_since=TIME,
    failures=3,
    error="503",
    last_delivery=TIME,
    next_try=TIME,
    is_open=True,
    is_reported=True,
    reported=TIME,
    unreported=4,
)
REPLAY = SinkReplay("01-r", SINK.id, 1, 9, only_dead_letters=True, cursor=1, requested=TIME)


def letter(index: int, reason: str = "400", sink: Object = SINK) -> DeadLetter:
    """Return what is set aside."""
    return DeadLetter(sink.id, index, reason, TIME)


async def do(store: Store, *jobs: Callable[[Transaction], None]) -> None:
    """Do all of them in one job, on record."""

    def job(tx: Transaction) -> None:
        for each in jobs:
            each(tx)
        tx.append(a_draft())

    await store.write(job)


async def with_sinks(store: Store) -> None:
    """Make two sinks."""
    await do(store, lambda tx: tx.put_object(SINK), lambda tx: tx.put_object(OTHER))


async def check_bookkeeping(store: Store) -> None:
    """How far a sink is, and a replay, is kept without an entry, and without a checkpoint."""
    await with_sinks(store)
    await do(store, lambda tx: tx.add_replay(REPLAY))
    before = await store.size(), await store.checkpoint()

    def keep(tx: Transaction) -> None:
        tx.keep_delivery(DELIVERY)
        tx.keep_replay(REPLAY.id, 4)
        tx.note_dead_letters([letter(3)])

    assert None is (await store.write(keep)).index
    assert before == (await store.size(), await store.checkpoint())
    assert [DELIVERY] == await store.deliveries()
    assert [REPLAY._replace(cursor=4)] == await store.replays()
    assert [letter(3)] == await store.dead_letters(SINK.id)
    moved = replace(DELIVERY, cursor=8)
    await store.write(lambda tx: tx.keep_delivery(moved))
    assert moved == (await store.write(lambda tx: tx.delivery(SINK.id))).value
    assert None is (await store.write(lambda tx: tx.delivery(OTHER.id))).value


async def check_dead_letters(store: Store) -> None:
    """In order, by sink; a newer reason takes the place of an older."""
    await with_sinks(store)
    letters = [letter(5), letter(3), letter(9), letter(3, sink=OTHER)]
    await do(store, lambda tx: tx.add_dead_letters(letters))
    await do(store, lambda tx: tx.add_dead_letters([letter(5, "413")]))
    assert [3, 5, 9] == [each.index for each in await store.dead_letters(SINK.id)]
    assert [letter(5, "413")] == await store.dead_letters(SINK.id, 4, 1)
    assert {SINK.id: 3, OTHER.id: 1} == await store.dead_letter_counts()

    def look(tx: Transaction) -> tuple[object, ...]:
        return (
            [each.index for each in tx.dead_letters(SINK.id, 3, 9)],
            tx.dead_letter_bounds(SINK.id, 0, None),
            tx.dead_letter_bounds(SINK.id, 4, 9),
            tx.dead_letter_bounds(SINK.id, 6, 9),
        )

    assert ([3, 5], (3, 10), (5, 6), None) == (await store.write(look)).value
    await do(store, lambda tx: tx.drop_dead_letters(SINK.id, [3, 9]))
    assert [5] == [each.index for each in await store.dead_letters(SINK.id)]


async def check_replays(store: Store) -> None:
    """They wait, oldest first, until all of the range is done with."""
    await with_sinks(store)
    later = REPLAY._replace(id="02-r", only_dead_letters=False)
    await do(store, lambda tx: tx.add_replay(later), lambda tx: tx.add_replay(REPLAY))
    assert [REPLAY, later] == await store.replays()
    assert not (await store.write(lambda tx: tx.has_replay_below(REPLAY.first))).value
    assert (await store.write(lambda tx: tx.has_replay_below(REPLAY.first + 1))).value
    await do(store, lambda tx: tx.settle_replay(REPLAY.id, 5))
    settled = (await store.write(lambda tx: tx.replay(REPLAY.id))).value
    assert REPLAY._replace(first=5, cursor=5) == settled
    await do(store, lambda tx: tx.settle_replay(REPLAY.id, 9))
    assert [later] == await store.replays()
    assert None is (await store.write(lambda tx: tx.replay(REPLAY.id))).value


async def check_a_deleted_sink(store: Store) -> None:
    """Nothing is left of it, and nothing is kept of it any more; the other keeps its own."""
    await with_sinks(store)
    other = replace(DELIVERY, sink=OTHER.id)

    def fill(tx: Transaction) -> None:
        tx.keep_delivery(DELIVERY)
        tx.keep_delivery(other)
        tx.add_dead_letters([letter(1), letter(1, sink=OTHER)])
        tx.add_replay(REPLAY)
        tx.append(a_draft())

    await store.write(fill)
    await do(store, lambda tx: tx.drop_object("sink", SINK.name))
    await store.write(lambda tx: tx.keep_delivery(DELIVERY))
    await store.write(lambda tx: tx.note_dead_letters([letter(2)]))
    assert [other] == await store.deliveries()
    assert {OTHER.id: 1} == await store.dead_letter_counts()
    assert [] == await store.replays()


async def check_following(store: Store) -> None:
    """The log from an index on, in order, and no more than was asked for."""
    for _ in range(3):
        await do(store)
    assert [0, 1, 2] == [each.index for each in await store.following(0, 10)]
    assert [1] == [each.index for each in await store.following(1, 1)]
    assert [] == await store.following(3, 10)


CHECKS = (
    check_bookkeeping,
    check_dead_letters,
    check_replays,
    check_a_deleted_sink,
    check_following,
)
