"""The one door through which values of a state leave: everything secret stays behind.

A secret becomes a commitment: a keyed hash that tells whether two values are the same, and that
nobody without the key can test a guess against. Everything else is shown, since a record that
shows nothing is useless; but wherever a known secret stands inside a shown text, an address or a
key, it is cut out there as well.

What is secret is decided in `sensitive`; the shape of the result is the `changes` object of an
audit entry, which holds no floats, ASCII keys only, and integers below 2^53.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias, cast
from urllib.parse import quote

import msgspec
import orjson

from proxy.tfstate.diff import (
    ABSENT,
    Address,
    Changes,
    CheckChange,
    Difference,
    Number,
    OutputChange,
    Path,
    ResourceChange,
    Value,
    attributes,
    decode,
    diff,
)
from proxy.tfstate.document import Document
from proxy.tfstate.sensitive import (
    ANY_INDEX,
    MarkPath,
    Marks,
    has_shape,
    implied_marks,
    is_public,
    is_random,
    is_reference,
    is_secret_name,
    mark_paths,
    may_have_shape,
    replace_shapes,
)

Shown: TypeAlias = Any
"""JSON in the subset that an entry may hold, without secrets."""

DEFAULT_LIMIT_BYTES: Final = 48_000
"""Of a `changes` object, so that an entry stays below its 65,535 bytes with all the rest."""

_LONG_TEXT_BYTES: Final = 4_096
_SHOWN_CHARACTERS: Final = 1_024
_CUT_ITEM_BYTES: Final = 4_096
_WHOLE_DOCUMENT_BYTES: Final = 33_554_432
"""Of attributes that the whole document beside an entry may be made from: about 3 s of work."""
_NAME_CHARACTERS: Final = 100
_OTHER_NAMES: Final = 20
_DEPTH: Final = 32
_MAX_INTEGER: Final = 2**53 - 1
_SUBSTRING_CHARACTERS: Final = 8
_EXACT_CHARACTERS: Final = 4
_FEW: Final = 24
_CLEAN_TEXTS: Final = 10_000

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_GO_ESCAPES: Final = re.compile("[<>&]")
_QUOTED_KEY: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]', re.DOTALL)

_SHOWN_SETTINGS: Final = frozenset(
    {
        "provider",
        "schema_version",
        "identity",
        "identity_schema_version",
        "dependencies",
        "depends_on",
        "create_before_destroy",
        "skip_destroy",
        "each",
    }
)
_COUNTED: Final = {
    "create": "added",
    "update": "changed",
    "taint": "changed",
    "untaint": "changed",
    "delete": "removed",
}
_JSON_BEGINNINGS: Final = frozenset("{[")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]+")
_PAIR_NAMES: Final = ("name", "key")
_PAIR_VALUES: Final = frozenset({"value", "values", "default", "content"})
_PAIRS: Final = _PAIR_VALUES.union(_PAIR_NAMES)
_FEW_ITEMS: Final = 16
_SMALLEST_ITEM_BYTES: Final = len('{"action":"check","address":"","attributes":{}}')
_DISTINCT_KEYS: Final = 10_000
_FEW_MEMBERS: Final = 64
_GRAM: Final = 8
_CROWDED: Final = 8
"""So many needles may share a gram before another part of a needle is taken."""


class RedactedChanges(msgspec.Struct, frozen=True):
    """What may be recorded of a change.

    Attributes:
        entry: the `changes` object of an entry, cut to the limit.
        document: the whole object in canonical JSON, when `entry` had to be cut; its SHA-256
            stands in `entry["sha256"]`. Of a change of more than 32 MiB of attributes, it names
            every object, but tells only the number (`omitted`) of the attributes of the last.
    """

    entry: dict[str, Shown]
    document: bytes | None = None


@lru_cache(maxsize=4096)
def workspace_key(redaction_key: bytes, workspace: str) -> bytes:
    """The key (32 bytes) for the commitments of one workspace.

    Within a workspace equal secrets can be recognised, across workspaces they can't.
    """
    return hmac.digest(redaction_key, b"tfaudit-redaction-v1\n" + workspace.encode(), "sha256")


def summary(changes: Changes) -> str:
    """The change in a few words for an entry's message: `1 added, 2 changed, 0 removed`."""
    if any(changes.encrypted):
        return "encrypted, so the changes are unknown"
    counts = _counts(changes.resources)
    words = ", ".join(f"{number} {what}" for what, number in counts.items())
    outputs = len(changes.outputs)
    return words + (f"; {outputs} output{'s'[: outputs > 1]} changed" if outputs else "")


