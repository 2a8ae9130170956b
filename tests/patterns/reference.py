"""A slow matcher of event patterns, written straight from how Event Ruler says it works.

An event is flattened to fields with a name and the elements of lists they stand in. A combination
of a pattern matches if fields can be found, one for each name in the order of names, of which no
two stand in different elements of one list.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple


class Field(NamedTuple):
    """One value of an event.

    Attributes:
        name: its steps, joined with dots.
        value: a text, number, boolean or null.
        elements: which element of each list it stands in, by the number of the list.
    """

    name: str
    value: Any
    elements: dict[int, int]


def is_match(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Tell whether an event matches a pattern that ``parse`` takes."""
    fields = list(_flattened(event, "", {}, iter(range(10_000))))
    return any(_found(sorted(each.items()), fields, {}) for each in _combinations(pattern, ""))


def _flattened(
    value: Any, name: str, elements: dict[int, int], numbers: Iterator[int]
) -> Iterator[Field]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flattened(inner, f"{name}.{key}" if name else key, elements, numbers)
    elif isinstance(value, list):
        number = next(numbers)
        for position, inner in enumerate(value):
            if isinstance(inner, (dict, list)):
                yield from _flattened(inner, name, {**elements, number: position}, numbers)
            else:
                yield Field(name, inner, elements)
    else:
        yield Field(name, value, elements)


def _combinations(pattern: dict[str, Any], above: str) -> list[dict[str, list[Any]]]:
    found: list[dict[str, list[Any]]] = [{}]
    for key, value in pattern.items():
        name = f"{above}.{key}" if above else key
        if key == "$or":
            ways = [each for one in value for each in _combinations(one, above)]
        elif isinstance(value, dict):
            ways = _combinations(value, name)
        else:
            ways = [{name: value}]
        found = [{**one, **other} for one in found for other in ways]
    return found


def _found(
    left: list[tuple[str, list[Any]]], fields: list[Field], elements: dict[int, int]
) -> bool:
    if not left:
        return True
    (name, values), *rest = left
    reachable = [
        field
        for field in fields
        if field.name == name
        and all(elements.get(number, at) == at for number, at in field.elements.items())
    ]
    if {"exists": False} in values and not reachable and _found(rest, fields, elements):
        return True
    return any(
        _found(rest, fields, {**elements, **field.elements})
        for field in reachable
        if any(_is_meant(each, field.value) for each in values if each != {"exists": False})
    )


def _is_meant(wanted: Any, value: Any) -> bool:  # noqa: PLR0911 - one for each operator
    if not isinstance(wanted, dict):
        return (
            _is_number(wanted) == _is_number(value)
            and type(wanted) is type(value)
            and (wanted == value or _is_same_address(wanted, value))
        )
    ((operator, operand),) = wanted.items()
    if operator == "exists":
        return bool(operand)
    if operator == "anything-but":
        if isinstance(operand, dict):
            ((inner, of),) = operand.items()
            return not any(_is_meant({inner: one}, value) for one in _listed(of))
        return not any(_is_meant(one, value) for one in _listed(operand))
    if operator == "numeric":
        pairs = zip(operand[::2], operand[1::2], strict=True)
        return _is_number(value) and all(_compare(value, *pair) for pair in pairs)
    if not isinstance(value, str):
        return False
    if operator == "cidr":
        return _is_inside(value, operand)
    flags = re.DOTALL
    if isinstance(operand, dict):
        operand = operand["equals-ignore-case"]
        flags |= re.IGNORECASE
    expression = {
        "prefix": f"{re.escape(operand)}.*",
        "suffix": f".*{re.escape(operand)}",
        "equals-ignore-case": f"(?i:{re.escape(operand)})",
        "wildcard": re.sub(r"\\\\(\\\*|\\\\)|\\\*", _star, re.escape(operand)),
    }[operator]
    return re.fullmatch(expression, value, flags) is not None


def _star(found: re.Match[str]) -> str:
    return found[1] or ".*"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _compare(value: float, operator: str, wanted: float) -> bool:
    return {
        "=": value == wanted,
        "<": value < wanted,
        "<=": value <= wanted,
        ">": value > wanted,
        ">=": value >= wanted,
    }[operator]


def _is_same_address(wanted: Any, value: Any) -> bool:
    try:
        return isinstance(wanted, str) and ip_address(wanted) == ip_address(value)
    except ValueError:
        return False


def _is_inside(value: str, network: str) -> bool:
    try:
        return ip_address(value) in ip_network(network)
    except ValueError:
        return False
