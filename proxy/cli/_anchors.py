"""Anchors: checkpoints of the log that were kept elsewhere, and what they say of the log here.

An anchor is a signed checkpoint wherever it stands: in a file of its own, in a directory or a git
repository of such, or in whatever a sink wrote, where JSON has escaped it.
"""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from proxy.cli._regular import open_regular
from proxy.errors import InvalidInputError, MissingError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.merkle import Frontier
from proxy.tlog.note import NoteVerifier

_PIECE: Final = 1 << 24
"""Characters of a file that are looked at in one go."""
MAX_BYTES: Final = 1 << 34
"""Bytes of the largest file that is looked through, which takes some minutes."""
_LONGEST: Final = 1 << 16
"""Characters of the longest anchor: pieces overlap by so many."""

_NEWLINE: Final = r"(?:\r?\n|\\+n)"
_BASE64: Final = r"(?:[A-Za-z0-9+=]|\\*/)"
_DASH: Final = r"(?:\u2014|\\+u2014)"
# From the end of the origin on: a long text that holds no anchor is soon looked through.
_NOTE: Final = re.compile(
    rf"(?P<rest>{_NEWLINE}(?:0|[1-9][0-9]{{0,19}}){_NEWLINE}{_BASE64}{{44,60}}{_NEWLINE})"
    rf"{_NEWLINE}(?P<signatures>(?:{_DASH} [^\s\"'\\+]{{1,255}} {_BASE64}{{1,8192}}{_NEWLINE})+)"
)
_ORIGIN: Final = re.compile(r"[^\s\"'\\]{1,255}\Z")
_LONGEST_ORIGIN: Final = 255
_HIDDEN: Final = "."


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint of this log that was kept elsewhere; its signature was checked.

    Attributes:
        place: where it stands.
        checkpoint: what the log promised then.
        note: with its signatures.
    """

    place: Path | str
    checkpoint: Checkpoint
    note: str


@dataclass(frozen=True, slots=True)
class Anchors:
    """What was found.

    Attributes:
        found: anchors of this log, the smallest first, one of each checkpoint.
        others: origins of other logs whose checkpoints stand there.
        wrong: of checkpoints that claim to be of this log and don't hold, where and why.
    """

    found: Sequence[Anchor]
    others: frozenset[str]
    wrong: Sequence[str]


def read_anchors(paths: Sequence[Path], verifiers: Sequence[NoteVerifier]) -> Anchors:
    """Read all checkpoints in files, and in all files of directories.

    Args:
        paths: files or directories; what is hidden in a directory (``.git``), or no regular file,
            is passed over.
        verifiers: the log's checkpoint key, and its former ones.

    Raises:
        InvalidInputError: one that is named is no regular file, or one is too large.
        OSError: one can't be read.
    """
    names = {each.name for each in verifiers}
    found: dict[Checkpoint, Anchor] = {}
    others: set[str] = set()
    wrong: list[str] = []
    for path in paths:
        for file in sorted(_files(path)):
            for note in _notes(file):
                origin = note.split("\n", 1)[0]
                if origin not in names:
                    others.add(origin)
                    continue
                try:
                    checkpoint = verify_checkpoint(note, *verifiers)
                except (InvalidInputError, VerificationError) as error:
                    wrong.append(f"{file}: {error}")
                    continue
                found.setdefault(checkpoint, Anchor(file, checkpoint, note))
    ordered = sorted(found.values(), key=lambda anchor: anchor.checkpoint.size)
    return Anchors(ordered, frozenset(others), wrong)


async def compare(anchors: Sequence[Anchor], leaf_hashes: AsyncIterator[bytes]) -> int:
    """Compare the log with its anchors; pass when it is what each of them says, and more.

    Args:
        anchors: the smallest first.
        leaf_hashes: of the whole log, checked.

    Returns:
        The size that the largest anchor proved.

    Raises:
        VerificationError: the log was forked; the index is the first that no anchor proved.
        MissingError: the log is shorter than an anchor.
    """
    tree = Frontier()

    async def root(size: int) -> bytes:
        while tree.size < size:
            leaf = await anext(leaf_hashes, None)
            if leaf is None:
                raise _missing(tree.size, anchors)
            tree.append(leaf)
        return tree.root()

    return await compare_roots(anchors, root)


async def compare_roots(
    anchors: Sequence[Anchor], root: Callable[[int], Awaitable[bytes]], size: int | None = None
) -> int:
    """Compare the log with its anchors, as ``compare``, by its roots.

    Args:
        anchors: the smallest first.
        root: gives that of the log's first so many entries, never fewer than the time before.
        size: of the log; None when ``root`` tells that there are too few.

    Raises:
        VerificationError, MissingError: as ``compare``, and what ``root`` raises.
    """
    proved = 0
    for anchor in anchors:
        wanted = anchor.checkpoint.size
        if size is not None and wanted > size:
            raise _missing(size, anchors)
        if await root(wanted) != anchor.checkpoint.root:
            raise VerificationError(
                f"The log was forked: its first {wanted} entries are not those that it had when "
                f"{anchor.place} was written, and both were signed with its key. They part "
                f"between entry {proved} and entry {wanted - 1}.",
                proved,
            )
        proved = wanted
    return proved


def _missing(size: int, anchors: Sequence[Anchor]) -> MissingError:
    largest = anchors[-1]
    return MissingError(
        f"The log has {size} entries, but it had {largest.checkpoint.size} when {largest.place} "
        "was written: an older backup was put in its place, or its tail was cut off.",
        size,
    )


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for each in path.iterdir():
        is_looked_at = not each.name.startswith(_HIDDEN) and not each.is_symlink()
        if is_looked_at and (each.is_dir() or each.is_file()):
            yield from _files(each)


def _notes(path: Path) -> Iterator[str]:
    """Yield what looks like a signed checkpoint, as it was before JSON escaped it."""
    with (
        open_regular(path) as raw,
        TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="") as file,
    ):
        size = os.fstat(raw.fileno()).st_size
        if size > MAX_BYTES:
            raise InvalidInputError(
                f"{path} has {size:,} bytes, of {MAX_BYTES:,} that are looked through for "
                "checkpoints: name the files that hold them one by one"
            )
        kept = ""
        while piece := file.read(_PIECE):
            text = kept + piece
            end = 0
            for match in _NOTE.finditer(text):
                end = match.end()
                before = text[max(0, match.start() - _LONGEST_ORIGIN) : match.start()]
                origin = _ORIGIN.search(before)
                if origin is not None:
                    body = _plain(match["rest"])
                    yield f"{origin[0]}{body}\n{_plain(match['signatures'])}"
            # An anchor may go on in the next piece; one that was given is not looked at again.
            kept = text[max(end, len(text) - _LONGEST) :]


def _plain(escaped: str) -> str:
    text = re.sub(_NEWLINE, "\n", escaped)
    return re.sub(r"\\+/", "/", re.sub(_DASH, "\N{EM DASH}", text))
