"""Tests of a new master key: what is left when that is cut short, and who still has the old one."""

import base64
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from proxy.cli import _rewrapping
from proxy.cli._common import caller, opened, run, settings
from proxy.errors import ConfigError, UnavailableError
from proxy.keys import (
    make_pending_master,
    not_rotating,
    open_keys,
    pending_master,
    rotating,
)
from proxy.program import keys_in_force
from proxy.sealing import master_id
from proxy.server_lock import only_server
from proxy.storage.sqlite import SQLiteStore
from tests.cli.conftest import Tfaudit, json_lines, state
from tests.cli.test__rotation import Cut, cut, cut_after, failing

NEW = base64.b64encode(b"n" * 32).decode()


def master_of(data: Path) -> bytes:
    """Return the master key as it is in its file."""
    return open_keys(settings(data, None), create=False).master


def store_state(data: Path, workspace: str) -> None:
    """Import a state as a command does."""

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            await program.states.import_state(caller("test"), workspace, state(1))

    run(work())


def pulled(tfaudit: Tfaudit, workspace: str, *options: object) -> bytes:
    """Return a state as it is read."""
    return tfaudit("state", "pull", workspace, *options).stdout.encode()


@pytest.fixture
def stored(data: Path, tfaudit: Tfaudit) -> Path:
    """Return a data directory with three versions, one of which is destroyed."""
    for workspace in ("prod", "dev", "gone"):
        store_state(data, workspace)
    tfaudit("workspace", "delete", "gone", "--yes")
    tfaudit("workspace", "purge", "gone", "--yes", "--now")
    return data


def test_all_states_open_with_the_new_key(stored: Path, tfaudit: Tfaudit) -> None:
    """And go on as before; the entry names both keys by their IDs."""
    old = master_of(stored)
    done = json.loads(tfaudit("key", "rotate", "master", "--yes", "--json").stdout)
    new = master_of(stored)

    (line,) = json_lines(tfaudit("log", "--json", "--event", "key.rotated").stdout)
    assert {"old": master_id(old), "new": master_id(new), "versions": 2} == line["entry"]["master"]
    assert (line["index"], "master", 2) == (done["index"], done["purpose"], done["versions"])
    assert state(1) == pulled(tfaudit, "prod") == pulled(tfaudit, "dev")
    store_state(stored, "next")
    tfaudit("verify")
    rows = json.loads(tfaudit("key", "list", "--json").stdout)["keys"]
    assert master_id(new) == rows[-1]["key_id"]
    assert "1 stored versions" not in tfaudit("key", "rotate", "master", "--yes").stdout
    tfaudit("verify")


def test_nothing_is_left_that_the_old_key_opens(
    stored: Path, tfaudit: Tfaudit, tmp_path: Path
) -> None:
    """Neither in the database nor in its log; and the old key is overwritten."""

    def heads() -> list[bytes]:
        with closing(sqlite3.connect(stored / "tfaudit.db")) as database:
            return [
                row[0] for row in database.execute("SELECT substr(sealed, 1, 61) FROM state_body")
            ]

    before = heads()
    os.link(stored / "keys" / "master.key", tmp_path / "hidden")
    tfaudit("key", "rotate", "master", "--yes")

    files = b"".join(path.read_bytes() for path in stored.glob("tfaudit.db*"))
    assert [True, True] == [head in files for head in heads()]
    assert [False, False] == [head[1:] in files for head in before]
    assert set() == set((tmp_path / "hidden").read_bytes()) - {0}
    assert 0o600 == (stored / "keys" / "master.key").stat().st_mode & 0o777


def test_an_empty_log_gets_a_new_key_too(data: Path, tfaudit: Tfaudit) -> None:
    """Nothing is wrapped yet."""
    old = master_of(data)
    assert "0 stored versions" in tfaudit("key", "rotate", "master", "--yes").stdout
    assert old != master_of(data)
    store_state(data, "prod")
    tfaudit("verify")


