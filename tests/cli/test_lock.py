"""Tests of `tfaudit lock`."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from proxy.cli._common import caller, opened, run, settings
from proxy.cli.lock import _is_overdue
from proxy.directory import WorkspaceRecord
from tests.cli.conftest import Tfaudit, events
from tests.samples import a_held_lock

INFO = {
    "ID": "8c1f0a4e-0000-0000-0000-000000000001",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "bob\x1b[2J@laptop",
    "Version": "1.11.4",
    "Created": "2026-11-22T10:00:00Z",
    "Path": "",
}


@pytest.fixture
def locked(data: Path) -> str:
    """Return a workspace whose lock is held by somebody with a rude name."""

    async def take() -> None:
        async with opened(settings(data, None)) as program:
            await program.locks.lock(caller("test"), "prod", json.dumps(INFO).encode(), None)

    run(take())
    return "prod"


def test_locks_are_listed(tfaudit: Tfaudit, locked: str) -> None:
    """Where, what for, and the ID; the client's own words obey nothing."""
    text = tfaudit("lock", "list").stdout
    assert all(word in text for word in (locked, "OperationTypeApply", INFO["ID"]))
    assert "bob\\u001b[2J@laptop" in text


def test_locks_are_listed_as_json(tfaudit: Tfaudit, locked: str) -> None:
    """With the LockInfo as it was sent."""
    (lock,) = json.loads(tfaudit("lock", "list", "--json").stdout)
    assert (locked, INFO["ID"]) == (lock["workspace"], lock["id"])
    assert INFO["Who"] == lock["info"]["Who"]


@pytest.mark.parametrize(
    ("minutes", "age", "expected"), [(None, 9999, False), (10, 10, False), (10, 11, True)]
)
def test_a_lock_is_overdue_after_so_many_minutes(
    minutes: int | None, age: int, expected: bool
) -> None:
    """Never without a measure."""
    held = a_held_lock()
    now = datetime.fromisoformat(held.taken) + timedelta(minutes=age)
    record = WorkspaceRecord(name="prod", lock_alert_minutes=minutes)
    assert expected == _is_overdue(held, record, now)


def test_no_lock_is_an_empty_list(tfaudit: Tfaudit) -> None:
    """Which is an answer, not a failure."""
    assert [] == json.loads(tfaudit("lock", "list", "--json").stdout)


def test_a_release_frees_the_lock_and_is_on_record(tfaudit: Tfaudit, locked: str) -> None:
    """As a force-unlock, since the holder's ID was not shown."""
    assert "OperationTypeApply" in tfaudit("lock", "release", locked, "--yes").stdout
    assert [] == json.loads(tfaudit("lock", "list", "--json").stdout)
    assert [
        "state.locked",
        "run.created",
        "state.force_unlocked",
        "run.errored",
    ] == events(tfaudit)[:4]


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1), ("", 2, 1), (None, 2, 1)]
)
def test_a_release_asks_first(
    tfaudit: Tfaudit, locked: str, answer: str | None, code: int, left: int
) -> None:
    """Naming the holder; where nobody can answer, `--yes` is named and nothing is done."""
    asked = tfaudit("lock", "release", locked, answer=answer, code=code).stderr
    assert "OperationTypeApply" in asked
    assert ("--yes" in asked) is (code == 2)
    assert left == len(json.loads(tfaudit("lock", "list", "--json").stdout))


def test_releasing_a_free_lock_is_a_no(tfaudit: Tfaudit) -> None:
    """Somebody may have mistyped the name."""
    assert "not locked" in tfaudit("lock", "release", "prod", code=1).stderr


def test_a_name_that_is_no_workspace_is_wrong_usage(tfaudit: Tfaudit) -> None:
    """Before anything is opened."""
    tfaudit("lock", "release", "../etc", code=2)
