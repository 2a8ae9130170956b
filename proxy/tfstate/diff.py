"""What differs between two versions of a state, as values in memory: nothing here is redacted.

Only slices that differ are decoded. What comes out may hold secrets: it goes to `redact` and
nowhere else.

Format: Terraform `statefile/version4.go` (resources, outputs, check results), `version3.go` and
`version2.go` (modules with flat attributes).
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

import msgspec

from proxy.tfstate.document import NOTHING, Document, Kind, Slice


class Number(str):
    """A JSON number that is no integer, kept as it is written: no digit is lost."""

    __slots__ = ()


class Unreadable(str):
    """What can't be decoded: a digest of it, which tells two apart and is never shown as it is."""

    __slots__ = ()


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""What stands for a value that one of the two versions does not have."""

Value: TypeAlias = "bool | int | Number | str | list[Any] | dict[str, Any] | Absent | None"
"""Decoded JSON, or `ABSENT`."""

Path: TypeAlias = tuple[str | int, ...]
"""Steps into a value: a key of an object, or an index (from 0) of an array."""

Action: TypeAlias = Literal["create", "update", "delete", "taint", "untaint", "depose", "no-op"]
"""What happened to an object.

`depose`: a replacement that is not finished left the old object behind. `no-op`: only what
Terraform keeps for itself differs (marks, dependencies, schema version, `private`).
"""


class Difference(NamedTuple):
    """One place that differs; `before` and `after` are never both `ABSENT`."""

    path: Path
    before: Value
    after: Value


class Address(NamedTuple):
    """Where an object stands, in parts, since an index key can hold a secret.

    Attributes:
        module: such as `module.a["k"].module.b[0]`; "" in the root module.
        mode: `managed` or `data`.
        type: the resource type, such as `aws_instance`.
        name: the name in the configuration.
        instance_key: the key of `count` (int) or `for_each` (str); None without either.
        deposed: the key of a deposed object; "" for the current one.
    """

    module: str
    mode: str
    type: str
    name: str
    instance_key: str | int | None = None
    deposed: str = ""


class Unredacted(msgspec.Struct, frozen=True):
    """What may hold secrets; its text shows none of it, since a repr ends up in logs."""

    def __repr__(self) -> str:
        """The type alone."""
        return f"{type(self).__name__}(...)"


class Instance(Unredacted, frozen=True):
    """One version of an object, still in slices.

    Attributes:
        attributes: the object of its attributes.
        flat: whether they are a flat map of strings (`list.0.name`), as up to Terraform 0.11.
        marks: `sensitive_attributes`.
        tainted: whether it will be replaced by the next apply.
        settings: everything else by name, with the `provider` that applies to it.
    """

    attributes: Slice
    flat: bool
    marks: Slice
    tainted: bool
    settings: Mapping[str, Slice]


class ResourceChange(Unredacted, frozen=True):
    """What happened to one object of a resource.

    Attributes:
        differences: its attributes that differ; for a new or removed object, each that it has.
        settings: what differs beside the attributes, each path one name from `Instance.settings`.
        roots: both versions' attributes, decoded, of an object whose attributes changed, if they
            could be decoded at once; None otherwise.
    """

    address: Address
    action: Action
    before: Instance | None
    after: Instance | None
    settings: tuple[Difference, ...] = ()
    _differences: tuple[Difference, ...] | None = None
    roots: tuple[dict[str, Value], dict[str, Value]] | None = None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Found once for a changed object; anew for a whole one, which would cost memory."""
        if self._differences is not None:
            return self._differences
        return _attribute_differences(self.before, self.after)[0]


class Output(Unredacted, frozen=True):
    """One version of an output."""

    value: Slice = NOTHING
    type: Slice = NOTHING
    sensitive: bool = False


class OutputChange(Unredacted, frozen=True):
    """What happened to an output of the root module, or (v3) of a module.

    Attributes:
        differences: paths begin with `value`, `type` or `sensitive`.
    """

    module: str
    name: str
    action: Action
    before: Output | None
    after: Output | None
    differences: tuple[Difference, ...]


