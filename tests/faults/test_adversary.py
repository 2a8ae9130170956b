"""The operator as the adversary, who has the machine, the database and often every private key.

Each attempt is made as well as it can be, and then found and named: by the public keys alone, by a
checkpoint that was kept elsewhere, or by a witness.
"""

import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from proxy.cli._common import run, settings
from proxy.cosigned import CosignedCheckpoint
from proxy.errors import ConfigError, UnavailableError, VerificationError
from proxy.program import open_program
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.merkle import Frontier, leaf_hash
from proxy.tlog.note import NoteVerifier
from proxy.witnesses import Witnesses
from tests.cli.tile_logs import grow, tfaudit, verified
from tests.witness.asked import Asked

LAST_WEEK = 5
"""Entries of the log when the backup was made."""
SEEN = 9
"""Entries when a checkpoint was kept elsewhere and shown to the witness."""
TODAY = 12


@dataclass
class Scene:
    """A log with a past, and what others kept of it.

    Attributes:
        data: the data directory, of today.
        backup: the whole of it as it was last week, made by copying files.
        keys: the public keys, with the auditor.
        anchors: what sinks wrote.
        asked: the second team's witness.
    """

    data: Path
    backup: Path
    keys: Path
    anchors: Path
    asked: Asked

    def put_back(self) -> None:
        """Put last week's directory in the place of today's, to the last file."""
        shutil.rmtree(self.data)
        shutil.copytree(self.backup, self.data)

    def verify(self, *options: object, code: int) -> dict[str, object]:
        """Verify as an auditor does, with nothing of the operator's but the data."""
        return verified(self.data, "--key", self.keys, "--no-record", *options, code=code)

    def against(self) -> str:
        """Compare with the anchors, which must not hold; return what is said."""
        shown = self.verify("--against", self.anchors, code=1)
        return f"{shown['result']}: {shown['message']}"

    def show(self) -> str:
        """Show the newest checkpoint to the witness; return why it gave no cosignature."""

        async def work() -> str:
            async with open_program(settings(self.data, None), create=False) as program:
                log = NoteVerifier.parse(program.keys.vkey)
                (listed,) = self.asked.listed
                file = self.anchors.parent / "checkpoint.cosigned"
                cosigned = CosignedCheckpoint(file, log, [listed.verifier], 1)
                witnesses = Witnesses(
                    [listed],
                    cosigned,
                    program.store,
                    log,
                    prove=program.proofs.growth,
                    root=program.proofs.root,
                    post=self.asked.post,
                    get=self.asked.get,
                    clock=lambda: self.asked.now,
                    on_ahead=lambda *_: None,
                    on_fork=lambda *_: None,
                )
                await witnesses.ask()
                return witnesses._failures.get(listed.verifier.name, "")

        return run(work())


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the log once."""
    directory = tmp_path_factory.mktemp("past")
    data = directory / "data"
    (directory / "anchors").mkdir()
    for until in (LAST_WEEK, SEEN, TODAY):
        with_entries = 0
        if data.exists():
            with closing(sqlite3.connect(data / "tfaudit.db")) as database:
                (with_entries,) = database.execute("SELECT size FROM log_head").fetchone()
        grow(data, until - with_entries)
        with closing(sqlite3.connect(data / "tfaudit.db")) as database:
            (note,) = database.execute(
                "SELECT note FROM checkpoint WHERE size = ?", (until,)
            ).fetchone()
        if until == LAST_WEEK:
            shutil.copytree(data, directory / "backup")
        if until == SEEN:
            line = json.dumps({"event": "state.read", "checkpoint": note})
            (directory / "anchors" / "events.jsonl").write_text(line + "\n")
            shutil.copytree(data, directory / "seen")
    (directory / "keys.json").write_text(tfaudit("key", "show", "--json", "--data", data).stdout)
    return directory


@pytest.fixture
def scene(past: Path, tmp_path: Path) -> Iterator[Scene]:
    """Return a copy of it that a test may change; the witness saw what it saw."""
    shutil.copytree(past, tmp_path, dirs_exist_ok=True)
    vkey = json.loads((tmp_path / "keys.json").read_text())["checkpoint"]["vkey"]
    with Asked(tmp_path, NoteVerifier.parse(vkey), 1) as asked:
        made = Scene(
            tmp_path / "data",
            tmp_path / "backup",
            tmp_path / "keys.json",
            tmp_path / "anchors",
            asked,
        )
        seen = Scene(tmp_path / "seen", made.backup, made.keys, made.anchors, asked)
        assert not seen.show()
        yield made


def test_nothing_was_done(scene: Scene) -> None:
    """The true log holds for everybody; each test below differs by one attempt."""
    shown = scene.verify("--against", scene.anchors, code=0)
    assert ("verified", TODAY) == (shown["result"], shown["entries"])
    assert not scene.show()


def test_an_entry_is_edited_and_all_but_the_signature_is_recomputed(scene: Scene) -> None:
    """Leaf hash, tree and head fit; the entry's signature can't, and names it."""
    with closing(sqlite3.connect(scene.data / "tfaudit.db")) as database, database:
        (entry,) = database.execute("SELECT entry FROM entry WHERE idx = 3").fetchone()
        members = orjson.loads(entry)
        edited = orjson.dumps({**members, "message": "nothing"}, option=orjson.OPT_SORT_KEYS)
        database.execute(
            "UPDATE entry SET entry = ?, leaf_hash = ? WHERE idx = 3", (edited, leaf_hash(edited))
        )
        leaves = database.execute("SELECT leaf_hash FROM entry ORDER BY idx").fetchall()
        frontier = Frontier(leaf for (leaf,) in leaves).to_bytes()
        database.execute("UPDATE log_head SET frontier = ?", (frontier,))
    shown = scene.verify(code=1)
    assert ("invalid", 3) == (shown["result"], shown["first_bad_index"])
    assert "Entry 3 was changed or forged: its signature is wrong" in str(shown["message"])


@pytest.mark.parametrize("more", [SEEN - LAST_WEEK, TODAY - LAST_WEEK, 40])
def test_a_fork_is_signed_with_the_true_key(scene: Scene, more: int) -> None:
    """From last week on another history, as long as the true one, or longer: all of it signed.

    In itself nothing is wrong with it. An anchor names it, and the witness never cosigns it.
    """
    scene.put_back()
    grow(scene.data, more)
    assert "verified" == scene.verify(code=0)["result"]
    told = scene.against()
    assert told.startswith("invalid: The log was forked")
    assert f"between entry 0 and entry {SEEN - 1}" in told
    assert "the log was forked" in scene.show()
    latest = scene.asked.ledgers[0].latest(scene.asked._log.name)
    assert latest is not None
    assert SEEN == latest.size


def test_last_weeks_backup_is_restored(scene: Scene) -> None:
    """With the file beside the database, and all else that is on the machine."""
    scene.put_back()
    assert "verified" == scene.verify(code=0)["result"]
    told = scene.against()
    assert told.startswith(f"missing: The log has {LAST_WEEK} entries, but it had {SEEN}")
    assert "an older backup was put in its place" in told
    assert f"it knows {SEEN} entries of this log, which has {LAST_WEEK}" in scene.show()


def test_last_weeks_database_is_restored_alone(scene: Scene) -> None:
    """The file beside it is enough: no server starts, and nothing more is signed."""
    for name in ("tfaudit.db", "tfaudit.db-wal", "tfaudit.db-shm"):
        (scene.data / name).unlink(missing_ok=True)
    shutil.copy(scene.backup / "tfaudit.db", scene.data)
    before = (scene.data / "checkpoint.last").read_bytes()
    with pytest.raises(ConfigError, match=f"not the one this directory had with {TODAY} entries"):
        grow(scene.data, 1)
    assert before == (scene.data / "checkpoint.last").read_bytes()
    assert "missing" == scene.verify(code=1)["result"]


def test_two_logs_are_swapped(scene: Scene) -> None:
    """Another log, whole and true, in the place of this one."""
    shutil.rmtree(scene.data)
    grow(scene.data, TODAY)
    shown = scene.verify(code=1)
    assert "invalid" == shown["result"]
    assert "signed by no key that is trusted here" in str(shown["message"])
    # Its own keys don't help: what others kept is of another log, and that is said.
    result = tfaudit("verify", scene.data, "--no-record", "--against", scene.anchors, code=2)
    origin = json.loads(scene.keys.read_text())["checkpoint"]["origin"]
    assert f"no checkpoint of it stands where --against says, only of {origin}" in result.stderr


def test_another_logs_database_is_put_under_the_same_keys(scene: Scene, tmp_path: Path) -> None:
    """No server starts on it, and no entry of it verifies."""
    grow(tmp_path / "other", TODAY)
    for name in ("tfaudit.db", "tfaudit.db-wal", "tfaudit.db-shm"):
        (scene.data / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "other" / "tfaudit.db", scene.data)
    with pytest.raises(ConfigError, match="belongs to other keys"):
        grow(scene.data, 1)
    shown = scene.verify(code=1)
    assert ("invalid", 0) == (shown["result"], shown["first_bad_index"])


def test_an_old_checkpoint_is_replayed(scene: Scene, tmp_path: Path) -> None:
    """A server of tiles shows the log as it was last week, with the true checkpoint of then."""
    tiles = tmp_path / "tiles"
    tfaudit("export", "--format", "tiles", "-o", tiles, "--data", scene.backup)
    options = ("--key", scene.keys)
    assert "verified" == verified(tiles, *options)["result"]
    shown = verified(tiles, *options, "--against", scene.anchors, code=1)
    assert "missing" == shown["result"]
    assert f"but it had {SEEN} when" in str(shown["message"])
    assert "an older backup was put in its place" in str(shown["message"])


def _own(scene: Scene) -> Callable[[str], Awaitable[Checkpoint]]:
    async def verify(note: str) -> Checkpoint:
        return verify_checkpoint(note, scene.asked._log)

    return verify


def test_an_old_cosigned_checkpoint_is_replayed(scene: Scene, tmp_path: Path) -> None:
    """What was once kept as cosigned is never replaced by something smaller."""
    assert not scene.show()
    path = tmp_path / "checkpoint.cosigned"
    today = path.read_text()
    seen = Scene(tmp_path / "seen", scene.backup, scene.keys, scene.anchors, scene.asked)
    with closing(sqlite3.connect(seen.data / "tfaudit.db")) as database:
        ((note,),) = database.execute("SELECT note FROM checkpoint WHERE size = ?", (SEEN,))
    line = scene.asked.cosigners[0].cosign(note.split("\n\n")[0] + "\n", scene.asked.now)
    (listed,) = scene.asked.listed
    kept = CosignedCheckpoint(path, scene.asked._log, [listed.verifier], 1)
    run(kept.load(_own(scene)))
    with pytest.raises(VerificationError, match=f"is older than the one of {TODAY}"):
        run(kept.keep(note + line))
    assert today == path.read_text()


@pytest.mark.parametrize("keeps_last", [True, False])
def test_the_tail_is_dropped(scene: Scene, keeps_last: bool) -> None:
    """Entries, checkpoints, head: as if they never were; also the file beside the database."""
    with closing(sqlite3.connect(scene.data / "tfaudit.db")) as database, database:
        database.execute("DELETE FROM entry WHERE idx >= ?", (LAST_WEEK,))
        database.execute("DELETE FROM checkpoint WHERE size > ?", (LAST_WEEK,))
        with closing(sqlite3.connect(scene.backup / "tfaudit.db")) as old:
            head = old.execute("SELECT size, frontier, micros FROM log_head").fetchone()
        database.execute("UPDATE log_head SET size = ?, frontier = ?, micros = ?", head)
    if keeps_last:
        shown = scene.verify(code=1)
        assert "missing" == shown["result"]
        assert "its tail was cut" in str(shown["message"])
    else:
        (scene.data / "checkpoint.last").unlink()
        scene.verify(code=0)
    told = scene.against()
    assert "missing" in told
    assert "cut" in told


def test_the_clock_is_set_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done today can't be dated last week: no entry is older than the one before it."""
    with closing(sqlite3.connect(scene.data / "tfaudit.db")) as database:
        (newest,) = database.execute("SELECT time FROM entry ORDER BY idx DESC").fetchone()
    monkeypatch.setattr("proxy.program.clock", lambda: 1_000_000)
    grow(scene.data, 1)
    with closing(sqlite3.connect(scene.data / "tfaudit.db")) as database:
        (backdated,) = database.execute("SELECT time FROM entry ORDER BY idx DESC").fetchone()
    assert newest < backdated
    assert TODAY + 1 == scene.verify("--against", scene.anchors, code=0)["entries"]


def test_the_clock_is_set_back_by_whoever_has_the_keys(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's own rule is taken out, and the entry is signed: its date is found."""
    monkeypatch.setattr("proxy.program.clock", lambda: 1_000_000)
    with closing(sqlite3.connect(scene.data / "tfaudit.db")) as database, database:
        database.execute("UPDATE log_head SET micros = 0")
    grow(scene.data, 1)
    shown = scene.verify(code=1)
    assert ("invalid", TODAY) == (shown["result"], shown["first_bad_index"])
    assert "by its id it belongs further ahead" in str(shown["message"])


def test_the_witnesss_clock_is_set_back(scene: Scene) -> None:
    """It cosigns nothing until it is right, and what it said before stays true."""
    scene.asked.now -= 3600
    with pytest.raises(UnavailableError, match="stands 3600 seconds before its last cosignature"):
        run(scene.asked.post("0", scene.asked.requests[0][-1].body().replace(b"old 0", b"old 9")))
