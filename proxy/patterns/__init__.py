"""The event patterns of Amazon EventBridge: which entries a sink gets.

A pattern has the shape of what it matches: fields are "and", the values of a field are "or". The
same pattern under ``{"detail": …}`` means the same to an EventBridge bus that gets our entries.

Rules: the EventBridge user guide ("Comparison operators for use in event patterns") and, where it
is silent, AWS's own matcher Event Ruler (github.com/aws/event-ruler). Written here because no
maintained Python library does this: PyPI's ``event-ruler`` is a build of a Go port from 2023
without wildcards, and moto's matcher (a mock, compared with ours in the tests) looks into no array
of objects. What EventBridge would refuse, or could read in two ways, is refused here by name.

Two limits of AWS are not needed: a pattern's wildcards may be as many as fit (matching is linear in
the text), and so may be the sinks that use them.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from proxy.fields import FieldError
from proxy.patterns.matching import Check, compiled
from proxy.patterns.reading import MAX_COMBINATIONS, MAX_DEPTH, Reader

__all__ = ["MAX_CHARACTERS", "MAX_COMBINATIONS", "MAX_DEPTH", "EventPattern", "parse"]

MAX_CHARACTERS: Final = 4096
"""Of a pattern as compact JSON: EventBridge takes 2,048, and 4,096 on request."""


class EventPattern:
    """Tells which entries are meant; made by ``parse``."""

    __slots__ = ("_branches",)

    def __init__(self, branches: Iterable[Check]) -> None:
        self._branches = tuple(branches)

    def is_match(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether an entry, as decoded JSON, is meant; takes microseconds.

        Of a field that holds a list, one element is enough. Several fields of objects in a list
        must be met by one and the same object.
        """
        event = entry if type(entry) is dict else dict(entry)
        for branch in self._branches:  # noqa: SIM110 - twice as quick as any()
            if branch(event):
                return True
        return False


def parse(
    pattern: Mapping[str, Any],
    what: str = "filter",
    *,
    known: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> EventPattern:
    """Read an event pattern.

    Args:
        pattern: decoded JSON or TOML.
        what: its name, with which places begin.
        known: all that a field at the top can be, for those of which that is known: what is asked
            of one and means none of these is a mistake, which would let no event through unseen.

    Raises:
        FieldError: names the place and what to write there.
    """
    if not isinstance(pattern, Mapping):
        raise FieldError(f'{what} must be an object, such as {{"event": ["state.written"]}}', what)
    if not pattern:
        raise FieldError(f"{what} is empty: leave it out to let every event through", what)
    try:
        length = len(orjson.dumps(pattern, default=dict).decode())
    except orjson.JSONEncodeError:  # too deep, or of a type that the reader names
        length = 0
    if length > MAX_CHARACTERS:
        raise FieldError(
            f"{what} has {length:,} characters, of {MAX_CHARACTERS:,} allowed: "
            "use prefixes or wildcards in place of long lists",
            what,
        )
    combinations = Reader(what, known).combinations(pattern)
    return EventPattern(compiled(each, what) for each in combinations)
