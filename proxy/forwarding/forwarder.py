"""Follows the log for one sink from that sink's cursor: order, retry, back-off, dead letters.

What is promised: each entry that is for the sink is given to it, in the order of the log, until its
far side has taken it or it is set aside with the reason. The cursor is kept after that, so that a
crash makes some come twice and none get lost: what was taken in the last second (``Pace.save``),
and what was under way. An entry's ID is the same each time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from proxy.access import Caller
from proxy.client_text import client_text
from proxy.contracts import Store
from proxy.directory import Object
from proxy.errors import ConfigError, InvalidInputError, UnavailableError
from proxy.forwarding.ledger import GoneError, Ledger
from proxy.forwarding.pace import Pace
from proxy.forwarding.source import IsMatch, Source
from proxy.forwarding.window import Window
from proxy.logs import Logger
from proxy.sinks.calls import StuckError, call, close
from proxy.sinks.contract import (
    Batch,
    Event,
    NotTakenError,
    Opener,
    RefusedError,
    Sink,
    SinkGoneError,
)
from proxy.timestamps import micros_at, micros_of, rfc3339

T = TypeVar("T")

_TOGETHER: Final = 100
"""Events of a replay that are done with together, also for a sink that takes them one by one."""

_MOST: Final = 1000
"""Events that are under way together: of a sink that takes more at once, too."""

_ERROR: Final = 500
"""Characters of a failure that are kept."""

_log = Logger("tfaudit.forwarder")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a forwarder needs of the world.

    Attributes:
        store: has the log, and keeps how far each sink is.
        open_sink: makes a sink of its object.
        origin: the log's name.
        caller: the server itself.
        now: the present, with a time zone.
        monotonic: seconds of a clock that is never set back.
        sleep: waits so many seconds.
        chance: random, from 0 to 1.
        pace: how long it waits.
    """

    store: Store
    open_sink: Opener
    origin: str
    caller: Caller
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Coroutine[Any, Any, None]]
    chance: Callable[[], float]
    pace: Pace


class _StoppedError(Exception):
    """The forwarder is to stop."""


class _RefusesAllError(NotTakenError):
    """So many events in a row were refused that it is rather the sink that is wrong."""


class _NotMadeError(NotTakenError):
    """The sink can't even be made: a secret is not there."""


