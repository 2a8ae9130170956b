"""Tests of `tfaudit backup`."""

import json
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app
from proxy.cli._common import caller, opened, run, settings
from tests.cli.conftest import Tfaudit, events, json_lines, state
from tests.samples import a_lock_info

Restore = Callable[..., Result]


@pytest.fixture
def restore(tmp_path: Path) -> Restore:
    """Return `backup restore` into the directory `new`: source and options in, result out."""

    def invoke(source: Path, *options: object, code: int = 0) -> Result:
        arguments = ["backup", "restore", source, "--data", tmp_path / "new", *options]
        result = CliRunner().invoke(app, [*map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code == result.exit_code, result.output
        return result

    return invoke


@pytest.fixture
def backup(tfaudit: Tfaudit, rolled_back: str, tmp_path: Path) -> Path:
    """Return a backup with keys of a workspace with three versions."""
    assert rolled_back
    tfaudit("backup", "create", tmp_path / "backup", "--with-keys")
    return tmp_path / "backup"


def test_a_backup_is_on_record_in_itself(tfaudit: Tfaudit, backup: Path) -> None:
    """The original and the copy both end with it."""
    with closing(sqlite3.connect(backup / "tfaudit.db")) as copy:
        query = "SELECT event FROM entry ORDER BY idx DESC LIMIT 1"
        assert ("audit.exported",) == copy.execute(query).fetchone()
    assert "audit.exported" == events(tfaudit)[-2]


def test_a_backup_is_for_its_owner_alone(backup: Path) -> None:
    """Folder, database and keys."""
    assert 0o700 == stat.S_IMODE(backup.stat().st_mode)
    files = [backup / "tfaudit.db", *(backup / "keys").iterdir()]
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in files}


def test_keys_are_copied_only_when_asked_for(
    tfaudit: Tfaudit, rolled_back: str, tmp_path: Path
) -> None:
    """A backup with keys gives every state away; without them, they must be kept elsewhere."""
    assert rolled_back
    result = tfaudit("backup", "create", tmp_path / "backup")
    assert ["backup.checkpoint", "tfaudit.db"] == sorted(
        f.name for f in (tmp_path / "backup").iterdir()
    )
    assert "keep a copy" in result.stderr


def test_a_backup_replaces_nothing(tfaudit: Tfaudit, backup: Path) -> None:
    """A second one needs a place of its own."""
    before = (backup / "tfaudit.db").read_bytes()
    tfaudit("backup", "create", backup, code=2)
    assert before == (backup / "tfaudit.db").read_bytes()


def test_a_backup_can_be_verified_as_it_is(backup: Path) -> None:
    """Nothing is recorded in it: its log would contradict the one it was made of."""
    before = (backup / "tfaudit.db").read_bytes()
    result = CliRunner().invoke(app, ["verify", "--data", str(backup)])
    assert 0 == result.exit_code, result.output
    assert before == (backup / "tfaudit.db").read_bytes()


@pytest.mark.parametrize("verb", [("log",), ("token", "list"), ("serve",)])
def test_a_backup_is_not_put_to_use_as_it_is(backup: Path, verb: tuple[str, ...]) -> None:
    """Two logs would grow from one, signed by one key."""
    result = CliRunner().invoke(
        app, [*verb, "--data", str(backup)], env={"TFAUDIT_SERVER_PORT": "0"}
    )
    assert 2 == result.exit_code
    assert "backup restore" in result.stderr


def test_a_restored_backup_has_everything(
    tfaudit: Tfaudit, backup: Path, restore: Restore, tmp_path: Path
) -> None:
    """The states byte for byte, and a log that goes on with the record of the restore."""
    shown = json.loads(restore(backup, "--json").stdout)
    assert 3 == shown["states"]
    runner = CliRunner()
    place = ("--data", str(tmp_path / "new"))
    pulled = runner.invoke(app, ["state", "pull", "prod", *place])
    assert tfaudit("state", "pull", "prod").stdout_bytes == pulled.stdout_bytes
    log = json_lines(runner.invoke(app, ["log", "--json", "--since", "1h", *place]).stdout)
    assert "config.changed" == log[shown["entries"]]["entry"]["event"]
    assert 0 == runner.invoke(app, ["verify", *place]).exit_code


def test_keys_may_come_from_elsewhere(
    backup: Path, restore: Restore, data: Path, tmp_path: Path
) -> None:
    """As they should: a backup and its keys in one place are one loss."""
    shutil.rmtree(backup / "keys")
    (told,) = restore(backup, code=2).stderr.splitlines()
    assert "--keys" in told
    assert not (tmp_path / "new").exists()
    restore(backup, "--keys", data / "keys")


def test_a_damaged_backup_is_not_restored(backup: Path, restore: Restore, tmp_path: Path) -> None:
    """It is verified first, and what was begun is removed."""
    with closing(sqlite3.connect(backup / "tfaudit.db")) as copy, copy:
        copy.execute("DELETE FROM state_version WHERE number = 2")
    restore(backup, code=1)
    assert not (tmp_path / "new").exists()


def test_a_cut_backup_is_not_restored(backup: Path, restore: Restore) -> None:
    """The checkpoint beside the copy tells how long its log was."""
    with closing(sqlite3.connect(backup / "tfaudit.db")) as copy, copy:
        (last,) = copy.execute("SELECT max(size) FROM checkpoint").fetchone()
        copy.execute("DELETE FROM checkpoint WHERE size = ?", (last,))
        copy.execute("DELETE FROM entry WHERE idx = ?", (last - 1,))
        copy.execute("UPDATE log_head SET size = ?", (last - 1,))
    restore(backup, code=1)


def test_a_restore_needs_an_empty_directory(backup: Path, restore: Restore, tmp_path: Path) -> None:
    """Nothing that is there is replaced or removed."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "precious").write_text("x")
    restore(backup, code=2)
    assert ["precious"] == [file.name for file in (tmp_path / "new").iterdir()]


def test_what_is_no_backup_is_a_no(restore: Restore, tmp_path: Path) -> None:
    """And makes no directory."""
    restore(tmp_path, code=1)
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("people")
def test_a_restored_backup_logs_everybody_out(
    tfaudit: Tfaudit, restore: Restore, tmp_path: Path
) -> None:
    """Who logged out, or had to, after the backup was made, is not logged in again by it."""
    tfaudit("backup", "create", tmp_path / "backup", "--with-keys")
    restore(tmp_path / "backup")
    with closing(sqlite3.connect(tmp_path / "new" / "tfaudit.db")) as database:
        assert [(0,)] == database.execute(
            "SELECT count(*) FROM session WHERE ended IS NULL"
        ).fetchall()
        entries = database.execute("SELECT event FROM entry ORDER BY idx DESC LIMIT 2").fetchall()
    assert [("config.changed",), ("auth.logout",)] == entries
    result = CliRunner().invoke(app, ["verify", "--data", str(tmp_path / "new")])
    assert 0 == result.exit_code


def test_a_run_under_way_goes_on_in_a_restored_backup(
    tfaudit: Tfaudit, restore: Restore, data: Path, tmp_path: Path
) -> None:
    """Its end is told there, with what it saved before."""
    mine = a_lock_info()

    async def begin() -> None:
        async def receive(_: int | None) -> bytes:
            return state(1)

        async with opened(settings(data, None)) as program:
            await program.locks.lock(caller("test"), "prod", mine, None)
            await program.states.write(caller("test"), "prod", receive, "lock-1", None)

    async def end() -> None:
        async with opened(settings(tmp_path / "new", None)) as program:
            await program.locks.unlock(caller("test"), "prod", mine, None)

    run(begin())
    tfaudit("backup", "create", tmp_path / "backup", "--with-keys")
    restore(tmp_path / "backup")
    run(end())
    verified = CliRunner().invoke(app, ["verify", "--data", str(tmp_path / "new")])
    assert 0 == verified.exit_code, verified.output
    shown = CliRunner().invoke(
        app, ["log", "--event", "run.completed", "--data", str(tmp_path / "new")]
    )
    assert "1 save, serial 1: " in shown.stdout


def test_a_backup_is_verified_where_it_lies(
    data: Path, backup: Path, restore: Restore, tmp_path: Path
) -> None:
    """For a drill: without a record and against what was kept elsewhere; a restored copy tells how.

    A restored one goes on as the log itself: it is told how a drill leaves it as it is.
    """
    kept = tmp_path / "kept.checkpoint"
    shutil.copy(data / "checkpoint.last", kept)
    before = (backup / "tfaudit.db").read_bytes()

    def verify(directory: Path, *options: object, code: int = 0) -> str:
        arguments = ["verify", "--data", directory, "--against", kept, *options]
        done = CliRunner().invoke(app, [*map(str, arguments)])
        assert code == done.exit_code, done.output
        return done.stdout

    assert "Verified" in verify(backup)
    assert before == (backup / "tfaudit.db").read_bytes()
    assert "tfaudit verify --no-record" in restore(backup).stderr
    restored = (tmp_path / "new" / "checkpoint.last").read_text()
    assert "Verified" in verify(tmp_path / "new", "--no-record")
    assert restored == (tmp_path / "new" / "checkpoint.last").read_text()
