"""YAML: one document or several, also with templates in it, and the begin of a broken one.

Events of libyaml tell where each scalar stands. Aliases are not followed: what they stand for is
a place already, so no document grows.
"""

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from proxy.tfstate.carriers import pairs
from proxy.tfstate.carriers.place import MAX_PLACES, Carrier, Path, Place, below, disjoint, rest
from proxy.tfstate.carriers.siblings import NOTED, Range, Siblings, apply
from proxy.tfstate.carriers.yaml_writing import (
    Block,
    encode_double,
    encode_double_quoted,
    encode_plain,
    encode_single,
)

if TYPE_CHECKING:
    import yaml

MAX_CHARACTERS: Final = 4_194_304
"""A longer text is read line by line, as if it were broken."""

_DEPTH: Final = 100
_DIRECTIVES: Final = 16

QUOTED_KEY: Final = (
    r"\s*+(?:\"(?:[^\"\\\n]++|\\[^\n])*+\"|'(?:[^'\n]++|'')*+')[ \t]*+:(?=[ \t\r\n]|\Z)"
)
"""How a map in YAML begins whose keys are quoted, as those that Terraform's `yamlencode` writes."""

_FIRST_LINE: Final = re.compile(
    r"(?:[ \t]*+(?:[#%][^\n]*+|---[ \t]*+)?+\r?\n)*+[ \t]*+(?:---[ \t]++)?+"
    rf"(?:{QUOTED_KEY}|-[ \t]|-\r?\n"
    r"|(?![A-Za-z_]\w*+=)[\"'\w./$<&!*~@-][^\n:]{0,200}+(?::[^\s:][^\n:]{0,200}+)*+:[ \t\r\n]"
    r"|[{\[?])"
)
"""What YAML looks like up to its first line that says something."""

_FLOW: Final = re.compile(rf"{QUOTED_KEY}[ \t]|\s*+[{{\[][^\n]*:[ \t]")
"""What YAML in one line looks like."""

_PROPERTIES: Final = re.compile(r"(?:[&!][^\s]*+[ \t\r\n]++)++")
_NULLS: Final = frozenset({"~", "null", "Null", "NULL"})
_COMMENT: Final = re.compile(r"(?:^|(?<=[ \t]))#[^\n]*", re.MULTILINE)
_TEMPLATE: Final = re.compile(
    r"^[ \t]*+(?:\{\{[^{}\n]*+\}\}|\{%[^%\n]*+%\}|%\{[^{}\n]*+\})[ \t]*+$"
    r"|\{\{[^{}\n]*+\}\}|\$\{[^{}\n]*+\}|%\{[^{}\n]*+\}|\{%[^%\n]*+%\}|<%[^%\n]*+%>",
    re.MULTILINE,
)
_CLOUD_CONFIG: Final = re.compile(r"(?:##[^\n]*\n)?\s*#cloud-config(?:-archive)?\b")
_CLOUD_KEYS: Final = frozenset({"chpasswd", "write_files", "runcmd", "bootcmd", "ssh_pwauth"})
_CLOUD_SECRETS: Final = frozenset(
    {
        *("passwd", "hashed_passwd", "hashed-passwd", "plain_text_passwd", "plain-text-passwd"),
        *("password", "psk", "secret"),
    }
)
_SECRETISH: Final = re.compile(r"pass|pwd|secret|token|key|cred|auth", re.IGNORECASE)


def look(text: str) -> Carrier | None:
    """The places of a text that looks like YAML from its first line on.

    What can't be parsed is read as lines with pairs, from there on where it broke.
    """
    single = "\n" not in text
    if (_FLOW if single else _FIRST_LINE).match(text) is None:
        return None
    if len(text) > MAX_CHARACTERS or text.count("\n%") > _DIRECTIVES:
        return None
    read = _read_template(text)
    places = read.places
    if not any(place.path for place in places):
        return None
    if read.broken < len(text):
        if single or text.lstrip()[:1] in "{[":
            return None
        places = disjoint([*places, *pairs.places(text, read.broken)])
    elif "#" in text:
        places = disjoint([*places, *_comments(text, places)])
    named = _CLOUD_CONFIG.match(text) is not None
    return Carrier("yaml", tuple(cloud_config(places, named=named)))


class _Yaml(NamedTuple):
    """What could be read, and where it broke: the text's length if it did not."""

    places: list[Place]
    broken: int


class _Frame:
    """A map or a list that is not closed yet; a map without `key` expects one."""

    __slots__ = ("anchor", "first", "index", "is_map", "key", "key_first", "path", "siblings")

    def __init__(self, path: Path, first: int, anchor: str | None, *, is_map: bool) -> None:
        self.path = path
        self.first = first
        self.anchor = anchor
        self.is_map = is_map
        self.index = 0
        self.key: str | None = None
        self.key_first = 0
        self.siblings: Siblings | None = None


