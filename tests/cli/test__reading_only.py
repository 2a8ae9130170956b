"""Tests of what can be read when the log must not grow: all that is no state, without an entry."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Tfaudit, json_lines
from tests.cli.test__recovery import put_back
from tests.cli.tile_logs import grow


@pytest.fixture
def older(tfaudit: Tfaudit, rolled_back: str, data: Path) -> Path:
    """Put an older database with states in the place of the newest; return the data directory."""
    assert rolled_back
    tfaudit("verify")
    shutil.copy(data / "tfaudit.db", data.parent / "backup.db")
    grow(data, 4)
    put_back(data)
    return data


@pytest.mark.parametrize(
    "command",
    [
        ("log", "--json"),
        ("export", "--format", "jsonl", "-o", "o"),
        ("export", "--format", "csv"),
        ("export", "--format", "tiles", "-o", "o"),
        ("export", "--format", "bundle", "-o", "o"),
        ("receipt", "0"),
        ("lock", "list"),
        ("state", "list"),
        ("state", "versions", "prod"),
        ("backup", "create", "o"),
    ],
)
def test_it_is_read_without_an_entry_which_is_said(
    tfaudit: Tfaudit, older: Path, command: tuple[str, ...]
) -> None:
    """With the reason; nothing is written beside the database or into it."""
    before = {each.name: each.read_bytes() for each in older.glob("*[!mk]") if each.is_file()}
    done = tfaudit(*command)
    assert "NOT ON RECORD: this is read without an entry in the log, which must not" in done.stderr
    assert "(checkpoint.last): an older or another database" in done.stderr
    assert "Exported" in done.stderr or done.stdout
    after = {each.name: each.read_bytes() for each in older.glob("*[!mk]") if each.is_file()}
    assert before == after


@pytest.mark.parametrize(
    "command",
    [
        ("state", "pull", "prod"),
        ("state", "show", "prod"),
        ("state", "diff", "prod"),
        ("backup", "create", "o", "--with-keys"),
    ],
)
@pytest.mark.usefixtures("older")
def test_no_state_leaves_without_an_entry(tfaudit: Tfaudit, command: tuple[str, ...]) -> None:
    """Nor what opens them; nothing is told of it."""
    done = tfaudit(*command, code=2)
    assert "" == done.stdout
    assert "hunter" not in done.stderr
    assert not Path("o").exists()


@pytest.mark.usefixtures("older")
def test_what_is_read_can_be_verified(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """As what it is: entries of a log that others know further."""
    assert json_lines(tfaudit("log", "--json").stdout)
    public = tmp_path / "public.json"
    public.write_text(tfaudit("key", "show", "--json").stdout)
    for name in ("b.zip", "o.jsonl"):
        form = "bundle" if name == "b.zip" else "jsonl"
        tfaudit("export", "--format", form, "-o", name)
        tfaudit("verify", name, "--key", public)
    (tmp_path / "r").write_bytes(tfaudit("receipt", "0").stdout_bytes)
    tfaudit("verify", tmp_path / "r", "--key", public)
    assert "there is no entry 99" in tfaudit("receipt", "99", code=1).stderr


def test_a_backup_of_the_evidence_has_what_tells_why(
    tfaudit: Tfaudit, older: Path, tmp_path: Path
) -> None:
    """The checkpoints beside the database, byte for byte."""
    tfaudit("backup", "create", "evidence")
    assert (older / "checkpoint.last").read_bytes() == (
        tmp_path / "evidence" / "checkpoint.last"
    ).read_bytes()
