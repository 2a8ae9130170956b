"""Tests of proxy.audit_log."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from proxy.access import Caller, Principal, Role, rights_of
from proxy.audit_log import EMPTY_HEAD, AuditLog, LogHead, draft
from proxy.contracts import Draft
from proxy.errors import InvalidInputError, UnavailableError
from proxy.tlog.checkpoint import verify_checkpoint
from proxy.tlog.entry import check, key_id
from proxy.tlog.merkle import tree_hash
from proxy.tlog.verify import LogVerifier
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN, START
from tests.samples import Clock, a_draft, an_audit_log

ENTRY_PUBLIC = ENTRY_KEY.public_key()
KEY_ID = key_id(ENTRY_PUBLIC.public_bytes_raw())
CALLER = Caller(
    Principal("token", "0193", "alice", rights_of(Role.WRITER), "a1b2c3"),
    "10.0.0.7",
    "request-1",
    "terraform",
    "POST",
    "/state/prod",
    "Go-http-client/1.1",
    ("10.0.0.8",),
)


def standing_still() -> int:
    """Return the same time always."""
    return START


def going_back() -> Callable[[], int]:
    """Return a clock that is set back by an hour at each look."""
    return Clock(step=-3_600_000_000)


# ---------------------------------------------------------------- drafts


def test_a_draft_is_laid_out_as_the_record_promises() -> None:
    """All parts of an entry but those that the commit gives it."""
    entry = draft(
        "state.locked", "success", "done", CALLER, 200, workspace="prod", run={"id": "1"}
    ).entry
    assert {
        "event": "state.locked",
        "outcome": "success",
        "message": "done",
        "actor": {"type": "token", "id": "0193", "name": "alice", "token_hint": "a1b2c3"},
        "source": {
            "ip": "10.0.0.7",
            "forwarded_for": ["10.0.0.8"],
            "user_agent": "Go-http-client/1.1",
        },
        "request": {
            "id": "request-1",
            "via": "terraform",
            "method": "POST",
            "path": "/state/prod",
            "status": 200,
        },
        "workspace": "prod",
        "run": {"id": "1"},
    } == entry
    check(entry)


def test_what_is_not_known_is_left_out() -> None:
    """No status, no workspace, no user agent, no proxies."""
    system = Caller(Principal("system", "server", "tfaudit"), "", "", "cli", "serve", "")
    entry = draft("audit.stopped", "success", "done", system).entry
    assert {"ip": ""} == entry["source"]
    assert {"status", "workspace"}.isdisjoint({*entry, *entry["request"]})


def test_a_message_is_cut_and_fit_for_json() -> None:
    """Whatever a client made us quote."""
    message = draft("auth.failed", "denied", "\udcff" + "x " * 2500, CALLER).entry["message"]
    assert 1024 == len(message)
    assert message.startswith("?x")


# ---------------------------------------------------------------- the log


def grown(
    log: AuditLog, head: LogHead, messages: list[str]
) -> tuple[LogHead, str, list[dict[str, Any]]]:
    """Append one batch; return the next head, its checkpoint and the parsed entries."""
    batch = log.begin(head)
    records = batch.append([a_draft(message) for message in messages])
    head, note = batch.close()
    return head, note, [orjson.loads(record.entry) for record in records]


@pytest.mark.parametrize(
    "clock", [Clock(), standing_still, going_back()], ids=["ticks", "stands", "falls"]
)
def test_a_log_of_many_batches_verifies_with_the_public_keys_alone(
    clock: Callable[[], int],
) -> None:
    """Whatever the clock does: signatures, order, tree and each batch's checkpoint hold."""
    log = an_audit_log(clock)
    verifier = LogVerifier({KEY_ID: ENTRY_PUBLIC}, [log.note_signer.verifier])
    head, note = EMPTY_HEAD, ""
    for size in (1, 2, 1, 7, 3):
        batch = log.begin(head)
        for record in batch.append([a_draft(str(n)) for n in range(size)]):
            verifier.add(record)
        head, note = batch.close()
        verifier.at(note)
    verifier.finish(note)
    assert 14 == head.size


def test_a_checkpoint_promises_the_tree_over_all_entries() -> None:
    """Origin, size and root, as RFC 6962 defines it over every leaf."""
    log = an_audit_log()
    batch = log.begin(EMPTY_HEAD)
    records = batch.append([a_draft(str(n)) for n in range(5)])
    _, note = batch.close()
    found = verify_checkpoint(note, log.note_signer.verifier)
    root = tree_hash([record.leaf_hash for record in records])
    assert (ORIGIN, 5, root) == (found.origin, found.size, found.root)


