"""Every way a secret could be written, and one search for all of them in whatever leaves.

A secret that stands in a record as base64, with a character escaped, or as the third line of an
indented block is as lost as one in plain text. So each is sought in all these forms at once.
"""

import base64
import gzip
import html
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus

from ahocorasick_rs import BytesAhoCorasick, Implementation

_SHORTEST_LINE: Final = 12
_SHORTEST_WITH_HALVES: Final = 28
_WINDOW: Final = 24
"""Bytes of the end of a form that are sought: whoever sees these sees too much."""

_LEVELS: Final = 3
"""JSON in JSON in JSON: an entry holds a text that holds a document that holds a text."""

_GO_ESCAPES: Final = re.compile("[<>&\u2028\u2029]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]+")
"""What no format escapes."""

_GZIP: Final = re.compile(rb"H4sI[A-Za-z0-9+/_-]{16,}={0,2}")
_LARGEST_INSIDE: Final = 1 << 20
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_SAFE: Final = ("", "/", "$&+,;=", "-_.!~*'()", ";,/?:@&=+$-_.!~*'()#")
"""What percent-encoders leave alone: Terraform's urlencode, Go's path and userinfo, JavaScript's
encodeURIComponent and encodeURI."""


class Hit(NamedTuple):
    """A secret that was found.

    Attributes:
        name: whose.
        form: how it was written there.
        start: where it begins, or the last 24 bytes of a longer one.
    """

    name: str
    form: str
    start: int


def go_json(value: object, indent: int | None = None) -> str:
    r"""JSON as Go and Terraform's `jsonencode` write it: `<` is `\u003c`, nothing else is ASCII."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return _go_escaped(text)


def base64_cores(data: bytes, altchars: bytes | None = None) -> tuple[bytes, bytes, bytes]:
    """The characters that stand for the data in base64, whatever stands before and after it.

    Args:
        data: at least two bytes.
        altchars: what stands for `+` and `/`.

    Returns:
        one for each number of bytes (0, 1, 2; modulo 3) before the data.
    """
    cores = []
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data, altchars)
        start = (before * 8 + 5) // 6
        end = (before + len(data)) * 8 // 6
        cores.append(encoded[start:end])
    return cores[0], cores[1], cores[2]


def forms(secret: str) -> dict[bytes, str]:
    """Each form of a secret with its name.

    Args:
        secret: at least eight characters; of several lines, each but the headers of PEM is
            sought alone, so that no indentation, line end or missing line hides the rest.
    """
    if "\n" in secret.strip():
        found: dict[bytes, str] = {}
        for number, line in enumerate(secret.splitlines(), 1):
            text = line.strip()
            if len(text) >= _SHORTEST_LINE and not text.startswith("-----"):
                found |= {form: f"line {number}, {name}" for form, name in forms(text).items()}
        return found
    return _forms_of_line(secret.strip())


def _forms_of_line(secret: str) -> dict[bytes, str]:
    found: dict[bytes, str] = {}

    def add(name: str, *texts: str | bytes) -> None:
        for text in texts:
            found.setdefault(text.encode() if isinstance(text, str) else text, name)

    add("plain", secret)
    inside_base64 = {secret}
    if not _PLAIN.fullmatch(secret):
        escaped = {secret}
        for _ in range(_LEVELS):
            escaped |= {form for text in escaped for form in _json_forms(text)}
            add("JSON", *sorted(escaped))
        add("Python", repr(secret)[1:-1], ascii(secret)[1:-1])
        add("CSV", secret.replace('"', '""'))
        add("YAML", secret.replace("'", "''"))
        add("shell", secret.replace("'", "'\\''"))
        add("HTML", html.escape(secret), html.escape(secret, quote=False))
        for url in {quote_plus(secret), *(quote(secret, safe=safe) for safe in _SAFE)}:
            add("URL", url, _PERCENT.sub(lambda match: match[0].lower(), url))
        inside_base64 |= {*_json_forms(secret), quote(secret, safe="")}
    data = secret.encode()
    add("hex", data.hex(), data.hex().upper(), data.hex(":"), data.hex(" "))
    for text in sorted(inside_base64):
        for core in base64_cores(text.encode()):
            add("base64", core)
            add("base64 twice", *base64_cores(core))
        add("base64url", *base64_cores(text.encode(), b"-_"))
    if len(secret) >= _SHORTEST_WITH_HALVES:
        add("a half", secret[: len(secret) // 2], secret[len(secret) // 2 :])
    return found


def _json_forms(text: str) -> tuple[str, str, str]:
    """A text inside JSON: ASCII only, as it is, and as Go writes it."""
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    return json.dumps(text)[1:-1], plain, _go_escaped(plain)


def _go_escaped(text: str) -> str:
    return _GO_ESCAPES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def unpacked(data: bytes) -> Iterator[bytes]:
    """What base64 of gzip inside some data holds, also where it is cut off."""
    for match in _GZIP.finditer(data):
        text = match[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        packed = base64.b64decode(text[: len(text) // 4 * 4])
        try:
            yield zlib.decompressobj(wbits=31).decompress(packed, _LARGEST_INSIDE)
        except zlib.error:
            continue


def gzip64(text: str) -> str:
    """A text as Terraform's `base64gzip` gives it."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


class Searcher:
    """Seeks many secrets in all their forms at once.

    Args:
        secrets: by name; a form that two secrets share is sought for neither.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        owners: dict[bytes, tuple[str, str] | None] = {}
        for name, secret in secrets.items():
            for whole, how in forms(secret).items():
                form = whole[-_WINDOW:]
                known = owners.get(form, ())
                owners[form] = (name, how) if known == () or (known and known[0] == name) else None
        found = [(form, owner) for form, owner in owners.items() if owner is not None]
        self._owners = [owner for _, owner in found]
        self._automaton = BytesAhoCorasick(
            [form for form, _ in found], implementation=Implementation.ContiguousNFA
        )

    def find(self, data: bytes | str) -> Iterable[Hit]:
        """Every secret in the data, and in what is packed inside it."""
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        yield from self._find(raw)
        for inside in unpacked(raw):
            yield from (hit._replace(form=f"gzip, {hit.form}") for hit in self._find(inside))

    def _find(self, data: bytes) -> Iterator[Hit]:
        for index, start, _ in self._automaton.find_matches_as_indexes(data, overlapping=True):
            name, form = self._owners[index]
            yield Hit(name, form, start)
