"""What stands at the end of a file of events, also over its rotated ones: read from the end on."""

import gzip
import hashlib
import itertools
import os
import stat
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from proxy.sinks._rendering import index_of_line

_BLOCK: Final = 65_536

OTHERS: Final = 3000
"""Lines of older events that may stand among those that come again: a replay's batch has 1000."""

MOST: Final = 200_000
"""Lines that are looked at in all: more than is written before the place is kept again."""


class Mark(NamedTuple):
    """A line: the index of its entry, None of something else, and what tells its bytes."""

    entry: int | None
    digest: bytes


def mark(line: bytes) -> Mark:
    """Return the mark of a line of a file."""
    return Mark(index_of_line(line), _digest(line))


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


class Known:
    """Which events stand there already, of those that may come again.

    Args:
        marks: of the lines, from the end on.
        first: index of the first event that may come again.
    """

    def __init__(self, marks: Iterable[Mark], first: int) -> None:
        self._places: dict[int, tuple[int, bytes]] = {}
        self._reached = -MOST
        others = 0
        for place, (index, digest) in enumerate(itertools.islice(marks, MOST)):
            if index is None or index < first:
                others += 1
                if others > OTHERS:
                    break
            else:
                # Of several of one event the last one counts, which comes first here.
                self._places.setdefault(index, (-place, digest))

    def count(self, lines: Sequence[tuple[int, bytes]]) -> int:
        """Return how many of the first lines stand there, byte for byte and in this order.

        Whatever comes after one that does not is new.

        Args:
            lines: index and bytes of each that is to be written.
        """
        for number, (index, line) in enumerate(lines):
            place, digest = self._places.get(index, (-MOST, b""))
            if place <= self._reached or digest != _digest(line):
                self._places.clear()
                return number
            self._reached = place
        return len(lines)


def backwards(descriptor: int, end: int) -> Iterator[Mark]:
    """Return the marks of a file's lines from its end on.

    Args:
        descriptor: of the file.
        end: how long it is; a line ends there.
    """
    rest = b""
    while end:
        start = max(0, end - _BLOCK)
        content = os.pread(descriptor, end - start, start) + rest
        end = start
        # Where a line begins in an earlier block its beginning is waited for.
        cut = content.find(b"\n") + 1 if end else 0
        rest = content[:cut] if cut else content
        if cut or not end:
            lines = content[cut:].split(b"\n")[:-1]
            yield from (mark(line + b"\n") for line in reversed(lines))


def backwards_of_rotated(paths: Iterable[Path]) -> Iterator[Mark]:
    """Return the marks of rotated files from the end on; one that can't be read ends it.

    Args:
        paths: newest first; ``.gz`` are packed.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(OSError, EOFError, zlib.error):
        for path in paths:
            with os.fdopen(os.open(path, flags), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    return
                if path.suffix == ".gz":
                    with gzip.GzipFile(fileobj=file) as packed:
                        marks = deque((mark(line) for line in packed), MOST)
                    yield from reversed(marks)
                else:
                    yield from backwards(file.fileno(), found.st_size)
