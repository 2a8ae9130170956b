"""Tests of proxy.cli._replay: what the entries of a log say must stand in the tables."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.access import Role
from proxy.cli._replay import Replay
from proxy.contracts import HeldLock
from proxy.errors import VerificationError
from proxy.lock_service import LockService
from proxy.retention import KEEP_ALL, Retention
from proxy.retention_service import RetentionService
from proxy.tfstate.policy import STANDARD, Policy
from tests.fakes import START, FakeStore
from tests.samples import WORKSPACE, a_caller, a_lock_info, a_state, log_of
from tests.test_state_service import a_service, write


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


# ---------------------------------------------------------------- the last use of a token

MADE = "2026-11-22T09:00:00.000000Z"
NEVER = (None, None)


def token_row(used: str | None, used_from: str | None) -> dict[str, Any]:
    """Return a token as the table has it."""
    columns = {"id": "1", "name": "ci", "role": "reader", "hint": "abcdef", "expires": None}
    others = {"principal": None, "workspaces": '["*"]', "digest": b"\0" * 32, "created": MADE}
    ends = {"revoked": None, "replaced": None, "issuer": None, "identity": None}
    return columns | others | ends | {"used": used, "used_from": used_from}


def with_uses(*uses: tuple[str, str]) -> Replay:
    """Return what follows from a token that was made, and used at these times from there."""
    token = {"id": "1", "name": "ci", "role": "reader", "hint": "abcdef", "expires": None}
    token |= {"workspaces": ["*"], "sha256": "00" * 32}  # type: ignore[dict-item] # any JSON
    created = {"event": "token.created", "outcome": "success", "time": MADE, "token": token}
    replay = Replay()
    replay.note(0, created | {"actor": {"type": "system", "id": "cli", "name": "root"}})
    for index, (time, ip) in enumerate(uses, start=1):
        read = {"event": "state.read", "time": f"2026-11-22T10:{time}Z", "source": {"ip": ip}}
        replay.note(index, locked("x") | read)
    return replay


A, B = "10.0.0.1", "10.0.0.2"


@pytest.mark.parametrize(
    ("uses", "last"),
    [
        ([], NEVER),
        ([("00:05.000000", A)], ("00:05.000000", A)),
        # The transaction began before its entry.
        ([("00:05.000000", A)], ("00:04.999990", A)),
        # The first of a minute is kept, and the others are not.
        ([("00:05.000000", A), ("00:06.000000", B), ("00:59.000000", A)], ("00:05.000000", A)),
        ([("00:05.000000", A), ("01:06.000000", B)], ("01:06.000000", B)),
        # An entry of the next minute from a transaction of this one.
        ([("00:05.000000", A), ("01:00.000000", B), ("01:00.000001", A)], ("00:05.000000", A)),
        ([("00:05.000000", A), ("01:00.000000", B)], ("00:59.999999", B)),
    ],
)
def test_a_last_use_as_it_is_kept_holds(
    uses: list[tuple[str, str]], last: tuple[str | None, str | None]
) -> None:
    """That of the newest minute, at the time of its transaction."""
    used, ip = last
    row = token_row(None if used is None else f"2026-11-22T10:{used}Z", ip)
    with_uses(*uses).check_tokens([row])


@pytest.mark.parametrize(
    ("uses", "used", "ip"),
    [
        ([], "2026-11-22T10:00:05.000000Z", A),
        ([("00:05.000000", A)], None, None),
        ([("00:05.000000", A)], "2026-11-22T10:00:05.000000Z", B),
        ([("00:05.000000", A)], "2026-11-22T10:00:05.000000Z", None),
        ([("00:05.000000", A)], "2026-11-22T10:00:05.000001Z", A),
        ([("00:05.000000", A)], "2026-11-22T09:59:05.000000Z", A),
        ([("00:05.000000", A), ("09:00.000000", A)], "2026-11-22T10:00:05.000000Z", A),
        ([("00:05.000000", A), ("00:09.000000", B)], "2026-11-22T10:00:07.000000Z", B),
        ([("00:05.000000", A)], "yesterday", A),
        ([("00:05.000000", A)], 5, A),
        ([("00:05.000000", A)], b"\xff", A),
    ],
)
def test_a_forged_last_use_is_found(uses: list[tuple[str, str]], used: object, ip: str) -> None:
    """Later or earlier than it was, from elsewhere, or none at all."""
    row = token_row(None, ip) | {"used": used}
    with pytest.raises(VerificationError, match="last use of the token ci"):
        with_uses(*uses).check_tokens([row])


def test_what_is_counted_is_no_use() -> None:
    """It tells of what was done before; the entry at the first was the use."""
    replay = with_uses(("00:05.000000", A))
    read = {"event": "audit.read", "time": "2026-11-22T10:01:20.000000Z", "count": 3}
    replay.note(2, locked("x") | read | {"source": {"ip": A}})
    replay.check_tokens([token_row("2026-11-22T10:00:05.000000Z", A)])
    with pytest.raises(VerificationError, match="last use of the token ci"):
        replay.check_tokens([token_row("2026-11-22T10:01:20.000000Z", A)])


def test_a_database_without_last_uses_holds() -> None:
    """One of the release before, which nobody opened for writing yet."""
    row = token_row(None, None)
    del row["used"], row["used_from"]
    with_uses(("00:05.000000", A)).check_tokens([row])


def test_a_revocation_holds_for_all_that_it_names() -> None:
    """The token, and those whose place it took."""
    replay = with_uses()
    revoked = {"event": "token.revoked", "token": {"id": "2"}, "predecessors": [{"id": "1"}]}
    replay.note(
        1, locked("x") | revoked | {"time": MADE, "source": {"ip": A}, "actor": {"type": "user"}}
    )
    with pytest.raises(VerificationError, match="is not revoked as entry 1 recorded"):
        replay.check_tokens([token_row(None, None)])
    replay.check_tokens([token_row(None, None) | {"revoked": MADE}])


# ---------------------------------------------------------------- held locks

NASTY = st.lists(
    st.sampled_from(
        [
            *('"', "'", "\\", "=", ":", " ", "\n", "\0", "é", "\u2028", "<", "x" * 300),
            *("password", "password=", "token: ", "tfa_", "ghp_" + "a1B2" * 9, "hunter2hunter2"),
            *("[redacted]", "{", "}", '{"password": "', "https://x:secret-secret@example.com"),
        ]
    )
    | st.text(max_size=3),
    max_size=6,
).map("".join)


@settings(max_examples=30)
@given(NASTY.map("id".__add__), NASTY, NASTY, NASTY)
@example("1", '"' + "x " * 500, "y" * 900, "z " * 100 + "'" + "z" * 700)
@example("1", "", "\"<password='password=é", "")
def test_a_lock_that_was_given_is_the_one_that_is_held(
    lock_id: str, operation: str, who: str, version: str
) -> None:
    """Whatever a client says of itself; cleaned once it may not be cleaned again."""
    given_info = {"ID": lock_id, "Operation": operation, "Who": who, "Version": version}

    async def hold() -> tuple[list[HeldLock], list[dict[str, Any]]]:
        store = FakeStore()
        body = json.dumps(given_info, ensure_ascii=False).encode()
        await LockService(store).lock(a_caller(Role.WRITER), WORKSPACE, body, None)
        return await store.locks(), await log_of(store)

    held, entries = asyncio.run(hold())
    replay = Replay()
    for index, entry in enumerate(entries):
        replay.note(index, entry)
    replay.check_locks(held)
    replay.note(len(entries), entries[0])
    with pytest.raises(VerificationError, match="is not the one that entry"):
        replay.check_locks([replace(held[0], who="x" + held[0].who)])


async def a_pruned_log() -> list[dict[str, Any]]:
    """Return a log in which versions 1 and 2 of three were pruned, the lock of a run being held.

    That run began with version 2.
    """
    store = FakeStore()
    states = a_service(store)
    locks = LockService(store)
    await write(states, a_state(1, "one"))
    await write(states, a_state(2, "two"))
    await locks.lock(a_caller(), WORKSPACE, a_lock_info("a"), None)
    await write(states, a_state(3, "three"), lock_id="a")
    await write(states, a_state(4, "four"), lock_id="a")
    service = RetentionService(store, KEEP_ALL, lambda: START)
    await service.prune(a_caller(), WORKSPACE, Retention(versions=1))
    return await log_of(store)


async def test_what_was_pruned_is_followed() -> None:
    """Of those that are named no body may be there; which they are stands in the log."""
    replay = Replay()
    for index, entry in enumerate(await a_pruned_log()):
        replay.note(index, entry)
    assert [True, False, True, False] == [
        replay.is_destroyed(promise) for promise in replay.by_version.values()
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"versions": [[4, 4]]}, "version 4 of prod/network was pruned, but it was not there"),
        ({"versions": [[5, 5]]}, "version 5 of prod/network was pruned, but it was not there"),
        ({"versions": [[0, 1]]}, "version 0 of prod/network was pruned, but it was not there"),
        ({"versions": [[1, 3]]}, "version 2 of prod/network was pruned, but the rules it names"),
        ({"kept": {"versions": 2, "last_of_run": False}}, "version 3 .* but the rules it names"),
        ({"kept": {"seconds": 3600, "last_of_run": False}}, "version 1 .* but the rules it names"),
        ({"kept": {"last_of_run": True}}, "version 1 .* but the rules it names"),
        ({"kept": {"last_of_run": False}}, "version 1 .* but the rules it names"),
        ({"versions": [[1, 1], [1, 1]]}, "version 1 .* but an entry before it pruned it"),
        ({"size": 1}, "says that 2 versions of prod/network with 1 bytes were pruned"),
        ({"number": 3}, "says that 3 versions of prod/network .* those that it names are 2 with"),
        ({"versions": "all"}, "does not say what an entry of its kind must say"),
    ],
)
async def test_an_entry_of_what_could_not_be_pruned_is_named(
    changes: dict[str, Any], said: str
) -> None:
    """The newest, what there is not, what its rules keep, what a run began with, or twice."""
    *before, entry = await a_pruned_log()
    entry["pruned"] |= changes
    replay = Replay()
    for index, each in enumerate(before):
        replay.note(index, each)
    with pytest.raises(VerificationError, match=said) as caught:
        replay.note(len(before), entry)
    assert len(before) == caught.value.index
