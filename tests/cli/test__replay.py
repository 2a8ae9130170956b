"""Tests of proxy.cli._replay: what the entries of a log say must stand in the tables."""

from typing import Any

import pytest

from proxy.cli._replay import Replay
from proxy.errors import VerificationError
from proxy.tfstate.policy import STANDARD, Policy


def locked(lock_id: str) -> dict[str, Any]:
    """Return the entry of a lock that was given."""
    return {
        "time": "2026-11-22T10:00:00.000000Z",
        "event": "state.locked",
        "outcome": "success",
        "workspace": "prod",
        "actor": {"type": "token", "id": "1", "name": "ci"},
        "run": {"id": lock_id},
    }


def test_a_lock_that_is_confirmed_is_still_one() -> None:
    """The same run asked again."""
    replay = Replay()
    replay.note(0, locked("lock-1"))
    replay.note(1, locked("lock-1"))
    with pytest.raises(VerificationError, match="entry 0 gave is gone"):
        replay.check_locks([])


def test_a_lock_that_was_given_twice_is_named() -> None:
    """By the log itself: the first was removed from the table, so a second run got it."""
    replay = Replay()
    replay.note(0, locked("lock-1"))
    with pytest.raises(VerificationError, match="Entry 1 gave the lock of prod") as caught:
        replay.note(1, locked("lock-2"))
    assert 1 == caught.value.index


@pytest.mark.parametrize("event", ["state.unlocked", "state.force_unlocked"])
def test_a_lock_that_was_released_may_be_given_again(event: str) -> None:
    """To whomever."""
    replay = Replay()
    replay.note(0, locked("lock-1"))
    replay.note(1, locked("") | {"event": event})
    replay.check_locks([])
    replay.note(2, locked("lock-2"))


def test_what_was_refused_changes_nothing() -> None:
    """Only what succeeded is in the tables."""
    replay = Replay()
    replay.note(0, locked("lock-1") | {"outcome": "denied"})
    replay.check_locks([])


def started(**settings: Any) -> dict[str, Any]:
    """Return the entry of a start with a redaction policy."""
    lists: dict[str, Any] = {
        "redaction.hidden": [],
        "redaction.readable": [],
        "redaction.hidden_values": [],
    }
    config = {"redaction.mode": "standard", **lists, **settings} if settings else {}
    return locked("x") | {"event": "audit.started", "config": config}


def test_the_policy_in_force_is_that_of_the_last_start() -> None:
    """One of a version that knew no policy says nothing of it."""
    replay = Replay()
    replay.note(0, started())
    replay.check_policy(None)
    replay.note(1, started(**{"redaction.hidden": ["a.b"]}))
    replay.note(2, started())
    replay.check_policy(Policy(hidden=("a.b",)).packed)
    for packed in (None, STANDARD.packed, "text", b"{"):
        with pytest.raises(VerificationError, match="The redaction policy in force is not") as bad:
            replay.check_policy(packed)
        assert 1 == bad.value.index


@pytest.mark.parametrize("event", ["state.locked", "token.created", "token.revoked"])
def test_an_entry_that_says_too_little_is_bad(event: str) -> None:
    """Never a crash, also when somebody has the keys."""
    entry = locked("x") | {"event": event, "token": {"id": "1"}}
    del entry["token" if event == "token.revoked" else "run"]
    with pytest.raises(VerificationError, match="Entry 7 does not say"):
        Replay().note(7, entry)
