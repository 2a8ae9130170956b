"""What an administrator does with sinks that exist: see how they do, try them, send again.

Making, changing, pausing and deleting them is the directory's.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import orjson

from proxy import sink_entries
from proxy.access import EVERYWHERE, Caller, Permission
from proxy.client_text import client_text
from proxy.contracts import Committed, DeadLetter, SinkReplay, Store, Transaction
from proxy.directory import Object, SinkRecord, document_of
from proxy.errors import (
    ConfigError,
    ConflictError,
    EntryPrunedError,
    InvalidInputError,
    NotFoundError,
    TfauditError,
    UnavailableError,
)
from proxy.gate import gate
from proxy.sink_status import SinkStatus, statuses
from proxy.sinks.calls import call, close
from proxy.sinks.contract import Batch, Event, NotTakenError, Opener, RefusedError, SinkGoneError
from proxy.sinks.record import require_usable
from proxy.timestamps import micros_at, uuid7

TEST_SECONDS: Final = 30.0
"""How long the far side has to answer a test."""

MAX_REPLAYS: Final = 20
"""Replays of one sink that wait at once."""

_MAX_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of a test.

    Attributes:
        is_taken: whether the far side took the entry.
        said: what it said, for people.
    """

    is_taken: bool
    said: str


class SinkService:
    """The one place where sinks are looked at, tried and given entries once more.

    Args:
        store: keeps how far each is.
        open_sink: makes a sink of its object.
        origin: the log's name.
        now: the present, with a time zone.
        random: gives so many random bytes.
    """

    def __init__(
        self,
        store: Store,
        open_sink: Opener,
        origin: str,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._open_sink = open_sink
        self._origin = origin
        self._now = now
        self._random = random

    async def status(self, caller: Caller, name: str | None = None) -> list[SinkStatus]:
        """Return how all sinks are doing, by name; or the one of this name or ID.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: the caller may not administer.
            UnauthenticatedError, AccessChangedError: nor may they any more.
        """
        return await statuses(self._store, await self._view(caller, name), self._now())

    async def measure(self) -> list[SinkStatus]:
        """Return how all sinks are doing, for the server's own metrics.

        Raises:
            UnavailableError: it can't be told.
        """
        sinks = self._store.directory().objects("sink")
        return await statuses(self._store, sinks, self._now())

    async def dead_letters(
        self, caller: Caller, name: str, first: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return what is set aside for a sink, in the order of the log.

        Args:
            caller: who asks.
            name: of the sink, or its ID.
            first: only entries from this index on.
            limit: at most so many.

        Raises:
            NotFoundError: there is no such sink.
            ForbiddenError: the caller may not administer.
            UnauthenticatedError, AccessChangedError: nor may they any more.
        """
        [found] = await self._view(caller, name)
        return await self._store.dead_letters(found.id, first, limit)

    async def replay(
        self,
        caller: Caller,
        name: str,
        first: int | None = None,
        until: int | None = None,
        *,
        only_dead_letters: bool = False,
    ) -> Committed[SinkReplay]:
        """Let a sink be given entries once more that it has been given, or that were set aside.

        The server does so beside what is new, and goes on with it after a restart.

        Args:
            caller: who asks.
            name: of the sink, or its ID.
            first: index of the first entry; of dead letters None is the first of them.
            until: one more than the index of the last; None is as far as the sink is.
            only_dead_letters: of those between, only what was set aside.

        Raises:
            InvalidInputError: the range is none.
            NotFoundError: there is no such sink.
            ConflictError: there is nothing in the range that it was given, or too much waits.
            ForbiddenError: the caller may not administer.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
        replay_id = uuid7(micros_at(self._now()), self._random(8))
        waiting = await self._store.replays()

        def make(tx: Transaction, found: Object) -> SinkReplay:
            _require_range(first, until, only_dead_letters=only_dead_letters)
            if sum(each.sink == found.id for each in waiting) >= MAX_REPLAYS:
                raise ConflictError(
                    f"{MAX_REPLAYS} replays to the sink {found.name} wait already: try again when "
                    "`tfaudit sink show` lists fewer"
                )
            span = _span(tx, found, first, until, only_dead_letters=only_dead_letters)
            replay = SinkReplay(
                id=replay_id,
                sink=found.id,
                first=span[0],
                until=span[1],
                only_dead_letters=only_dead_letters,
                cursor=span[0],
                requested=tx.time,
            )
            tx.add_replay(replay)
            tx.append(sink_entries.replay_asked(found, replay, caller))
            return replay

        def job(tx: Transaction) -> SinkReplay | TfauditError:
            try:
                return make(tx, _found(tx, name))
            except (InvalidInputError, NotFoundError, ConflictError) as error:
                tx.append(sink_entries.refused("sink.replayed", error, caller))
                return error

        committed = await self._store.write(job)
        if isinstance(committed.value, TfauditError):
            committed.value.audit_index = committed.index
            raise committed.value
        return Committed(committed.value, committed.index)

    async def probe(self, caller: Caller, record: SinkRecord) -> str:
        """Look whether a sink, also one that is not made yet, could send, without sending anything.

        Nothing is recorded of it.

        Returns:
            What was found, for people.

        Raises:
            ForbiddenError: the caller may not administer.
            InvalidInputError: its options can't be used; names the one.
            ConfigError: a secret that it names is not there.
            NotTakenError: the far side is not there, or it would take nothing.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
        require_usable(record)
        # An object that nobody keeps: a sink has no need of an ID.
        found = Object("sink", record.name, "", "", "", document_of(record))
        sink = self._open_sink(found)
        try:
            return await call(record.name, sink.probe(), TEST_SECONDS)
        except NotTakenError as error:
            told, needs_repair = _told(error), error.needs_repair
        finally:
            await close(record.name, sink)
        # Raised here so that nothing more is chained: who asks is shown all that may be.
        raise NotTakenError(told, needs_repair=needs_repair)

    async def test(self, caller: Caller, name: str) -> Committed[Tested]:
        """Commit ``sink.tested`` and send that very entry to the sink at once.

        It is sent by a sink of its own, beside whatever waits, also when the sink is paused.

        Returns:
            What the far side said, and the index of the entry.

        Raises:
            NotFoundError: there is no such sink.
            ForbiddenError: the caller may not administer.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)

        def job(tx: Transaction) -> Object | TfauditError:
            try:
                found = _found(tx, name)
            except NotFoundError as error:
                tx.append(sink_entries.refused("sink.tested", error, caller))
                return error
            tx.append(sink_entries.tested(found, caller))
            return found

        committed = await self._store.write(job)
        if isinstance(committed.value, TfauditError) or committed.index is None:
            error = committed.value
            assert isinstance(error, TfauditError)  # noqa: S101 - a test has its entry
            error.audit_index = committed.index
            raise error
        tested = await self._send(committed.value, committed.index)
        if tested.is_taken:
            await self._let_try(committed.value.id)
        return Committed(tested, committed.index)

    async def _let_try(self, sink: str) -> None:
        """Have what waits for a sink's next try tried at once, by whatever server forwards to it.

        It is no loss when that can't be kept: then it waits on.
        """

        def job(tx: Transaction) -> None:
            delivery = tx.delivery(sink)
            if delivery is not None and delivery.next_try is not None:
                tx.keep_delivery(replace(delivery, next_try=None))

        with suppress(UnavailableError):
            await self._store.write(job)

    async def _send(self, found: Object, index: int) -> Tested:
        [record] = await self._store.following(index, 1)
        checkpoint = await self._store.checkpoint()
        event = Event(record, orjson.loads(record.entry))
        try:
            sink = self._open_sink(found)
        except (InvalidInputError, ConfigError) as error:
            return Tested(is_taken=False, said=str(error))
        batch = Batch((event,), checkpoint, self._origin)
        try:
            found_out = await call(found.name, sink.probe(), TEST_SECONDS)
            receipt = await call(found.name, sink.send(batch), TEST_SECONDS)
        except (NotTakenError, RefusedError, SinkGoneError) as error:
            return Tested(is_taken=False, said=_told(error))
        finally:
            await close(found.name, sink)
        if receipt.rejected:
            reason = next(iter(receipt.rejected.values()))
            return Tested(is_taken=False, said=_with(reason, receipt.heard))
        unsure = "" if sink.limits.is_acknowledged else " (sent, unacknowledged)"
        return Tested(is_taken=True, said=f"{found_out}; {receipt.said}{unsure}")

    async def _view(self, caller: Caller, name: str | None) -> Sequence[Object]:
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)

        def job(tx: Transaction) -> Sequence[Object]:
            # Nothing is recorded here that would find out.
            tx.require_in_force(caller.principal)
            return tx.directory().objects("sink") if name is None else [_found(tx, name)]

        return (await self._store.write(job)).value


