"""Reads a bundle from an archive or a directory, of which nothing is believed nor unpacked."""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final
from zipfile import BadZipFile, ZipFile

from proxy.cli._bundle import layout
from proxy.errors import MissingError, VerificationError
from proxy.tlog.entry import MAX_ENTRY_BYTES

ARCHIVE: Final = b"PK\x03\x04"
"""How an archive begins."""
_MAX_LINE: Final = MAX_ENTRY_BYTES + 4096
_DAMAGED: Final = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class BundleFiles:
    """The files of a bundle by name.

    Args:
        names: of all of them.
        place: the archive that holds them, or the directory.
        after: closes what is still open in the end.
    """

    def __init__(self, names: set[str], place: ZipFile | Path, after: ExitStack) -> None:
        self.names = names
        self._place = place
        self._after = after

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """Open one of them.

        Raises:
            MissingError: it is not there.
            VerificationError: it is damaged.
        """
        if name not in self.names:
            raise MissingError(f"{name} is missing from the bundle.")
        try:
            with ExitStack() as after:
                if isinstance(self._place, Path):
                    yield after.enter_context((self._place / name).open("rb"))
                else:
                    yield after.enter_context(self._place.open(name))
        except _DAMAGED as error:
            raise VerificationError(f"{name} can't be read from the bundle: {error}") from error

    def read(self, name: str) -> bytes:
        """Return a small one.

        Raises:
            VerificationError: it is not there, damaged, or longer than it can be.
        """
        with self.opened(name) as file:
            content = file.read(layout.MAX_FILE + 1)
        if len(content) > layout.MAX_FILE:
            raise VerificationError(f"{name} is longer than it can be in a bundle.")
        return content

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of one, each with its end; a longer one than there can be in parts.

        Raises:
            VerificationError: it is not there, or damaged.
        """
        file = self._after.enter_context(self.opened(name))
        while True:
            try:
                line = file.readline(_MAX_LINE)
            except _DAMAGED as error:
                raise VerificationError(f"{name} can't be read from the bundle: {error}") from error
            if not line:
                return
            yield line


@contextmanager
def open_bundle(bundle: Path | BinaryIO) -> Iterator[BundleFiles]:
    """Open a bundle: an archive, which may be open, or the directory it was unpacked into.

    Raises:
        VerificationError: it holds what no bundle does, or was made to do harm.
        OSError: it can't be read.
    """
    if isinstance(bundle, Path) and bundle.is_dir():
        found = [each for each in bundle.rglob("*") if each.is_symlink() or not each.is_dir()]
        odd = [str(each) for each in found if each.is_symlink() or not each.is_file()]
        names = [each.relative_to(bundle).as_posix() for each in found]
        with ExitStack() as after:
            yield BundleFiles(_checked(names, odd), bundle, after)
        return
    with ExitStack() as after:
        try:
            archive = after.enter_context(ZipFile(bundle))
        except _DAMAGED as error:
            raise VerificationError(f"It is no whole archive: {error}.") from error
        members = archive.infolist()
        odd = [each.filename for each in members if not layout.is_plain(each)]
        names = [each.filename for each in members]
        yield BundleFiles(_checked(names, odd), archive, after)


def _checked(names: list[str], odd: list[str]) -> set[str]:
    odd += [name for name in names if not layout.is_name(name)]
    if odd:
        raise VerificationError(
            f"The bundle holds {min(odd)!r}, which no bundle does: a file of another name, a link, "
            "an encrypted file, or one that unpacks to far more than its size. Nothing was "
            "unpacked; don't unpack it."
        )
    different = set(names)
    if len(different) != len(names):
        raise VerificationError("The bundle holds two files of one name: don't unpack it.")
    return different
