"""Tests of proxy.body_cache."""

from proxy.body_cache import BodyCache


def test_a_body_that_was_put_is_at_hand() -> None:
    """And another is not."""
    cache = BodyCache(100)
    cache.put("1", b"body")
    assert (b"body", None) == (cache.get("1"), cache.get("2"))


def test_a_bytearray_is_kept_as_it_was() -> None:
    """The upload's buffer may change later; what is kept may not."""
    cache, body = BodyCache(100), bytearray(b"body")
    cache.put("1", body)
    body[:] = b"else"
    assert b"body" == cache.get("1")


def test_the_least_recently_used_makes_room() -> None:
    """Reading counts as use."""
    cache = BodyCache(100)
    for version in "1234":
        cache.put(version, bytes(25))
    cache.get("1")
    cache.put("5", bytes(25))
    assert [True, False, True, True, True] == [cache.get(v) is not None for v in "12345"]


def test_all_bodies_together_stay_under_the_limit() -> None:
    """However many are put, and in whatever sizes."""
    cache = BodyCache(1000)
    for version in range(500):
        cache.put(str(version), bytes(version % 250))
    kept = [cache.get(str(version)) for version in range(500)]
    assert sum(len(body) for body in kept if body is not None) <= 1000


def test_a_body_that_would_fill_the_cache_is_let_go() -> None:
    """One state of 50 MB must not throw out all others."""
    cache = BodyCache(100)
    cache.put("1", bytes(25))
    cache.put("2", bytes(26))
    assert (bytes(25), None) == (cache.get("1"), cache.get("2"))


def test_putting_a_version_again_counts_it_once() -> None:
    """Many readers may miss at the same moment and put the same body."""
    cache = BodyCache(100)
    for _ in range(10):
        cache.put("1", bytes(25))
    for version in "234":
        cache.put(version, bytes(25))
    assert bytes(25) == cache.get("1")


def test_bodies_that_are_let_go_make_room() -> None:
    """Those alone; one that is not there is no matter."""
    cache = BodyCache(100)
    for version in "1234":
        cache.put(version, bytes(25))
    cache.drop(["1", "3", "none"])
    for version in "56":
        cache.put(version, bytes(25))
    assert [False, True, False, True, True, True] == [cache.get(v) is not None for v in "123456"]
