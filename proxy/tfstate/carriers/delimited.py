"""`Server=…;Password=…;`: pairs in one line that one character parts throughout.

ADO.NET, ODBC, Azure and JDBC part them by `;`, StackExchange.Redis and Helm's `--set` by `,`.
A value that holds the character stands in quotes, doubled inside, or in braces.
"""

import re
from functools import partial
from typing import Final, NamedTuple

from proxy.tfstate.carriers.place import MAX_PLACES, Carrier, Place, rest

_KEY: Final = re.compile(r"[ \t]*+([A-Za-z][\w .-]{0,63}?)[ \t]*+=[ \t]*+")
_QUOTED: Final = re.compile(
    r"\"(?:[^\"]++|\"\")*+\"|'(?:[^']++|'')*+'|\{(?:[^}]++|\}\})*+\}", re.DOTALL
)
_FEWEST: Final = 2
_QUOTED_LENGTH: Final = 4_096


class _Value(NamedTuple):
    """A value that was read, and the index of the delimiter behind it."""

    place: Place
    border: int


def look(text: str) -> Carrier | None:
    """The pairs, if the whole line is made of them; at most one part is none, like a host."""
    if text.count("=") < _FEWEST:
        return None
    for delimiter in ";,":
        if delimiter in text:
            places = _read(text, delimiter)
            if len(places) >= _FEWEST:
                return Carrier("dsn", tuple(places))
    return None


def _read(text: str, delimiter: str) -> list[Place]:
    """All pairs; none if more than one part is no pair."""
    found: list[Place] = []
    others = 0
    position = 0
    while position < len(text):
        if len(found) > MAX_PLACES:
            return [*found, rest(text, position)]
        match = _KEY.match(text, position)
        if match is None or (delimiter == "," and " " in match[1]):
            border = _find(text, delimiter, position)
            others += bool(text[position:border].strip())
            if others > 1 or (others and delimiter == ";" and found):
                return []
        else:
            value = _value(text, match.end(), delimiter)
            border = value.border
            if delimiter == "," and " " in value.place.value:
                return []
            if value.place.value:
                found.append(value.place._replace(path=(match[1],)))
        position = border + 1
    return found


def _value(text: str, start: int, delimiter: str) -> _Value:
    """The value that begins at an index."""
    quoted = _QUOTED.match(text, start, start + _QUOTED_LENGTH)
    if quoted is not None:
        border = _find(text, delimiter, quoted.end())
        if not text[quoted.end() : border].strip():
            closing = text[quoted.end() - 1]
            start, end = start + 1, quoted.end() - 1
            value = text[start:end].replace(closing * 2, closing)
            return _Value(Place(start, end, (), value, partial(_doubled, closing)), border)
    border = _find(text, delimiter, start)
    value = text[start:border].rstrip()
    encode = partial(_between, delimiter)
    return _Value(Place(start, start + len(value), (), value, encode), border)


def _find(text: str, delimiter: str, position: int) -> int:
    """Where the next delimiter stands, or the text ends."""
    border = text.find(delimiter, position)
    return len(text) if border < 0 else border


def _doubled(quote: str, text: str) -> str:
    """A text inside quotes that are doubled to stand for themselves."""
    return text.replace(quote, quote * 2)


def _between(delimiter: str, text: str) -> str:
    """A text without quotes between two delimiters, in quotes where it must be."""
    if delimiter not in text:
        return text
    return '"' + text.replace('"', '""') + '"'
