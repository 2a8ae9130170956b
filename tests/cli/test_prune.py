"""Tests of `tfaudit state prune`, and of what `tfaudit verify` makes of what it did."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import _verification
from proxy.cli._common import caller, opened, run, settings
from proxy.errors import VerificationError
from proxy.program import Program
from proxy.retention import Retention
from proxy.storage.migrations import MIGRATIONS
from proxy.storage.reader import SQLiteReader
from tests.cli.conftest import Tfaudit, events, json_lines, state
from tests.samples import a_lock_info

Execute = Callable[[str], None]


async def write(program: Program, serial: int, lock_id: str | None = None) -> None:
    """Store a state of prod."""

    async def receive(_: int | None) -> bytes:
        return state(serial, input=f"value-{serial}")

    await program.states.write(caller("test"), "prod", receive, lock_id, None)


async def write_under_lock(program: Program, lock_id: str, *serials: int) -> None:
    """Store states of one run."""
    info = a_lock_info(lock_id)
    await program.locks.lock(caller("test"), "prod", info, None)
    for serial in serials:
        await write(program, serial, lock_id)
    await program.locks.unlock(caller("test"), "prod", info, None)


@pytest.fixture
def prod(data: Path) -> str:
    """Return a workspace with versions 1 and 2 of a run, 3 without a lock, 4 and 5 of a run."""

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            await write_under_lock(program, "a", 1, 2)
            await write(program, 3)
            await write_under_lock(program, "b", 4, 5)

    run(work())
    return "prod"


@pytest.fixture
def execute(data: Path) -> Execute:
    """Return a way to change the database behind the log's back."""

    def change(statement: str) -> None:
        with closing(sqlite3.connect(data / "tfaudit.db")) as database, database:
            database.execute(statement)

    return change


def prune(tfaudit: Tfaudit, *options: object) -> list[dict[str, Any]]:
    """Prune without a question; return what was told."""
    found: list[dict[str, Any]] = json.loads(
        tfaudit("state", "prune", "--yes", "--json", *options).stdout
    )
    return found


@pytest.fixture
def pruned(tfaudit: Tfaudit, prod: str) -> int:
    """Prune versions 1 and 4; return the index of the entry."""
    assert prod
    (told,) = prune(tfaudit, "--last-of-run")
    index: int = told["indices"][0]
    return index


def versions(tfaudit: Tfaudit) -> list[dict[str, Any]]:
    """Return the versions of prod, oldest first."""
    found: list[dict[str, Any]] = json.loads(tfaudit("state", "versions", "prod", "--json").stdout)
    return found[::-1]


# ---------------------------------------------------------------- the command


def test_it_tells_what_it_destroyed(tfaudit: Tfaudit, prod: str) -> None:
    """By workspace: which versions, how large they were, by which rules, and the entry."""
    size = sum(each["size"] for each in versions(tfaudit) if each["number"] in {1, 4})
    (told,) = prune(tfaudit, "--last-of-run")
    index = told.pop("indices")[0]
    assert {
        "workspace": prod,
        "versions": [[1, 1], [4, 4]],
        "number": 2,
        "size": size,
        "kept": {"last_of_run": True},
    } == told
    entry = json_lines(tfaudit("log", "--json", "--event", "state.versions_pruned").stdout)[0]
    assert (index, "cli") == (entry["index"], entry["entry"]["request"]["via"])


def test_people_get_a_table_after_a_question(tfaudit: Tfaudit, prod: str) -> None:
    """With what can't be destroyed from here; no is an answer, too."""
    assert prod
    options = ("state", "prune", "--keep", 2)
    kept = tfaudit(*options, "--keep-for", "1d").stdout
    assert "Nothing to prune: every version that is left is kept.\n" == kept
    asked = tfaudit(*options, answer="n\n", code=1)
    assert "Destroy 3 versions of 1 workspace? Nothing brings them back." in asked.stderr
    assert "nobody answered" in tfaudit(*options, code=2).stderr
    assert "state.versions_pruned" not in events(tfaudit)
    done = tfaudit(*options, answer="y\n")
    heading, row = done.stdout.splitlines()[-2:]
    assert "WORKSPACE VERSIONS SIZE KEPT ENTRY PRUNED" == " ".join(heading.split())
    assert ("prod", "3", "2", "1-3") == tuple(row.split()[place] for place in (0, 1, 4, 6))
    assert "backups, snapshots" in done.stderr


