"""Tests of what `tfaudit verify` finds in anchors and beside the database, without being asked."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Tfaudit
from tests.cli.test__recovery import older as put_back_to_3
from tests.cli.test__recovery import put_back
from tests.cli.test_anchor import older, place
from tests.cli.tile_logs import grow

__all__ = ["older", "place", "put_back_to_3"]


def failed(tfaudit: Tfaudit, *options: object) -> tuple[str, str]:
    """Verify what must not hold; return the result and what is told."""
    told = tfaudit("verify", "--json", *options, code=1)
    return json.loads(told.stdout)["result"], told.stderr


@pytest.mark.usefixtures("older")
@pytest.mark.parametrize("options", [(), ("--tree-only",)])
def test_an_older_log_is_found_by_the_anchors_of_the_configuration(
    tfaudit: Tfaudit, data: Path, options: tuple[str, ...]
) -> None:
    """Though the checkpoint beside the database is gone; nothing is recorded."""
    before = (data / "tfaudit.db").read_bytes()
    result, told = failed(tfaudit, *options)
    assert "missing" == result
    assert "7" in told
    assert before == (data / "tfaudit.db").read_bytes()


@pytest.mark.usefixtures("older")
@pytest.mark.parametrize("options", [(), ("--tree-only",)])
def test_a_forked_log_is_found_by_the_anchors_of_the_configuration(
    tfaudit: Tfaudit, data: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """It went on where no anchor was asked; nothing is recorded."""
    with monkeypatch.context() as without:
        without.delenv("TFAUDIT_ANCHORS")
        grow(data, 9)
    before = (data / "tfaudit.db").read_bytes()
    assert "invalid" == failed(tfaudit, *options)[0]
    assert before == (data / "tfaudit.db").read_bytes()


def test_anchors_that_cannot_be_read_are_told_and_no_failure(
    tfaudit: Tfaudit, data: Path, place: Path
) -> None:
    """Nor is one in which something else stands."""
    grow(data, 3)
    tfaudit("anchor", "now")
    shutil.rmtree(place)
    (place.parent / "note").write_text("mine\n")
    told = tfaudit("verify", "--no-record")
    assert "Verified" in told.stdout
    assert "that the anchor share knows, which can't be told: there is no dir" in told.stderr
    assert "that the anchor note knows, which can't be told" in told.stderr


def test_an_anchor_of_another_log_is_told_and_no_failure(
    tfaudit: Tfaudit, data: Path, place: Path
) -> None:
    """It proves nothing."""
    grow(place.parent / "other", 5)
    grow(data, 3)
    shutil.copy(place.parent / "other" / "checkpoint.last", place.parent / "note")
    assert "the anchor note, which holds no checkpoint of this log" in tfaudit("verify").stderr


def test_an_older_log_is_found_by_the_cosigned_checkpoint(tfaudit: Tfaudit, data: Path) -> None:
    """The log's own signature on it suffices; the failure is not recorded."""
    grow(data, 3)
    shutil.copy(data / "tfaudit.db", data.parent / "backup.db")
    grow(data, 4)
    shutil.move(data / "checkpoint.last", data / "checkpoint.cosigned")
    tfaudit("verify", "--no-record")
    put_back(data)
    before = (data / "tfaudit.db").read_bytes()
    result, told = failed(tfaudit)
    assert "missing" == result
    assert "had 7 when checkpoint.cosigned was written" in told
    assert before == (data / "tfaudit.db").read_bytes()


def test_a_fork_names_where_its_checkpoint_is(tfaudit: Tfaudit, data: Path) -> None:
    """And between which entries the histories part, as nobody gave a checkpoint."""
    grow(data, 3)
    shutil.copy(data / "tfaudit.db", data.parent / "backup.db")
    grow(data, 4)
    shutil.move(data / "checkpoint.last", data / "checkpoint.fork")
    put_back(data)
    with_fork = (data / "checkpoint.fork").read_bytes()
    (data / "checkpoint.fork").unlink()
    grow(data, 9)
    (data / "checkpoint.fork").write_bytes(with_fork)
    result, told = failed(tfaudit)
    assert "invalid" == result
    assert "had when checkpoint.fork was written" in told


def test_a_backup_may_be_older_than_its_anchors(tfaudit: Tfaudit, data: Path, place: Path) -> None:
    """That is what backups are."""
    grow(data, 3)
    backup = place.parent / "backup"
    tfaudit("backup", "create", backup)
    grow(data, 4)
    tfaudit("anchor", "now")
    keys = place.parent / "keys.json"
    keys.write_text(tfaudit("key", "show", "--json").stdout)
    assert "Verified" in tfaudit("verify", backup, "--key", keys).stdout


@pytest.mark.usefixtures("older")
def test_a_loss_on_record_is_told_each_time(tfaudit: Tfaudit, data: Path) -> None:
    """Of a data directory, its tiles and its export; anchors of what was lost fail nothing."""
    tfaudit("log", "recover", "--accept-loss", "--yes")
    said = "what the 4 entries said that were lost: entry 3 records that the log went on with 3"
    told = json.loads(tfaudit("verify", "--json").stdout)
    assert "verified" == told["result"]
    assert [said] == [each[: len(said)] for each in told["unchecked"]]
    for kind in ("jsonl", "tiles"):
        tfaudit("export", "--format", kind, "-o", data.parent / kind)
        assert f"Not checked: {said}" in tfaudit("verify", data.parent / kind).stderr
