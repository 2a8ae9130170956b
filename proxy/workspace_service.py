"""Deletes workspaces, brings them back, destroys their states for good, and frees their names.

A deletion is soft: nothing is given out or taken in any more, and for some time it can be undone.
After that the states are destroyed. What the log says of them stays, and so does the name: a
pipeline that still points there must not silently begin a new state.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from proxy.access import EVERYWHERE, Caller, Permission, parse_workspace
from proxy.audit_log import draft
from proxy.contracts import Committed, Draft, StateVersion, Store, Transaction
from proxy.directory import LIFE, Directory, Object, WorkspaceRecord, document_of, read_record
from proxy.directory_service import cleaned, object_part
from proxy.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    LockedError,
    NotFoundError,
    TfauditError,
    UnavailableError,
)
from proxy.gate import gate
from proxy.state_entries import name_of, refused
from proxy.timestamps import micros_at, micros_of, rfc3339, uuid7

_DAY: Final = 86_400_000_000
_PORTION: Final = 1 << 28
"""Bytes of states, as they came in, that one transaction destroys: about a second's work."""
_STATUS: Final[Mapping[str, int]] = {"workspace.created": 201}

_Decide: TypeAlias = "Callable[[_Found], WorkspaceRecord | None]"
_Done: TypeAlias = "Object | TfauditError"


class _Found:
    """A workspace as a transaction finds it.

    Attributes:
        name: its name.
        time: of the transaction.
        object: its settings; None when they were never set.
        record: the same, or the defaults.
        versions: how many were ever stored.
    """

    def __init__(self, name: str, transaction: Transaction) -> None:
        directory = transaction.directory()
        head = transaction.head(name)
        self.name = name
        self.time = transaction.time
        # By its name alone: rights are for names, and an ID could be another workspace's name.
        self.object = directory.get("workspace", name) if directory.is_set(name) else None
        self.record = directory.workspace(name)
        self.versions = 0 if head is None else head.number
        self.lock = transaction.lock(name)

    def require(self) -> None:
        """Pass when there is such a workspace.

        Raises:
            NotFoundError: it was neither made ahead nor written.
        """
        if self.object is None and not self.versions:
            raise NotFoundError(
                f"there is no workspace {self.name}: `tfaudit workspace list` shows all"
            )


