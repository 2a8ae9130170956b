"""Tests of whatever reads a log of which entries are pruned: it copes, and says so."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import proxy.cli._bundle
from proxy.access import Role
from proxy.cli._common import caller, settings
from proxy.program import open_program
from tests import running
from tests.cli.pruned_logs import OLDEST, Past, a_past
from tests.cli.tile_logs import verified


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Return a log of which nothing is pruned, with its tiles; no test may change it."""
    past = a_past(tmp_path_factory.mktemp("before"))
    past.run("export", "--format", "tiles", "-o", past.data.parent / "tiles")
    past.keys.write_text(past.run("key", "export-public", "--json").stdout)
    return past


@pytest.fixture(scope="module")
def pruned(before: Past, tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Return the same, pruned; only its log may grow."""
    past = before.copy(tmp_path_factory.mktemp("pruned"))
    past.retain("480d")
    return past


def test_the_log_says_what_it_does_not_search(pruned: Past) -> None:
    """On stderr; not when nothing older was asked for, or what was asked for is never pruned."""
    told = pruned.run("log")
    assert f"Entries before {OLDEST} were pruned" in told.stderr
    assert str(pruned.bundles[0]) in told.stderr
    assert "were pruned" in pruned.run("log", "--count-by", "actor").stderr
    for options in (
        ("--since", "460d"),
        ("--limit", "3"),
        ("--event", "audit.pruned"),
        ("--event", "key.rotated"),
    ):
        assert "were pruned" not in pruned.run("log", *options).stderr, options
    assert "were pruned" in pruned.run("log", "--since", "600d").stderr


def test_a_rotation_is_found_though_those_around_it_are_pruned(pruned: Past) -> None:
    """The way from key to key is needed for what is left."""
    listed = json.loads(pruned.run("key", "list", "--json").stdout)["keys"]
    assert 4 == sum(each["purpose"] in {"entry", "checkpoint"} for each in listed)
    assert 3 == len(pruned.run("log", "--json", "--event", "key.rotated").stdout.splitlines())


def test_a_jsonl_export_says_that_it_proves_nothing(pruned: Past, tmp_path: Path) -> None:
    """It has what is left, and no checkpoint that would promise more."""
    out = tmp_path / "log.jsonl"
    told = pruned.run("export", "-o", out).stderr
    assert "this export proves nothing by itself" in told
    assert not out.with_name("log.jsonl.checkpoint").exists()
    asked = ("--checkpoint-out", tmp_path / "note")
    told = pruned.run("export", "-o", tmp_path / "again", *asked, code=2).stderr
    assert "leave --checkpoint-out away" in told
    shown = verified(out, "--key", pruned.keys, code=1)
    assert "missing" == shown["result"]
    assert f"those before {OLDEST} were pruned" in str(shown["message"])


def test_a_bundle_of_what_is_left_proves_itself(pruned: Past, tmp_path: Path) -> None:
    """It begins after what is pruned; with its own verifier, too, and one key from outside."""
    out = tmp_path / "rest.zip"
    told = pruned.run("export", "--format", "bundle", "-o", out).stderr
    assert f"from {OLDEST} to" in told
    assert "were pruned" in told
    assert OLDEST == verified(out, "--key", pruned.keys)["from"]
    script = Path(proxy.cli._bundle.__file__).with_name("verify.py")
    for each in (out, pruned.bundles[0]):
        done = subprocess.run(
            [sys.executable, script, each, "--key", pruned.keys], capture_output=True, check=False
        )
        assert 0 == done.returncode, done.stdout


def test_a_bundle_of_what_is_pruned_is_refused(pruned: Past, tmp_path: Path) -> None:
    """Its archive is named; a time before is that of what is left, and is said."""
    out = ("-o", tmp_path / "bundle.zip")
    told = pruned.run("export", "--format", "bundle", "--from", "3", *out, code=1).stderr
    assert str(pruned.bundles[0]) in told
    told = pruned.run("export", "--format", "bundle", "--from", "600d", *out).stderr
    assert "were pruned" in told


def test_tiles_have_the_hashes_of_all_and_the_entries_that_are_left(
    pruned: Past, tmp_path: Path
) -> None:
    """And hold: the entry that pruned is among them."""
    pruned.run("export", "--format", "tiles", "-o", tmp_path / "tiles")
    assert not (tmp_path / "tiles/tile/entries/000").exists()
    assert (tmp_path / "tiles/tile/0/000").exists()
    shown = verified(tmp_path / "tiles", "--key", pruned.keys)
    assert ("verified", OLDEST) == (shown["result"], shown["pruned_until"])


def test_tiles_that_were_exported_before_keep_their_entries(
    before: Past, pruned: Past, tmp_path: Path
) -> None:
    """Nothing is missing there."""
    tiles = tmp_path / "tiles"
    shutil.copytree(before.data.parent / "tiles", tiles)
    pruned.run("export", "--format", "tiles", "-o", tiles)
    assert "pruned_until" not in verified(tiles, "--key", pruned.keys)


@pytest.mark.parametrize("gone", [["000"], ["000", "001"], ["001"]])
def test_tiles_without_entries_that_nobody_pruned_do_not_hold(
    before: Past, tmp_path: Path, gone: list[str]
) -> None:
    """Neither from the first on, nor between."""
    tiles = tmp_path / "tiles"
    shutil.copytree(before.data.parent / "tiles", tiles)
    for name in gone:
        (tiles / "tile/entries" / name).unlink()
    shown = verified(tiles, "--key", before.keys, code=1)
    assert "missing" == shown["result"]


def test_more_than_was_pruned_is_missing_from_tiles(pruned: Past, tmp_path: Path) -> None:
    """The entry that pruned says until where."""
    tiles = tmp_path / "tiles"
    pruned.run("export", "--format", "tiles", "-o", tiles)
    (tiles / "tile/entries/001").unlink()
    shown = verified(tiles, "--key", pruned.keys, code=1)
    assert ("missing", 0) == (shown["result"], shown["first_bad_index"])


def test_tiles_since_a_checkpoint_of_what_is_pruned_hold(
    before: Past, pruned: Past, tmp_path: Path
) -> None:
    """The log only grew from it."""
    tiles = tmp_path / "tiles"
    pruned.run("export", "--format", "tiles", "-o", tiles)
    since = before.data.parent / "tiles" / "checkpoint"
    verified(tiles, "--key", pruned.keys, "--since", since)
    verified(tiles, "--key", pruned.keys, "--against", since)


async def test_over_http_a_pruned_entry_is_gone(
    pruned: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """410 with where it is, for whoever may read all of the log; hashes are served."""
    config = settings(pruned.data, None)
    monkeypatch.setattr(running, "a_config", lambda _: config)
    async with running.a_face(pruned.data.parent) as face:
        await face.token(Role.AUDITOR)
        proof = await face.ask("GET", "/api/v1/entries/100/proof", role=Role.AUDITOR)
        assert 410 == proof.status
        assert str(pruned.bundles[0]) in proof.body.decode()
        limited = await face.token(Role.AUDITOR, ("prod",))
        proof = await face.ask("GET", "/api/v1/entries/100/proof", token=limited)
        assert 410 == proof.status
        assert str(pruned.bundles[0]) not in proof.body.decode()
        assert 410 == (await face.ask("GET", "/tile/entries/000", role=Role.AUDITOR)).status
        assert 200 == (await face.ask("GET", "/tile/entries/001", role=Role.AUDITOR)).status
        assert 200 == (await face.ask("GET", "/tile/0/000", role=Role.AUDITOR)).status
        grown = await face.ask(
            "GET", f"/api/v1/proofs/consistency?from=100&to={OLDEST}", role=Role.AUDITOR
        )
        assert 200 == grown.status
        log = await face.ask("GET", "/api/v1/log", role=Role.AUDITOR)
        assert str(OLDEST) == log.headers["log-pruned-until"]
        log = await face.ask("GET", "/api/v1/log?event=audit.pruned", role=Role.AUDITOR)
        assert "log-pruned-until" not in log.headers


async def test_where_a_value_was_seen_says_what_was_not_searched(pruned: Past) -> None:
    """The archives have it."""
    async with open_program(settings(pruned.data, None), create=False) as program:
        found = await program.secrets.find(caller("test"), "prod", "hunter2")
    assert any(f"entries before {OLDEST} can't be searched" in each for each in found.untold)