def test_a_key_that_is_kept_elsewhere_is_replaced_by_one_that_is(
    stored: Path, tfaudit: Tfaudit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration names it afterwards; until then nothing is done with the old one."""
    (tmp_path / "new").write_text(NEW)
    (tmp_path / "new").chmod(0o600)
    done = tfaudit("key", "rotate", "master", "--yes", "--to-file", tmp_path / "new")
    assert "Name the new key in [keys]" in done.stderr
    assert not (stored / "keys" / "master.key").exists()
    monkeypatch.setenv("TFAUDIT_KEYS_MASTER_FILE", str(tmp_path / "new"))
    assert state(1) == pulled(tfaudit, "prod")
    refused = tfaudit("key", "rotate", "master", "--yes", code=2).stderr
    assert "does not come from the data directory" in refused
    same = tfaudit("key", "rotate", "master", "--yes", "--to-file", tmp_path / "new", code=2).stderr
    assert "make a key that is new" in same
    (tmp_path / "next").write_text(base64.b64encode(b"o" * 32).decode())
    (tmp_path / "next").chmod(0o600)
    done = tfaudit("key", "rotate", "master", "--yes", "--to-file", tmp_path / "next")
    assert "destroy it where it is kept" in done.stderr
    refused = tfaudit("state", "pull", "prod", code=2).stderr
    assert "does not open the stored states" in refused
    monkeypatch.setenv("TFAUDIT_KEYS_MASTER_FILE", str(tmp_path / "next"))
    assert state(1) == pulled(tfaudit, "prod")


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("short", 0o600, "is not base64"),
        ("c2hvcnQ=", 0o600, "has 5 bytes instead of 32"),
        (NEW, 0o644, "can be used by others"),
        (None, 0o600, "can't be read"),
    ],
)
def test_a_file_that_is_no_key_changes_nothing(  # noqa: PLR0917 - what is given, and what comes
    stored: Path, tfaudit: Tfaudit, tmp_path: Path, text: str | None, mode: int, said: str
) -> None:
    """The error names the file."""
    if text is not None:
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").chmod(mode)
    before = tfaudit("log", "--json").stdout
    refused = tfaudit("key", "rotate", "master", "--yes", "--to-file", tmp_path / "new", code=2)
    assert said in refused.stderr
    assert str(tmp_path / "new") in refused.stderr
    assert len(json_lines(before)) + 1 == len(json_lines(tfaudit("log", "--json").stdout))
    assert (stored / "keys" / "master.key").exists()


@pytest.mark.parametrize(
    "options", [("--to-command", "true"), ("--to-public", "AA=="), ("--lost", "AA==")]
)
def test_what_is_of_signing_keys_is_refused(tfaudit: Tfaudit, options: tuple[str, str]) -> None:
    """A master key signs nothing, and a lost one opens nothing."""
    assert (
        "are of signing keys"
        in tfaudit("key", "rotate", "master", "--yes", *options, code=2).stderr
    )


def test_a_state_that_the_key_does_not_open_stops_all(stored: Path, tfaudit: Tfaudit) -> None:
    """It would be lost for good together with the old key."""
    with closing(sqlite3.connect(stored / "tfaudit.db")) as database, database:
        database.execute(
            "UPDATE state_body SET sealed = zeroblob(999) "
            "WHERE rowid = (SELECT min(rowid) FROM state_body)"
        )
    old = master_of(stored)
    refused = tfaudit("key", "rotate", "master", "--yes", code=2).stderr
    assert "restore it from a backup. Nothing was done" in refused
    assert old == master_of(stored)
    assert state(1) == pulled(tfaudit, "dev")


def test_a_running_server_is_not_rotated_under(stored: Path, tfaudit: Tfaudit) -> None:
    """It has the key; it has to be stopped."""
    with only_server(settings(stored, None)):
        assert "stop it" in tfaudit("key", "rotate", "master", "--yes", code=2).stderr


# ---------------------------------------------------------------- cut short


STEPS: dict[str, tuple[bool, Callable[[pytest.MonkeyPatch], None]]] = {
    "after the new key": (
        False,
        lambda patch: cut_after(patch, _rewrapping, "make_pending_master"),
    ),
    "before the commit": (False, lambda patch: patch.setattr(SQLiteStore, "write", cut)),
    "in the commit": (False, lambda patch: patch.setattr(SQLiteStore, "_append", failing)),
    "after the commit": (True, lambda patch: patch.setattr(SQLiteStore, "scrub", cut)),
    "before the old key goes": (
        True,
        lambda patch: patch.setattr(_rewrapping, "settle_pending", cut),
    ),
    "after the old key went": (
        True,
        lambda patch: cut_after(patch, _rewrapping, "settle_pending"),
    ),
}


@pytest.mark.parametrize("has_states", [True, False])
@pytest.mark.parametrize(("is_in_force", "step"), STEPS.values(), ids=STEPS)
def test_a_rotation_that_is_cut_short_leaves_one_key_in_force(
    data: Path,
    tfaudit: Tfaudit,
    is_in_force: bool,
    step: Callable[[pytest.MonkeyPatch], None],
    has_states: bool,
) -> None:
    """Whichever it is, it opens all that is stored."""
    if has_states:
        store_state(data, "prod")
    old = master_of(data)
    with pytest.MonkeyPatch.context() as patch, suppress(Cut, UnavailableError):
        step(patch)
        run(_rewrapping.rotate_master(settings(data, None), None))
    verify = tfaudit("verify", "--no-record")  # before anything settles it
    assert "Verified" in verify.stdout
    keys = keys_in_force(settings(data, None), create=False)
    assert keys.pending_master is None
    assert is_in_force == (keys.master != old)
    store_state(data, "next")
    assert state(1) == pulled(tfaudit, "next")
    if has_states:
        assert state(1) == pulled(tfaudit, "prod")
    tfaudit("verify")


def test_nothing_is_settled_while_a_key_is_brought_in(stored: Path) -> None:
    """The new one looks like one that was left over, and must not be dropped."""
    config = settings(stored, None)
    with rotating(config):
        make_pending_master(config)
        with pytest.raises(ConfigError, match="being rotated at this moment"):
            keys_in_force(config, create=False)
    assert keys_in_force(config, create=False).pending_master is None
    assert pending_master(config) is None


def test_what_a_killed_rotation_left_of_a_key_is_removed(stored: Path, tfaudit: Tfaudit) -> None:
    """It never was in force."""
    left = stored / "keys" / ".master.next.key.0123456789abcdef"
    left.write_text(NEW)
    tfaudit("key", "rotate", "master", "--yes")
    assert not left.exists()


def test_no_key_is_brought_in_while_all_are_copied(
    stored: Path, tfaudit: Tfaudit, tmp_path: Path
) -> None:
    """The backup would have states and keys that don't belong together."""
    config = settings(stored, None)
    with not_rotating(config):
        assert "all are being copied" in tfaudit("key", "rotate", "master", "--yes", code=2).stderr
        tfaudit("backup", "create", "--with-keys", tmp_path / "one")
    with rotating(config):
        refused = tfaudit("backup", "create", "--with-keys", tmp_path / "two", code=2)
        assert "being rotated at this moment" in refused.stderr
        tfaudit("backup", "create", tmp_path / "without")
    assert not (tmp_path / "two").exists()


# ---------------------------------------------------------------- whoever has the old key


@pytest.mark.parametrize("has_states", [True, False])
def test_a_process_that_has_the_old_key_can_not_store(
    data: Path, tfaudit: Tfaudit, has_states: bool
) -> None:
    """It opened the log before, and learns of it in its next transaction."""
    if has_states:
        store_state(data, "prod")

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            if has_states:
                await program.states.import_state(caller("test"), "before", state(1))
            await _rewrapping.rotate_master(settings(data, None), None)
            with pytest.raises(UnavailableError, match="it was rotated meanwhile"):
                await program.states.import_state(caller("test"), "after", state(1))

    run(work())
    assert "after" not in tfaudit("state", "list").stdout
    tfaudit("verify")


def test_another_key_starts_nothing(
    stored: Path, tfaudit: Tfaudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would store nobody could open together with what is there."""
    monkeypatch.setenv("TFAUDIT_KEYS_MASTER", NEW)
    refused = tfaudit("log", code=2).stderr
    assert "does not open the stored states" in refused
    assert master_id(b"n" * 32) in refused
    monkeypatch.delenv("TFAUDIT_KEYS_MASTER")
    assert state(1) == pulled(tfaudit, "prod")
    assert stored.exists()


def test_a_retired_key_starts_nothing_where_nothing_is_stored(
    data: Path, tfaudit: Tfaudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would store nobody with the new one could open."""
    old = base64.b64encode(master_of(data)).decode()
    tfaudit("key", "rotate", "master", "--yes")
    monkeypatch.setenv("TFAUDIT_KEYS_MASTER", old)
    assert "does not open the stored states" in tfaudit("state", "list", code=2).stderr


def test_a_damaged_state_does_not_hide_the_right_key(stored: Path, tfaudit: Tfaudit) -> None:
    """Any other that it opens tells."""
    with closing(sqlite3.connect(stored / "tfaudit.db")) as database, database:
        database.execute(
            "UPDATE state_body SET sealed = x'01' WHERE rowid = (SELECT max(rowid) FROM state_body)"
        )
    assert state(1) == pulled(tfaudit, "prod")


def test_a_backup_opens_with_the_key_of_its_time(
    stored: Path, tfaudit: Tfaudit, tmp_path: Path
) -> None:
    """Before and after; with the other's it is not restored."""
    tfaudit("backup", "create", "--with-keys", tmp_path / "before")
    tfaudit("key", "rotate", "master", "--yes")
    tfaudit("backup", "create", "--with-keys", tmp_path / "after")
    for name, other in (("after", "before"), ("before", "after")):
        shutil.rmtree(stored)
        options = ("--keys", tmp_path / other / "keys")
        refused = tfaudit("backup", "restore", tmp_path / name, *options, code=2).stderr
        assert "the master key opens none of them" in refused
        assert not stored.exists()
        tfaudit("backup", "restore", tmp_path / name)
        assert state(1) == pulled(tfaudit, "prod")
