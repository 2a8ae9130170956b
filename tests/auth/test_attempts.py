"""Tests of proxy.auth.attempts."""

import pytest

from proxy.auth.attempts import MAX_COUNTED, Attempt, Attempts
from proxy.refusals import TooManyTriesError


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def time() -> Time:
    """Return the clock of the counts."""
    return Time()


@pytest.fixture
def attempts(time: Time) -> Attempts:
    """Return counts of which the third failure locks out for ten seconds."""
    return Attempts(time, after=3, first=10, longest=60)


def begin(
    attempts: Attempts, account: str = "a", network: str = "n", device: str | None = None
) -> Attempt:
    """Begin a try at an account that there is."""
    return attempts.begin(account, network, device, exists=True)


def wait(attempts: Attempts, *where: str) -> int:
    """Return for how long a try is refused."""
    with pytest.raises(TooManyTriesError) as refused:
        begin(attempts, *where)
    return refused.value.retry_after


def test_each_failure_beyond_the_limit_doubles_the_time(attempts: Attempts, time: Time) -> None:
    """Up to the longest."""
    lockouts = []
    for _ in range(7):
        lockout = begin(attempts).fail()
        lockouts.append(0 if lockout is None else lockout.seconds)
        time.now += lockouts[-1]
    assert [0, 0, 10, 20, 40, 60, 60] == lockouts


def test_a_refused_try_counts_for_nothing(attempts: Attempts, time: Time) -> None:
    """The time runs on; a part of a second is told as a whole one."""
    for _ in range(3):
        begin(attempts).fail()
    assert 10 == wait(attempts)
    time.now += 3.5
    assert 7 == wait(attempts)
    time.now += 6.5
    begin(attempts)


def test_a_success_forgets_what_failed_there(attempts: Attempts) -> None:
    """Not what failed elsewhere, nor what the address did to others."""
    for _ in range(2):
        begin(attempts).fail()
        begin(attempts, "a", "other").fail()
    begin(attempts).succeed()
    assert begin(attempts).fail() is None
    lockout = begin(attempts, "a", "other").fail()
    assert lockout is not None
    assert "account from this address" == lockout.what


def test_tries_under_way_are_counted_before_they_failed(attempts: Attempts) -> None:
    """So many at once as would fail one after another; one that was withdrawn makes room."""
    running = [begin(attempts) for _ in range(3)]
    wait(attempts)
    running[0].withdraw()
    begin(attempts)
    wait(attempts)


def test_nothing_is_left_of_what_was_withdrawn(attempts: Attempts) -> None:
    """Nor of what succeeded."""
    begin(attempts).withdraw()
    begin(attempts).succeed()
    begin(attempts, device="d").succeed()
    assert 0 == attempts.counted


def test_a_success_prolongs_no_lock(attempts: Attempts, time: Time) -> None:
    """Of an address where others failed: the next person there is not kept out by it."""
    for i in range(12):
        begin(attempts, f"a{i}").fail()
    assert 10 == wait(attempts, "new")
    time.now += 10
    begin(attempts, "new").succeed()
    begin(attempts, "new").withdraw()
    begin(attempts, "other").succeed()


def test_a_known_device_is_counted_alone(attempts: Attempts) -> None:
    """Whatever others do to the account or from the address; and others are not held up by it."""
    for _ in range(3):
        begin(attempts).fail()
    wait(attempts)
    device = begin(attempts, device="d")
    assert device.fail() is None
    begin(attempts, device="d").fail()
    begin(attempts, device="d").fail()
    with pytest.raises(TooManyTriesError):
        begin(attempts, device="d")
    begin(attempts, device="e")
    begin(attempts, "a", "other")


def test_an_account_is_locked_whoever_tries_it(attempts: Attempts) -> None:
    """Ten times as many from everywhere, as one address may: then all that are not known."""
    lockouts = [begin(attempts, "a", f"n{i // 2}").fail() for i in range(30)]
    assert [None] * 29 == lockouts[:29]
    assert lockouts[29] is not None
    assert "account" == lockouts[29].what
    assert 10 == wait(attempts, "a", "new")
    begin(attempts, "b", "new")
    begin(attempts, "a", "n0", "d")


def test_an_address_is_locked_whatever_it_tries(attempts: Attempts) -> None:
    """Four times as many as at one account."""
    lockouts = [begin(attempts, f"a{i}").fail() for i in range(12)]
    assert lockouts[11] is not None
    assert "address" == lockouts[11].what
    assert 10 == wait(attempts, "new")
    begin(attempts, "new", "other")


def test_what_is_long_ago_is_forgotten(attempts: Attempts, time: Time) -> None:
    """A typing error a day adds up to nothing."""
    for _ in range(20):
        assert begin(attempts).fail() is None
        time.now += 86_400


def test_memory_is_bounded(attempts: Attempts) -> None:
    """And an account that there is is not forgotten for those that there are not."""
    for i in range(29):
        begin(attempts, "real", f"n{i // 2}").fail()
    for i in range(MAX_COUNTED + 500):
        attempts.begin(f"name-{i}", f"net-{i}", None, exists=False).fail()
    assert attempts.counted <= 3 * MAX_COUNTED + 1
    lockout = begin(attempts, "real", "new").fail()
    assert lockout is not None
    assert "account" == lockout.what


def test_many_failures_are_no_overflow(attempts: Attempts, time: Time) -> None:
    """The time stays the longest."""
    for _ in range(2000):
        begin(attempts).fail()
        time.now += 60
    begin(attempts)