class CheckChange(Unredacted, frozen=True):
    """The result of a check or condition that differs.

    Attributes:
        address: the object that was checked.
        differences: paths begin with `status` or `failure_messages`.
    """

    address: str
    differences: tuple[Difference, ...]


class Changes(Unredacted, frozen=True):
    """Everything that differs between two versions. Unredacted: see the module's warning.

    Attributes:
        resources: sorted by address.
        outputs: sorted by module and name.
        checks: in the state's order.
        terraform_version: before and after, if they differ; before is "" for the first version.
        other: names of further top-level members that differ, such as v3's `backend`.
        encrypted: whether the versions (before, after) are encrypted; then nothing is known of
            the content, and all lists are empty.
        complete: by the identity of a slice of the current `resources`, the changes that hold all
            objects of that slice: who has them need not decode the slice again.
    """

    resources: tuple[ResourceChange, ...] = ()
    outputs: tuple[OutputChange, ...] = ()
    checks: tuple[CheckChange, ...] = ()
    terraform_version: tuple[str, str] | None = None
    other: tuple[str, ...] = ()
    encrypted: tuple[bool, bool] = (False, False)
    complete: Mapping[int, tuple[ResourceChange, ...]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known to differ."""
        return not (
            self.resources
            or self.outputs
            or self.checks
            or self.terraform_version
            or self.other
            or self.encrypted[0] != self.encrypted[1]
        )


_VALUE: Final = msgspec.json.Decoder(float_hook=Number)
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_OUTPUTS: Final = msgspec.json.Decoder(dict[str, Output])
_DIGITS: Final = 4_000
"""Of an integer that is read as one."""
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]*", re.ASCII)


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """A resource of version 4 as Terraform 0.12 and later and OpenTofu write it."""

    module: str = ""
    mode: str = ""
    type: str = ""
    name: str = ""
    each: msgspec.Raw = NOTHING
    provider: msgspec.Raw = NOTHING
    instances: list[msgspec.Raw] = []


_HEADER: Final = msgspec.json.Decoder(_Header)
_HEADER_TEXTS: Final = ("module", "mode", "type", "name")


class _Resource(msgspec.Struct):
    """A resource of version 4 in its parts.

    Attributes:
        slice: all of it.
        shared: what it says for all its instances, such as the provider.
        instances: their slices.
    """

    slice: Slice
    shared: Mapping[str, Slice]
    instances: Sequence[Slice]


_NO_RESOURCE: Final = _Resource(NOTHING, {}, ())


def diff(previous: Document | None, current: Document) -> Changes:
    """Compare two versions; `previous` is None when there was no state.

    Values are compared as JSON with types: `1`, `"1"`, `1.0` and `true` all differ; the order of
    keys and the white space do not count. Arrays of the same length are compared element by
    element, of different length as a whole.
    """
    before = previous if previous is not None else _NO_STATE
    encrypted = (before.kind == "encrypted", current.kind == "encrypted")
    if encrypted != (False, False):
        return Changes(encrypted=encrypted)
    complete: dict[int, tuple[ResourceChange, ...]] = {}
    resources = _resource_changes(before, current, complete)
    outputs = _output_changes(before, current)
    checks: tuple[CheckChange, ...] = ()
    if before.check_results != current.check_results:
        checks = tuple(_check_changes(before.check_results, current.check_results))
    versions = (before.terraform_version, current.terraform_version)
    return Changes(
        tuple(resources),
        tuple(outputs),
        checks,
        None if versions[0] == versions[1] else versions,
        _changed_names(before.other, current.other) if before.other != current.other else (),
        encrypted,
        complete,
    )


def decode(slice_: Slice) -> Value:
    """A slice's value; numbers that are no integers become `Number`.

    Like Go, it reads bytes that are no UTF-8 as U+FFFD. An integer of more digits than Python reads
    is a `Number`. What is nested too deep for Python is `Unreadable`.
    """
    value: Value
    try:
        value = _VALUE.decode(slice_)
    except UnicodeDecodeError:
        value = _VALUE.decode(bytes(slice_).decode("utf-8", "replace").encode())
    except msgspec.ValidationError:  # an integer of more digits than Python reads
        text = bytes(slice_).decode("utf-8", "replace")
        try:
            value = json.loads(text, parse_int=_integer, parse_float=Number, strict=False)
        except (ValueError, RecursionError):
            value = Unreadable(hashlib.sha256(slice_).hexdigest())
    except RecursionError:
        value = Unreadable(hashlib.sha256(slice_).hexdigest())
    return value


def _integer(digits: str) -> int | Number:
    """An integer; one of very many digits as a `Number`."""
    return int(digits) if len(digits) <= _DIGITS else Number(digits)


def json_inside(text: str) -> Value:
    """The JSON that a text holds, or None."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        return cast("Value", msgspec.json.decode(text))
    return None


def differences(before: Value, after: Value, path: Path = ()) -> Iterator[Difference]:
    """Each place where two values differ, in the order of keys and indexes."""
    rest = [(path, before, after)]
    while rest:  # no recursion: a value may be nested as deep as the decoder allows
        path, before, after = rest.pop()
        if isinstance(before, dict) and isinstance(after, dict):
            keys = sorted(before.keys() | after.keys(), reverse=True)
            rest += (
                ((*path, key), before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys
            )
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            rest += (
                ((*path, index), before[index], after[index])
                for index in reversed(range(len(before)))
            )
        elif not _same(before, after):
            yield Difference(path, before, after)


def attributes(instance: Instance | None) -> dict[str, Value]:
    """An object's attributes, decoded; empty for no object."""
    if instance is None:
        return {}
    value = decode(instance.attributes)
    return value if isinstance(value, dict) else {}


def _same(before: Value, after: Value) -> bool:
    """Whether two values are equal as JSON with types; two containers never come here equal."""
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after)
    return type(before) is type(after) and before == after


def _attribute_differences(
    before: Instance | None, after: Instance | None
) -> tuple[tuple[Difference, ...], tuple[dict[str, Value], dict[str, Value]] | None]:
    """The attributes that differ, and both versions decoded if that was of use.

    Null and absent are one when an object is new or gone.
    """
    if before is None or after is None:
        whole = {n: v for n, v in sorted(attributes(after or before).items()) if v is not None}
        return tuple(
            Difference((name,), *((ABSENT, value) if before is None else (value, ABSENT)))
            for name, value in whole.items()
        ), None
    if before.flat != after.flat:
        return tuple(_across_formats(before, after)), None
    if before.attributes == after.attributes:
        return (), None
    old_slices, new_slices = members(before.attributes), members(after.attributes)
    names = [name for name, slice_ in new_slices.items() if slice_ != old_slices.get(name)]
    if old_slices.keys() != new_slices.keys():
        names += [name for name in old_slices if name not in new_slices]
    names.sort()
    old, new = decode(before.attributes), decode(after.attributes)
    roots = None
    if isinstance(old, dict) and isinstance(new, dict):
        roots = (old, new)
    else:  # one is no object, or nested too deep to be decoded at once
        old = {name: decode(slice_) for name, slice_ in old_slices.items() if name in names}
        new = {name: decode(slice_) for name, slice_ in new_slices.items() if name in names}
    found: list[Difference] = []
    for name in names:
        was, is_ = old.get(name, ABSENT), new.get(name, ABSENT)
        if isinstance(is_, dict | list) and isinstance(was, dict | list):
            found += differences(was, is_, (name,))
        elif type(was) is not type(is_) or was != is_:
            found.append(Difference((name,), was, is_))
    return tuple(found), roots


def _across_formats(before: Instance, after: Instance) -> Iterator[Difference]:
    """Compare a flat map with nested attributes, where both have a text under the same key.

    A flat map has no types, and its sets are indexed by hashes, so what only one side has tells
    nothing: Terraform 0.12 writes every object anew.
    """
    old, new = (
        attributes(instance) if instance.flat else dict(_flattened(attributes(instance)))
        for instance in (before, after)
    )
    for key in sorted(old.keys() & new.keys()):
        if not _same(old[key], new[key]):
            yield Difference((key,), old[key], new[key])


def _flattened(value: Value, key: str = "") -> Iterator[tuple[str, str]]:
    """Nested attributes as Terraform 0.11 wrote them, without counts and nulls."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flattened(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flattened(inner, f"{key}.{index}")
    elif isinstance(value, bool):
        yield key, "true" if value else "false"
    elif value is not None:
        yield key, str(value)


# ---------------------------------------------------------------- resources


def _resource_changes(
    before: Document, current: Document, complete: dict[int, tuple[ResourceChange, ...]]
) -> list[ResourceChange]:
    """What happened to every object whose slice differs, sorted by address.

    Args:
        before: the version before.
        current: the version now.
        complete: filled with what `Changes.complete` tells.
    """
    old_slices: Sequence[Slice] = before.resources
    new_slices: Sequence[Slice] = current.resources
    if before.kind == current.kind:
        old_slices, new_slices = _differing(old_slices, new_slices)
    found: list[ResourceChange] = []
    if before.kind == current.kind == "v4":
        _compare_resources(old_slices, new_slices, found, complete)
    else:
        _compare(objects_in(before.kind, old_slices), objects_in(current.kind, new_slices), found)
    if len(found) > 1:
        found.sort(key=_sort_key)
    return found


def _differing(
    before: Sequence[Slice], after: Sequence[Slice]
) -> tuple[Sequence[Slice], Sequence[Slice]]:
    """Both without what is the same in both at the same place, from the start or from the end."""
    if len(before) == len(after):
        pairs = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and before[start] == after[start]:
        start += 1
    end = 0
    while end < shorter - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


def _compare_resources(
    before: Sequence[Slice],
    after: Sequence[Slice],
    found: list[ResourceChange],
    complete: dict[int, tuple[ResourceChange, ...]],
) -> None:
    """Pair the resources by address, then the instances of those whose slices differ."""
    old, new = _resources_by_address(before), _resources_by_address(after)
    for address in old if old.keys() == new.keys() else {**old, **new}:
        was, is_ = old.get(address, _NO_RESOURCE), new.get(address, _NO_RESOURCE)
        if was.slice == is_.slice:
            continue
        old_slices, new_slices = was.instances, is_.instances
        if was.shared == is_.shared:
            old_slices, new_slices = _differing(old_slices, new_slices)
        first = len(found)
        now = _instances_v4(address, new_slices, is_.shared)
        _compare(_instances_v4(address, old_slices, was.shared), now, found)
        changes = tuple(change for change in found[first:] if change.after is not None)
        if len(changes) == len(is_.instances) and not any(
            _is_numbered(change.address) for change in changes
        ):
            complete[id(is_.slice)] = changes


def _compare(
    before: Mapping[Address, Instance],
    after: Mapping[Address, Instance],
    found: list[ResourceChange],
) -> None:
    """Pair objects by address."""
    for address in before if before.keys() == after.keys() else {**before, **after}:
        change = _resource_change(address, before.get(address), after.get(address))
        if change is not None:
            found.append(change)


def _resources_by_address(slices: Sequence[Slice]) -> dict[Address, _Resource]:
    """Resources by address; a second of the same address gets a number."""
    found: dict[Address, _Resource] = {}
    taken: dict[Address, int] = {}
    for slice_ in slices:
        address, resource = _resource(slice_)
        if address in found:
            address = _unused(address, found, taken)
        found[address] = resource
    return found


def _resource(slice_: Slice) -> tuple[Address, _Resource]:
    """A resource's address and parts, read at once if it is written as usual."""
    try:
        usual = _HEADER.decode(slice_)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _odd_resource(slice_)
    shared = {} if usual.provider is NOTHING else {"provider": usual.provider}
    if usual.each is not NOTHING:
        shared["each"] = usual.each
    address = Address(usual.module, usual.mode, usual.type, usual.name)
    return address, _Resource(slice_, shared, usual.instances)


def _odd_resource(slice_: Slice) -> tuple[Address, _Resource]:
    """The same of one that may be anything."""
    shared = members(slice_)
    instances = _elements(shared.pop("instances", None))
    address = Address(*(_text(shared.pop(name, None)) for name in _HEADER_TEXTS))
    return address, _Resource(slice_, shared, instances)


def _is_numbered(address: Address) -> bool:
    """Whether `_unused` may have made an address."""
    return address.name.endswith(")")


def _unused(address: Address, used: Mapping[Address, object], taken: dict[Address, int]) -> Address:
    """The address, or one with a number behind its name when it is taken: nothing is lost.

    Args:
        address: the one that is wanted.
        used: those that are taken.
        taken: the last number given for an address, so that many equal ones cost no search each.
    """
    candidate, number = address, taken.get(address, 1)
    while candidate in used:
        number += 1
        candidate = Address(
            address.module,
            address.mode,
            address.type,
            f"{address.name} (#{number})",
            address.instance_key,
            address.deposed,
        )
    taken[address] = number
    return candidate


def _instances_v4(
    resource: Address, slices: Sequence[Slice], shared: Mapping[str, Slice]
) -> dict[Address, Instance]:
    """A resource's instances by address."""
    found: dict[Address, Instance] = {}
    taken: dict[Address, int] = {}
    for slice_ in slices:
        parts = members(slice_)
        index_slice, deposed = parts.pop("index_key", None), parts.pop("deposed", None)
        address = resource
        if index_slice is not None or deposed is not None:
            module, mode, type_, name, _, _ = resource
            index = None if index_slice is None else _index_key(index_slice)
            address = Address(module, mode, type_, name, index, _text(deposed))
        if address in found:
            address = _unused(address, found, taken)
        nested, flat = parts.pop("attributes", None), parts.pop("attributes_flat", None)
        found[address] = Instance(
            (NOTHING if flat is None else flat) if nested is None else nested,
            nested is None and flat is not None,
            parts.pop("sensitive_attributes", NOTHING),
            _text(parts.pop("status", None)) == "tainted",
            {**shared, **parts},
        )
    return found


def _index_key(slice_: Slice) -> str | int | None:
    """An instance's key; the literal of what can't be one."""
    index = decode(slice_)
    if isinstance(index, bool) or not (index is None or isinstance(index, str | int)):
        return bytes(slice_).decode("utf-8", "replace")
    return index


def objects_in(kind: Kind, slices: Sequence[Slice]) -> dict[Address, Instance]:
    """All objects of some slices of a document's `resources`."""
    found: dict[Address, Instance] = {}
    taken: dict[Address, int] = {}
    if kind == "v4":
        for address, resource in _resources_by_address(slices).items():
            found |= _instances_v4(address, resource.instances, resource.shared)
        return found
    for slice_ in slices:
        parts = members(slice_)
        module = _module_address(parts.get("path"))
        for key, resource_slice in members(parts.get("resources", NOTHING)).items():
            for address, instance in _instances_v3(module, key, members(resource_slice)):
                found[_unused(address, found, taken)] = instance
    return found


def _module_address(path: Slice | None) -> str:
    """`["root", "a", "b"]` as `module.a.module.b`."""
    names = decode(path) if path is not None else None
    inner = names[1:] if isinstance(names, list) else []
    return ".".join(f"module.{name}" for name in inner)


def _instances_v3(
    module: str, key: str, resource: Mapping[str, Slice]
) -> Iterator[tuple[Address, Instance]]:
    """The objects of a resource of version 2 or 3, whose key is `data.aws_ami.x` or `t.n.0`."""
    mode = "data" if key.startswith("data.") else "managed"
    type_, _, rest = key.removeprefix("data.").partition(".")
    name, _, last = rest.rpartition(".")
    index: int | None = int(last) if name and _DECIMAL.fullmatch(last) else None
    if index is None:
        name = rest
    settings = {
        part: slice_
        for part, slice_ in resource.items()
        if part not in {"type", "primary", "deposed"}
    }
    objects = [("", resource.get("primary", NOTHING))]
    objects += [
        (str(number), slice_) for number, slice_ in enumerate(_elements(resource.get("deposed")))
    ]
    for deposed, slice_ in objects:
        parts = members(slice_)
        if not parts:
            continue
        instance = Instance(
            attributes=parts.get("attributes", NOTHING),
            flat=True,
            marks=NOTHING,
            tainted=bytes(parts.get("tainted", NOTHING)) == b"true",
            settings=settings | {part: parts[part] for part in ("meta",) if part in parts},
        )
        yield Address(module, mode, type_, name, index, deposed), instance


def _resource_change(
    address: Address, before: Instance | None, after: Instance | None
) -> ResourceChange | None:
    """What happened to one object, or None if its slices differ in form alone."""
    if before is None or after is None:
        action: Action = "delete" if after is None else "depose" if address.deposed else "create"
        return ResourceChange(address, action, before, after)
    found, roots = _attribute_differences(before, after)
    settings: tuple[Difference, ...] = ()
    if before.settings != after.settings or before.marks != after.marks:
        settings = tuple(_setting_differences(before, after))
    tainted = before.tainted != after.tainted
    if not (found or settings or tainted):
        return None
    if found or any(setting.path == ("provider",) for setting in settings):
        action = "update"
    elif tainted:
        action = "taint" if after.tainted else "untaint"
    else:
        action = "no-op"
    return ResourceChange(address, action, before, after, settings, found, roots)


def _setting_differences(before: Instance, after: Instance) -> Iterator[Difference]:
    """What differs beside the attributes; the marks count as a setting."""
    old = {**before.settings, "sensitive_attributes": before.marks}
    new = {**after.settings, "sensitive_attributes": after.marks}
    for name in sorted(old.keys() | new.keys()):
        raw_old, raw_new = old.get(name, NOTHING), new.get(name, NOTHING)
        if raw_old == raw_new:
            continue
        value_old, value_new = decode(raw_old), decode(raw_new)
        if name == "sensitive_attributes" and _sorted(value_old) == _sorted(value_new):
            continue  # Terraform 1.11 writes them in any order
        if next(differences(value_old, value_new), None) is not None:
            yield Difference((name,), value_old, value_new)


def _sorted(value: Value) -> Value:
    """A list in an order that says nothing; anything else as it is."""
    return sorted(value, key=repr) if isinstance(value, list) else value


def _sort_key(change: ResourceChange) -> tuple[str, str, str, str, bool, int, str, str]:
    """Terraform's own order: module, mode, type, name, index (numbers before texts), deposed."""
    address = change.address
    index = address.instance_key
    return (
        address.module,
        address.mode,
        address.type,
        address.name,
        isinstance(index, str),
        index if isinstance(index, int) else -1,
        index if isinstance(index, str) else "",
        address.deposed,
    )


# ---------------------------------------------------------------- outputs, checks, the rest


def _document_outputs(document: Document) -> dict[tuple[str, str], Slice]:
    """All outputs by module and name: those of the root, in versions 2 and 3 of each module."""
    if document.kind == "v4":
        return {("", name): slice_ for name, slice_ in members(document.outputs).items()}
    found = {}
    for module_slice in document.resources:
        parts = members(module_slice)
        module = _module_address(parts.get("path"))
        for name, slice_ in members(parts.get("outputs", NOTHING)).items():
            found[module, name] = slice_
    return found


def _output(slice_: Slice) -> Output:
    """An output; whatever is not plainly false counts as sensitive."""
    parts = members(slice_)
    return Output(
        parts.get("value", NOTHING),
        parts.get("type", NOTHING),
        bytes(parts.get("sensitive", NOTHING)) not in {b"false", b"null"},
    )


def outputs_in(kind: Kind, slice_: Slice) -> dict[tuple[str, str], Output]:
    """All outputs of a document's `outputs` (v4), or of one module's slice, by module and name."""
    if kind == "v4":
        try:
            return {("", name): output for name, output in _OUTPUTS.decode(slice_).items()}
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {("", name): _output(inner) for name, inner in members(slice_).items()}
    parts = members(slice_)
    module = _module_address(parts.get("path"))
    outputs = members(parts.get("outputs", NOTHING))
    return {(module, name): _output(inner) for name, inner in outputs.items()}


def _output_changes(before: Document, current: Document) -> list[OutputChange]:
    """The outputs that differ, sorted by module and name."""
    if before.kind == current.kind == "v4" and before.outputs == current.outputs:
        return []
    changes: list[OutputChange] = []
    old, new = _document_outputs(before), _document_outputs(current)
    for key in sorted({**old, **new}):
        old_slice, new_slice = old.get(key), new.get(key)
        if old_slice is not None and new_slice is not None and old_slice == new_slice:
            continue
        output_before = _output(old_slice) if old_slice is not None else None
        output_after = _output(new_slice) if new_slice is not None else None
        found = tuple(differences(_output_parts(output_before), _output_parts(output_after)))
        if output_before is None or output_after is None:
            action: Action = "create" if output_before is None else "delete"
        elif found:
            action = "update"
        else:
            continue
        changes.append(OutputChange(*key, action, output_before, output_after, found))
    return changes


def _output_parts(output: Output | None) -> dict[str, Value]:
    """An output as a value to compare; its type is a text, as Terraform's type syntax nests."""
    if output is None:
        return {}
    return {
        "value": decode(output.value),
        "type": msgspec.json.encode(decode(output.type)).decode(),
        "sensitive": output.sensitive,
    }


def _check_changes(before: Slice, after: Slice) -> Iterator[CheckChange]:
    """The check results that differ, object by object."""
    old, new = dict(checks(before)), dict(checks(after))
    for address in {**old, **new}:
        found = tuple(differences(old.get(address, {}), new.get(address, {})))
        if found:
            yield CheckChange(address, found)


def checks(slice_: Slice) -> Iterator[tuple[str, dict[str, Value]]]:
    """Each checked object's address with its result; a check without objects stands for itself."""
    for check_slice in _elements(slice_):
        check = members(check_slice)
        objects = _elements(check.get("objects"))
        if not objects:
            yield _text(check.get("config_addr")), {"status": _text(check.get("status"))}
        for object_slice in objects:
            parts = members(object_slice)
            result: dict[str, Value] = {"status": _text(parts.get("status"))}
            messages = decode(parts.get("failure_messages", NOTHING))
            if messages:
                result["failure_messages"] = messages
            yield _text(parts.get("object_addr")), result


def _changed_names(before: Mapping[str, Slice], after: Mapping[str, Slice]) -> tuple[str, ...]:
    """The names whose values differ, sorted."""
    return tuple(
        name
        for name in sorted(before.keys() | after.keys())
        if next(
            differences(
                decode(before[name]) if name in before else ABSENT,
                decode(after[name]) if name in after else ABSENT,
            ),
            None,
        )
        is not None
    )


# ---------------------------------------------------------------- slices that may be anything


def members(slice_: Slice) -> dict[str, Slice]:
    """The members of an object, as slices; none for anything else."""
    try:
        return _OBJECT.decode(slice_)
    except UnicodeDecodeError:
        return _OBJECT.decode(bytes(slice_).decode("utf-8", "replace").encode())
    except msgspec.DecodeError:
        return {}


def _elements(slice_: Slice | None) -> Sequence[Slice]:
    """The elements of an array, as slices; none for anything else."""
    if slice_ is None:
        return ()
    try:
        return _ARRAY.decode(slice_)
    except msgspec.DecodeError:
        return ()


def _text(slice_: Slice | None) -> str:
    """A string's value; "" for what is absent or null, the literal for anything else."""
    if slice_ is None:
        return ""
    value = decode(slice_)
    if isinstance(value, str):
        return str(value)
    return "" if value is None else bytes(slice_).decode("utf-8", "replace")


_NO_STATE: Final = Document(body=b"", kind="v4", serial=0, lineage="")
