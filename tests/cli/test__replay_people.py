"""Tests of proxy.cli._replay_people: what the log says of passwords and sessions."""

from hashlib import sha256
from typing import Any

import pytest

from proxy.cli._replay_people import PeopleReplay
from proxy.errors import VerificationError

LOGIN = "2026-11-22T10:00:00.000000Z"
LATER = "2026-11-22T10:05:00.000000Z"
END = "2026-11-22T22:00:00.000000Z"
AFTER = "2026-11-22T23:00:00.000000Z"
ROW = {
    "id": "s",
    "principal": "id-1",
    "created": LOGIN,
    "seen": LOGIN,
    "seen_from": "10.0.0.1",
    "expires": END,
    "ended": None,
    "digest": bytes(32),
}


def entry(event: str, time: str = LOGIN, **parts: Any) -> dict[str, Any]:
    """Return an entry of a success of alice's."""
    actor = {"type": "user", "id": "id-1", "name": "alice", "session": "s"}
    return {"event": event, "outcome": "success", "time": time, "actor": actor, **parts}


def logged_in() -> PeopleReplay:
    """Return what follows from a login, by entry 0."""
    replay = PeopleReplay()
    session = {"id": "s", "expires": END, "sha256": "00" * 32}
    replay.note(0, entry("auth.login", session=session))
    return replay


def password(hashed: str, time: str = LOGIN) -> dict[str, Any]:
    """Return the entry of a password that was set."""
    said = {"principal": "id-1", "sha256": sha256(hashed.encode()).hexdigest()}
    return entry("principal.updated", time, password=said)


def test_a_session_as_it_began_holds() -> None:
    """And as it was used, up to its newest entry."""
    replay = logged_in()
    replay.check_sessions([ROW])
    replay.note(1, entry("state.read", LATER))
    replay.check_sessions([{**ROW, "seen": LATER}])


def test_what_is_counted_is_no_use_of_a_session() -> None:
    """It tells of what was done before."""
    replay = logged_in()
    replay.note(1, entry("audit.read", LATER, count=3))
    replay.check_sessions([ROW])
    with pytest.raises(VerificationError, match="last use"):
        replay.check_sessions([{**ROW, "seen": LATER}])


@pytest.mark.parametrize(
    "change",
    [
        {"digest": b"x" * 32},
        {"digest": None},
        {"expires": "2999-01-01T00:00:00.000000Z"},
        {"principal": "id-2"},
        {"created": "2026-11-22T20:00:00.000000Z"},
        {"created": 7},
        {"seen": LATER},
        {"ended": LATER},
        {"id": "t"},
        {"id": b"s"},
    ],
)
def test_a_changed_session_does_not(change: dict[str, Any]) -> None:
    """Another's cookie, a longer life, a later use."""
    with pytest.raises(VerificationError):
        logged_in().check_sessions([{**ROW, **change}])


def test_a_session_that_ended_stays_so() -> None:
    """By the first entry that ended it."""
    replay = logged_in()
    replay.note(1, entry("auth.logout", LATER, ended_sessions=["s"]))
    replay.note(2, entry("principal.updated", AFTER, ended_sessions=["s"]))
    replay.check_sessions([{**ROW, "ended": LATER, "seen": LOGIN}])
    for ended in (None, LOGIN, AFTER):
        with pytest.raises(VerificationError, match="not ended as entry 1") as bad:
            replay.check_sessions([{**ROW, "ended": ended}])
        assert 1 == bad.value.index


def test_a_session_may_be_gone_once_it_expired() -> None:
    """Not before."""
    replay = logged_in()
    with pytest.raises(VerificationError, match="s that entry 0 began is gone"):
        replay.check_sessions([])
    replay.note(1, entry("state.read", AFTER))
    replay.check_sessions([])


def test_the_newest_password_counts() -> None:
    """Whoever puts the older one back is found, as is whoever takes it away."""
    replay = PeopleReplay()
    replay.note(0, password("one"))
    replay.note(1, password("two", LATER))
    replay.check_passwords([("id-1", "two", LATER)])
    for rows in ([("id-1", "one", LATER)], [("id-1", "two", LOGIN)], [("id-1", None, None)], []):
        with pytest.raises(VerificationError) as bad:
            replay.check_passwords(rows)
        assert 1 == bad.value.index
    with pytest.raises(VerificationError, match="put there behind its back"):
        replay.check_passwords([("id-1", "two", LATER), ("id-2", "x", LATER)])


@pytest.mark.parametrize("after", [None, {"kind": "service"}, {"kind": "person"}])
def test_a_password_goes_with_the_person(after: dict[str, str] | None) -> None:
    """Deleted, or no person any more; a change of something else leaves it."""
    replay = PeopleReplay()
    replay.note(0, password("one"))
    said = {"kind": "principal", "name": "alice", "id": "id-1", "before": {}, "after": after}
    replay.note(1, entry("principal.updated", LATER, object=said))
    is_kept = after == {"kind": "person"}
    replay.check_passwords([("id-1", "one", LOGIN)] if is_kept else [])
    with pytest.raises(VerificationError, match="alice"):
        replay.check_passwords([] if is_kept else [("id-1", "one", LOGIN)])


@pytest.mark.parametrize(
    "parts",
    [
        {"ended_sessions": ["unknown"]},
        {"password": {"principal": "x"}},
        {"password": "x"},
        {"event": "auth.login"},
        {"event": "auth.login", "session": {"id": "s", "expires": END, "sha256": "no hex"}},
    ],
)
def test_an_entry_that_says_too_little_is_told(parts: dict[str, Any]) -> None:
    """As one of the errors that the caller tells of."""
    with pytest.raises((LookupError, TypeError, ValueError)):
        PeopleReplay().note(0, {**entry("x"), **parts})
