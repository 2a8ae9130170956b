"""What differs between two versions of a state, as values in memory: nothing here is redacted.

Only slices that differ are decoded. What comes out may hold secrets: it goes to `redact` and
nowhere else.

Format: Terraform `statefile/version4.go` (resources, outputs, check results), `version3.go` and
`version2.go` (modules with flat attributes).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

import msgspec

from proxy.tfstate.document import NOTHING, Document, Slice


class Number(str):
    """A JSON number that is no integer, kept as it is written: no digit is lost."""

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


@dataclass(frozen=True, slots=True)
class Instance:
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


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What happened to one object of a resource.

    Attributes:
        differences: its attributes that differ; for a new or removed object, each that it has.
        settings: what differs beside the attributes, each path one name from `Instance.settings`.
    """

    address: Address
    action: Action
    before: Instance | None
    after: Instance | None
    settings: tuple[Difference, ...] = ()
    _differences: tuple[Difference, ...] | None = field(default=None, repr=False)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Found once for a changed object; anew for a whole one, which would cost memory."""
        if self._differences is not None:
            return self._differences
        return _attribute_differences(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Output:
    """One version of an output."""

    value: Slice
    type: Slice
    sensitive: bool


@dataclass(frozen=True, slots=True)
class OutputChange:
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


@dataclass(frozen=True, slots=True)
class CheckChange:
    """The result of a check or condition that differs.

    Attributes:
        address: the object that was checked.
        differences: paths begin with `status` or `failure_messages`.
    """

    address: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs between two versions. Unredacted: see the module's warning.

    Attributes:
        resources: sorted by address.
        outputs: sorted by module and name.
        checks: in the state's order.
        terraform_version: before and after, if they differ; before is "" for the first version.
        other: names of further top-level members that differ, such as v3's `backend`.
        encrypted: whether the versions (before, after) are encrypted; then nothing is known of
            the content, and all lists are empty.
        sensitive_outputs: the values of all sensitive outputs, changed or not: what `redact`
            must also find inside other values.
    """

    resources: tuple[ResourceChange, ...] = ()
    outputs: tuple[OutputChange, ...] = ()
    checks: tuple[CheckChange, ...] = ()
    terraform_version: tuple[str, str] | None = None
    other: tuple[str, ...] = ()
    encrypted: tuple[bool, bool] = (False, False)
    sensitive_outputs: tuple[Slice, ...] = field(default=(), repr=False)

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
_EMPTY: Final[Mapping[str, Slice]] = {}
_NO_RESOURCE: Final = (NOTHING, _EMPTY)
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]*", re.ASCII)

_INSTANCE_PARTS: Final = frozenset(
    {"index_key", "deposed", "status", "attributes", "attributes_flat", "sensitive_attributes"}
)
_RESOURCE_PARTS: Final = frozenset({"module", "mode", "type", "name", "instances"})


def diff(previous: Document | None, current: Document) -> Changes:
    """Compare two versions; `previous` is None when there was no state.

    Values are compared as JSON with types: `1`, `"1"`, `1.0` and `true` all differ; the order of
    keys and the white space do not count. Arrays of the same length are compared element by
    element, of different length as a whole.
    """
    before = previous if previous is not None else _NO_STATE
    encrypted = (before.kind == "encrypted", current.kind == "encrypted")
    versions = (before.terraform_version, current.terraform_version)
    terraform_version = None if versions[0] == versions[1] or any(encrypted) else versions
    if any(encrypted):
        return Changes(terraform_version=terraform_version, encrypted=encrypted)
    resources = [
        change
        for address, old, new in _objects(before, current)
        if (change := _resource_change(address, old, new)) is not None
    ]
    resources.sort(key=lambda change: _sort_key(change.address))
    outputs = list(_output_changes(before, current))
    outputs.sort(key=lambda change: (change.module, change.name))
    checks = tuple(_check_changes(before.check_results, current.check_results))
    known: tuple[Slice, ...] = ()
    if resources or outputs or checks:
        known = (*_sensitive_outputs(before), *_sensitive_outputs(current))
    return Changes(
        resources=tuple(resources),
        outputs=tuple(outputs),
        checks=checks,
        terraform_version=terraform_version,
        other=_changed_names(before.other, current.other),
        sensitive_outputs=known,
    )


