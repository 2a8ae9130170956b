"""Tests of what the configuration says of anchors."""

from pathlib import Path
from typing import Any

import pytest

from proxy.anchors.settings import mistakes_of, on_record
from proxy.config import Config, DataConfig, load_config
from proxy.errors import ConfigError

S3 = {"type": "s3", "bucket": "anchors", "region": "eu-central-1"}


def mistakes(tables: dict[str, Any]) -> list[str]:
    """Return what is wrong with some anchors."""
    return list(mistakes_of(Config(data=DataConfig(Path("/data")), anchors=tables)))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "[anchors.a] type must be one of file, directory, git, s3"),
        ({"type": "ftp"}, "[anchors.a] type must be one of file, directory, git, s3"),
        ({"type": "file"}, "[anchors.a] file anchor: the field path is missing"),
        ({"type": "file", "path": ""}, "[anchors.a] file anchor: path: "),
        ({"type": "file", "path": 1}, "path: must be a text"),
        ({"type": "file", "path": "/x", "intervall": 5}, "did you mean interval?"),
        ({"type": "directory", "path": "/x", "interval": 0.5}, "interval: Expected float >= 1"),
        ({"type": "file", "path": "/data/inner/x"}, "path is inside the data directory"),
        ({"type": "git", "path": "/x", "remote": "--upload-pack=x"}, "the name of a remote"),
        ({"type": "git", "path": "/x", "author": "me"}, "a name and an address, as tfaudit <"),
        ({**S3, "retention_days": 5}, "retention_mode and retention_days go together"),
        ({**S3, "bucket": "A"}, "the name of a bucket"),
        ({"type": "file", "path": f"/ghp_{'x7Y' * 12}"}, "holds what looks like a credential"),
    ],
)
def test_each_mistake_is_told_by_its_place(table: dict[str, Any], said: str) -> None:
    """Before anything is opened."""
    [found] = mistakes({"a": table})
    assert found.startswith("[anchors.a] ")
    assert said in found


def test_all_mistakes_are_told_at_once() -> None:
    """Of all anchors, and those beside each other."""
    found = mistakes({"a": {"type": "file"}, "b": {"type": "git", "path": 1, "remote": 2}})
    assert 3 == len(found)
    twice = {"a": S3, "b": {**S3, "interval": 5}, "c": {**S3, "prefix": "c"}}
    assert ["[anchors.b] is the same place as [anchors.a]: keep one"] == mistakes(twice)
    many = {f"a{number}": {"type": "file", "path": f"/x/{number}"} for number in range(17)}
    assert ["[anchors] holds 17 anchors, of 16 allowed"] == mistakes(many)


def test_tables_are_read_from_file_and_environment(tmp_path: Path) -> None:
    """A path is relative to the file's folder, or to the working directory."""
    path = tmp_path / "tfaudit.toml"
    path.write_text('[anchors.share]\ntype = "directory"\npath = "anchors"\n')
    variable = '{"note": {"type": "file", "path": "note", "interval": 5}}'
    config = load_config(path, {"TFAUDIT_ANCHORS": variable})
    assert {
        "share": {"type": "directory", "path": str(tmp_path / "anchors")},
        "note": {"type": "file", "path": "note", "interval": 5},
    } == config.anchors
    assert {
        "anchors.share.type": "directory",
        "anchors.share.path": str(tmp_path / "anchors"),
        "anchors.note.type": "file",
        "anchors.note.path": "note",
        "anchors.note.interval": "5",
    } == on_record(config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("anchors = 1", "anchors must hold a table for each: write [anchors.NAME]"),
        ('[anchors]\ntype = "file"', "[anchors.type] must be a table with its type"),
        ('[anchors."A b"]\ntype = "file"', "[anchors.A b] has no name of small letters"),
        ("[anchor.x]", "[anchor] is not known: did you mean anchors?"),
    ],
)
def test_what_is_no_table_of_anchors_is_told(tmp_path: Path, text: str, said: str) -> None:
    """With the other mistakes of the configuration."""
    path = tmp_path / "tfaudit.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        load_config(path, {})
    assert said in str(told.value)


def test_a_variable_that_is_no_json_or_says_the_same_is_told(tmp_path: Path) -> None:
    """As that of the sinks."""
    path = tmp_path / "tfaudit.toml"
    path.write_text('[anchors.a]\ntype = "file"\npath = "x"\n')
    with pytest.raises(ConfigError, match="TFAUDIT_ANCHORS is not JSON"):
        load_config(path, {"TFAUDIT_ANCHORS": "{"})
    with pytest.raises(ConfigError, match=r"\[anchors\.a\] stands in the configuration file too"):
        load_config(path, {"TFAUDIT_ANCHORS": '{"a": {"type": "file", "path": "x"}}'})
