"""What the value of a field can be asked for: a test for each of EventBridge's operators."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final, Literal, TypeAlias

from proxy.fields import FieldError

Test: TypeAlias = Callable[[Any], bool]
"""Whether one value, which is there and no object or list, is meant."""

SHOWN: Final = 100
"""Characters of a name in a message."""

_BOUND: Final = 5_000_000_000
_DIGITS: Final = 6
_NUMBERS: Final = frozenset({int, float})
_ADDRESS: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*", re.ASCII)


def tests_of(values: Iterable[Any], place: str) -> list[Test | None]:
    """Return the ways in which a field can be as it must; None: it is missing."""
    is_optional = False
    texts: set[str] = set()
    tests: list[Test] = []
    for position, value in enumerate(values):
        at = f"{place}[{position}]"
        if isinstance(value, str):
            texts.add(value)
            if (address := _address(value)) is not None:
                tests.append(_same_address(address))
        elif value is None or isinstance(value, bool):
            tests.append(_same(value))
        elif isinstance(value, (int, float)):
            if not -(2**53) < value < 2**53:  # of TOML's inf and nan too
                raise FieldError(f"{at} must be a number of at most 53 bits", at)
            tests.append(_same_number(value))
        elif isinstance(value, Mapping):
            test = _operator(value, at)
            if test is None:
                is_optional = True
            else:
                tests.append(test)
        else:
            raise FieldError(
                f"{at} must be a text, a number, true, false, null or an object such as "
                '{"prefix": "prod/"}',
                at,
            )
    if texts:
        tests.insert(0, _one_of(frozenset(texts)))
    return [*([None] if is_optional else []), *([_any_of(tests)] if tests else [])]


def _any_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    every = tuple(tests)
    return lambda value: any(test(value) for test in every)


def _operator(of: Mapping[str, Any], place: str) -> Test | None:
    """Return what ``{"prefix": "a"}`` and its like mean; None for ``{"exists": false}``."""
    name, value, at = _only(of, place, _OPERATORS)
    if name == "exists":
        if not isinstance(value, bool):
            raise FieldError(f"{at} must be true or false", at)
        return (lambda _: True) if value else None
    return _OPERATORS[name](value, at)


def _only(of: Mapping[str, Any], place: str, allowed: Iterable[str]) -> tuple[str, Any, str]:
    """Return the one name and value of an object, and the value's place."""
    names = [*allowed]
    if len(of) != 1:
        raise FieldError(f"{place} must have exactly one of {', '.join(names)}", place)
    ((name, value),) = of.items()
    if name not in names:
        raise FieldError(
            f"{place}: there is no {name[:SHOWN]!r}: choose one of {', '.join(names)}", place
        )
    return name, value, f"{place}.{name}"


# ---------------------------------------------------------------- the operators


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise FieldError(f"{place} must be a text", place)
    return value


def _same(wanted: bool | None) -> Test:  # noqa: FBT001 - JSON's true, false and null
    return lambda value: value is wanted


def _same_number(wanted: float) -> Test:
    return lambda value: type(value) in _NUMBERS and bool(value == wanted)


def _one_of(texts: frozenset[str]) -> Test:
    return lambda value: type(value) is str and value in texts


@lru_cache(maxsize=1024)
def _address(text: str) -> tuple[int, int] | None:
    """Return an IP address as its length in bits and its number, as Event Ruler reads it."""
    if _ADDRESS.fullmatch(text) is None:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.max_prefixlen, int(address)


def _same_address(wanted: tuple[int, int]) -> Test:
    """Return the test for an IPv6 address that is spelled in another way."""
    return lambda value: type(value) is str and ":" in value and _address(value) == wanted


def _cidr(value: object, place: str) -> Test:
    text = _text(value, place)
    try:
        network = ip_network(text)
    except ValueError as error:
        try:
            hint = f": write {ip_network(text, strict=False)}"
        except ValueError:
            hint = ", such as 10.0.0.0/8 or 2001:db8::/32"
        raise FieldError(f"{place} must be the address of a network{hint}", place) from error
    bits = network.max_prefixlen
    if network.prefixlen == bits:
        raise FieldError(
            f"{place} is a single address, which EventBridge doesn't take here: write "
            f'"{network.network_address}" in place of the object',
            place,
        )
    low, high = int(network.network_address), int(network.broadcast_address)

    def test(value: Any) -> bool:  # noqa: ANN401 - what an entry has
        address = _address(value) if type(value) is str else None
        return address is not None and address[0] == bits and low <= address[1] <= high

    return test


def _in_both_cases(text: str, step: Literal[1, -1] = 1) -> re.Pattern[str]:
    """Return an expression for the text in upper and lower case, read forwards or backwards.

    As Event Ruler does it: each character by itself, in Java's UTF-16, so that those beyond the
    first plane have one form. No form begins like the other: matching never has to go back.
    """
    return re.compile(
        "".join(
            "(?:" + "|".join(re.escape(form[::step]) for form in {c.lower(), c.upper()}) + ")"
            if c <= "\uffff"
            else re.escape(c)
            for c in text[::step]
        )
    )


def _equals_ignore_case(value: object, place: str) -> Test:
    text = _text(value, place)
    if text.isascii():
        lowered = text.lower()
        return lambda value: type(value) is str and value.isascii() and value.lower() == lowered
    expression = _in_both_cases(text)
    return lambda value: type(value) is str and expression.fullmatch(value) is not None


def _prefix(value: object, place: str) -> Test:
    if isinstance(value, Mapping):
        return _edge_ignore_case(value, place, 1)
    text = _text(value, place)
    return lambda value: type(value) is str and value.startswith(text)