def _told(error: NotTakenError | RefusedError | SinkGoneError) -> str:
    """Return a failure, with what the far side says of it: for who asks, and for no record."""
    return _with(str(error), error.heard)


def _with(text: str, heard: str) -> str:
    return f"{text}. It says: {heard}" if heard else text


def _found(tx: Transaction, name: str) -> Object:
    found = tx.directory().get("sink", name)
    if found is None:
        shown = client_text(name, _MAX_NAME)
        raise NotFoundError(f"there is no sink {shown}: list them to see all")
    return found


def _require_range(first: int | None, until: int | None, *, only_dead_letters: bool) -> None:
    """Pass when a range can be meant.

    Raises:
        InvalidInputError: says what is wrong with it.
    """
    if first is None and not only_dead_letters:
        raise InvalidInputError(
            "say from which index on entries are to be sent again, or that what was set aside is"
        )
    if (first or 0) < 0 or (until is not None and until <= (first or 0)):
        raise InvalidInputError(
            "the range is none: it begins at an index from 0 on, and ends above it"
        )


def _span(
    tx: Transaction, found: Object, first: int | None, until: int | None, *, only_dead_letters: bool
) -> tuple[int, int]:
    """Return the first index of a replay, and one more than its last.

    Raises:
        ConflictError: nothing is there to be sent again.
        EntryPrunedError: it is not there any more.
    """
    delivery = tx.delivery(found.id)
    cursor = 0 if delivery is None else delivery.cursor
    if only_dead_letters:
        bounds = tx.dead_letter_bounds(found.id, first or 0, until)
        if bounds is None:
            raise ConflictError(f"nothing is set aside for the sink {found.name} there")
        return bounds
    start, pruned = first or 0, tx.pruned()
    if start < pruned:
        raise EntryPrunedError(
            f"entries before {pruned} were archived and pruned, so the sink {found.name} can't be "
            f"given entry {start} again: begin with --from {pruned}, and see `tfaudit log --event "
            "audit.pruned` for where the others are"
        )
    if start >= cursor:
        raise ConflictError(
            f"the sink {found.name} is at entry {cursor}, and gets what comes from there on anyway"
        )
    return start, cursor if until is None else min(until, cursor)
