"""Tests of proxy.folding."""

from proxy.audit_log import draft
from proxy.folding import Counted, Windows
from tests.fakes import FakeStore, Fault, a_caller
from tests.samples import log_of


class Things:
    """Counts whatever happens, and tells it as one entry a window."""

    def __init__(self, store: FakeStore, seconds: float = 3600) -> None:
        self.number = 0
        self.windows = Windows(store, seconds, "things", lambda: bool(self.number), self._take)

    def _take(self) -> Counted:
        number, self.number = self.number, 0

        def put_back() -> None:
            self.number += number

        entry = draft("audit.read", "success", "things", a_caller(), count=number)
        return Counted([entry] if number else [], number, put_back)


async def counts(store: FakeStore) -> list[int]:
    """Return what the entries count."""
    return [entry["count"] for entry in await log_of(store)]


async def test_one_window_at_a_time() -> None:
    """Only the first to count begins it."""
    store = FakeStore()
    things = Things(store)
    things.number = 1
    assert things.windows.begin()
    assert not things.windows.begin()
    things.number += 2
    await things.windows.aclose()
    assert [3] == await counts(store)


async def test_windows_end_when_nothing_was_counted() -> None:
    """And begin again with what is counted next."""
    store = FakeStore()
    things = Things(store, seconds=0.001)
    for number in (1, 2):
        things.number = number
        assert things.windows.begin()
        await things.windows.wait()
    assert [1, 2] == await counts(store)


async def test_what_is_not_committed_is_counted_on() -> None:
    """It is in the next window's entry, with what came meanwhile."""
    store = FakeStore()
    things = Things(store, seconds=0.001)
    take = things.windows._take
    turns = 0

    def failing_at_first() -> Counted:
        nonlocal turns
        turns += 1
        things.number += turns == 2  # one more, in the second window
        store.fault = Fault.NOT_PERSISTED if turns == 1 else None
        return take()

    things.windows._take = failing_at_first
    things.number = 1
    assert things.windows.begin()
    await things.windows.wait()
    assert [2] == await counts(store)


async def test_after_the_end_nothing_begins() -> None:
    """Whoever counts then records at once."""
    things = Things(FakeStore())
    await things.windows.aclose()
    assert things.windows.is_closing
    assert not things.windows.begin()


async def test_a_stop_that_can_not_commit_ends_all_the_same() -> None:
    """Nobody waits for a store that is gone."""
    store = FakeStore()
    store.fault = Fault.NOT_PERSISTED
    things = Things(store)
    things.number = 1
    assert things.windows.begin()
    await things.windows.aclose()
    store.fault = None
    assert [] == await counts(store)
