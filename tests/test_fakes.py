"""The fake store keeps its promises: what a unit test relies on is itself tested."""

from collections.abc import Awaitable, Callable

import pytest

from proxy.access import View
from proxy.audit_log import draft
from proxy.contracts import LogQuery, Store, Transaction
from proxy.errors import UnavailableError
from tests.contracts import sinks_contract
from tests.fakes import FakeStore, Fault, a_caller


def _job(tx: Transaction) -> str:
    tx.append(draft("audit.read", "success", "read", a_caller(), workspace="prod/web"))
    tx.set_running(running=True)
    return "value"


async def test_a_write_returns_the_value_and_the_index() -> None:
    """A job's value comes back with the index of its last entry."""
    store = FakeStore()
    committed = await store.write(_job)
    assert ("value", 0) == (committed.value, committed.index)


async def test_a_job_that_raises_leaves_nothing() -> None:
    """Neither the effect nor the entry of a failed job is kept."""
    store = FakeStore()

    def job(tx: Transaction) -> None:
        _job(tx)
        raise KeyError

    with pytest.raises(KeyError):
        await store.write(job)
    assert [] == store.log
    assert not (await store.write(lambda tx: tx.is_running())).value


@pytest.mark.parametrize(("fault", "kept"), [(Fault.NOT_PERSISTED, 0), (Fault.ANSWER_LOST, 1)])
async def test_the_two_faults_differ_in_what_is_kept(fault: Fault, kept: int) -> None:
    """Both raise; only the lost answer leaves the commit behind."""
    store = FakeStore()
    store.fault = fault
    with pytest.raises(UnavailableError):
        await store.write(_job)
    assert kept == len(store.log)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (LogQuery(), 2),
        (LogQuery(workspace="prod/*"), 2),
        (LogQuery(workspace="dev"), 0),
        (LogQuery(view=View(("dev*",))), 0),
        (LogQuery(event="audit.*", actor="alice", source_ip="10.0.0.7"), 2),
        (LogQuery(after=0), 1),
        (LogQuery(limit=1), 1),
        (LogQuery(until="2026-11-22T10:00:00.000001Z"), 1),
        (LogQuery(since="2026-11-22T10:00:00.000001Z"), 1),
    ],
)
async def test_queries_narrow(query: LogQuery, count: int) -> None:
    """Each field of a query narrows what comes back."""
    store = FakeStore()
    await store.write(_job)
    await store.write(_job)
    assert count == len([stored async for stored in store.entries(query)])


@pytest.mark.parametrize("check", sinks_contract.CHECKS)
async def test_the_fake_keeps_of_sinks_what_every_store_does(
    check: Callable[[Store], Awaitable[None]],
) -> None:
    """The tests of forwarding rely on it."""
    await check(FakeStore())
