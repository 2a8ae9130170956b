"""Tests of `tfaudit retain`: old entries go, and all that is left can still be proved."""

import asyncio
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from proxy.cli import _archive, _pruning, _verification, retain
from proxy.cli._bundle.checking import check_bundle
from proxy.cli._common import caller, run, settings
from proxy.cli._pruned import Start, read_start
from proxy.cli._verification import TrustedKeys, verify_store
from proxy.contracts import DeadLetter, Delivery, SinkReplay, Store, Transaction
from proxy.errors import UnavailableError
from proxy.keys import open_keys
from proxy.program import open_program
from proxy.storage.reader import Snapshot, SQLiteReader
from proxy.storage.sqlite import SQLiteStore
from tests.cli.conftest import json_lines
from tests.cli.pruned_logs import OLDER, OLDEST, Past, a_past, a_start, days_ago
from tests.cli.tile_logs import grow, verified
from tests.e2e.server import Server
from tests.receivers.aws import KEYS, REGION, SECRET, Aws, shared_aws
from tests.samples import a_draft


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Return a log of which nothing is pruned; no test may change it."""
    return a_past(tmp_path_factory.mktemp("before"))


@pytest.fixture(scope="module")
def pruned(before: Past, tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Return a log that was pruned once; no test may change it."""
    past = before.copy(tmp_path_factory.mktemp("pruned"))
    past.retain("480d")
    return past


@pytest.fixture(scope="module")
def twice(pruned: Past, tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Return a log that was pruned twice; no test may change it."""
    past = pruned.copy(tmp_path_factory.mktemp("twice"))
    past.retain()
    return past


def rows(past: Past, sql: str) -> list[tuple[Any, ...]]:
    """Ask the database."""
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection:
        return connection.execute(sql).fetchall()


def indices(past: Past) -> list[int]:
    """Return which entries are there below the last that can be pruned."""
    return [row[0] for row in rows(past, "SELECT idx FROM entry") if row[0] < OLDER]


def recorded(past: Past) -> list[dict[str, Any]]:
    """Return the entry that records each pruning."""
    lines = json_lines(past.run("log", "--json", "--event", "audit.pruned").stdout)
    return [line["entry"] for line in reversed(lines)]


# ---------------------------------------------------------------- what is pruned


def test_old_entries_go_and_all_that_is_left_is_proved(pruned: Past) -> None:
    """With what they said of states, locks, tokens, people, runs and keys; and it is said so."""
    found = rows(pruned, "SELECT event, idx FROM entry")
    lasting = sorted(event for event, index in found if index < OLDEST)
    assert ["audit.started", "key.rotated", "key.rotated"] == lasting
    assert min(rows(pruned, "SELECT size FROM checkpoint"))[0] >= OLDEST
    told = pruned.run("verify", "--no-record").stdout
    assert f"Pruned under policy until index {OLDEST} (entry " in told
    shown = verified(pruned.data, "--no-record")
    assert (OLDEST, str(pruned.bundles[0])) == (shown["pruned_until"], shown["archive"])


def test_an_entry_records_what_was_pruned_and_where_it_is(pruned: Past) -> None:
    """With the archive's digest."""
    (entry,) = recorded(pruned)
    (bundle,) = pruned.bundles
    said = entry["pruning"]
    assert {
        "from": 0,
        "until": OLDEST,
        "keep": "480d",
        "archive": str(bundle),
        "sha256": sha256(bundle.read_bytes()).hexdigest(),
        "size": bundle.stat().st_size,
    } == {name: said[name] for name in ("from", "until", "keep", "archive", "sha256", "size")}


def test_the_archive_is_a_bundle_of_what_was_pruned(pruned: Past) -> None:
    """Which proves itself, with public keys alone."""
    shown = verified(pruned.bundles[0], "--key", pruned.keys)
    assert (0, OLDEST - 1, OLDEST) == (shown["from"], shown["to"], shown["proved_entries"])


def test_a_second_pruning_goes_on_from_the_first(twice: Past) -> None:
    """The log grows on, and holds; the entries of both prunings stay."""
    assert [OLDEST, OLDER] == [entry["pruning"]["until"] for entry in recorded(twice)]
    shown = verified(twice.data, "--no-record")
    assert OLDER == shown["pruned_until"]
    assert 2 == len(twice.bundles)
    assert 1 == len(rows(twice, "SELECT until FROM baseline"))


def test_the_first_keys_of_the_log_suffice(twice: Past) -> None:
    """The rotations that lead from them to those in force are among what stays."""
    first = twice.keys.with_name("first.json")
    shown = verified(twice.data, "--key", first, "--no-record", "--archive", twice.archive)
    assert OLDER == shown["archived_until"]


def test_what_is_known_goes_on_from_the_pruned_entries(before: Past, tmp_path: Path) -> None:
    """A lock that was taken before is released, a token revoked, a state written on."""
    past = before.copy(tmp_path)
    past.retain()
    past.run("lock", "release", "prod", "--yes")
    past.run("token", "revoke", "ci")
    past.run("state", "rollback", "prod", "2", "--yes")
    past.run("key", "rotate", "entry", "--yes")
    past.run("verify")


def test_versions_are_pruned_before_and_after_their_entries(twice: Past, tmp_path: Path) -> None:
    """Which they were, in which runs, and what the run under way began with, is known by then."""
    past = twice.copy(tmp_path)
    for prune in (("--keep", "1"), ("--last-of-run",)):
        past.run("state", "prune", *prune, "--yes")
        past.run("verify", "--no-record")
    found = rows(past, "SELECT workspace, number FROM state_version WHERE pruned IS NULL")
    assert [("gone", 1), ("prod", 3), ("short", 3)] == sorted(found)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO state_body SELECT id, x'00' FROM state_version WHERE pruned IS NOT NULL",
        "UPDATE state_version SET pruned = NULL",
        "UPDATE state_version SET run = created WHERE workspace = 'short'",
        "DELETE FROM state_body WHERE id = (SELECT id FROM state_version WHERE number = 3)",
    ],
)
def test_what_became_of_versions_is_held_to_the_pruned_entries(
    twice: Past, tmp_path: Path, change: str
) -> None:
    """As long as they were there."""
    past = twice.copy(tmp_path)
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection, connection:
        connection.execute(change)
    past.run("verify", "--no-record", code=1)


