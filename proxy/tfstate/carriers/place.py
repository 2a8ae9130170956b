"""Where a value stands inside a text, and what is known of it from the text alone."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

MAX_PLACES: Final = 100_000
"""In one text. What follows is one place more, secret as a whole: `too-many` says why."""

MAX_DEPTH: Final = 64
"""Steps of a path; a place further down keeps the first ones and its own."""

Path = tuple[str | int, ...]


def verbatim(text: str) -> str:
    """The encoding of places that need none."""
    return text


class Place(NamedTuple):
    """One value inside a text.

    Attributes:
        start: the index of its first character as written, behind the quote if it is quoted.
        end: the index behind its last character, before the closing quote.
        path: the keys and indexes (from 0) that lead to it inside the text.
        value: its text decoded: without escapes, indentation, encoding; numbers as written.
        encode: writes a text so that it can stand from `start` to `end`.
        label: what a sibling calls it, as in `{"name": "DB_PASSWORD", "value": "…"}`.
        why: not empty when the format itself says that it is a secret; then the format's name.
        is_key: it is not a value but the key of a map.
    """

    start: int
    end: int
    path: Path
    value: str
    encode: Callable[[str], str] = verbatim
    label: str = ""
    why: str = ""
    is_key: bool = False


class Carrier(NamedTuple):
    """A text whose format is known.

    Attributes:
        kind: the format: `json`, `yaml`, `url`, `dsn`, `pairs`, `ini`, `script`, `base64`,
            `gzip`, `mime`, `xml`, `pem`, `netrc`, `pgpass`, `htpasswd`.
        places: its values, disjoint, ascending.
    """

    kind: str
    places: tuple[Place, ...]


def below(path: Path, step: str | int) -> Path:
    """One step further, in bounded space."""
    return (*path, step) if len(path) < MAX_DEPTH else (*path[: MAX_DEPTH - 1], step)


def rest(text: str, start: int) -> Place:
    """The place for all that stands behind too many others."""
    return Place(start, len(text), (), text[start:], why="too-many")


def disjoint(places: Iterable[Place]) -> list[Place]:
    """The places in their order, without those that begin inside an earlier one.

    Of two that overlap, the one that is known to be secret stays; but the password of a URL
    inside a longer value is found again by who looks into that.
    """
    found: list[Place] = []
    end = 0
    for place in sorted(places, key=_order):
        if place.end <= place.start:
            continue
        if place.start < end:
            if found[-1].why or place.why in ("", "url-password"):
                continue
            found.pop()
        found.append(place)
        end = place.end
    return found


def _order(place: Place) -> tuple[int, int]:
    """By start; of two that start together, the longer first."""
    return place.start, -place.end
