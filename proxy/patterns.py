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

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import islice, takewhile
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import orjson

from proxy.fields import FieldError

MAX_CHARACTERS: Final = 4096
"""Of a pattern as compact JSON: EventBridge takes 2,048, and 4,096 on request."""
MAX_COMBINATIONS: Final = 1000
"""That a pattern's ``$or`` may be multiplied out to, as in EventBridge."""
MAX_DEPTH: Final = 32
"""Objects and lists inside each other; entries are far flatter."""

_OR: Final = "$or"
_BOUND: Final = 5_000_000_000
_DIGITS: Final = 6
_MISSING: Final = object()
_SHOWN: Final = 100
_NUMBERS: Final = frozenset({int, float})
_ADDRESS: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*", re.ASCII)
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

Test: TypeAlias = Callable[[Any], bool]
"""Whether one value, which is there and no object or list, is meant."""
Check: TypeAlias = Callable[[Any], bool]
"""Whether what an entry has at one place, or ``_MISSING``, is meant."""
Path: TypeAlias = tuple[str, ...]
Branch: TypeAlias = dict[Path, "Test | None"]
"""One combination: what each field must be; None: it must not be there."""


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
        for branch in self._branches:  # noqa: SIM110 - twice as quick as any() here and below
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
    branches = _Reader(what, known).fields(pattern, what, (), [{}], 0, inside_or=False)
    return EventPattern(_compiled(_tree(branch, what)) for branch in branches)


# ---------------------------------------------------------------- reading


class _Reader:
    """Reads a pattern into combinations, each of which is a way to match.

    Args:
        what: the name of the whole.
        known: by field, all that it can be.
    """

    def __init__(self, what: str, known: Mapping[str, Collection[str]]) -> None:
        self._what = what
        self._known = {(name,): values for name, values in known.items()}

    def fields(  # noqa: PLR0913 - where it is in the pattern, and where in an entry
        self,
        of: Mapping[str, Any],
        place: str,
        path: Path,
        known: list[Branch],
        depth: int,
        *,
        inside_or: bool,
    ) -> list[Branch]:
        """Return the combinations so far, each with what this object asks added."""
        if not of:
            raise FieldError(f"{place} is empty: name a field, or leave it out", place)
        for name, value in of.items():
            at = f"{place}.{name[:_SHOWN]}"
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
                known = self.fields(value, at, below, known, depth + 1, inside_or=inside_or)
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
        self, value: object, place: str, path: Path, known: list[Branch], depth: int
    ) -> list[Branch]:
        if not isinstance(value, (list, tuple)) or len(value) < 2:
            raise FieldError(f"{place} must be a list of two objects or more", place)
        found: list[Branch] = []
        for position, each in enumerate(value):
            at = f"{place}[{position}]"
            if not isinstance(each, Mapping):
                raise FieldError(f"{at} must be an object of fields", at)
            found += self.fields(each, at, path, known, depth, inside_or=True)
            _require_few(len(found), place)
        return found


def _with_field(
    values: list[Any] | tuple[Any, ...], place: str, path: Path, known: list[Branch]
) -> list[Branch]:
    """Return the combinations so far, each with what one field must be added."""
    if not values:
        raise FieldError(f"{place} is empty: name the values that are meant", place)
    either = _tests(values, place)
    _require_few(len(known) * len(either), place)
    if any(path in branch for branch in known):
        raise FieldError(
            f"{place}: {'.'.join(path)[:_SHOWN]} is asked for a second time in the same "
            "combination: put all of its values into one list",
            place,
        )
    return [{**branch, path: test} for branch in known for test in either]


def _require_known(values: Iterable[Any], place: str, known: Collection[str]) -> None:
    """Pass when each of the values asks for something that there is."""
    for position, value in enumerate(values):
        at = f"{place}[{position}]"
        if not any(test is not None and any(map(test, known)) for test in _tests([value], at)):
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
            "ask for less at once, or in several sinks",
            place,
        )


def _shown_list(value: object) -> str:
    """Return a value as the list that it should have been, if it is short."""
    if isinstance(value, str) and len(value) <= 40:
        return orjson.dumps([value]).decode()
    return '["production"]'


def _tests(values: Iterable[Any], place: str) -> list[Test | None]:
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
            f"{place}: there is no {name[:_SHOWN]!r}: choose one of {', '.join(names)}", place
        )
    return name, value, f"{place}.{name}"


# ---------------------------------------------------------------- what a value can be asked for


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


# ---------------------------------------------------------------- matching


@dataclass(slots=True)
class _Node:
    """What is asked below one place of an entry.

    Attributes:
        leaves: the test of each field by its path from here, in Event Ruler's order.
        children: the same, by first step; none when this is a field itself.
    """

    leaves: dict[Path, Test | None]
    children: dict[str, "_Node"] = field(default_factory=dict)


def _tree(leaves: Branch, what: str) -> _Node:
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
                f"{what}.{step[:_SHOWN]}",
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
            for step, each in checks:  # noqa: SIM110 - as above
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
