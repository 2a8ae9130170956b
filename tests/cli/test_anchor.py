"""Tests of `tfaudit anchor`, and of what anchors mean to every other command."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from proxy.cli._common import settings
from proxy.server_lock import only_server, tell_halted
from tests.cli.conftest import Tfaudit, events, json_lines
from tests.cli.test__recovery import put_back
from tests.cli.tile_logs import grow


@pytest.fixture
def place(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name two anchors: a directory, which is returned, and a file."""
    path = data.parent / "anchors"
    path.mkdir()
    tables = {
        "share": {"type": "directory", "path": str(path)},
        "note": {"type": "file", "path": str(data.parent / "note")},
    }
    monkeypatch.setenv("TFAUDIT_ANCHORS", json.dumps(tables))
    return path


@pytest.fixture
def older(tfaudit: Tfaudit, data: Path, place: Path) -> Path:
    """Restore a log of 3 entries and all that stands beside it; the anchors know 7."""
    grow(data, 3)
    tfaudit("anchor", "now")
    shutil.copy(data / "tfaudit.db", data.parent / "backup.db")
    grow(data, 4)
    tfaudit("anchor", "now")
    put_back(data)
    (data / "checkpoint.last").unlink()
    return place


def listed(tfaudit: Tfaudit, code: int = 0) -> list[dict[str, Any]]:
    """Return what is told of the anchors."""
    found: list[dict[str, Any]] = json.loads(tfaudit("anchor", "list", "--json", code=code).stdout)
    return found


def test_the_newest_checkpoint_is_put_there_when_asked(
    tfaudit: Tfaudit, data: Path, place: Path
) -> None:
    """Into all or some; what stands there proves the log."""
    grow(data, 3)
    assert f"share: 3 entries in {place}" in tfaudit("anchor", "now").stdout
    grow(data, 2)
    told = tfaudit("anchor", "now", "share").stdout
    assert ["share: 5 entries in"] == [line[:19] for line in told.splitlines()]
    assert [(5, 0, ""), (3, 2, "")] == [
        (each["size"], each["lag"], each["error"]) for each in listed(tfaudit)
    ]
    shown = tfaudit("anchor", "list").stdout
    assert f"share  directory  {place}" in shown
    verified = tfaudit("verify", "--no-record", "--against", place).stdout
    assert "Verified" in verified


def test_without_anchors_it_is_told_where_to_name_some(tfaudit: Tfaudit) -> None:
    """And of an anchor that there is not, which there are."""
    assert "name some in the configuration" in tfaudit("anchor", "list").stderr
    assert "there are no anchors" in tfaudit("anchor", "now", code=1).stderr


def test_an_unknown_anchor_is_told(tfaudit: Tfaudit, place: Path) -> None:
    """Nothing is written."""
    told = tfaudit("anchor", "now", "shore", code=1).stderr
    assert "there is no anchor shore; there are share, note" in told
    assert [] == list(place.iterdir())


@pytest.mark.usefixtures("older")
@pytest.mark.parametrize(
    "command",
    [
        ("state", "pull", "prod"),
        ("anchor", "now"),
        ("token", "list"),
        ("key", "rotate", "entry", "--yes"),
    ],
)
def test_no_command_signs_on_an_older_log(
    tfaudit: Tfaudit, data: Path, command: tuple[str, ...]
) -> None:
    """What to do is told; nothing is written."""
    before = (data / "tfaudit.db").read_bytes()
    told = tfaudit(*command, code=2).stderr
    assert "not the one that the anchor" in told
    assert "knows with 7 entries" in told
    assert "tfaudit log recover" in told
    assert before == (data / "tfaudit.db").read_bytes()


def test_a_recovery_asks_the_anchors_and_is_on_record(
    tfaudit: Tfaudit, data: Path, older: Path
) -> None:
    """Then everything goes on, and the anchors are given what is newer; what was lost is kept."""
    names = {each.name for each in older.iterdir()}
    assert [True, True] == ["knows with 7" in each["error"] for each in listed(tfaudit, code=1)]
    told = tfaudit("log", "recover", code=1).stderr
    assert "has 3 entries, where it once had 7" in told
    told = tfaudit("log", "recover", "--accept-loss", "--known-size", 8, code=2).stderr
    assert "knows so many entries, though all answered; the most that is known are 7" in told
    tfaudit("log", "recover", "--accept-loss", "--yes")
    [line] = json_lines(tfaudit("log", "--json", "--event", "audit.recovered").stdout)
    recovery = line["entry"]["recovery"]
    assert (3, 7, 4, "the anchor share, the anchor note") == (
        recovery["size"],
        recovery["known_size"],
        recovery["lost"],
        recovery["known_by"],
    )
    tfaudit("anchor", "now")
    assert names < {each.name for each in older.iterdir()}
    assert [each.read_text() for each in older.glob("*7-*")] == [
        (data / "checkpoint.lost-7").read_text()
    ]
    tfaudit("verify")
    grow(data, 4)
    # Whoever compares with what was lost finds the fork, as it is one.
    assert "forked" in tfaudit("verify", "--against", older, code=1).stderr