def _read_template(text: str) -> _Yaml:
    """Parse a text; if it breaks, once more with the expressions of a template masked."""
    read = _read(text)
    if read.broken == len(text):
        return read
    masked = _TEMPLATE.sub(_masked, text)
    other = _read(masked) if masked != text else read
    if other.broken <= read.broken:
        return read
    return other._replace(places=_with_values_of(text, masked, other.places))


def _read(text: str) -> _Yaml:
    """Parse a text as far as it goes."""
    import yaml  # noqa: PLC0415 - quick start, and few texts are YAML

    reader = _Reader(text)
    broken = len(text)
    try:
        reader.run()
    except yaml.MarkedYAMLError as error:
        marks = [error.problem_mark, error.context_mark]
        index = min((mark.index for mark in marks if mark is not None), default=0)
        broken = text.rfind("\n", 0, index) + 1
    except (yaml.YAMLError, UnicodeError, ValueError):
        broken = 0
    broken = min(broken, reader.stopped)
    reader.finish()
    places = apply(reader.places, reader.ranges)
    if broken < len(text):
        places = [place for place in places if place.end <= broken]
        while places and places[-1].is_key:
            places.pop()
        broken = text.find("\n", places[-1].end, broken) + 1 if places else 0
    if reader.document:
        ends = iter([*reader.document_ends, len(places)])
        end = next(ends)
        number = 0
        for index, place in enumerate(places):
            while index >= end and number < reader.document:
                end = next(ends)
                number += 1
            places[index] = place._replace(path=(number, *place.path))
    return _Yaml(disjoint(places), broken)


class _Reader:
    """Follows the events of the parser."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[int, int]] = {}
        self._aliases: dict[str, str] = {}
        self.places: list[Place] = []
        self.ranges: list[Range] = []
        self.document = -1
        self.document_ends: list[int] = []
        self.stopped = len(text)

    def run(self) -> None:
        """Read all events, up to a depth and a number of places."""
        import yaml  # noqa: PLC0415 - quick start, and few texts are YAML

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self._text)
        while True:
            event = loader.get_event()
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if len(self._stack) >= _DEPTH:
                    self.stopped = self._text.rfind("\n", 0, _index(event.start_mark)) + 1
                    return
                self._open(event, is_map=isinstance(event, yaml.MappingStartEvent))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._start_document()
            elif isinstance(event, yaml.StreamEndEvent):
                return
            if len(self.places) > MAX_PLACES:
                self.places.append(rest(self._text, self.places[-1].end))
                return

    def finish(self) -> None:
        """Close what an error left open, and let the keys of aliases name their anchors."""
        while self._stack:
            self._close()
        for anchor, key in self._aliases.items():
            span = self._anchors.get(anchor)
            if span is not None and span[0] < span[1]:
                self.ranges.append(Range(*span, label=key))

    def _start_document(self) -> None:
        self.document += 1
        if self.document:
            self.document_ends.append(len(self.places))

    def _step(self) -> Path:
        """The path of the next value; its list goes one index on."""
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if frame.is_map:
            return below(frame.path, frame.key if frame.key is not None else "?")
        frame.index += 1
        return below(frame.path, frame.index - 1)

    def _scalar(self, event: "yaml.ScalarEvent") -> None:
        frame = self._stack[-1] if self._stack else None
        value = event.value
        plain = not event.style
        if frame is not None and frame.is_map and frame.key is None:
            frame.key = value
            if value and not (plain and value == "<<"):
                place = _place(self._text, event, below(frame.path, value))
                self.places.append(place._replace(is_key=True))
            frame.key_first = len(self.places)
            return
        first = len(self.places)
        path = self._step()
        if value and not (plain and value in _NULLS):
            place = _place(self._text, event, path)
            if frame is not None and not frame.is_map and frame.key:
                place = place._replace(label=frame.key)
            self.places.append(place)
        if event.anchor:
            self._anchors[event.anchor] = (first, len(self.places))
        if frame is not None and not frame.is_map:
            frame.key = value.lstrip("-") if value[:1] == "-" and "=" not in value else ""
        self._end_of_value(value)

    def _open(
        self, event: "yaml.MappingStartEvent | yaml.SequenceStartEvent", *, is_map: bool
    ) -> None:
        self._stack.append(_Frame(self._step(), len(self.places), event.anchor, is_map=is_map))

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.siblings is not None:
            self.ranges += frame.siblings.ranges(frame.first, len(self.places))
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.first, len(self.places))
        self._end_of_value(None)

    def _alias(self, event: "yaml.AliasEvent") -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.is_map and frame.key not in (None, "<<"):
            anchor, key = str(event.anchor), str(frame.key)
            known = self._aliases.setdefault(anchor, key)
            if _SECRETISH.search(key) and not _SECRETISH.search(known):
                self._aliases[anchor] = key
        self._end_of_value(None)

    def _end_of_value(self, value: str | None) -> None:
        """A value, or a key that is no scalar, has ended."""
        if not self._stack or not self._stack[-1].is_map:
            return
        frame = self._stack[-1]
        if frame.key is None:
            frame.key = "?"
            frame.key_first = len(self.places)
            return
        if frame.key in NOTED:
            if frame.siblings is None:
                frame.siblings = Siblings()
            frame.siblings.note(frame.key, value, frame.key_first, len(self.places))
        frame.key = None


class _Mark(Protocol):
    """Where an event begins or ends."""

    @property
    def index(self) -> int: ...


def _index(mark: _Mark | None) -> int:
    """Where a mark stands in the text, in characters."""
    return 0 if mark is None else mark.index


def _place(text: str, event: "yaml.ScalarEvent", path: Path) -> Place:
    """The place of a scalar in whatever style."""
    start = _index(event.start_mark)
    end = _index(event.end_mark)
    value = event.value
    if event.anchor or event.tag:
        properties = _PROPERTIES.match(text, start, end)
        start = start if properties is None else properties.end()
    style = event.style
    if not style:
        return Place(start, end, path, value, encode_plain)
    if style == '"':
        return Place(start + 1, end - 1, path, value, encode_double)
    if style == "'":
        if "\n" in text[start:end]:
            return Place(start, end, path, value, encode_double_quoted)
        return Place(start + 1, end - 1, path, value, encode_single)
    return _block(text, start, end, path, value)


def _block(text: str, start: int, end: int, path: Path, value: str) -> Place:
    """The place of a literal or folded scalar, without the line breaks at its end."""
    lines = text.find("\n", start, end) + 1 or end
    header = text[start:lines].rstrip()
    body = text[lines:end].rstrip(" \r\n")
    first = _first_line(body)
    shown = _first_line(value)
    indent = max(_margin(first) - _margin(shown), 0)
    explicit = any(character.isdigit() for character in header.partition("#")[0])
    folded = header[:1] == ">"
    block = Block(header if folded else "", indent, explicit)
    return Place(start if folded else lines, lines + len(body), path, value, block.encode)


def _first_line(text: str) -> str:
    """The first line with something in it; other spaces than YAML's are something."""
    return next((line for line in text.split("\n", 64) if line.strip(" \t\r")), "")


