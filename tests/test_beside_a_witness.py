"""Tests of what a log goes through beside a witness in a process of its own: new keys, a loss."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.app import _witnessing
from proxy.cli import app
from proxy.cli._common import run, settings
from proxy.errors import ConfigError
from proxy.program import open_program
from tests.cli._bundle.bundles import appends, commit
from tests.cli.test__witnessed import said
from tests.cli.test_witness import NAME, served, witness
from tests.cli.tile_logs import tfaudit, verified
from tests.e2e.server import free_port


class World:
    """A log that is rotated, and the witness that it asks.

    Attributes:
        data: the log's data directory.
        keys: its public keys, of then.
        witness: the witness's directory.
        port: on which it listens.
        config: names the data directory and the witness.
        vkey: the witness's key.
    """

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.witness = directory / "w"
        self.port = str(free_port())
        self.config = directory / "tfaudit.toml"
        self.vkey = witness("key", "--data", self.witness, "--name", NAME).stdout.strip()
        self.config.write_text(
            f'[data]\ndirectory = "{self.data}"\n'
            f'[witness]\nask = ["http://127.0.0.1:{self.port} {self.vkey}"]\n'
        )
        commit(self.data, appends(range(3)))
        self.keys = self.public(directory / "keys.json", "show")

    def public(self, path: Path, verb: str) -> Path:
        """Write the public keys, those in force or all."""
        path.write_text(tfaudit("key", verb, "--json", "--data", self.data).stdout)
        return path

    def cosigned(self) -> tuple[int | None, str]:
        """Ask the witness as a server that starts; return what is cosigned, and what failed."""
        found: list[tuple[int | None, str]] = []

        async def work() -> None:
            async with (
                open_program(settings(None, self.config), create=False) as program,
                _witnessing(program, program.halt) as witnesses,
            ):
                newest = program.cosigned.newest
                size = None if newest is None else newest.checkpoint.size
                found.append((size, witnesses._failures.get(NAME, "")))

        run(work())
        return found[0]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a log of three entries that the witness never saw."""
    return World(tmp_path)


def test_cosignatures_go_on_after_a_rotation(world: World, tmp_path: Path) -> None:
    """What was cosigned before stays until the witness has the new key, and then goes on.

    All is proved with the keys of before, those of after, and a receipt with all.
    """
    show = ("--config", world.config)
    checks = ("--witness", world.vkey, "--data", tmp_path / "nowhere")
    with served(world.witness, log=str(world.keys), port=world.port):
        assert (3, "") == world.cosigned()
        tfaudit("key", "rotate", "checkpoint", "--yes", "--data", world.data)
        commit(world.data, appends(range(3)))
        size, told = world.cosigned()
        assert 3 == size
        assert "it does not know this log's key" in told
        assert "key export-public" in told
    every = world.public(tmp_path / "public.json", "export-public")
    after = world.public(tmp_path / "after.json", "show")
    # The cosigned checkpoint of the former key proves what it did.
    tfaudit("receipt", 1, "-o", tmp_path / "receipt", *show)
    for keys in (every, world.keys):
        assert 3 == verified(tmp_path / "receipt", "--key", keys, *checks)["entries"]
    told = tfaudit("verify", tmp_path / "receipt", "--key", after, *checks, code=2).stderr
    assert "key export-public --json" in told
    kept = tmp_path / "kept"
    kept.write_bytes((world.data / "checkpoint.cosigned").read_bytes())
    for keys in (every, world.keys, after):
        shown = verified(world.data, "--key", keys, "--no-record", "--witness", world.vkey)
        entries, _, names, asked = said(shown)
        assert (3, [NAME], 1) == (entries, names, asked)
    bundle = tmp_path / "b.zip"
    tfaudit("export", "--format", "bundle", "-o", bundle, "--to", 2, *show)
    for keys in (every, world.keys, after):
        verified(bundle, "--key", keys, *checks)
    with served(world.witness, log=str(every), port=world.port):
        size, told = world.cosigned()
        assert size is not None
        assert (True, "") == (size > 6, told)
    tfaudit("receipt", 1, "-o", tmp_path / "later", *show)
    shown = verified(tmp_path / "later", "--key", after, *checks)
    assert size == shown["entries"]
    verified(world.data, "--key", world.keys, "--no-record", "--checkpoint", kept)


