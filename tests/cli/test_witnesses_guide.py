"""Walks docs/witnesses.md, command by command, as the two teams would that it is for."""

import re
import shlex
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli._bundle import verify
from proxy.config import load_config
from proxy.keys import open_witness_key
from proxy.tlog.cosignature import add_cosignatures
from proxy.tlog.note import split_note
from tests.cli._bundle.bundles import appends, checkpoint, commit
from tests.cli.test_witness import served

GUIDE = (Path(__file__).parents[2] / "docs" / "witnesses.md").read_text("utf-8")
DATA = Path("tfaudit-data")
SECONDS = 1_800_000_000


def command(start: str) -> list[str]:
    """Return the words of the guide's only command that begins so, without its comment."""
    blocks = re.findall(r"```console\n(.*?)```", GUIDE, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    (line,) = [line for line in lines if line.startswith(start)]
    return shlex.split(line, comments=True)


def run(words: list[str]) -> str:
    """Run a command of ours; return what it printed, and keep it in the file that is named."""
    words, target = (words[:-2], words[-1]) if ">" in words else (words, "")
    assert "tfaudit" == words[0]
    result = CliRunner().invoke(app, words[1:])
    assert 0 == result.exit_code, result.output
    if target:
        Path(target).write_text(result.stdout, "utf-8")
    return result.output


@pytest.fixture
def vkeys() -> list[str]:
    """Make a log that two of three witnesses cosigned; return the keys of the three."""
    commit(DATA, appends(range(5)))
    run(["tfaudit", "key", "show", "--json", ">", "keys.json"])
    found = [run(command("tfaudit witness key")).strip()]
    note = checkpoint(DATA)
    text, _ = split_note(note)
    lines = [open_witness_key(Path("w"), None, is_known=False).cosign(text, SECONDS)]
    for number in (2, 3):
        name = f"witness.example.com/{number}"
        cosigner = open_witness_key(Path(f"w{number}"), name, is_known=False)
        found.append(cosigner.verifier.vkey)
        lines.append(cosigner.cosign(text, SECONDS))
    (DATA / "checkpoint.cosigned").write_text(add_cosignatures(note, lines[:2]), "utf-8")
    Path("witnesses.txt").write_text("\n".join(found), "utf-8")
    return found


def configure(vkeys: list[str]) -> Path:
    """Put true keys into the guide's table; return the configuration."""
    (table,) = re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL)
    for named, vkey in zip(tomllib.loads(table)["witness"]["ask"], vkeys, strict=True):
        table = table.replace(named, f"{named.split()[0]} {vkey}")
    path = Path("tfaudit.toml")
    path.write_text(table, "utf-8")
    return path


def test_what_witnesses_said_is_checked(
    vkeys: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the data directory, and of a bundle by its own program."""
    config = configure(vkeys)
    assert 2 == load_config(config, {}).witness.wanted
    told = run(command("tfaudit verify --witness witnesses.txt"))
    assert "Cosigned: the first 5 entries, by 2 of 3 witnesses" in told
    made = ["tfaudit", "export", "--format", "bundle", "-o", "audit.zip", "--to", "4"]
    run([*made, "--config", str(config), "--data", str(DATA)])
    with zipfile.ZipFile("audit.zip") as archive:
        archive.extractall("audit")
    _, _, program, *words = command("python3 -I audit/verify.py")
    assert Path(program).read_bytes() == Path(verify.__file__).read_bytes()
    monkeypatch.setattr(sys, "argv", [program, *words])
    assert 0 == verify.main()
    assert "Cosigned: the first 5 entries, by at least 2 of your 3" in capsys.readouterr().out


def test_keys_are_sent_and_a_log_is_begun_anew(vkeys: list[str]) -> None:
    """All keys in one file, which a witness takes; and what it knows can be forgotten."""
    assert vkeys
    run(command("tfaudit key export-public"))
    *_, log, keys, _, _ = command("tfaudit witness serve --data w --log public.json")
    assert ("--log", "public.json") == (log, keys)
    with served(Path("w"), log=keys):
        pass
    forget = command("tfaudit witness forget")
    assert ["tfaudit", "witness", "forget", "ORIGIN", "--data", "w"] == forget
    told = CliRunner().invoke(app, [*forget[1:], "--yes"])
    assert "cosigned no log 'ORIGIN', but nothing" in told.stderr