def test_nothing_old_enough_is_no_failure(before: Past) -> None:
    """It is said in plain words, and nothing is recorded."""
    size = rows(before, "SELECT size FROM log_head")
    told = before.retain("900d").stdout
    assert "Nothing to prune: no whole 256 entries are older than 900d." in told
    assert size == rows(before, "SELECT size FROM log_head")


def test_a_dry_run_changes_nothing(before: Past) -> None:
    """And needs no archive."""
    size = rows(before, "SELECT size FROM log_head")
    told = before.run("retain", "--keep", "400d", "--dry-run").stdout
    assert f"Would be pruned: {OLDER} entries, from 0 to {OLDER - 1}" in told
    shown = json.loads(before.run("retain", "--keep", "400d", "--dry-run", "--json").stdout)
    assert {"pruned": False, "from": 0, "until": OLDER, "before": shown["before"]} == shown
    assert size == rows(before, "SELECT size FROM log_head")


def test_the_newest_entries_stay_whatever_their_age(tmp_path: Path) -> None:
    """Of a log of which all is old, and which ends with a whole 256, these are kept."""
    with days_ago(2):
        grow(tmp_path / "data", OLDER)
    past = Past(*(tmp_path / name for name in ("data", "archive", "keys.json")))
    assert [(OLDER,)] == rows(past, "SELECT size FROM log_head")
    shown = json.loads(past.run("retain", "--keep", "1d", "--dry-run", "--json").stdout)
    assert OLDEST == shown["until"]


# ---------------------------------------------------------------- what is refused


def test_nothing_is_pruned_without_an_archive(before: Past) -> None:
    """The archive is named with the command."""
    told = before.run("retain", "--keep", "400d", code=2).stderr
    assert "nothing is pruned that is not archived" in told
    assert (
        "is no directory"
        in before.run(
            "retain", "--keep", "400d", "--archive", before.data / "nowhere", code=2
        ).stderr
    )
    inside = ("--archive", before.data)
    told = before.run("retain", "--keep", "400d", *inside, code=2).stderr
    assert "is inside the data directory, and would be lost with it" in told


