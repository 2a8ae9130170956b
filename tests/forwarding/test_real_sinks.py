"""The forwarder with real sinks over HTTP: far sides as documented, and one that does all wrong."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from proxy.directory import Object
from proxy.sinks import open_sink
from proxy.sinks.contract import Sink
from tests.forwarded import a_context
from tests.forwarding.world import World, until
from tests.receivers.far_side import Fault, Reply, Seen, a_far_side
from tests.receivers.intake import DATADOG_KEY, SPLUNK_TOKEN, Intake, an_intake
from tests.sinks.http_rows import SIGNING

SECRETS = {"datadog": DATADOG_KEY, "splunk": SPLUNK_TOKEN, "signing": SIGNING}


@dataclass
class Opener:
    """Makes the real sink anew, as often as the forwarder asks for one."""

    world: World
    of: str
    options: Mapping[str, Any]

    def make(self, _: Object) -> Sink:
        """Return a sink that is not open yet."""
        return open_sink(self.of, self.options, a_context(SECRETS, now=self.world.time.now()))


@pytest.fixture
async def intake() -> AsyncIterator[Intake]:
    """Run the far sides as their vendors document them."""
    async with an_intake() as running:
        yield running


async def forward(world: World, opener: Opener, is_done: Callable[[], bool]) -> Object:
    """Forward until it is so."""
    found = await world.add_sink()
    await world.append(40)
    opened: Any = opener
    async with world.forwarding(found, opened):
        await until(is_done)
    return found


COMMITTED = list(range(1, 41))
"""Indices of what is appended after the sink was made."""


async def test_datadog_gets_all_in_order_whatever_it_answers(intake: Intake) -> None:
    """Too many requests, failures, and days without it: each log once, none with a lost time."""
    world = World()
    intake.busy, intake.broken = 2, 3
    opener = Opener(world, "datadog-logs", {"api_key_secret": "datadog", "url": intake.url})
    await forward(world, opener, lambda: len(intake.logs) >= 40)
    indices = [log["tfaudit"]["index"] for log in intake.logs]
    assert COMMITTED == indices[:40]
    assert [] == intake.lost
    assert 7 in world.time.slept  # as X-RateLimit-Reset asked


async def test_datadog_is_away_for_days(intake: Intake) -> None:
    """The sink waits as long as it takes, and what it sends then is believed."""
    world = World()
    intake.broken = 1_000_000
    found = await world.add_sink()
    await world.append(40)
    opener: Any = Opener(world, "datadog-logs", {"api_key_secret": "datadog", "url": intake.url})
    async with world.forwarding(found, opener):
        await until(lambda: intake.broken < 1_000_000 - 5)
    assert [] == intake.logs
    world.time.micros += 90 * 3600 * 1_000_000
    intake.broken = 0
    intake.now = world.time.now() + timedelta(seconds=1)
    async with world.forwarding(found, opener):
        await until(lambda: len(intake.logs) >= 40)
    assert COMMITTED == [log["tfaudit"]["index"] for log in intake.logs][:40]
    assert [] == intake.lost
    assert all(log["late"] for log in intake.logs[:40])
    assert 1 == len(await world.entries("sink.failed"))


async def test_what_splunk_took_and_lost_comes_again(intake: Intake) -> None:
    """It crashed before it indexed anything, and its channel is not known any more."""
    world = World()
    intake.wants_acks, intake.acks_after = True, None
    options = {"token_secret": "splunk", "url": intake.url, "acknowledge": True}
    found = await world.add_sink()
    await world.append(40)
    opener: Any = Opener(world, "splunk-hec", {**options, "acknowledge_seconds": 3})
    async with world.forwarding(found, opener):
        await until(lambda: len(intake.hec) >= 40)
        await until(lambda: intake.requests["/services/collector/ack"] >= 3)
        assert all(each.delivered == 0 for each in await world.store.deliveries())
        intake.acks_after = 0
        await until(lambda: len(intake.indexed) >= 40)
    assert COMMITTED == [event["event"]["index"] for event in intake.indexed][:40]


async def test_a_receiver_that_fails_at_random_gets_all_in_order() -> None:
    """And sets aside the one event that it refuses for what it is."""
    world = World()
    chance = random.Random(7)
    got: list[int] = []
    troubles: dict[int, Reply | Fault] = {
        1: Reply(503),
        2: Reply(429, b"", {"retry-after": "2"}),
        3: Fault.RESET,
    }

    def answer(seen: Seen) -> Reply | Fault:
        if seen.method != "POST":
            return Reply(405)  # whether anybody is there
        turn = chance.randrange(6)
        if turn in troubles:
            return troubles[turn]
        index = int(seen.json["index"])
        if turn and index == 13:
            return Reply(422, b"thirteen is not wanted here")
        got.append(index)
        return Reply(200) if turn else Fault.CLOSE  # taken, and the answer lost

    async with a_far_side(answer) as far:
        options = {"url": far.url, "signing_secrets": ["signing"]}
        found = await forward(world, Opener(world, "webhook", options), lambda: 40 in got)
    first = sorted({index for index in got if index <= 40}, key=got.index)
    assert [index for index in COMMITTED if index != 13 or index in first] == first
    assert [13] == [each.index for each in await world.store.dead_letters(found.id)]
    ids: dict[str, str] = {}
    for seen in (each for each in far.seen if each.method == "POST"):
        assert (
            ids.setdefault(seen.json["index"], seen.headers["webhook-id"])
            == (seen.headers["webhook-id"])
        )
