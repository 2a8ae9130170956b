"""Tests of proxy.sink_service: how sinks do, and trying them; replays are tested elsewhere."""

from datetime import timedelta

import pytest

from proxy.access import Role
from proxy.contracts import DeadLetter, Delivery, Transaction
from proxy.directory import Object
from proxy.errors import ConfigError, ForbiddenError
from proxy.sink_service import SinkService
from proxy.sink_service import Tested as Outcome
from proxy.sinks.contract import (
    Limits,
    NotTakenError,
    Opener,
    Receipt,
    RefusedError,
    Sink,
    SinkGoneError,
)
from proxy.timestamps import rfc3339
from tests.fakes import START, FakeSink, FakeStore, a_caller
from tests.forwarding.world import SYSTEM, World

NOW = rfc3339(START)


def service(world: World, opener: Opener) -> SinkService:
    """Return the service over the world's store."""
    return SinkService(world.store, opener, "tfaudit.test/fake", world.time.now, bytes)


# ---------------------------------------------------------------- how they do


async def test_each_sink_tells_how_it_is_doing() -> None:
    """By name; one that was given nothing yet says where it will begin."""
    world = World()
    failing = await world.add_sink("a", 1)
    await world.add_sink("b", 2, enabled=False)
    await world.append(2)
    await world.add_sink("c", 3)
    await world.append(4)
    kept = Delivery(failing.id, cursor=2, delivered=1, retries=3, failing_since=NOW, error="503")

    def job(tx: Transaction) -> None:
        tx.keep_delivery(kept)
        tx.note_dead_letters([DeadLetter(failing.id, 1, "400", NOW)])

    await world.store.write(job)
    world.time.micros += 90_000_000
    one, two, three = await service(world, FakeSink().make).status(SYSTEM)
    assert ("a", "retrying", 2, 7, 1, 3, 1, "503") == (
        *(one.name, one.state, one.cursor, one.lag),
        *(one.delivered, one.retries, one.dead_letters, one.error),
    )
    assert 90 == pytest.approx(one.age, abs=0.1)
    assert ("paused", 2) == (two.state, two.cursor)
    assert ("new", 5, 4) == (three.state, three.cursor, three.lag)


async def test_a_sink_that_has_everything_does_not_lag() -> None:
    """Its age is nothing then."""
    world = World()
    found = await world.add_sink()
    await world.store.write(lambda tx: tx.keep_delivery(Delivery(found.id, cursor=1)))
    world.time.micros += int(timedelta(days=1).total_seconds() * 1e6)
    [status] = await service(world, FakeSink().make).measure()
    assert ("ok", 0, 0.0) == (status.state, status.lag, status.age)


async def test_an_open_circuit_is_a_failing_sink() -> None:
    """One that is tried seldom."""
    world = World()
    found = await world.add_sink()
    kept = Delivery(found.id, cursor=1, failing_since=NOW, is_open=True)
    await world.store.write(lambda tx: tx.keep_delivery(kept))
    [status] = await service(world, FakeSink().make).status(SYSTEM, "siem")
    assert "failing" == status.state


# ---------------------------------------------------------------- trying one


async def test_a_test_sends_its_own_entry() -> None:
    """At once, also to a sink that is paused; nothing else is sent."""
    world, sink = World(), FakeSink()
    await world.add_sink(enabled=False)
    await world.append(3)
    done = await service(world, sink.make).test(SYSTEM, "siem")
    assert (Outcome(is_taken=True, said="it is there; 200 OK"), 4) == (done.value, done.index)
    assert (["sink.tested"], [[4]]) == (sink.events, sink.sent)
    assert sink.is_closed


async def test_a_far_side_that_can_not_answer_is_told_apart() -> None:
    """Handed to the network is all that is known then."""
    world, sink = World(), FakeSink(limits=Limits(1, is_acknowledged=False))
    await world.add_sink()
    done = await service(world, sink.make).test(SYSTEM, "siem")
    assert done.value.said.endswith("(sent, unacknowledged)")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (NotTakenError("401 Unauthorized", needs_repair=True), "401 Unauthorized"),
        (RefusedError("400 Bad Request", refused=[0]), "400 Bad Request"),
        (SinkGoneError("410 Gone"), "410 Gone"),
        (Receipt("200 OK", {0: "too large"}), "too large"),
    ],
)
async def test_what_the_far_side_says_against_it_is_told(
    step: Exception | Receipt, said: str
) -> None:
    """As an answer, and no failure of ours; the sink stays as it is."""
    world, sink = World(), FakeSink(step)
    await world.add_sink()
    done = await service(world, sink.make).test(SYSTEM, "siem")
    assert Outcome(is_taken=False, said=said) == done.value
    assert ["sink.created", "sink.tested"] == await world.events()


async def test_a_probe_that_fails_sends_nothing() -> None:
    """What is wrong is known already."""
    world, sink = World(), FakeSink()
    sink.probes.append(NotTakenError("no such bus"))
    await world.add_sink()
    done = await service(world, sink.make).test(SYSTEM, "siem")
    assert (Outcome(is_taken=False, said="no such bus"), []) == (done.value, sink.sent)


async def test_a_sink_that_can_not_be_made_says_why() -> None:
    """A secret is missing."""
    world = World()

    def refuse(_: Object) -> Sink:
        raise ConfigError("there is no secret key")

    await world.add_sink()
    done = await service(world, refuse).test(SYSTEM, "siem")
    assert Outcome(is_taken=False, said="there is no secret key") == done.value


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_only_administrators_of_everything_may(role: Role) -> None:
    """Each refusal is on record."""
    store = FakeStore()
    world = World(store)
    await world.add_sink()
    asked = service(world, FakeSink().make)
    for who in (a_caller(role), a_caller(Role.ADMIN, workspaces=("prod/*",))):
        for call in (
            asked.status(who),
            asked.dead_letters(who, "siem"),
            asked.replay(who, "siem", 0),
            asked.test(who, "siem"),
        ):
            with pytest.raises(ForbiddenError):
                await call
    assert ["access.denied"] * 8 == (await world.events())[1:]
