"""Tests of proxy.storage.sqlite: the contract of every store, and what is SQLite's own."""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event

import pytest

from proxy.access import View
from proxy.audit_log import AuditLog
from proxy.contracts import LogQuery, Store, Transaction
from proxy.directory import Directory
from proxy.errors import ConfigError, TfauditError, UnavailableError
from proxy.storage.sqlite import SQLiteStore
from proxy.storage.transaction import read_directory
from tests.contracts.store_contract import (
    DIGEST,
    Reopen,
    StoreContract,
    a_run,
    a_token,
    an_object,
    recorded,
    uses_token,
    verify_whole,
)
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN
from tests.samples import (
    WORKSPACE,
    Clock,
    a_draft,
    a_held_lock,
    a_version,
    an_audit_log,
    an_open_store,
    log_of,
)


class TestSQLiteStore(StoreContract):
    """The embedded store keeps every promise."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        """Open the one database in the test's directory."""
        return lambda: an_open_store(tmp_path)


def change(path: Path, sql: str) -> None:
    """Change the database behind the store's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


async def append(store: Store, message: str = "something happened") -> None:
    """Append one entry."""
    await store.write(lambda tx: tx.append(a_draft(message)))


async def test_an_unchanged_token_that_is_read_anew_is_the_one_from_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody need find out again what its principal may; a changed one is another."""
    monkeypatch.setattr("proxy.storage.sqlite._TOKEN_SECONDS", 0.0)
    async with an_open_store(tmp_path) as store:
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        first = store.token_by_digest(DIGEST)
        assert first is store.token_by_digest(DIGEST)
        await store.write(recorded(lambda tx: tx.revoke_token("0193-1")))
        changed = store.token_by_digest(DIGEST)
        assert changed is not None
        assert changed.revoked is not None


async def test_the_directory_is_read_by_many_at_once_each_in_a_view_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Services read it on threads of theirs while the event loop tells who asks."""
    monkeypatch.setattr("proxy.storage.sqlite._TOKEN_SECONDS", 0.0)
    reading, go_on = Event(), Event()

    def slowly(connection: sqlite3.Connection) -> Directory:
        (generation,) = connection.execute("SELECT generation FROM directory").fetchone()
        if not reading.is_set():  # the thread's
            reading.set()
            assert go_on.wait(30)
        found = read_directory(connection)
        assert generation == found.generation
        return found

    monkeypatch.setattr("proxy.storage.sqlite.read_directory", slowly)
    async with an_open_store(tmp_path) as store:
        thread = asyncio.create_task(asyncio.to_thread(store.directory))
        assert await asyncio.to_thread(reading.wait, 30)
        assert 0 == store.directory().generation
        await store.write(recorded(lambda tx: tx.put_object(an_object())))
        assert 1 == store.directory().generation
        go_on.set()
        assert 0 == (await thread).generation


async def test_a_directory_read_before_a_change_is_not_kept_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was just granted something is not refused because somebody else read slowly."""
    reading, go_on = Event(), Event()

    def slowly(connection: sqlite3.Connection) -> Directory:
        found = read_directory(connection)
        if not reading.is_set():
            reading.set()
            assert go_on.wait(30)
        return found

    monkeypatch.setattr("proxy.storage.sqlite.read_directory", slowly)
    async with an_open_store(tmp_path) as store:
        thread = asyncio.create_task(asyncio.to_thread(store.directory))
        assert await asyncio.to_thread(reading.wait, 30)
        await store.write(recorded(lambda tx: tx.put_object(an_object())))
        go_on.set()
        await thread
        assert 1 == store.directory().generation


def a_job_that_fails_at_the_second_try() -> Callable[[Transaction], int]:
    """Return a job to which the disk fails when it is run alone, after it was run with others."""
    tries = iter([None, sqlite3.OperationalError("disk I/O error")])

    def job(tx: Transaction) -> int:
        if (error := next(tries)) is not None:
            raise error
        return tx.append(a_draft("fails"))

    return job


