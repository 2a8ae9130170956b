"""Changes what an administrator makes: principals, grants, issuers, sinks, workspaces' settings.

Each change is one entry with the object before and after. Several changes together are all made
or none, in one transaction, and only what they come to must be consistent: their order is free.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
import orjson

from proxy.access import EVERYWHERE, Caller, Permission
from proxy.audit_log import draft
from proxy.client_text import client_text, require_plain
from proxy.contracts import Committed, Draft, Store, Transaction
from proxy.directory import (
    LIFE,
    RECORDS,
    Directory,
    GrantRecord,
    IssuerRecord,
    Object,
    PrincipalRecord,
    Record,
    SinkRecord,
    WorkspaceRecord,
    a_kind,
    changed_record,
    difference,
    document_of,
    patch_of,
    read_record,
)
from proxy.errors import ConflictError, InvalidInputError, NotFoundError, TfauditError
from proxy.fields import FieldError
from proxy.gate import gate
from proxy.rules import prepare
from proxy.sinks import default_filter, sink_class
from proxy.sinks.record import Manager, require_manager, require_usable
from proxy.statuses import status_of
from proxy.timestamps import micros_at, uuid7

Action: TypeAlias = Literal["create", "update", "delete"]

_PAST: Final[Mapping[str, str]] = {"create": "created", "update": "updated", "delete": "deleted"}
_STATUS: Final[Mapping[str, int]] = {"create": 201, "update": 200, "delete": 200}
_PLAIN: Final = frozenset({"name", "when", "workspaces", "url", "audience", "claims"})
"""Fields that are no free text: nothing can be taken out of them, so that they are refused."""
_MAX_SHOWN: Final = 100
_MAX_GRANTS_SHOWN: Final = 10
_NEW: Final[Mapping[str, object]] = {
    field.name: field.default for field in msgspec.structs.fields(WorkspaceRecord)
}


class Change(NamedTuple):
    """One change to be made.

    Attributes:
        action: what to do.
        kind: a key of directory.RECORDS.
        name: of the object; for a change or deletion also its ID.
        fields: of a creation all that is not the default, of an update what is changed.
    """

    action: Action
    kind: str
    name: str
    fields: Mapping[str, Any] = {}


class Changed(NamedTuple):
    """One change that was made.

    Attributes:
        action: what was done.
        before: the object as it was; None when there was none.
        after: as it is; None when there is none any more.
    """

    action: Action
    before: Object | None
    after: Object | None

    def in_words(self) -> str:
        """Return what an update changed, field by field; empty for what is no update.

        A workspace that its first write made has no object before: it had the defaults.
        """
        if self.action != "update" or self.after is None:
            return ""
        before = _workspace_of(None, self.after.name) if self.before is None else self.before.record
        return difference(before, self.after.record)


class DirectoryService:
    """The one place where the directory is changed.

    Args:
        store: keeps it.
        now: the present, with a time zone.
        random: gives so many random bytes.
    """

    def __init__(
        self, store: Store, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._now = now
        self._random = random

    async def change(
        self, caller: Caller, changes: Sequence[Change], *, generation: int | None = None
    ) -> Committed[list[Changed]]:
        """Make all the changes or none.

        Args:
            caller: who asks.
            changes: in any order.
            generation: of the directory that the changes were worked out from; None is any.

        Returns:
            What was done; a change that changes nothing is left out, and has no entry.

        Raises:
            ForbiddenError: the caller may not administer.
            InvalidInputError: a field can't be used; names it.
            NotFoundError: there is no such object.
            ConflictError: there is one already, others depend on it, or the directory is no longer
                of that generation.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
        for each in changes:
            if each.kind not in RECORDS:
                raise InvalidInputError(f"there is no kind {each.kind!r} of object")
        # Not in the transaction: whoever waits for the writer would wait for it, too.
        await asyncio.to_thread(self._load, changes)
        job = _Job(caller, changes, self._new_ids(len(changes)), generation)
        return await self._commit(job)

    async def configure_sinks(
        self, caller: Caller, wanted: Mapping[str, SinkRecord]
    ) -> Committed[list[Changed]]:
        """Make the sinks of the configuration be what its file says, and no others.

        Args:
            caller: the server that starts.
            wanted: all of them, by name.

        Returns:
            What was done; nothing when all are so already.

        Raises:
            ForbiddenError: the caller may not administer.
            InvalidInputError: a sink can't be so; names it.
            ConflictError: an administrator made one of that name.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)
        changes = _configured(wanted, await asyncio.to_thread(self._store.directory))
        if not changes:
            return Committed([], None)
        await asyncio.to_thread(self._load, changes)
        return await self._commit(
            _Job(caller, changes, self._new_ids(len(changes)), None, manager="configuration")
        )

    def _new_ids(self, count: int) -> list[str]:
        micros = micros_at(self._now())
        return [uuid7(micros, self._random(8)) for _ in range(count)]

    def _load(self, changes: Sequence[Change]) -> None:
        """Import what the changes are checked by: rules, and the classes of sinks."""
        if any(each.kind == "grant" for each in changes):
            prepare()
        sinks = [each for each in changes if each.kind == "sink"]
        directory = self._store.directory() if sinks else Directory()
        for each in sinks:
            found = directory.get("sink", each.name)
            of = each.fields.get("type") if found is None else _sink(found.record).type
            if isinstance(of, str):
                with suppress(FieldError):  # the check itself says so
                    sink_class(of)

    async def _commit(self, job: "_Job") -> Committed[list[Changed]]:
        committed = await self._store.write(job)
        value = committed.value
        if isinstance(value, TfauditError):
            value.audit_index = committed.index
            raise value
        return Committed(value, committed.index)

    async def create(
        self, caller: Caller, kind: str, fields: Mapping[str, Any]
    ) -> Committed[Object]:
        """Make one object; see ``change`` for what is raised."""
        name = fields.get("name")
        if not isinstance(name, str):
            raise InvalidInputError(f"{a_kind(kind)} needs a name, which is a text")
        done = await self.change(caller, [Change("create", kind, name, fields)])
        return Committed(_only(done.value).after or _never(), done.index)

    async def update(
        self, caller: Caller, kind: str, name: str, changes: Mapping[str, Any]
    ) -> Committed[Object]:
        """Change some fields of one object; nothing is recorded when nothing changes."""
        done = await self.update_told(caller, kind, name, changes)
        return Committed(done.value.after or _never(), done.index)

    async def update_told(
        self, caller: Caller, kind: str, name: str, changes: Mapping[str, Any]
    ) -> Committed[Changed]:
        """Do what ``update`` does, and tell also what was before."""
        done = await self.change(caller, [Change("update", kind, name, changes)])
        if not done.value:
            same = await self.show(caller, kind, name)
            return Committed(Changed("update", same, same), None)
        return Committed(_only(done.value), done.index)

    async def delete(self, caller: Caller, kind: str, name: str) -> Committed[Object]:
        """Take one object away; returns it as it was."""
        done = await self.change(caller, [Change("delete", kind, name)])
        return Committed(_only(done.value).before or _never(), done.index)

    async def list(self, caller: Caller, kind: str) -> list[Object]:
        """Return all objects of a kind, by name.

        Raises:
            ForbiddenError: the caller may not administer.
            UnauthenticatedError, AccessChangedError: nor may they any more.
        """
        return (await self.view(caller)).objects(kind)

    async def show(self, caller: Caller, kind: str, name: str) -> Object:
        """Return one object by its name or ID.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: the caller may not administer.
        """
        return _found(await self.view(caller), kind, name)

    async def view(self, caller: Caller) -> Directory:
        """Return the whole directory as it is now.

        Raises:
            ForbiddenError: the caller may not administer.
            UnauthenticatedError, AccessChangedError: nor may they any more.
        """
        await gate(self._store, caller, Permission.ADMINISTER, EVERYWHERE)

        def job(tx: Transaction) -> Directory:
            # Nothing is recorded here that would find out.
            tx.require_in_force(caller.principal)
            return tx.directory()

        return (await self._store.write(job)).value


@dataclass(frozen=True, slots=True)
class _Job:
    """What is done in one transaction.

    Attributes:
        caller: who asks.
        changes: in any order.
        ids: one for each change, for what it makes.
        generation: of the directory that they were worked out from; None is any.
        manager: who changes sinks.
    """

    caller: Caller
    changes: Sequence[Change]
    ids: Sequence[str]
    generation: int | None
    manager: Manager = "administration"

    def __call__(self, tx: Transaction) -> list[Changed] | TfauditError:
        """Make the changes, each with its entry; of a refusal only the entry."""
        work = _Work(tx.directory(), tx.time, tx.is_workspace, self.manager)
        try:
            _require_generation(self.generation, tx.directory())
            for change, new_id in zip(self.changes, self.ids, strict=True):
                work.make(change, new_id)
            work.require_consistent()
        except (InvalidInputError, NotFoundError, ConflictError) as error:
            # When all were made and don't fit together, none of them is to blame alone.
            at = min(work.made, len(self.changes) - 1)
            tx.append(_refused(self.caller, self.changes[at], error))
            return error
        for done in work.done:
            if done.after is not None:
                tx.put_object(done.after)
            elif done.before is not None:
                tx.drop_object(done.before.kind, done.before.name)
            tx.append(entry_of(self.caller, done, _shut_out(done, tx)))
        return work.done


def _require_generation(generation: int | None, directory: Directory) -> None:
    if generation not in {None, directory.generation}:
        raise ConflictError(
            "somebody else changed who may do what meanwhile, so nothing was done: try again"
        )


def _shut_out(done: Changed, tx: Transaction) -> list[str]:
    """End all sessions of whoever may not log in any more; return their IDs.

    The password of one who is no person, or is no more, goes with it: ``verify`` expects that.
    """
    if done.before is None or not isinstance(done.before.record, PrincipalRecord):
        return []
    record = None if done.after is None else done.after.record
    is_person = isinstance(record, PrincipalRecord) and record.kind == "person"
    if not is_person:
        tx.drop_password(done.before.id)
    elif not (isinstance(record, PrincipalRecord) and record.disabled):
        return []
    ended = [session.id for session in tx.sessions(done.before.id)]
    for session_id in ended:
        tx.end_session(session_id)
    return ended


class _Work:
    """The directory in the making: what it comes to, and what was done on the way."""

    def __init__(
        self,
        directory: Directory,
        time: str,
        is_written: Callable[[str], bool],
        manager: Manager = "administration",
    ) -> None:
        self._time = time
        self._is_written = is_written
        self._manager = manager
        self._objects = {
            (each.kind, each.name): each for kind in RECORDS for each in directory.objects(kind)
        }
        self.done: list[Changed] = []
        self.made = 0

    def _view(self) -> Directory:
        return Directory(0, self._objects.values())

    def make(self, change: Change, new_id: str) -> None:
        """Make one change.

        Raises:
            InvalidInputError, NotFoundError, ConflictError: it can't be made.
        """
        self._make(change, new_id)
        self.made += 1

    def _make(self, change: Change, new_id: str) -> None:
        kind = change.kind
        if kind == "workspace" and self._make_workspace(change, new_id):
            return
        if kind == "sink":
            known = self._objects.get((kind, change.name)) or self._view().get(kind, change.name)
            present = None if known is None else _sink(known.record)
            require_manager(change.action, change.fields, present, self._manager)
        if change.action == "create":
            record = cleaned(read_record(kind, {**change.fields, "name": change.name}))
            if (kind, record.name) in self._objects:
                raise ConflictError(
                    f"there is {a_kind(kind)} {record.name} already: change it, or choose another "
                    "name"
                )
            after = Object(kind, record.name, new_id, self._time, self._time, document_of(record))
            self._keep(Changed("create", None, after))
            return
        before = self._objects.get((kind, change.name)) or _found(self._view(), kind, change.name)
        if change.action == "delete":
            del self._objects[kind, before.name]
            self.done.append(Changed("delete", before, None))
            return
        record = cleaned(changed_record(before.record, change.fields), before.record)
        after = before._replace(updated=self._time, document=document_of(record))
        if after.document != before.document:
            self._keep(Changed("update", before, after))

    def _make_workspace(self, change: Change, new_id: str) -> bool:
        """Make what is particular about a workspace; tell whether nothing is left to be done.

        One that its first write made has no object before its settings are changed for the first
        time. What follows from a deletion is not for anybody to set.
        """
        name = change.name
        before = self._objects.get(("workspace", name))
        is_written = self._is_written(name)
        if before is None and not is_written:
            before = self._view().get("workspace", name)  # by its ID
        present = _workspace_of(before, name) if before is not None or is_written else None
        _require_no_life(change, present)
        if present is None:
            return False
        if before is not None:
            _require_in_use(change, present)
            return False
        document = document_of(cleaned(changed_record(present, change.fields), present))
        after = Object("workspace", name, new_id, self._time, self._time, document)
        self._keep(Changed("update", None, after))
        return True

    def _keep(self, done: Changed) -> None:
        if done.after is not None:
            self._objects[done.after.kind, done.after.name] = done.after
        self.done.append(done)

    def require_consistent(self) -> None:
        """Pass when nothing refers to what is not there, and nothing unique is there twice.

        Raises:
            ConflictError: says what refers to what.
        """
        certificates: dict[str, str] = {}
        urls: dict[str, str] = {}
        bereft: dict[tuple[str, str], list[str]] = {}
        for each in self._objects.values():
            match each.record:
                case GrantRecord(principal=str(name)) if ("principal", name) not in self._objects:
                    bereft.setdefault(("principal", name), []).append(each.name)
                case GrantRecord(issuer=str(name)) if ("issuer", name) not in self._objects:
                    bereft.setdefault(("issuer", name), []).append(each.name)
                case PrincipalRecord(certificates=names):
                    for name in names:
                        other = certificates.setdefault(name, each.name)
                        if other != each.name:
                            raise ConflictError(
                                f"the certificate {name} would prove both {other} and {each.name}"
                            )
                case IssuerRecord(url=url) if urls.setdefault(url, each.name) != each.name:
                    raise ConflictError(f"the issuer {urls[url]} has the url {url} already")
                case _:
                    pass
        for (kind, name), grants in bereft.items():
            raise ConflictError(self._why_bereft(kind, name, sorted(grants)))

    def _why_bereft(self, kind: str, name: str, grants: list[str]) -> str:
        """Return what is wrong with grants for somebody who is not there, or is no more."""
        is_deleted = any(
            done.action == "delete" and (done.before.kind, done.before.name) == (kind, name)
            for done in self.done
            if done.before is not None
        )
        if not is_deleted:
            return f"there is no {kind} {name}: make it first"
        shown = ", ".join(grants[:_MAX_GRANTS_SHOWN])
        more = len(grants) - _MAX_GRANTS_SHOWN
        if more > 0:
            shown += f" and {more} more"
        many = len(grants) > 1
        return (
            f"{name} still has the grant{'s' * many} {shown}: delete {'them' if many else 'it'} "
            "first"
        )


def _require_no_life(change: Change, present: WorkspaceRecord | None) -> None:
    """Pass when a change leaves alone what only a deletion, a restoration or a purge changes.

    Raises:
        ConflictError: it would take the workspace out of the directory.
        FieldError: it would set a field that follows from a deletion.
    """
    if change.action == "delete":
        shown = client_text(change.name, _MAX_SHOWN)
        raise ConflictError(
            "a workspace with its states is not taken out of the directory: delete it with "
            f"`tfaudit workspace delete {shown}`, which can be undone for some time"
        )
    for field in sorted(LIFE & change.fields.keys()):
        if change.fields[field] != getattr(present, field, _NEW[field]):
            raise FieldError(
                f"{field} follows from the deletion of a workspace, and nobody sets it: use "
                "`tfaudit workspace delete`, `restore` or `purge`",
                field,
            )


def _require_in_use(change: Change, present: WorkspaceRecord) -> None:
    """Pass when a workspace's settings may be changed.

    Raises:
        ConflictError: it is deleted or purged.
    """
    name = present.name
    if change.action == "create" and present.purged:
        raise ConflictError(
            f"there was a workspace {name}, whose states are destroyed: an administrator frees its "
            f"name with `tfaudit workspace create {name} --reuse`"
        )
    if (
        change.action == "update"
        and present.deleted is not None
        and changed_record(present, change.fields) != present
    ):
        raise ConflictError(f"{name} was deleted at {present.deleted}: restore it first")


def _configured(wanted: Mapping[str, SinkRecord], directory: Directory) -> list[Change]:
    """Return what makes the sinks of the configuration be as they are wanted.

    One that gets another type is another sink: it takes no place in the log from the one before.
    """
    changes: list[Change] = []
    kept: set[str] = set()
    for found, record in directory.sinks():
        is_ours = record.managed == "configuration"
        after = wanted.get(found.name)
        if is_ours and (after is None or after.type != record.type):
            changes.append(Change("delete", "sink", found.name))
        elif after is not None:
            kept.add(found.name)
            patch = patch_of(msgspec.to_builtins(record), msgspec.to_builtins(after))
            if patch:
                changes.append(Change("update", "sink", found.name, patch))
    for name, record in wanted.items():
        if name not in kept:
            changes.append(Change("create", "sink", name, msgspec.to_builtins(record)))
    return changes


def _sink(record: Record) -> SinkRecord:
    if not isinstance(record, SinkRecord):
        raise TypeError(f"{record.name} is no sink")
    return record


def _workspace_of(found: Object | None, name: str) -> WorkspaceRecord:
    record = WorkspaceRecord(name=name) if found is None else found.record
    if not isinstance(record, WorkspaceRecord):
        raise TypeError(f"{name} is no workspace")
    return record


def cleaned(record: Record, before: Record | None = None) -> Record:
    """Return the record without credentials in its free text: it is kept as it is recorded.

    Args:
        record: to be kept.
        before: what it takes the place of. What stood there already may stay: an older release
            took it, and a grant must be narrowed, or a principal disabled, all the same.

    Raises:
        InvalidInputError: a field that is no free text holds one.
    """
    for name in _PLAIN & set(record.__struct_fields__):
        value = getattr(record, name)
        if before is not None and value == getattr(before, name):
            continue
        for text in (value,) if isinstance(value, str) else value or ():
            require_plain(text, f"the field {name}")
    match record:
        case GrantRecord():
            return record
        case PrincipalRecord():
            for name in record.certificates:
                _check_certificate(name)
        case IssuerRecord() if "@" in record.url or "?" in record.url:
            raise InvalidInputError("the url of an issuer has no user, password or query in it")
        case WorkspaceRecord(environment=label) if client_text(label, _MAX_SHOWN) != label:
            raise InvalidInputError("the environment of a workspace is a label, and no credential")
        case SinkRecord():
            require_usable(record, None if before is None else _sink(before))
        case _:
            pass
    return msgspec.structs.replace(record, description=client_text(record.description, 500))


def _check_certificate(name: str) -> None:
    # What reads certificates takes long to load, and few commands name one.
    from proxy.certificates import MAX_NAME, canonical_name  # noqa: PLC0415

    if client_text(name, MAX_NAME) != name:
        raise InvalidInputError("a certificate's name has no credentials in it, nor signs unseen")
    canonical_name(name)


def _found(directory: Directory, kind: str, name: str) -> Object:
    found = directory.get(kind, name)
    if found is None:
        shown = client_text(name, _MAX_SHOWN)
        raise NotFoundError(f"there is no {kind} {shown}: list them to see all")
    return found


def _only(done: list[Changed]) -> Changed:
    [only] = done
    return only


def _never() -> Object:
    raise AssertionError("a change has its object before or after")


def entry_of(caller: Caller, done: Changed, ended: Sequence[str] = ()) -> Draft:
    """Return the entry of one change, with the object before and after.

    Args:
        caller: who made it.
        done: the change.
        ended: the sessions that end with it.
    """
    about = done.after or done.before or _never()
    past = _past(done)
    message = f"{caller.principal.name} {past} the {about.kind} {about.name}{_in_short(done)}"
    parts: dict[str, Any] = {"ended_sessions": list(ended)} if ended else {}
    return draft(
        f"{about.kind}.{past}",
        "success",
        message,
        caller,
        _STATUS[done.action],
        workspace=about.name if about.kind == "workspace" else None,
        object=object_part(about, done.before, done.after),
        **parts,
    )


def _past(done: Changed) -> str:
    """Return what was done, as an event's name has it.

    Pausing a sink, or letting it go on, is the event also of a change that changes more of it.
    """
    if done.action == "update" and done.before is not None and done.after is not None:
        match done.before.record, done.after.record:
            case SinkRecord(enabled=before), SinkRecord(enabled=after) if before != after:
                return "enabled" if after else "disabled"
            case _:
                pass
    return _PAST[done.action]


def object_part(about: Object, before: Object | None, after: Object | None) -> dict[str, Any]:
    """Return the ``object`` of an entry."""
    return {
        "kind": about.kind,
        "name": about.name,
        "id": about.id,
        "before": None if before is None else orjson.loads(before.document),
        "after": None if after is None else orjson.loads(after.document),
    }


def _in_short(done: Changed) -> str:
    """Return the end of the sentence: what a grant gives, or what changed from what to what."""
    if done.action == "update":
        words = done.in_words()
        return f": {words}" if words else ""
    about = done.after or done.before
    if about is not None and isinstance(record := about.record, GrantRecord):
        verb = "denies" if record.deny else "gives"
        whom = record.principal or f"identities of {record.issuer}"
        return f": it {verb} {whom} {record.grant()}"
    if done.after is not None and isinstance(record := done.after.record, SinkRecord):
        what = "what its filter names"
        if not record.filter:
            what = "what its type gets by default" if default_filter(record.type) else "every entry"
        return f": {record.type}, for {what}{'' if record.enabled else ', paused'}"
    return ""


def _refused(caller: Caller, change: Change, error: TfauditError) -> Draft:
    outcome = "conflict" if isinstance(error, ConflictError) else "error"
    return draft(
        f"{change.kind}.{_PAST[change.action]}",
        outcome,
        f"{caller.principal.name}: {error}",
        caller,
        status_of(error),
    )