class WorkspaceService:
    """The one place where a workspace is deleted, restored, purged or freed.

    Args:
        store: keeps it.
        now: the present, with a time zone.
        random: gives so many random bytes.
        grace_days: for so long a deletion can be undone.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        *,
        grace_days: float,
    ) -> None:
        self._store = store
        self._now = now
        self._random = random
        self._grace = round(grace_days * _DAY)
        # The process before this one may have ended between a purge and its last step.
        self._is_unscrubbed = True

    async def list(self, caller: Caller) -> list[Object]:
        """Return all workspaces with their settings, by name; those that were never set, too.

        The ID of one whose settings were never set is empty.

        Raises:
            ForbiddenError: the caller may not administer.
            UnauthenticatedError, AccessChangedError: nor may they any more.
            UnavailableError: it can't be told.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
        summaries = await self._store.workspaces()

        def job(transaction: Transaction) -> Directory:
            transaction.require_in_force(caller.principal)
            return transaction.directory()

        directory = (await self._store.write(job)).value
        found = {each.name: each for each in directory.objects("workspace")}
        for each in summaries:
            if each.name not in found:
                document = document_of(each.record)
                found[each.name] = Object(
                    "workspace", each.name, "", each.created, each.created, document
                )
        return [found[name] for name in sorted(found)]

    async def show(self, caller: Caller, name: str) -> Object:
        """Return one workspace with its settings.

        Raises:
            NotFoundError: there is none.
            ForbiddenError, UnauthenticatedError, AccessChangedError, UnavailableError: as ``list``.
        """
        for each in await self.list(caller):
            if name == each.name or name == each.id != "":
                return each
        raise NotFoundError(f"there is no workspace {name}: `tfaudit workspace list` shows all")

    async def delete(self, caller: Caller, name: str) -> Committed[Object]:
        """Delete a workspace; it can be restored for some time.

        Raises:
            InvalidInputError: this is no workspace's name.
            ForbiddenError: the caller may not delete it.
            NotFoundError: there is none.
            LockedError: a run is under way.
            ConflictError: it is deleted already.
            UnavailableError: nothing happened.
        """
        await gate(self._store, caller, Permission.DELETE, parse_workspace(name))

        def decide(found: _Found) -> WorkspaceRecord:
            found.require()
            if found.record.deleted is not None:
                raise ConflictError(f"{name} was deleted at {found.record.deleted} already")
            if found.lock is not None:
                raise LockedError(
                    f"{name} is locked by {found.lock.who or found.lock.actor} "
                    f"({found.lock.operation}) since {found.lock.taken}: wait for it, or "
                    f"`tfaudit lock release {name}`"
                )
            return msgspec.structs.replace(
                found.record,
                deleted=found.time,
                restorable_until=rfc3339(micros_of(found.time) + self._grace),
            )

        return await self._change(caller, "workspace.deleted", "deleted", name, decide)

    async def restore(self, caller: Caller, name: str) -> Committed[Object]:
        """Bring a deleted workspace back as it was.

        Raises:
            ForbiddenError: the caller may not delete it, nor bring it back.
            NotFoundError: there is no such workspace.
            ConflictError: it is not deleted, or it is too late.
            UnavailableError: nothing happened.
        """
        await gate(self._store, caller, Permission.DELETE, parse_workspace(name))

        def decide(found: _Found) -> WorkspaceRecord:
            found.require()
            record = found.record
            if record.deleted is None:
                raise ConflictError(f"{name} is not deleted: there is nothing to restore")
            if record.purged:
                raise ConflictError(f"{name} can't be restored: its states are destroyed")
            if found.time >= (record.restorable_until or ""):
                raise ConflictError(
                    f"{name} could be restored until {record.restorable_until}: it is too late"
                )
            return msgspec.structs.replace(record, deleted=None, restorable_until=None)

        return await self._change(caller, "workspace.restored", "restored", name, decide)

    async def purge(self, caller: Caller, name: str, *, at_once: bool = False) -> Committed[Object]:
        """Destroy the states of a deleted workspace, and the key of its commitments.

        Args:
            caller: who asks.
            name: of the workspace.
            at_once: before the time is over in which it could be restored: for administrators.

        Returns:
            The workspace, and the entry's index; without one if that was done before.

        Raises:
            ForbiddenError: the caller may not.
            NotFoundError: there is no such workspace.
            ConflictError: it is not deleted, or can still be restored.
            UnavailableError: nothing happened; or, as the message says, it is done and on record,
                but a copy may be left in the store's files.
        """
        parse_workspace(name)
        # As whatever else takes an administrator: of all workspaces, not of some.
        needed, where = (
            (Permission.ADMINISTER, EVERYWHERE) if at_once else (Permission.DELETE, name)
        )
        await gate(self._store, caller, needed, where)

        for through in _portions(await self._store.versions(name)):
            decide = partial(_purged, through, at_once)
            done = await self._change(
                caller, "workspace.purged", "purged", name, decide, destroys=True
            )
        try:
            await self._store.scrub()
        except UnavailableError as error:
            self._is_unscrubbed = True
            raise UnavailableError(
                f"the states of {name} are destroyed, and that is on record; but a copy may be "
                f"left in the database's files: {error}; run `tfaudit workspace purge {name}` again"
            ) from error
        return done

    async def purge_due(self, caller: Caller) -> Sequence[str]:
        """Purge all workspaces that can't be restored any more.

        Returns:
            Their names.

        Raises:
            UnavailableError: as ``purge``; the rest is done by the next call.
        """
        records = [
            record
            for each in self._store.directory().objects("workspace")
            if isinstance(record := each.record, WorkspaceRecord)
        ]
        if self._is_unscrubbed:
            if any(record.destroyed_versions for record in records):
                await self._store.scrub()
            self._is_unscrubbed = False
        now = rfc3339(micros_at(self._now()))
        due = [
            record.name
            for record in records
            if record.deleted is not None
            and not record.purged
            and (record.restorable_until or "") <= now
        ]
        for name in due:
            with suppress(ConflictError):  # somebody was quicker
                await self.purge(caller, name)
        return due

    async def reuse(
        self, caller: Caller, name: str, fields: Mapping[str, Any]
    ) -> Committed[Object]:
        """Make the name of a purged workspace free for a new state, with new settings.

        The versions that were destroyed stay in the record; the next one gets the number after.

        Args:
            caller: who asks.
            name: of the workspace.
            fields: of the settings all that is not the default.

        Raises:
            ForbiddenError: the caller may not administer.
            InvalidInputError: a field can't be used; names it.
            NotFoundError: there is no such workspace.
            ConflictError: it is not purged.
            UnavailableError: nothing happened.
        """
        parse_workspace(name)
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
        if wrong := LIFE & fields.keys():
            raise InvalidInputError(f"{min(wrong)} follows from a deletion, and nobody sets it")

        def decide(found: _Found) -> WorkspaceRecord:
            found.require()
            if not found.record.purged:
                raise ConflictError(
                    f"{name} is not purged, so its name is in use: delete and purge it first"
                )
            record = cleaned(read_record("workspace", {**fields, "name": found.name}))
            if not isinstance(record, WorkspaceRecord):
                raise TypeError(record)
            return msgspec.structs.replace(record, destroyed_versions=found.versions)

        what = "freed for a new state"
        return await self._change(caller, "workspace.created", what, name, decide)

    async def _change(  # noqa: PLR0913 - the parts of one change
        self,
        caller: Caller,
        event: str,
        done: str,
        name: str,
        decide: _Decide,
        *,
        destroys: bool = False,
    ) -> Committed[Object]:
        """Change a workspace's record in one transaction; a refusal is an entry, too."""
        new_id = uuid7(micros_at(self._now()), self._random(8))
        committed = await self._store.write(
            partial(_change, caller, event, done, name, new_id, decide, destroys)
        )
        value = committed.value
        if isinstance(value, TfauditError):
            value.audit_index = committed.index
            raise value
        return Committed(value, committed.index)


