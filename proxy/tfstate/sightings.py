"""Where a value stands that somebody asks about, in a state or in any other text.

It is looked for itself, also inside other texts: escaped, in base64, in hex, percent-encoded, and
in whatever `inside` can look into.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple
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
            ``inside``: in what a text carries (YAML, JSON, a URL …). ``plain``: in whatever of
            these ways, in a record, which should hide it.
        side: ``before`` or ``after`` in a record of a change; empty in a state.
    """

    address: str
    path: str
    how: str
    side: str = ""


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
        self._is_json = any(isinstance(each, dict | list) for each in self._values)
        self._needles = {
            json.dumps(form, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
            for form in self._names | self._forms.keys()
        }

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
        if any(self.in_name(part) for part in place.parts):
            yield Sighting(self.masked(place.shown), "", "key")
        for name, value in attributes(instance).items():
            yield from self._in_value(place, name, value)
        for name, raw in instance.settings.items():
            yield from self._in_value(place, name, decode(raw))

    def _in_output(self, module: str, name: str, output: Output) -> Iterator[Sighting]:
        place = _Place(f"{module}.output.{name}" if module else f"output.{name}", (module, name))
        if any(self.in_name(part) for part in place.parts):
            yield Sighting(self.masked(place.shown), "", "key")
        yield from self._in_value(place, "value", decode(output.value))

    def _in_value(self, place: _Place, path: str, value: Value) -> Iterator[Sighting]:
        """Yield the places in a value of any type."""
        address = self.masked(place.shown)
        for where, how in self.within(path, value):
            yield Sighting(address, self.masked(where), how)

    def within(self, path: str, value: Value, depth: int = 0) -> Iterator[tuple[str, str]]:
        """Yield where the value stands in another of any type: path, not masked yet, and how."""
        if depth > _NESTED:
            return
        if isinstance(value, dict | list) and value in self._values:
            yield path, "value"
        if isinstance(value, dict):
            for key, inner in value.items():
                if self.in_name(key):
                    yield below(path, key), "key"
                yield from self.within(below(path, key), inner, depth + 1)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                yield from self.within(f"{path}[{index}]", inner, depth + 1)
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
                    where = f"{where}[{step}]" if isinstance(step, int) else below(where, step)
                yield where, "inside"

    def _how(self, text: str) -> str:
        if text.strip() in self._names:
            return "value"
        return next((how for form, how in self._forms.items() if form in text), "")

    def may_stand_in(self, data: bytes) -> bool:
        """Tell whether the value may stand in JSON without being in what a text of it carries."""
        return self._is_json or any(needle in data for needle in self._needles)

    def is_value(self, text: str) -> bool:
        """Tell whether a text is the value."""
        return text in self._names

    def in_name(self, name: str) -> bool:
        """Tell whether the value stands in an address, a key or a name."""
        return name in self._texts or self._how(name) not in {"", "value"}

    def masked(self, shown: str) -> str:
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


def below(path: str, key: str) -> str:
    """Return the path of what has a key or name; a key that looks random is left out."""
    shown = "…" if is_random(key) else key
    if _IDENTIFIER.fullmatch(shown):
        return f"{path}.{shown}" if path else shown
    return f"{path}[{json.dumps(shown, ensure_ascii=False)}]"


def _path(steps: tuple[str | int, ...]) -> str:
    path = ""
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else below(path, step)
    return path