class Forwarder:
    """Forwards to one sink, as its object is: another one takes its place when that changes.

    Args:
        found: the sink's object.
        is_match: whether an entry is for it.
        around: the world.
    """

    def __init__(self, found: Object, is_match: IsMatch, around: Surroundings) -> None:
        self._found = found
        self._is_match = is_match
        self._around = around
        self._pace = around.pace
        self._ledger = Ledger(around.store, found, around.caller)
        self._source: Source | None = None
        self._sink: Sink | None = None
        self._limit = 1
        self._window: Window | None = None
        self._is_retry = False
        # Events that were set aside since the sink took one.
        self._suspected = 0
        # While the sink is distrusted: among so many events one is looked for that it takes.
        self._look_ahead = 0
        self._is_replay_next = False
        self._is_waiting = False
        self._stop = asyncio.Event()
        self._news = asyncio.Event()
        self._again = asyncio.Event()
        self._saved_at = around.monotonic()
        self._sent_at: float | None = None

    # ------------------------------------------------------------ for the one who runs it

    def wake(self) -> None:
        """Look for new entries."""
        self._news.set()

    @property
    def next_try(self) -> str | None:
        """Until when it waits to try again, RFC 3339, as the store has it; None does not wait."""
        return self._ledger.saved_next_try if self._is_waiting else None

    def try_again(self) -> None:
        """Wait no longer for the next try."""
        self._again.set()

    def stop(self) -> None:
        """End ``run`` as soon as the call under way is answered; nothing more is sent."""
        self._stop.set()
        self._news.set()

    async def run(self) -> None:
        """Forward until it is stopped, cancelled, or the sink is no more or wants no more.

        How far it is is kept at the end, however it ends.
        """
        try:
            source = await self._insist(self._begin)
            while not self._stop.is_set():
                await self._turn(source)
        except _StoppedError:
            pass
        except GoneError:
            _log.info("a sink is gone", sink=self._found.name)
        finally:
            await self._finish()

    async def _begin(self) -> Source:
        await self._ledger.load()
        start = self._ledger.delivery.cursor
        self._source = Source(self._around.store, self._found.id, self._is_match, start)
        return self._source

    async def _finish(self) -> None:
        await self._drop_sink()
        if self._source is not None:
            self._move(self._source)
            with suppress(GoneError):
                await self._try_to_save()

    # ------------------------------------------------------------ one turn

    async def _turn(self, source: Source) -> None:
        """Give the sink one window, or wait for something to give."""
        window = self._window
        before = 0 if window is None else window.answered
        try:
            sink = await self._ready()
            if window is None:
                window = self._window = await self._next_window(source)
            if window is not None:
                await self._give(sink, window)
        except NotTakenError as error:
            is_better = window is not None and window.answered > before
            is_news = window is None or not window.is_only_about_sinks
            if window is not None and isinstance(error, _RefusesAllError):
                await self._take_back(source, window)
            await self._failed(source, error, is_better=is_better, is_news=is_news)
        except SinkGoneError as error:
            await self._disable(source, error)
        else:
            await self._settle(source, window or Window((), source.position))
            if window is None:
                await self._idle(source)

    async def _next_window(self, source: Source) -> Window | None:
        """Return what is to be given next; None when there is nothing."""
        self._is_replay_next = not self._is_replay_next
        if self._is_replay_next and (found := await self._replay_window(source)) is not None:
            return found
        events = min(max(self._limit, self._look_ahead), _MOST)
        has_lingered = False
        while True:
            self._news.clear()
            if self._stop.is_set():
                raise _StoppedError
            if await self._insist(lambda: source.fill(events)):
                await self._save_in_time(source)
            elif 0 < source.waiting < events and not has_lingered:
                has_lingered = True
                await self._wait(self._pace.linger)
            else:
                break
        return source.window(events) if source.waiting else await self._replay_window(source)

    async def _replay_window(self, source: Source) -> Window | None:
        if not source.has_replays:
            return None
        replays = await self._insist(source.replays)
        if not replays:
            return None
        events = min(max(self._limit, self._look_ahead, _TOGETHER), _MOST)
        return await self._insist(lambda: source.replayed(replays[0], events))

    async def _ready(self) -> Sink:
        """Return the sink, made and probed.

        Raises:
            NotTakenError: it can't be made, or its far side would take nothing.
        """
        if self._sink is not None:
            return self._sink
        try:
            sink = self._around.open_sink(self._found)
        except (InvalidInputError, ConfigError) as error:
            raise _NotMadeError(str(error), needs_repair=True) from error
        self._sink = sink
        try:
            said = await self._call(sink.probe())
        except BaseException:
            await self._drop_sink()
            raise
        self._limit = max(1, sink.limits.events)
        _log.info("a sink is ready", sink=self._found.name, found=said)
        return sink

    async def _drop_sink(self) -> None:
        """Close the sink; the next one reads its secrets anew, and is probed."""
        if self._sink is not None:
            sink, self._sink = self._sink, None
            await close(self._found.name, sink)

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return await call(self._found.name, work, self._pace.deadline)

    # ------------------------------------------------------------ giving

    async def _give(self, sink: Sink, window: Window) -> None:
        """Give a window's pending events to the sink until something is known of each.

        Raises:
            NotTakenError: some have to be given again.
            SinkGoneError: never again.
        """
        if not window.pending:
            return
        if self._is_retry:
            delivery = self._ledger.delivery
            self._ledger.delivery = replace(delivery, retries=delivery.retries + 1)
        self._is_retry = True
        checkpoint = await self._insist(self._around.store.checkpoint)
        while pending := window.pending:
            await self._give_all(sink, window, pending, checkpoint)
        if self._look_ahead and window.suspects:
            raise self._refuses_all(window)

    async def _give_all(
        self, sink: Sink, window: Window, pending: list[Event], checkpoint: str
    ) -> None:
        parts = [pending[at : at + self._limit] for at in range(0, len(pending), self._limit)]
        parts.reverse()
        while parts:
            await self._keep_pause(sink)
            part = parts.pop()
            is_replay = window.replay is not None
            batch = Batch(tuple(part), checkpoint, self._around.origin, is_replay)
            try:
                receipt = await self._call(sink.send(batch))
            except RefusedError as error:
                parts += self._refused(window, part, error)
            except NotTakenError as error:
                self._took(window, part, error.left, error.rejected)
                raise
            else:
                self._took(window, part, frozenset(), receipt.rejected)
            finally:
                self._sent_at = self._around.monotonic()
            in_a_row = self._suspected + len(window.suspects)
            if in_a_row >= self._pace.distrust_after and not self._look_ahead:
                raise self._refuses_all(window)

    async def _keep_pause(self, sink: Sink) -> None:
        if self._stop.is_set():
            raise _StoppedError
        if self._sent_at is not None:
            left = self._sent_at + sink.limits.pause - self._around.monotonic()
            if left > 0:
                await self._wait(left)

    def _took(
        self,
        window: Window,
        part: Sequence[Event],
        left: Collection[int] | None,
        refused: Mapping[int, str],
    ) -> None:
        """Note what became of a part: what is neither left nor refused was taken.

        Args:
            window: of which it is a part.
            part: as the sink was given it; it tells its events apart by their places there.
            left: places of what was not taken; None is all that is not refused.
            refused: places of what is never taken, each with the reason.
        """
        window.refuse(
            {each.record.index: refused[at] for at, each in enumerate(part) if at in refused}
        )
        taken = {
            each.record.index
            for at, each in enumerate(part)
            if left is not None and at not in left and at not in refused
        }
        if not taken:
            return
        if self._look_ahead:
            window.try_again()
        window.take(taken)
        self._suspected = self._look_ahead = 0
        delivery = self._ledger.delivery
        self._ledger.delivery = replace(
            delivery, delivered=delivery.delivered + len(taken), last_delivery=self._time()
        )

    def _refused(
        self, window: Window, part: Sequence[Event], error: RefusedError
    ) -> list[list[Event]]:
        """Note what became of a refused part; return what is to be given now, the first last."""
        places = range(len(part))
        refused = [at for at in places if at in error.refused and at not in error.left]
        if not refused:  # of a sink that says nothing of use, that it took them would be a guess
            refused = list(places)
        left = [at for at in places if at in error.left and at not in refused]
        self._took(window, part, {*refused, *left}, {})
        rest = [[part[at] for at in left]] if left else []
        if len(refused) == 1:
            window.refuse({part[refused[0]].record.index: str(error)})
            return rest
        half = (len(refused) + 1) // 2
        halves = [refused[half:], refused[:half]]
        return [*rest, *([part[at] for at in each] for each in halves)]

    # ------------------------------------------------------------ when it refuses everything

    def _refuses_all(self, window: Window) -> _RefusesAllError:
        count = self._suspected + len(window.suspects)
        first, reason = next(iter(window.suspects.items()))
        self._look_ahead = min(
            self._pace.look_ahead, 2 * max(self._pace.distrust_after, self._look_ahead)
        )
        return _RefusesAllError(
            f"it refused {count} events in a row and took none, so that rather the sink is wrong "
            f"than they are, and they wait: entry {first}: {reason}",
            needs_repair=True,
        )

    async def _take_back(self, source: Source, window: Window) -> None:
        """Be done with what stands before the first suspect, and give the rest again, later."""
        head, rest = window.split()
        if window.replay is None:
            source.put_back(rest)
        await self._keep_settled(source, head)

    # ------------------------------------------------------------ what came of it

    async def _settle(self, source: Source, window: Window) -> None:
        """Be done with a window: the sink has answered for all of it."""
        delivery = self._ledger.delivery
        # Of one that was disabled, because its far side wanted no more, the error alone is left.
        if delivery.failing_since is not None or delivery.is_reported or delivery.error:
            _log.info("a sink takes events again", sink=self._found.name)
            self._ledger.delivery = replace(
                delivery,
                failing_since=None,
                failures=0,
                error="",
                next_try=None,
                is_open=False,
                is_reported=False,
            )
        self._suspected += len(window.suspects)
        window.convict()
        await self._keep_settled(source, window)

    async def _keep_settled(self, source: Source, window: Window) -> None:
        self._window = None
        self._is_retry = False
        self._move(source)
        if window.replay is not None:
            source.has_replays = True
        if window.refused or window.replay is not None or self._ledger.is_recovering:
            delivery = self._ledger.delivery
            await self._insist(lambda: self._ledger.settle(window, delivery))
            self._saved_at = self._around.monotonic()
        else:
            await self._save_in_time(source)

    async def _failed(
        self, source: Source, error: NotTakenError, *, is_better: bool, is_news: bool
    ) -> None:
        """Keep that the sink does not take what it is given, and wait until the next try."""
        before = self._ledger.delivery
        failures = 1 if is_better else before.failures + 1
        is_open = error.needs_repair or failures >= self._pace.open_after
        wait = self._pace.wait(
            failures,
            self._around.chance(),
            is_open=is_open,
            needs_repair=error.needs_repair,
            retry_after=error.retry_after,
            is_local=isinstance(error, _NotMadeError),
        )
        text = client_text(str(error), _ERROR)
        now = self._around.now()
        self._move(source)
        self._ledger.delivery = after = replace(
            self._ledger.delivery,
            failing_since=before.failing_since or self._time(),
            failures=failures,
            error=text,
            next_try=rfc3339(micros_at(now + timedelta(seconds=wait))),
            is_open=is_open,
        )
        log = _log.error if is_open else _log.warning
        log("a sink takes no events", sink=self._found.name, error=text, again_in=round(wait, 1))
        if is_open and is_news and not after.is_reported and self._is_time_for_news():
            await self._insist(lambda: self._ledger.report_failure(after))
        else:
            if is_open and not before.is_open and not after.is_reported:
                self._ledger.delivery = replace(after, unreported=after.unreported + 1)
            await self._try_to_save()
        if error.needs_repair or isinstance(error, StuckError):
            await self._drop_sink()
        await self._wait_to_try(wait)

    async def _wait_to_try(self, seconds: float) -> None:
        self._again.clear()
        self._is_waiting = True
        try:
            await self._race(self._around.sleep(seconds), self._stop.wait(), self._again.wait())
        finally:
            self._is_waiting = False
        if self._stop.is_set():
            raise _StoppedError

    def _is_time_for_news(self) -> bool:
        reported = self._ledger.delivery.reported
        if reported is None:
            return True
        return micros_at(self._around.now()) - micros_of(reported) >= self._pace.news * 1_000_000

    async def _disable(self, source: Source, error: SinkGoneError) -> None:
        """Disable the sink for good.

        Raises:
            _StoppedError: always.
        """
        reason = client_text(str(error), _ERROR) or "its far side wants nothing more"
        _log.warning("a sink is disabled", sink=self._found.name, reason=reason)
        self._move(source)
        await self._insist(lambda: self._ledger.disable(reason))
        raise _StoppedError from error

    # ------------------------------------------------------------ keeping and waiting

    def _move(self, source: Source) -> None:
        """Put the cursor where it is: on the first entry that is not done with."""
        window = self._window
        cursor = source.position if window is None or window.replay else window.reached
        if cursor != self._ledger.delivery.cursor:
            self._ledger.delivery = replace(self._ledger.delivery, cursor=cursor)

    async def _save_in_time(self, source: Source) -> None:
        self._move(source)
        if self._around.monotonic() - self._saved_at >= self._pace.save:
            await self._try_to_save()

    async def _try_to_save(self) -> None:
        """Keep how far it is, now; if it can't be kept, at the next occasion."""
        self._saved_at = self._around.monotonic()
        if self._ledger.is_saved:
            return
        try:
            await self._ledger.save()
        except UnavailableError as error:
            _log.warning("a sink's place is not kept", sink=self._found.name, error=str(error))

    async def _idle(self, source: Source) -> None:
        """Wait until there may be something to give; keep before how far it is."""
        self._move(source)
        while not self._news.is_set() and not self._ledger.is_saved:
            left = self._saved_at + self._pace.save - self._around.monotonic()
            if left <= 0:
                await self._try_to_save()
            else:
                await self._race(self._around.sleep(left), self._news.wait())
        await self._news.wait()

    async def _wait(self, seconds: float) -> None:
        """Wait.

        Raises:
            _StoppedError: it is to stop.
        """
        await self._race(self._around.sleep(seconds), self._stop.wait())
        if self._stop.is_set():
            raise _StoppedError

    @staticmethod
    async def _race(*works: Coroutine[Any, Any, object]) -> None:
        """Wait for the first of them, and end the others."""
        tasks = [asyncio.ensure_future(each) for each in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what the store answers, however long that takes.

        Raises:
            _StoppedError: it is to stop.
        """
        while True:
            try:
                return await ask()
            except UnavailableError as error:
                _log.warning(
                    "forwarding waits for the store", sink=self._found.name, error=str(error)
                )
            await self._wait(self._pace.store_wait)

    def _time(self) -> str:
        return rfc3339(micros_at(self._around.now()))
