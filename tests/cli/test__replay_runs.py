"""Tests of proxy.cli._replay_runs: what the log makes of runs, and what it must not say of them."""

from typing import Any

import msgspec
import pytest

from proxy.cli._replay import Replay
from proxy.cli._replay_runs import RunsReplay
from proxy.errors import VerificationError
from proxy.runs import Addresses, Evidence, Run

TIME = "2026-11-22T10:00:00.000000Z"
RUN = {
    "id": "lock-1",
    "operation": "OperationTypeApply",
    "who": "alice@laptop",
    "terraform_version": "1.11.4",
}
LOCKED = [{"event": "state.locked", "index": 0}]


def an_entry(event: str, outcome: str = "success", **parts: Any) -> dict[str, Any]:
    """Return an entry of the workspace."""
    actor = {"type": "user", "id": "1", "name": "alice"}
    common = {"event": event, "outcome": outcome, "workspace": "prod", "time": TIME, "run": RUN}
    return common | {"actor": actor} | parts


def locked() -> dict[str, Any]:
    """Return the entry of a lock that was given."""
    return an_entry("state.locked")


def created(**parts: Any) -> dict[str, Any]:
    """Return the entry of a run that began with entry 0."""
    return an_entry("run.created", run=RUN | {"started": TIME}, inferred_from=LOCKED, **parts)


def saved(serial: int, **run: Any) -> dict[str, Any]:
    """Return the entry of a save that added a resource."""
    changes = {"resources": {"added": 1, "changed": 0, "removed": 0}}
    said = RUN | run
    return an_entry("state.written", run=said, state={"serial": serial}, changes=changes)


def followed(*entries: dict[str, Any]) -> RunsReplay:
    """Return what follows from a log that begins with these."""
    replay = RunsReplay()
    for index, entry in enumerate((locked(), created(), *entries)):
        replay.note(index, entry)
    return replay


def row(**fields: Any) -> list[tuple[object, object]]:
    """Return the table with the run in it."""
    evidence = (Evidence("state.locked", 0),)
    begun = Run("prod", "lock-1", "OperationTypeApply", "alice@laptop", "1.11.4", TIME, evidence)
    return [("prod", msgspec.json.encode(msgspec.structs.replace(begun, **fields)))]


def test_a_run_that_began_is_under_way() -> None:
    """With nothing but its lock."""
    followed().check(row())


def test_what_a_run_saved_is_summed_up() -> None:
    """With what each save's entry says that it left behind."""
    replay = followed(
        saved(4, tainted=["a.a"], tainted_omitted=2),
        an_entry("state.written", state={"serial": 4}),
        saved(5, untainted=["a.a"], failed_checks=["check.x"]),
    )
    expected = {
        "evidence": (Evidence("state.locked", 0), Evidence("state.written", 4, 2, 3)),
        "writes": 2,
        "serials": (4, 5),
        "resources": (2, 0, 0),
        "tainted": Addresses((), 2),
        "failed_checks": Addresses(("check.x",)),
    }
    replay.check(row(**expected))


def test_of_an_encrypted_save_nothing_is_known() -> None:
    """Its entry says that it is."""
    entry = saved(4)
    entry["changes"] = entry["changes"] | {"encrypted": {"before": False, "after": True}}
    evidence = (Evidence("state.locked", 0), Evidence("state.written", 2))
    followed(entry).check(row(evidence=evidence, writes=1, serials=(4, 4), unknown=1))


def test_only_its_own_refused_saves_count() -> None:
    """As the entry of each says."""
    request = {"status": 409}
    foreign = an_entry("state.write_refused", "conflict", request=request)
    own = foreign | {"run": RUN | {"unsaved": True}}
    followed(foreign).check(row())
    evidence = (Evidence("state.locked", 0), Evidence("state.write_refused", 3))
    followed(foreign, own).check(row(evidence=evidence, refused="for good"))


def test_what_was_told_of_a_run_is_not_told_again() -> None:
    """The table remembers it."""
    told = an_entry("run.needs_attention", "conflict", run=RUN | {"reasons": ["lock_waited_for"]})
    followed(told).check(row(attention=("lock_waited_for",)))


@pytest.mark.parametrize("event", ["run.completed", "run.errored"])
def test_a_run_that_is_over_leaves_nothing(event: str) -> None:
    """And another may begin."""
    replay = followed(an_entry(event))
    replay.check([])
    with pytest.raises(VerificationError, match="run on prod is not one that the log began"):
        replay.check(row())
    replay.note(3, locked())
    replay.note(4, created() | {"inferred_from": [{"event": "state.locked", "index": 3}]})


@pytest.mark.parametrize(
    "entry",
    [
        an_entry("run.completed", run=RUN | {"id": "lock-2"}),
        an_entry("run.errored", workspace="other"),
        an_entry("run.needs_attention", workspace="other", run=RUN | {"reasons": []}),
        an_entry("run.never_heard_of", workspace="other"),
    ],
)
def test_of_a_run_that_is_not_under_way_nothing_is_told(entry: dict[str, Any]) -> None:
    """Another lock, another workspace."""
    with pytest.raises(VerificationError, match="was not under way") as caught:
        followed(entry)
    assert 2 == caught.value.index


@pytest.mark.parametrize(
    "entry",
    [
        created(workspace="other"),
        created() | {"inferred_from": [{"event": "state.locked", "index": 7}]},
        created() | {"run": RUN | {"id": "lock-2", "started": TIME}},
    ],
)
def test_a_run_begins_with_the_lock_that_its_entry_names(entry: dict[str, Any]) -> None:
    """And with no other."""
    replay = RunsReplay()
    replay.note(0, locked())
    with pytest.raises(VerificationError, match="did not give it the lock") as caught:
        replay.note(1, entry)
    assert 1 == caught.value.index


def test_a_run_does_not_begin_twice() -> None:
    """Its lock is taken once."""
    with pytest.raises(VerificationError, match="did not give it the lock"):
        followed(created())


def test_what_was_done_without_a_run_is_followed_by_none() -> None:
    """Under a lock of an older release, or under none."""
    replay = RunsReplay()
    refused = an_entry("state.write_refused", run=RUN | {"unsaved": True}, request={"status": 409})
    for index, entry in enumerate((locked(), saved(1), refused, an_entry("state.unlocked"))):
        replay.note(index, entry)
    replay.check([])


@pytest.mark.parametrize(
    "entry",
    [
        created() | {"run": {}},
        created() | {"inferred_from": []},
        created() | {"inferred_from": [{"index": 0}]},
        created() | {"inferred_from": [{"event": "state.locked", "index": 0, "x": 1}]},
        {"event": "run.completed", "outcome": "success", "time": TIME},
    ],
)
def test_an_entry_that_says_too_little_is_bad(entry: dict[str, Any]) -> None:
    """Never a crash, also when somebody has the keys."""
    replay = Replay()
    replay.note(0, locked() | {"source": {"ip": ""}})
    with pytest.raises(VerificationError, match="Entry 1 does not say"):
        replay.note(1, entry)
