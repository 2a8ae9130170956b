"""Destroys the older versions of states that no rule of retention keeps.

What the log says of them stays, and so do their rows, with their digests. Which versions go is
decided in the transaction that destroys them, by what is stored and held at that moment: a write,
a lock or a rollback comes before it or after it, and never in between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

from proxy.access import EVERYWHERE, Caller, Permission, matches_any
from proxy.audit_log import draft
from proxy.contracts import Draft, StateVersion, Store, Transaction
from proxy.directory import WorkspaceRecord
from proxy.errors import InvalidInputError, NotFoundError, UnavailableError
from proxy.gate import gate
from proxy.retention import KEEP_ALL, Retention, ranges, ranges_text, to_drop
from proxy.state_entries import name_of
from proxy.timestamps import rfc3339

_MOST_BYTES: Final = 1 << 25
"""Bytes of states, as they came in, that one transaction destroys: a tenth of a second's work."""
_MOST_VERSIONS: Final = 500
"""Versions that one transaction destroys; its entry tells each range of them."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was destroyed of a workspace, or would be.

    Attributes:
        workspace: its name.
        numbers: of the versions, rising.
        size: of their bodies as they came in, bytes.
        rules: that asked.
        indices: of the entries that record it; none of what would be destroyed.
    """

    workspace: str
    numbers: tuple[int, ...]
    size: int
    rules: Retention
    indices: tuple[int, ...] = ()


class _Asked(NamedTuple):
    """Which rules ask, in the words of an entry: ``configuration``, ``workspace``, ``command``."""

    rules: Retention
    by: str


class RetentionService:
    """The one place where single versions are destroyed.

    Args:
        store: keeps them.
        rules: of workspaces that have none of their own.
        clock: microseconds since 1970.
    """

    def __init__(self, store: Store, rules: Retention, clock: Callable[[], int]) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        # The process before this one may have ended between a transaction and its last step.
        self._is_unscrubbed = True

    async def plan(
        self, caller: Caller, workspaces: str = EVERYWHERE, rules: Retention | None = None
    ) -> list[Pruned]:
        """Return what ``prune`` would destroy now, by workspace.

        Raises:
            NotFoundError, InvalidInputError, ForbiddenError, UnavailableError: as ``prune``.
        """
        await self._require(caller, workspaces, rules)
        planned = []
        for record in await self._records(workspaces):
            found = await self._due(record, rules)
            if found:
                asked = self._asked(record, rules).rules
                planned.append(_pruned(record.name, found, asked))
        return planned

    async def prune(
        self, caller: Caller, workspaces: str = EVERYWHERE, rules: Retention | None = None
    ) -> list[Pruned]:
        """Destroy the versions that no rule keeps. Nothing brings them back.

        Args:
            caller: who asks.
            workspaces: glob of their names; those that are deleted are left alone.
            rules: in place of the server's; what a workspace's own keep stays all the same. None
                are those in force.

        Returns:
            What was destroyed, by workspace.

        Raises:
            NotFoundError: there is no such workspace, or none with a state.
            InvalidInputError: there is no rule for anything there.
            ForbiddenError: the caller may not administer.
            UnavailableError: nothing happened, or only what is on record; or, as the message says,
                it is done and on record, but a copy may be left in the store's files.
        """
        await self._require(caller, workspaces, rules)
        done = [
            pruned
            for record in await self._records(workspaces)
            if (pruned := await self._prune(caller, record, rules)) is not None
        ]
        await self._scrub()
        return done

    async def prune_due(self, caller: Caller) -> list[Pruned]:
        """Destroy what the rules in force do not keep, as ``prune`` does, off everybody's way.

        Raises:
            UnavailableError: as ``prune``; the rest is done by the next call.
        """
        records = [each for each in await self._records(EVERYWHERE) if self._in_force(each).is_on]
        done = [
            pruned
            for record in records
            if (pruned := await self._prune(caller, record, None)) is not None
        ]
        if done or (self._is_unscrubbed and await self._store.pruned_versions(0)):
            await self._scrub()
        self._is_unscrubbed = False
        return done

    async def _require(self, caller: Caller, workspaces: str, rules: Retention | None) -> None:
        """Pass when the caller may, and there is something to ask about, and a rule."""
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
        records = await self._records(workspaces)
        if not records and workspaces != EVERYWHERE:
            raise NotFoundError(
                f"there is no workspace with a state that {workspaces} matches: `tfaudit state "
                "list` shows all"
            )
        if rules is None:
            has_rules = self._rules.is_on or any(self._in_force(each).is_on for each in records)
        else:
            has_rules = rules.is_on
        if not has_rules:
            raise InvalidInputError(
                "no rule says which versions are kept, so all are: give --keep, --keep-for or "
                "--last-of-run, set [retention] in tfaudit.toml, or a workspace's own rules with "
                "`tfaudit workspace update --keep-versions`"
            )

    async def _records(self, workspaces: str) -> list[WorkspaceRecord]:
        """Return the settings of the workspaces with a state that are not deleted."""
        return [
            each.record
            for each in await self._store.workspaces()
            if each.head is not None
            and each.record.deleted is None
            and matches_any((workspaces,), each.name)
        ]

    def _in_force(self, record: WorkspaceRecord) -> Retention:
        own = record.retention
        return self._rules if own is None else own

    def _asked(self, record: WorkspaceRecord, rules: Retention | None) -> _Asked:
        """Return the rules for a workspace, and who asks by them."""
        own = record.retention
        if rules is not None:
            return _Asked(rules if own is None else rules.with_rules(own), "command")
        return _Asked(self._rules, "configuration") if own is None else _Asked(own, "workspace")

    async def _due(self, record: WorkspaceRecord, rules: Retention | None) -> list[StateVersion]:
        """Return what would be dropped now, oldest first; looked at beside the writer."""
        asked = self._asked(record, rules)
        if not asked.rules.is_on:
            return []
        versions = await self._store.kept_versions(record.name)
        held = {lock.workspace: lock.taken for lock in await self._store.locks()}
        return _droppable(
            versions, asked.rules, rfc3339(self._clock()), record, held.get(record.name)
        )

    async def _prune(
        self, caller: Caller, record: WorkspaceRecord, rules: Retention | None
    ) -> Pruned | None:
        """Destroy what is due of one workspace, a portion a transaction."""
        numbers: list[int] = []
        indices: list[int] = []
        size = 0
        asked = KEEP_ALL
        if not await self._due(record, rules):
            return None
        while True:
            job = partial(self._job, caller, record.name, rules)
            portion = (await self._store.write(job)).value
            if portion is None:
                break
            self._is_unscrubbed = True
            numbers += portion.numbers
            indices += portion.indices
            size += portion.size
            asked = portion.rules
        if not indices:
            return None
        return Pruned(record.name, tuple(numbers), size, asked, tuple(indices))

    def _job(
        self,
        caller: Caller,
        workspace: str,
        rules: Retention | None,
        transaction: Transaction,
    ) -> Pruned | None:
        """Choose and destroy one portion of what is due; None when nothing is."""
        record = transaction.directory().workspace(workspace)
        asked = self._asked(record, rules)
        if record.deleted is not None or not asked.rules.is_on:
            return None
        lock = transaction.lock(workspace)
        found = _droppable(
            transaction.kept_versions(workspace),
            asked.rules,
            transaction.time,
            record,
            None if lock is None else lock.taken,
        )
        portion = _portion(found)
        if not portion:
            return None
        pruned = _pruned(workspace, portion, asked.rules)
        index = transaction.append(pruned_entry(caller, pruned, asked.by))
        transaction.prune_versions([each.id for each in portion], index)
        return replace(pruned, indices=(index,))

    async def _scrub(self) -> None:
        try:
            await self._store.scrub()
        except UnavailableError as error:
            self._is_unscrubbed = True
            raise UnavailableError(
                "the versions are destroyed, and that is on record; but a copy may be left in the "
                f"database's files: {error}; run `tfaudit state prune` again"
            ) from error
        self._is_unscrubbed = False


