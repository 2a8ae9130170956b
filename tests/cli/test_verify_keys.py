"""Tests of the keys that `tfaudit verify` goes by: those that were given, and no others."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Tfaudit
from tests.cli.tile_logs import grow
from tests.cli.tile_logs import tfaudit as run_at


@pytest.fixture
def keys(tfaudit: Tfaudit, data: Path) -> Path:
    """Grow a log and return a file with its public keys."""
    grow(data, 3)
    path = data.parent / "keys.json"
    path.write_text(tfaudit("key", "show", "--json").stdout)
    return path


Make = Callable[[str], Path]


@pytest.fixture
def made(tfaudit: Tfaudit, data: Path) -> Make:
    """Return what makes something of each kind that can be given to others."""
    grow(data, 3)

    def make(kind: str) -> Path:
        path = data.parent / kind
        if kind == "receipt":
            tfaudit("receipt", "0", "-o", path)
        else:
            tfaudit("export", "--format", kind, "-o", path)
        return path

    return make


KINDS = ("bundle", "jsonl", "tiles", "receipt")


@pytest.mark.parametrize("kind", KINDS)
def test_with_keys_given_those_of_the_data_directory_count_for_nothing(
    tfaudit: Tfaudit, keys: Path, made: Make, kind: str
) -> None:
    """Which rotated since, and may be those of another log."""
    file = made(kind)
    tfaudit("key", "rotate", "entry", "--yes")
    told = tfaudit("verify", file, "--key", keys)
    assert "Verified" in told.stdout
    assert "your own" not in told.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_without_keys_it_is_told_whose_were_taken(
    tfaudit: Tfaudit, data: Path, made: Make, kind: str
) -> None:
    """What proves itself by the directory's own keys is no proof to others."""
    told = tfaudit("verify", made(kind))
    assert f"Keys: your own, those of {data}" in told.stderr


def test_keys_of_one_kind_alone_are_not_filled_up(tfaudit: Tfaudit, keys: Path, made: Make) -> None:
    """Of an export both are wanted; what to give is told."""
    vkey = json.loads(keys.read_text())["checkpoint"]["vkey"]
    told = tfaudit("verify", made("jsonl"), "--key", vkey, code=2).stderr
    assert "give the keys of its checkpoints and of its entries" in told


@pytest.mark.parametrize("kind", ["bundle", "tiles", "jsonl", "receipt"])
def test_what_a_key_signed_that_nobody_gave_can_not_be_told(
    tfaudit: Tfaudit, data: Path, made: Make, kind: str
) -> None:
    """Made before a rotation, with the new key alone: which keys to give is told, and suffices."""
    file = made(kind)
    tfaudit("key", "rotate", "checkpoint", "--yes")
    new, every = data.parent / "new.json", data.parent / "all.json"
    new.write_text(tfaudit("key", "show", "--json").stdout)
    told = tfaudit("verify", file, "--key", new, code=2).stderr
    assert "could not tell" in told
    assert "`tfaudit key export-public --json`" in told
    every.write_text(tfaudit("key", "export-public", "--json").stdout)
    assert "Verified" in tfaudit("verify", file, "--key", every).stdout


@pytest.mark.parametrize("kind", ["bundle", "tiles", "jsonl", "receipt"])
def test_with_the_keys_of_another_log_nothing_can_be_told(
    tfaudit: Tfaudit, data: Path, made: Make, kind: str
) -> None:
    """Neither that it holds nor that it does not; both logs are named."""
    file, other = made(kind), data.parent / "other.json"
    grow(data.parent / "other", 1)
    shown = run_at("key", "show", "--json", "--data", data.parent / "other").stdout
    other.write_text(shown)
    told = tfaudit("verify", file, "--key", other, code=2).stderr
    assert "it is of the log" in told


def test_keys_may_come_through_a_pipe(tfaudit: Tfaudit, keys: Path, made: Make) -> None:
    """As a shell's <(tfaudit key export-public --json) gives them."""
    file = made("receipt")
    reading, writing = os.pipe()
    os.write(writing, keys.read_bytes())
    os.close(writing)
    try:
        assert "Verified" in tfaudit("verify", file, "--key", f"/dev/fd/{reading}").stdout
    finally:
        os.close(reading)


@pytest.mark.parametrize("option", ["--key", "--witness"])
def test_a_mistyped_file_is_told(tfaudit: Tfaudit, made: Make, option: str) -> None:
    """As one that is not there."""
    told = tfaudit("verify", made("receipt"), option, "nope.json", code=2).stderr
    assert f"{option} nope.json: there is no such file" in told


def test_whoever_has_no_keys_is_told_to_give_some(tfaudit: Tfaudit, data: Path, made: Make) -> None:
    """And not to start a server: an auditor has none."""
    file = made("receipt")
    (data / "keys").rename(data.parent / "away")
    told = tfaudit("verify", file, code=2).stderr
    assert "--key FILE" in told
    assert "start the server" not in told
