"""Tests of proxy.patterns."""

import json
import re
from datetime import UTC, datetime
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.events.models import EventPattern as MotoPattern

from proxy.fields import FieldError
from proxy.patterns import MAX_CHARACTERS, MAX_DEPTH, parse
from tests.patterns.reference import is_match

RULER: Final[dict[str, Any]] = {
    "version": "0",
    "id": "ddddd4-aaaa-7777-4444-345dd43cc333",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "012345679012",
    "time": "2017-10-02T16:24:49Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
    "detail": {
        "c-count": 5,
        "d-count": 3,
        "x-limit": 301.8,
        "source-ip": "10.0.0.33",
        "instance-id": "i-000000aaaaaa00000",
        "state": "running",
    },
}
"""The sample event of Event Ruler's documentation, which the user guide uses too."""

PEOPLE: Final[dict[str, Any]] = {
    "employees": [
        {"firstName": "John", "lastName": "Doe"},
        {"firstName": "Anna", "lastName": "Smith"},
        {"firstName": "Peter", "lastName": "Jones"},
    ]
}
NESTED: Final[dict[str, Any]] = {
    "employees": [PEOPLE["employees"][:2], PEOPLE["employees"][2:]],
}

DOCUMENTED: Final[list[tuple[dict[str, Any], dict[str, Any], bool]]] = [
    # of the user guide's table of comparison operators
    (
        {"Location": ["New York"], "Day": ["Monday"]},
        {"Location": "New York", "Day": "Monday"},
        True,
    ),
    (
        {"Location": ["New York"], "Day": ["Monday"]},
        {"Location": "New York", "Day": "Friday"},
        False,
    ),
    ({"state": [{"anything-but": "initializing"}]}, {"state": "running"}, True),
    ({"state": [{"anything-but": "initializing"}]}, {"state": "initializing"}, False),
    ({"state": [{"anything-but": "initializing"}]}, {"other": "x"}, False),
    ({"Region": [{"anything-but": {"prefix": "us-"}}]}, {"Region": "eu-west-1"}, True),
    ({"Region": [{"anything-but": {"prefix": "us-"}}]}, {"Region": "us-east-1"}, False),
    ({"FileName": [{"anything-but": {"suffix": ".png"}}]}, {"FileName": "a.jpg"}, True),
    ({"FileName": [{"anything-but": {"suffix": ".png"}}]}, {"FileName": "a.png"}, False),
    (
        {"state": [{"anything-but": {"equals-ignore-case": "initializing"}}]},
        {"state": "INITIALIZING"},
        False,
    ),
    (
        {"state": [{"anything-but": {"equals-ignore-case": ["initializing", "stopped"]}}]},
        {"state": "Running"},
        True,
    ),
    ({"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]}, {"FilePath": "/usr/lib/a"}, False),
    ({"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]}, {"FilePath": "/usr/bin/a"}, True),
    ({"Region": [{"prefix": "us-"}]}, {"Region": "us-east-1"}, True),
    ({"Region": [{"prefix": "us-"}]}, {"Region": "eu-west-1"}, False),
    ({"service": [{"prefix": {"equals-ignore-case": "eventb"}}]}, {"service": "EventBridge"}, True),
    ({"service": [{"prefix": {"equals-ignore-case": "eventb"}}]}, {"service": "Events"}, False),
    ({"LastName": [""]}, {"LastName": ""}, True),
    ({"LastName": [""]}, {"LastName": None}, False),
    ({"Name": ["Alice"]}, {"Name": "Alice"}, True),
    ({"Name": ["Alice"]}, {"Name": "alice"}, False),
    ({"Name": [{"equals-ignore-case": "alice"}]}, {"Name": "aLiCe"}, True),
    ({"FileName": [{"suffix": ".png"}]}, {"FileName": "photo.png"}, True),
    ({"FileName": [{"suffix": ".png"}]}, {"FileName": "photo.jpg"}, False),
    (
        {"service": [{"suffix": {"equals-ignore-case": "tBridge"}}]},
        {"service": "EvenTBRIDGE"},
        True,
    ),
    ({"ProductName": [{"exists": True}]}, {"ProductName": "x"}, True),
    ({"ProductName": [{"exists": True}]}, {"Other": "x"}, False),
    ({"ProductName": [{"exists": False}]}, {"Other": "x"}, True),
    ({"ProductName": [{"exists": False}]}, {"ProductName": None}, False),
    ({"Weather": [{"anything-but": ["Raining"]}]}, {"Weather": "Sunny"}, True),
    ({"UserID": [None]}, {"UserID": None}, True),
    ({"UserID": [None]}, {"UserID": ""}, False),
    ({"UserID": [None]}, {}, False),
    ({"Price": [{"numeric": ["=", 100]}]}, {"Price": 100}, True),
    ({"Price": [{"numeric": ["=", 100]}]}, {"Price": "100"}, False),
    ({"Price": [{"numeric": [">", 10, "<=", 20]}]}, {"Price": 20}, True),
    ({"Price": [{"numeric": [">", 10, "<=", 20]}]}, {"Price": 10}, False),
    ({"PaymentType": ["Credit", "Debit"]}, {"PaymentType": "Debit"}, True),
    ({"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}, {"Day": "Monday"}, True),
    ({"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}, {"Day": "Friday"}, False),
    ({"FileName": [{"wildcard": "dir/*.png"}]}, {"FileName": "dir/a/b.png"}, True),
    ({"FileName": [{"wildcard": "dir/*.png"}]}, {"FileName": "other/b.png"}, False),
    # of the sections below it
    ({"sourceIPAddress": [{"cidr": "10.0.0.0/24"}]}, {"sourceIPAddress": "10.0.0.255"}, True),
    ({"sourceIPAddress": [{"cidr": "10.0.0.0/24"}]}, {"sourceIPAddress": "10.0.1.0"}, False),
    ({"sourceIPAddress": [{"cidr": "2001:db8::/32"}]}, {"sourceIPAddress": "2001:DB8::1"}, True),
    ({"x-limit": [{"anything-but": [100, 200, 300]}]}, {"x-limit": 301.8}, True),
    ({"x-limit": [{"anything-but": [100, 200, 300]}]}, {"x-limit": 200}, False),
    ({"state": [{"anything-but": {"prefix": ["init", "stop"]}}]}, {"state": "stopped"}, False),
    ({"FileName": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]}, {"FileName": "a.png"}, True),
    (
        {"FilePath": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]},
        {"FilePath": "/usr/bin/a"},
        False,
    ),
    ({"EventBusArn": [{"wildcard": r"a\*b\\*"}]}, {"EventBusArn": r"a*b\c"}, True),
    ({"EventBusArn": [{"wildcard": r"a\*b\\*"}]}, {"EventBusArn": r"axb\c"}, False),
    # of Event Ruler's documentation
    ({"detail-type": [RULER["detail-type"]], "resources": RULER["resources"]}, RULER, True),
    ({"detail": {"state": ["initializing", "running"]}}, RULER, True),
    ({"time": [{"prefix": "2017-10-02"}]}, RULER, True),
    ({"source": [{"suffix": "ec2"}]}, RULER, True),
    ({"source": [{"equals-ignore-case": "AWS.EC2"}]}, RULER, True),
    ({"source": [{"wildcard": "aws*"}]}, RULER, True),
    (
        {
            "detail": {
                "c-count": [{"numeric": [">", 0, "<=", 5]}],
                "d-count": [{"numeric": ["<", 10]}],
                "x-limit": [{"numeric": ["=", 3.018e2]}],
            }
        },
        RULER,
        True,
    ),
    ({"detail": {"source-ip": [{"cidr": "10.0.0.0/24"}]}}, RULER, True),
    ({"detail": {"c-count": [{"exists": True}]}}, RULER, True),
    ({"detail": {"c-count": [{"exists": False}]}}, RULER, False),
    ({"detail": {"c-count": [{"exists": False}]}}, {"detail": {"c-count": {"c1": 100}}}, True),
    (
        {
            "source": ["aws.ec2"],
            "$or": [
                {"metricName": ["CPUUtilization"]},
                {"detail": {"c-count": [5], "$or": [{"x": [1]}, {"d-count": [3]}]}},
            ],
        },
        RULER,
        True,
    ),
    ({"employees": {"firstName": ["Anna"]}}, PEOPLE, True),
    ({"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}}, PEOPLE, True),
    ({"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}, PEOPLE, False),
    ({"employees": {"firstName": ["Anna"]}}, NESTED, True),
    ({"detail": {"state.status": ["running"]}}, {"detail": {"state": {"status": "running"}}}, True),
    ({"detail": {"state": {"status": ["running"]}}}, {"detail": {"state.status": "running"}}, True),
]
"""What AWS documents: a pattern, an event, and whether they match."""


def names(cases: list[tuple[dict[str, Any], dict[str, Any], bool]]) -> list[str]:
    """Return a name for each case."""
    return [f"{json.dumps(pattern)[:80]} {meant}" for pattern, _, meant in cases]


@pytest.mark.parametrize(("pattern", "event", "meant"), DOCUMENTED, ids=names(DOCUMENTED))
def test_what_aws_documents(pattern: dict[str, Any], event: dict[str, Any], meant: bool) -> None:
    """Each example is read as AWS says, by us and by the reference that ours is held against."""
    assert meant == parse(pattern).is_match(event)
    assert meant == is_match(pattern, event)
    assert meant == parse({"detail": pattern}).is_match({"detail": event})


UNDOCUMENTED: Final[list[tuple[dict[str, Any], dict[str, Any], bool]]] = [
    ({"a": [1]}, {"a": True}, False),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": [True]}, {"a": True}, True),
    ({"a": [0]}, {"a": False}, False),
    ({"a": [300]}, {"a": 300.0}, True),
    ({"a": [{"numeric": [">", 0]}]}, {"a": 6_000_000_000}, False),
    ({"a": [{"anything-but": "x"}]}, {"a": None}, True),
    ({"a": [{"anything-but": "x"}]}, {"a": {"b": 1}}, False),
    ({"a": [{"anything-but": "x"}]}, {"a": []}, False),
    ({"a": [{"anything-but": "x"}]}, {"a": ["x", "y"]}, True),
    ({"a": [{"anything-but": 1}]}, {"a": True}, True),
    ({"a": [{"exists": False}]}, {"a": []}, True),
    ({"a": [{"exists": True}]}, {"a": [[]]}, False),
    ({"a": [{"exists": False}, "x"]}, {"a": "x"}, True),
    ({"a": [{"exists": False}, "x"]}, {}, True),
    ({"a": [{"exists": False}, "x"]}, {"a": "y"}, False),
    ({"a": [{"prefix": ""}]}, {"a": ""}, True),
    ({"a": [{"wildcard": "*"}]}, {"a": "\n"}, True),
    ({"a": [{"wildcard": "aa*aa"}]}, {"a": "aaa"}, False),
    ({"a": [{"wildcard": "a*a*"}]}, {"a": "a"}, False),
    ({"a": ["::1"]}, {"a": "0:0:0:0:0:0:0:1"}, True),
    ({"a": ["10.0.0.7"]}, {"a": "::ffff:a00:7"}, True),
    ({"a": [{"cidr": "10.0.0.0/8"}]}, {"a": "::ffff:a00:7"}, True),
    ({"a": [{"cidr": "10.0.0.0/8"}]}, {"a": "host.example"}, False),
    ({"a": [{"cidr": "0.0.0.0/0"}]}, {"a": 5}, False),
    ({"a": [{"equals-ignore-case": "k"}]}, {"a": "\u212a"}, False),
    ({"a": [{"equals-ignore-case": "stra\u00dfe"}]}, {"a": "STRASSE"}, True),
    ({"a": [{"equals-ignore-case": "strasse"}]}, {"a": "stra\u00dfe"}, False),
    ({"a": [{"suffix": {"equals-ignore-case": "\u00c4b"}}]}, {"a": "x\u00e4B"}, True),
    ({"a": [{"suffix": {"equals-ignore-case": "ab"}}]}, {"a": "b"}, False),
    ({"a": {"b": [{"exists": False}]}}, {"a": 5}, True),
    ({"a": {"b": [1]}}, {"a": 5}, False),
    # what must not be there, in a list of objects
    ({"l": {"a": [{"exists": False}]}}, {"l": [{"b": 1}, {"a": 1}]}, False),
    ({"l": {"a": [1], "z": [{"exists": False}]}}, {"l": [{"a": 1}, {"z": 1}]}, True),
    ({"l": {"a": [{"exists": False}], "z": [1]}}, {"l": [{"z": 1}, {"a": 1}]}, False),
    ({"l": {"a": [{"exists": False}]}}, {"l": []}, True),
    ({"l": {"a": [1]}}, {"l": [[{"a": 1}], 5]}, True),
    # names with dots, beside an object of the first step
    ({"c": {"a": {"b": [1]}, "d": [2]}}, {"c": {"a.b": 1, "d": 2}}, True),
    ({"a": {"b": [1], "c": [2]}}, {"a.b": 1, "a": {"c": 2}}, True),
    ({"a": {"b": [1], "c": [2]}}, {"a": [{"c": 2}], "a.b": 1}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a.b": 1}, False),
    ({"l": {"a.b": [{"exists": False}]}}, {"l": [{"a.b": 1}]}, False),
    # fields of alternatives stand in the same object of a list as those outside
    ({"l": {"a": [1]}, "$or": [{"l": {"b": [2]}}, {"o": [3]}]}, {"l": [{"a": 1}, {"b": 2}]}, False),
    ({"l": {"a": [1]}, "$or": [{"l": {"b": [2]}}, {"o": [3]}]}, {"l": [{"a": 1, "b": 2}]}, True),
]
"""What the guide is silent about, as Event Ruler's source has it."""


@pytest.mark.parametrize(("pattern", "event", "meant"), UNDOCUMENTED, ids=names(UNDOCUMENTED))
def test_what_only_the_source_of_event_ruler_tells(
    pattern: dict[str, Any], event: dict[str, Any], meant: bool
) -> None:
    """The corners are read as AWS's own matcher reads them."""
    assert meant == parse(pattern).is_match(event)


LISTS: Final = "looks into no object in a list"
NUMBERS: Final = "takes true for 1 and false for 0, as Python does"
ADDRESSES: Final = "compares addresses as texts"
CASES: Final = "lowers both sides, for any alphabet"

MOTO_DIFFERS: Final[list[tuple[dict[str, Any], dict[str, Any], str]]] = [
    ({"employees": {"firstName": ["Anna"]}}, PEOPLE, LISTS),
    ({"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}}, PEOPLE, LISTS),
    ({"employees": {"firstName": ["Anna"]}}, NESTED, LISTS),
    ({"l": {"a": [{"exists": False}]}}, {"l": [{"b": 1}, {"a": 1}]}, LISTS),
    ({"l": {"a": [1], "z": [{"exists": False}]}}, {"l": [{"a": 1}, {"z": 1}]}, LISTS),
    ({"l": {"a": [1]}}, {"l": [[{"a": 1}], 5]}, LISTS),
    ({"l": {"a.b": [{"exists": False}]}}, {"l": [{"a.b": 1}]}, LISTS),
    ({"a": {"b": [1], "c": [2]}}, {"a": [{"c": 2}], "a.b": 1}, LISTS),
    ({"l": {"a": [1]}, "$or": [{"l": {"b": [2]}}, {"o": [3]}]}, {"l": [{"a": 1, "b": 2}]}, LISTS),
    ({"a": [1]}, {"a": True}, NUMBERS),
    ({"a": [True]}, {"a": 1}, NUMBERS),
    ({"a": [0]}, {"a": False}, NUMBERS),
    ({"a": [{"anything-but": 1}]}, {"a": True}, NUMBERS),
    ({"a": [{"numeric": [">", 0]}]}, {"a": 6_000_000_000}, "knows no bounds of numbers"),
    ({"a": [{"exists": False}]}, {"a": []}, "takes an empty list for a value"),
    ({"a": [{"exists": True}]}, {"a": [[]]}, "takes an empty list for a value"),
    ({"a": [{"wildcard": "*"}]}, {"a": "\n"}, "lets a star stop at the end of a line"),
    ({"a": ["::1"]}, {"a": "0:0:0:0:0:0:0:1"}, ADDRESSES),
    ({"a": ["10.0.0.7"]}, {"a": "::ffff:a00:7"}, ADDRESSES),
    ({"a": [{"cidr": "10.0.0.0/8"}]}, {"a": "::ffff:a00:7"}, "knows no mapped addresses"),
    ({"a": [{"cidr": "0.0.0.0/0"}]}, {"a": 5}, "takes a number for an address"),
    ({"a": [{"equals-ignore-case": "k"}]}, {"a": "\u212a"}, CASES),
    ({"a": [{"equals-ignore-case": "stra\u00dfe"}]}, {"a": "STRASSE"}, CASES),
]
"""Where moto is not followed: a pattern, an event, and what moto does wrong."""


def test_side_by_side_with_moto() -> None:
    """Moto's matcher and ours agree, but for what is named above with its reason."""
    differs = [
        (pattern, event)
        for pattern, event, meant in DOCUMENTED + UNDOCUMENTED
        if meant is not MotoPattern.load(json.dumps(pattern)).matches_event(cast("Any", event))
    ]
    told = [(pattern, event) for pattern, event, _ in MOTO_DIFFERS]
    assert sorted(map(json.dumps, told)) == sorted(map(json.dumps, differs))


# ---------------------------------------------------------------- drawn patterns

_steps = st.sampled_from(["a", "b", "a-b"])
_values = st.sampled_from(["", "x", "xy", "yx", "XY", "10.0.0.7", "::1", None, True, 0, 1, 7.5])
_texts = st.sampled_from(["x", "xy", "y", "X"])
_wildcards = st.sampled_from(["*", "x*", "*y", "x*y", "*x*y*", r"\*x"])
_tests = st.one_of(
    _values,
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"prefix": _texts}),
    st.fixed_dictionaries({"suffix": _texts}),
    st.fixed_dictionaries({"equals-ignore-case": _texts}),
    st.fixed_dictionaries({"prefix": st.fixed_dictionaries({"equals-ignore-case": _texts})}),
    st.fixed_dictionaries({"suffix": st.fixed_dictionaries({"equals-ignore-case": _texts})}),
    st.fixed_dictionaries({"wildcard": _wildcards}),
    st.fixed_dictionaries({"cidr": st.sampled_from(["10.0.0.0/8", "::/64"])}),
    st.fixed_dictionaries({"numeric": st.sampled_from([["=", 1], [">", 0], [">=", 0, "<", 7.5]])}),
    st.fixed_dictionaries(
        {
            "anything-but": st.one_of(
                _texts,
                st.sampled_from([0, 1]),
                st.lists(_texts, min_size=1, max_size=2),
                st.fixed_dictionaries({"prefix": st.lists(_texts, min_size=1, max_size=2)}),
                st.fixed_dictionaries({"suffix": _texts}),
                st.fixed_dictionaries({"equals-ignore-case": _texts}),
                st.fixed_dictionaries({"wildcard": _wildcards}),
            )
        }
    ),
)
_fields = st.lists(_tests, min_size=1, max_size=2)


def _patterns(names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    def above(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        plain = st.dictionaries(names, _fields | inner, min_size=1, max_size=3)
        alternatives = st.lists(plain, min_size=2, max_size=2)
        return plain | st.builds(lambda one, two: {**one, "$or": two}, plain, alternatives)

    return st.recursive(
        st.dictionaries(names, _fields, min_size=1, max_size=3), above, max_leaves=4
    )


def _events(
    names: st.SearchStrategy[str], *, lists: bool = True
) -> st.SearchStrategy[dict[str, Any]]:
    def above(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        objects = st.dictionaries(names, inner, max_size=3)
        return objects | st.lists(inner, max_size=3) if lists else objects

    return st.dictionaries(names, st.recursive(_values, above, max_leaves=8), max_size=3)


def _agree(pattern: dict[str, Any], event: dict[str, Any]) -> None:
    try:
        parsed = parse(pattern)
    except FieldError as error:
        # Ruler lets a field that is asked for twice win silently; both forms are refused here.
        assert re.search("a second time|fields below it", str(error)), error  # noqa: PT017
    else:
        assert is_match(pattern, event) == parsed.is_match(event)


@settings(max_examples=100)
@given(_patterns(_steps), _events(_steps))
def test_any_pattern_is_read_as_the_reference_reads_it(
    pattern: dict[str, Any], event: dict[str, Any]
) -> None:
    """Lists of objects, lists in lists, alternatives and all operators in any combination."""
    _agree(pattern, event)


_dotted = st.sampled_from(["a", "b", "a.b", "a.a.b"])


@settings(max_examples=40)
@given(_patterns(_dotted), _events(_dotted, lists=False))
def test_a_name_with_a_dot_is_a_field_of_an_object(
    pattern: dict[str, Any], event: dict[str, Any]
) -> None:
    """In the pattern and in the event, in every mixture of both."""
    _agree(pattern, event)


def test_no_letter_makes_matching_go_back() -> None:
    """No form of a letter begins, or ends, like its other form does as a whole."""
    for letter in map(chr, range(0xD800)):
        lower, upper = letter.lower(), letter.upper()
        if lower != upper:
            assert not lower.startswith(upper)
            assert not upper.startswith(lower)
            assert not lower.endswith(upper)
            assert not upper.endswith(lower)


# ---------------------------------------------------------------- refusals

DEEP: Final[dict[str, Any]] = json.loads('{"a":' * MAX_DEPTH + '{"a":["x"]}' + "}" * MAX_DEPTH)

REFUSED: Final[list[tuple[Any, str, str]]] = [
    # the pattern, the place, and a part of what is said of it
    ([], "filter", "must be an object"),
    ({}, "filter", "leave it out"),
    ({"a": "x"}, "filter.a", 'must be a list of the values that are meant, such as ["x"]'),
    ({"a": 5}, "filter.a", "must be a list"),
    ({"a": []}, "filter.a", "is empty"),
    ({"a": {}}, "filter.a", "is empty"),
    ({"a": [["x"]]}, "filter.a[0]", "must be a text, a number"),
    ({"a": [datetime(2026, 1, 1, tzinfo=UTC)]}, "filter.a[0]", "must be a text, a number"),
    ({"a": [2**53]}, "filter.a[0]", "53 bits"),
    ({"a": [float("nan")]}, "filter.a[0]", "53 bits"),
    ({"a": [{}]}, "filter.a[0]", "exactly one of prefix, suffix"),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "filter.a[0]", "exactly one of"),
    ({"a": ["x", {"regex": "x"}]}, "filter.a[1]", "there is no 'regex': choose one of prefix"),
    ({"workspace": [{"prefix": 5}]}, "filter.workspace[0].prefix", "must be a text"),
    ({"a": [{"prefix": {"x": "y"}}]}, "filter.a[0].prefix", "choose one of equals-ignore-case"),
    (
        {"a": [{"suffix": {"equals-ignore-case": 1}}]},
        "filter.a[0].suffix.equals-ignore-case",
        "must be a text",
    ),
    ({"a": [{"equals-ignore-case": ["x"]}]}, "filter.a[0].equals-ignore-case", "must be a text"),
    ({"a": [{"exists": "yes"}]}, "filter.a[0].exists", "must be true or false"),
    ({"a": [{"wildcard": "x**"}]}, "filter.a[0].wildcard", "one * stands for any text"),
    ({"a": [{"wildcard": "x\\y"}]}, "filter.a[0].wildcard", "write \\\\ for the character"),
    ({"a": [{"wildcard": "x\\"}]}, "filter.a[0].wildcard", "write \\\\ for the character"),
    ({"a": [{"numeric": 5}]}, "filter.a[0].numeric", '[">=", 10, "<", 20]'),
    ({"a": [{"numeric": [">"]}]}, "filter.a[0].numeric", "must be a list such as"),
    ({"a": [{"numeric": ["~", 5]}]}, "filter.a[0].numeric[0]", "must be one of =, <"),
    ({"a": [{"numeric": [[], 5]}]}, "filter.a[0].numeric[0]", "must be one of =, <"),
    ({"a": [{"numeric": [">", "5"]}]}, "filter.a[0].numeric[1]", "must be a number"),
    ({"a": [{"numeric": [">", True]}]}, "filter.a[0].numeric[1]", "must be a number"),
    ({"a": [{"numeric": [">", 5_000_000_001]}]}, "filter.a[0].numeric[1]", "5,000,000,000"),
    ({"a": [{"numeric": [">", 0.1234567]}]}, "filter.a[0].numeric[1]", "6 digits"),
    ({"a": [{"numeric": [">", float("nan")]}]}, "filter.a[0].numeric[1]", "5,000,000,000"),
    ({"a": [{"numeric": ["<", 5, ">", 1]}]}, "filter.a[0].numeric", "begin with > or >="),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "filter.a[0].numeric", "must be less than"),
    ({"a": [{"cidr": "10.0.0.5/24"}]}, "filter.a[0].cidr", "write 10.0.0.0/24"),
    ({"a": [{"cidr": "10.0.0.5/32"}]}, "filter.a[0].cidr", 'write "10.0.0.5" in place'),
    ({"a": [{"cidr": "office"}]}, "filter.a[0].cidr", "such as 10.0.0.0/8"),
    ({"a": [{"cidr": 10}]}, "filter.a[0].cidr", "must be a text"),
    ({"a": [{"anything-but": []}]}, "filter.a[0].anything-but", "a list of one of both"),
    ({"a": [{"anything-but": ["x", 1]}]}, "filter.a[0].anything-but", "a list of one of both"),
    ({"a": [{"anything-but": True}]}, "filter.a[0].anything-but", "a list of one of both"),
    ({"a": [{"anything-but": None}]}, "filter.a[0].anything-but", "must be a number"),
    ({"a": [{"anything-but": [1, None]}]}, "filter.a[0].anything-but[1]", "must be a number"),
    ({"a": [{"anything-but": {"cidr": "x"}}]}, "filter.a[0].anything-but", "there is no 'cidr'"),
    ({"a": [{"anything-but": {"prefix": []}}]}, "filter.a[0].anything-but.prefix", "is empty"),
    (
        {"a": [{"anything-but": {"suffix": ["x", ""]}}]},
        "filter.a[0].anything-but.suffix[1]",
        "must not be empty",
    ),
    ({"$or": [{"a": ["x"]}]}, "filter.$or", "two objects or more"),
    ({"$or": {"a": ["x"]}}, "filter.$or", "two objects or more"),
    ({"$or": [{"a": ["x"]}, ["b"]]}, "filter.$or[1]", "must be an object"),
    ({"$or": [{"a": ["x"]}, {"prefix": ["b"]}]}, "filter.$or[1].prefix", "takes no field"),
    ({"$or": [{"a": {"cidr": ["x"]}}, {"b": ["b"]}]}, "filter.$or[0].a.cidr", "takes no field"),
    (
        {name: {"$or": [{"x": ["1"]}, {"y": ["2"]}]} for name in "abcdefghij"},
        "filter.g.$or",
        "more than 100 combinations",
    ),
    ({"a": ["x"], "$or": [{"a": ["y"]}, {"b": ["z"]}]}, "filter.$or[0].a", "a second time"),
    ({"a": {"b": ["x"]}, "a.b": ["y"]}, "filter.a.b", "put all of its values into one list"),
    ({"a": ["x"], "a.b": ["y"]}, "filter.a", "no field of an entry has both"),
    (DEEP, "filter" + ".a" * MAX_DEPTH, "32 objects deep"),
    ({".".join("a" * 2000): ["x"]}, "filter." + "a." * 50, "32 objects deep"),
    ({"a": ["x" * MAX_CHARACTERS]}, "filter", "of 4,096 allowed: use prefixes"),
]


@pytest.mark.parametrize(("pattern", "place", "said"), REFUSED, ids=range(len(REFUSED)))
def test_a_mistake_is_told_with_its_place_and_what_to_write(
    pattern: Any, place: str, said: str
) -> None:
    """The message begins with the place, and the error carries it."""
    with pytest.raises(FieldError) as caught:
        parse(pattern)
    assert place == caught.value.field
    assert str(caught.value).startswith("filter")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_name_of_the_whole_is_the_callers() -> None:
    """A place in a configuration file begins with the table's name."""
    with pytest.raises(FieldError, match=r"^sinks\.siem\.filter\.a must be a list"):
        parse({"a": "x"}, "sinks.siem.filter")


KNOWN: Final = {"event": ("run.created", "run.completed", "state.read"), "outcome": ("success",)}


@pytest.mark.parametrize(
    ("pattern", "place", "said"),
    [
        ({"event": ["run.complete"]}, "filter.event[0]", "did you mean run.completed?"),
        (
            {"event": ["state.read", {"prefix": "auth."}]},
            "filter.event[1]",
            "there are run.created, run.completed, state.read",
        ),
        ({"event": [{"exists": False}]}, "filter.event[0]", "means nothing that there is"),
        (
            {"$or": [{"event": ["state.read"]}, {"outcome": ["failure"]}]},
            "filter.$or[1].outcome[0]",
            "means nothing that there is",
        ),
    ],
)
def test_what_would_let_nothing_through_is_a_mistake(
    pattern: dict[str, Any], place: str, said: str
) -> None:
    """A misspelt event would silence a sink for good, and nobody would see it."""
    parse(pattern)
    with pytest.raises(FieldError, match=re.escape(said)) as caught:
        parse(pattern, known=KNOWN)
    assert place == caught.value.field


@pytest.mark.parametrize(
    "asked",
    [
        {"event": ["run.created", {"wildcard": "state.*"}, {"anything-but": "state.read"}]},
        {"event": [{"exists": True}], "run": {"event": ["any"]}, "workspace": ["any"]},
    ],
)
def test_what_is_known_is_taken(asked: dict[str, Any]) -> None:
    """By whatever operator, and only of the fields at the top of which all is known."""
    parse(asked, known=KNOWN)


def test_nesting_without_fields_is_bounded_too() -> None:
    """Alternatives in alternatives: told in words, not by a stack that runs over."""
    pattern: dict[str, Any] = {"a": ["x"]}
    for _ in range(5000):
        pattern = {"$or": [pattern, {"b": ["y"]}]}
    with pytest.raises(FieldError, match="32 objects deep"):
        parse(pattern)


# ---------------------------------------------------------------- cost

HOSTILE: Final = [
    {"wildcard": "*a" * 1000 + "*b"},
    {"wildcard": "*" + "a" * 2000 + "b*"},
    {"suffix": {"equals-ignore-case": "\u00e4" + "a" * 2000}},
    {"prefix": {"equals-ignore-case": "\u00df" * 1000}},
    {"anything-but": {"wildcard": ["*a" * 500 + "*b", "*a" * 500 + "*c"]}},
]


@pytest.mark.parametrize("test", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_makes_matching_slow(test: dict[str, Any]) -> None:
    """The longest text against the worst pattern takes a part of a second, not hours."""
    pattern = parse({"a": [test]})
    entry = {"a": "a" * 65_000, "b": "\u00e4" + "a" * 64_999}
    started = perf_counter()
    pattern.is_match(entry)
    assert perf_counter() - started < 2


def test_a_long_entry_is_matched_by_its_parts() -> None:
    """Many objects in several lists: each is looked at once, not in every combination."""
    asked = {name: {"a": [1], "b": [2]} for name in ("one", "two", "three")}
    entry = {
        name: [{"a": 1, "b": 0}] * 3000 + ([{"a": 1, "b": 2}] if name != "three" else [])
        for name in asked
    }
    started = perf_counter()
    assert not parse(asked).is_match(entry)
    assert perf_counter() - started < 2


def test_an_entry_of_any_mapping_is_matched() -> None:
    """The entry that sinks share is a dict; others need not be."""
    assert parse({"event": ["state.read"]}).is_match(MappingProxyType({"event": "state.read"}))