def test_a_witness_takes_the_checkpoint_of_the_rotation_by_either_key(world: World) -> None:
    """Both signed it, so that whoever has not the new key yet is not a step behind."""
    with served(world.witness, log=str(world.keys), port=world.port):
        world.cosigned()
        tfaudit("key", "rotate", "checkpoint", "--yes", "--data", world.data)
        assert (4, "") == world.cosigned()


def test_after_the_new_key_the_former_is_not_believed(world: World, tmp_path: Path) -> None:
    """Whoever got hold of it, also out of an old backup, moves no witness any more."""
    old = tmp_path / "old"
    tfaudit("backup", "create", "--with-keys", old, "--data", world.data)
    tfaudit("key", "rotate", "checkpoint", "--yes", "--data", world.data)
    commit(world.data, appends(range(1)))
    every = world.public(tmp_path / "public.json", "export-public")
    first, second = (
        json.loads(path.read_text())["checkpoint"]["vkey"] for path in (world.keys, every)
    )
    with served(world.witness, "--log", second, log=first, port=world.port):
        assert (6, "") == world.cosigned()
        tfaudit("backup", "restore", old, "--data", tmp_path / "thief")
        world.config.write_text(
            world.config.read_text().replace(str(world.data), str(tmp_path / "thief"))
        )
        commit(tmp_path / "thief", appends(range(7)))
        size, told = world.cosigned()
        assert size is None
        assert "it answered 403" in told


def test_after_a_loss_on_record_cosigning_begins_anew(world: World, tmp_path: Path) -> None:
    """Once the witness forgot what was lost; until then nothing is shown as cosigned."""
    backup = tmp_path / "backup"
    shutil.copytree(world.data, backup)
    commit(world.data, appends(range(4)))
    with served(world.witness, log=str(world.keys), port=world.port):
        assert (7, "") == world.cosigned()
        seen = (world.data / "checkpoint.cosigned").read_text()
        shutil.rmtree(world.data)
        shutil.copytree(backup, world.data)
        # The word of a witness that is not asked: no checkpoint is kept with it.
        loss = ("--known-size", 7, "--accept-loss", "--yes")
        tfaudit("log", "recover", *loss, "--data", world.data)
        (world.data / "checkpoint.cosigned").write_text(seen)
        size, told = world.cosigned()
        assert (None, True) == (size, "it knows 7 entries of this log, which has 4" in told)
        # Grown to another history of that size, which is on record as well.
        commit(world.data, appends(range(3)))
        with pytest.raises(ConfigError, match="the log was forked"):
            world.cosigned()
        tfaudit("log", "recover", "--accept-loss", "--yes", "--data", world.data)
        size, told = world.cosigned()
        assert (None, True) == (size, "the log was forked" in told)
        origin = seen.split("\n")[0]
        forgotten = witness("forget", origin, "--data", world.witness, "--yes").stdout
        assert seen.startswith(forgotten)
        assert (8, "") == world.cosigned()
    tfaudit("export", "--format", "bundle", "-o", tmp_path / "b.zip", "--config", world.config)


def test_a_log_that_is_neither_key_nor_file_is_named(tmp_path: Path) -> None:
    """With what is wrong."""
    (tmp_path / "keys.json").write_text("{}")
    command = ["witness", "serve", "--data", str(tmp_path), "--name", NAME, "--log"]
    told = CliRunner().invoke(app, [*command, str(tmp_path / "keys.json")])
    assert 2 == told.exit_code
    assert "--log" in told.stderr
    assert "key show --json" in told.stderr
