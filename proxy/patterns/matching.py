"""Matches an entry with a combination of fields, compiled once to closures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, TypeAlias

from proxy.fields import FieldError
from proxy.patterns.asking import SHOWN, Test

Check: TypeAlias = Callable[[Any], bool]
"""Whether what an entry has at one place, or ``_MISSING``, is meant."""
Path: TypeAlias = tuple[str, ...]
Combination: TypeAlias = dict[Path, Test | None]
"""What each field must be; None: it must not be there."""

_MISSING: Final = object()


def compiled(combination: Combination, what: str) -> Check:
    """Return the check of a whole entry.

    Args:
        combination: at least one field.
        what: the pattern's name.

    Raises:
        FieldError: a field is given values, and fields below it.
    """
    return _compiled(_tree(combination, what))


@dataclass(slots=True)
class _Node:
    """What is asked below one place of an entry.

    Attributes:
        leaves: the test of each field by its path from here, in Event Ruler's order.
        children: the same, by first step; none when this is a field itself.
    """

    leaves: dict[Path, Test | None]
    children: dict[str, "_Node"] = field(default_factory=dict)


def _tree(leaves: Combination, what: str) -> _Node:
    # Event Ruler goes by the dotted name of fields: it decides of which object in a list a later
    # field must not be there.
    ordered = dict(sorted(leaves.items(), key=lambda each: ".".join(each[0])))
    if () in ordered:
        if len(ordered) > 1:
            raise FieldError(
                f"{what} is given values and fields below it: no field of an entry has both", what
            )
        return _Node(ordered)
    steps = {path[0]: None for path in ordered}
    return _Node(
        ordered,
        {
            step: _tree(
                {path[1:]: test for path, test in ordered.items() if path[0] == step},
                f"{what}.{step[:SHOWN]}",
            )
            for step in steps
        },
    )


def _compiled(node: _Node) -> Check:
    if not node.children:
        test = node.leaves[()]
        return _is_absent if test is None else _leaf(test)
    checks = tuple((step, _compiled(child)) for step, child in node.children.items())
    joined = frozenset(
        ".".join(path[:length]) for path in node.leaves for length in range(2, len(path) + 1)
    )
    is_all_absent = all(test is None for test in node.leaves.values())
    in_list = _in_list(node)

    def check(value: Any) -> bool:  # noqa: ANN401 - what an entry has
        if type(value) is dict:
            if joined and not value.keys().isdisjoint(joined):
                value = _undotted(value, joined)
            get = value.get
            for step, each in checks:  # noqa: SIM110 - twice as quick as all()
                if not each(get(step, _MISSING)):
                    return False
            return True
        return in_list(value) if type(value) is list else is_all_absent

    return check


def _in_list(node: _Node) -> Check:
    """Return the check of a list of objects: one object meets all that is asked below it.

    What must not be there is looked for in the object that a field before it was found in, or in
    all objects while none was.
    """
    first = [path for path, _ in takewhile(lambda leaf: leaf[1] is None, node.leaves.items())]
    rest = {path: test for path, test in node.leaves.items() if path not in first}
    made: list[Check] = []  # at the first use: a node without such lists needs none

    def check(value: Any) -> bool:  # noqa: ANN401 - what an entry has
        if any(_has(value, path) for path in first):
            return False
        if not rest:
            return True
        if not made:
            made.append(_compiled(_tree(rest, "")))
        return any(made[0](each) for each in value if type(each) in {dict, list})

    return check


def _leaf(test: Test) -> Check:
    def check(value: Any) -> bool:  # noqa: ANN401 - what an entry has
        if type(value) is list:
            return any(test(each) for each in _scalars(value))
        return value is not _MISSING and type(value) is not dict and test(value)

    return check


def _is_absent(value: Any) -> bool:  # noqa: ANN401 - what an entry has
    """Tell whether a field has no value: an object is none, and neither is an empty list."""
    if type(value) is list:
        return next(_scalars(value), _MISSING) is _MISSING
    return value is _MISSING or type(value) is dict


def _scalars(of: list[Any]) -> Iterator[Any]:
    """Yield what a list and the lists in it hold, but for objects."""
    for each in of:
        if type(each) is list:
            yield from _scalars(each)
        elif type(each) is not dict:
            yield each


def _has(value: Any, path: Path) -> bool:  # noqa: ANN401 - what an entry has
    """Tell whether there is a value at a path, in whichever objects of lists."""
    if type(value) is list:
        return any(_has(each, path) for each in value)
    if type(value) is not dict:
        return not path
    return any(
        _has(value[step], path[length:])
        for length in range(1, len(path) + 1)
        if (step := ".".join(path[:length])) in value
    )


def _undotted(of: dict[str, Any], joined: frozenset[str]) -> dict[str, Any]:
    """Return an object with ``{"a.b": 1}`` as ``{"a": {"b": 1}}``, where the pattern looks."""
    found: dict[str, Any] = {}
    for name, value in of.items():
        if name in joined:
            first, _, rest = name.partition(".")
            while rest:
                *path, last = rest.split(".")
                value = {last: value}  # noqa: PLW2901 - wrapped from the inside out
                rest = ".".join(path)
            found[first] = _merged(found[first], value) if first in found else value
        else:
            found[name] = _merged(found[name], value) if name in found else value
    return found


def _merged(one: Any, other: Any) -> Any:  # noqa: ANN401 - what an entry has
    """Return what holds the fields of both; of a list, what each of its objects has besides."""
    if type(one) is list and type(other) is dict and any(type(each) is dict for each in one):
        return [_merged(each, other) if type(each) is dict else each for each in one]
    if type(one) is dict and type(other) is dict:
        both = {**one}
        for name, value in other.items():
            both[name] = _merged(both[name], value) if name in both else value
        return both
    return [one, other]
