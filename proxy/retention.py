"""Which versions of a state are kept: the rules of retention, without I/O.

Each rule keeps some versions: the newest so many, those of the last so many days, the last of each
run. What no rule keeps is dropped. Without any rule everything is kept. Whatever the rules, two
stay: the newest version, and the one that the run under way began with.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from proxy.errors import InvalidInputError
from proxy.timestamps import micros_of, parse_length

MOST: Final = 2**31 - 1
"""Versions that can be asked to be kept."""

ALL: Final = "all"
LAST_OF_RUN: Final = "last-of-run"

_SECOND: Final = 1_000_000
_LATER: Final = _SECOND
"""An entry is dated up to so many microseconds after its transaction: whoever goes by the entries
must find, too, that what was dropped was old enough."""


class Versioned(Protocol):
    """What the rules look at.

    Attributes:
        number: 1 for the workspace's first version, then up by one.
        created: RFC 3339.
        run: what tells its run from others; None was written without a lock: a run of its own.
    """

    @property
    def number(self) -> int: ...  # noqa: D102 - see the class

    @property
    def created(self) -> str: ...  # noqa: D102

    @property
    def run(self) -> object: ...  # noqa: D102


V = TypeVar("V", bound=Versioned)


class Retention(NamedTuple):
    """The rules; none of them keeps everything.

    Attributes:
        versions: so many of the newest are kept, by their numbers; None says nothing.
        seconds: whatever was written in the last so many is kept; None says nothing.
        last_of_run: the last version of each run is kept, for as long as this is so.
    """

    versions: int | None = None
    seconds: int | None = None
    last_of_run: bool = False

    @property
    def is_on(self) -> bool:
        """Whether anything can be dropped."""
        return self != KEEP_ALL

    def with_rules(self, other: "Retention") -> "Retention":
        """Return the rules that keep whatever either of the two keeps."""
        if not (self.is_on and other.is_on):
            return KEEP_ALL
        return Retention(
            _larger(self.versions, other.versions),
            _larger(self.seconds, other.seconds),
            self.last_of_run or other.last_of_run,
        )

    def keeps(self, number: int, created: int, head: int, now: int, *, ends_run: bool) -> bool:
        """Tell whether a rule keeps a version.

        Args:
            number: of the version.
            created: microseconds since 1970.
            head: number of the newest version.
            now: microseconds since 1970.
            ends_run: whether it is the last of its run.
        """
        return (
            not self.is_on
            or (self.versions is not None and number > head - self.versions)
            or (self.seconds is not None and created >= now - self.seconds * _SECOND)
            or (self.last_of_run and ends_run)
        )

    def as_entry(self) -> dict[str, Any]:
        """Return the rules as an entry tells them."""
        rules: dict[str, Any] = {"last_of_run": self.last_of_run}
        if self.versions is not None:
            rules["versions"] = self.versions
        if self.seconds is not None:
            rules["seconds"] = self.seconds
        return rules

    @classmethod
    def of_entry(cls, rules: dict[str, Any]) -> "Retention":
        """Return the rules that an entry tells."""
        return cls(rules.get("versions"), rules.get("seconds"), rules["last_of_run"])

    def __str__(self) -> str:
        """Return the rules as ``parse`` reads them: ``20, 90d, last-of-run``."""
        rules = []
        if self.versions is not None:
            rules.append(str(self.versions))
        if self.seconds is not None:
            rules.append(_length_text(self.seconds))
        if self.last_of_run:
            rules.append(LAST_OF_RUN)
        return ", ".join(rules) or ALL


KEEP_ALL: Final = Retention()
"""No rule: nothing is ever dropped."""


def parse(text: str) -> Retention:
    """Read rules as people write them for one workspace: ``20, 90d, last-of-run``, or ``all``.

    Raises:
        InvalidInputError: it is none of that, or says one thing twice.
    """
    parts = [part.strip() for part in text.split(",")]
    if parts == [ALL]:
        return KEEP_ALL
    rules = KEEP_ALL
    for part in parts:
        told = _rule(part, text)
        if any(one not in {None, False} and other for one, other in zip(rules, told, strict=True)):
            raise InvalidInputError(f"{text!r} says one thing twice: {part!r}")
        rules = told if rules == KEEP_ALL else rules.with_rules(told)
    return rules


def parse_period(text: str) -> int:
    """Read for how long versions are kept, such as ``90d``; return seconds.

    Raises:
        InvalidInputError: it is no length of time, or shorter than an hour.
    """
    length = parse_length(text)
    if length < timedelta(hours=1):
        raise InvalidInputError(f"{text!r} is less than an hour: write for example 90d")
    return round(length.total_seconds())


def to_drop(
    versions: Sequence[V], rules: Retention, now: str, *, destroyed: int, held_since: object
) -> list[V]:
    """Return the versions that no rule keeps, oldest first.

    Args:
        versions: of the workspace, oldest first: all that are kept so far, and each that follows
            right after one of them.
        rules: that ask.
        now: RFC 3339.
        destroyed: so many of the first were destroyed by a purge; they are left out.
        held_since: ``run`` of versions that the run under way writes; None without one.
    """
    if not versions or not rules.is_on:
        return []
    head = versions[-1].number
    start = started_with(versions, held_since)
    micros = micros_of(now) - _LATER
    return [
        version
        for version, following in pairwise(versions)
        if version.number > destroyed
        and version.number != start
        and not rules.keeps(
            version.number,
            micros_of(version.created),
            head,
            micros,
            ends_run=ends_run(version, following),
        )
    ]


def ends_run(version: Versioned, following: Versioned) -> bool:
    """Tell whether a version is the last of its run, by the one that follows it."""
    return version.run is None or following.run != version.run


def started_with(versions: Sequence[Versioned], held_since: object) -> int | None:
    """Return the number of the version that the run under way began with; None without one.

    Args:
        versions: of the workspace, oldest first.
        held_since: ``run`` of the versions that it writes; None when no lock is held.
    """
    if held_since is None:
        return None
    return next((each.number for each in reversed(versions) if each.run != held_since), None)


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Return rising numbers as ranges, each its first and its last."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def ranges_text(found: Iterable[Sequence[int]]) -> str:
    """Return ranges for people: ``1-40, 43``."""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def _rule(part: str, text: str) -> Retention:
    if part == LAST_OF_RUN:
        return Retention(last_of_run=True)
    if part.isascii() and part.isdecimal():
        if not 1 <= int(part[:12]) <= MOST:
            raise InvalidInputError(f"{text!r}: keep from 1 to {MOST} versions, not {part}")
        return Retention(versions=int(part))
    try:
        return Retention(seconds=parse_period(part))
    except InvalidInputError as error:
        raise InvalidInputError(
            f"{text!r} does not say which versions are kept: write a number of the newest, a "
            f"length of time (h, d, w) or {LAST_OF_RUN}, several with commas between them, such "
            f"as '20, 90d, {LAST_OF_RUN}'; or {ALL}"
        ) from error


def _larger(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _length_text(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
