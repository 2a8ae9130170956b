"""Reads a pattern into combinations, each of which is a way in which an entry can match.

Event Ruler does the same: ``$or`` is multiplied out, so that what is asked of one object in a list
is asked of it together, wherever it stands in the pattern.
"""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

import orjson

from proxy.fields import FieldError
from proxy.patterns.asking import SHOWN, tests_of
from proxy.patterns.matching import Combination, Path

MAX_COMBINATIONS: Final = 100
"""That a pattern's ``$or`` may be multiplied out to: EventBridge takes 1,000. Each looks at all
that is in a list, on the machine that serves requests."""
MAX_DEPTH: Final = 32
"""Objects and lists inside each other; entries are far flatter."""

_OR: Final = "$or"
_RESERVED: Final = frozenset(
    (
        *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists"),
        *("wildcard", "numeric", "cidr", "=", "<", "<=", ">", ">=", "regex"),
        *("not-wildcard", "not-equals-ignore-case", "date-after", "date-on-or-after"),
        *("date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    )
)
"""Names that EventBridge doesn't take as fields inside ``$or``."""


class Reader:
    """Reads a pattern into combinations, each of which is a way to match.

    Args:
        what: the name of the whole.
        known: by field, all that it can be.
    """

    def __init__(self, what: str, known: Mapping[str, Collection[str]]) -> None:
        self._what = what
        self._known = {(name,): values for name, values in known.items()}

    def combinations(self, pattern: Mapping[str, Any]) -> list[Combination]:
        """Return all of a pattern.

        Raises:
            FieldError: names the place and what to write there.
        """
        return self._fields(pattern, self._what, (), [{}], 0, inside_or=False)

    def _fields(  # noqa: PLR0913 - where it is in the pattern, and where in an entry
        self,
        of: Mapping[str, Any],
        place: str,
        path: Path,
        known: list[Combination],
        depth: int,
        *,
        inside_or: bool,
    ) -> list[Combination]:
        """Return the combinations so far, each with what this object asks added."""
        if not of:
            raise FieldError(f"{place} is empty: name a field, or leave it out", place)
        for name, value in of.items():
            at = f"{place}.{name[:SHOWN]}"
            # Event Ruler takes "a.b" for b inside a, in a pattern and in an event.
            below = (*path, *name.split("."))
            if max(depth, len(below)) >= MAX_DEPTH:
                raise FieldError(
                    f"{self._what} is more than {MAX_DEPTH} objects deep, as no entry is", at
                )
            if name == _OR:
                known = self._or(value, at, path, known, depth + 1)
            elif inside_or and name in _RESERVED:
                raise FieldError(
                    f"{at}: inside $or EventBridge takes no field that is called {name}", at
                )
            elif isinstance(value, Mapping):
                known = self._fields(value, at, below, known, depth + 1, inside_or=inside_or)
            elif isinstance(value, (list, tuple)):
                known = _with_field(value, at, below, known)
                if below in self._known:
                    _require_known(value, at, self._known[below])
            else:
                raise FieldError(
                    f"{at} must be a list of the values that are meant, such as "
                    f"{_shown_list(value)}, or an object",
                    at,
                )
        return known

    def _or(
        self, value: object, place: str, path: Path, known: list[Combination], depth: int
    ) -> list[Combination]:
        if not isinstance(value, (list, tuple)) or len(value) < 2:
            raise FieldError(f"{place} must be a list of two objects or more", place)
        found: list[Combination] = []
        for position, each in enumerate(value):
            at = f"{place}[{position}]"
            if not isinstance(each, Mapping):
                raise FieldError(f"{at} must be an object of fields", at)
            found += self._fields(each, at, path, known, depth, inside_or=True)
            _require_few(len(found), place)
        return found


def _with_field(
    values: list[Any] | tuple[Any, ...], place: str, path: Path, known: list[Combination]
) -> list[Combination]:
    """Return the combinations so far, each with what one field must be added."""
    if not values:
        raise FieldError(f"{place} is empty: name the values that are meant", place)
    either = tests_of(values, place)
    _require_few(len(known) * len(either), place)
    if any(path in each for each in known):
        raise FieldError(
            f"{place}: {'.'.join(path)[:SHOWN]} is asked for a second time in the same "
            "combination: put all of its values into one list",
            place,
        )
    return [{**each, path: test} for each in known for test in either]


def _require_known(values: Iterable[Any], place: str, known: Collection[str]) -> None:
    """Pass when each of the values asks for something that there is."""
    for position, value in enumerate(values):
        at = f"{place}[{position}]"
        if not any(test is not None and any(map(test, known)) for test in tests_of([value], at)):
            near = get_close_matches(value, known, n=1) if isinstance(value, str) else []
            hint = near[0] if near else ", ".join(islice(known, 3)) + " …"
            raise FieldError(
                f"{at} means nothing that there is: "
                + (f"did you mean {hint}?" if near else f"there are {hint}"),
                at,
            )


def _require_few(combinations: int, place: str) -> None:
    if combinations > MAX_COMBINATIONS:
        raise FieldError(
            f"{place}: multiplied out these are more than {MAX_COMBINATIONS:,} combinations: "
            "write several values of one field as one list, ask for less at once, or in several "
            "sinks",
            place,
        )


def _shown_list(value: object) -> str:
    """Return a value as the list that it should have been, if it is short."""
    if isinstance(value, str) and len(value) <= 40:
        return orjson.dumps([value]).decode()
    return '["production"]'
