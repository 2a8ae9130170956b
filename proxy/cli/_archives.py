"""The archives of a pruned log: together with what is left of it they are its whole history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.cli._bundle.checking import check_bundle
from proxy.cli._verification import Advance, Findings, TrustedKeys
from proxy.errors import InvalidInputError, VerificationError


@dataclass(frozen=True, slots=True)
class Archives:
    """What archives hold, each checked for itself.

    Attributes:
        until: they hold all entries before this index.
        notes: the checkpoints that prove each of them: the log has to have been so.
    """

    until: int
    notes: tuple[str, ...]

    def tell(self, findings: Findings) -> None:
        """Say of a log that holds, and was so, whether the archives are all that was pruned."""
        findings.archived_until = min(self.until, findings.pruned_until)
        if self.until < findings.pruned_until:
            findings.is_proved = False
            findings.unchecked.append(
                f"the entries from {self.until} to {findings.pruned_until - 1}, which were pruned "
                "and are in none of the archives that were given"
            )


def read_archives(paths: Sequence[Path], keys: TrustedKeys, advance: Advance) -> Archives:
    """Check archives.

    Args:
        paths: bundles, or directories of such.
        keys: trusted ones.
        advance: told about each entry.

    Raises:
        VerificationError: one does not hold.
        InvalidInputError: there is none, or one is a choice of entries.
        OSError: one can't be read.
    """
    found = []
    notes: list[str] = []
    for path in _files(paths):
        try:
            proved = check_bundle(path, keys.entry, keys.checkpoint, [], advance)
        except VerificationError as error:
            raise VerificationError(f"{path} does not hold. {error}", error.index) from error
        if not proved.is_whole:
            raise InvalidInputError(f"{path} is a choice of entries, and no archive: leave it out")
        found.append((proved.first, proved.last))
        notes += proved.notes
    until = 0
    for first, last in sorted(found):
        if first <= until:
            until = max(until, last + 1)
    return Archives(until, tuple(notes))


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.zip")) if path.is_dir() else [path]
    if not found:
        raise InvalidInputError("--archive names no archive: no file there ends in .zip")
    return found
