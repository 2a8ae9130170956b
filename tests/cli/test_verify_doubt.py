"""Tests of what `tfaudit verify` can't tell: exit code 2, and what to do, not a failure."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Tfaudit, events
from tests.cli.tile_logs import grow
from tests.witness.logs import WITNESS


@pytest.mark.parametrize(
    "content", ["time,event\n2026,x\n", '{"entry": {}, "checkpoint": {}}\n', "a\n1\nAAAA\n"]
)
def test_a_file_of_another_kind_is_wrong_usage(
    tfaudit: Tfaudit, tmp_path: Path, content: str
) -> None:
    """A table, keys or a checkpoint: what can be verified is told."""
    (tmp_path / "file").write_text(content)
    told = tfaudit("verify", tmp_path / "file", code=2).stderr
    assert "is nothing that can be verified" in told


def test_an_archive_that_was_cut_can_not_be_told(
    tfaudit: Tfaudit, written: str, tmp_path: Path
) -> None:
    """It may have been cut on its way."""
    assert written
    bundle = tmp_path / "audit.zip"
    tfaudit("export", "--format", "bundle", "-o", bundle)
    bundle.write_bytes(bundle.read_bytes()[:-100])
    assert "is no whole archive" in tfaudit("verify", bundle, code=2).stderr


def test_a_wrong_master_key_is_no_failure(tfaudit: Tfaudit, data: Path, rolled_back: str) -> None:
    """It opens none of the states: which is told, and not that they were changed."""
    assert rolled_back
    grow(data.parent / "other", 1)
    shutil.copy(data.parent / "other" / "keys" / "master.key", data / "keys" / "master.key")
    told = tfaudit("verify", code=2).stderr
    assert "the master key opens none of them" in told


def test_a_quorum_that_was_forgotten_says_nothing_of_the_log(
    tfaudit: Tfaudit, rolled_back: str
) -> None:
    """Too few cosigned: that is on record, as any other verification."""
    assert rolled_back
    told = tfaudit("verify", "--witness", WITNESS.verifier.vkey, code=1).stderr
    assert "is cosigned by 1 of the 1 witnesses" in told
    assert "must not grow" not in told
    assert "audit.verified" in events(tfaudit)
