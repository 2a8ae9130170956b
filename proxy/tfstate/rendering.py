"""Renders a change without its secrets: every value, key, address and text of it passes here.

A value that is secret as a whole becomes a commitment; wherever a known secret, or what looks like
one, stands inside a text, an address or a key, it is cut out there. Texts that carry others keep
their shape: JSON stays JSON, a URL stays a URL.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from proxy.tfstate.commitment import commitment, text_commitment
from proxy.tfstate.detectors import find, is_random
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
    Unreadable,
    Value,
    attributes,
    decode,
    json_inside,
)
from proxy.tfstate.inside import Place, look, splice
from proxy.tfstate.judge import (
    CARRIERS,
    DEPTH,
    NAMED,
    OUTPUT,
    READABLE,
    Judge,
    Subject,
    flat_level,
    is_redacted,
    leaf_name,
    subject_of,
)
from proxy.tfstate.marks import ANY_INDEX, Marks, mark_paths
from proxy.tfstate.secrets import (
    EXACT_CHARACTERS,
    SUBSTRING_CHARACTERS,
    Secrets,
    Span,
    merged,
)

Shown: TypeAlias = Any
"""JSON in the subset that an entry may hold, without secrets."""

_LONG_TEXT_BYTES: Final = 4_096
_SHOWN_CHARACTERS: Final = 1_024
WHOLE_DOCUMENT_BYTES: Final = 33_554_432
"""Of attributes that the whole document beside an entry may be made from: about 3 s of work."""
_NAME_CHARACTERS: Final = 100
_OTHER_NAMES: Final = 20
_MAX_INTEGER: Final = 2**53 - 1
_REMEMBERED: Final = 10_000
_REMEMBERED_CHARACTERS: Final = 256
_INHERITED_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,63}")

_WORD: Final = re.compile(r"[a-z]{1,7}")
"""A short word is the name of a thing, also when somebody took it as a password."""
_TYPE: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_QUOTED_KEY: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]', re.DOTALL)
_MARKER: Final = re.compile(r"\[redacted hmac-sha256:[A-Za-z0-9+/]{11}=\]")

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
_CHANGED: Final = {"changed": True}


def counts(changes: Iterable[ResourceChange | OutputChange]) -> dict[str, int]:
    """How many were added, changed and removed; the rest is bookkeeping."""
    found = {"added": 0, "changed": 0, "removed": 0}
    for change in changes:
        counted = _COUNTED.get(change.action)
        if counted is not None:
            found[counted] += 1
    return found


class Renderer:
    """Renders one change.

    Args:
        changes: what is to be rendered.
        key: the workspace's key, for commitments.
        judge: says what is secret where it stands.
        secrets: what is secret wherever it stands.
        clean: the objects that hold no secret of their own.
        mode: the policy's; `strict` also when there are too many secrets to hunt for.
        budget_bytes: of attributes, as they stand in the states, that are rendered; of objects
            beyond, only the number of attributes is told.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a rendering depends on
        self,
        changes: Changes,
        key: bytes,
        judge: Judge,
        secrets: Secrets,
        clean: frozenset[Address],
        mode: str,
        budget_bytes: int = WHOLE_DOCUMENT_BYTES,
    ) -> None:
        self._changes = changes
        self._key = key
        self._judge = judge
        self._secrets = secrets
        self._clean_objects = clean
        self._mode = mode
        self._budget_bytes = budget_bytes
        self._subject = Subject("")
        self._shortest = 1 if judge.policy.hidden_values else EXACT_CHARACTERS
        self._clean: set[tuple[str, str]] = set()
        self._keys: dict[str, str] = {}
        self._commitments: dict[str, str] = {}

    # ------------------------------------------------------------ the items

    def head(self) -> dict[str, Shown]:
        """Everything but the items."""
        changes = self._changes
        head: dict[str, Shown] = {
            "resources": counts(changes.resources),
            "outputs": counts(changes.outputs),
            "items": [],
            "omitted": 0,
        }
        if self._mode != "standard":
            head["mode"] = self._mode
        if changes.terraform_version is not None:
            before, after = (self.name(version) for version in changes.terraform_version)
            head["terraform_version"] = {"before": before, "after": after}
        if changes.other:
            head["other"] = [self.name(name) for name in changes.other[:_OTHER_NAMES]]
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
            "address": self.address(change.address),
            "action": change.action,
            "attributes": {},
        }
        size = sum(
            len(memoryview(instance.attributes))
            for instance in (change.before, change.after)
            if instance is not None
        )
        if change.action != "depose" and size <= self._budget_bytes:
            self._budget_bytes -= size
            item["attributes"] = self._attributes(change)
        elif change.action != "depose":
            item["omitted"] = len(change.differences)
        if change.settings:
            item["settings"] = {
                self.name(str(setting.path[0])): self._setting(setting)
                for setting in change.settings
            }
        if change.after is not None and change.after.tainted:
            item["tainted"] = True
        return item

    def _attributes(self, change: ResourceChange) -> dict[str, Shown]:
        """The attributes that differ, by path."""
        address = change.address
        before, after = change.before, change.after
        self._subject = subject_of(address.type, address.mode, before, after)
        flat = (before is not None and before.flat) or (after is not None and after.flat)
        if not flat and (before is None or after is None):
            return self._whole(change)
        if not flat and self._mode == "standard" and address in self._clean_objects:
            return {
                self.path(path): _sides(self._plain(old), self._plain(new))
                for path, old, new in change.differences
            }
        roots = change.roots
        if roots is None:
            roots = attributes(before), attributes(after)
        shown: dict[str, Shown] = {}
        for difference in change.differences:
            if flat:
                path, sides = self._flat_sides(difference, roots)
            else:
                path, sides = self._sides(difference, roots, self._subject.marks)
            shown[path] = sides
        return shown

    def _whole(self, change: ResourceChange) -> dict[str, Shown]:
        """All attributes of a new or removed object but those that are null."""
        side = "before" if change.after is None else "after"
        root = attributes(change.after or change.before)
        marks = self._subject.marks
        all_secret = marks is not None and marks.secret
        is_clean = self._is_clean(change.address, root)
        shown: dict[str, Shown] = {}
        for name, value in root.items():
            if value is None:
                continue
            if is_clean:
                sides = {side: self._readable(value, 0)}
            elif self._mode != "standard" or all_secret:
                sides = self._hidden_sides(**{side: value})
            else:
                below = marks.at(name) if marks is not None else None
                sides = {side: self._member((name,), value, below, root, 0, inherited=False)}
            shown[attribute_name(name)] = sides
        return shown

    def _is_clean(self, address: Address, root: dict[str, Value]) -> bool:
        """Whether an object holds neither a secret of its own nor a longer one of elsewhere."""
        if self._mode != "standard" or address not in self._clean_objects:
            return False
        try:
            body = orjson.dumps(root)
        except orjson.JSONEncodeError:  # a huge integer, or nested deep
            return False
        return not self._secrets.may_stand_in(body.decode())

    def _sides(
        self, difference: Difference, roots: tuple[Value, Value], marks: Marks | None
    ) -> tuple[str, dict[str, Shown]]:
        """A difference's path and its sides, hidden from the first secret step on."""
        path = difference.path
        before, after = difference.before, difference.after
        if marks is not None and marks.secret:
            return self.path(path[:1]), self._hidden_sides(
                _at(roots[0], path[0]), _at(roots[1], path[0])
            )
        node = marks
        old, new = roots
        inherited = False
        why = ""
        for number, step in enumerate(path, start=1):
            node = node.at(step) if node is not None else None
            old_inner, new_inner = _at(old, step), _at(new, step)
            here = path[:number]
            why = self._why(here, old_inner, node, old)
            if not why or why is NAMED or why is READABLE:  # the other one may have a stronger
                why = self._why(here, new_inner, node, new) or why
            if why and why is not NAMED and why is not READABLE:
                return self.path(here), self._hidden_sides(old_inner, new_inner)
            inherited = why is not READABLE and (inherited or why is NAMED)
            old, new = old_inner, new_inner
        shown = self.path(path, inherited=inherited)
        containers = isinstance(before, dict | list) or isinstance(after, dict | list)
        if self._mode != "standard" or (why is NAMED and not containers):
            return shown, self._hidden_sides(before, after)
        if why is READABLE and not containers:
            return shown, _sides(self._plain(before), self._plain(after))
        return shown, _sides(
            self._rest(path, before, node, inherited=inherited),
            self._rest(path, after, node, inherited=inherited),
        )

    def _why(self, path: Path, value: Value, node: Marks | None, parent: Value) -> str:
        return self._judge.why(self._subject, path, value, node, parent)

    def _rest(self, path: Path, value: Value, node: Marks | None, *, inherited: bool) -> Shown:
        """The value that a difference leads to, when no mark on the way hides it."""
        scalar = not isinstance(value, dict | list)
        if inherited and scalar and self._judge.hides_inherited(path, value):
            return self.secret(value)
        return self._value(path, value, node, 0, inherited=inherited)

    def _hidden_sides(self, before: Value = ABSENT, after: Value = ABSENT) -> dict[str, Shown]:
        """Both sides of what is hidden as a whole."""
        if self._mode == "names-only":
            return dict(_CHANGED)
        return _sides(self.secret(before), self.secret(after))

    def _flat_sides(
        self, difference: Difference, roots: tuple[dict[str, Value], ...]
    ) -> tuple[str, dict[str, Shown]]:
        """The same for a flat map, whose keys are whole paths."""
        key = str(difference.path[0])
        steps = key.split(".")
        level = flat_level(self._judge, self._subject, key, roots)
        path = self.flat_path(key, level)
        if not level and self._mode == "standard":
            return path, _sides(
                self._string(str(difference.before), steps[-1])
                if isinstance(difference.before, str)
                else self._plain(difference.before),
                self._string(str(difference.after), steps[-1])
                if isinstance(difference.after, str)
                else self._plain(difference.after),
            )
        return path, self._hidden_sides(difference.before, difference.after)

    def _output_item(self, change: OutputChange) -> dict[str, Shown]:
        """What happened to an output; secret when either version or its name says so."""
        self._subject = OUTPUT
        name = change.name
        versions = (change.before, change.after)
        values = tuple(ABSENT if v is None else decode(v.value) for v in versions)
        marked = any(v is not None and v.sensitive for v in versions)
        shown: dict[str, Shown] = {}
        for difference in change.differences:
            if difference.path[0] == "type" and (marked or self._mode != "standard"):
                shown["type"] = dict(_CHANGED)  # it names the keys of the value
            elif difference.path[0] != "value":
                sides = _sides(self._plain(difference.before), self._plain(difference.after))
                shown[self.path(difference.path)] = sides
            elif marked:
                shown["value"] = self._hidden_sides(*values)
            else:
                named = Difference(
                    (name, *difference.path[1:]), difference.before, difference.after
                )
                roots: tuple[Value, Value] = ({name: values[0]}, {name: values[1]})
                path, sides = self._sides(named, roots, None)
                shown["value" + path.removeprefix(attribute_name(name))] = sides
        module = f"{self.address_text(change.module)}." if change.module else ""
        return {
            "address": f"{module}output.{self.name(name)}",
            "action": change.action,
            "attributes": shown,
        }

    def _check_item(self, change: CheckChange) -> dict[str, Shown]:
        """A check's result and its messages."""
        self._subject = Subject("")
        shown: dict[str, Shown] = {}
        for difference in change.differences:
            if self._mode != "standard":
                sides = self._hidden_sides(difference.before, difference.after)
            else:
                sides = _sides(
                    self._value(difference.path, difference.before, None, 0, inherited=False),
                    self._value(difference.path, difference.after, None, 0, inherited=False),
                )
            shown[self.path(difference.path)] = sides
        return {
            "address": self.address_text(change.address),
            "action": "check",
            "attributes": shown,
        }

    def _setting(self, difference: Difference) -> dict[str, Shown]:
        """What differs beside the attributes; what we don't know is only said to have changed."""
        name = difference.path[0]
        if name == "sensitive_attributes":
            before, after = (
                [self.path(path) for path in mark_paths(side)]
                for side in (difference.before, difference.after)
            )
            return {"before": before, "after": after}
        if name not in _SHOWN_SETTINGS or self._mode != "standard":
            return dict(_CHANGED)
        if name == "identity":
            return _sides(
                self._value(("identity",), difference.before, None, 0, inherited=False),
                self._value(("identity",), difference.after, None, 0, inherited=False),
            )
        return _sides(self._setting_value(difference.before), self._setting_value(difference.after))

    def _setting_value(self, value: Value) -> Shown:
        """A setting's value, in which every text may be an address."""
        if isinstance(value, list):
            return [self._setting_value(inner) for inner in value]
        if isinstance(value, str):
            return self._long_text(self.address_text(value), value)
        return self._plain(value)

    # ------------------------------------------------------------ addresses, paths, keys

    def address(self, address: Address) -> str:
        """An address as Terraform writes it, its keys redacted."""
        module = f"{self.address_text(address.module)}." if address.module else ""
        data = "data." if address.mode == "data" else ""
        index = ""
        if isinstance(address.instance_key, str):
            index = f'["{self.key_text(address.instance_key)}"]'
        elif address.instance_key is not None:
            key = str(address.instance_key)
            index = f"[{self.marker(key) if key in self._secrets else key}]"
        deposed = f" (deposed object {self.text(address.deposed)})" if address.deposed else ""
        name = self.text(address.name)
        type_ = address.type if _TYPE.fullmatch(address.type) else self.text(address.type)
        return f"{module}{data}{type_}.{name}{index}{deposed}"

    def address_text(self, address: str) -> str:
        """An address that is given as a text, its keys redacted."""

        def key(match: re.Match[str]) -> str:
            plain = json_inside(f'"{match[1]}"')
            return f'["{self.key_text(plain if isinstance(plain, str) else match[1])}"]'

        return self.text(_QUOTED_KEY.sub(key, address))

    def path(self, path: Path, *, inherited: bool = False) -> str:
        """A path as Terraform writes it: `tags["a b"]`, `list[0].name`; ASCII only.

        The first step is an attribute's name, which the provider chose; the rest may be keys of
        maps, which can be secret.
        """
        text = attribute_name(str(path[0])) if path else ""
        for step in path[1:]:
            if isinstance(step, int):
                text += "[*]" if step == ANY_INDEX else f"[{step}]"
                continue
            key = self.key_text(step, inherited=inherited)
            text += f".{key}" if _IDENTIFIER.fullmatch(key) else f'["{key}"]'
        return text

    def flat_path(self, key: str, level: int) -> str:
        """A key of a flat map, its secret parts redacted; ASCII only.

        Args:
            key: a whole path, such as `list.0.name`.
            level: how many steps lead to a secret, see `judge.flat_level`; 0 when it is none.
        """
        name, *steps = key.split(".")
        below = len(steps) if not level else level - 1
        inner = self.text(".".join(steps[:below])).split(".") if below and steps else []
        shown = [ascii_text(name), *map(self.key_text, inner)]
        if below < len(steps):
            shown.append(self.marker(".".join(steps[below:])))
        return ".".join(shown)

    def key_text(self, key: str, *, inherited: bool = False) -> str:
        """A key of a map or of `for_each`, escaped as in JSON; ASCII only.

        Args:
            key: as it stands in the state.
            inherited: whether what it stands in has a secret's name, so that it may be one.
        """
        shown = self._keys.get(key)
        if shown is None:
            is_secret = key in self._secrets and _WORD.fullmatch(key) is None
            hidden = is_secret or is_random(key)
            shown = self.marker(key) if hidden else ascii_text(self.text(key))
            if len(self._keys) < _REMEMBERED:
                self._keys[key] = shown
        if inherited and not (_INHERITED_KEY.fullmatch(key) or is_redacted(key)):
            return self.marker(key)
        return shown

    def name(self, name: str) -> str:
        """A name that is no address, shortened."""
        return ascii_text(self.text(name)[:_NAME_CHARACTERS])

    # ------------------------------------------------------------ values

    def _member(  # noqa: PLR0913 - a value with all that is known of it
        self,
        path: Path,
        value: Value,
        node: Marks | None,
        parent: Value,
        depth: int,
        *,
        inherited: bool,
    ) -> Shown:
        """A value that stands in another."""
        if value is None or value is ABSENT:
            return value
        why = self._judge.why(self._subject, path, value, node, parent)
        container = isinstance(value, dict | list)
        if why is READABLE:  # in what holds others, a mark or another pattern may hide one
            if container:
                return self._value(path, value, node, depth, inherited=False)
            return self._plain(value)
        if why and (why is not NAMED or not container):
            return self.secret(value)
        if inherited and not container and self._judge.hides_inherited(path, value):
            return self.secret(value)
        return self._value(path, value, node, depth, inherited=inherited or why is NAMED)

    def _value(
        self, path: Path, value: Value, node: Marks | None, depth: int, *, inherited: bool
    ) -> Shown:
        """A value that is not secret as a whole; what is secret inside is hidden."""
        kind = type(value)
        if kind is str:
            return self._string(value, leaf_name(path))  # type: ignore[arg-type]
        if value is None or value is ABSENT or kind is bool:
            return value
        if depth > DEPTH:
            return self.secret(value)
        if isinstance(value, dict):
            return {
                self.key_text(name, inherited=inherited): self._member(
                    (*path, name),
                    inner,
                    node.at(name) if node is not None else None,
                    value,
                    depth + 1,
                    inherited=inherited,
                )
                for name, inner in value.items()
            }
        if isinstance(value, list):
            below = node.at(ANY_INDEX) if node is not None else None
            return [
                self._member((*path, index), inner, below, value, depth + 1, inherited=inherited)
                for index, inner in enumerate(value)
            ]
        return self._scalar(value)

    def _readable(self, value: Value, depth: int) -> Shown:  # noqa: PLR0911 - one for each type
        """A value of a clean object: at most it is, as a whole, the same as a short secret."""
        kind = type(value)
        if kind is str:
            text: str = value  # type: ignore[assignment]
            if len(text.strip()) < SUBSTRING_CHARACTERS and text in self._secrets:
                return self.secret(text)
            return text if len(text) * 4 <= _LONG_TEXT_BYTES else self._long_text(text, text)
        if kind is bool or value is None:
            return value
        if depth > DEPTH:
            return self.secret(value)
        if isinstance(value, dict):
            return {
                self.key_text(name): self._readable(inner, depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self._readable(inner, depth + 1) for inner in value]
        return self._scalar(value)

    def _plain(self, value: Value, depth: int = 0) -> Shown:  # noqa: PLR0911 - one for each type
        """A value that is known to be readable: only secrets of elsewhere are hidden in it."""
        if isinstance(value, dict) and depth <= DEPTH:
            return {
                self.key_text(name): self._plain(inner, depth + 1) for name, inner in value.items()
            }
        if isinstance(value, list) and depth <= DEPTH:
            return [self._plain(inner, depth + 1) for inner in value]
        if isinstance(value, dict | list):
            return self.secret(value)
        if isinstance(value, str) and not isinstance(value, Number):
            if not self._secrets:
                return self._long_text(value, value)
            if value in self._secrets:
                return self.secret(value)
            return self._long_text(self._cut(value, self._secrets.spans(value)), value)
        if value is None or value is ABSENT or isinstance(value, bool):
            return value
        return self._scalar(value)

    def _scalar(self, value: Value) -> Shown:
        """A number, unless it is as a whole the same as a secret elsewhere."""
        text = str(value)
        if text in self._secrets or isinstance(value, Unreadable) or len(text) > _SHOWN_CHARACTERS:
            return self.secret(value)
        if isinstance(value, int) and abs(value) <= _MAX_INTEGER:
            return value
        return {"number": text}

    def _string(self, text: str, name: str) -> Shown:
        """A text without the secrets that stand in it; a commitment if it is one."""
        if len(text) < self._shortest:
            return text
        if text in self._secrets:
            return self.secret(text)
        shown = self.text(text, name, look_inside=True)
        return shown if len(shown) * 4 <= _LONG_TEXT_BYTES else self._long_text(shown, text)

    def text(self, text: str, name: str = "", *, look_inside: bool = False) -> str:
        """A text from which every known secret, and what looks like one, is cut out.

        Args:
            text: to be shown.
            name: of the attribute whose value it is.
            look_inside: whether it may carry others (JSON, YAML ...).
        """
        if len(text) < self._shortest or (name, text) in self._clean:
            return text
        is_simple = not (look_inside or name or self._secrets or self._judge.finds_values)
        if is_simple and len(text) <= _REMEMBERED_CHARACTERS and is_shapeless(text):
            return text
        shown = self._redacted(text, name, 0 if look_inside else None)
        if (
            shown is text
            and look_inside
            and len(text) <= _REMEMBERED_CHARACTERS
            and len(self._clean) < _REMEMBERED
        ):
            self._clean.add((name, text))
        return shown

    def _redacted(self, text: str, name: str, depth: int | None) -> str:
        """A text, of which the places that it carries are redacted each for itself.

        Args:
            text: to be shown.
            name: of the attribute whose value it is.
            depth: in how many texts it stands; None if it can't carry any.
        """
        if text in self._secrets:
            return self.marker(text)
        spans = self._secrets.spans(text) if len(text) >= SUBSTRING_CHARACTERS else []
        for start, end, _ in find(text, name):
            spans.append(Span(start, end, text[start:end]))
        for start, end in self._judge.policy.find_values(text):
            spans.append(Span(start, end, text[start:end]))
        carrier = look(text) if depth is not None else None
        if carrier is not None and depth == CARRIERS:
            return self.marker(text)
        edits: list[tuple[Place, str]] = []
        for place in carrier.places if carrier is not None else ():
            why = self._judge.why_place(place)
            value = place.value
            if why:
                shown = self.marker(value) if value else value
            elif place.is_key:
                shown = self.text(value)
            else:
                shown = self._redacted(
                    value, place.label or leaf_name(place.path) or name, (depth or 0) + 1
                )
            if shown != value:
                edits.append((place, shown))
        if not edits:
            return self._cut(text, spans)
        return self._spliced(text, edits, spans)

    def _spliced(self, text: str, edits: list[tuple[Place, str]], spans: list[Span]) -> str:
        """A text with some places edited and some spans cut out.

        A span inside an edited place was dealt with there; one that reaches beyond it swallows
        the place.
        """
        edits.sort(key=lambda edit: edit[0].start)
        starts = [place.start for place, _ in edits]
        outside: list[Span] = []
        swallowed: set[int] = set()
        for span in merged(spans, text):
            first = max(0, bisect_right(starts, span.start) - 1)
            place = edits[first][0]
            if place.start <= span.start and span.end <= place.end:
                continue
            outside.append(span)
            for number in range(first, len(edits)):
                place = edits[number][0]
                if place.start >= span.end:
                    break
                if span.start < place.end and number not in swallowed:
                    swallowed.add(number)
                    outside.append(Span(place.start, place.end, text[place.start : place.end]))
        if not outside:
            return splice(text, edits)
        kept = [edit for number, edit in enumerate(edits) if number not in swallowed]
        for cut in merged(outside, text):
            marker = self.marker(cut.secret)
            kept.append((Place(cut.start, cut.end, (), cut.secret, lambda new: new), marker))
        return splice(text, kept)

    def _cut(self, text: str, spans: list[Span]) -> str:
        """A text without some spans; markers that stand in it already are kept."""
        if not spans:
            return text
        pieces: list[str] = []
        position = 0
        markers = _MARKER.finditer(text)
        marker = next(markers, None)
        for start, end, secret in merged(spans, text):
            while marker is not None and marker.end() < end:
                marker = next(markers, None)
            if marker is not None and marker.start() <= start:
                continue
            pieces += (text[position:start], self.marker(secret))
            position = end
        return "".join((*pieces, text[position:]))

    def _long_text(self, shown: str, original: str) -> Shown:
        """A text as it is, or the beginning of a long one with its length and commitment."""
        if len(shown) * 4 <= _LONG_TEXT_BYTES or len(shown.encode()) <= _LONG_TEXT_BYTES:
            return shown
        return {
            "text": shown[:_SHOWN_CHARACTERS],
            "bytes": len(original.encode()),
            "digest": self._commitment(original),
        }

    def secret(self, value: Value) -> Shown:
        """What stands for a secret; null and absent are no secret."""
        if value is None or value is ABSENT:
            return value
        if self._mode == "names-only":
            return dict(_CHANGED)
        return {"redacted": self._commitment(value)}

    def marker(self, secret: str) -> str:
        """What stands for a secret inside a text."""
        if self._mode == "names-only":
            return "[redacted]"
        return f"[redacted {self._commitment(secret)}]"

    def _commitment(self, value: Value) -> str:
        if type(value) is not str:
            return commitment(self._key, value)
        known = self._commitments.get(value)
        if known is None:
            known = self._commitments[value] = text_commitment(self._key, value)
        return known


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


@lru_cache(maxsize=16_384)
def is_shapeless(text: str) -> bool:
    """Whether nothing in a short text gives itself away; types and names come again and again."""
    return not find(text)


def ascii_text(text: str) -> str:
    """A text escaped as in JSON, without quotes; most come out as they are."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return json.dumps(text)[1:-1]


attribute_name = lru_cache(maxsize=4_096)(ascii_text)
"""An attribute's name, escaped; the provider chose it, so that few are ever met."""
