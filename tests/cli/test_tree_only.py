"""Tests of `tfaudit verify --tree-only`: quick, and still every change of an entry is found."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.tile_logs import Log, a_log, tfaudit, verified


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Return a log; no test may change it."""
    return a_log(tmp_path_factory.mktemp("log"))


def test_the_tree_holds_and_says_what_was_not_checked(whole: Log) -> None:
    """Nothing is recorded: whoever looks often must not make the log grow."""
    before = verified("--data", whole.data, "--tree-only")
    told = verified(whole.data, "--tree-only", "--checkpoint", whole.old / "checkpoint")
    assert ("verified", before["entries"]) == (told["result"], told["entries"])
    assert "signatures of single entries" in str(told["unchecked"])


@pytest.mark.parametrize(
    ("sql", "result"),
    [
        ("UPDATE entry SET entry = replace(entry, 'alice', 'mallo') WHERE idx = 300", "invalid"),
        (
            "UPDATE entry SET entry = CAST(replace(entry, 'a', 'b') AS BLOB) WHERE idx = 9",
            "invalid",
        ),
        ("DELETE FROM entry WHERE idx = 0", "missing"),
        ("DELETE FROM entry WHERE idx = 77", "missing"),
        ("DELETE FROM entry WHERE idx > 700", "missing"),
        ("UPDATE checkpoint SET note = replace(note, '— ', '— x')", "invalid"),
        ("DELETE FROM checkpoint", "missing"),
        (
            "UPDATE entry SET entry = (SELECT entry FROM entry AS o WHERE o.idx = 5) WHERE idx = 6",
            "invalid",
        ),
    ],
)
def test_every_change_is_found(whole: Log, tmp_path: Path, sql: str, result: str) -> None:
    """Edited, forged, dropped at any place, repeated; invalid and missing are told apart."""
    log = whole.copy(tmp_path / "copy")
    with closing(sqlite3.connect(log.data / "tfaudit.db")) as connection, connection:
        connection.execute(sql)
    assert result == verified("--data", log.data, "--tree-only", code=1)["result"]


def test_it_is_for_a_data_directory(whole: Log) -> None:
    """Tiles are checked by their entries anyway."""
    assert "leave it away" in tfaudit("verify", whole.new, "--tree-only", code=2).stderr


def test_a_tail_that_was_cut_is_found_by_what_was_kept(whole: Log, tmp_path: Path) -> None:
    """As without: the log's own checkpoints go with its tail."""
    log = whole.copy(tmp_path / "copy")
    (log.data / "checkpoint.last").unlink()
    with closing(sqlite3.connect(log.data / "tfaudit.db")) as connection, connection:
        connection.execute("DELETE FROM entry WHERE idx >= 601")
        connection.execute("DELETE FROM checkpoint WHERE size > 601")
    verified("--data", log.data, "--tree-only")
    kept = ["--since", log.new / "checkpoint"]
    shown = tfaudit("verify", "--data", log.data, "--tree-only", *kept, "--json", code=1).stdout
    assert "missing" == json.loads(shown)["result"]