def decode(slice_: Slice) -> Value:
    """A slice's value; numbers that are no integers become `Number`.

    Like Go, it reads bytes that are no UTF-8 as U+FFFD. What is nested too deep for Python is a
    text that says so, with a digest that tells two such values apart.
    """
    try:
        return cast("Value", _VALUE.decode(slice_))
    except UnicodeDecodeError:
        return cast("Value", _VALUE.decode(bytes(slice_).decode("utf-8", "replace").encode()))
    except RecursionError:
        return f"(nested too deep to be shown; SHA-256 {hashlib.sha256(slice_).hexdigest()})"


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
) -> tuple[Difference, ...]:
    """The attributes that differ; null and absent are one when an object is new or gone."""
    if before is None or after is None:
        whole = {n: v for n, v in sorted(attributes(after or before).items()) if v is not None}
        return tuple(
            Difference((name,), *((ABSENT, value) if before is None else (value, ABSENT)))
            for name, value in whole.items()
        )
    if before.flat != after.flat:
        return tuple(_across_formats(before, after))
    if before.attributes == after.attributes:
        return ()
    old, new = members(before.attributes), members(after.attributes)
    found: list[Difference] = []
    for name in sorted(old.keys() | new.keys()):
        raw_old, raw_new = old.get(name), new.get(name)
        if raw_old is not None and raw_new is not None and raw_old == raw_new:
            continue
        found += differences(
            ABSENT if raw_old is None else decode(raw_old),
            ABSENT if raw_new is None else decode(raw_new),
            (name,),
        )
    return tuple(found)


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

_Object: TypeAlias = tuple[Address, Instance | None, Instance | None]


def _objects(before: Document, current: Document) -> Iterator[_Object]:
    """Every object whose slice differs, with what it was and what it is."""
    old_slices, new_slices = _differing(before.resources, current.resources)
    if before.kind == current.kind == "v4":
        yield from _objects_v4(old_slices, new_slices)
        return
    old = _instances(before, old_slices if before.kind == current.kind else before.resources)
    new = _instances(current, new_slices if before.kind == current.kind else current.resources)
    for address in {**old, **new}:
        yield address, old.get(address), new.get(address)


def _differing(
    before: Sequence[Slice], after: Sequence[Slice]
) -> tuple[Sequence[Slice], Sequence[Slice]]:
    """Both without what they have in common at the beginning and at the end."""
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and before[start] == after[start]:
        start += 1
    end = 0
    while end < shorter - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


def _objects_v4(before: Sequence[Slice], after: Sequence[Slice]) -> Iterator[_Object]:
    """Pair the resources by address, then the instances of those whose slices differ."""
    old, new = _resources_by_address(before), _resources_by_address(after)
    for resource in {**old, **new}:
        old_slice, old_parts = old.get(resource, _NO_RESOURCE)
        new_slice, new_parts = new.get(resource, _NO_RESOURCE)
        if old_slice == new_slice:
            continue
        old_shared, new_shared = _shared_settings(old_parts), _shared_settings(new_parts)
        old_slices = _elements(old_parts.get("instances"))
        new_slices = _elements(new_parts.get("instances"))
        if old_shared == new_shared:
            old_slices, new_slices = _differing(old_slices, new_slices)
        old_instances = _instances_v4(resource, old_slices, old_shared)
        new_instances = _instances_v4(resource, new_slices, new_shared)
        for address in {**old_instances, **new_instances}:
            yield address, old_instances.get(address), new_instances.get(address)


def _resources_by_address(
    slices: Sequence[Slice],
) -> dict[Address, tuple[Slice, Mapping[str, Slice]]]:
    """Resources, whole and in parts, by address; a second of the same address gets a number."""
    found: dict[Address, tuple[Slice, Mapping[str, Slice]]] = {}
    for slice_ in slices:
        parts = members(slice_)
        address = Address(
            _text(parts.get("module")),
            _text(parts.get("mode")),
            _text(parts.get("type")),
            _text(parts.get("name")),
        )
        found[_unused(address, found)] = slice_, parts
    return found


def _unused(address: Address, used: Mapping[Address, object]) -> Address:
    """The address, or one with a number behind its name when it is taken: nothing is lost."""
    candidate, number = address, 1
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
    return candidate


def _shared_settings(resource: Mapping[str, Slice]) -> dict[str, Slice]:
    """What a resource says for all its instances, such as the provider."""
    return {name: slice_ for name, slice_ in resource.items() if name not in _RESOURCE_PARTS}


