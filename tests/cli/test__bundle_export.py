"""Tests of `tfaudit export --format bundle`."""

import csv
import json
import stat
from io import StringIO
from pathlib import Path

import pytest

from proxy.cli._bundle.writing import digest_of
from tests.cli._bundle.bundles import commit, content, lines
from tests.cli.conftest import Tfaudit, json_lines
from tests.samples import a_draft


@pytest.fixture
def busy(tfaudit: Tfaudit) -> Tfaudit:
    """Return the command line on a log with some entries."""
    for name in ("one", "two", "three"):
        tfaudit("token", "create", name, "--role", "reader", "--workspace", "*")
    return tfaudit


def bundle(tfaudit: Tfaudit, path: Path, *args: object) -> dict[str, object]:
    """Export a bundle and return what is told to programs."""
    shown: dict[str, object] = json.loads(
        tfaudit("export", "--format", "bundle", "-o", path, "--json", *args).stdout
    )
    return shown


def test_the_whole_log_is_exported_with_the_record_of_it(busy: Tfaudit, tmp_path: Path) -> None:
    """By default; for its owner's eyes alone."""
    shown = bundle(busy, tmp_path / "b.zip")
    assert (0, 3, 4, True) == (shown["from"], shown["to"], shown["entries"], shown["complete"])
    found = [json.loads(line)["entry"] for line in lines(content(tmp_path / "b.zip"))]
    assert "audit.exported" == found[-1]["event"]
    assert {"format": "bundle", "filters": {}, "from": 0} == found[-1]["export"]
    assert 0o600 == stat.S_IMODE((tmp_path / "b.zip").stat().st_mode)


def test_its_digest_is_on_record(busy: Tfaudit, tmp_path: Path) -> None:
    """So that it is known which file left the house."""
    shown = bundle(busy, tmp_path / "b.zip", "--event", "token.*")
    newest = json_lines(busy("log", "--json", "--event", "audit.exported").stdout)[0]
    assert digest_of(tmp_path / "b.zip") == newest["entry"]["export"]["sha256"] == shown["sha256"]
    assert {"event": "token.*"} == newest["entry"]["export"]["filters"]
    assert 3 == newest["entry"]["export"]["entries"]


def test_a_range_is_by_index_or_time(busy: Tfaudit, tmp_path: Path) -> None:
    """Both ends are in it; a day to its end."""
    shown = bundle(busy, tmp_path / "1.zip", "--from", 1, "--to", 2)
    assert (1, 2, 2) == (shown["from"], shown["to"], shown["entries"])
    times = [json.loads(line)["entry"]["time"] for line in lines(content(tmp_path / "1.zip"))]
    shown = bundle(busy, tmp_path / "2.zip", "--from", times[0], "--to", times[1])
    assert 1 == shown["from"]
    shown = bundle(busy, tmp_path / "3.zip", "--from", "1h", "--to", times[0][:10])
    assert 0 == shown["from"]
    assert int(str(shown["to"])) >= 3


def test_a_range_that_there_is_not_is_refused(busy: Tfaudit, tmp_path: Path) -> None:
    """Nothing is written, and nothing is on record."""
    for options, told in (
        (["--from", "9"], "the log has 3 entries"),
        (["--to", "3"], "the last is 2"),
        (["--from", "2", "--to", "1"], "there is no entry between"),
        (["--to", "2000-01-01"], "there is no entry between"),
    ):
        result = busy("export", "--format", "bundle", "-o", tmp_path / "b.zip", *options, code=1)
        assert told in result.output
    assert not (tmp_path / "b.zip").exists()
    assert not json_lines(busy("log", "--json", "--event", "audit.exported").stdout)


def test_what_a_bundle_has_not_is_refused(busy: Tfaudit, tmp_path: Path) -> None:
    """With exit code 2, and nothing is written; nor is what only a bundle has."""
    for options in (
        ["--from", "soon"],
        ["--since", "1h"],
        ["--limit", "3"],
        ["--checkpoint-out", "c"],
        ["--outcome", "perhaps"],
    ):
        busy("export", "--format", "bundle", "-o", tmp_path / "b.zip", *options, code=2)
    for options in (["--from", "1"], ["--to", "1"], ["--force"]):
        busy("export", "--format", "jsonl", *options, code=2)
    busy("export", "--format", "bundle", code=2)
    assert not list(tmp_path.glob("*.zip"))


def test_nothing_is_overwritten_but_by_force(busy: Tfaudit, tmp_path: Path) -> None:
    """An older bundle may be evidence."""
    (tmp_path / "b.zip").write_text("evidence")
    busy("export", "--format", "bundle", "-o", tmp_path / "b.zip", code=2)
    assert "evidence" == (tmp_path / "b.zip").read_text()
    bundle(busy, tmp_path / "b.zip", "--force")
    assert "entries.jsonl" in content(tmp_path / "b.zip")
    assert not list(tmp_path.glob(".new-*"))


def test_the_table_is_safe_in_a_spreadsheet(busy: Tfaudit, data: Path, tmp_path: Path) -> None:
    """No cell of it is a formula, whatever a client says."""
    commit(data, lambda tx: tx.append(a_draft("=HYPERLINK(1)")))
    bundle(busy, tmp_path / "b.zip")
    rows = list(csv.reader(StringIO(content(tmp_path / "b.zip")["entries.csv"].decode())))
    assert 6 == len(rows)
    assert "'=HYPERLINK(1)" in rows[4]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_the_same_entries_make_the_same_bundle(busy: Tfaudit, tmp_path: Path) -> None:
    """But for the checkpoint, which covers what came since."""
    bundle(busy, tmp_path / "1.zip", "--to", 2)
    bundle(busy, tmp_path / "2.zip", "--to", 2)
    one, two = content(tmp_path / "1.zip"), content(tmp_path / "2.zip")
    assert list(one) == list(two)
    different = {name for name in one if one[name] != two[name]}
    assert different <= {
        "README.txt",
        "manifest.json",
        "index.html",
        "checkpoints/newest",
        "proofs/entries.jsonl",
    }


def test_a_checkpoint_of_another_past_is_refused(busy: Tfaudit, tmp_path: Path) -> None:
    """The auditor's, and the log's, can't both be true."""
    (tmp_path / "kept").write_text("no checkpoint\n")
    options = ("--since-checkpoint", tmp_path / "kept")
    busy("export", "--format", "bundle", "-o", tmp_path / "b.zip", *options, code=2)
    assert not (tmp_path / "b.zip").exists()