def test_an_anchor_that_is_away_hinders_nothing_and_is_told(
    tfaudit: Tfaudit, data: Path, place: Path
) -> None:
    """Of a recovery too: it does not count what it could not ask."""
    grow(data, 1)
    place.rmdir()
    told = tfaudit("log").stderr
    assert "could not be compared with the anchor share: there is no directory" in told
    assert ["share"] == [each["name"] for each in listed(tfaudit, code=2) if each["error"]]
    told = tfaudit("anchor", "now", code=2).stderr
    assert "not anchored in share; in all others it is" in told
    told = tfaudit("log", "recover", "--accept-loss", "--known-size", 99, "--yes").stderr
    assert "NOBODY WHO COULD BE ASKED KNOWS 99 ENTRIES" in told
    assert "The anchor share could not be asked, so what it knows is not counted" in told


def test_something_else_in_the_place_stops_every_command(
    tfaudit: Tfaudit, data: Path, place: Path
) -> None:
    """It is named, and left as it is."""
    grow(data, 1)
    note = place.parent / "note"
    note.write_text("mine\n")
    for command in (("token", "list"), ("log", "recover", "--accept-loss")):
        told = tfaudit(*command, code=2).stderr
        assert f"the anchor note: {note} holds no checkpoint: it is left as it is" in told
    assert "mine\n" == note.read_text()


def test_beside_a_server_its_word_is_enough(tfaudit: Tfaudit, data: Path, older: Path) -> None:
    """It compares all the time; when it signs nothing on, no command does."""
    older.rename(older.with_name("away"))
    with only_server(settings(data, None)) as held:
        told = tfaudit("log")
        assert "" == told.stderr
        tell_halted(held, "a fork was found")
        told = tfaudit("token", "list", code=2)
        assert "the server that runs here signs nothing on: a fork was found" in told.stderr


@pytest.mark.usefixtures("place")
def test_an_older_backup_is_restored_when_the_loss_is_accepted_alone(
    tfaudit: Tfaudit, data: Path
) -> None:
    """Else nothing is: neither data nor entry. What is lost is on record before the restoring."""
    grow(data, 3)
    backup = data.parent / "backup"
    tfaudit("backup", "create", backup, "--with-keys")
    grow(data, 4)
    tfaudit("anchor", "now")
    shutil.rmtree(data)
    told = tfaudit("backup", "restore", backup, code=1).stderr
    assert (
        "the anchor share, the anchor note knows the log with 8 entries, and the backup has 4"
        in told
    )
    assert not data.exists()
    assert "4 entries lost" in tfaudit("backup", "restore", backup, "--accept-loss").stderr
    names = [each for each in events(tfaudit) if each in {"audit.recovered", "config.changed"}]
    assert ["audit.recovered", "config.changed"] == names
    tfaudit("anchor", "now")
    tfaudit("verify")


@pytest.mark.usefixtures("place")
def test_a_backup_that_lacks_nothing_is_restored_as_ever(tfaudit: Tfaudit, data: Path) -> None:
    """The anchors know no more than it."""
    grow(data, 3)
    tfaudit("anchor", "now")
    backup = data.parent / "backup"
    tfaudit("backup", "create", backup, "--with-keys")
    shutil.rmtree(data)
    tfaudit("backup", "restore", backup)
    tfaudit("anchor", "list")


def test_an_anchor_that_was_emptied_is_told(tfaudit: Tfaudit, data: Path, place: Path) -> None:
    """Though the log holds: somebody took away what would find out the next loss."""
    grow(data, 9)
    tfaudit("anchor", "now")
    for each in place.iterdir():
        each.unlink()
    told = tfaudit("anchor", "list", code=2).stderr
    assert "The anchor share has no more the checkpoint of 9 entries that was put there" in told
    assert [9, None] == [each["gone"] for each in listed(tfaudit, code=2)]


def test_junk_in_an_anchor_is_told_with_its_file(tfaudit: Tfaudit, data: Path, place: Path) -> None:
    """Among many it would have to be looked for."""
    grow(data, 3)
    name = f"{7:020d}-{'0' * 16}.checkpoint"
    (place / name).write_text("junk\n")
    assert f"{name} in {place} is no checkpoint" in tfaudit("token", "list", code=2).stderr