def test_a_dry_run_destroys_nothing(tfaudit: Tfaudit, prod: str) -> None:
    """It asks nothing, and leaves no entry."""
    assert prod
    before = len(events(tfaudit))
    told = json.loads(tfaudit("state", "prune", "--keep", 1, "--dry-run", "--json").stdout)
    assert [([[1, 4]], [])] == [(each["versions"], each["indices"]) for each in told]
    assert "1-4" in tfaudit("state", "prune", "--keep", 1, "--dry-run").stdout
    assert 5 == sum(not each["destroyed"] for each in versions(tfaudit))
    assert not {"state.versions_pruned", "access.denied"} & set(events(tfaudit)[before:])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "no rule says which versions are kept"),
        (("--keep", "0"), "--keep"),
        (("--keep", "some"), "--keep"),
        (("--keep-for", "ninety"), "--keep-for can't be used"),
        (("--keep-for", "1m"), "less than an hour"),
    ],
)
def test_what_can_not_be_meant_is_refused(
    tfaudit: Tfaudit, prod: str, options: tuple[str, ...], says: str
) -> None:
    """By the option, and nothing is gone."""
    assert prod
    assert says in tfaudit("state", "prune", "--yes", *options, code=2).stderr
    assert 5 == sum(not each["destroyed"] for each in versions(tfaudit))


