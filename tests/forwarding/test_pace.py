"""Tests of proxy.forwarding.pace: how long is waited."""

import pytest

from proxy.forwarding.pace import Pace

PACE = Pace()


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 1.0), (2, 2.0), (5, 16.0), (7, 60.0), (10_000, 60.0)]
)
def test_waits_double_up_to_a_minute_and_are_anything_below(failures: int, longest: float) -> None:
    """Full jitter: from nothing on."""
    waits = [PACE.wait(failures, chance, is_open=False) for chance in (0.0, 0.5, 1.0)]
    assert [0.0, longest / 2, longest] == waits


def test_an_open_circuit_waits_for_half_of_its_time_at_least() -> None:
    """A far side that is down is not asked again by chance at once."""
    waits = [PACE.wait(9, chance, is_open=True) for chance in (0.0, 1.0)]
    repairs = [PACE.wait(1, chance, is_open=True, needs_repair=True) for chance in (0.0, 1.0)]
    assert ([150.0, 300.0], [450.0, 900.0]) == (waits, repairs)


def test_what_asks_nobody_else_is_tried_each_minute() -> None:
    """A secret that is put in its place is found soon."""
    waited = PACE.wait(1, 0.0, is_open=True, needs_repair=True, is_local=True)
    assert 60.0 == waited


@pytest.mark.parametrize(("asked", "waited"), [(None, 1.0), (0.5, 1.0), (90, 90), (9e9, 3600)])
def test_what_the_far_side_asks_for_is_the_least(asked: float | None, waited: float) -> None:
    """Up to an hour."""
    assert waited == PACE.wait(1, 1.0, is_open=False, retry_after=asked)