def _portions(versions: Sequence[StateVersion]) -> Sequence[int | None]:
    """Return up to which version each transaction destroys; None is all that are left.

    Overwriting takes its time, in which nobody else can write.

    Args:
        versions: newest first.
    """
    portions: list[int | None] = []
    size = 0
    for version in reversed(versions):
        if size > _PORTION:
            portions.append(version.number - 1)
            size = 0
        size += version.size
    return [*portions, None]


def _purged(
    through: int | None,
    at_once: bool,  # noqa: FBT001 - bound by place
    found: _Found,
) -> WorkspaceRecord | None:
    """Return a deleted workspace's record once its versions up to a number are destroyed.

    Raises:
        NotFoundError, ConflictError: see ``WorkspaceService.purge``.
    """
    found.require()
    record, name = found.record, found.name
    if record.deleted is None:
        raise ConflictError(f"{name} is not deleted: delete it first")
    if record.purged or (through is not None and through <= record.destroyed_versions):
        return None
    until = record.restorable_until or ""
    if not at_once and found.time < until:
        raise ConflictError(
            f"{name} can be restored until {until}: wait, or an administrator purges it at once "
            "(--now)"
        )
    return msgspec.structs.replace(
        record,
        restorable_until=min(until, found.time),
        purged=through is None,
        destroyed_versions=found.versions if through is None else through,
    )


def _change(  # noqa: PLR0913, PLR0917 - all but the transaction is bound before it
    caller: Caller,
    event: str,
    done: str,
    name: str,
    new_id: str,
    decide: _Decide,
    destroys: bool,  # noqa: FBT001 - bound by place
    transaction: Transaction,
) -> _Done:
    found = _Found(name, transaction)
    try:
        record = decide(found)
    except (ConflictError, LockedError, NotFoundError, InvalidInputError, ForbiddenError) as error:
        is_malformed = isinstance(error, NotFoundError | InvalidInputError)
        outcome = "error" if is_malformed else "conflict"
        transaction.append(refused(event, outcome, error, caller, name))
        return error
    before = found.object
    if record is None:
        if before is None:
            raise AssertionError("what stays as it is was there")
        transaction.require_in_force(caller.principal)
        return before
    after = Object(
        "workspace",
        found.name,
        new_id if before is None else before.id,
        found.time if before is None else before.created,
        found.time,
        document_of(record),
    )
    salt = transaction.salt(name) if destroys else None
    transaction.append(_entry(event, done, caller, found, before, after))
    transaction.put_object(after)
    if destroys:
        transaction.destroy_bodies(name, record.destroyed_versions)
    if salt is not None:
        transaction.destroy_salt(name)
    return after


def _entry(  # noqa: PLR0913, PLR0917 - the parts of one entry
    event: str, done: str, caller: Caller, found: _Found, before: Object | None, after: Object
) -> Draft:
    record = after.record
    if not isinstance(record, WorkspaceRecord):
        raise TypeError(record)
    until = record.restorable_until
    number = record.destroyed_versions if event == "workspace.purged" else found.versions
    versions = f"{number} version{'s'[: number != 1]}"
    more = {
        "workspace.deleted": f" with {versions}; it can be restored until {until}",
        "workspace.purged": f": {versions} and the key of its commitments are destroyed",
    }.get(event, "")
    return draft(
        event,
        "success",
        f"{name_of(caller)} {done} the workspace {found.name}{more}"
        if event != "workspace.created"
        else f"{name_of(caller)} freed the name of the purged workspace {found.name}",
        caller,
        _STATUS.get(event, 200),
        workspace=found.name,
        object=object_part(after, before, after),
    )
