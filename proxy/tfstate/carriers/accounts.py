"""Files that hold nothing but accounts: netrc, pgpass, htpasswd, shadow, npmrc.

A line that is none of an account's makes the text no such file, so that few others are taken
for one.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from proxy.tfstate.carriers.place import MAX_PLACES, Carrier, Place, rest
from proxy.tfstate.carriers.quoting import encode_line

_NETRC: Final = re.compile(r"\s*+(?:machine[ \t\r\n]+\S|default[ \t\r\n]+login\b)")
_NETRC_PAIR: Final = re.compile(
    r"(?<!\S)(machine|login|account|password|passwd)[ \t\r\n]+(\"(?:[^\"\\\n]|\\.)*+\"|\S++)"
)
_ESCAPE: Final = re.compile(r"\\(.)")
_LINES: Final = re.compile(r"[^\r\n]+")


class _Table(NamedTuple):
    """A format of one account a line.

    Attributes:
        kind: its name.
        line: a line; the groups are its fields.
        fields: what they are called, the secret one last.
    """

    kind: str
    line: re.Pattern[str]
    fields: tuple[str, ...]


_TABLES: Final = (
    _Table(
        "pgpass",
        re.compile(
            r"(\*|localhost|[A-Za-z][\w-]*+(?:\.[\w-]++)++|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|/[^:\s]++)"
            r":([0-9]{2,5}|\*):([^:\s]++):((?:[^:\\\s]|\\.)++):((?:[^\\\s]|\\.)++)"
        ),
        ("host", "port", "database", "user", "password"),
    ),
    _Table(
        "htpasswd",
        re.compile(
            r"([^:\s\"'={}]{1,256}+):(\{SHA\}[A-Za-z0-9+/=]++|\$(?:apr1|2[abxy]|y|gy|1|5|6)\$[^:\s]++)"
            r"(?::[0-9:]*+)?"
        ),
        ("user", "password"),
    ),
)


def look(text: str) -> Carrier | None:
    """The accounts, if each line that is no comment holds one."""
    if _NETRC.match(text) is not None:
        places = list(_netrc(text))
        return Carrier("netrc", tuple(places)) if any(place.why for place in places) else None
    for table in _TABLES:
        places = _table(text, table)
        if places:
            return Carrier(table.kind, tuple(places))
    return None


def _netrc(text: str) -> Iterator[Place]:
    """The words of a netrc that follow a name."""
    machine = "default"
    for number, match in enumerate(_NETRC_PAIR.finditer(text)):
        if number > MAX_PLACES:
            yield rest(text, match.start())
            return
        start, end = match.span(2)
        if match[2].startswith('"') and match[2].endswith('"') and end - start > 2:
            start, end = start + 1, end - 1
        value = text[start:end]
        if match[1] == "machine":
            machine = value
        why = "netrc" if match[1].startswith("pass") else ""
        yield Place(start, end, (machine, match[1]), value, _one_word, why=why)


def _table(text: str, table: _Table) -> list[Place]:
    """The fields of all lines; nothing if one line is no account."""
    places: list[Place] = []
    for number, line in enumerate(_LINES.finditer(text)):
        if not line[0].strip() or line[0].lstrip().startswith("#"):
            continue
        match = table.line.fullmatch(text, *line.span())
        if match is None:
            return []
        if len(places) > MAX_PLACES:
            return [*places, rest(text, line.start())]
        for group, field in enumerate(table.fields, 1):
            why = table.kind if group == len(table.fields) else ""
            value = _ESCAPE.sub(r"\1", match[group])
            places.append(Place(*match.span(group), (number, field), value, _field, why=why))
    return places


def _field(text: str) -> str:
    """A text as one field."""
    return encode_line(text).replace("\\", "\\\\").replace(":", "\\:")


def _one_word(text: str) -> str:
    """A text as one word of a netrc."""
    return text if not re.search(r"\s", text) else '"' + encode_line(text).replace('"', "'") + '"'
