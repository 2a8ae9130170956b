"""Tests of proxy.server.readiness."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from proxy.audit_log import draft
from proxy.contracts import Committed, Transaction
from proxy.errors import UnavailableError
from proxy.server.readiness import Readiness, probe
from tests.fakes import FakeStore, Fault, a_caller

T = TypeVar("T")


class HangingStore(FakeStore):
    """A store whose disk does not answer until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def write(self, job: Callable[[Transaction], T]) -> Committed[T]:
        """Wait, then write."""
        self.writes += 1
        await self.go.wait()
        return await super().write(job)


class ForgetfulStore(FakeStore):
    """A store whose newest checkpoint is not that of its entries."""

    async def checkpoint(self, size: int | None = None) -> str:
        """Return the first checkpoint as if it were the newest."""
        del size
        return await super().checkpoint(1)


async def append(store: FakeStore) -> None:
    """Append one entry."""
    await store.write(lambda tx: tx.append(draft("audit.read", "success", "x", a_caller())))


async def test_a_probe_leaves_no_entry() -> None:
    """Asking a thousand times a day must not fill the log."""
    store = FakeStore()
    await probe(store)
    await append(store)
    await probe(store)
    assert 1 == len(store.log)


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_store_that_cannot_commit_is_not_ready(fault: Fault) -> None:
    """Whether or not the commit landed, the store can't be relied on."""
    store = FakeStore()
    store.fault = fault
    with pytest.raises(UnavailableError):
        await probe(store)


async def test_a_store_that_cannot_be_read_is_not_ready() -> None:
    """Writes alone are not enough."""
    store = FakeStore()
    store.is_readable = False
    with pytest.raises(UnavailableError):
        await probe(store)


async def test_a_head_that_does_not_fit_is_not_ready() -> None:
    """A checkpoint that promises fewer entries than there are is found."""
    store = ForgetfulStore()
    await append(store)
    await probe(store)
    await append(store)
    with pytest.raises(UnavailableError, match="promises 1 entries but the log has 2"):
        await probe(store)


async def test_a_checkpoint_that_cannot_be_read_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A damaged note is told as such."""
    store = FakeStore()

    async def damaged() -> str:
        return "not a note"

    monkeypatch.setattr(store, "checkpoint", damaged)
    with pytest.raises(UnavailableError, match="can't be read"):
        await probe(store)


async def test_many_who_ask_cost_one_probe_a_second() -> None:
    """The answer is kept for a second, a failure like a success."""
    store = FakeStore()
    time = 0.0
    readiness = Readiness(store, lambda: time)
    await asyncio.gather(*[readiness.require() for _ in range(100)])
    assert 1 == store.writes
    store.fault = Fault.NOT_PERSISTED
    await readiness.require()
    time = 1.0
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await readiness.require()
    assert 2 == store.writes


async def test_a_store_that_hangs_is_not_ready_and_asked_only_once() -> None:
    """Whoever asks gets an answer in time, and the probes don't pile up."""
    store = HangingStore()
    readiness = Readiness(store, lambda: 0.0, patience=0.01)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="has not answered"):
            await readiness.require()
    assert 1 == store.writes
    store.go.set()
    await asyncio.sleep(0)
    await readiness.require()
