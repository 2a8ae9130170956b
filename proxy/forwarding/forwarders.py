"""Runs a forwarder for each sink that is enabled, and follows what administrators change."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

from proxy.contracts import Store
from proxy.directory import Object
from proxy.errors import InvalidInputError, UnavailableError
from proxy.logs import Logger
from proxy.sink_status import record_of

POLL: Final = 1.0
"""Seconds between two looks at the store: the command line changes it, too."""

GRACE: Final = 5.0
"""Seconds that a call of a sink may still take when it is stopped; then it is cut off."""

_GATHER: Final = 0.05
"""Seconds for which commits are gathered before anybody is woken for them."""

_FAULT_WAIT: Final = 60.0
"""Seconds before a forwarder that failed by a bug of ours is started again."""

_log = Logger("tfaudit.forwarder")


class Bell:
    """Rung for each commit, on whatever thread; heard once for many, on the event loop.

    It exists before the store, which rings it, and whoever listens comes later.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hear: Callable[[], None]
        self._is_rung = False

    def ring(self, entries: int) -> None:
        """Tell that entries were committed, at hardly any cost."""
        loop = self._loop
        if entries and loop is not None and not self._is_rung:
            self._is_rung = True
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(loop.call_later, _GATHER, self._answer)

    def _answer(self) -> None:
        self._is_rung = False
        if self._loop is not None:
            self._hear()

    def listen(self, hear: Callable[[], None]) -> None:
        """Call this on the running event loop from now on."""
        self._hear = hear
        self._loop = asyncio.get_running_loop()

    def hush(self) -> None:
        """Call nobody any more."""
        self._loop = None


class Forwarding(Protocol):
    """What forwards to one sink: see ``forwarder.Forwarder``."""

    def wake(self) -> None:
        """Look for new entries."""

    @property
    def next_try(self) -> str | None:
        """Until when it waits to try again, as the store has it; None does not wait."""

    def try_again(self) -> None:
        """Wait no longer for the next try."""

    def stop(self) -> None:
        """End ``run`` soon."""

    async def run(self) -> None:
        """Forward."""


class _Running(NamedTuple):
    """A forwarder and the object that it was made of."""

    found: Object
    forwarder: Forwarding
    task: asyncio.Task[None]


class Forwarders:
    """All forwarders of a server.

    Args:
        store: has the directory and the log.
        make: makes a forwarder of a sink's object; InvalidInputError says why it can't.
        bell: rung for each commit.
        sleep: waits so many seconds.
        monotonic: seconds of a clock that is never set back.
    """

    def __init__(
        self,
        store: Store,
        make: Callable[[Object], Forwarding],
        bell: Bell,
        *,
        sleep: Callable[[float], Coroutine[Any, Any, None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._make = make
        self._bell = bell
        self._sleep = sleep
        self._monotonic = monotonic
        self._running: dict[str, _Running] = {}
        self._over: dict[str, Object] = {}
        self._faults: dict[str, float] = {}
        self._size = -1

    def _wake(self) -> None:
        for each in self._running.values():
            each.forwarder.wake()

    async def run(self) -> None:
        """Follow the directory until it is cancelled; then stop all forwarders."""
        self._bell.listen(self._wake)
        try:
            while True:
                try:
                    await self._look()
                except UnavailableError as error:
                    _log.warning("forwarding waits for the store", error=str(error))
                except Exception:  # noqa: BLE001 - the sinks that run must run on
                    _log.exception("forwarding does not follow the directory")
                await self._sleep(POLL)
        finally:
            self._bell.hush()
            await asyncio.gather(*(self._end(sink) for sink in list(self._running)))

    async def _look(self) -> None:
        """Start, stop and start anew what has to be; wake all when the log grew."""
        sinks = {
            each.id: each
            for each in self._store.directory().objects("sink")
            if record_of(each).enabled
        }
        self._bury()
        await asyncio.gather(
            *(
                self._end(sink)
                for sink, each in list(self._running.items())
                if sinks.get(sink) != each.found
            )
        )
        self._start(sinks)
        await self._hurry()
        size = await self._store.size()
        if size != self._size:
            self._size = size
            self._wake()

    async def _hurry(self) -> None:
        """Let those try at once whose time of the next try was taken back: a test was taken."""
        waiting = {sink: each for sink, each in self._running.items() if each.forwarder.next_try}
        if waiting:
            for delivery in await self._store.deliveries():
                if delivery.sink in waiting and delivery.next_try is None:
                    waiting[delivery.sink].forwarder.try_again()

    def _bury(self) -> None:
        """Take out what ended by itself."""
        for sink, each in list(self._running.items()):
            if not each.task.done():
                continue
            del self._running[sink]
            error = None if each.task.cancelled() else each.task.exception()
            if error is None:
                self._over[sink] = each.found
            else:
                _log.error("a forwarder failed by a fault of ours", sink=sink, exc_info=error)
                self._faults[sink] = self._monotonic() + _FAULT_WAIT

    def _start(self, sinks: Mapping[str, Object]) -> None:
        self._over = {sink: each for sink, each in self._over.items() if sink in sinks}
        for sink, found in sinks.items():
            is_over = self._over.get(sink) == found
            is_early = self._faults.get(sink, 0.0) > self._monotonic()
            if sink in self._running or is_over or is_early:
                continue
            self._faults.pop(sink, None)
            try:
                forwarder = self._make(found)
            except InvalidInputError as error:
                _log.error("a sink can't be used", sink=found.name, error=str(error))
                self._over[sink] = found
                continue
            task = asyncio.create_task(forwarder.run(), name=f"forward to {found.name}")
            self._running[sink] = _Running(found, forwarder, task)

    async def _end(self, sink: str) -> None:
        """Stop a forwarder: what is under way may be answered, then it is cut off."""
        _, forwarder, task = self._running[sink]
        forwarder.stop()
        await asyncio.wait({task}, timeout=GRACE)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a forwarder failed by a fault of ours", sink=sink, exc_info=error)
        self._running.pop(sink, None)