async def test_what_was_committed_alone_stays_so_when_a_later_job_fails(tmp_path: Path) -> None:
    """Each is told what happened to its own: done, refused, or not done with all that waited."""
    batches: list[int] = []

    def add(token_id: str) -> Callable[[Transaction], None]:
        token = replace(a_token(), id=token_id)
        return recorded(lambda tx: tx.add_token(token, DIGEST))

    jobs: list[Callable[[Transaction], object]] = [
        add("0193-1"),
        add("0193-2"),  # the same digest: both can't be stored
        lambda tx: tx.append(a_draft("between")),
        a_job_that_fails_at_the_second_try(),
        lambda tx: tx.append(a_draft("never")),
    ]
    async with a_counting_store(tmp_path, batches) as store:
        done, refused, between, failed, after = await asyncio.gather(
            *map(store.write, jobs), return_exceptions=True
        )
        assert not isinstance(done, BaseException)
        assert not isinstance(between, BaseException)
        assert (0, 1) == (done.index, between.index)
        assert isinstance(refused, UnavailableError)
        assert "the store refused this, so nothing was done" in str(refused)
        for each in (failed, after):
            assert isinstance(each, UnavailableError)
            assert "could not commit, so nothing was done: disk I/O error" in str(each)
        assert ["0193-1"] == [token.id for token in await store.tokens()]
        await append(store, "goes on")
        assert ["something happened", "between", "goes on"] == [
            entry["message"] for entry in await log_of(store)
        ]
        assert 3 == await verify_whole(store)


# ---------------------------------------------------------------- opening


