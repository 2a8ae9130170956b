"""Where a value stands in what was recorded: hidden behind a commitment, or, at worst, in plain.

Whoever knows the value and the key can tell which commitments are the value's. Where no rule knew
a value as a secret, an entry shows it, and it is looked for itself.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from proxy.tfstate.sightings import Search, Sighting, below

_SIDES: Final = ("before", "after")
_PARTS: Final = ("attributes", "settings")
_OURS: Final = frozenset({"changes", "event", "id", "outcome", "time", "v"})
"""Members of an entry that hold nothing from outside, or are looked through by themselves."""
_DRAWN: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")
"""IDs and digests: any short value may stand in one by chance."""
_MARK: Final = re.compile(
    r"(?:\[|%5B)redacted(?:(?: |%20)hmac-sha256(?::|%3A)[A-Za-z0-9+/%]{11,15}(?:=|%3D))?(?:\]|%5D)"
    r"|hmac-sha256:[A-Za-z0-9+/]{11}="
)
_OF_OUTPUT: Final = re.compile(r'(?:^|\.)output\.[^."]*$')
"""The end of an output's address."""
_CUT: Final = frozenset({"text", "bytes", "digest"})


def in_plain(
    search: Search, entry: Mapping[str, Any], document: Mapping[str, Any] | None
) -> list[Sighting]:
    """Return where an entry, or the document beside it, shows the value for all to read.

    Args:
        search: for the value.
        entry: as it was recorded.
        document: the whole changes, when the entry has only the first of them.
    """
    found: list[Sighting] = []
    for changes in (entry.get("changes"), document):
        if isinstance(changes, dict):
            found += _plain_in_changes(search, changes)
    for name, value in entry.items():
        if name not in _OURS:
            found += _plain_in_texts(search, name, value)
    return list(dict.fromkeys(found))


def _plain_in_changes(search: Search, changes: Mapping[str, Any]) -> Iterator[Sighting]:
    items = changes.get("items")
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        address = search.masked(str(item.get("address", "")))
        if search.in_name(_MARK.sub("", str(item.get("address", "")))):
            yield Sighting(address, "", "plain")
        for part in _PARTS:
            attributes = item.get(part)
            for path, sides in attributes.items() if isinstance(attributes, dict) else ():
                if search.in_name(_MARK.sub("", path)):
                    yield Sighting(address, search.masked(path), "plain")
                for side in _SIDES if isinstance(sides, dict) else ():
                    for place, _ in search.within(path, _shown(sides.get(side))):
                        yield Sighting(address, search.masked(place), "plain", side)
    rest = {name: value for name, value in changes.items() if name != "items"}
    yield from _plain_in_texts(search, "changes", rest)


def _plain_in_texts(search: Search, path: str, value: object) -> Iterator[Sighting]:
    """Yield the places in what is no attribute, where numbers are counts and sizes of ours."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _plain_in_texts(search, below(path, name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _plain_in_texts(search, f"{path}[{index}]", inner)
    elif isinstance(value, str) and (not _DRAWN.fullmatch(value) or search.is_value(value)):
        for place, _ in search.within(path, _MARK.sub("", value)):
            yield Sighting("", search.masked(place), "plain")


def _shown(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value of an entry without what stands for secrets and for what was cut off."""
    if isinstance(value, str):
        return _MARK.sub("", value)
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"redacted"} and isinstance(value["redacted"], str):
        return None
    if value.keys() == _CUT:
        return _shown(value["text"])
    return {_MARK.sub("", key): _shown(inner) for key, inner in value.items()}


def in_changes(changes: Mapping[str, Any], commitments: frozenset[str]) -> list[Sighting]:
    """Return where commitments stand in the redacted changes of an entry.

    Args:
        changes: an entry's ``changes``, or the whole document beside it.
        commitments: of one value: see commitment.commitments.
    """
    found: list[Sighting] = []
    items = changes.get("items")
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        address = str(item.get("address", ""))
        if _mentions(address, commitments):
            found.append(Sighting(address, "", "key"))
        for part in _PARTS:
            sides = item.get(part)
            for path, shown in sides.items() if isinstance(sides, dict) else ():
                found += _in_sides(address, path, shown, commitments)
    rest = {name: value for name, value in changes.items() if name != "items"}
    found += [Sighting("", path, how) for path, how in _in_shown("", rest, commitments)]
    return list(dict.fromkeys(found))


def leaves_values_out(changes: Mapping[str, Any]) -> bool:
    """Tell whether redacted changes only say that a value changed: the mode ``names-only``.

    Of an output's type every mode says no more than that, when the output is sensitive.
    """
    items = changes.get("items")
    return any(
        shown == {"changed": True}
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and isinstance(item.get("attributes"), dict)
        for path, shown in item["attributes"].items()
        if not (path == "type" and _OF_OUTPUT.search(str(item.get("address", ""))))
    )


def _in_sides(
    address: str, path: str, sides: object, commitments: frozenset[str]
) -> Iterator[Sighting]:
    if _mentions(path, commitments):
        yield Sighting(address, path, "key")
    if not isinstance(sides, dict):
        return
    for side in _SIDES:
        for place, how in _in_shown(path, sides.get(side), commitments):
            yield Sighting(address, place, how, side)


def _in_shown(path: str, shown: object, commitments: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield path and how for each commitment in what is shown; entries nest only so deep."""
    if isinstance(shown, str):
        if _mentions(shown, commitments):
            yield path, "text"
    elif isinstance(shown, list):
        for index, inner in enumerate(shown):
            yield from _in_shown(f"{path}[{index}]", inner, commitments)
    elif isinstance(shown, dict):
        for key, inner in shown.items():
            if _mentions(key, commitments):
                yield below(path, key), "key"
            if key in {"redacted", "digest"} and inner in commitments:
                yield path, "value"
            else:
                yield from _in_shown(below(path, key), inner, commitments)


def _mentions(text: str, commitments: frozenset[str]) -> bool:
    return any(commitment in text for commitment in commitments)
