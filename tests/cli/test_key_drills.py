"""Walks the drills of docs/keys.md, command by command, as somebody in need would."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli._common import caller, opened, run, settings
from tests.cli.conftest import state

GUIDE = Path(__file__).parents[2] / "docs" / "keys.md"
DATA = Path("tfaudit-data")


def drills() -> dict[str, list[str]]:
    """Return the commands of each drill, by its title."""
    sections = re.split(r"^## ", GUIDE.read_text("utf-8"), flags=re.MULTILINE)
    return {
        section.partition("\n")[0].removeprefix("Drill: "): re.findall(
            r"^    (.+)$", section, flags=re.MULTILINE
        )
        for section in sections
        if section.startswith("Drill: ")
    }


def shell(line: str, lost: str = "") -> str:
    """Run one line of the guide; return what it printed, to both streams."""
    command, _, target = line.partition(" > ")
    words = [word.replace("$LOST", lost) for word in shlex.split(command)]
    if words[0] == "cp":
        shutil.copy(words[1], words[2])
        return ""
    assert "tfaudit" == words.pop(0)
    result = CliRunner().invoke(app, words)
    assert 0 == result.exit_code, result.output
    if target:
        Path(target).write_text(result.stdout, "utf-8")
    return result.output


def work() -> None:
    """Let the log grow by a state."""

    async def write() -> None:
        async with opened(settings(DATA, None), create=True) as program:
            number = await program.store.size()
            await program.states.import_state(caller("test"), f"w{number}", state(1))

    run(write())


@pytest.fixture
def walked() -> Iterator[dict[str, list[str]]]:
    """Walk the first drill's part that comes before any trouble; return all drills."""
    work()
    found = drills()
    suspected = found["you suspect that somebody has the entry key"]
    for line in suspected[:2]:
        shell(line)
    work()
    yield found
    assert (DATA / "tfaudit.db").exists()


def test_every_drill_is_walked_here() -> None:
    """A drill that is added to the guide needs its test."""
    assert [
        "you suspect that somebody has the entry key",
        "you suspect that somebody has the checkpoint key",
        "the entry key is lost",
        "you suspect that somebody has the master key",
        "the master key is lost",
    ] == list(drills())


@pytest.mark.parametrize("key", ["entry", "checkpoint"])
def test_a_suspected_key(walked: dict[str, list[str]], key: str) -> None:
    """Rotated; what was kept elsewhere before proves the log up to there, and the rest follows."""
    commands = walked[f"you suspect that somebody has the {key} key"]
    rotate, verify = commands[-2:]
    before = (DATA / "keys" / f"{key}.pem").read_text()
    assert f"brought in a new {key} key" in shell(rotate)
    assert before != (DATA / "keys" / f"{key}.pem").read_text()
    work()
    assert "Verified" in shell(verify)


def test_the_lost_entry_key(walked: dict[str, list[str]]) -> None:
    """Nothing starts without it; then the log goes on, and every verification tells of the loss."""
    rotate, verify, export = walked["the entry key is lost"]
    (DATA / "keys" / "entry.pem").unlink()
    refused = CliRunner().invoke(app, ["key", "show"])
    assert "entry.pem is missing" in refused.stderr
    lost = json.loads(Path("public.json").read_text("utf-8"))["entry"]["public_key"]
    assert "brought in a new entry key" in shell(rotate, lost)
    work()
    assert "its predecessor was lost and did not hand over" in shell(verify)
    shell(export)
    exported = json.loads(Path("public-2.json").read_text("utf-8"))
    assert [True] == [each["lost"] for each in exported["rotations"]]


def test_a_suspected_master_key(walked: dict[str, list[str]]) -> None:
    """What is stored opens with the new one alone."""
    rotate, verify = walked["you suspect that somebody has the master key"]
    before = (DATA / "keys" / "master.key").read_text()
    assert "2 stored versions" in shell(rotate)
    assert before != (DATA / "keys" / "master.key").read_text()
    work()
    assert "Verified" in shell(verify)


def test_the_lost_master_key(walked: dict[str, list[str]]) -> None:
    """The states are gone, the log is whole."""
    (verify,) = walked["the master key is lost"]
    (DATA / "keys" / "master.key").unlink()
    output = shell(verify)
    assert "Verified" in output
    assert "the contents of the stored states, which only the master key opens" in output