def _suffix(value: object, place: str) -> Test:
    if isinstance(value, Mapping):
        return _edge_ignore_case(value, place, -1)
    text = _text(value, place)
    return lambda value: type(value) is str and value.endswith(text)


def _edge_ignore_case(of: Mapping[str, Any], place: str, step: Literal[1, -1]) -> Test:
    """Return the test for ``{"prefix": {"equals-ignore-case": "a"}}``; of a suffix backwards."""
    _, value, at = _only(of, place, ["equals-ignore-case"])
    expression = _in_both_cases(_text(value, at), step)
    return lambda value: type(value) is str and expression.match(value[::step]) is not None


def _wildcard(value: object, place: str) -> Test:
    """Return the test for a text with ``*``; each piece is looked for once, from left to right."""
    pieces = _pieces(_text(value, place), place)
    if len(pieces) == 1:
        return _one_of(frozenset(pieces))
    first, *middle, last = pieces
    shortest = len(first) + len(last)

    def test(value: Any) -> bool:  # noqa: ANN401 - what an entry has
        if type(value) is not str or len(value) < shortest:
            return False
        if not (value.startswith(first) and value.endswith(last)):
            return False
        at, end = len(first), len(value) - len(last)
        for piece in middle:
            at = value.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    return test


def _pieces(text: str, place: str) -> list[str]:
    r"""Return what stands between the stars; ``\*`` and ``\\`` are the characters themselves."""
    pieces = [""]
    rest = iter(text)
    before = ""
    for character in rest:
        if character == "*":
            if before == "*":
                raise FieldError(f"{place} has ** in it: one * stands for any text", place)
            pieces.append("")
        elif character == "\\":
            escaped = next(rest, "")
            if escaped not in {"*", "\\"}:
                raise FieldError(
                    rf"{place} has a \ that is not before * or \: write \\ for the character", place
                )
            pieces[-1] += escaped
        else:
            pieces[-1] += character
        before = character
    return pieces


def _number(value: object, place: str) -> float:
    """Return a number that EventBridge compares, which it does to 6 digits after the point."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FieldError(f"{place} must be a number", place)
    if not -_BOUND <= value <= _BOUND or round(value, _DIGITS) != value:
        raise FieldError(
            f"{place} must be between -5,000,000,000 and 5,000,000,000 "
            f"with at most {_DIGITS} digits after the point",
            place,
        )
    return value


_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": lambda value, wanted: value == wanted,
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
}


def _numeric(value: object, place: str) -> Test:
    if not isinstance(value, (list, tuple)) or len(value) not in {2, 4}:
        raise FieldError(f'{place} must be a list such as [">", 10] or [">=", 10, "<", 20]', place)
    for position in range(0, len(value), 2):
        if not isinstance(value[position], str) or value[position] not in _COMPARISONS:
            at = f"{place}[{position}]"
            raise FieldError(f"{at} must be one of {', '.join(_COMPARISONS)}", at)
    first = _COMPARISONS[value[0]]
    low = _number(value[1], f"{place}[1]")
    if len(value) == 2:
        return lambda value: (
            type(value) in _NUMBERS and -_BOUND <= value <= _BOUND and first(value, low)
        )
    if value[0] not in {">", ">="} or value[2] not in {"<", "<="}:
        raise FieldError(f"{place} must begin with > or >= and go on with < or <=", place)
    second = _COMPARISONS[value[2]]
    high = _number(value[3], f"{place}[3]")
    if low >= high:
        raise FieldError(f"{place}: {low} must be less than {high}", place)
    return lambda value: type(value) in _NUMBERS and first(value, low) and second(value, high)


def _anything_but(value: object, place: str) -> Test:
    """Return the test for a value that is there and is something else, of whatever type."""
    if isinstance(value, Mapping):
        name, inner, at = _only(value, place, _BUT)
        each = _BUT[name]
        if isinstance(inner, (list, tuple)):
            if not inner:
                raise FieldError(f"{at} is empty: name what is not meant", at)
            refused = [each(one, f"{at}[{number}]") for number, one in enumerate(inner)]
        else:
            refused = [each(inner, at)]
    else:
        given = value if isinstance(value, (list, tuple)) else [value]
        if given and all(isinstance(one, str) for one in given):
            refused = [_one_of(frozenset(map(str, given)))]
        elif given and not any(isinstance(one, (str, bool)) for one in given):
            at = f"{place}[{{}}]" if given is value else place
            refused = [
                _same_number(_number(one, at.format(number))) for number, one in enumerate(given)
            ]
        else:
            raise FieldError(f"{place} must be a text, a number, or a list of one of both", place)
    is_refused = _any_of(refused)
    return lambda value: not is_refused(value)


def _edge(value: object, place: str) -> str:
    """Return a prefix or suffix that is not meant; without one nothing would be left."""
    text = _text(value, place)
    if not text:
        raise FieldError(f"{place} must not be empty", place)
    return text


_BUT: Final[Mapping[str, Callable[[Any, str], Test]]] = {
    "prefix": lambda value, place: _prefix(_edge(value, place), place),
    "suffix": lambda value, place: _suffix(_edge(value, place), place),
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
}
_OPERATORS: Final[Mapping[str, Callable[[Any, str], Test]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "anything-but": _anything_but,
    "exists": lambda _, __: lambda _: True,  # _operator knows the other half
    "numeric": _numeric,
    "wildcard": _wildcard,
    "cidr": _cidr,
}