@pytest.mark.parametrize("keep", ["400", "12m", "1y", "12mo", "90s", "23h"])
def test_an_age_is_told_in_units_that_nobody_takes_for_another(before: Past, keep: str) -> None:
    """Somebody who means months would prune by minutes; no entry goes that is not a day old."""
    told = before.retain(keep, code=2).stderr
    assert f"--keep can't be {keep!r}: write hours (h), days (d) or weeks (w)" in told


def test_it_asks_before_it_prunes(before: Past, tmp_path: Path) -> None:
    """No is an answer; nobody is asked when there is nothing to prune."""
    past = before.copy(tmp_path)
    options = ("retain", "--archive", past.archive, "--keep")
    assert "nobody answered" in past.run(*options, "480d", code=2).stderr
    asked = past.run(*options, "480d", code=1, answer="n\n").stderr
    assert f"Archive and prune {OLDEST} entries, from 0 to {OLDEST - 1}, from before" in asked
    assert ([], list(range(OLDER))) == (past.bundles, indices(past))
    assert "Nothing to prune" in past.run(*options, "900d").stdout
    assert "Pruned: 256 entries" in past.run(*options, "480d", answer="y\n").stdout
    assert 1 == len(past.bundles)


@pytest.mark.parametrize("content", [b"precious", b"PK\x03\x04 no whole archive"])
def test_another_file_of_the_name_is_never_replaced(
    before: Past, tmp_path: Path, content: bytes
) -> None:
    """Nothing is pruned then."""
    past = before.copy(tmp_path)
    past.retain("480d")
    (name,) = [bundle.name for bundle in past.bundles]
    again = before.copy(tmp_path / "again")
    (again.archive / name).write_bytes(content)
    told = again.retain("480d", code=1).stderr
    assert f"{name} is there and is not the archive of entries 0 to {OLDEST - 1}" in told
    assert content == (again.archive / name).read_bytes()
    assert list(range(OLDER)) == indices(again)


def test_the_archive_of_another_log_is_not_taken(before: Past, tmp_path: Path) -> None:
    """Though it is a whole bundle of entries of these indices."""
    other = a_past(tmp_path / "other")
    other.retain("480d")
    past = before.copy(tmp_path / "past")
    past.retain("480d", "--dry-run")
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection:
        origin = connection.execute("SELECT note FROM checkpoint").fetchone()[0].split("\n")[0]
    name = _archive.name_of(origin, 0, OLDEST - 1)
    (past.archive / name).write_bytes(other.bundles[0].read_bytes())
    assert "is not the archive of entries" in past.retain("480d", code=1).stderr
    assert list(range(OLDER)) == indices(past)


