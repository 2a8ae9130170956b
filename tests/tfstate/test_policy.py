"""Tests of proxy.tfstate.policy."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate.policy import (
    STANDARD,
    Policy,
    is_literal,
    pattern_mistake,
    size_of,
    value_mistake,
)

TEXTS = st.text(st.characters(codec=None), max_size=30)


@pytest.mark.parametrize(
    ("pattern", "type_", "path"),
    [
        ("aws_x.a", "aws_x", ("a",)),
        ("aws_x.a", "aws_x", ("a", "below", 3, "it")),
        ("aws_*.a", "aws_x", ("a",)),
        ("*.internal_note", "anything", ("internal_note",)),
        ("aws_?.a", "aws_x", ("a",)),
        ("aws_x.a*", "aws_x", ("abc",)),
        ("aws_x.a?c", "aws_x", ("abc",)),
        ("aws_x.env[].variables.LOG_LEVEL", "aws_x", ("env", 0, "variables", "LOG_LEVEL")),
        ("aws_x.env.variables.LOG_LEVEL", "aws_x", ("env", 7, "variables", "LOG_LEVEL")),
        ("aws_x.env[*].variables", "aws_x", ("env", "0", "variables", "K")),
        ("aws_x.a{}.b", "aws_x", ("a", "any key at all", "b")),
        ("aws_x.a{}", "aws_x", ("a", "7")),
        ('aws_x.a["x.y"].b', "aws_x", ("a", "x.y", "b")),
        ("aws_x.**.deep", "aws_x", ("deep",)),
        ("aws_x.**.deep", "aws_x", ("a", 1, "b", "deep", "er")),
        ("aws_x.a.**", "aws_x", ("a", "b", "c")),
        ("output.private_*", "output", ("private_url", "host")),
    ],
)
def test_a_pattern_holds_for_its_place_and_what_is_below(
    pattern: str, type_: str, path: tuple[str | int, ...]
) -> None:
    """Whether it hides or shows."""
    assert pattern_mistake(pattern) is None
    assert Policy(hidden=(pattern,)).verdict(type_, path) is True
    assert Policy(readable=(pattern,)).verdict(type_, path) is False
    assert Policy(hidden=(pattern,)).speaks_of(type_)


@pytest.mark.parametrize(
    ("pattern", "type_", "path"),
    [
        ("aws_x.a", "aws_xy", ("a",)),
        ("aws_x.a", "aws_x", ("ab",)),
        ("aws_x.a", "aws_x", ()),
        ("aws_x.a.b", "aws_x", ("a",)),
        ("aws_x.a.b", "aws_x", ("a.b",)),
        ("aws_x.a*c", "aws_x", ("a", "c")),
        ("aws_x.a{}.b", "aws_x", ("a", "b")),
        ("aws_x.A", "aws_x", ("a",)),
        ("aws_x.a", "aws_x", ("a\0", "b")),
        ("aws_x.a.b", "aws_x", ("a\0b",)),
        ("aws_x.*", "aws_x", (0,)),
    ],
)
def test_a_pattern_says_nothing_of_other_places(
    pattern: str, type_: str, path: tuple[str | int, ...]
) -> None:
    """Nor of a place above its own, of which only a part is meant."""
    assert Policy(hidden=(pattern,), readable=(pattern,)).verdict(type_, path) is None


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.internal_note", ("input", "value", "internal_note")),
        ("aws_x.a", ("b", 0, "a", "below")),
        ("aws_x.a.b", ("c", "a", 1, "b")),
        ("aws_x.a.b", ("c", "0", "a", "1", "b")),
        ("aws_x.**.a", ("b", "a")),
    ],
)
def test_what_hides_does_so_at_any_depth_and_what_shows_only_at_its_own(
    pattern: str, path: tuple[str | int, ...]
) -> None:
    """In doubt a pattern hides more than was thought of, and shows less."""
    assert Policy(hidden=(pattern,)).verdict("aws_x", path) is True
    anchored = pattern.startswith("aws_x.**")
    assert (False if anchored else None) is Policy(readable=(pattern,)).verdict("aws_x", path)


STEPS = st.sampled_from(["a", "b", "ab", "7", "a.b", "", 0, 3])
PATTERNS = st.lists(st.sampled_from(["a", "a*", "?b", "**", "*", "{}", '["a.b"]', "[]", "7"]))


@given(PATTERNS, st.lists(STEPS, max_size=5), st.lists(STEPS, max_size=4))
def test_what_a_pattern_hides_it_hides_deeper_too(
    steps: list[str], path: list[str | int], above: list[str | int]
) -> None:
    """Wherever it would match at the type itself, it matches below anything, too."""
    pattern = f"aws_x.a.{'.'.join(steps)}".rstrip(".").replace(".[", "[")
    assert pattern_mistake(pattern) is None
    if Policy(readable=(pattern,)).verdict("aws_x", ("a", *path)) is False:
        assert Policy(hidden=(pattern,)).verdict("aws_x", (*above, "a", *path)) is True


def test_what_hides_wins() -> None:
    """Whatever else is readable around it, and in whatever order they stand."""
    policy = Policy(hidden=("*.env.SECRET_*",), readable=("aws_x.env", "aws_x.env.SECRET_A"))
    assert policy.verdict("aws_x", ("env", "SECRET_A")) is True
    assert policy.verdict("aws_x", ("env", "LEVEL")) is False


def test_without_patterns_there_is_no_verdict() -> None:
    """What tfaudit knows by itself decides alone."""
    assert STANDARD.verdict("aws_x", ("password",)) is None
    assert not STANDARD.speaks_of("aws_x")
    assert not Policy(hidden=("aws_y.a",)).speaks_of("aws_x")


@given(TEXTS, st.lists(TEXTS | st.integers(), max_size=5))
def test_a_verdict_never_raises(type_: str, path: list[str | int]) -> None:
    """Keys come from whoever writes a state: NUL, lone surrogates and all."""
    policy = Policy(hidden=("*.a*.{}",), readable=("a*.**.b",))
    assert policy.verdict(type_, tuple(path)) in {True, False, None}


def test_more_places_than_are_remembered() -> None:
    """Memory stays bounded, and the answers right."""
    policy = Policy(hidden=("aws_*.a.b",))
    for number in range(20_000):
        assert policy.verdict(f"aws_{number % 3}", ("a", f"c{number}")) is None
    assert policy.verdict("aws_1", ("a", "b")) is True


# ---------------------------------------------------------------- values


def test_values_are_found_by_their_looks() -> None:
    """Each span in characters, those that overlap as one."""
    policy = Policy(hidden_values=("tok_[a-z]+", "c[0-9]+", "(?P<a>x)y", "(?P<a>x)z"))
    assert [(2, 11), (12, 14)] == policy.find_values("é tok_abc12 xz")
    assert [] == policy.find_values("nothing here")
    assert [] == STANDARD.find_values("tok_abc")


def test_what_utf8_can_not_carry_moves_no_span() -> None:
    """A lone surrogate is one character, before and after."""
    assert [(1, 6)] == Policy(hidden_values=("tok_[a-z]+",)).find_values("\ud800tok_a\ud800")


def test_an_expression_that_looks_far_ahead_stays_linear() -> None:
    """From the 256th match on, all the rest counts as one value."""
    policy = Policy(hidden_values=("x(?:.*y)?",))
    assert [(0, 50_000)] == policy.find_values("x" * 50_000)
    assert (510, 1_000_000) == policy.find_values("x " * 500_000)[-1]


@given(TEXTS)
def test_a_search_never_raises(text: str) -> None:
    """And every span lies in the text."""
    for start, end in Policy(hidden_values=("[^a]", "b+")).find_values(text):
        assert 0 <= start < end <= len(text)


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("pattern", "mistake"),
    [
        ("password", "is not TYPE.PATH"),
        ("aws_x.", "is not TYPE.PATH"),
        (".a", "is not TYPE.PATH"),
        ("aws_x.[].a", "is not TYPE.PATH"),
        ("data.aws_x.a", "must begin with a resource type"),
        ("module.m.aws_x.a", "must begin with a resource type"),
        ("aws_x.a[3]", "can't be read from '[3]' on"),
        ("aws_x.a..b", "can't be read from '..b' on"),
        ("aws_x.a.", "can't be read from '.' on"),
        ("aws_x.a b", "can't be read from ' b' on"),
        ("aws_x.a{}b", "can't be read from 'b' on"),
        ('aws_x.a["\\q"]', "has a key that is no JSON text"),
        ("aws_x.a**", "has ** inside a name"),
        ("aws_x.a\n", "can't be seen"),
    ],
)
def test_a_pattern_that_can_not_be_read_is_told(pattern: str, mistake: str) -> None:
    """With what would be right."""
    assert mistake in (pattern_mistake(pattern) or "")


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        ("(", "is no regular expression as RE2 reads it: missing ): ("),
        ("a(?=b)", "invalid perl operator: (?="),
        (r"(a)\1", "invalid escape sequence"),
        ("a{5000}", "invalid repetition size"),
        ("x*", "matches an empty text"),
        ("", "matches an empty text"),
        ("a\nb", "can't be seen"),
        ("hunter2", "is a plain text"),
        (r"hunter\-2\.", "is a plain text"),
    ],
)
def test_an_expression_that_can_not_be_used_is_told(expression: str, mistake: str) -> None:
    """Also one that would put a value itself into configuration and log."""
    assert mistake in (value_mistake(expression) or "")


@pytest.mark.parametrize("expression", ["tok_[a-z]{4,8}", r"\bACME-\d+", "(?i)a|b", "é+"])
def test_an_expression_is_taken(expression: str) -> None:
    """Whatever RE2 reads."""
    assert value_mistake(expression) is None
    assert not is_literal(expression)


# ---------------------------------------------------------------- on its way


def test_a_policy_survives_its_way_to_a_worker() -> None:
    """As JSON in the store, as MessagePack to a process."""
    policy = Policy("strict", ("a.b",), ("c.d",), ("e+",))
    assert policy == Policy.unpack(policy.packed)
    assert policy == msgspec.msgpack.decode(msgspec.msgpack.encode(policy), type=Policy)
    assert policy.packed != STANDARD.packed


def test_the_size_of_patterns_is_that_of_their_json() -> None:
    """What is escaped counts twice."""
    assert len(b'["a","\\\\d"]') == size_of(["a", "\\d"])