def _instances_v4(
    resource: Address, slices: Sequence[Slice], shared: Mapping[str, Slice]
) -> dict[Address, Instance]:
    """A resource's instances by address."""
    found: dict[Address, Instance] = {}
    for slice_ in slices:
        parts = members(slice_)
        index = decode(parts["index_key"]) if "index_key" in parts else None
        if isinstance(index, bool) or not (index is None or isinstance(index, str | int)):
            index = bytes(parts["index_key"]).decode("utf-8", "replace")
        address = Address(
            resource.module,
            resource.mode,
            resource.type,
            resource.name,
            index,
            _text(parts.get("deposed")),
        )
        flat = "attributes" not in parts and "attributes_flat" in parts
        found[_unused(address, found)] = Instance(
            attributes=parts.get("attributes_flat" if flat else "attributes", NOTHING),
            flat=flat,
            marks=parts.get("sensitive_attributes", NOTHING),
            tainted=_text(parts.get("status")) == "tainted",
            settings={**shared}
            | {name: part for name, part in parts.items() if name not in _INSTANCE_PARTS},
        )
    return found


def _instances(document: Document, slices: Sequence[Slice]) -> dict[Address, Instance]:
    """All objects of some slices of a document of any format."""
    found: dict[Address, Instance] = {}
    if document.kind == "v4":
        for resource, (_, parts) in _resources_by_address(slices).items():
            found |= _instances_v4(
                resource, _elements(parts.get("instances")), _shared_settings(parts)
            )
        return found
    for slice_ in slices:
        parts = members(slice_)
        module = _module_address(parts.get("path"))
        for key, resource_slice in members(parts.get("resources", NOTHING)).items():
            for address, instance in _instances_v3(module, key, members(resource_slice)):
                found[_unused(address, found)] = instance
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
    found = _attribute_differences(before, after)
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
    return ResourceChange(address, action, before, after, settings, found)


def _setting_differences(before: Instance, after: Instance) -> Iterator[Difference]:
    """What differs beside the attributes; the marks count as a setting."""
    if before.settings == after.settings and before.marks == after.marks:
        return
    old = {**before.settings, "sensitive_attributes": before.marks}
    new = {**after.settings, "sensitive_attributes": after.marks}
    for name in sorted(old.keys() | new.keys()):
        raw_old, raw_new = old.get(name, NOTHING), new.get(name, NOTHING)
        if raw_old == raw_new:
            continue
        value_old, value_new = decode(raw_old), decode(raw_new)
        if next(differences(value_old, value_new), None) is not None:
            yield Difference((name,), value_old, value_new)


def _sort_key(address: Address) -> tuple[str, str, str, str, bool, int, str, str]:
    """Terraform's own order: module, mode, type, name, index (numbers before texts), deposed."""
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


def _sensitive_outputs(document: Document) -> Iterator[Slice]:
    """The values of a document's sensitive outputs."""
    for slice_ in _document_outputs(document).values():
        output = _output(slice_)
        if output.sensitive:
            yield output.value


def _output_changes(before: Document, current: Document) -> Iterator[OutputChange]:
    """The outputs that differ."""
    if before.kind == current.kind == "v4" and before.outputs == current.outputs:
        return
    old, new = _document_outputs(before), _document_outputs(current)
    for key in {**old, **new}:
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
        yield OutputChange(*key, action, output_before, output_after, found)


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
    if before == after:
        return
    old, new = dict(_checks(before)), dict(_checks(after))
    for address in {**old, **new}:
        found = tuple(differences(old.get(address, {}), new.get(address, {})))
        if found:
            yield CheckChange(address, found)


def _checks(slice_: Slice) -> Iterator[tuple[str, dict[str, Value]]]:
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


def members(slice_: Slice) -> Mapping[str, Slice]:
    """The members of an object, as slices; none for anything else."""
    try:
        return _OBJECT.decode(slice_)
    except UnicodeDecodeError:
        return _OBJECT.decode(bytes(slice_).decode("utf-8", "replace").encode())
    except msgspec.DecodeError:
        return _EMPTY


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
    value = decode(slice_) if slice_ is not None else None
    if isinstance(value, str):
        return str(value)
    return "" if value is None or slice_ is None else bytes(slice_).decode("utf-8", "replace")


_NO_STATE: Final = Document(body=b"", kind="v4", serial=0, lineage="")
