"""Tests of proxy.server_record."""

from pathlib import Path
from typing import Any

import pytest

from proxy.contracts import Delivery, Store
from proxy.errors import UnavailableError
from proxy.server_record import record_start, record_stop
from proxy.tfstate.policy import STANDARD, Policy
from tests.fakes import FakeStore, Fault
from tests.forwarding.world import World
from tests.samples import a_caller, an_open_store, events_of, last_of, log_of

CALLER = a_caller(name="tfaudit")
CONFIG = {"server.port": "8920", "server.host": "127.0.0.1"}
KEYS = {"entry": "0123456789abcdef", "checkpoint": "tfaudit.test+01020304+AAAA"}


async def start(
    store: Store,
    config: dict[str, Any] | None = None,
    keys: dict[str, str] | None = None,
    policy: Policy = STANDARD,
) -> None:
    """Record a start."""
    await record_start(store, CALLER, config=config or CONFIG, keys=keys or KEYS, policy=policy)


async def test_the_first_start_says_with_what(tmp_path: Path) -> None:
    """The keys that came into use, and the configuration."""
    async with an_open_store(tmp_path) as store:
        await start(store)
        rotated, started = await log_of(store)
    assert ("key.rotated", {"before": None, "after": KEYS}) == (rotated["event"], rotated["keys"])
    assert ("audit.started", CONFIG, KEYS) == (started["event"], started["config"], started["keys"])


async def test_a_start_after_a_stop_in_order_is_no_news(tmp_path: Path) -> None:
    """Nothing changed, nothing to say but that it started."""
    async with an_open_store(tmp_path) as store:
        await start(store)
        await record_stop(store, CALLER)
        await start(store)
        assert ["key.rotated", "audit.started", "audit.stopped", "audit.started"] == (
            await events_of(store)
        )


async def test_a_stop_that_left_no_record_is_recorded_at_the_next_start(tmp_path: Path) -> None:
    """Killed, or the machine failed: named with the time of the start before."""
    async with an_open_store(tmp_path) as store:
        await start(store)
        begun = (await last_of(store))["time"]
    async with an_open_store(tmp_path) as store:
        await start(store)
        unclean = (await log_of(store))[2]
        assert ("audit.unclean_shutdown", "error") == (unclean["event"], unclean["outcome"])
        assert begun in unclean["message"]
        assert "audit.started" == (await last_of(store))["event"]


async def test_a_changed_setting_is_recorded_before_and_after(tmp_path: Path) -> None:
    """Those that changed, came and went; no other."""
    async with an_open_store(tmp_path) as store:
        await start(store, {"a": "1", "b": "2", "c": "3"})
        await record_stop(store, CALLER)
        await start(store, {"a": "1", "b": "4", "d": "5"})
        changed = (await log_of(store))[-2]
    assert "config.changed" == changed["event"]
    assert {
        "b": {"before": "2", "after": "4"},
        "c": {"before": "3", "after": None},
        "d": {"before": None, "after": "5"},
    } == changed["changes"]


async def test_a_start_does_not_record_a_rotation(tmp_path: Path) -> None:
    """That was an entry of its own, and no other way brings in a key."""
    async with an_open_store(tmp_path) as store:
        await start(store)
        await record_stop(store, CALLER)
        await start(store, keys={**KEYS, "entry": "fedcba9876543210"})
        assert ["key.rotated", "audit.started", "audit.stopped", "audit.started"] == (
            await events_of(store)
        )


async def test_a_start_puts_the_policy_in_force(tmp_path: Path) -> None:
    """In the transaction that records it, for every process."""
    async with an_open_store(tmp_path) as store:
        for policy in (STANDARD, Policy("strict"), STANDARD):
            await start(store, policy=policy)
            in_force = (await store.write(lambda transaction: transaction.policy())).value
            assert policy.packed == in_force


@pytest.mark.parametrize("fault", Fault)
async def test_a_start_that_can_not_be_recorded_is_no_start(fault: Fault) -> None:
    """Whether the record was not persisted or only its answer got lost."""
    store = FakeStore()
    store.fault = fault
    with pytest.raises(UnavailableError):
        await start(store)


async def test_a_start_whose_answer_got_lost_counts_as_a_start() -> None:
    """It was recorded, so the next one finds that it left no record of its stop."""
    store = FakeStore()
    store.fault = Fault.ANSWER_LOST
    with pytest.raises(UnavailableError):
        await start(store)
    store.fault = None
    await start(store)
    assert "audit.unclean_shutdown" in [entry["event"] for entry in store.log]


async def test_a_stop_and_a_start_say_how_far_each_sink_is(tmp_path: Path) -> None:
    """Of one that was never given anything there is nothing to say."""
    async with an_open_store(tmp_path) as store:
        world = World(store)
        found = await world.add_sink()
        await start(store)
        assert [] == (await last_of(store))["sinks"]
        await store.write(lambda tx: tx.keep_delivery(Delivery(found.id, 1)))
        await record_stop(store, CALLER)
        await start(store)
        stopped, started = (await log_of(store))[-2:]
    place = {"id": found.id, "name": found.name, "cursor": 1}
    assert [place] == stopped["sinks"] == started["sinks"]
