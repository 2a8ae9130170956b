"""Simple XML: the texts of elements and the values of attributes.

No document is parsed: tags are read one after the other, so entities declared in a document
type are never expanded, and what is not well-formed is read all the same.
"""

import html
import re
from typing import Final

from proxy.tfstate.carriers.place import MAX_DEPTH, MAX_PLACES, Carrier, Path, Place, below, rest
from proxy.tfstate.carriers.siblings import NOTED, Range, Siblings, apply

_BEGIN: Final = re.compile(r"\s*+<(?:\?xml|!DOCTYPE|!--|[A-Za-z_][\w:.-]*+(?:\s[^<>]*+)?/?>)")
_TAG: Final = re.compile(
    r"<(?:!\[CDATA\[(?P<cdata>(?:[^\]<]++|\](?!\]>)|<(?!!\[CDATA))*+)\]\]>"
    r"|!--(?P<comment>(?:[^<-]++|-(?!->)|<(?!!--))*+)-->|[!?][^<>]*+>"
    r"|/(?P<end>[A-Za-z_][\w:.-]*+)\s*+>"
    r"|(?P<name>[A-Za-z_][\w:.-]*+)(?P<attributes>(?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+)>)"
)
_ATTRIBUTE: Final = re.compile(r"([A-Za-z_][\w:.-]*+)\s*+=\s*+(?:\"([^\"<]*+)\"|'([^'<]*+)')")


def look(text: str) -> Carrier | None:
    """The places of a text that begins as XML and has an element that ends."""
    if not text.lstrip().startswith("<") or _BEGIN.match(text) is None or "/" not in text:
        return None
    reader = _Reader(text)
    reader.run()
    if not reader.closed or not reader.places:
        return None
    return Carrier("xml", tuple(apply(reader.places, reader.ranges)))


class _Element:
    """An element that is not closed yet."""

    __slots__ = ("first", "name", "path", "siblings")

    def __init__(self, name: str, path: Path, first: int) -> None:
        self.name = name
        self.path = path
        self.first = first
        self.siblings: Siblings | None = None


class _Reader:
    """Reads tags one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._stack: list[_Element] = []
        self._label = ""
        self.places: list[Place] = []
        self.ranges: list[Range] = []
        self.closed = False

    def run(self) -> None:
        """Find all places."""
        text = self._text
        position = 0
        for match in _TAG.finditer(text):
            self._content(position, match.start())
            position = match.end()
            if match["name"] is not None:
                self._open(match)
            elif match["end"] is not None:
                self._close(match["end"])
            elif match["cdata"] is not None:
                self._content(*match.span("cdata"), raw=True)
            if len(self.places) > MAX_PLACES:
                self.places.append(rest(text, position))
                break
        while self._stack:
            self._pop()

    def _content(self, start: int, end: int, *, raw: bool = False) -> None:
        """The text between two tags."""
        literal = self._text[start:end]
        stripped = literal.strip()
        if not stripped or not self._stack:
            return
        element = self._stack[-1]
        start += len(literal) - len(literal.lstrip())
        end = start + len(stripped)
        value = stripped if raw else html.unescape(stripped)
        encode = _cdata if raw else _escaped
        label = self._label if element.name.lower() != "key" else ""
        self._label = value if element.name.lower() == "key" else ""
        self.places.append(Place(start, end, element.path, value, encode, label))

    def _open(self, match: re.Match[str]) -> None:
        """Enter an element; its attributes are members beside each other."""
        name = match["name"]
        path = below(self._stack[-1].path if self._stack else (), name)
        first = len(self.places)
        siblings = Siblings()
        for attribute in _ATTRIBUTE.finditer(self._text, *match.span("attributes")):
            group = 2 if attribute[2] is not None else 3
            key = attribute[1]
            value = html.unescape(attribute[group])
            if value:
                span = attribute.span(group)
                self.places.append(Place(*span, below(path, key), value, _escaped))
            if key in NOTED:
                count = len(self.places)
                siblings.note(key, value, count - bool(value), count)
            if len(self.places) > MAX_PLACES:
                return
        self.ranges += siblings.ranges(first, len(self.places))
        if match["attributes"].rstrip().endswith("/"):
            self.closed = True
        elif len(self._stack) < MAX_DEPTH:
            self._stack.append(_Element(name, path, len(self.places)))

    def _close(self, name: str) -> None:
        """Leave the innermost element of a name."""
        if not any(element.name == name for element in self._stack):
            return
        self.closed = True
        while self._stack and self._pop().name != name:
            continue

    def _pop(self) -> _Element:
        """Leave one element, and tell the outer one of it."""
        element = self._stack.pop()
        count = len(self.places)
        if element.siblings is not None:
            self.ranges += element.siblings.ranges(element.first, count)
        if self._stack and element.name in NOTED:
            outer = self._stack[-1]
            outer.siblings = outer.siblings or Siblings()
            one = count - element.first == 1
            value = self.places[element.first].value if one else None
            outer.siblings.note(element.name, value, element.first, count)
        return element


def _escaped(text: str) -> str:
    """A text between tags or quotes."""
    return html.escape(text)


def _cdata(text: str) -> str:
    """A text in a CDATA section."""
    return text.replace("]]>", "]]&gt;")