def _margin(line: str) -> int:
    """How many spaces a line begins with."""
    return len(line) - len(line.lstrip(" "))


def _masked(match: re.Match[str]) -> str:
    """An expression of a template as YAML without meaning: a comment if it has a line alone."""
    line = match[0]
    alone = match.start() == 0 or match.string[match.start() - 1] == "\n"
    behind = match.string[match.end() : match.end() + 1]
    if alone and behind in ("", "\n", "\r"):
        return "#" * len(line)
    return "x" * len(line)


def _with_values_of(text: str, masked: str, places: list[Place]) -> list[Place]:
    """The places of the masked text with what stands there in the text itself."""
    found = []
    for place in places:
        written = text[place.start : place.end]
        if written != masked[place.start : place.end]:
            place = place._replace(value=written)  # noqa: PLW2901
        found.append(place)
    return found


def _comments(text: str, places: list[Place]) -> list[Place]:
    """The pairs in comments."""
    found: list[Place] = []
    following = 0
    for match in _COMMENT.finditer(text):
        start, end = match.span()
        while following < len(places) and places[following].end <= start:
            following += 1
        if following < len(places) and places[following].start < end:
            continue
        found += pairs.places(text, start, end, single=True)
        if len(found) > MAX_PLACES:
            break
    return found


def cloud_config(places: list[Place], *, named: bool = False) -> list[Place]:
    """The places of a document with what cloud-init says of them, if it is cloud-init's.

    Args:
        places: all that was found.
        named: whether the first line says so; else a key tells that nothing but cloud-init knows,
            since a part of a MIME archive needs no such line.
    """
    if not named and not any(
        place.is_key and len(place.path) == 1 and place.value in _CLOUD_KEYS for place in places
    ):
        return places
    return [_cloud_config(place) for place in places]


def _cloud_config(place: Place) -> Place:
    """A place of cloud-init's configuration, with what its documentation says of it."""
    path = place.path
    if place.is_key or not path:
        return place
    leaf = path[-1]
    secret = (
        leaf in _CLOUD_SECRETS
        or ("chpasswd" in path and "list" in path)
        or ("ssh_keys" in path and isinstance(leaf, str) and leaf.endswith("_private"))
    )
    return place._replace(why="cloud-init") if secret else place
