"""How texts stand in the quotes of shells and of formats like theirs, and without quotes."""

import json
import re
from typing import Final

WORD: Final = (
    r"(?:\[redacted [^\[\]\n]{1,80}\]|\$\([^()\n]*\)|\$?\"(?:[^\"\\\n]|\\.)*+\"|'[^'\n]*+'|\\."
    r"|[^\s;&|<>()\"'`\\])++"
)
"""A word as a shell reads it, parts of it quoted or not."""

_PLAIN_WORD: Final = re.compile(r"[\w@%+=:,./-]+")
_BREAKS: Final = re.compile(r"[\r\n]+")
_ESCAPE: Final = re.compile(r"\\([\"\\$`/'nrt])")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}
_QUOTING: Final = re.compile(r"\"((?:[^\"\\]|\\.)*+)\"|'([^']*+)'|\\(.)")
_LOOSE: Final = json.JSONDecoder(strict=False)


def encode_double(text: str) -> str:
    """A text between double quotes; JSON's escapes are those that most formats share."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def encode_double_quoted(text: str) -> str:
    """A text with its double quotes."""
    return json.dumps(text, ensure_ascii=False)


def encode_single(text: str) -> str:
    """A text between single quotes, as a shell reads them."""
    return text.replace("'", "'\\''")


def encode_quoted(text: str) -> str:
    """A text between quotes, whichever they are."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")


def encode_word(text: str) -> str:
    """A text as one word of a shell, or a part of one."""
    return text if _PLAIN_WORD.fullmatch(text) else f"'{encode_single(text)}'"


def encode_line(text: str) -> str:
    """A text on the rest of a line."""
    return _BREAKS.sub(" ", text)


def decode_double(literal: str) -> str:
    """The text between double quotes, whether a shell, a program or JSON wrote it."""
    if "\\" not in literal:
        return literal
    if "\\u" in literal:
        try:
            return str(_LOOSE.decode(f'"{literal}"'))
        except ValueError:
            pass
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), literal)


def decode_word(word: str) -> str:
    """What a shell takes a word for."""
    if '"' not in word and "'" not in word and "\\" not in word:
        return word
    return _QUOTING.sub(_unquoted, word)


def _unquoted(match: re.Match[str]) -> str:
    """One quoted part of a word."""
    if match[1] is not None:
        return decode_double(match[1])
    return match[2] if match[2] is not None else match[3]
