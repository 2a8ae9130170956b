"""What must change for a directory to be as ``access.toml`` says, and how that is shown."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import orjson
import typer

from proxy.access import EVERYWHERE, Grant, Permission, Role
from proxy.cli._access_file import AccessFile, fields_of_record
from proxy.cli._output import clean
from proxy.contracts import StoredToken
from proxy.directory import (
    LIFE,
    RECORDS,
    Directory,
    GrantRecord,
    Object,
    Record,
    SinkRecord,
    changed_record,
    document_of,
    patch_of,
)
from proxy.directory_service import Change

PRUNED: Final = ("principal", "grant", "issuer", "sink")
"""Kinds of which objects can be deleted because a file does not name them: no workspace is, and no
sink that stands in the configuration."""

_SIGNS: Final = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}
_DONE: Final = {"create": "created", "update": "updated", "delete": "deleted"}


class Step(NamedTuple):
    """One change, with what was and what will be.

    Attributes:
        change: what is asked of the service.
        before: the record as it is; None when there is none.
        after: as it will be; None when there will be none.
    """

    change: Change
    before: Record | None
    after: Record | None

    def as_object(self) -> dict[str, Any]:
        """Return the step for programs."""
        return {
            "action": self.change.action,
            "kind": self.change.kind,
            "name": self.change.name,
            "before": None if self.before is None else fields_of_record(self.before),
            "after": None if self.after is None else fields_of_record(self.after),
        }


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        steps: in the order in which they are shown.
        kept: objects that the file does not name, and that stay.
    """

    steps: list[Step]
    kept: list[Object]


def plan_of(
    file: AccessFile, directory: Directory, written: Collection[str] = (), *, prune: bool
) -> Plan:
    """Return what makes the directory as the file says.

    A record of the file is the whole record: what it does not say has its default.

    Args:
        file: what there should be.
        directory: what there is.
        written: workspaces that have states, and the default settings, without an object.
        prune: delete what the file does not name, of the kinds that it names; never a workspace.
    """
    steps: list[Step] = []
    for (kind, name), record in file.records.items():
        found = directory.get(kind, name)
        # An ID is no name here: two names could mean one object.
        before = found.record if found is not None and found.name == name else None
        if before is None and kind == "workspace" and name in written:
            before = directory.workspace(name)
        if before is None:
            change = Change("create", kind, name, fields_of_record(record))
            steps.append(Step(change, None, record))
            continue
        changes = _difference(before, record)
        if changes:
            after = changed_record(before, changes)
            steps.append(Step(Change("update", kind, name, changes), before, after))
    kept: list[Object] = []
    for kind in RECORDS:
        for found in directory.objects(kind):
            if (kind, found.name) in file.records or kind not in PRUNED:
                continue
            if isinstance(found.record, SinkRecord) and found.record.managed == "configuration":
                continue
            if prune and kind in file.kinds:
                steps.append(Step(Change("delete", kind, found.name), found.record, None))
            else:
                kept.append(found)
    return Plan(steps, kept)


def _difference(before: Record, after: Record) -> dict[str, Any]:
    """Return the patch that makes of a record what the file has; what a deletion set stays."""
    patch = patch_of(fields_of_record(before), fields_of_record(after))
    return {name: value for name, value in patch.items() if name not in LIFE}


def after_steps(directory: Directory, steps: Iterable[Step]) -> Directory:
    """Return the directory as it will be."""
    objects = {(each.kind, each.name): each for kind in RECORDS for each in directory.objects(kind)}
    for step in steps:
        key = step.change.kind, step.change.name
        if step.after is None:
            del objects[key]
        elif key in objects:
            objects[key] = objects[key]._replace(document=document_of(step.after))
        else:
            objects[key] = Object(*key, ":".join(key), "", "", document_of(step.after))
    return Directory(0, objects.values())


def can_be_administered(directory: Directory, tokens: Sequence[StoredToken], now: datetime) -> bool:
    """Tell whether anybody but this command line may change who may do what.

    Args:
        directory: who there is, and what is granted.
        tokens: all of them; those that belong to no principal count by themselves.
        now: the present, with a time zone.
    """
    for token in tokens:
        is_over = token.expires is not None and datetime.fromisoformat(token.expires) <= now
        if token.revoked is not None or is_over or token.principal is not None:
            continue
        if token.role == Role.ADMIN and EVERYWHERE in token.workspaces:
            return True
    for found in directory.objects("principal"):
        # Nobody gets in as one that is only to be made, but by a certificate: it has no token yet.
        if not found.created and not directory.principal_record(found).certificates:
            continue
        rights = directory.rights_of(found.id)
        if rights.decide(Permission.ADMINISTER, EVERYWHERE).allowed:
            return True
    return any(
        isinstance(record := found.record, GrantRecord)
        and record.issuer is not None
        and not record.deny
        and Grant(record.role, record.workspaces).covers(Permission.ADMINISTER, EVERYWHERE)
        for found in directory.objects("grant")
    )


def lines_of(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the steps as people know plans: + green, ~ yellow, - red, field by field."""
    for step in steps:
        sign, colour = _SIGNS[step.change.action]
        head = f"{sign} {step.change.kind} {step.change.name}"
        yield typer.style(clean(head), fg=colour)
        for line in _fields(step):
            yield clean(f"    {line}")


def _fields(step: Step) -> Iterator[str]:
    if step.before is None and step.after is not None:
        defaults = _defaults(step.after)
        for name, value in fields_of_record(step.after).items():
            if name != "name" and value != defaults.get(name, ...):
                yield f"{name} = {_text(value)}"
    elif step.before is not None and step.after is not None:
        before, after = fields_of_record(step.before), fields_of_record(step.after)
        for name, value in after.items():
            if value != before[name]:
                yield f"{name}: {_text(before[name])} -> {_text(value)}"


def _defaults(record: Record) -> dict[str, Any]:
    """Return the fields that need not be given, with what they are then."""
    return {
        field.encode_name: msgspec.to_builtins(
            field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        )
        for field in msgspec.structs.fields(type(record))
        if not field.required
    }


def _text(value: object) -> str:
    return "nothing" if value is None else orjson.dumps(value).decode()


def summary_of(steps: Sequence[Step], *, is_done: bool = False) -> str:
    """Return how much is to be done, ``2 to create, 1 to delete``, or was: ``2 created``."""
    counts = {deed: sum(each.change.action == deed for each in steps) for deed in _DONE}
    return ", ".join(
        f"{count} {_DONE[deed] if is_done else f'to {deed}'}"
        for deed, count in counts.items()
        if count
    )
