"""Tests of `tfaudit receipt`, and of `tfaudit verify` on what it gives."""

import json
import stat
from pathlib import Path

import pytest

from proxy.tlog.receipt import parse
from tests.cli.conftest import Tfaudit, events
from tests.cli.tile_logs import tfaudit as anywhere


@pytest.fixture
def busy(tfaudit: Tfaudit) -> Tfaudit:
    """Return the command line on a log with two entries."""
    for name in ("one", "two"):
        tfaudit("token", "create", name, "--role", "reader", "--workspace", "*")
    return tfaudit


@pytest.fixture
def keys(busy: Tfaudit, tmp_path: Path) -> Path:
    """Return a file with the public keys."""
    path = tmp_path / "keys.json"
    path.write_text(busy("key", "show", "--json").stdout)
    return path


def test_a_receipt_holds_far_from_its_log(busy: Tfaudit, keys: Path, tmp_path: Path) -> None:
    """With the public key alone; the entry is in it, and is shown."""
    file = tmp_path / "one.tlog-proof"
    busy("receipt", "0", "-o", file)
    nowhere = tmp_path / "nowhere"
    shown = anywhere("verify", file, "--key", keys, "--data", nowhere).stdout
    assert "entry 0 is in the log of 3 entries" in shown
    assert '"event":"token.created"' in shown
    told = json.loads(anywhere("verify", file, "--key", keys, "--data", nowhere, "--json").stdout)
    assert ("verified", 0, "token.created") == (
        told["result"],
        told["index"],
        told["entry"]["event"],
    )
    vkey = json.loads(keys.read_text())["checkpoint"]["vkey"]
    anywhere("verify", file, "--checkpoint-key", vkey, "--data", nowhere)


def test_a_receipt_goes_to_stdout_and_its_reading_is_on_record(busy: Tfaudit) -> None:
    """As it is, without a line more."""
    receipt = parse(busy("receipt", "1").stdout_bytes)
    assert 1 == receipt.index
    assert "audit.read" == events(busy)[-1]


def test_a_receipt_file_is_new_and_its_owners_alone(busy: Tfaudit, tmp_path: Path) -> None:
    """Nothing is overwritten."""
    file = tmp_path / "one.tlog-proof"
    busy("receipt", "0", "-o", file)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    before = file.read_bytes()
    told = busy("receipt", "1", "-o", file, code=2).stderr
    assert f"{file} is there already, and stays as it is" in told
    assert before == file.read_bytes()


def test_an_entry_that_there_is_not_has_none(busy: Tfaudit) -> None:
    """The answer is no; a negative index is no index."""
    assert "there is no entry 99" in busy("receipt", "99", code=1).stderr
    busy("receipt", "-1", code=2)


def test_a_changed_receipt_is_refused(busy: Tfaudit, keys: Path, tmp_path: Path) -> None:
    """In the entry, the index, the proof or the checkpoint; exit code 1, and said to be invalid."""
    file = tmp_path / "one.tlog-proof"
    busy("receipt", "0", "-o", file)
    text = file.read_text()
    lines = text.split("\n")
    other = busy("receipt", "1").stdout
    for wrong in (
        text.replace("index 0", "index 1"),
        text.replace(lines[1], other.split("\n")[1]),
        text.replace(lines[3], other.split("\n")[3]),
        text.replace("\n3\n", "\n4\n"),
    ):
        assert wrong != text
        file.write_text(wrong)
        result = busy("verify", file, "--key", keys, "--json", code=1)
        assert "invalid" == json.loads(result.stdout)["result"]
        assert "FAILED (invalid)" in result.stderr


def test_what_can_not_be_told_is_neither(busy: Tfaudit, keys: Path, tmp_path: Path) -> None:
    """A receipt that was cut, one without its entry, and a checkpoint of another size: 2."""
    file, kept = tmp_path / "one.tlog-proof", tmp_path / "kept"
    busy("receipt", "0", "-o", file)
    text = file.read_text()
    kept.write_text(text.partition("\n\n")[2])
    busy("verify", file, "--key", keys, "--checkpoint", kept)
    later = tmp_path / "later.tlog-proof"
    busy("receipt", "0", "-o", later)
    said = busy("verify", later, "--key", keys, "--since", kept, code=2).stderr
    assert "a receipt alone does not show" in said
    for wrong in (text.partition("\n\n")[0], text.replace(f"{text.splitlines()[1]}\n", "")):
        file.write_text(wrong)
        busy("verify", file, "--key", keys, code=2)


def test_a_receipt_by_a_successor_says_which_keys_to_give(
    busy: Tfaudit, keys: Path, tmp_path: Path
) -> None:
    """The old key alone can't tell; with all of the log's keys it holds."""
    busy("key", "rotate", "checkpoint", "--yes")
    file, exported = tmp_path / "one.tlog-proof", tmp_path / "all.json"
    busy("receipt", "0", "-o", file)
    said = busy("verify", file, "--key", keys, code=2).stderr
    assert "could not tell whether the receipt holds" in said
    assert "tfaudit key export-public --json" in said
    exported.write_text(busy("key", "export-public", "--json").stdout)
    busy("verify", file, "--key", exported)
    file.write_text(file.read_text().replace("\n\N{EM DASH} ", "\n\N{EM DASH} another."))
    assert "export-public" not in busy("verify", file, "--key", keys, code=1).stderr
