"""How far a sink is and how it does, kept in the store, with the entries that tell of it.

Each change is one transaction that may be committed twice: when the store's answer was lost nobody
knows whether it was, so that a job looks what is kept before it tells anything again.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import msgspec

from proxy import sink_entries
from proxy.access import Caller
from proxy.contracts import DeadLetter, Delivery, Draft, SinkReplay, Store, Transaction
from proxy.directory import Object, document_of
from proxy.forwarding.window import Window
from proxy.sink_status import first_index, record_of


class GoneError(Exception):
    """The sink's object is no more, so nothing is kept of it."""


class _Letters(NamedTuple):
    """What is to be set aside: what is recorded, and what is about sinks and only counted."""

    recorded: list[DeadLetter]
    silent: list[DeadLetter]


class Ledger:
    """What is kept of one sink.

    Args:
        store: keeps it.
        found: the sink's object.
        caller: the server itself, on whose behalf the entries are.

    Attributes:
        delivery: as it is now; ``load`` reads it first.
    """

    def __init__(self, store: Store, found: Object, caller: Caller) -> None:
        self._store = store
        self._found = found
        self._caller = caller
        self.delivery = Delivery(found.id, 0)
        self._saved: Delivery | None = None

    @property
    def is_saved(self) -> bool:
        """Whether the store has it as it is."""
        return self.delivery == self._saved

    @property
    def saved_next_try(self) -> str | None:
        """The time of the next try, as this wrote it; somebody may have taken it back since."""
        return None if self._saved is None else self._saved.next_try

    @property
    def is_recovering(self) -> bool:
        """Whether the store still has that it fails, on record, and it no longer does."""
        saved = self._saved
        return saved is not None and saved.is_reported and not self.delivery.is_reported

    async def load(self) -> None:
        """Read what is kept; of a new sink find out where it begins.

        Raises:
            UnavailableError: it can't be told.
        """
        known = [each for each in await self._store.deliveries() if each.sink == self._found.id]
        if known:
            self.delivery = self._saved = known[0]
        else:
            self.delivery = Delivery(self._found.id, await first_index(self._store, self._found))

    async def save(self) -> None:
        """Keep how far the sink is and how it does.

        Raises:
            UnavailableError: nobody knows whether it is kept.
            GoneError: the sink's object is no more.
        """

        def job(_: Transaction, kept: Delivery | None) -> Delivery:
            delivery = self.delivery
            if kept is None:
                return delivery
            if kept.is_reported and not delivery.is_reported:
                # That it recovered is recorded with the next that it takes, and not in passing.
                delivery = replace(
                    kept,
                    delivered=delivery.delivered,
                    retries=delivery.retries,
                    last_delivery=delivery.last_delivery,
                )
            # What was under way when the forwarder was cut off may have been committed.
            return replace(
                delivery,
                cursor=max(self.delivery.cursor, kept.cursor),
                dead_letters=kept.dead_letters,
                is_reported=kept.is_reported,
                reported=kept.reported,
            )

        await self._write(job)

    async def report_failure(self, failed: Delivery) -> None:
        """Keep that the sink fails, and record it.

        Raises:
            UnavailableError: nobody knows whether it is.
            GoneError: the sink's object is no more.
        """

        def job(tx: Transaction, kept: Delivery | None) -> Delivery:
            if kept is not None and kept.is_reported:
                return replace(failed, is_reported=True, reported=kept.reported)
            tx.append(sink_entries.failed(self._found, failed, self._caller))
            return replace(failed, is_reported=True, reported=tx.time, unreported=0)

        await self._write(job)

    async def settle(self, window: Window, delivery: Delivery) -> None:
        """Keep that a window is done with: what it refused is set aside, and recorded.

        Args:
            window: each of its events was taken or refused.
            delivery: what is kept of the sink then, but for what was set aside.

        Raises:
            UnavailableError: nobody knows whether it is.
            GoneError: the sink's object is no more.
        """

        def job(tx: Transaction, kept: Delivery | None) -> Delivery:
            letters = self._letters(tx, window)
            tx.add_dead_letters(letters.recorded)
            tx.note_dead_letters(letters.silent)
            drafts = sink_entries.dead_lettered(self._found, letters.recorded, self._caller)
            if window.replay is not None:
                drafts += self._went_on(tx, window, window.replay)
            if kept is not None and kept.is_reported and not delivery.is_reported:
                drafts.append(sink_entries.recovered(self._found, kept, self._caller))
            for each in drafts:
                tx.append(each)
            before = 0 if kept is None else kept.dead_letters
            count = len(letters.recorded) + len(letters.silent)
            return replace(delivery, dead_letters=before + count)

        await self._write(job)

    def _letters(self, tx: Transaction, window: Window) -> _Letters:
        recorded: list[DeadLetter] = []
        silent: list[DeadLetter] = []
        if not window.refused:
            return _Letters(recorded, silent)
        span = min(window.refused), max(window.refused) + 1
        known = {each.index: each for each in tx.dead_letters(self._found.id, *span)}
        for event in window.events:
            index = event.record.index
            if index not in window.refused:
                continue
            reason = sink_entries.reason_of(window.refused[index])
            if _is_kept(known.get(index), reason, window.replay):
                continue
            letter = DeadLetter(self._found.id, index, reason, tx.time)
            (silent if sink_entries.is_about_sinks(event.entry) else recorded).append(letter)
        return _Letters(recorded, silent)

    def _went_on(self, tx: Transaction, window: Window, asked: SinkReplay) -> list[Draft]:
        """Keep how far a replay is; return the entries that it needs."""
        kept = tx.replay(asked.id)
        if kept is None:
            return []
        span = min(window.taken, default=0), max(window.taken, default=-1) + 1
        letters = tx.dead_letters(asked.sink, *span)
        taken = [each.index for each in letters if each.index in window.taken]
        end = min(window.end, asked.until)
        if not taken and end < asked.until:
            tx.keep_replay(asked.id, end)
            return []
        tx.drop_dead_letters(asked.sink, taken)
        tx.settle_replay(asked.id, end)
        after = kept._replace(first=end)
        return sink_entries.replay_went_on(self._found, after, taken, self._caller)

    async def disable(self, reason: str) -> None:
        """Disable the sink, whose far side wants nothing more, and record it.

        Raises:
            UnavailableError: nobody knows whether it is.
            GoneError: the sink's object is no more.
        """

        def job(tx: Transaction, _: Delivery | None) -> Delivery:
            found = tx.directory().get("sink", self._found.id)
            if found is not None and record_of(found).enabled:
                record = msgspec.structs.replace(record_of(found), enabled=False)
                after = found._replace(updated=tx.time, document=document_of(record))
                tx.put_object(after)
                tx.append(sink_entries.disabled(found, after, reason, self._caller))
            return replace(self.delivery, error=reason, next_try=None)

        await self._write(job)

    async def _write(self, job: Callable[[Transaction, Delivery | None], Delivery]) -> None:
        def whole(tx: Transaction) -> Delivery | None:
            if tx.directory().get("sink", self._found.id) is None:
                return None
            delivery = job(tx, tx.delivery(self._found.id))
            tx.keep_delivery(delivery)
            return delivery

        kept = (await self._store.write(whole)).value
        if kept is None:
            raise GoneError
        self.delivery = self._saved = kept


def _is_kept(known: DeadLetter | None, reason: str, replay: SinkReplay | None) -> bool:
    """Tell whether a refusal is on record already; one of a replay that was asked for later not."""
    if known is None or known.reason != reason:
        return False
    return replay is None or known.time >= replay.requested
