"""How a text is written in each of YAML's five styles (YAML 1.1, as Go and Python read it)."""

import json
import re
from typing import Final, NamedTuple

_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""What JSON leaves as it is and YAML does not take."""

_FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""What can't stand in a text without escapes."""

_SAFE: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./+-]*")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def _escape(match: re.Match[str]) -> str:
    """An escape; half a surrogate pair has none."""
    code = ord(match[0])
    return "\\uFFFD" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04X}"


def encode_double(text: str) -> str:
    """What stands between double quotes."""
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False)[1:-1])


def encode_double_quoted(text: str) -> str:
    """A text with double quotes around it."""
    return f'"{encode_double(text)}"'


def encode_single(text: str) -> str:
    """What stands between single quotes."""
    return _FORBIDDEN.sub("\ufffd", text).replace("'", "''").replace("\n", "\n\n")


def encode_plain(text: str) -> str:
    """A text without quotes, or in double quotes if it would not be the same text without."""
    if _SAFE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return encode_double_quoted(text)


class Block(NamedTuple):
    """Where the lines of a block scalar stand.

    Attributes:
        header: `|` or `>` with what follows in its line, if it is to be written anew; else "".
        indent: of the lines, in spaces.
        explicit: whether the header says so itself.
    """

    header: str
    indent: int
    explicit: bool

    def encode(self, text: str) -> str:
        """The lines of a text; what was folded is not folded again."""
        lines = _FORBIDDEN.sub("\ufffd", text.replace("\r\n", "\n")).rstrip("\n").split("\n")
        if not self.explicit:
            first = next((index for index, line in enumerate(lines) if line.strip(" \t")), 0)
            lines[: first + 1] = [line.lstrip(" \t") for line in lines[: first + 1]]
        margin = " " * self.indent
        written = "\n".join(margin + line if line else "" for line in lines)
        return f"|{self.header[1:]}\n{written}" if self.header else written
