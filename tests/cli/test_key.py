"""Tests of `tfaudit key`."""

import base64
import json
from pathlib import Path

from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteVerifier
from tests.cli.conftest import Tfaudit


def test_the_public_keys_are_shown_as_json(tfaudit: Tfaudit) -> None:
    """In the shape that auditors' tools build on."""
    shown = json.loads(tfaudit("key", "show", "--json").stdout)
    assert {"entry", "checkpoint"} == set(shown)
    raw = base64.b64decode(shown["entry"]["public_key"])
    assert shown["entry"] == {"key_id": key_id(raw), "public_key": shown["entry"]["public_key"]}
    assert shown["checkpoint"]["origin"] == NoteVerifier.parse(shown["checkpoint"]["vkey"]).name


def test_the_public_keys_are_shown_to_people(tfaudit: Tfaudit) -> None:
    """The same, on three lines."""
    shown = json.loads(tfaudit("key", "show", "--json").stdout)
    text = tfaudit("key", "show").stdout
    assert 3 == len(text.splitlines())
    assert shown["entry"]["public_key"] in text
    assert shown["checkpoint"]["vkey"] in text


def test_no_private_key_is_shown(tfaudit: Tfaudit, data: Path) -> None:
    """Nothing of the key files appears in any form of output."""
    output = tfaudit("key", "show").output + tfaudit("key", "show", "--json").output
    for file in (data / "keys").glob("*.pem"):
        assert file.read_text().splitlines()[1] not in output


def test_looking_makes_no_keys(tfaudit: Tfaudit, data: Path) -> None:
    """A wrong directory is an error, not a new log."""
    (data / "keys" / "entry.pem").unlink()
    assert "entry.pem" in tfaudit("key", "show", code=2).stderr
    assert not (data / "keys" / "entry.pem").exists()
