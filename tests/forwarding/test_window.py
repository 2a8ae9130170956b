"""Tests of proxy.forwarding.window: what became of events that are under way together."""

from proxy.forwarding.window import Window
from tests.forwarded import an_event


def window(*, known: tuple[int, ...] = ()) -> Window:
    """Return a window of the entries 3 to 6, up to entry 9."""
    return Window([an_event(index) for index in range(3, 7)], 10, known=known)


def pending(of: Window) -> list[int]:
    """Return the indices of which nothing is known."""
    return [each.record.index for each in of.pending]


def test_it_has_reached_what_was_not_taken() -> None:
    """In the order of the log; at its end when all was."""
    under_way = window()
    assert 3 == under_way.reached
    under_way.take([3, 5])
    assert (4, [4, 6]) == (under_way.reached, pending(under_way))
    under_way.take([4, 6])
    assert (10, []) == (under_way.reached, pending(under_way))
    assert 9 == Window((), 9).reached


def test_what_is_taken_convicts_what_was_refused() -> None:
    """Then the sink does take events, and these are wrong."""
    under_way = window()
    assert 1 == under_way.refuse({3: "400"})
    assert ({3: "400"}, {}) == (under_way.suspects, under_way.refused)
    assert under_way.take([4])
    assert ({}, {3: "400"}) == (under_way.suspects, under_way.refused)
    assert not under_way.take([4])
    assert 2 == under_way.answered


def test_nobody_wonders_about_what_was_set_aside_before() -> None:
    """In a replay."""
    under_way = window(known=(3,))
    assert 0 == under_way.refuse({3: "400"})
    assert {3: "400"} == under_way.refused


def test_suspects_are_given_again_to_a_sink_that_takes_something_after_all() -> None:
    """What it refuses then is wrong itself."""
    under_way = window()
    under_way.refuse({3: "400", 4: "400"})
    under_way.try_again()
    under_way.take([5])
    assert [3, 4, 6] == pending(under_way)
    assert 0 == under_way.refuse({4: "400"})
    assert {4: "400"} == under_way.refused


def test_it_is_split_before_the_first_suspect() -> None:
    """What stands before is done with, what comes from there on is given again."""
    under_way = window()
    under_way.refuse({3: "400"})
    under_way.take([4])
    under_way.refuse({5: "401"})
    head, rest = under_way.split()
    assert (5, {4}, {3: "400"}) == (head.end, head.taken, head.refused)
    assert [5, 6] == [each.record.index for each in rest]


def test_it_is_about_sinks_when_all_of_it_is() -> None:
    """One of nothing is not."""
    about = an_event(1, event="sink.failed")
    assert Window([about], 2).is_only_about_sinks
    assert not Window([about, an_event(2)], 3).is_only_about_sinks
    assert not Window((), 3).is_only_about_sinks