def test_the_configuration_says_what_is_kept(
    tfaudit: Tfaudit, prod: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a workspace says by itself takes its place."""
    monkeypatch.setenv("TFAUDIT_RETENTION_VERSIONS", "2")
    tfaudit("workspace", "update", prod, "--keep-versions", "3, last-of-run")
    shown = tfaudit("workspace", "show", prod).stdout
    assert "keeps versions: 3, last-of-run" in shown
    assert [[[1, 1]]] == [each["versions"] for each in prune(tfaudit)]
    tfaudit("workspace", "update", prod, "--keep-versions", "none")
    assert [[[2, 3]]] == [each["versions"] for each in prune(tfaudit)]
    wrong = tfaudit("workspace", "update", prod, "--keep-versions", "much", code=2).stderr
    assert "keep_versions can't be used: 'much' does not say which versions are kept" in wrong


# ---------------------------------------------------------------- whoever reads


def test_pruned_versions_are_marked(tfaudit: Tfaudit, pruned: int) -> None:
    """When, and by which entry; none of the others is."""
    rows = tfaudit("state", "versions", "prod").stdout.splitlines()[1:][::-1]
    marked = [f", entry {pruned}" in row and " pruned 20" in row for row in rows]
    assert [True, False, False, True, False] == marked
    assert tfaudit("state", "list").stdout.rstrip().endswith(" 2 pruned")
    assert " 5 (2 pruned)" in tfaudit("workspace", "show", "prod").stdout
    found = versions(tfaudit)
    assert marked == [each["destroyed"] for each in found]
    assert {pruned, None} == {each["pruned_by"] for each in found}


@pytest.mark.parametrize(
    "command",
    [
        ("show", "prod", "--version", "4"),
        ("diff", "prod"),
        ("diff", "prod", "1", "2"),
        ("pull", "prod", "--version", "1"),
        ("rollback", "prod", "1"),
    ],
)
def test_a_pruned_version_is_told_as_such(
    tfaudit: Tfaudit, pruned: int, command: tuple[str, ...]
) -> None:
    """With what can be had; nobody is asked to agree, and nothing is on stdout."""
    result = tfaudit("state", *command, code=1)
    assert " of prod was pruned at 20" in result.stderr
    assert f"as entry {pruned} records" in result.stderr
    assert ("", False) == (result.stdout, "?" in result.stderr)


def test_what_is_kept_is_read_as_ever(tfaudit: Tfaudit, pruned: int) -> None:
    """The newest, and older ones, byte for byte; one of them can be rolled back to."""
    assert pruned
    assert state(5, input="value-5") == tfaudit("state", "pull", "prod").stdout_bytes
    older = tfaudit("state", "pull", "prod", "--version", "2").stdout_bytes
    assert state(2, input="value-2") == older
    assert "now version 6" in tfaudit("state", "rollback", "prod", "2", "--yes").stdout
    assert 0 == tfaudit("verify").exit_code


def test_a_leaked_value_is_looked_for_in_what_is_left(tfaudit: Tfaudit, pruned: int) -> None:
    """And the answer says what could not be searched."""
    assert pruned
    result = tfaudit("whose-secret", "prod", answer="value-1-is-no-secret\n", code=2)
    assert "2 versions (1, 4) can't be searched: retention pruned them" in result.stderr


# ---------------------------------------------------------------- verify


def test_what_was_pruned_holds(tfaudit: Tfaudit, pruned: int) -> None:
    """The states that are left are checked; so it is after a purge of the workspace."""
    assert pruned
    assert 3 == json.loads(tfaudit("verify", "--json").stdout)["states"]
    tfaudit("workspace", "delete", "prod", "--yes")
    tfaudit("workspace", "purge", "prod", "--yes", "--now")
    assert 0 == json.loads(tfaudit("verify", "--json").stdout)["states"]


def bad(tfaudit: Tfaudit) -> tuple[int | None, str]:
    """Verify what must not hold; return the index named and the message."""
    shown = json.loads(tfaudit("verify", "--json", "--no-record", code=1).stdout)
    return shown["first_bad_index"], shown["message"]


_PUT_BACK = (
    "INSERT INTO state_body (id, sealed) SELECT id, x'00' FROM state_version WHERE number = 1"
)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (_PUT_BACK, "but its body is there"),
        ("UPDATE state_version SET pruned = NULL WHERE number = 1", "or of its pruning"),
        ("UPDATE state_version SET pruned_by = 0 WHERE number = 1", "or of its pruning"),
        (
            "UPDATE state_version SET pruned = '2020-01-01T00:00:00Z' WHERE number = 1",
            "of its pruning",
        ),
        ("UPDATE state_version SET pruned = x'ff' WHERE number = 1", "or of its pruning"),
        ("DELETE FROM state_version WHERE number = 1", "is gone from the store"),
    ],
)
def test_a_changed_pruning_is_found(
    tfaudit: Tfaudit, pruned: int, execute: Execute, statement: str, said: str
) -> None:
    """A body that was put back, a mark that was taken away or altered, a version that is gone."""
    execute(statement)
    index, message = bad(tfaudit)
    assert said in message
    if "gone" not in said:
        assert pruned == index


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM state_body WHERE id = (SELECT id FROM state_version WHERE number = 2)",
        "UPDATE state_version SET pruned = created, pruned_by = 1 WHERE number = 2",
        "UPDATE state_version SET run = NULL WHERE number = 2",
        "UPDATE state_version SET run = created WHERE number = 3",
        "UPDATE state_version SET run = (SELECT max(run) FROM state_version) WHERE number = 2",
    ],
)
def test_a_pruning_that_no_entry_records_is_found(
    tfaudit: Tfaudit, prod: str, execute: Execute, statement: str
) -> None:
    """A body that is missing, a mark, or another run, by which a version would be pruned."""
    assert prod
    execute(statement)
    index, _ = bad(tfaudit)
    assert index is not None


def test_what_is_pruned_while_somebody_verifies_is_left_for_the_next_time(
    tfaudit: Tfaudit, data: Path, prod: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that was there at the start and is gone is no tampering if an entry says so."""
    assert prod
    real = _verification._verify_states

    async def verify_states(*args: Any) -> None:
        async with opened(settings(data, None)) as program:
            await program.retention.prune(caller("test"), "*", Retention(versions=1))
        await real(*args)

    monkeypatch.setattr(_verification, "_verify_states", verify_states)
    tfaudit("verify", "--no-record")
    monkeypatch.undo()
    assert 1 == json.loads(tfaudit("verify", "--json", "--no-record").stdout)["states"]


def test_a_body_that_goes_while_somebody_verifies_is_found_without_an_entry(
    tfaudit: Tfaudit, prod: str, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the mark names an entry that there is not yet, or an older one."""
    assert prod
    real = _verification._verify_states

    async def verify_states(store: SQLiteReader, *args: Any) -> None:
        execute("DELETE FROM state_body WHERE id = (SELECT min(id) FROM state_version)")
        for index in ("NULL", "0", "10000"):
            execute(f"UPDATE state_version SET pruned_by = {index}")  # noqa: S608
            with pytest.raises(VerificationError, match="can't be opened"):
                await real(store, *args)
        await real(store, *args)

    monkeypatch.setattr(_verification, "_verify_states", verify_states)
    assert "can't be opened" in bad(tfaudit)[1]


# ---------------------------------------------------------------- an older database


def test_a_database_of_the_release_before_learns_its_runs_from_the_log(
    tfaudit: Tfaudit, data: Path, prod: str
) -> None:
    """And verify holds before and after; the lock that is held goes on with its run."""

    async def lock() -> None:
        async with opened(settings(data, None)) as program:
            await write(program, 5)  # once more, by nobody's run
            await program.locks.lock(caller("test"), prod, a_lock_info("broken"), None)
            await program.locks.release(caller("test"), prod)
            await write(program, 6)
            info = a_lock_info("c")
            for _ in range(2):  # the second time it is confirmed
                await program.locks.lock(caller("test"), prod, info, None)
                await write(program, 7, "c")

    run(lock())
    path = data / "tfaudit.db"
    before = versions(tfaudit)
    go_back(path)
    tfaudit("verify", "--no-record")
    after = versions(tfaudit)
    assert [1, 1, 0, 2, 2, 0, 3] == [_place(each, after) for each in after]
    assert before[-1]["run"] == after[-1]["run"]
    tfaudit("verify", "--no-record")
    assert [[[1, 1], [4, 4]]] == [each["versions"] for each in prune(tfaudit, "--last-of-run")]
    tfaudit("verify", "--no-record")


def _place(version: dict[str, Any], among: list[dict[str, Any]]) -> int:
    """Return which of the runs a version belongs to; 0 without one."""
    runs = sorted({each["run"] for each in among if each["run"]})
    return runs.index(version["run"]) + 1 if version["run"] else 0


def go_back(path: Path) -> None:
    """Take away what the migration brings, as if it had never been."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP INDEX state_version_pruned")
        for column in ("run", "pruned", "pruned_by"):
            connection.execute(f"ALTER TABLE state_version DROP COLUMN {column}")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'retention'")
        assert ["retention"] == MIGRATIONS.pending(connection)


# ---------------------------------------------------------------- killed

_CHILD = """
import asyncio, os, signal, sqlite3, sys
from pathlib import Path
from proxy.cli._common import caller, opened, settings
from proxy.retention import Retention

step, data = sys.argv[1], Path(sys.argv[2])

class Killed(sqlite3.Connection):
    def execute(self, sql, *args):
        word = next((each for each in (
            "DELETE FROM state_body", "UPDATE state_version", "COMMIT", "PRAGMA wal_checkpoint",
        ) if sql.startswith(each)), "")
        if word and step == f"before {word}":
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().execute(sql, *args)
        if word and step == f"after {word}":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

async def work():
    async with opened(settings(data, None)) as program:
        real = sqlite3.connect
        sqlite3.connect = lambda *args, **named: real(*args, **named, factory=Killed)
        program.store._writer.close()
        program.store._writer = program.store._connect("rw")
        program.store._writer.execute("PRAGMA secure_delete=ON")
        await program.retention.prune(caller("test"), "*", Retention(versions=1))
    print("done")

asyncio.run(work())
"""


@pytest.mark.parametrize(
    ("step", "is_done"),
    [
        ("before DELETE FROM state_body", False),
        ("after UPDATE state_version", False),
        ("before COMMIT", False),
        ("after COMMIT", True),
        ("before PRAGMA wal_checkpoint", True),
        ("after PRAGMA wal_checkpoint", True),
    ],
)
def test_killed_at_any_step_it_did_all_or_nothing(
    tfaudit: Tfaudit, data: Path, prod: str, step: str, is_done: bool
) -> None:
    """The log and the bodies agree, and the same command again does what is left."""
    assert prod
    killed = subprocess.run(
        [sys.executable, "-c", _CHILD, step, str(data)],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (-signal.SIGKILL, "") == (killed.returncode, killed.stdout), killed.stderr
    tfaudit("verify", "--no-record")
    assert is_done == ("state.versions_pruned" in events(tfaudit))
    assert (1 if is_done else 5) == sum(not each["destroyed"] for each in versions(tfaudit))
    assert (0 if is_done else 1) == len(prune(tfaudit, "--keep", 1))
    assert 1 == sum(not each["destroyed"] for each in versions(tfaudit))
    tfaudit("verify", "--no-record")