def redact(changes: Changes, key: bytes, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> RedactedChanges:
    """Render a change without its secrets.

    Args:
        changes: what `diff` found; the marks and names of both versions decide for both.
        key: the workspace's key, see `workspace_key`.
        limit_bytes: the most that `entry` may have as canonical JSON; at least 8,192.
    """
    redactor = _Redactor(changes, key)
    head = redactor.head()
    rendered: Iterable[dict[str, Shown]] = redactor.items()
    if len(changes.resources) + len(changes.outputs) + len(changes.checks) <= _FEW_ITEMS:
        rendered = list(rendered)
        entry = head | {"items": rendered}
        if len(_canonical(entry)) < limit_bytes:
            return RedactedChanges(entry)
    shown: list[dict[str, Shown]] = []
    items: list[bytes] = []
    size = len(_canonical(head))
    for item in rendered:
        items.append(_canonical(item))
        size += len(items[-1]) + 1
        if size <= limit_bytes:
            shown.append(item)
    if size <= limit_bytes:
        return RedactedChanges(head | {"items": shown})
    document = _with_items(head, items)
    cut = head | {"sha256": hashlib.sha256(document).hexdigest(), "omitted": len(items)}
    left = limit_bytes - len(_canonical(cut))
    kept: list[dict[str, Shown]] = []
    for item_bytes in items:
        if left < _SMALLEST_ITEM_BYTES:
            break
        kept_item = _cut_item(item_bytes, min(left, _CUT_ITEM_BYTES))
        if kept_item is None:
            continue
        kept.append(kept_item)
        left -= len(_canonical(kept_item)) + 1
    return RedactedChanges(cut | {"items": kept, "omitted": len(items) - len(kept)}, document)


def redact_document(document: Document, key: bytes) -> dict[str, Shown]:
    """A whole state for people to look at, without its secrets.

    Returns:
        `kind`, `serial`, `lineage`, `terraform_version`, and, unless it is encrypted,
        `resources` (each with `address`, `attributes`, perhaps `tainted`) and `outputs`.
    """
    redactor = _Redactor(diff(None, document), key, sys.maxsize)
    shown: dict[str, Shown] = {
        "kind": document.kind,
        "serial": document.serial,
        "lineage": redactor.text(document.lineage),
        "terraform_version": redactor.text(document.terraform_version),
    }
    if document.kind == "encrypted":
        return shown
    shown["resources"] = []
    shown["outputs"] = {}
    for item in redactor.items():
        values = {path: value["after"] for path, value in item["attributes"].items()}
        if item["address"].startswith("output.") or ".output." in item["address"]:
            shown["outputs"][item["address"].removeprefix("output.")] = values.get("value")
        elif item["action"] != "check":
            tainted = {"tainted": True} if item.get("tainted") else {}
            shown["resources"].append({"address": item["address"], "attributes": values} | tainted)
    return shown


class _Redactor:
    """Knows the secrets of one change and renders everything else.

    Args:
        changes: what is to be rendered.
        key: the workspace's key.
        budget_bytes: of attributes, as they stand in the states, that are rendered; of objects
            beyond, only the number of attributes is told.
    """

    def __init__(
        self, changes: Changes, key: bytes, budget_bytes: int = _WHOLE_DOCUMENT_BYTES
    ) -> None:
        self._changes = changes
        self._budget_bytes = budget_bytes
        self._key = key
        self._marks: dict[str, Marks] = {}
        self._short: set[str] = set()
        self._long: set[str] = set()
        self._tokens: dict[str, str] = {}
        self._clean: set[str] = set()
        self._keys: dict[str, str] = {}
        self._learn_all()
        self._search = _Search(sorted(self._long, key=len, reverse=True))
        self._met: _Met | None = None

    # ------------------------------------------------------------ what is secret

    def _learn_all(self) -> None:
        """Collect all marks first, then all secret values: each may be met anywhere."""
        for change in self._changes.resources:
            self._learn_marks(change)
        for change in self._changes.resources:
            self._learn_object(change)
        for slice_ in self._changes.sensitive_outputs:
            self._learn(decode(slice_))
        for output_change in self._changes.outputs:
            for output in filter(None, (output_change.before, output_change.after)):
                self._learn_within({output_change.name: decode(output.value)}, None)

    def _learn_marks(self, change: ResourceChange) -> None:
        """Collect the marks of both versions, for all objects of the type in this change."""
        type_ = change.address.type
        paths: Iterable[MarkPath] = () if type_ in self._marks else implied_marks(type_)
        for instance in (change.before, change.after):
            if instance is not None and len(memoryview(instance.marks)) > len("[]"):
                paths = (*paths, *mark_paths(decode(instance.marks)))
        if paths:
            marks = self._marks.setdefault(type_, Marks())
            for path in paths:
                marks.add(path)

    def _learn_object(self, change: ResourceChange) -> None:
        """Collect the secret values of both versions of an object.

        What the versions have in common is looked at once, unless it forms a pair of name and
        value, whose other half may have changed.
        """
        marks = self._marks.get(change.address.type)
        before, after = change.before, change.after
        if change.roots is not None and before is not None and not before.flat:
            old, new = change.roots
            self._learn_members(old, marks, 0)
            names = {str(difference.path[0]) for difference in change.differences}
            names |= new.keys() & _PAIRS
            self._learn_members({name: new[name] for name in names if name in new}, marks, 0)
            return
        for instance in (before, after):
            if instance is None:
                continue
            root = attributes(instance)
            if not instance.flat:
                self._learn_members(root, marks, 0)
                continue
            for key, value in root.items():
                if self._flat_level(key, (root,), marks):
                    self._learn(value)

    def _learn_within(self, value: Value, marks: Marks | None, depth: int = 0) -> None:
        """Collect what is secret inside a value that is not secret as a whole."""
        if isinstance(value, dict):
            if depth <= _DEPTH:
                self._learn_members(value, marks, depth)
        elif isinstance(value, list):
            below = marks.at(ANY_INDEX) if marks is not None else None
            for inner in value:
                if below is not None and (below.secret or below.contradicts(inner)):
                    self._learn(inner)
                elif depth <= _DEPTH:
                    self._learn_within(inner, below, depth + 1)
        elif isinstance(value, str) and value[:1] in _JSON_BEGINNINGS:
            self._learn_within(_json_inside(value), None, depth + 1)

    def _learn_members(self, value: dict[str, Any], marks: Marks | None, depth: int) -> None:
        """Collect what is secret among an object's members, and inside them."""
        suspects: Iterable[str]
        if len(value) <= _FEW_MEMBERS:
            suspects = _suspects(tuple(value))
        else:
            suspects = filter(_is_suspect, value)
        if marks is not None:
            every = marks.secret or ANY_INDEX in marks.inner
            suspects = value if every else {*suspects, *map(str, marks.inner)}
        for name in suspects:
            self._learn_member(name, value, marks, depth)
        for inner in value.values():
            kind = type(inner)
            if kind is str:
                if inner[:1] in _JSON_BEGINNINGS:
                    self._learn_within(inner, None, depth + 1)
            elif inner and (kind is dict or kind is list):
                self._learn_within(inner, None, depth + 1)

    def _learn_member(
        self, name: str, parent: dict[str, Any], marks: Marks | None, depth: int
    ) -> None:
        """Collect a member that is secret by its mark, its name, or the name beside it."""
        inner = parent.get(name)
        if inner is None or isinstance(inner, bool):
            return
        below = marks.at(name) if marks is not None else None
        if (marks is not None and marks.secret) or _hides(name, inner, below, parent):
            self._learn(inner)
        elif below is not None:
            self._learn_within(inner, below, depth + 1)

    def _learn(self, value: Value, depth: int = 0) -> None:
        """Remember every scalar of a secret value."""
        if depth > _DEPTH:
            return
        if isinstance(value, dict):
            for name, inner in value.items():
                if is_random(name):
                    self._learn_text(name)
                self._learn(inner, depth + 1)
        elif isinstance(value, list):
            for inner in value:
                self._learn(inner, depth + 1)
        elif isinstance(value, str):
            self._learn_text(value)
            if value[:1] in _JSON_BEGINNINGS:
                self._learn(_json_inside(value), depth + 1)
        elif isinstance(value, int) and not isinstance(value, bool):
            self._learn_text(str(value))

    def _learn_text(self, text: str) -> None:
        """Remember a secret text, also in the forms in which other values may carry it."""
        text = text.strip()
        if not text or text in self._short or is_public(text):
            return
        self._short.add(text)
        if len(text) < _SUBSTRING_CHARACTERS:
            return
        self._long.add(text)
        self._long.add(base64.b64encode(text.encode()).decode().rstrip("="))
        if not _PLAIN.fullmatch(text):
            escaped = json.dumps(text, ensure_ascii=False)[1:-1]
            self._long.add(escaped)
            self._long.add(_GO_ESCAPES.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped))
            self._long.add(quote(text, safe=""))

    # ------------------------------------------------------------ how it is rendered

    def head(self) -> dict[str, Shown]:
        """Everything but the items."""
        changes = self._changes
        head: dict[str, Shown] = {
            "resources": _counts(changes.resources),
            "outputs": _counts(changes.outputs),
            "items": [],
            "omitted": 0,
        }
        if changes.terraform_version is not None:
            before, after = (self._name(version) for version in changes.terraform_version)
            head["terraform_version"] = {"before": before, "after": after}
        if changes.other:
            head["other"] = [self._name(name) for name in changes.other[:_OTHER_NAMES]]
        if changes.encrypted != (False, False):
            before_encrypted, after_encrypted = changes.encrypted
            head["encrypted"] = {"before": before_encrypted, "after": after_encrypted}
        return head

    def items(self) -> Iterator[dict[str, Shown]]:
        """One item for each object, output and check that changed."""
        for resource in self._changes.resources:
            yield self._resource_item(resource)
        for output in self._changes.outputs:
            yield self._output_item(output)
        for check in self._changes.checks:
            yield self._check_item(check)

    def _resource_item(self, change: ResourceChange) -> dict[str, Shown]:
        """What happened to one object."""
        item: dict[str, Shown] = {
            "address": self._address(change.address),
            "action": change.action,
            "attributes": {},
        }
        for instance in (change.before, change.after):
            if instance is not None:
                self._budget_bytes -= len(memoryview(instance.attributes))
        if change.action != "depose" and self._budget_bytes >= 0:
            item["attributes"] = self._attributes(change)
        elif change.action != "depose":
            item["omitted"] = len(change.differences)
        if change.settings:
            item["settings"] = {
                self._name(str(setting.path[0])): self._setting(setting)
                for setting in change.settings
            }
        if change.after is not None and change.after.tainted:
            item["tainted"] = True
        return item

    def _attributes(self, change: ResourceChange) -> dict[str, Shown]:
        """The attributes that differ, by path."""
        marks = self._marks.get(change.address.type)
        before, after = change.before, change.after
        flat = (before is not None and before.flat) or (after is not None and after.flat)
        if not flat and (before is None or after is None):
            return self._whole(change, marks)
        roots = change.roots
        if roots is None:
            roots = attributes(before), attributes(after)
        shown: dict[str, Shown] = {}
        for difference in change.differences:
            if flat:
                path, sides = self._flat_sides(difference, roots, marks)
            else:
                path, sides = self._sides(difference, roots, marks)
            shown[path] = sides
        return shown

    def _whole(self, change: ResourceChange, marks: Marks | None) -> dict[str, Shown]:
        """All attributes of a new or removed object but those that are null."""
        side = "before" if change.after is None else "after"
        root = attributes(change.after or change.before)
        secret = marks is not None and marks.secret
        shown: dict[str, Shown] = {}
        self._met = self._search.all_in(root)
        for name, value in root.items():
            if value is None:
                continue
            below = marks.at(name) if marks is not None else None
            if secret or ((below or _is_suspect(name)) and _hides(name, value, below, root)):
                rendered = self._secret(value)
            else:
                rendered = self._value(value, below)
            shown[_attribute_name(name)] = {side: rendered}
        self._met = None
        return shown

    def _sides(
        self, difference: Difference, roots: tuple[Value, Value], marks: Marks | None
    ) -> tuple[str, dict[str, Shown]]:
        """A difference's path and its sides, hidden from the first secret step on."""
        level = 1 if marks is not None and marks.secret else 0
        marked = level or (marks is not None and marks.at(difference.path[0]) is not None)
        if not marked and not any(map(_is_suspect, difference.path)):
            return self._path(difference.path), _sides(
                self._value(difference.before), self._value(difference.after)
            )
        node = marks
        old, new = roots
        for number, step in enumerate(difference.path, start=1):
            node = node.at(step) if node is not None else None
            old_inner, new_inner = _at(old, step), _at(new, step)
            if level or _hides(step, old_inner, node, old) or _hides(step, new_inner, node, new):
                path = self._path(difference.path[:number])
                return path, _sides(self._secret(old_inner), self._secret(new_inner))
            old, new = old_inner, new_inner
        return self._path(difference.path), _sides(
            self._value(difference.before, node), self._value(difference.after, node)
        )

    def _flat_sides(
        self, difference: Difference, roots: tuple[dict[str, Value], ...], marks: Marks | None
    ) -> tuple[str, dict[str, Shown]]:
        """The same for a flat map, whose keys are whole paths."""
        key = str(difference.path[0])
        steps = key.split(".")
        level = self._flat_level(key, roots, marks)
        if not level:
            path = ".".join([_ascii(steps[0]), *(self._key_text(step) for step in steps[1:])])
            return path, _sides(self._value(difference.before), self._value(difference.after))
        path = ".".join([_ascii(steps[0]), *(self._key_text(step) for step in steps[1:level])])
        if level < len(steps):
            path += f".{self._marker('.'.join(steps[level:]))}"
        return path, _sides(self._secret(difference.before), self._secret(difference.after))

    def _flat_level(
        self, key: str, roots: tuple[dict[str, Value], ...], marks: Marks | None
    ) -> int:
        """How many steps of a flat key lead to a secret; 0 when it is none."""
        steps = key.split(".")
        node = marks
        if node is not None and node.secret:
            return 1
        for number, step in enumerate(steps, start=1):
            node = node.at(step) if node is not None else None
            marked = node is not None and (
                node.secret or (number == len(steps) and node.inner and step not in {"#", "%"})
            )
            named = is_secret_name(step) and any(
                not is_reference(str(root.get(key, ""))) for root in roots
            )
            if marked or named:
                return number
        base, _, last = key.rpartition(".")
        if last in _PAIR_VALUES and any(
            is_secret_name(str(root.get(f"{base}.{name}", "")))
            for root in roots
            for name in _PAIR_NAMES
        ):
            return len(steps)
        return 0

    def _output_item(self, change: OutputChange) -> dict[str, Shown]:
        """What happened to an output; secret when either version or its name says so."""
        versions = (change.before, change.after)
        values = tuple(ABSENT if v is None else decode(v.value) for v in versions)
        marked = Marks(secret=any(v is not None and v.sensitive for v in versions))
        roots: tuple[Value, Value] = ({"value": values[0]}, {"value": values[1]})
        hidden = any(
            _hides(change.name, value, marked, root)
            for value, root in zip(values, roots, strict=True)
        )
        shown: dict[str, Shown] = {}
        for difference in change.differences:
            if difference.path[0] == "value" and hidden:
                shown["value"] = _sides(self._secret(values[0]), self._secret(values[1]))
            else:
                path, sides = self._sides(difference, roots, None)
                shown[path] = sides
        module = f"{self._address_text(change.module)}." if change.module else ""
        return {
            "address": f"{module}output.{self._name(change.name)}",
            "action": change.action,
            "attributes": shown,
        }

    def _check_item(self, change: CheckChange) -> dict[str, Shown]:
        """A check's result; its messages are hidden, as they may quote any value of the state."""
        shown: dict[str, Shown] = {}
        for difference in change.differences:
            if difference.path[0] == "status":
                sides = _sides(self._value(difference.before), self._value(difference.after))
            else:
                sides = _sides(self._secret(difference.before), self._secret(difference.after))
            shown[self._path(difference.path)] = sides
        return {
            "address": self._address_text(change.address),
            "action": "check",
            "attributes": shown,
        }

    def _setting(self, difference: Difference) -> dict[str, Shown]:
        """What differs beside the attributes; what we don't know is only said to have changed."""
        name = difference.path[0]
        if name == "sensitive_attributes":
            before, after = (
                [self._path(path) for path in mark_paths(side)]
                for side in (difference.before, difference.after)
            )
            return {"before": before, "after": after}
        if name not in _SHOWN_SETTINGS:
            return {"changed": True}
        return _sides(self._setting_value(difference.before), self._setting_value(difference.after))

    def _setting_value(self, value: Value) -> Shown:
        """A setting's value, in which every text may be an address."""
        if isinstance(value, list):
            return [self._setting_value(inner) for inner in value]
        if isinstance(value, str):
            return self._long_text(self._address_text(value), value)
        return self._value(value)

    # ------------------------------------------------------------ addresses, paths, keys

    def _address(self, address: Address) -> str:
        """An address as Terraform writes it, its keys redacted."""
        module = f"{self._address_text(address.module)}." if address.module else ""
        data = "data." if address.mode == "data" else ""
        index = ""
        if isinstance(address.instance_key, str):
            index = f'["{self._key_text(address.instance_key)}"]'
        elif address.instance_key is not None:
            index = f"[{address.instance_key}]"
        deposed = f" (deposed object {self.text(address.deposed)})" if address.deposed else ""
        type_, name = self.text(address.type), self.text(address.name)
        return f"{module}{data}{type_}.{name}{index}{deposed}"

    def _address_text(self, address: str) -> str:
        """An address that is given as a text, its keys redacted."""

        def key(match: re.Match[str]) -> str:
            plain = _json_inside(f'"{match[1]}"')
            return f'["{self._key_text(plain if isinstance(plain, str) else match[1])}"]'

        return self.text(_QUOTED_KEY.sub(key, address))

    def _path(self, path: Path) -> str:
        """A path as Terraform writes it: `tags["a b"]`, `list[0].name`; ASCII only.

        The first step is an attribute's name, which the provider chose; the rest may be keys of
        maps, which can be secret.
        """
        text = _attribute_name(str(path[0])) if path else ""
        for step in path[1:]:
            if isinstance(step, int):
                text += "[*]" if step == ANY_INDEX else f"[{step}]"
                continue
            key = self._key_text(step)
            text += f".{key}" if _IDENTIFIER.fullmatch(key) else f'["{key}"]'
        return text

    def _key_text(self, key: str) -> str:
        """A key of a map or of `for_each`, escaped as in JSON; ASCII only."""
        shown = self._keys.get(key)
        if shown is None:
            if key in self._short or is_random(key):
                shown = self._marker(key)
            else:
                shown = _ascii(self.text(key))
            if len(self._keys) < _DISTINCT_KEYS:
                self._keys[key] = shown
        return shown

    def _name(self, name: str) -> str:
        """A name that is no address, shortened."""
        return _ascii(self.text(name)[:_NAME_CHARACTERS])

    # ------------------------------------------------------------ values

    def _value(self, value: Value, marks: Marks | None = None, depth: int = 0) -> Shown:
        """A value that is not secret as a whole; what is secret inside is hidden."""
        if type(value) is str and marks is None and depth <= _DEPTH:
            return self._string(value)
        if value is None or value is ABSENT or isinstance(value, bool):
            return value
        if (marks is not None and marks.contradicts(value)) or depth > _DEPTH:
            return self._secret(value)
        if isinstance(value, dict):
            return {
                self._key_text(name): self._value(inner, None, depth + 1)
                if marks is None and not _is_suspect(name)
                else self._member(name, inner, marks, value, depth)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            below = marks.at(ANY_INDEX) if marks is not None else None
            hidden = below is not None and below.secret
            return [
                self._secret(inner) if hidden else self._value(inner, below, depth + 1)
                for inner in value
            ]
        return self._scalar(value)

    def _scalar(self, value: int | str) -> Shown:
        """A number or text, unless it is as a whole the same as a secret elsewhere."""
        if isinstance(value, str) and not isinstance(value, Number):
            return self._string(value)
        text = str(value)
        if len(text) >= _EXACT_CHARACTERS and text.strip() in self._short:
            return self._secret(value)
        if isinstance(value, int) and abs(value) <= _MAX_INTEGER:
            return value
        return {"number": text}

    def _string(self, text: str) -> Shown:
        """A text without the secrets that stand in it; a commitment if it is one."""
        if len(text) < _EXACT_CHARACTERS:
            return text
        if text.strip() in self._short:
            return self._secret(text)
        shown = self.text(text) if self._met is None else self._cut(text, self._met)
        return shown if len(shown) * 4 <= _LONG_TEXT_BYTES else self._long_text(shown, text)

    def _member(
        self, name: str, inner: Value, marks: Marks | None, parent: Value, depth: int
    ) -> Shown:
        """A member's value."""
        below = marks.at(name) if marks is not None else None
        if _hides(name, inner, below, parent):
            return self._secret(inner)
        return self._value(inner, below, depth + 1)

    def text(self, text: str) -> str:
        """A text from which every known secret is cut out."""
        if text in self._short and len(text) >= _EXACT_CHARACTERS:
            return self._marker(text)
        if len(text) < _SUBSTRING_CHARACTERS or text in self._clean:
            return text
        if not self._long and not has_shape(text):
            return text
        shown = self._cut(text, self._search.all_in_text(text))
        if shown is text and len(text) < _LONG_TEXT_BYTES and len(self._clean) < _CLEAN_TEXTS:
            self._clean.add(text)
        return shown

    def _cut(self, text: str, met: "_Met") -> str:
        """A text from which the secrets that were met, and secret shapes, are cut out."""
        shown = text
        for secret in met.secrets:
            if secret in text:
                shown = shown.replace(secret, self._marker(secret))
        if met.shapes and has_shape(shown):
            shown = replace_shapes(shown, lambda match: self._marker(match[0]))
        return shown

    def _long_text(self, shown: str, original: str) -> Shown:
        """A text as it is, or the beginning of a long one with its length and commitment."""
        if len(shown) * 4 <= _LONG_TEXT_BYTES or len(shown.encode()) <= _LONG_TEXT_BYTES:
            return shown
        return {
            "text": shown[:_SHOWN_CHARACTERS],
            "bytes": len(original.encode()),
            "digest": self._commitment(original),
        }

    def _secret(self, value: Value) -> Shown:
        """What stands for a secret; null and absent are no secret."""
        if value is None or value is ABSENT:
            return value
        return {"redacted": self._commitment(value)}

    def _marker(self, secret: str) -> str:
        """What stands for a secret inside a text."""
        return f"[redacted {self._commitment(secret)}]"

    def _commitment(self, value: Value) -> str:
        """A keyed hash of the value with its type: `hmac-sha256:` and 8 bytes in base64."""
        if isinstance(value, str) and not isinstance(value, Number):
            known = self._tokens.get(value)
            if known is None:
                known = self._tokens[value] = self._hash(b"string\n" + value.encode())
            return known
        try:
            return self._hash(b"json\n" + msgspec.json.encode(_portable(value), order="sorted"))
        except RecursionError:
            return self._hash(b"nested too deep")

    def _hash(self, message: bytes) -> str:
        digest = hmac.digest(self._key, message, "sha256")[:8]
        return f"hmac-sha256:{base64.b64encode(digest).decode('ascii')}"


@lru_cache(maxsize=16_384)
def _is_suspect(step: str | int) -> bool:
    """Whether what has this name may be secret for its name or the name beside it.

    Anything else is secret only if the state marks it.
    """
    return isinstance(step, str) and (step in _PAIR_VALUES or is_secret_name(step))


@lru_cache(maxsize=4_096)
def _suspects(names: tuple[str, ...]) -> tuple[str, ...]:
    """The suspects among an object's names; objects of one type have the same names."""
    return tuple(filter(_is_suspect, names))


class _Met(msgspec.Struct, frozen=True):
    """What a search met.

    Attributes:
        secrets: those that may stand there, longest first; no other does.
        shapes: whether what looks like a secret may stand there; if not, then certainly not.
    """

    secrets: list[str]
    shapes: bool


class _Search:
    """Looks for secrets in one text, or in all texts of an object at once.

    What is searched is JSON with no more escapes than it must have, in which a secret, escaped
    alike, stands wherever it stands in a text.

    Args:
        secrets: of at least 8 characters each, longest first.
    """

    def __init__(self, secrets: list[str]) -> None:
        self._secrets = secrets

    @cached_property
    def _escaped(self) -> dict[str, str]:
        """The secrets by how they stand in JSON."""
        return {
            secret
            if secret.isprintable() and '"' not in secret and "\\" not in secret
            else json.dumps(secret, ensure_ascii=False)[1:-1]: secret
            for secret in self._secrets
        }

    @cached_property
    def _grams(self) -> "_Grams":
        return _Grams(self._escaped)

    def all_in_text(self, text: str) -> _Met:
        """What may stand in a text."""
        if len(self._secrets) > _FEW:
            return self.all_in(text) or _Met(self._secrets, shapes=True)
        return _Met(self._secrets, shapes=True)

    def all_in(self, root: Value) -> _Met | None:
        """What may stand in any text of a value; None if that can't be told for all at once."""
        try:
            body = orjson.dumps(root)
        except orjson.JSONEncodeError:  # a huge integer, or nested deep
            return None
        shapes = may_have_shape(body)
        if not self._secrets:
            return _Met([], shapes)
        if len(self._secrets) <= _FEW:
            text = body.decode()
            return _Met([name for form, name in self._escaped.items() if form in text], shapes)
        return _Met(sorted(self._grams.names_in(body), key=len, reverse=True), shapes)


class _Grams:
    """Looks for many texts at once: mostly none of them is there, and that is seen fast.

    A gram is 8 successive bytes as a number. Each needle is known by one gram of its own; of a
    text, all grams are looked up, wherever they begin.

    Args:
        needles: texts of at least 8 characters, each with the name by which it is reported.
    """

    def __init__(self, needles: Mapping[str, str]) -> None:
        self._needles: dict[int, list[tuple[bytes, str]]] = {}
        for needle, name in needles.items():
            body = needle.encode()
            self._least_shared(body).append((body, name))

    def _least_shared(self, body: bytes) -> list[tuple[bytes, str]]:
        """The needles of a gram that the needle shares with few others, or with the fewest."""
        last = len(body) - _GRAM
        shared: list[list[tuple[bytes, str]]] = []
        for eighths in (4, 8, 0, 2, 6, 1, 3, 5, 7):  # the middle is where needles differ most
            start = last * eighths // 8
            gram = int.from_bytes(body[start : start + _GRAM], sys.byteorder)
            needles = self._needles.get(gram)
            if needles is None:
                needles = self._needles[gram] = []
            if len(needles) < _CROWDED:
                return needles
            shared.append(needles)
        return min(shared, key=len)

    def names_in(self, body: bytes) -> set[str]:
        """The names of the needles that stand in a text given in UTF-8."""
        found: set[str] = set()
        view = memoryview(body)
        for offset in range(min(_GRAM, len(body) - _GRAM + 1)):
            grams = view[offset : offset + (len(body) - offset & -_GRAM)].cast("Q")
            for gram in self._needles.keys() & grams:
                found.update(name for needle, name in self._needles[gram] if needle in body)
        return found


def _hides(step: str | int, value: Value, marks: Marks | None, parent: Value) -> bool:
    """Whether a value is secret as a whole: by a mark, its name, or the name beside it."""
    if value is None or value is ABSENT:
        return False
    if marks is not None and (marks.secret or marks.contradicts(value)):
        return True
    if not isinstance(step, str) or isinstance(value, bool):
        return False
    if is_secret_name(step):
        return not (isinstance(value, str) and is_reference(value))
    if step in _PAIR_VALUES and isinstance(parent, dict):
        return any(
            isinstance(name := parent.get(pair), str) and is_secret_name(name)
            for pair in _PAIR_NAMES
        )
    return False


def _at(value: Value, step: str | int) -> Value:
    """One step into a value, `ABSENT` where it doesn't lead."""
    inner: Value = ABSENT
    if isinstance(value, dict) and isinstance(step, str):
        inner = value.get(step, ABSENT)
    elif isinstance(value, list) and isinstance(step, int) and step < len(value):
        inner = value[step]
    return inner


def _sides(before: Shown, after: Shown) -> dict[str, Shown]:
    """Both sides of a difference, without one that is absent."""
    return {
        name: side for name, side in (("before", before), ("after", after)) if side is not ABSENT
    }


def _counts(changes: Iterable[ResourceChange | OutputChange]) -> dict[str, int]:
    """How many were added, changed and removed; the rest is bookkeeping."""
    counts = {"added": 0, "changed": 0, "removed": 0}
    for change in changes:
        counted = _COUNTED.get(change.action)
        if counted is not None:
            counts[counted] += 1
    return counts


def _portable(value: Value) -> Shown:
    """A value with its non-integers as objects, for hashing."""
    if isinstance(value, dict):
        return {name: _portable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_portable(inner) for inner in value]
    return {"number": str(value)} if isinstance(value, Number) else value


def _json_inside(text: str) -> Value:
    """The JSON that a text holds, or None."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        return cast("Value", msgspec.json.decode(text))
    return None


def _ascii(text: str) -> str:
    """A text escaped as in JSON, without quotes; most come out as they are."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return json.dumps(text)[1:-1]


_attribute_name = lru_cache(maxsize=4_096)(_ascii)
"""An attribute's name, escaped; the provider chose it, so that few are ever met."""


def _canonical(value: Shown) -> bytes:
    """The bytes of a value whose keys are ASCII: sorted keys, no space (RFC 8785)."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _with_items(head: Mapping[str, Shown], items: list[bytes]) -> bytes:
    """The canonical bytes of a change object, from its items' bytes."""
    before, _, after = _canonical(head).partition(b'"items":[]')
    return b"".join((before, b'"items":[', b",".join(items), b"]", after))


def _cut_item(item_bytes: bytes, limit_bytes: int) -> dict[str, Shown] | None:
    """An item that fits, with fewer attributes if need be; None if not even its address does."""
    item: dict[str, Shown] = orjson.loads(item_bytes)
    if len(item_bytes) <= limit_bytes:
        return item
    whole = item["attributes"]
    beyond = item.get("omitted", 0)
    item |= {"attributes": {}, "omitted": beyond + len(whole)}
    item.pop("settings", None)
    size = len(_canonical(item))
    if size > limit_bytes:
        return None
    for path, sides in whole.items():
        size += len(_canonical({path: sides}))
        if size > limit_bytes:
            break
        item["attributes"][path] = sides
    item["omitted"] = beyond + len(whole) - len(item["attributes"])
    return item
