"""JSON: one document or several, and as much of a broken one as can be read.

RFC 8259, read by a scanner of our own, since no parser tells where a value stands, and most keep
only the last of two members with the same name.
"""

import json
import re
from typing import Final, NamedTuple

from proxy.tfstate.carriers.place import MAX_PLACES, Path, Place, below, rest
from proxy.tfstate.carriers.siblings import NOTED, Range, Siblings, apply

_DEPTH: Final = 1_000
"""Levels; a document that goes further is as good as broken there."""

_STRING: Final = r'"((?:[^"\\]++|\\.)*+)"'
_SPACE: Final = r"[ \t\r\n]*+"
_KEY: Final = re.compile(f"{_SPACE}{_STRING}{_SPACE}:", re.DOTALL)
_VALUE: Final = re.compile(
    f"{_SPACE}(?:{_STRING}|(-?(?:[0-9][0-9.eE+-]*+|Infinity)|NaN|true|false)|(null)|([{{[]))",
    re.DOTALL,
)
_AFTER: Final = re.compile(f"{_SPACE}([,\\]}}])")
_BLANK: Final = re.compile(_SPACE)
_LOOSE: Final = json.JSONDecoder(strict=False)


class Json(NamedTuple):
    """What could be read.

    Attributes:
        places: the values found.
        end: how far the text is JSON.
        documents: how many values stand there one after the other.
    """

    places: list[Place]
    end: int
    documents: int


class _Frame:
    """A map or a list that is not closed yet."""

    __slots__ = ("first", "index", "is_map", "key", "key_first", "path", "siblings")

    def __init__(self, path: Path, first: int, *, is_map: bool) -> None:
        self.path = path
        self.first = first
        self.is_map = is_map
        self.index = 0
        self.key = ""
        self.key_first = 0
        self.siblings: Siblings | None = None


def encode_string(text: str) -> str:
    """What stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def encode_scalar(text: str) -> str:
    """A JSON string with its quotes, where a number or a boolean stood."""
    return json.dumps(text, ensure_ascii=False)


def decode_string(literal: str) -> str:
    """The text of what stands between quotes; with a wrong escape, the same as written."""
    if "\\" not in literal:
        return literal
    try:
        decoded: str = _LOOSE.decode(f'"{literal}"')
    except ValueError:
        return literal
    return decoded


def read(text: str) -> Json:
    """Read JSON from the beginning of a text up to where it ends or is broken."""
    reader = _Reader(text)
    position = 0
    ends: list[int] = []
    while len(reader.places) <= MAX_PLACES and len(ends) <= MAX_PLACES:
        position = _BLANK.match(text, position).end()  # type: ignore[union-attr]
        following = reader.document(position)
        if following is None:
            break
        ends.append(len(reader.places))
        position = following
    places = apply(reader.places, reader.ranges)
    if len(ends) > 1:
        places = _numbered(places, ends)
    return Json(places, reader.position, len(ends))


def _numbered(places: list[Place], ends: list[int]) -> list[Place]:
    """The places of several documents: each path begins with the document's number."""
    found = []
    document = 0
    for index, place in enumerate(places):
        while document < len(ends) and index >= ends[document]:
            document += 1
        found.append(place._replace(path=(document, *place.path)))
    return found


class _Reader:
    """Reads documents one after the other; `position` is how far it came."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.places: list[Place] = []
        self.ranges: list[Range] = []
        self.position = 0

    def document(self, position: int) -> int | None:
        """Read one document and return where it ends, or None if it is broken."""
        stack: list[_Frame] = []
        end = self._members(self._value(position, (), stack), stack)
        if end is not None:
            self.position = end
        while stack:
            self._close(stack)
        return end

    def _members(self, end: int | None, stack: list[_Frame]) -> int | None:
        """Read all that lies inside the beginning of a map or a list."""
        text = self._text
        places = self.places
        while end is not None and stack:
            frame = stack[-1]
            self.position = end
            after = _AFTER.match(text, end)
            if after is not None and (after[1] != "," or frame.index):
                if after[1] == ",":
                    end = after.end()
                else:
                    if frame.is_map is not (after[1] == "}"):
                        return None
                    end = after.end()
                    self._close(stack)
                    continue
            elif frame.index:
                return None
            if len(places) > MAX_PLACES:
                places.append(rest(text, end))
                self.position = len(text)
                return None
            end = self._member(end, frame, stack)
        return end

    def _member(self, position: int, frame: _Frame, stack: list[_Frame]) -> int | None:
        """Read a member of a map or an element of a list, or where a comma too many stands."""
        text = self._text
        if frame.is_map:
            match = _KEY.match(text, position)
            if match is None:
                return self._after_comma(position, frame)
            key = decode_string(match[1])
            path = below(frame.path, key)
            if key:
                start = match.start(1)
                end = match.end(1)
                self.places.append(Place(start, end, path, key, encode_string, is_key=True))
            frame.index += 1
            frame.key = key
            frame.key_first = len(self.places)
            return self._value(match.end(), path, stack)
        following = self._value(position, below(frame.path, frame.index), stack)
        if following is None:
            return self._after_comma(position, frame)
        frame.index += 1
        return following

    def _after_comma(self, position: int, frame: _Frame) -> int | None:
        """A comma before the end is an error of people; anything else is no JSON."""
        after = _AFTER.match(self._text, position)
        if after is None or after[1] == "," or not frame.index:
            return None
        return after.start(1)

    def _value(self, position: int, path: Path, stack: list[_Frame]) -> int | None:
        """Read a scalar, or the beginning of a map or a list."""
        match = _VALUE.match(self._text, position)
        if match is None:
            return None
        kind = match.lastindex
        value: str | None = None
        if kind == 1:
            start, end = match.span(1)
            value = decode_string(match[1])
            if value:
                self.places.append(Place(start, end, path, value, encode_string, _flag(stack)))
        elif kind == 2:
            start, end = match.span(2)
            self.places.append(Place(start, end, path, match[2], encode_scalar, _flag(stack)))
        elif kind == 4:
            if len(stack) >= _DEPTH:
                return None
            stack.append(_Frame(path, len(self.places), is_map=match[4] == "{"))
            return match.end()
        if stack:
            frame = stack[-1]
            if frame.is_map:
                if frame.key in NOTED:
                    self._note(frame, value)
            else:
                frame.key = value if value is not None and value.startswith("-") else ""
        return match.end()

    def _note(self, frame: _Frame, value: str | None) -> None:
        """Tell a map of a member that was read."""
        if frame.siblings is None:
            frame.siblings = Siblings()
        frame.siblings.note(frame.key, value, frame.key_first, len(self.places))

    def _close(self, stack: list[_Frame]) -> None:
        """Leave a map or a list."""
        frame = stack.pop()
        if frame.siblings is not None:
            self.ranges += frame.siblings.ranges(frame.first, len(self.places))
        if stack and stack[-1].is_map and stack[-1].key in NOTED:
            self._note(stack[-1], None)


def _flag(stack: list[_Frame]) -> str:
    """In a list of arguments, the name of the flag before: `["--password", "x"]`."""
    if not stack or stack[-1].is_map or not stack[-1].key or "=" in stack[-1].key:
        return ""
    return stack[-1].key.lstrip("-")
