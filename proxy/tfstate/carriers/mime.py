"""MIME in several parts, as cloud-init takes it: each part is a place.

RFC 2046. The headers stay; a part in base64 is decoded.
"""

import re
from typing import Final

from proxy.tfstate.carriers import encoded
from proxy.tfstate.carriers.place import MAX_PLACES, Carrier, Place, rest

_HEAD: Final = re.compile(r"\s*+(?:MIME-Version|Content-Type)[ \t]*+:", re.IGNORECASE)
_BOUNDARY: Final = re.compile(
    r"^content-type:[ \t]*+multipart/[^\n]{0,200}(?:\n[ \t][^\n]{0,200}){0,4}?"
    r"boundary[ \t]*+=[ \t]*+(?:\"([^\"\n]{1,100})\"|([^\s;\"]{1,100}))",
    re.IGNORECASE | re.MULTILINE,
)
_BASE64: Final = re.compile(
    r"^content-transfer-encoding:[ \t]*+base64", re.IGNORECASE | re.MULTILINE
)
_NAME: Final = re.compile(r"filename[ \t]*+=[ \t]*+\"?([^\"\n;]{1,200})", re.IGNORECASE)
_BLANK: Final = re.compile(r"\r?\n[ \t]*+\r?\n")


def look(text: str) -> Carrier | None:
    """The bodies of all parts."""
    if _HEAD.match(text) is None:
        return None
    boundary = _BOUNDARY.search(text, 0, 8_192)
    if boundary is None:
        return None
    mark = re.escape(boundary[1] or boundary[2])
    ends = re.compile(rf"^--{mark}(?:--)?[ \t]*+\r?$", re.MULTILINE)
    places: list[Place] = []
    start = 0
    for end in ends.finditer(text, boundary.end()):
        if start:
            _add_part(text, start, end.start(), places)
        start = end.end()
        if len(places) > MAX_PLACES:
            places.append(rest(text, start))
            break
    else:
        if start and text[start:].strip():
            _add_part(text, start, len(text), places)
    return Carrier("mime", tuple(places)) if places else None


def _add_part(text: str, start: int, end: int, places: list[Place]) -> None:
    """Add the place of one part: what follows its first blank line."""
    blank = _BLANK.search(text, start, end)
    if blank is None:
        return
    head = text[start : blank.start()]
    body = blank.end()
    stop = body + len(text[body:end].rstrip("\r\n"))
    if stop <= body:
        return
    name = _NAME.search(head)
    path = (len(places), name[1].strip() if name else "")
    decoded = encoded.decode(text[body:stop].strip()) if _BASE64.search(head) else None
    if decoded is None:
        places.append(Place(body, stop, path, text[body:stop]))
        return
    body += len(text[body:stop]) - len(text[body:stop].lstrip())
    stop = body + len(text[body:stop].rstrip())
    places.append(Place(body, stop, path, decoded[0], decoded[1]))
