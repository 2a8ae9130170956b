"""Tests of proxy.auth.devices."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from proxy.auth.devices import LIFETIME, Devices, device_key

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def devices(key: bytes = b"k" * 32, now: datetime = NOW) -> Devices:
    """Return what makes and knows cookies."""
    return Devices(key, lambda: now, os.urandom)


def test_a_device_is_known_to_whom_it_was_issued() -> None:
    """After a restart, too; each has a name of its own."""
    cookie, other = devices().issue("alice"), devices().issue("alice")
    known = devices().known(cookie, "alice")
    assert known
    assert known != devices().known(other, "alice")
    assert devices().known(cookie, "bob") is None


def test_another_key_knows_nothing() -> None:
    """Nor is the key that of the states itself."""
    master = b"m" * 32
    cookie = devices(device_key(master)).issue("alice")
    assert devices(device_key(master)).known(cookie, "alice")
    assert devices(device_key(b"n" * 32)).known(cookie, "alice") is None
    assert devices(master).known(cookie, "alice") is None


def test_a_device_is_forgotten_after_a_year() -> None:
    """To the second."""
    cookie = devices().issue("alice")
    for after, is_known in [(LIFETIME - timedelta(seconds=1), True), (LIFETIME, False)]:
        assert is_known == (devices(now=NOW + after).known(cookie, "alice") is not None)


@pytest.mark.parametrize("place", [0, 12, -1])
def test_a_cookie_with_one_sign_changed_is_none(place: int) -> None:
    """Neither its time, its name nor its signature."""
    cookie = list(devices().issue("alice"))
    cookie[place] = "1" if cookie[place] != "1" else "2"
    assert devices().known("".join(cookie), "alice") is None


@pytest.mark.parametrize("cookie", [None, "", "..", "x" * 10_000, "1." + "é" * 22 + "." + "x" * 43])
def test_what_is_no_cookie_is_none(cookie: str | None) -> None:
    """Never a crash."""
    assert devices().known(cookie, "alice") is None
