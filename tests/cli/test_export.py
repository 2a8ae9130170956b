"""Tests of `tfaudit export`."""

import csv
import json
import stat
from io import StringIO
from pathlib import Path

import pytest

from tests.cli.conftest import Tfaudit, events, json_lines


@pytest.fixture
def busy(tfaudit: Tfaudit) -> Tfaudit:
    """Return the command line on a log with two entries."""
    for name in ("one", "two"):
        tfaudit("token", "create", name, "--role", "reader", "--workspace", "*")
    return tfaudit


def test_the_whole_log_is_exported_with_its_checkpoint(busy: Tfaudit, tmp_path: Path) -> None:
    """The checkpoint beside it covers exactly the entries in it."""
    busy("export", "--format", "jsonl", "--output", tmp_path / "log.jsonl")
    lines = json_lines((tmp_path / "log.jsonl").read_text())
    checkpoint = (tmp_path / "log.jsonl.checkpoint").read_text()
    assert [0, 1, 2] == [line["index"] for line in lines]
    assert "3" == checkpoint.split("\n")[1]


def test_an_export_is_on_record_in_itself(busy: Tfaudit) -> None:
    """Its own entry is the last one in it."""
    lines = json_lines(busy("export", "--format", "jsonl").stdout)
    assert "audit.exported" == lines[-1]["entry"]["event"]
    assert "audit.exported" in events(busy)


def test_filters_are_on_record(busy: Tfaudit) -> None:
    """What was taken out of the house."""
    lines = json_lines(
        busy("export", "--format", "jsonl", "--event", "*", "--outcome", "success").stdout
    )
    assert {"format": "jsonl", "filters": {"event": "*", "outcome": "success"}} == (
        lines[-1]["entry"]["export"]
    )


def test_a_part_is_told_to_prove_no_completeness(busy: Tfaudit) -> None:
    """Its lines can be checked one by one; what is missing can't be seen. And nothing is said."""
    told = busy("export", "--event", "token.created").stderr
    assert "can't prove that nothing is missing" in told
    assert "No entry matches" not in told
    assert "No entry matches" in busy("export", "--actor", "nobody").stderr
    assert "can't prove" not in busy("export").stderr


def test_csv_has_a_line_an_entry(busy: Tfaudit) -> None:
    """Under one line of headings."""
    text = busy("export", "--format", "csv", "--event", "token.created").stdout
    rows = list(csv.DictReader(StringIO(text)))
    assert [("0", "token.created"), ("1", "token.created")] == [
        (row["index"], row["event"]) for row in rows
    ]


def test_an_export_is_for_its_owner_alone(busy: Tfaudit, tmp_path: Path) -> None:
    """The log tells much; no umask gives it to others."""
    busy("export", "--format", "csv", "--output", tmp_path / "log.csv")
    assert 0o600 == stat.S_IMODE((tmp_path / "log.csv").stat().st_mode)
    assert not (tmp_path / "log.csv.checkpoint").exists()


def test_what_was_written_is_told_as_json(busy: Tfaudit, tmp_path: Path) -> None:
    """For scripts that take it further."""
    file = tmp_path / "log.jsonl"
    shown = json.loads(busy("export", "--format", "jsonl", "--output", file, "--json").stdout)
    assert {"exported": str(file), "entries": 3, "checkpoint": f"{file}.checkpoint"} == shown


def test_nothing_is_overwritten(busy: Tfaudit, tmp_path: Path) -> None:
    """An older export may be evidence."""
    (tmp_path / "log.jsonl").write_text("evidence")
    busy("export", "--format", "jsonl", "--output", tmp_path / "log.jsonl", code=2)
    assert "evidence" == (tmp_path / "log.jsonl").read_text()


@pytest.mark.parametrize("options", [("jsonl", "--limit", "1"), ("csv",)])
def test_only_a_whole_log_has_a_checkpoint(
    busy: Tfaudit, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A part could not be proved with it."""
    busy("export", "--format", *options, "--checkpoint-out", tmp_path / "c", code=2)
    assert not (tmp_path / "c").exists()


def test_a_checkpoint_can_go_with_stdout(busy: Tfaudit, tmp_path: Path) -> None:
    """For a pipe to somewhere else."""
    busy("export", "--format", "jsonl", "--checkpoint-out", tmp_path / "c")
    assert "3" == (tmp_path / "c").read_text().split("\n")[1]
