"""What is printed, for people and for programs, and never what a terminal would obey.

Texts in states, locks and entries come from clients. One of them could hold escape sequences that
move the cursor, hide a line or answer in the reader's name, so every text passes `clean`.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import orjson
import typer

# Control characters (C0, DEL, C1), invisible ones, those that turn the direction of writing,
# line separators, lone surrogates and tags.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_UNBOUNDED: Final = 100_000
"""Columns of a table that goes to a file or a pipe: nothing is wrapped or cut there."""


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def clean(text: str) -> str:
    r"""Return the text with everything that a terminal might obey or hide written as ``\uXXXX``.

    Inside the strings of a JSON text without line breaks the result means the same.
    """
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_escaped, text)


def print_json(value: object) -> None:
    """Print one JSON value on stdout, indented, for programs and the curious."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    typer.echo("\n".join(clean(line) for line in text.split("\n")))


def print_bytes(data: bytes) -> None:
    """Write bytes to stdout exactly as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, one line a row when it goes to a file or a pipe.

    Args:
        columns: the headings; one that starts with ``>`` is aligned to the right.
        rows: as many cells each as there are headings.
    """
    from rich.console import Console  # noqa: PLC0415 - quick start of the command line
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console.print(table)


def count_text(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 entry``, ``2 entries``."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def size_text(size: int) -> str:
    """Return a number of bytes as people read it: ``18.2 kB``."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 1000:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def time_text(moment: str) -> str:
    """Return an entry's time as people read it: seconds, UTC; other texts as they are."""
    return f"{moment[:10]} {moment[11:19]}Z" if len(moment) == 27 else moment
