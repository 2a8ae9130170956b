"""The archives of a pruned log: together with what is left of it they are its whole history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from proxy.cli._bundle.checking import check_bundle
from proxy.cli._bundle.layout import NEWEST
from proxy.cli._bundle.reading import open_bundle
from proxy.cli._regular import open_regular
from proxy.cli._verification import Advance, Findings, TrustedKeys
from proxy.errors import InvalidInputError, VerificationError


@dataclass(frozen=True, slots=True)
class Archives:
    """What archives hold, each checked for itself.

    Attributes:
        until: they hold all entries before this index.
        notes: the checkpoints that prove each of them: the log has to have been so.
        ranges: first and last index of each of them, in order.
        others: names of files that are archives of other logs.
    """

    until: int
    notes: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...] = ()
    others: tuple[str, ...] = ()

    def tell(self, findings: Findings) -> None:
        """Say of a log that holds, and was so, whether the archives are all that was pruned."""
        findings.archived_until = min(self.until, findings.pruned_until)
        findings.unchecked += [f"{each}, an archive of another log" for each in self.others]
        following = 0
        for first, last in (*self.ranges, (findings.pruned_until, findings.pruned_until)):
            if following < min(first, findings.pruned_until):
                findings.is_proved = False
                findings.unchecked.append(
                    f"the entries from {following} to {min(first, findings.pruned_until) - 1}, "
                    "which were pruned and are in none of the archives that were given"
                )
            following = max(following, last + 1)


def read_archives(paths: Sequence[Path], keys: TrustedKeys, advance: Advance) -> Archives:
    """Check archives.

    Args:
        paths: bundles, or directories of such.
        keys: trusted ones.
        advance: told about each entry.

    Raises:
        VerificationError: one does not hold.
        InvalidInputError: there is none, or one is no file or a choice of entries.
        OSError: one can't be read.
    """
    found, others = [], []
    notes: list[str] = []
    names = {each.name for each in keys.checkpoint}
    for path in _files(paths):
        try:
            with open_regular(path) as file:
                if _origin(file) not in {*names, ""}:
                    others.append(str(path))
                    continue
                proved = check_bundle(file, keys.entry, keys.checkpoint, [], advance)
        except VerificationError as error:
            raise VerificationError(f"{path} does not hold. {error}", error.index) from error
        if not proved.is_whole:
            raise InvalidInputError(f"{path} is a choice of entries, and no archive: leave it out")
        found.append((proved.first, proved.last))
        notes += proved.notes
    if not found:
        raise InvalidInputError(
            f"--archive names no archive of this log, only of others: {', '.join(others)[:500]}"
        )
    until = 0
    for first, last in sorted(found):
        if first <= until:
            until = max(until, last + 1)
    return Archives(until, tuple(notes), tuple(sorted(found)), tuple(others))


def _origin(archive: BinaryIO) -> str:
    """Return which log an archive says that it is of; empty if it says nothing that can be read."""
    try:
        with open_bundle(archive) as files:
            return files.read(NEWEST).decode("utf-8", "replace").split("\n", 1)[0]
    except VerificationError:
        return ""


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(each for each in path.glob("*.zip") if each.is_file())
        else:
            found.append(path)
    if not found:
        raise InvalidInputError("--archive names no archive: no file there ends in .zip")
    return found