def test_times_rise_by_at_least_a_microsecond() -> None:
    """A clock that stands still or is set back can't repeat or reorder a time."""
    log = an_audit_log(going_back())
    head, _, first = grown(log, EMPTY_HEAD, ["a", "b"])
    _, _, second = grown(log, head, ["c", "d"])
    times = [entry["time"] for entry in first + second]
    assert sorted(set(times)) == times


def test_the_head_remembers_the_newest_time() -> None:
    """So that the next process, whose clock is behind, goes on from there."""
    log = an_audit_log(standing_still)
    head, _, entries = grown(log, EMPTY_HEAD, ["a", "b", "c"])
    assert "2026-11-22T10:00:00.000002Z" == entries[-1]["time"]
    assert START + 2 == head.micros


def test_an_append_that_fails_leaves_no_gap() -> None:
    """All of a job's entries are taken or none: indices, times and tree go on as if never tried."""
    log = an_audit_log()
    batch = log.begin(EMPTY_HEAD)
    batch.append([a_draft("first")])
    with pytest.raises(InvalidInputError, match=r"of 65,535 allowed"):
        batch.append([a_draft("good"), a_draft("x" * 70_000)])
    after = batch.append([a_draft("last")])
    head, _ = batch.close()
    assert (1, 2) == (after[0].index, head.size)


@pytest.mark.parametrize(
    ("event", "outcome"), [("state.eaten", "success"), ("state.read", "maybe")]
)
def test_the_catalogue_is_closed(event: str, outcome: str) -> None:
    """An event or outcome that is not in the catalogue can't be committed."""
    unknown = a_draft()
    unknown.entry.update(event=event, outcome=outcome)
    with pytest.raises(AssertionError, match="not in the catalogue"):
        an_audit_log().begin(EMPTY_HEAD).append([unknown])


def test_an_entry_may_be_as_long_as_promised_and_not_longer() -> None:
    """65,535 bytes pass; one more is refused."""
    log = an_audit_log()
    spare = 65_535 - len(log.begin(EMPTY_HEAD).append([a_draft("")])[0].entry)
    assert 65_535 == len(log.begin(EMPTY_HEAD).append([a_draft("x" * spare)])[0].entry)
    with pytest.raises(InvalidInputError):
        log.begin(EMPTY_HEAD).append([a_draft("x" * (spare + 1))])


def test_an_integer_beyond_53_bits_is_refused() -> None:
    """It would not be the same number to every reader."""
    huge = Draft({**a_draft().entry, "count": 2**53})
    with pytest.raises(InvalidInputError):
        an_audit_log().begin(EMPTY_HEAD).append([huge])


def test_a_key_that_can_not_sign_is_told_as_unavailable() -> None:
    """Nothing was done, and the request may be sent again."""
    log = an_audit_log()

    def broken(data: object) -> bytes:  # noqa: ARG001 - as the key's own
        raise OSError("the key's device is gone")

    log.sign_entry = broken
    batch = log.begin(EMPTY_HEAD)
    with pytest.raises(UnavailableError, match="check the entry key"):
        batch.append([a_draft()])
    assert 0 == batch.size


# ---------------------------------------------------------------- its own head


def test_a_log_knows_its_own_head() -> None:
    """The note that it signed for exactly this head."""
    log = an_audit_log()
    head, note, _ = grown(log, EMPTY_HEAD, ["a", "b", "c"])
    assert log.is_own(note, head)


def test_a_head_that_was_edited_is_not_its_own() -> None:
    """Another size, another tree, a tree that doesn't fit its size, or no note at all."""
    log = an_audit_log()
    head, note, _ = grown(log, EMPTY_HEAD, ["a", "b", "c"])
    other, other_note, _ = grown(log, EMPTY_HEAD, ["a", "b", "d"])
    assert not log.is_own(note, LogHead(2, head.frontier[:32], head.micros))
    assert not log.is_own(note, other)
    assert not log.is_own(other_note, head)
    assert not log.is_own(note, LogHead(3, b"", head.micros))
    assert not log.is_own("", head)


def test_a_note_by_another_key_or_of_another_log_is_not_its_own() -> None:
    """Only this log's key under this log's name counts."""
    log = an_audit_log()
    head, _, _ = grown(log, EMPTY_HEAD, ["a"])
    for origin, key in (("other.test/log", CHECKPOINT_KEY), (ORIGIN, ENTRY_KEY)):
        other = AuditLog(ENTRY_KEY, key, origin, clock=standing_still, random=bytes)
        batch = other.begin(head)
        batch.append([a_draft()])
        following, note = batch.close()
        assert not log.is_own(note, following)
