"""Where a value stands that somebody asks about: in what was recorded, and in a state itself.

What was recorded holds no value, only commitments: whoever knows the value and the key can tell
which of them are the value's. In a state the value is looked for itself, also inside other texts:
escaped, in base64, in hex, percent-encoded, and in whatever `inside` can look into.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from proxy.tfstate.commitment import json_values
from proxy.tfstate.detectors import is_random
from proxy.tfstate.diff import (
    Address,
    Instance,
    Output,
    Value,
    attributes,
    decode,
    diff,
)
from proxy.tfstate.document import Document
from proxy.tfstate.inside import look

SUBSTRING: Final = 4
"""Characters from which on a value is found inside longer texts; shorter ones stand everywhere."""

HIDDEN: Final = "[the value]"
"""What is shown where the value stands in an address or a path."""

_DEPTH: Final = 8
"""Of texts inside texts."""
_NESTED: Final = 200
"""Of objects and lists."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_REMEMBERED: Final = 200_000
"""Objects that are not looked through again when another version holds them unchanged."""
_GO_ESCAPES: Final = re.compile("[<>&]")


class Sighting(NamedTuple):
    """One place where a value was seen.

    Attributes:
        address: of the resource, output or check; keys that look random, and the value, left out.
        path: from the address on; empty when the value stands in the address itself.
        how: ``value``: all of it. ``text``: inside a longer text. ``key``: in a key, an address or
            a name. ``base64``, ``hex``, ``escaped``, ``percent-encoded``: so inside a text.
            ``inside``: in what a text carries (YAML, JSON, a URL …).
        side: ``before`` or ``after`` in a record of a change; empty in a state.
    """

    address: str
    path: str
    how: str
    side: str = ""


# ---------------------------------------------------------------- in the record


def in_changes(changes: Mapping[str, Any], commitments: frozenset[str]) -> list[Sighting]:
    """Return where commitments stand in the redacted changes of an entry.

    Args:
        changes: an entry's ``changes``, or the whole document beside it.
        commitments: of one value: see commitment.commitments.
    """
    found: list[Sighting] = []
    items = changes.get("items")
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        address = str(item.get("address", ""))
        if _mentions(address, commitments):
            found.append(Sighting(address, "", "key"))
        for part in ("attributes", "settings"):
            sides = item.get(part)
            for path, shown in sides.items() if isinstance(sides, dict) else ():
                found += _in_sides(address, path, shown, commitments)
    rest = {name: value for name, value in changes.items() if name != "items"}
    found += [Sighting("", path, how) for path, how in _in_shown("", rest, commitments)]
    return list(dict.fromkeys(found))


def leaves_values_out(changes: Mapping[str, Any]) -> bool:
    """Tell whether redacted changes only say that a value changed: the mode ``names-only``."""
    items = changes.get("items")
    return any(
        shown == {"changed": True}
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and isinstance(item.get("attributes"), dict)
        for shown in item["attributes"].values()
    )


def _in_sides(
    address: str, path: str, sides: object, commitments: frozenset[str]
) -> Iterator[Sighting]:
    if _mentions(path, commitments):
        yield Sighting(address, path, "key")
    if not isinstance(sides, dict):
        return
    for side in ("before", "after"):
        for place, how in _in_shown(path, sides.get(side), commitments):
            yield Sighting(address, place, how, side)


