"""What ``tfaudit verify --witness`` asks for: so many of these witnesses must have cosigned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.errors import InvalidInputError, MissingError
from proxy.timestamps import rfc3339
from proxy.tlog.checkpoint import parse
from proxy.tlog.cosignature import CosignatureVerifier, require_quorum
from proxy.tlog.note import split_note

_COMMENT: Final = "#"
_LATEST: Final = 253_402_300_799
"""Seconds from 1970 to the end of the year 9999; a witness may sign any time."""


class NotCosignedError(MissingError):
    """The log holds, and too few of those who were named said so."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a quorum of witnesses said.

    Attributes:
        size: they cosigned the log's first so many entries.
        seconds: since 1970; by then a quorum had said so.
        names: of the witnesses that did, in order.
        asked: how many were named.
    """

    size: int
    seconds: int
    names: tuple[str, ...]
    asked: int

    @property
    def time(self) -> str:
        """The time, RFC 3339; the end of the year 9999 for all that is later."""
        return rfc3339(min(self.seconds, _LATEST) * 1_000_000)

    def as_json(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "entries": self.size,
            "time": self.time,
            "witnesses": list(self.names),
            "asked": self.asked,
        }


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whose word is wanted.

    Attributes:
        witnesses: their keys.
        wanted: so many of them must have cosigned.
    """

    witnesses: tuple[CosignatureVerifier, ...]
    wanted: int

    def newest(self, notes: Iterable[str]) -> Witnessed:
        """Return what a quorum said of the largest checkpoint that it cosigned.

        Args:
            notes: signed checkpoints, each proved to be one of the log.

        Raises:
            NotCosignedError: a quorum cosigned none of them.
            VerificationError: the cosignature of a witness that is named is wrong.
        """
        found = [each for note in notes if (each := self._said(note)) is not None]
        if not found:
            raise NotCosignedError(
                f"No checkpoint that was found is cosigned by {self.wanted} of the "
                f"{len(self.witnesses)} witnesses named with --witness: they were not asked, or "
                "did not answer, or the cosigned checkpoint (/checkpoint/cosigned) is not there. "
                "If you have one from elsewhere, give it with --checkpoint."
            )
        return max(found, key=lambda each: (each.size, each.seconds))

    def is_named_in(self, note: str) -> bool:
        """Tell whether a note claims to be cosigned by any of them."""
        _, lines = split_note(note)
        known = {(each.name, each.key_id) for each in self.witnesses}
        return any((line.name, line.key_id) in known for line in lines)

    def _said(self, note: str) -> Witnessed | None:
        try:
            found = require_quorum(note, self.witnesses, self.wanted)
        except MissingError:
            return None
        text, _ = split_note(note)
        newest = sorted(found, key=lambda each: each.seconds, reverse=True)
        return Witnessed(
            parse(text).size,
            newest[self.wanted - 1].seconds,
            tuple(sorted(each.witness.name for each in found)),
            len(self.witnesses),
        )


def parse_quorum(given: Sequence[str], wanted: int | None) -> Quorum:
    """Read what ``--witness`` and ``--quorum`` say.

    Args:
        given: verifier keys, or files with one a line, as `tfaudit witness key` prints it; its
            address may stand before it, as in ``[witness] ask``.
        wanted: how many; None wants all.

    Raises:
        InvalidInputError: one is no witness's key, two are the same, or more are wanted than named.
    """
    witnesses = [verifier for each in given for verifier in _verifiers(each)]
    if not witnesses:
        raise InvalidInputError("--witness names a file that holds no witness's key")
    keys = {each.public_key.public_bytes_raw() for each in witnesses}
    if len(keys) < len(witnesses):
        raise InvalidInputError("--witness names one key twice: each witness counts once")
    if wanted is not None and wanted > len(witnesses):
        raise InvalidInputError(
            f"--quorum is {wanted}, but --witness names {len(witnesses)}: name more, or want fewer"
        )
    return Quorum(tuple(witnesses), wanted or len(witnesses))


def _verifiers(given: str) -> list[CosignatureVerifier]:
    path = Path(given)
    if not path.exists() or path.is_dir():  # a pipe is as good as a file
        if "+" not in given:
            raise InvalidInputError(
                f"--witness {given[:100]}: there is no such file, and it is no witness's key"
            )
        return [_verifier(given, given)]
    lines = (line.strip() for line in path.read_text("utf-8", "replace").splitlines())
    return [
        _verifier(line.split()[-1], given)
        for line in lines
        if line and not line.startswith(_COMMENT)
    ]


def _verifier(vkey: str, given: str) -> CosignatureVerifier:
    try:
        return CosignatureVerifier.parse(vkey)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"--witness {given[:100]!r} should be a file, or a witness's key as `tfaudit witness "
            f"key` prints it: {error}"
        ) from error