def _droppable(
    versions: Sequence[StateVersion],
    rules: Retention,
    now: str,
    record: WorkspaceRecord,
    held_since: str | None,
) -> list[StateVersion]:
    """Return what no rule keeps and is still there, oldest first."""
    found = to_drop(
        versions, rules, now, destroyed=record.destroyed_versions, held_since=held_since
    )
    return [version for version in found if version.pruned is None]


def _portion(versions: Sequence[StateVersion]) -> list[StateVersion]:
    """Return as many of the first as one transaction destroys."""
    portion: list[StateVersion] = []
    size = 0
    for version in versions[:_MOST_VERSIONS]:
        size += version.size
        if portion and size > _MOST_BYTES:
            break
        portion.append(version)
    return portion


def _pruned(workspace: str, versions: Sequence[StateVersion], rules: Retention) -> Pruned:
    numbers = tuple(version.number for version in versions)
    return Pruned(workspace, numbers, sum(version.size for version in versions), rules)


def pruned_entry(caller: Caller, pruned: Pruned, asked_by: str) -> Draft:
    """Return the entry of versions that are destroyed in its transaction.

    Args:
        caller: on whose behalf.
        pruned: what is destroyed, and the rules.
        asked_by: whose rules these are: ``configuration``, ``workspace`` or ``command``.
    """
    number = len(pruned.numbers)
    found = ranges(pruned.numbers)
    return draft(
        "state.versions_pruned",
        "success",
        f"{name_of(caller)} pruned {number} version{'s'[: number != 1]} of {pruned.workspace}, "
        f"keeping {pruned.rules}: {ranges_text(found)}",
        caller,
        200,
        workspace=pruned.workspace,
        pruned={
            "versions": found,
            "number": number,
            "size": pruned.size,
            "asked_by": asked_by,
            "kept": pruned.rules.as_entry(),
        },
    )
