"""Anchors in files: one that is replaced, or a directory with one for each checkpoint.

For a file system of another machine or owner: a share, a volume that only grows, a mounted bucket.
"""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from proxy.anchors.place import MAX_BYTES, Label, label_in, label_of
from proxy.durable import replace_text
from proxy.errors import InvalidInputError, UnavailableError
from proxy.sinks._thread import OneThread
from proxy.sinks.contract import NotTakenError
from proxy.tlog.checkpoint import parse

T = TypeVar("T")

_MODE: Final = 0o644
"""Whoever compares may read it: a checkpoint is no secret."""
_NO_DIRECTORY: Final = "there is no directory {}: make it, or mount what should be there"


class FilePlace:
    """One file, which always holds the newest.

    Args:
        name: of the anchor.
        path: of the file; its directory must be there.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.where = str(path)
        self.is_settled = True
        self._path = path
        self._thread = OneThread(name)

    async def seen(self, size: int) -> list[Label]:  # noqa: ARG002 - there is but one
        """Return the one that stands there; see ``Place``."""
        note = await in_thread(self._thread, lambda: text_in(self._path))
        return [] if note is None else [_label(note, self.where)]

    async def read(self, label: Label) -> str:
        """Return it; see ``Place``."""
        note = await in_thread(self._thread, lambda: text_in(self._path))
        if note is None or _label(note, self.where) != label:
            raise UnavailableError(f"{self.where} was changed at this moment")
        return note

    async def put(self, label: Label, note: str) -> None:
        """Replace it; one that the log has no more is kept beside it. See ``Place``."""
        await in_thread(self._thread, lambda: self._put(label, note))

    def _put(self, label: Label, note: str) -> None:
        present = text_in(self._path)
        if present is not None:
            there = _label(present, self.where)
            if there.size >= label.size and there != label:
                # On record as lost, or it would stay; it is evidence all the same.
                lost = self._path.with_name(f"{self._path.name}.lost-{there.size}")
                replace_text(lost, present, _MODE)
        replace_text(self._path, note, _MODE)

    async def aclose(self) -> None:
        """Let the thread end."""
        await self._thread.aclose(lambda: None)


class DirectoryPlace:
    """A file for each; what has other names is left alone.

    Args:
        name: of the anchor.
        path: of the directory, which must be there.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.where = str(path)
        self.is_settled = True
        self._path = path
        self._thread = OneThread(name)

    async def seen(self, size: int) -> list[Label]:  # noqa: ARG002 - one look shows them all
        """Return all, the largest first; see ``Place``."""
        return await in_thread(self._thread, lambda: labels_in(self._path))

    async def read(self, label: Label) -> str:
        """Return one; see ``Place``."""
        note = await in_thread(self._thread, lambda: text_in(self._path / label.name))
        if note is None:
            raise UnavailableError(f"{self._path / label.name} was taken away at this moment")
        return note

    async def put(self, label: Label, note: str) -> None:
        """Add a file; see ``Place``."""
        await in_thread(self._thread, lambda: add_file(self._path, label, note))

    async def aclose(self) -> None:
        """Let the thread end."""
        await self._thread.aclose(lambda: None)


def labels_in(directory: Path) -> list[Label]:
    """Return the labels of all anchors in a directory, the largest first.

    Raises:
        UnavailableError: there is no directory.
        OSError: it can't be read.
    """
    try:
        found = [label_in(each.name) for each in directory.iterdir()]
    except FileNotFoundError:
        raise UnavailableError(_NO_DIRECTORY.format(directory)) from None
    return sorted((each for each in found if each is not None), reverse=True)


def add_file(directory: Path, label: Label, note: str) -> None:
    """Write an anchor into a directory, unless it is there.

    Raises:
        OSError: it can't be written.
    """
    path = directory / label.name
    if not path.exists():
        replace_text(path, note, _MODE)


def text_in(path: Path) -> str | None:
    """Return what a file holds; None when there is none, in a directory that is there.

    Raises:
        UnavailableError: it can't be read.
        InvalidInputError: it is no checkpoint.
    """
    try:
        # A pipe would keep whoever opens it waiting.
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInputError(f"{path} is no file: name another path for the anchor")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UnavailableError(_NO_DIRECTORY.format(path.parent)) from None
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > MAX_BYTES:
        raise InvalidInputError(f"{path} holds no checkpoint")
    return text


def _label(note: str, where: str) -> Label:
    """Return the label of a note whose signature nobody checked yet.

    Raises:
        InvalidInputError: it is no checkpoint.
    """
    try:
        return label_of(parse(note.partition("\n\n")[0] + "\n"))
    except InvalidInputError as error:
        raise InvalidInputError(f"{where} holds no checkpoint") from error


async def in_thread(thread: OneThread, call: Callable[[], T]) -> T:
    """Return what a call returns.

    Raises:
        UnavailableError: the file system refused.
        InvalidInputError: as the call says.
    """
    try:
        return await thread.run(call)
    except NotTakenError as error:
        raise UnavailableError("it is closed") from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise UnavailableError(f"{place}{error.strerror or error}") from error
