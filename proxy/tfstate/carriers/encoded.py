"""Base64 and base64url of readable text, or of readable text under gzip.

RFC 4648. What decodes to anything else (digests, keys, certificates in DER) is no carrier.
"""

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from proxy.tfstate.carriers.place import Carrier, Place

MAX_INFLATED: Final = 1_048_576
"""Bytes that a gzip may grow to; one that grows further is no carrier."""

_ASCII: Final = "[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
"""Four characters of base64 that may stand for three of ASCII: a random text has one chance in
eight to look so."""

RUN: Final = (
    rf"(?<![A-Za-z0-9+/=_-])(?:(?:{_ASCII}){{6}}|H4sI[A-Za-z0-9+/_-]{{20}})"
    r"[A-Za-z0-9+/_-]*+(?:\r?\n[ \t]{0,64}[A-Za-z0-9+/_-]{24,}+)*+"
    r"(?:\r?\n[ \t]{0,64}[A-Za-z0-9+/_-]{2,}+(?==))?={0,2}"
)
"""Base64 among other text that may be of readable text."""

RUN_LENGTH: Final = 24
"""The fewest characters of such a run."""

_LONE: Final = re.compile(f"[ \t\r\n]*+(?=(?:{_ASCII}){{2}}|H4sI)")
_BASE64: Final = re.compile(
    r"[ \t\r\n]*+([A-Za-z0-9+/_-]++(?:[ \t]*\r?\n[ \t]*[A-Za-z0-9+/_-]++)*+={0,2})[ \t\r\n]*+"
)
_WRAP: Final = re.compile(r"[ \t]*\r?\n[ \t]*")
_GZIP: Final = b"\x1f\x8b\x08"
_SHORTEST: Final = 8
_SHORTEST_UNPADDED: Final = 12
_URL_SAFE: Final = str.maketrans("-_", "+/")
_TO_URL_SAFE: Final = str.maketrans("+/", "-_")
_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd-\uffff]")


class _Form(NamedTuple):
    """How a text is encoded, so that another can be encoded alike."""

    codec: str
    zipped: bool
    url_safe: bool
    padded: bool
    width: int
    newline: str


def look(text: str) -> Carrier | None:
    """The text inside base64, if that is all there is and it can be read."""
    if _LONE.match(text) is None:
        return None
    match = _BASE64.fullmatch(text)
    if match is None:
        return None
    decoded = decode(match[1])
    if decoded is None:
        return None
    value, encode, kind = decoded
    return Carrier(kind, (Place(match.start(1), match.end(1), (), value, encode),))


def decode(literal: str) -> tuple[str, Callable[[str], str], str] | None:
    """The readable text inside base64, how another is encoded, and the kind of it.

    Args:
        literal: base64 in either alphabet, with or without padding, in one line or several.
    """
    newline = _WRAP.search(literal)
    packed = "".join(literal.split()) if newline else literal
    bare = packed.rstrip("=")
    padded = len(bare) < len(packed)
    url_safe = "-" in bare or "_" in bare
    data = _data(bare, packed, url_safe=url_safe)
    inflated = _inflate(data) if data.startswith(_GZIP) else data
    decoded = _text(inflated)
    if decoded is None:
        return None
    value, codec = decoded
    form = _Form(
        codec,
        data.startswith(_GZIP),
        url_safe,
        padded or not len(bare) % 4,
        newline.start() if newline else 0,
        newline[0] if newline else "",
    )
    return value, partial(_encode, form), "gzip" if form.zipped else "base64"


def _data(bare: str, packed: str, *, url_safe: bool) -> bytes:
    """The bytes that base64 stands for; none if it is none, or too short to be worth it."""
    padded = len(bare) < len(packed)
    if len(packed) < (_SHORTEST if padded else _SHORTEST_UNPADDED):
        return b""
    if len(bare) % 4 == 1 or (padded and len(packed) % 4):
        return b""
    if url_safe and ("+" in bare or "/" in bare):
        return b""
    standard = bare.translate(_URL_SAFE) if url_safe else bare
    try:
        return binascii.a2b_base64(standard + "=" * (-len(bare) % 4))
    except binascii.Error:
        return b""


def _inflate(data: bytes) -> bytes:
    """What a gzip holds; nothing if it is broken or grows too far."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        inflated = inflater.decompress(data, MAX_INFLATED)
    except zlib.error:
        return b""
    return inflated if inflater.eof else b""


def _text(data: bytes) -> tuple[str, str] | None:
    """The text of bytes and its codec; None if it is nothing a person would read."""
    codec = "utf-16-le" if len(data) > 3 and not data[1] and not data[3] else "utf-8"
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return None
    if not text.strip() or _UNREADABLE.search(text) is not None:
        return None
    return text, codec


def _encode(form: _Form, text: str) -> str:
    """Encode another text in the same form."""
    data = text.encode(form.codec, "replace")
    if form.zipped:
        data = gzip.compress(data, mtime=0)
    encoded = base64.b64encode(data).decode()
    if form.url_safe:
        encoded = encoded.translate(_TO_URL_SAFE)
    if not form.padded:
        encoded = encoded.rstrip("=")
    if form.width:
        lines = range(0, len(encoded), form.width)
        encoded = form.newline.join(encoded[at : at + form.width] for at in lines)
    return encoded
