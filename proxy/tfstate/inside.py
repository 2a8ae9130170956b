"""The values inside a string: JSON, YAML, URLs, lists of pairs, base64 and more.

`look` finds where they stand, `splice` writes others there; everything between the places stays
as it is. What the values mean is not judged here, except where the format itself says that one
is a secret. One level only: a value may carry another format, which the caller may look into.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from proxy.tfstate.carriers import (
    accounts,
    delimited,
    encoded,
    json_text,
    mime,
    pairs,
    pem,
    url,
    xml_text,
    yaml_text,
)
from proxy.tfstate.carriers.command_signs import SPOKEN
from proxy.tfstate.carriers.place import Carrier, Place, disjoint

__all__ = ["Carrier", "Place", "look", "splice"]

_SUSPECT: Final = re.compile(r'[={\["<\n@|\'$]')
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_REDACTED: Final = re.compile(r"\[redacted [^\[\]\s]{1,80}\]")
"""What stands for a secret that was cut out before."""


_WHOLE: Final = re.compile(
    rf"{_REDACTED.pattern}|[^\s:=@/\"'{{]+@[^\s:=@/\"'{{]+|\$[0-9a-z]{{1,6}}\$[^\s\"':;]+"
)
"""What is one value, though its signs look like a format: a mail address, a hash of a password."""


def look(text: str) -> Carrier | None:
    """Find the values inside a text.

    Returns:
        None if no format is known in which it could be written: so it is with nearly every
        string, in about a microsecond.
    """
    if _SUSPECT.search(text) is None:
        if " " not in text:
            return encoded.look(text) or _account(text)
        if ": " not in text and " -" not in text and not _is_command(text):
            return None
    elif _BASE64.fullmatch(text) is not None:
        return encoded.look(text)
    elif _WHOLE.fullmatch(text) is not None:
        return None
    for carrier in _LOOKS:
        found = carrier(text)
        if found is not None:
            return found
    return None


def _is_command(text: str) -> bool:
    """Whether a text without any sign may be a command line with a secret in it."""
    return SPOKEN.search(text) is not None or "sqlplus " in text


def _account(text: str) -> Carrier | None:
    """A single line of a pgpass: nothing in it stands out but its colons."""
    if text.count(":") < _PGPASS_COLONS or text.startswith("arn:"):
        return None
    return accounts.look(text)


def splice(text: str, changes: Iterable[tuple[Place, str]]) -> str:
    """Write other texts at places that `look` has found in a text.

    Args:
        text: the text that was looked into.
        changes: each place with the text that is to stand there, not encoded; of two places that
            overlap, the first counts.
    """
    ordered = sorted(changes, key=lambda change: (change[0].start, -change[0].end))
    parts: list[str] = []
    position = 0
    for place, new in ordered:
        if place.start < position:
            continue
        parts += (text[position : place.start], place.encode(new))
        position = place.end
    parts.append(text[position:])
    return "".join(parts)


def _json(text: str) -> Carrier | None:
    """JSON, or what can be read of it, and pairs in the rest.

    A quoted key of YAML is no JSON, though it begins like a document that is a string.
    """
    first = text.lstrip()[:1]
    if first not in _JSON_BEGINNINGS or (first == '"' and _QUOTED_KEY.match(text) is not None):
        return None
    read = json_text.read(text)
    if not read.places:
        return Carrier("json", ()) if read.documents and read.end == len(text.rstrip()) else None
    places = read.places
    if text[read.end :].strip():
        if not read.documents and len(places) < _FEW:
            return None
        places = disjoint([*places, *pairs.places(text, read.end)])
    return Carrier("json", tuple(yaml_text.cloud_config(places)))


def _in_lines(text: str) -> Carrier | None:
    """The formats without a grammar; in them, what was cut out before counts as one word."""
    masked = text
    if "[redacted " in text:
        masked = _REDACTED.sub(lambda match: "~" * len(match[0]), text)
    found = None
    if "\n" not in text.rstrip():
        found = url.look_dsn(masked) or delimited.look(masked.rstrip())
    found = found or pairs.look(masked)
    if found is None or masked is text:
        return found
    places = tuple(
        place._replace(value=text[place.start : place.end]) if "~" in place.value else place
        for place in found.places
    )
    return Carrier(found.kind, places)


_JSON_BEGINNINGS: Final = frozenset('{["')
_QUOTED_KEY: Final = re.compile(yaml_text.QUOTED_KEY)
_FEW: Final = 2
_PGPASS_COLONS: Final = 4
_LOOKS: Final[tuple[Callable[[str], Carrier | None], ...]] = (
    _json,
    url.look,
    encoded.look,
    pem.look,
    mime.look,
    xml_text.look,
    accounts.look,
    yaml_text.look,
    _in_lines,
)
