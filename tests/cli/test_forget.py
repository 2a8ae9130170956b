"""Tests of ``tfaudit forget``."""

import json
from pathlib import Path

from tests.cli.conftest import Tfaudit, events


def test_a_key_is_destroyed_after_a_question(tfaudit: Tfaudit, rolled_back: str) -> None:
    """On record, with what can't be destroyed from here."""
    tfaudit("forget", rolled_back, answer="n\n", code=1)
    assert "key.rotated" not in events(tfaudit)
    done = tfaudit("forget", rolled_back, answer="y\n")
    assert "Destroyed the key of prod, which was in use since 20" in done.stdout
    assert "backups, snapshots and other copies" in done.stderr
    assert "key.rotated" in events(tfaudit)


def test_nobody_to_answer_destroys_nothing(tfaudit: Tfaudit, rolled_back: str) -> None:
    """A script says --yes."""
    assert "give --yes" in tfaudit("forget", rolled_back, code=2).stderr
    assert "key.rotated" not in events(tfaudit)


def test_forgetting_as_json(tfaudit: Tfaudit, rolled_back: str) -> None:
    """From when the key was in use; null when there was none any more."""
    first = json.loads(tfaudit("forget", rolled_back, "--yes", "--json").stdout)
    assert ("prod", True) == (first["workspace"], first["since"].startswith("20"))
    again = json.loads(tfaudit("forget", rolled_back, "--yes", "--json").stdout)
    assert (None, first["index"] + 1) == (again["since"], again["index"])
    assert "had no such key any more" in tfaudit("forget", rolled_back, "--yes").stdout


def test_a_workspace_that_is_not_there(tfaudit: Tfaudit, data: Path) -> None:
    """Exit code 1."""
    assert data.is_dir()
    assert "there is no typo" in tfaudit("forget", "typo", "--yes", code=1).stderr