async def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask says: it holds entries and digests of tokens."""
    before = os.umask(0)
    try:
        async with an_open_store(tmp_path) as store:
            await append(store)
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert dict.fromkeys(modes, 0o600) == modes
    assert "tfaudit.db" in modes


async def test_commits_survive_a_power_cut(tmp_path: Path) -> None:
    """Write-ahead log with an fsync for each commit."""
    async with an_open_store(tmp_path) as store:
        assert ("wal",) == store._writer.execute("PRAGMA journal_mode").fetchone()
        assert (2,) == store._writer.execute("PRAGMA synchronous").fetchone()


async def test_a_missing_database_is_not_made_unless_asked(tmp_path: Path) -> None:
    """A typo in the path must not give an empty store."""
    with pytest.raises(ConfigError, match="there is no database at"):
        async with SQLiteStore(tmp_path / "tfaudit.db", an_audit_log()):
            pass
    assert [] == list(tmp_path.iterdir())


async def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    """And stays as it is."""
    path = tmp_path / "tfaudit.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(ConfigError, match="can't be opened for writing"):
        async with an_open_store(tmp_path):
            pass
    assert b"not a database" * 1000 == path.read_bytes()


async def test_a_directory_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """It never falls back to memory."""
    with pytest.raises(ConfigError, match="can't be opened for writing"):
        async with an_open_store(tmp_path / "nowhere"):
            pass


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE log_head SET size = 2",
        "UPDATE log_head SET size = 4",
        "UPDATE log_head SET frontier = zeroblob(64)",
        "UPDATE checkpoint SET note = replace(note, '3', '4') WHERE size = 3",
        "DELETE FROM checkpoint WHERE size = 3",
        "UPDATE log_head SET size = 3.5",
        "UPDATE log_head SET size = 0, frontier = x''",
        "UPDATE entry SET idx = 9 WHERE idx = 2",
        "DELETE FROM log_head",
    ],
)
async def test_a_head_that_was_edited_stops_the_start(tmp_path: Path, sql: str) -> None:
    """Nothing may be appended to a tree that we did not sign."""
    async with an_open_store(tmp_path) as store:
        for _ in range(3):
            await append(store)
    change(tmp_path / "tfaudit.db", sql)
    with pytest.raises(ConfigError, match=r"run `tfaudit verify`|restore a backup"):
        async with an_open_store(tmp_path):
            pass


async def test_a_database_of_other_keys_stops_the_start(tmp_path: Path) -> None:
    """Two keys on one log would make two histories."""
    async with an_open_store(tmp_path) as store:
        await append(store)
    swapped = AuditLog(CHECKPOINT_KEY, ENTRY_KEY, ORIGIN, clock=Clock(), random=os.urandom)
    with pytest.raises(ConfigError, match=r"belongs to other keys"):
        async with SQLiteStore(tmp_path / "tfaudit.db", swapped):
            pass


# ---------------------------------------------------------------- under the running server


async def test_a_database_that_is_replaced_under_the_server_takes_nothing(tmp_path: Path) -> None:
    """A backup moved over the open file: the request fails, and both files stay as they are."""
    path = tmp_path / "tfaudit.db"
    async with an_open_store(tmp_path) as store:
        await append(store)
        await store.backup(tmp_path / "backup.db")
        await append(store)
        (tmp_path / "backup.db").replace(path)
        with pytest.raises(UnavailableError, match="was replaced while the server was running"):
            await append(store)


async def test_a_database_that_is_removed_under_the_server_takes_nothing(tmp_path: Path) -> None:
    """What would be written to an unlinked file is gone at the next restart."""
    async with an_open_store(tmp_path) as store:
        await append(store)
        (tmp_path / "tfaudit.db").unlink()
        with pytest.raises(UnavailableError, match="could not commit"):
            await append(store)


async def test_a_log_that_shrinks_under_the_server_takes_nothing(tmp_path: Path) -> None:
    """An older head put into the same file."""
    path = tmp_path / "tfaudit.db"
    async with an_open_store(tmp_path) as store:
        await append(store)
        with closing(sqlite3.connect(path)) as connection:
            size, frontier, micros = connection.execute(
                "SELECT size, frontier, micros FROM log_head"
            ).fetchone()
            await append(store)
            with connection:
                connection.execute(
                    "UPDATE log_head SET size = ?, frontier = ?, micros = ?",
                    (size, frontier, micros),
                )
        with pytest.raises(UnavailableError, match="the log shrank from 2 to 1"):
            await append(store)


async def test_a_head_that_is_edited_under_the_server_takes_nothing(tmp_path: Path) -> None:
    """A head that no checkpoint of ours covers."""
    async with an_open_store(tmp_path) as store:
        await append(store)
        change(tmp_path / "tfaudit.db", "UPDATE log_head SET frontier = zeroblob(32)")
        with pytest.raises(UnavailableError, match="not covered by a checkpoint"):
            await append(store)
        assert 1 == await store.size()


async def test_a_state_that_is_on_record_but_gone_is_not_no_state(tmp_path: Path) -> None:
    """A false "there is no state" would make Terraform build everything anew."""
    async with an_open_store(tmp_path) as store:
        await store.write(recorded(lambda tx: tx.add_version(a_version(), b"body")))
    change(tmp_path / "tfaudit.db", "DELETE FROM state_version")
    async with an_open_store(tmp_path) as store:
        with pytest.raises(UnavailableError, match="can't be found in the store"):
            await store.write(lambda tx: tx.head(WORKSPACE))


async def test_a_store_that_is_busy_fails_the_request_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the write lock for too long; afterwards all goes on."""
    monkeypatch.setattr("proxy.storage.sqlite.BUSY_SECONDS", 0.1)
    async with an_open_store(tmp_path) as store:
        await append(store)
        with closing(sqlite3.connect(tmp_path / "tfaudit.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnavailableError, match="could not commit, so nothing was done"):
                await append(store)
            other.execute("ROLLBACK")
        await append(store)
        assert 2 == await verify_whole(store)


async def test_a_full_disk_fails_the_whole_batch_and_recovers(tmp_path: Path) -> None:
    """Not persisted: nobody is told otherwise; with space again all goes on."""
    async with an_open_store(tmp_path) as store:
        await append(store)
        (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
        store._writer.execute(f"PRAGMA max_page_count = {pages}")
        large = a_version()
        answers = await asyncio.gather(
            append(store),
            store.write(recorded(lambda tx: tx.add_version(large, bytes(1 << 20)))),
            append(store),
            return_exceptions=True,
        )
        assert [UnavailableError] * 3 == [type(answer) for answer in answers]
        assert 1 == await store.size()
        store._writer.execute("PRAGMA max_page_count = 1000000")
        await append(store)
        assert 2 == await verify_whole(store)


async def test_a_signer_that_fails_fails_only_while_it_does(tmp_path: Path) -> None:
    """Not persisted: an entry or a checkpoint that can't be signed is not committed."""
    audit = an_audit_log()
    async with SQLiteStore(tmp_path / "tfaudit.db", audit, create=True) as store:
        sign = audit.sign_entry

        def broken(data: object) -> bytes:  # noqa: ARG001 - as the key's own
            raise OSError

        audit.sign_entry = broken
        with pytest.raises(UnavailableError):
            await append(store)
        audit.sign_entry = sign
        await append(store)
        assert 1 == await verify_whole(store)


async def test_a_bug_in_a_draft_does_not_end_the_writer(tmp_path: Path) -> None:
    """An entry without an actor can't be indexed: its job fails, and the store lives on."""
    store = SQLiteStore(tmp_path / "tfaudit.db", an_audit_log(), create=True)
    async with store:
        bad = a_draft()
        del bad.entry["actor"]
        async with asyncio.timeout(2):
            with pytest.raises((KeyError, UnavailableError)):
                await store.write(lambda tx: tx.append(bad))
            await append(store)


async def test_a_broken_rule_of_the_schema_is_told_as_ours(tmp_path: Path) -> None:
    """Driver errors become ours at the line where they occur."""
    async with an_open_store(tmp_path) as store:
        await store.write(recorded(lambda tx: tx.set_lock(a_held_lock())))
        with pytest.raises(TfauditError):
            await store.write(recorded(lambda tx: tx.set_lock(a_held_lock("lock-2"))))


# ---------------------------------------------------------------- commits


async def test_what_waits_is_committed_together(tmp_path: Path) -> None:
    """A hundred writers at once cost a few transactions, not a hundred."""
    commits: list[tuple[int, int]] = []
    store = SQLiteStore(
        tmp_path / "tfaudit.db",
        an_audit_log(),
        create=True,
        on_commit=lambda jobs, entries, _: commits.append((jobs, entries)),
    )
    async with store:
        await asyncio.gather(*(append(store) for _ in range(100)))
    assert (100, 100) == (sum(jobs for jobs, _ in commits), sum(each for _, each in commits))
    assert len(commits) <= 3


def a_counting_store(directory: Path, batches: list[int]) -> SQLiteStore:
    """Return a store that tells the jobs of each batch."""
    return SQLiteStore(
        directory / "tfaudit.db",
        an_audit_log(),
        create=True,
        on_commit=lambda jobs, _, __: batches.append(jobs),
    )


async def test_a_batch_waits_for_the_jobs_of_a_crowd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second job is handed over after the writer took the first, and joins it."""
    monkeypatch.setattr("proxy.storage.sqlite._PATIENCE_SECONDS", 60.0)
    batches: list[int] = []
    asked = Event()
    uploads = iter([16, 0])  # the crowd is gone by the second look

    def crowd() -> int:
        asked.set()
        return next(uploads)

    async with a_counting_store(tmp_path, batches) as store:
        store.crowd = crowd
        first = asyncio.create_task(append(store))
        assert await asyncio.to_thread(asked.wait, 30)
        await asyncio.gather(first, append(store))
    assert [2] == batches


@pytest.mark.parametrize(("uploads", "patience"), [(16, 0.001), (15, 60.0)])
async def test_a_batch_waits_not_long_and_not_for_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uploads: int, patience: float
) -> None:
    """Nobody's request hangs on what others might do."""
    monkeypatch.setattr("proxy.storage.sqlite._PATIENCE_SECONDS", patience)
    batches: list[int] = []
    async with a_counting_store(tmp_path, batches) as store:
        store.crowd = lambda: uploads
        async with asyncio.timeout(30):
            await append(store)
    assert [1] == batches


async def test_a_batch_that_is_large_waits_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own part of the cost of a commit is small."""
    monkeypatch.setattr("proxy.storage.sqlite._PATIENCE_SECONDS", 60.0)
    batches: list[int] = []
    async with a_counting_store(tmp_path, batches) as store:
        store.crowd = lambda: 100
        async with asyncio.timeout(30):
            await asyncio.gather(*(append(store) for _ in range(32)))
    assert [32] == batches


async def test_a_store_closes_while_a_batch_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed over is committed, at once."""
    monkeypatch.setattr("proxy.storage.sqlite._PATIENCE_SECONDS", 60.0)
    batches: list[int] = []
    async with asyncio.timeout(30), a_counting_store(tmp_path, batches) as store:
        store.crowd = lambda: 100
        waiting = asyncio.create_task(append(store))
        await asyncio.sleep(0)
    await waiting
    assert [1] == batches


async def test_a_batch_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many jobs become several commits, and none is lost."""
    monkeypatch.setattr("proxy.storage.sqlite.MAX_BATCH", 10)
    async with an_open_store(tmp_path) as store:
        await asyncio.gather(*(append(store) for _ in range(95)))
        await append(store)
        assert 96 == await verify_whole(store)


_APPENDER = """
import asyncio, sys
from pathlib import Path
from tests.samples import a_draft, an_open_store

async def main():
    async with an_open_store(Path(sys.argv[1])) as store:
        print("open", flush=True)
        sys.stdin.readline()
        for number in range(50):
            await store.write(lambda tx: tx.append(a_draft(f"{sys.argv[2]}/{number}")))

asyncio.run(main())
"""


async def test_two_processes_append_to_one_file_at_once(tmp_path: Path) -> None:
    """One log: every entry of both is there, in each one's order, and the whole verifies."""
    async with an_open_store(tmp_path):
        pass
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _APPENDER,
            tmp_path,
            name,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for name in ("one", "two")
    ]
    for process in processes:
        assert process.stdout is not None
        assert b"open\n" == await process.stdout.readline()
    await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [0, 0] == [process.returncode for process in processes]
    async with an_open_store(tmp_path) as store:
        messages = [entry["message"] for entry in await log_of(store)]
        for name in ("one", "two"):
            own = [message for message in messages if message.startswith(name)]
            assert [f"{name}/{number}" for number in range(50)] == own
        assert 100 == await verify_whole(store)


# ---------------------------------------------------------------- destroying


def gives(workspace: str, value: bytes) -> Callable[[Transaction], None]:
    """Return a job that gives a workspace a salt."""
    return lambda tx: tx.set_salt(workspace, value)


def destroys(workspace: str) -> Callable[[Transaction], None]:
    """Return a job that destroys a salt."""
    return lambda tx: tx.destroy_salt(workspace)


def files_of(directory: Path) -> bytes:
    """Return all bytes of all files of the store."""
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


async def test_nothing_is_left_of_a_destroyed_salt(tmp_path: Path) -> None:
    """Neither in the database nor in its log, wherever pages were split and rows moved before.

    While another process has the database open, as a server has.
    """
    random = Random(41)
    names = [f"{number:03}-{'x' * random.randrange(60)}" for number in range(200)]
    random.shuffle(names)
    salts: dict[str, bytes] = {}

    async with an_open_store(tmp_path) as server, an_open_store(tmp_path) as beside:

        async def destroy(name: str) -> None:
            await beside.write(recorded(destroys(name)))
            await beside.scrub()
            assert salts.pop(name) not in files_of(tmp_path)

        for name in names:
            salts[name] = random.randbytes(32)
            await server.write(recorded(gives(name, salts[name])))
            assert salts[name] in files_of(tmp_path)
            if random.random() < 0.6:
                await destroy(random.choice(list(salts)))
        while len(salts) > 10:
            await destroy(random.choice(list(salts)))
        kept = (await server.write(lambda tx: [tx.salt(name) for name in salts])).value
        assert list(salts.values()) == [salt.value for salt in kept if salt is not None]


async def test_traces_that_a_reader_still_needs_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older view keeps what it sees: nobody may believe that it is gone."""
    monkeypatch.setattr("proxy.storage.sqlite.BUSY_SECONDS", 0.05)
    async with an_open_store(tmp_path) as store:
        await append(store)
        with closing(sqlite3.connect(tmp_path / "tfaudit.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM log_head").fetchall()
            await append(store)
            with pytest.raises(UnavailableError, match="somebody is reading the database"):
                await store.scrub()
        await store.scrub()


# ---------------------------------------------------------------- backup


async def test_a_backup_while_others_write_is_one_consistent_moment(tmp_path: Path) -> None:
    """Every entry up to some moment, the state of that moment, and a log that verifies."""
    target = tmp_path / "copy"
    target.mkdir()

    def job(number: int) -> Callable[[Transaction], None]:
        def run(tx: Transaction) -> None:
            tx.add_version(a_version(number), bytes(10_000))
            tx.append(a_draft())

        return run

    async with an_open_store(tmp_path) as store:

        async def write_on() -> None:
            for number in range(1, 200):
                await store.write(job(number))

        writing = asyncio.create_task(write_on())
        await asyncio.sleep(0.05)
        await store.backup(target / "tfaudit.db")
        assert not writing.done()
        await writing
        assert 0o600 == (target / "tfaudit.db").stat().st_mode & 0o777
    async with an_open_store(target) as copy:
        size = await verify_whole(copy)
        assert 0 < size < 199
        assert size == len(await copy.versions(WORKSPACE))


async def test_a_backup_is_one_file_that_needs_no_other(tmp_path: Path) -> None:
    """No write-ahead log beside it has to be copied with it."""
    async with an_open_store(tmp_path) as store:
        await append(store)
        await store.backup(tmp_path / "backup.db")
        assert not (tmp_path / "backup.db-wal").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(tmp_path / "backup.db", elsewhere / "tfaudit.db")
    async with an_open_store(elsewhere) as store:
        assert 1 == await verify_whole(store)


# ---------------------------------------------------------------- searching what was altered


@pytest.mark.parametrize(
    "query",
    [
        LogQuery(event="state.*"),
        LogQuery(view=View(("prod/*",))),
        LogQuery(actor="mallory"),
        LogQuery(outcome="success", newest_first=True, limit=1),
    ],
)
async def test_a_search_shows_nothing_that_is_filed_as_something_else(
    tmp_path: Path, query: LogQuery
) -> None:
    """What an entry is found by is a copy: the signed entry has the last word."""
    async with an_open_store(tmp_path) as store:
        await append(store)
        change(tmp_path / "tfaudit.db", "UPDATE entry SET actor = 'mallory', workspace = 'prod/x'")
        with pytest.raises(UnavailableError, match=r"entry 0 is filed as .* `tfaudit verify`"):
            await log_of(store, query)


async def test_a_search_shows_no_entry_that_is_none(tmp_path: Path) -> None:
    """Nor does it fail in any other way."""
    async with an_open_store(tmp_path) as store:
        await append(store)
        change(tmp_path / "tfaudit.db", "UPDATE entry SET entry = x'00'")
        with pytest.raises(UnavailableError, match="tfaudit verify"):
            await log_of(store, LogQuery(outcome="success"))


async def test_all_of_an_altered_log_can_still_be_listed(tmp_path: Path) -> None:
    """By the entries themselves, as evidence."""
    async with an_open_store(tmp_path) as store:
        await append(store)
        change(tmp_path / "tfaudit.db", "UPDATE entry SET actor = 'mallory'")
        (entry,) = await log_of(store, LogQuery(newest_first=True, limit=5, after=-1))
        assert "alice" == entry["actor"]["name"]


async def test_nothing_is_made_of_a_run_that_was_altered(tmp_path: Path) -> None:
    """Neither a wrong event nor none: its lock waits for somebody who looks."""
    async with an_open_store(tmp_path) as store:
        run = a_run()
        await store.write(recorded(lambda tx: tx.set_run(run)))
        change(tmp_path / "tfaudit.db", "UPDATE run SET document = x'7b7d'")
        store._known.forget()
        for read in (store.write(lambda tx: tx.run(run.workspace)), store.runs()):
            with pytest.raises(UnavailableError) as caught:
                await read
            for said in (f"on {run.workspace} ", "`tfaudit verify`", "`tfaudit backup restore`"):
                assert said in str(caught.value)


# ---------------------------------------------------------------- the last use of a token


async def used(store: Store) -> str | None:
    """Return the last use of the only token."""
    [token] = await store.tokens()
    return token.used


async def test_a_use_in_another_minute_is_kept(tmp_path: Path) -> None:
    """The first of each minute, and no other: a busy token costs no write for each request."""
    clock = Clock()
    async with SQLiteStore(tmp_path / "tfaudit.db", an_audit_log(clock), create=True) as store:
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        kept = []
        for seconds in (0, 59, 1, 1):
            clock.micros += seconds * 1_000_000
            time = (await store.write(uses_token())).value
            kept.append(await used(store) == time)
    assert [True, False, True, False] == kept


async def test_a_batch_that_fails_leaves_no_use(tmp_path: Path) -> None:
    """Nor does the store believe that it kept one."""

    def breaks(_: Transaction) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async with an_open_store(tmp_path) as store:
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        answers = await asyncio.gather(
            store.write(uses_token()), store.write(breaks), return_exceptions=True
        )
        assert [UnavailableError] * 2 == [type(each) for each in answers]
        assert await used(store) is None
        time = (await store.write(uses_token())).value
        assert time == await used(store)
