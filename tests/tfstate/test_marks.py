"""Paths to secret values, and the shapes of values that they fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate.marks import ANY_INDEX, ANY_KEY, MarkPath, Marks, mark_paths


def test_marks_cover_everything_below() -> None:
    """A path may name a whole block."""
    marks = Marks()
    marks.add(("block", ANY_INDEX, "inner"))
    block = marks.at("block")
    assert block is not None
    element = block.at(7)
    assert element is not None
    inner = element.at("inner")
    assert inner is not None
    assert inner.secret
    assert element.at("other") is None


def test_marks_are_read_from_a_state() -> None:
    """Attribute steps, index steps with a number, index steps with a key."""
    state = [
        [{"type": "get_attr", "value": "password"}],
        [
            {"type": "get_attr", "value": "list"},
            {"type": "index", "value": {"value": 0, "type": "number"}},
            {"type": "index", "value": {"value": "k", "type": "string"}},
        ],
    ]
    assert [("password",), ("list", ANY_INDEX, "k")] == list(mark_paths(state))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, []),
        ([], []),
        ({}, [()]),
        ([1], [()]),
        ([[{"type": "get_attr", "value": "a"}, {"type": "new"}]], [("a",)]),
        ([[{"type": "get_attr", "value": "a"}, {"type": "index", "value": True}]], [("a",)]),
    ],
)
def test_marks_that_cannot_be_understood_mark_more(state: object, expected: list[object]) -> None:
    """At worst everything, never less."""
    assert expected == list(mark_paths(state))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("a", "b"), "text", True),
        (("a", "b"), 1, True),
        (("a", "b"), [{"b": 1}], False),
        (("a", ANY_INDEX), {"b": 1}, True),
        (("a", ANY_INDEX, "b"), {"b": 1}, False),
        (("a", ANY_INDEX, "b"), "text", True),
        (("a", ANY_KEY), {"b": 1}, False),
        (("a", ANY_KEY), "text", True),
        (("a", "b"), {"b": 1}, False),
        (("a", ANY_INDEX), [1], False),
        (("a", "b"), None, False),
        (("a", "b"), {}, False),
    ],
)
def test_a_value_of_another_type_contradicts_its_marks(
    path: tuple[str | int, ...], value: object, *, expected: bool
) -> None:
    """The secret may then be anywhere in it."""
    marks = Marks()
    marks.add(path)
    inner = marks.at("a")
    assert inner is not None
    assert expected is inner.contradicts(value)


def _tree(*paths: MarkPath) -> Marks:
    """Marks of several paths."""
    marks = Marks()
    for path in paths:
        marks.add(path)
    return marks


def _is_secret(marks: Marks, *steps: str | int) -> bool:
    """Whether a walk along the steps meets a secret."""
    node: Marks | None = marks
    for step in steps:
        if node is None or node.secret:
            break
        node = node.at(step)
    return node is not None and node.secret


@pytest.mark.parametrize(
    ("marked", "steps", "expected"),
    [
        (("a", ANY_KEY, "b"), ("a", "any", "b"), True),
        (("a", ANY_KEY, "b"), ("a", "any", "c"), False),
        (("a", ANY_KEY), ("a", "any"), True),
        (("a", ANY_KEY), ("a", "7"), True),
        (("a", ANY_KEY), ("a", 7), True),
        (("a", ANY_INDEX), ("a", "7"), True),
        (("a", ANY_INDEX), ("a", 7), True),
        (("a", "b"), ("a", "c"), False),
    ],
)
def test_a_wildcard_stands_for_every_step(
    marked: MarkPath, steps: tuple[str | int, ...], expected: bool
) -> None:
    """Numbers as text are indexes of a flat map, or keys."""
    assert expected is _is_secret(_tree(marked), *steps)


@pytest.mark.parametrize(
    ("marked", "steps", "expected"),
    [
        (("a", "b"), ("a", 0, "b"), True),
        (("a", "b"), ("a", "0", "b"), True),
        (("a", "b"), ("a", 0, "c"), False),
        (("a", ANY_INDEX, "b"), ("a", "b"), True),
        (("a", ANY_INDEX, "b"), ("a", "c"), False),
        (("a", ANY_INDEX, ANY_KEY), ("a", "k"), True),
        (("a", "b", "c"), ("a", 0, "b", 0, "c"), True),
        (("a", ANY_INDEX, "b", ANY_INDEX, "c"), ("a", "b", "c"), True),
    ],
)
def test_an_object_and_a_list_of_one_are_the_same(
    marked: MarkPath, steps: tuple[str | int, ...], expected: bool
) -> None:
    """Providers turn one into the other between versions."""
    assert expected is _is_secret(_tree(marked), *steps)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_marks_of_a_step_and_of_wildcards_add_up(first: int) -> None:
    """Whatever speaks for a step is heard, in any order of adding."""
    paths: list[MarkPath] = [("a", "x", "b"), ("a", ANY_KEY, "c"), ("a", ANY_INDEX, "d")]
    marks = _tree(*paths[first:], *paths[:first])
    assert [_is_secret(marks, "a", "x", name) for name in "bcd"] == [True, True, False]
    assert [_is_secret(marks, "a", "y", name) for name in "bcd"] == [False, True, False]
    assert [_is_secret(marks, "a", "0", name) for name in "bcd"] == [False, True, True]
    assert [_is_secret(marks, "a", 0, name) for name in "bcd"] == [False, True, True]


def test_a_mark_added_after_a_question_is_heard() -> None:
    """What was found before is forgotten."""
    marks = _tree(("a", ANY_KEY, "b"), ("a", "x", "c"))
    assert not _is_secret(marks, "a", "x", "d")
    marks.add(("a", ANY_KEY, "d"))
    assert _is_secret(marks, "a", "x", "d")


def test_asking_changes_no_marks() -> None:
    """Merged answers are the asker's own."""
    marks = _tree(("a", ANY_KEY, "b"), ("a", "x", "c"))
    assert _is_secret(marks, "a", "x", "b")
    assert _tree(("a", ANY_KEY, "b"), ("a", "x", "c")) == marks


def test_a_path_without_end_marks_what_lies_above() -> None:
    """A state that was made to exhaust the stack only hides more."""
    step = {"type": "index", "value": {"value": 0, "type": "number"}}
    paths = list(mark_paths([[step] * 100_000]))
    assert [(ANY_INDEX,) * 64] == paths


_STEPS = st.sampled_from(["a", "b", "0", ANY_INDEX, ANY_KEY])
_PATHS = st.lists(st.lists(_STEPS, max_size=5).map(tuple), max_size=6)


@given(_PATHS, st.lists(st.sampled_from(["a", "b", "0", 0, 1]), max_size=6))
def test_more_marks_never_hide_less(paths: list[MarkPath], steps: list[str | int]) -> None:
    """Each path hides alone at most what it hides among others."""
    alone = any(_is_secret(_tree(path), *steps) for path in paths)
    assert not alone or _is_secret(_tree(*paths), *steps)