def test_the_archive_of_a_history_that_was_lost_is_not_taken(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's own keys signed it, but what stands here now is in no archive."""
    monkeypatch.setattr(_pruning, "parse_moment", lambda *_: "2999-01-01T00:00:00.000000Z")
    past = before.copy(tmp_path)
    grow(past.data, 250)
    dies(monkeypatch, _pruning, "_record", past)
    (lost,) = past.bundles
    (past.data / "tfaudit.db").write_bytes((before.data / "tfaudit.db").read_bytes())
    for name in ("tfaudit.db-wal", "tfaudit.db-shm"):
        (past.data / name).unlink(missing_ok=True)
    past.run("log", "recover", "--accept-loss", "--yes")
    grow(past.data, 250)
    there = rows(past, "SELECT count(*) FROM entry")
    told = past.retain(code=1).stderr
    assert f"{lost} is there and is not the archive of entries 0 to 767" in told
    assert "its entries are of another history of the log" in told
    assert "move it away or name another place with --archive" in told
    assert there == rows(past, "SELECT count(*) FROM entry")


def test_a_written_archive_must_be_of_this_log_too(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write there may have put another in its place before it was read back."""
    lost = before.copy(tmp_path / "lost")
    lost.retain("480d")
    past = before.copy(tmp_path / "past")

    async def write(_: object, output: Path, *__: object, **___: object) -> None:
        output.write_bytes(lost.bundles[0].read_bytes())

    monkeypatch.setattr(_archive, "write_bundle_file", write)
    assert "of another history of the log" in past.retain("480d", code=1).stderr
    assert list(range(OLDER)) == indices(past)


def test_the_digest_is_that_of_the_file_that_was_checked(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though another got its name right after the check."""
    past = before.copy(tmp_path)
    checked: list[bytes] = []

    def swapped(*args: Any) -> object:
        proved = check_bundle(*args)
        (bundle,) = past.bundles
        checked.append(bundle.read_bytes())
        bundle.unlink()
        bundle.write_bytes(b"another")
        return proved

    monkeypatch.setattr("proxy.cli._archive.check_bundle", swapped)
    past.retain("480d")
    said = recorded(past)[0]["pruning"]
    assert (sha256(checked[0]).hexdigest(), len(checked[0])) == (said["sha256"], said["size"])


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "said"),
    [(_pipe, "is no regular file"), (Path.mkdir, "is no regular file"), (_link, "leads nowhere")],
)
def test_what_has_the_archives_name_and_is_no_file_is_refused(
    before: Past, tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    """At once: nobody will ever write into a pipe of that name."""
    past = before.copy(tmp_path)
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection:
        origin = connection.execute("SELECT note FROM checkpoint").fetchone()[0].split("\n")[0]
    path = past.archive / _archive.name_of(origin, 0, OLDEST - 1)
    make(path)
    told = past.retain("480d", code=1).stderr
    assert f"{path} is there and is not the archive" in told
    assert said in told
    assert list(range(OLDER)) == indices(past)


def test_a_log_that_does_not_hold_is_not_pruned(before: Past, tmp_path: Path) -> None:
    """What is wrong with it is evidence."""
    past = before.copy(tmp_path)
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection, connection:
        connection.execute("UPDATE token SET role = 'admin' WHERE name = 'ci'")
    assert "The role of the token ci" in past.retain(code=1).stderr
    assert [] == past.bundles
    assert list(range(OLDER)) == indices(past)


# ---------------------------------------------------------------- who asks for what is pruned


@pytest.mark.parametrize("index", [50, OLDEST - 1])
def test_a_receipt_of_a_pruned_entry_says_where_it_is(pruned: Past, index: int) -> None:
    """One of an entry that stays is given, and holds."""
    told = pruned.run("receipt", index, code=1).stderr
    assert f"entry {index} is not in the log's database any more" in told
    assert str(pruned.bundles[0]) in told


def test_a_receipt_of_what_is_left_holds(pruned: Past, tmp_path: Path) -> None:
    """Its proof is of hashes alone."""
    for index in (OLDEST, OLDER, rows(pruned, "SELECT min(idx) FROM entry")[0][0]):
        out = tmp_path / f"{index}.tlog-proof"
        pruned.run("receipt", index, "-o", out)
        assert index == verified(out, "--key", pruned.keys)["index"]


def test_the_tree_alone_holds(pruned: Past) -> None:
    """By the hashes of what is pruned."""
    shown = verified(pruned.data, "--tree-only")
    assert ("verified", OLDEST) == (shown["result"], shown["pruned_until"])


def test_checkpoints_of_what_is_pruned_are_compared(before: Past, tmp_path: Path) -> None:
    """Those that somebody kept; a false one is found."""
    past = before.copy(tmp_path)
    (size, note), *_ = rows(past, "SELECT size, note FROM checkpoint WHERE size > 20 ORDER BY size")
    assert size < OLDEST
    kept = tmp_path / "kept"
    kept.write_text(note)
    past.retain()
    for option in ("--checkpoint", "--since", "--against"):
        verified(past.data, option, kept, "--no-record")
    verified(past.data, "--tree-only", "--checkpoint", kept)


async def test_growth_from_a_pruned_size_is_proved(pruned: Past) -> None:
    """A witness may be far behind."""
    async with open_program(settings(pruned.data, None), create=False) as program:
        for size in (1, 255, 300, OLDEST, OLDEST + 1):
            await program.proofs.growth(size, await program.store.size())
            assert 32 == len(await program.proofs.root(size) or b"")


def test_a_server_goes_on_from_a_checkpoint_that_is_pruned(before: Past, tmp_path: Path) -> None:
    """The one that the directory saw last may be as old as that."""
    past = before.copy(tmp_path)
    ((note,),) = rows(past, "SELECT note FROM checkpoint WHERE size > 20 ORDER BY size LIMIT 1")
    past.retain()
    (past.data / "checkpoint.last").write_text(note)
    grow(past.data, 1)
    past.run("verify")
    (past.data / "checkpoint.last").write_text(note)
    past.run("key", "list")


# ---------------------------------------------------------------- cut short


class KilledError(BaseException):
    """The process ends here."""


def killed(*_: object, **__: object) -> None:
    """End the process."""
    raise KilledError


def dies(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, past: Past, keep: str = "400d"
) -> None:
    """Prune, and die where it comes to that."""
    with monkeypatch.context() as patch:
        patch.setattr(where, name, killed)
        with pytest.raises(KilledError):
            past.retain(keep)


def dies_dropping(patch: pytest.MonkeyPatch, chunks: int) -> None:
    """Die after so many pieces of what is pruned were dropped."""
    drop, left = SQLiteStore.drop_pruned, iter(range(chunks))

    async def dropping(store: SQLiteStore) -> bool:
        if await store.pruned() and next(left, None) is None:
            raise KilledError
        return await drop(store)

    patch.setattr(SQLiteStore, "drop_pruned", dropping)


def test_an_end_before_the_record_prunes_nothing(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt takes the archive that is there."""
    past = before.copy(tmp_path)
    dies(monkeypatch, _pruning, "_record", past)
    assert list(range(OLDER)) == indices(past)
    assert "pruned_until" not in verified(past.data)
    (bundle,) = past.bundles
    written = bundle.stat().st_mtime_ns
    past.retain()
    assert written == bundle.stat().st_mtime_ns
    assert OLDER == verified(past.data)["pruned_until"]


def test_an_end_before_the_archive_leaves_nothing(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a file without a name."""
    past = before.copy(tmp_path)
    dies(monkeypatch, _archive, "write_bundle_file", past)
    assert [] == list(past.archive.iterdir())
    past.retain()
    assert OLDER == verified(past.data)["pruned_until"]


@pytest.mark.parametrize("chunks", [0, 1])
def test_an_end_while_entries_are_dropped_is_finished(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks: int
) -> None:
    """The log holds meanwhile; what is left is dropped by the next command, or by a server."""
    past = before.copy(tmp_path)
    with monkeypatch.context() as patch:
        dies_dropping(patch, chunks)
        with pytest.raises(KilledError):
            past.retain()
    assert len(indices(past)) > 100
    assert OLDER == verified(past.data)["pruned_until"]
    told = past.retain().output
    assert "A pruning that was cut short is finished." in told
    assert len(indices(past)) < 10
    assert OLDER == verified(past.data)["pruned_until"]


def test_an_answer_that_was_lost_is_no_second_pruning(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record was committed, and nobody learned of it."""
    past = before.copy(tmp_path)
    record = _pruning._record

    async def loses(*args: Any) -> int:
        await record(*args)
        raise UnavailableError("the answer got lost")

    with monkeypatch.context() as patch:
        patch.setattr(_pruning, "_record", loses)
        past.retain(code=2)
    assert "cut short is finished" in past.retain().output
    assert 1 == len(recorded(past))
    past.run("verify")


# ---------------------------------------------------------------- sinks


def with_sink(
    past: Past, cursor: int | None = None, letters: Sequence[int] = (), start: int | None = None
) -> str:
    """Make a sink that got the entries below an index, with some set aside; return its ID."""
    fields: dict[str, Any] = {"name": "siem", "type": "file"}
    fields["options"] = {"path": str(past.archive.parent / "sink.jsonl")}
    if start is not None:
        fields["start"] = start

    async def work() -> str:
        async with open_program(settings(past.data, None), create=False) as program:
            made = (await program.directory.create(caller("test"), "sink", fields)).value
            await a_start(program)  # a server may move a sink on
            if cursor is not None:
                delivery = Delivery(sink=made.id, cursor=cursor)
                await program.store.write(lambda tx: tx.keep_delivery(delivery))
            aside = [DeadLetter(made.id, index, "too large", "2026-01-01") for index in letters]
            await program.store.write(lambda tx: tx.note_dead_letters(aside))
            return made.id

    return run(work())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"cursor": OLDEST - 1}, f"siem (ok) still has to be given the entries from {OLDEST - 1}"),
        ({"start": 0}, "the sink siem (new) still has to be given the entries from 0 on"),
        ({"cursor": OLDER, "letters": [3, 300]}, "entry 3 is set aside for the sink siem"),
    ],
)
def test_what_a_sink_still_needs_is_not_pruned(
    before: Past, tmp_path: Path, how: dict[str, Any], said: str
) -> None:
    """It is named, and what to do about it."""
    past = before.copy(tmp_path)
    with_sink(past, **how)
    assert said in past.retain("480d", code=1).stderr
    assert said in past.retain("480d", "--dry-run", code=1).stderr
    assert list(range(OLDER)) == indices(past)
    assert [] == past.bundles


def test_a_sink_that_has_them_is_no_hindrance_and_can_not_get_them_again(
    before: Past, tmp_path: Path
) -> None:
    """From where the log begins now it can."""
    past = before.copy(tmp_path)
    with_sink(past, OLDER)
    past.retain("480d")
    told = past.run("sink", "replay", "siem", "--from", "3", code=1).stderr
    assert f"begin with --from {OLDEST}" in told
    past.run("sink", "replay", "siem", "--from", OLDEST)
    assert "a replay to the sink siem is not done" in past.retain(code=1).stderr


def test_a_new_sink_begins_after_what_is_pruned(pruned: Past, tmp_path: Path) -> None:
    """Though it was to begin with the first."""
    past = pruned.copy(tmp_path)
    place = ("--option", f"path={tmp_path / 'sink.jsonl'}", "--from", "beginning")
    told = past.run("sink", "create", "siem", "--type", "file", *place).stderr
    assert f"Entries before {OLDEST} were pruned, so they are not among these" in told

    async def cursor() -> int:
        async with open_program(settings(past.data, None), create=False) as program:
            return (await program.sinks.status(caller("test")))[0].cursor

    assert OLDEST == run(cursor())


def test_a_replay_that_is_asked_for_meanwhile_stops_it(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last look and the record."""
    past = before.copy(tmp_path)
    sink = with_sink(past, OLDER)
    replay = SinkReplay("0-r", sink, 5, 9, only_dead_letters=False, cursor=5, requested="")

    def ask(tx: Transaction) -> None:
        tx.add_replay(replay)
        tx.append(a_draft())

    looked = _pruning.require_unneeded
    looks = iter((False, True))

    async def look(store: Store, until: int) -> None:
        await looked(store, until)
        if next(looks):
            await store.write(ask)

    monkeypatch.setattr(_pruning, "require_unneeded", look)
    assert "sinks were changed meanwhile" in past.retain("480d", code=1).stderr
    assert list(range(OLDER)) == indices(past)


# ---------------------------------------------------------------- beside a server, and S3


def test_a_server_serves_meanwhile_and_finishes_what_was_cut_short(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request fails; two can't prune at once, and the file is made smaller when none serves."""
    past = before.copy(tmp_path)
    token = past.run("token", "create", "t", "--role", "reader", "--workspace", "*").stdout.strip()
    with Server(past.data) as server:
        with monkeypatch.context() as patch:
            dies_dropping(patch, 0)
            with pytest.raises(KilledError):
                past.retain("480d")
        deadline = time.monotonic() + 30
        while len(indices(past)) > OLDER - 200:
            assert 404 == server.request("GET", "/state/none", token=token).status
            assert time.monotonic() < deadline
        past.retain()
        assert 404 == server.request("GET", "/state/none", token=token).status
        assert "another server is running" in past.retain("900d", "--compact", code=2).stderr
        past.run("verify")
    size = (past.data / "tfaudit.db").stat().st_size
    past.retain("900d", "--compact")
    assert (past.data / "tfaudit.db").stat().st_size < size
    past.run("verify")


def test_two_do_not_prune_at_once(before: Past) -> None:
    """The second is told."""
    config = settings(before.data, None)
    with retain._alone(config):
        assert "another `tfaudit retain` is at work" in before.retain(code=1).stderr


@pytest.fixture(scope="session")
def aws() -> Aws:
    """Run moto's server once; each test uses names of its own."""
    return shared_aws()


@pytest.fixture
def bucket(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a bucket, and give the environment what leads to it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    name = f"archive-{uuid.uuid4()}"
    where = {"LocationConstraint": REGION}
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=where)
    return name


def to_s3(past: Past, aws: Aws, place: str, *options: str, code: int = 0) -> Result:
    """Prune into a bucket."""
    keep = ("--keep", "480d", "--archive", place, "--s3-region", REGION)
    return past.run("retain", "--yes", *keep, "--s3-endpoint", aws.url, *options, code=code)


def test_an_archive_in_s3_is_read_back(before: Past, tmp_path: Path, aws: Aws, bucket: str) -> None:
    """It proves itself, and nothing of it stays here."""
    past = before.copy(tmp_path)
    shown = json.loads(to_s3(past, aws, f"s3://{bucket}/logs/tfaudit", "--json").stdout)
    client = aws.client("s3")
    (found,) = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert f"s3://{bucket}/{found['Key']}" == shown["archive"]
    content = client.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
    assert sha256(content).hexdigest() == shown["sha256"]
    (tmp_path / "archive.zip").write_bytes(content)
    assert OLDEST == verified(tmp_path / "archive.zip", "--key", past.keys)["proved_entries"]
    assert [] == list((past.data / ".retain").iterdir())
    assert shown["archive"] == verified(past.data)["archive"]


def test_another_object_of_the_name_is_never_replaced(
    before: Past, tmp_path: Path, aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is pruned then; an archive of these entries is taken."""
    past = before.copy(tmp_path / "past")
    place = f"s3://{bucket}"
    with monkeypatch.context() as patch:
        patch.setattr(_pruning, "_record", killed)
        with pytest.raises(KilledError):
            to_s3(past, aws, place)
    client = aws.client("s3")
    (found,) = client.list_objects_v2(Bucket=bucket)["Contents"]
    content = client.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
    assert (
        sha256(content).hexdigest()
        == json.loads(to_s3(past, aws, place, "--json").stdout)["sha256"]
    )
    other = before.copy(tmp_path / "other")
    client.put_object(Bucket=bucket, Key=found["Key"], Body=b"precious")
    assert "is not the archive of entries" in to_s3(other, aws, place, code=1).stderr
    assert list(range(OLDER)) == indices(other)


def test_an_object_of_another_history_is_not_taken(
    before: Past, tmp_path: Path, aws: Aws, bucket: str
) -> None:
    """Though the keys are this log's, and the entries of these indices are, too."""
    lost, past = (before.copy(tmp_path / name) for name in ("lost", "past"))
    to_s3(lost, aws, f"s3://{bucket}")
    told = to_s3(past, aws, f"s3://{bucket}", code=1).stderr
    assert "its entries are of another history of the log" in told
    assert list(range(OLDER)) == indices(past)


def test_a_bucket_that_takes_nothing_leaves_the_log_as_it_is(
    before: Past, tmp_path: Path, aws: Aws, bucket: str
) -> None:
    """It is said what is wrong."""
    past = before.copy(tmp_path)
    told = to_s3(past, aws, f"s3://{bucket}-nowhere", code=2).stderr
    assert "there is no such bucket" in told
    assert list(range(OLDER)) == indices(past)
    told = past.run("retain", "--keep", "480d", "--archive", "s3://B", code=2).stderr
    assert "is no place in S3" in told


def test_an_anchor_of_what_is_pruned_holds(
    before: Past, pruned: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint is dropped, and was signed by a former key: the hashes tell."""
    sql = f"SELECT note FROM checkpoint WHERE size < {OLDEST} ORDER BY size DESC LIMIT 1"  # noqa: S608
    [(note,)] = rows(before, sql)
    assert [] == rows(pruned, sql)
    path = tmp_path / "note"
    path.write_text(note)
    tables = {"note": {"type": "file", "path": str(path)}}
    monkeypatch.setenv("TFAUDIT_ANCHORS", json.dumps(tables))
    past = pruned.copy(tmp_path / "copy")
    [shown] = json.loads(past.run("anchor", "list", "--json").stdout)
    assert (int(note.split("\n")[1]), True, "") == (
        shown["size"],
        shown["is_compared"],
        shown["error"],
    )
    assert "Verified" in past.run("verify", "--no-record", "--against", path).stdout


# ---------------------------------------------------------------- the whole history


def test_archives_and_what_is_left_are_the_whole_history(twice: Past) -> None:
    """Also after a rotation of both keys, by the newest alone."""
    told = twice.run("verify", "--no-record", "--archive", twice.archive).stdout
    assert f"Archived: the entries before {OLDER}, none missing" in told
    first, second = twice.bundles
    shown = verified(twice.data, "--no-record", "--archive", second, "--archive", first)
    assert OLDER == shown["archived_until"]


def test_a_gap_between_archives_is_told(twice: Past) -> None:
    """It could not be told what is in it."""
    shown = verified(twice.data, "--no-record", "--archive", twice.bundles[1], code=2)
    assert "unknown" == shown["result"]
    gap = f"the entries from 0 to {OLDEST - 1}, which were pruned"
    assert gap in str(shown["unchecked"])
    assert f"to {OLDER - 1}," not in str(shown["unchecked"])


def test_a_pipe_is_no_archive(twice: Past, tmp_path: Path) -> None:
    """It is passed over in a directory of archives, and named when it was named."""
    past = twice.copy(tmp_path)
    pipe = past.archive / "pipe.zip"
    os.mkfifo(pipe)
    shown = verified(past.data, "--no-record", "--archive", past.archive)
    assert OLDER == shown["archived_until"]
    told = past.run("verify", "--no-record", "--archive", pipe, code=2).stderr
    assert "pipe.zip is no regular file" in told


def test_an_archive_of_another_log_is_found(twice: Past, tmp_path: Path) -> None:
    """And one that was altered, or is a choice of entries.

    It is passed over where archives of this log stand too.
    """
    other = a_past(tmp_path / "other")
    other.retain("480d")
    told = twice.run("verify", "--no-record", "--archive", other.archive, code=2).stderr
    assert "names no archive of this log" in told
    both = ("--archive", other.archive, "--archive", twice.archive)
    shown = verified(twice.data, "--no-record", *both)
    assert "verified" == shown["result"]
    assert "an archive of another log" in str(shown["unchecked"])
    broken = tmp_path / "broken.zip"
    broken.write_bytes(twice.bundles[0].read_bytes()[:-100])
    assert 1 == twice.run("verify", "--no-record", "--archive", broken, code=1).exit_code
    part = tmp_path / "part.zip"
    twice.run("export", "--format", "bundle", "--event", "key.*", "-o", part)
    told = twice.run("verify", "--no-record", "--archive", part, code=2).stderr
    assert "is a choice of entries, and no archive" in told
    told = twice.run("verify", "--no-record", "--archive", tmp_path / "other", code=2).stderr
    assert "names no archive" in told


def test_tiles_of_a_pruned_log_and_its_archives_are_the_whole_history(
    twice: Past, tmp_path: Path
) -> None:
    """With all keys of the log."""
    past = twice.copy(tmp_path / "copy")
    past.run("export", "--format", "tiles", "-o", tmp_path / "tiles")
    keys = tmp_path / "keys.json"
    keys.write_text(past.run("key", "export-public", "--json").stdout)
    shown = verified(tmp_path / "tiles", "--key", keys, "--archive", past.archive)
    assert OLDER == shown["archived_until"]
    told = past.run("verify", past.bundles[0], "--archive", past.archive, code=2).stderr
    assert "--archive is for a log" in told


async def test_a_verification_that_is_overtaken_by_a_pruning_begins_anew(
    before: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for entries that were there when it began."""
    past = before.copy(tmp_path)
    keys = TrustedKeys.of_ring(open_keys(settings(past.data, None), create=False))
    beginnings: list[int] = []

    async def overtaken(store: SQLiteReader, snapshot: Snapshot) -> Start:
        found = await read_start(store, snapshot)
        beginnings.append(found.until)
        if len(beginnings) == 1:
            await asyncio.to_thread(past.retain, "480d")
        return found

    monkeypatch.setattr(_verification, "read_start", overtaken)
    async with SQLiteReader(past.data / "tfaudit.db") as store:
        findings = await verify_store(store, keys, [], lambda: None)
    # The second is that of the pruning itself.
    assert [0, 0, OLDEST] == beginnings
    assert OLDEST == findings.pruned_until
