"""Tests of `tfaudit log recover`: the only way on from an older database, and always on record."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.cli._common import settings
from proxy.config import load_config
from proxy.errors import UnavailableError
from proxy.last_checkpoint import LastCheckpoint
from proxy.program import open_program
from proxy.storage.sqlite import SQLiteStore
from tests.cli.conftest import Tfaudit, events, json_lines
from tests.cli.test_witness import NAME, served, witness
from tests.cli.tile_logs import grow
from tests.e2e.server import Server, free_port


@pytest.fixture
def older(data: Path) -> Path:
    """Put a database of fewer entries in the place of the newest; return the data directory."""
    grow(data, 3)
    shutil.copy(data / "tfaudit.db", data.parent / "backup.db")
    grow(data, 4)
    put_back(data)
    return data


def put_back(data: Path) -> None:
    """Restore the backup of the database alone."""
    for name in ("tfaudit.db", "tfaudit.db-wal", "tfaudit.db-shm"):
        (data / name).unlink(missing_ok=True)
    shutil.copy(data.parent / "backup.db", data / "tfaudit.db")


def test_nothing_is_done_without_the_word(tfaudit: Tfaudit, older: Path) -> None:
    """It is told what is lost, and that the newest database would be better."""
    before = {each.name: each.read_bytes() for each in older.glob("checkpoint.*")}
    told = tfaudit("log", "recover", code=1).stderr
    assert "as checkpoint.last tells, the log has 3 entries, where it once had 7: put the" in told
    assert before == {each.name: each.read_bytes() for each in older.glob("checkpoint.*")}
    assert "tfaudit log recover" in tfaudit("token", "list", code=2).stderr


def test_a_recovery_is_on_record_and_the_log_goes_on(tfaudit: Tfaudit, older: Path) -> None:
    """What told of the loss is kept, and its digest is in the entry."""
    lost = (older / "checkpoint.last").read_bytes()
    told = tfaudit("log", "recover", "--accept-loss", "--yes").stdout
    assert "Entry 3 records it: 4 entries lost" in told
    assert lost == (older / "checkpoint.lost-7").read_bytes()
    grow(older, 1)
    (entry,) = json_lines(tfaudit("log", "--json", "--event", "audit.recovered").stdout)
    assert entry["entry"]["recovery"] | {"checkpoint_sha256": ""} == {
        "size": 3,
        "known_size": 7,
        "lost": 4,
        "known_by": "checkpoint.last",
        "checkpoint_sha256": "",
    }
    tfaudit("verify")
    # Whoever kept a checkpoint of what is lost finds the log forked from there on.
    assert "forked" in tfaudit("verify", "--against", older / "checkpoint.lost-7", code=1).stderr


class Cut(BaseException):
    """The process ends here."""


def cut(*_: object, **__: object) -> None:
    """End the process."""
    raise Cut


@pytest.mark.parametrize(
    "step", [(SQLiteStore, "write"), (LastCheckpoint, "note"), (LastCheckpoint, "settle")]
)
def test_a_recovery_that_is_cut_short_is_begun_anew(
    tfaudit: Tfaudit, data: Path, tmp_path: Path, step: tuple[type, str]
) -> None:
    """What proves the fork stands until all is done: nothing starts, and it can be done again."""
    grow(data, 3)
    shutil.copytree(data / "keys", tmp_path / "other" / "keys")
    grow(tmp_path / "other", 4)
    shown = (tmp_path / "other" / "checkpoint.last").read_text()
    (data / "checkpoint.fork").write_text(shown)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*step, cut)
        with pytest.raises(Cut):
            tfaudit("log", "recover", "--accept-loss", "--yes")
    assert "the log was forked" in tfaudit("token", "list", code=2).stderr
    tfaudit("log", "recover", "--accept-loss", "--yes")
    assert shown == (data / "checkpoint.lost-4").read_text()
    assert "audit.recovered" in events(tfaudit)
    tfaudit("verify")


def test_a_log_that_lost_nothing_is_left_alone(tfaudit: Tfaudit, data: Path) -> None:
    """Neither by its own file nor by what is said of a witness."""
    grow(data, 3)
    for options in ((), ("--known-size", 3)):
        told = tfaudit("log", "recover", "--accept-loss", *options, code=1).stderr
        assert "nothing is lost" in told
    assert "audit.recovered" not in events(tfaudit)


def test_it_is_asked_before_anything_is_done(tfaudit: Tfaudit, older: Path) -> None:
    """A no, or nobody to answer, changes nothing; a yes does it."""
    told = tfaudit("log", "recover", "--accept-loss", answer="n\n", code=1).stderr
    assert "Let the log go on with 3 entries, where it once had 7 (4 entries lost)?" in told
    assert "--yes" in tfaudit("log", "recover", "--accept-loss", code=2).stderr
    assert [] == list(older.glob("checkpoint.lost-*"))
    assert "Entry 3 records it" in tfaudit("log", "recover", "--accept-loss", answer="y\n").stdout


def test_a_size_that_nobody_confirms_needs_the_word_of_a_person(
    tfaudit: Tfaudit, data: Path
) -> None:
    """Who is told what it means, and that no checkpoint is kept, since none tells of it."""
    grow(data, 3)
    command = ("log", "recover", "--accept-loss", "--known-size", 9999)
    told = tfaudit(*command, answer="n\n", code=1).stderr
    assert "NOBODY WHO COULD BE ASKED KNOWS 9999 ENTRIES" in told
    assert "a number that is too high hides a later loss" in told
    assert "audit.recovered" not in events(tfaudit)
    told = tfaudit(*command, "--yes").stdout
    assert "9995 entries lost. No checkpoint tells of it, so none is kept." in told
    assert [] == list(data.glob("checkpoint.lost-*"))
    (entry,) = json_lines(tfaudit("log", "--json", "--event", "audit.recovered").stdout)
    assert {"size": 4, "known_size": 9999, "lost": 9995, "known_by": "--known-size"} == entry[
        "entry"
    ]["recovery"]
    tfaudit("verify")


def test_what_witnesses_cosigned_before_tells_of_a_loss(tfaudit: Tfaudit, older: Path) -> None:
    """Also when no witness is configured; once it is on record it tells nothing more."""
    (older / "checkpoint.last").rename(older / "checkpoint.cosigned")
    told = tfaudit("log", "recover", code=1).stderr
    assert "as checkpoint.cosigned tells, the log has 3 entries, where it once had 7" in told
    told = tfaudit("log", "recover", "--accept-loss", "--yes").stdout
    assert "checkpoint.lost-7: give it to your auditors" in told
    assert "nothing is lost" in tfaudit("log", "recover", code=1).stderr


def test_a_cosigned_file_that_is_no_checkpoint_tells_nothing(tfaudit: Tfaudit, data: Path) -> None:
    """The next that is cosigned takes its place."""
    grow(data, 1)
    (data / "checkpoint.cosigned").write_text("mine\n")
    assert "nothing is lost" in tfaudit("log", "recover", code=1).stderr


def test_no_recovery_beside_a_server(tfaudit: Tfaudit, older: Path) -> None:
    """It would be asked to sign what the server does not know."""
    from proxy.server_lock import only_server  # noqa: PLC0415 - as the command itself

    with only_server(load_config(None, {}, data=older)):
        assert "another server is running" in tfaudit("log", "recover", code=2).stderr


def until(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_a_store_that_was_halted_signs_nothing_more(data: Path) -> None:
    """Every write is told why; what is there can still be read."""
    async with open_program(settings(data, None), create=True) as program:
        size = await program.store.size()
        program.halt("older than a witness knows it")
        with pytest.raises(UnavailableError, match="older than a witness knows it"):
            await program.store.write(lambda _: None)
        assert size == await program.store.size()


def index_of(server: Server) -> int:
    """Read a state; return the index of the entry that records it."""
    return int(server.request("GET", "/state/a").headers["Audit-Index"])


def test_a_server_whose_log_a_witness_knows_otherwise_signs_nothing_on(
    tfaudit: Tfaudit, data: Path, tmp_path: Path
) -> None:
    """Restored, and grown to the very size that a witness saw before: a fork of the same size.

    The witness shows what it cosigned, which the log's own key signed: that stops the server, and
    keeps it from starting, also when the witness is down, until the loss is on record.
    """
    vkey = json.loads(tfaudit("key", "show", "--json").stdout)["checkpoint"]["vkey"]
    port = str(free_port())
    key = witness("key", "--data", tmp_path / "w", "--name", NAME).stdout.strip()
    asked = {
        "TFAUDIT_WITNESS_ASK": f"http://127.0.0.1:{port} {key}",
        "TFAUDIT_WITNESS_INTERVAL": "0.1",
    }
    server = Server(data, env=asked)
    shutil.copytree(data, tmp_path / "backup")
    with served(tmp_path / "w", log=vkey, port=port), server:
        size = [index_of(server) for _ in range(9)][-1] + 1
        until(lambda: f"\n{size}\n" in server.request("GET", "/checkpoint/cosigned").body.decode())
        server.kill()
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "backup", data)
    server.start()
    while index_of(server) + 1 < size:
        pass
    with served(tmp_path / "w", log=vkey, port=port):
        until(lambda: not server.is_ready())
    assert "the log is not signed on" in server.request("GET", "/readyz").body.decode()
    assert 503 == server.request("GET", "/state/a").status
    assert 1 == server.stderr.count("THE LOG IS NOT SIGNED ON")
    assert 2 == server.stop()
    shown = (data / "checkpoint.fork").read_text()
    assert [vkey.split("+")[0], str(size)] == shown.split("\n")[:2]
    assert "the log was forked" in tfaudit("state", "list").stderr
    assert "the log was forked" in tfaudit("state", "pull", "a", code=2).stderr
    assert "FAILED (invalid)" in tfaudit("verify", "--no-record", code=1).stderr
    told = tfaudit("log", "recover", code=1).stderr
    assert "and is not the one that checkpoint.fork knows with" in told
    assert "those from some entry on were replaced by others. Put the database back" in told
    told = tfaudit("log", "recover", "--accept-loss", "--yes").stdout
    assert "those from some entry on were replaced by others" in told
    assert shown == (data / f"checkpoint.lost-{size}").read_text()
    assert not (data / "checkpoint.fork").exists()
    tfaudit("verify")
    with served(tmp_path / "w", log=vkey, port=port), server:
        index_of(server)
        time.sleep(0.3)  # it is asked again, and shows the same
        assert server.is_ready()


def test_a_server_that_is_older_than_a_witness_knows_it_signs_nothing_on(
    tfaudit: Tfaudit, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole directory was restored, so that only the witness tells.

    While the witness is down the server serves; when it is back, no request is granted any more,
    and no start either, until the loss is on record.
    """
    vkey = json.loads(tfaudit("key", "show", "--json").stdout)["checkpoint"]["vkey"]
    port = str(free_port())
    key = witness("key", "--data", tmp_path / "w", "--name", NAME).stdout.strip()
    asked = {
        "TFAUDIT_WITNESS_ASK": f"http://127.0.0.1:{port} {key}",
        "TFAUDIT_WITNESS_INTERVAL": "0.1",
    }
    server = Server(data, env=asked)
    with server:
        assert 404 == server.request("GET", "/checkpoint/cosigned").status
    shutil.copytree(data, tmp_path / "backup")
    with served(tmp_path / "w", log=vkey, port=port), server:
        last = [server.request("GET", "/state/a") for _ in range(9)][-1]
        size = int(last.headers["Audit-Index"]) + 1
        until(lambda: f"\n{size}\n" in server.request("GET", "/checkpoint/cosigned").body.decode())
        cosigned = server.request("GET", "/checkpoint/cosigned").body
        assert "cosigned checkpoint is" in server.request("GET", "/readyz").body.decode()
        known = int(cosigned.split(b"\n")[1])
        assert 2 == cosigned.count("\N{EM DASH}".encode())
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "backup", data)
    server.start()
    with served(tmp_path / "w", log=vkey, port=port):
        until(lambda: not server.is_ready())
        assert "THE LOG IS NOT SIGNED ON" in server.stderr
        assert 2 == server.stop()
        with pytest.raises(AssertionError, match="ended with 2") as told:
            server.start()
        assert f"log recover --known-size {known}" in str(told.value)
        assert "nothing is lost" in tfaudit("log", "recover", code=1).stderr
        monkeypatch.setenv("TFAUDIT_WITNESS_ASK", asked["TFAUDIT_WITNESS_ASK"])
        said = tfaudit("log", "recover", code=1).stderr
        assert f"as the witness {NAME} tells, the log has" in said
        assert f"where it once had {known}:" in said
        for size in (known + 1, 10 * known):
            said = tfaudit("log", "recover", "--accept-loss", "--known-size", size, code=2).stderr
            assert "no witness of the configuration knows so many entries" in said
        said = tfaudit("log", "recover", "--accept-loss", "--yes").stdout
        assert f"{data}/checkpoint.lost-{known}: give it to your auditors" in said
        with server:
            assert server.is_ready()
