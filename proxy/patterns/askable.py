"""Holds a pattern to what can stand in an entry: what asks for anything else would match nothing.

A filter with one letter wrong lets no event through, for good, and nobody sees it.
"""

import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Any, Final, TypeAlias

import orjson

from proxy.fields import FieldError
from proxy.patterns.asking import SHOWN

Shape: TypeAlias = Mapping[str, Any] | Sequence[Any] | None
"""What can stand in a place: an object of fields; a list of kinds (``KINDS``) or of the texts that
there are; None is anything. Lists in an entry are looked through, as patterns do."""

KINDS: Final = {"text": "a text", "number": "a number", "truth": "true or false", "null": "null"}
"""Kinds of values, and how they are called; in a Shape each begins with a colon."""

_OF_OPERATORS: Final = {
    **dict.fromkeys(("prefix", "suffix", "equals-ignore-case", "wildcard", "cidr"), "text"),
    "numeric": "number",
}
_FEW: Final = 5
_NO_STARS: Final = frozenset({"workspace"})
"""Fields of any text in which no ``*`` can be."""


@cache
def entry_shape() -> Mapping[str, Any]:
    """Return what can stand in an entry, as the published schema says it."""
    data = pkgutil.get_data(__name__, "entry_shape.json")
    assert data is not None  # noqa: S101 - it is part of the package
    shape: Mapping[str, Any] = orjson.loads(data)
    return shape


def mistakes_in(pattern: Mapping[str, Any], what: str = "filter") -> Iterator[FieldError]:
    """Yield what a pattern asks for that can't stand in an entry.

    Args:
        pattern: that ``parse`` takes.
        what: its name, with which places begin.
    """
    yield from _fields(pattern, what, (), entry_shape())


def _fields(
    of: Mapping[str, Any], place: str, path: tuple[str, ...], shape: Shape
) -> Iterator[FieldError]:
    for name, value in of.items():
        at = f"{place}.{name[:SHOWN]}"
        if name == "$or":
            for number, each in enumerate(value):
                yield from _fields(each, f"{at}[{number}]", path, shape)
            continue
        below, names = shape, name.split(".")
        for step in names:
            if below is None:
                break
            if not isinstance(below, Mapping) or step not in below:
                yield _unknown(at, path, step, below)
                break
            below = below[step]
        else:
            yield from _asked(value, at, (*path, *names), below)


def _asked(
    value: Mapping[str, Any] | Sequence[Any], at: str, path: tuple[str, ...], shape: Shape
) -> Iterator[FieldError]:
    """Yield what is wrong with what is asked of a place that there is."""
    if shape is None:
        return
    if isinstance(value, Mapping):
        yield from _fields(value, at, path, shape)
    elif isinstance(shape, Mapping):
        first = next(iter(shape))
        field = "name" if "name" in shape else first
        yield FieldError(
            f'{at} is an object: ask for one of its fields, such as {{"{field}": […]}}; it has '
            f"{', '.join(shape)}",
            at,
        )
    else:
        kinds = [each[1:] for each in shape if each.startswith(":")]
        values = [each for each in shape if not each.startswith(":")]
        for number, each in enumerate(value):
            yield from _value(each, f"{at}[{number}]", path, kinds or ["text"], values)


def _unknown(at: str, path: tuple[str, ...], name: str, shape: Shape) -> FieldError:
    if name in {"detail", "detail-type"} and not path:
        hint = f"leave {name} out here: a sink's filter is asked of the entry itself"
    elif not isinstance(shape, Mapping):
        hint = "nothing is inside it: give the list of the values that are meant"
    else:
        near = get_close_matches(name, shape, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(shape)}"
    return FieldError(f"{at}: no entry has such a field: {hint}", at)


def _value(
    value: object, at: str, path: tuple[str, ...], kinds: Sequence[str], values: Sequence[str]
) -> Iterator[FieldError]:
    """Yield what is wrong with one value that is asked for, or with what an operator asks for."""
    if isinstance(value, Mapping):
        [(operator, wanted)] = value.items()
        if operator == "anything-but":
            if isinstance(wanted, Mapping):
                yield from _value(wanted, f"{at}.{operator}", path, kinds, values)
            else:
                for each in _listed(wanted):
                    yield from _value(each, f"{at}.{operator}", path, kinds, values)
        elif operator in _OF_OPERATORS and _OF_OPERATORS[operator] not in kinds:
            yield _of_another_kind(at, kinds, f"{operator} asks for")
        return
    kind = _kind_of(value)
    if kind not in kinds:
        yield _of_another_kind(at, kinds, "this is")
    elif isinstance(value, str):
        is_starred = "*" in value and (bool(values) or path[-1] in _NO_STARS)
        if is_starred:
            alone = value.endswith("*") and value.count("*") == 1
            use = {"prefix": value[:-1]} if alone else {"wildcard": value}
            yield FieldError(
                f"{at}: a * stands for itself here: use {orjson.dumps(use).decode()}", at
            )
        elif values and value not in values:
            near = get_close_matches(value, values, n=1)
            listed = ", ".join(islice(values, _FEW)) + (" …" if len(values) > _FEW else "")
            yield FieldError(
                f"{at} means nothing that there is: "
                + (f"did you mean {near[0]}?" if near else f"there are {listed}"),
                at,
            )


def _of_another_kind(at: str, kinds: Iterable[str], this: str) -> FieldError:
    wanted = " or ".join(KINDS[each] for each in kinds)
    example = '200 in place of "200"' if "number" in kinds else ""
    return FieldError(
        f"{at} is {wanted} in every entry, and {this} something else: it would let no event "
        f"through{f'; write {example}' if example else ''}",
        at,
    )


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "truth"
        case str():
            return "text"
        case _:
            return "number"