def _in_shown(path: str, shown: object, commitments: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield path and how for each commitment in what is shown; entries nest only so deep."""
    if isinstance(shown, str):
        if _mentions(shown, commitments):
            yield path, "text"
    elif isinstance(shown, list):
        for index, inner in enumerate(shown):
            yield from _in_shown(f"{path}[{index}]", inner, commitments)
    elif isinstance(shown, dict):
        for key, inner in shown.items():
            if _mentions(key, commitments):
                yield _below(path, key), "key"
            if key in {"redacted", "digest"} and inner in commitments:
                yield path, "value"
            else:
                yield from _in_shown(_below(path, key), inner, commitments)


def _mentions(text: str, commitments: frozenset[str]) -> bool:
    return any(commitment in text for commitment in commitments)


# ---------------------------------------------------------------- in a state


class _Place(NamedTuple):
    """An address as it is shown, and its parts as they are."""

    shown: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, address: Address) -> "_Place":
        key = address.instance_key
        index = ""
        if isinstance(key, str):
            index = f'["{"…" if is_random(key) else key}"]'
        elif key is not None:
            index = f"[{key}]"
        shown = (
            (f"{address.module}." if address.module else "")
            + ("data." if address.mode == "data" else "")
            + f"{address.type}.{address.name}{index}"
            + (f" (deposed object {address.deposed})" if address.deposed else "")
        )
        return cls(shown, (address.module, address.type, address.name, str(key), address.deposed))


class Search:
    """Looks for one value in the versions of a state; an object that did not change, only once.

    Args:
        value: as a person types it.
    """

    def __init__(self, value: str) -> None:
        self._seen: dict[tuple[str, bytes], list[Sighting]] = {}
        self._texts = {text for text in (value, value.strip()) if text}
        self._values = [each for text in self._texts for each in json_values(text)]
        self._names = {_literal(each) for each in self._values} | self._texts
        self._forms: dict[str, str] = {}
        for text in sorted(self._texts, key=len):
            if len(text) >= SUBSTRING:
                for form, how in _forms(text):
                    self._forms.setdefault(form, how)

    def in_document(self, document: Document) -> list[Sighting]:
        """Return where the value stands in a state, which is not encrypted."""
        changes = diff(None, document)
        found: list[Sighting] = []
        for resource in changes.resources:
            if resource.after is not None:
                found += self._in_object(_Place.of(resource.address), resource.after)
        for output in changes.outputs:
            if output.after is not None:
                found += self._in_output(output.module, output.name, output.after)
        for check in changes.checks:
            for difference in check.differences:
                place = _Place(check.address, (check.address,))
                found += self._in_value(place, _path(difference.path), difference.after)
        return list(dict.fromkeys(found))

    def _in_object(self, place: _Place, instance: Instance) -> list[Sighting]:
        """Return the places in an object of a resource."""
        digest = hashlib.sha256(instance.attributes)
        for name, raw in instance.settings.items():
            digest.update(name.encode("utf-8", "replace"))
            digest.update(raw)
        key = place.shown, digest.digest()
        known = self._seen.get(key)
        if known is None:
            known = list(self._places_in(place, instance))
            if len(self._seen) < _REMEMBERED:
                self._seen[key] = known
        return known

    def _places_in(self, place: _Place, instance: Instance) -> Iterator[Sighting]:
        if any(self._in_name(part) for part in place.parts):
            yield Sighting(self._masked(place.shown), "", "key")
        for name, value in attributes(instance).items():
            yield from self._in_value(place, name, value)
        for name, raw in instance.settings.items():
            yield from self._in_value(place, name, decode(raw))

    def _in_output(self, module: str, name: str, output: Output) -> Iterator[Sighting]:
        place = _Place(f"{module}.output.{name}" if module else f"output.{name}", (module, name))
        if any(self._in_name(part) for part in place.parts):
            yield Sighting(self._masked(place.shown), "", "key")
        yield from self._in_value(place, "value", decode(output.value))

    def _in_value(self, place: _Place, path: str, value: Value) -> Iterator[Sighting]:
        """Yield the places in a value of any type."""
        address = self._masked(place.shown)
        for where, how in self._in(path, value, 0):
            yield Sighting(address, self._masked(where), how)

    def _in(self, path: str, value: Value, depth: int) -> Iterator[tuple[str, str]]:
        if depth > _NESTED:
            return
        if isinstance(value, dict | list) and value in self._values:
            yield path, "value"
        if isinstance(value, dict):
            for key, inner in value.items():
                if self._in_name(key):
                    yield _below(path, key), "key"
                yield from self._in(_below(path, key), inner, depth + 1)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                yield from self._in(f"{path}[{index}]", inner, depth + 1)
        elif isinstance(value, str):
            yield from self._in_text(path, value, 0)
        elif isinstance(value, bool | int) and _literal(value) in self._names:
            yield path, "value"

    def _in_text(self, path: str, text: str, depth: int) -> Iterator[tuple[str, str]]:
        how = self._how(text)
        if how:
            yield path, how
        carrier = look(text) if depth < _DEPTH and how != "value" else None
        for inner in carrier.places if carrier is not None else ():
            if inner.value != text and any(True for _ in self._in_text("", inner.value, depth + 1)):
                where = path
                for step in inner.path:
                    where = f"{where}[{step}]" if isinstance(step, int) else _below(where, step)
                yield where, "inside"

    def _how(self, text: str) -> str:
        if text.strip() in self._names:
            return "value"
        return next((how for form, how in self._forms.items() if form in text), "")

    def _in_name(self, name: str) -> bool:
        return name in self._texts or self._how(name) not in {"", "value"}

    def _masked(self, shown: str) -> str:
        """Return an address or path without the value."""
        for form in sorted(self._forms.keys() | self._texts, key=len, reverse=True):
            if len(form) >= SUBSTRING or form == shown:
                shown = shown.replace(form, HIDDEN)
        return shown


def _forms(text: str) -> Iterator[tuple[str, str]]:
    """Yield the text and how it stands in other texts."""
    data = text.encode("utf-8", "surrogatepass")
    yield text, "text"
    escaped = text
    for _ in range(2):
        escaped = json.dumps(escaped, ensure_ascii=False)[1:-1]
        yield escaped, "escaped"
        yield _GO_ESCAPES.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped), "escaped"
    yield json.dumps(text)[1:-1], "escaped"
    yield quote(text, safe="", errors="replace"), "percent-encoded"
    yield quote(text, errors="replace"), "percent-encoded"
    yield data.hex(), "hex"
    yield data.hex().upper(), "hex"
    for part in _base64(data):
        yield part, "base64"
        yield part.replace("+", "-").replace("/", "_"), "base64"


def _base64(data: bytes) -> Iterator[str]:
    """Yield what is the same of a text in base64 wherever it begins (RFC 4648, section 4)."""
    for skipped in range(3):
        encoded = base64.b64encode(b"\0" * skipped + data).decode().rstrip("=")
        start = -(-skipped * 8 // 6)
        end = (skipped + len(data)) * 8 // 6
        if end - start >= SUBSTRING:
            yield encoded[start:end]


def _literal(value: Value) -> str:
    """Return a scalar as JSON writes it."""
    if isinstance(value, str):
        return str(value)
    return msgspec.json.encode(value).decode() if isinstance(value, bool | int) else ""


def _below(path: str, key: str) -> str:
    shown = "…" if is_random(key) else key
    if _IDENTIFIER.fullmatch(shown):
        return f"{path}.{shown}" if path else shown
    return f"{path}[{json.dumps(shown, ensure_ascii=False)}]"


def _path(steps: tuple[str | int, ...]) -> str:
    path = ""
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else _below(path, step)
    return path
