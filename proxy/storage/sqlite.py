"""The embedded store: one SQLite file, one writer thread with group commit, many readers.

Everything that writes goes through one thread that owns the only write connection. It takes
every job that waits, runs them in one transaction, appends their entries, signs one checkpoint
and commits with ``synchronous=FULL`` (https://sqlite.org/pragma.html#pragma_synchronous);
only then is anybody answered. Other processes may write to the same file: the log's head is
read inside each transaction and never remembered across them.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Empty, LifoQueue, SimpleQueue
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

import orjson

from proxy.access import EVERYTHING, EVERYWHERE
from proxy.audit_log import AuditLog, Batch, LogHead
from proxy.contracts import (
    Committed,
    DeadLetter,
    Delivery,
    Draft,
    HeldLock,
    LogQuery,
    SinkReplay,
    StateVersion,
    StoredPassword,
    StoredRecord,
    StoredSession,
    StoredToken,
    WorkspaceSummary,
)
from proxy.directory import Directory
from proxy.errors import (
    ConfigError,
    HaltedError,
    InvalidInputError,
    TfauditError,
    UnavailableError,
)
from proxy.logs import Logger
from proxy.packing import unpack
from proxy.runs import Run
from proxy.storage.migrations import MIGRATIONS
from proxy.storage.tiles import KeptTile, read_tiles, unkept_tiles
from proxy.storage.transaction import (
    DEAD_LETTER_COLUMNS,
    DELIVERY_COLUMNS,
    KEPT_VERSIONS,
    LOCK_COLUMNS,
    MAX_KNOWN,
    PASSED,
    PRUNED,
    REPLAY_COLUMNS,
    SESSION_COLUMNS,
    TOKEN_COLUMNS,
    VERSION_COLUMNS,
    Known,
    SQLiteTransaction,
    delivery_of,
    insert_rows,
    read_directory,
    replay_of,
    run_of_row,
    token_of,
)
from proxy.timestamps import rfc3339
from proxy.tlog.entry import Record
from proxy.tlog.tiles import WIDTH, Tile
from proxy.workspace_rules import standing

T = TypeVar("T")

MAX_BATCH: Final = 512
"""Jobs in one transaction; more wait for the next."""

_CROWD: Final = 16
"""Uploads that are being prepared, from which on a batch waits for their jobs. They wait for each
other anyway, so it costs nobody anything, and every batch costs as much as some of its jobs."""
_ENOUGH: Final = 32
"""Jobs with which a batch waits for no more."""
_PATIENCE_SECONDS: Final = 0.01
"""How long a batch waits at most."""

BUSY_SECONDS: Final = 10.0
"""How long a transaction waits for another process's, before the request fails."""

_SCRUB_MILLISECONDS: Final = 1000
"""How long a scrub waits for those who read an older view; then somebody has to ask again."""

_MOST_TILES: Final = 32
"""Full tiles kept by one transaction: a quarter of a megabyte, so that no request waits for it."""

_MOST_DROPPED: Final = 256
"""Pruned entries that one transaction drops: a few milliseconds, so that no request waits long."""

_PAGE: Final = 1000
"""Rows read at a time when the log is followed or verified."""

_READ_BYTES: Final = 4 << 20
"""Bytes of entries that are read ahead for a sink; one entry more may come."""

FILED_COLUMNS: Final = "time, event, outcome, workspace, actor, actor_id, source_ip"
"""Copies of what an entry says, which decide who finds it; the entry itself is what is signed."""

_TOKEN_SECONDS: Final = 1.0
"""How long a token that was looked up is taken as it is for telling who asks. Whoever then acts
is checked again in the transaction, so that a token revoked in between does nothing."""

_OLDER_VERSION_COLUMNS: Final = VERSION_COLUMNS.removesuffix(", v.run, v.pruned, v.pruned_by")

_log = Logger("tfaudit.store")


class _Job(NamedTuple):
    run: Callable[[SQLiteTransaction], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class _Answer(NamedTuple):
    job: _Job
    value: Any
    error: BaseException | None


class SQLiteStore:
    """contracts.Store in one SQLite file; open it with ``async with``.

    Args:
        path: the database file.
        audit: signs the entries of each batch.
        create: make the file when there is none; otherwise its absence is an error.
        on_commit: told the number of jobs and entries and the seconds of each commit.

    Attributes:
        crowd: asked by the writer how many uploads are being prepared, whose jobs will follow.
    """

    def __init__(
        self,
        path: Path,
        audit: AuditLog,
        *,
        create: bool = False,
        on_commit: Callable[[int, int, float], None] | None = None,
    ) -> None:
        self._path = path
        self._audit = audit
        self._create = create
        self._on_commit = on_commit
        self.crowd: Callable[[], int] = lambda: 0
        self._queue: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._waiting: list[_Job] = []
        self._halted = ""
        self._closed = False
        self._writer: sqlite3.Connection
        self._thread: threading.Thread
        # The log and its index hold what the file does not have yet: all three are the database.
        self._files = tuple(f"{path.absolute()}{suffix}" for suffix in ("", "-wal", "-shm"))
        self._opened: list[tuple[int, int]]
        self._lookup: sqlite3.Connection
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        # What this process saw last; compared with the database, never used in its place.
        self._seen: LogHead | None = None
        self._known = Known()
        self._is_suspect = False
        self._tokens: dict[bytes, tuple[float, StoredToken]] = {}
        self._sessions: dict[bytes, tuple[float, StoredSession]] = {}
        self._directory: tuple[float, Directory] | None = None
        # How often the writer let go of it: whoever read it meanwhile does not keep what they read.
        self._directory_changes = 0
        # So many full tiles of level 0 there were when all of them were kept.
        self._tiled = 0
        # All that is pruned below this index was dropped.
        self._dropped = 0

    # ------------------------------------------------------------ opening and closing

    async def __aenter__(self) -> Self:
        """Open the file and start the writer.

        Raises:
            ConfigError: the file can't be opened, is not ours, or is not consistent.
        """
        await asyncio.to_thread(self._open)
        self._thread = threading.Thread(target=self._run, name="tfaudit-writer", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish what waits, then close."""
        await self.aclose()

    async def aclose(self) -> None:
        """Finish the jobs that wait, then close every connection; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._flush()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        # The writer last: only a connection that may write moves the WAL into the database.
        self._lookup.close()
        while not self._readers.empty():
            self._readers.get_nowait().close()
        self._writer.close()

    def _open(self) -> None:
        if not self._create and not self._path.is_file():
            raise ConfigError(
                f"there is no database at {self._path}: name the right data directory, or start "
                "`tfaudit serve` once to create it"
            )
        try:
            if self._create and not self._path.exists():
                # SQLite would give the file the umask's permissions.
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._writer = self._connect("rw")
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")
            self._writer.execute("PRAGMA wal_autocheckpoint=4000")
            # What is destroyed is overwritten. Hardly anything ever is, so it costs nothing.
            self._writer.execute("PRAGMA secure_delete=ON")
            # Also a row that another replaces is deleted, for the triggers.
            self._writer.execute("PRAGMA recursive_triggers=ON")
            MIGRATIONS.apply(self._writer)
            self._lookup = self._connect("ro")
            head = self._read_head(self._writer)
            self._check_head(head)
            self._seen = head
            self._opened = self._identity()
        except UnavailableError as error:
            raise ConfigError(str(error)) from error
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(
                f"the database {self._path} can't be opened for writing: {error}; check the path, "
                "its owner, the free space and that the disk is not mounted read-only"
            ) from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("PRAGMA cache_size=-16000")
        return connection

    def _identity(self) -> list[tuple[int, int]]:
        # Runs for every batch; os.stat costs less than Path.
        return [(status.st_dev, status.st_ino) for status in map(os.stat, self._files)]

    # ------------------------------------------------------------ the writer

    async def write(self, job: Callable[[SQLiteTransaction], T]) -> Committed[T]:
        """Run the job in the next batch; see contracts.Store."""
        if self._closed:
            raise UnavailableError("the store is closing: ask again in a moment")
        if self._halted:
            raise HaltedError(self._halted)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Committed[T]] = loop.create_future()
        self._waiting.append(_Job(job, future, loop))
        if len(self._waiting) == 1:
            # Whatever the loop handles in this round joins the batch: one wake-up, one fsync.
            loop.call_soon(self._flush)
        return await future

    def halt(self, reason: str) -> None:
        """Take no more jobs, for good: the log must not grow from where it is.

        Args:
            reason: told to whoever asks.
        """
        self._halted = reason

    def _flush(self) -> None:
        if self._waiting:
            self._queue.put(self._waiting)
            self._waiting = []

    def _run(self) -> None:
        closing = False
        while not closing:
            jobs = self._queue.get()
            deadline = time.monotonic() + _PATIENCE_SECONDS
            batch: list[_Job] = []
            while jobs is not None:
                batch += jobs
                if len(batch) >= MAX_BATCH:
                    break
                try:
                    jobs = self._joining(len(batch), deadline)
                except Empty:
                    break
            closing = jobs is None
            if batch:
                self._answer(self._commit(batch))

    def _joining(self, number: int, deadline: float) -> list[_Job] | None:
        """Return what else belongs to a batch of so many jobs; None when the store closes.

        Raises:
            Empty: nothing does.
        """
        if number < _ENOUGH and self.crowd() >= _CROWD:
            return self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
        return self._queue.get_nowait()

    @staticmethod
    def _answer(answers: list[_Answer]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
        for answer in answers:
            by_loop.setdefault(answer.job.loop, []).append(answer)
        for loop, group in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, group)

    def _commit(self, batch: list[_Job]) -> list[_Answer]:
        """Run the jobs in one transaction, or each in its own when they can't be stored together.

        On any doubt nothing happened of what was not committed before.
        """
        started = time.perf_counter()
        answers: list[_Answer] = []
        entries = 0
        parts = [batch]
        try:
            while parts:
                part = parts.pop(0)
                try:
                    done, number = self._transact(part)
                except (sqlite3.IntegrityError, sqlite3.DataError) as error:
                    self._writer.execute("ROLLBACK")
                    self._known.forget()
                    if len(part) > 1:
                        parts = [[job] for job in part]
                        continue
                    done, number = [_refused(part[0], error)], 0
                answers += done
                entries += number
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on
            committed = len(answers)
            answers += self._failed(batch[committed:], error)
            if not committed:
                return answers
        if self._on_commit is not None:
            self._on_commit(len(batch), entries, time.perf_counter() - started)
        return answers

    def _failed(self, batch: list[_Job], error: Exception) -> list[_Answer]:
        """Undo the transaction that is open, and answer those of whom nothing is committed."""
        self._is_suspect = True
        self._known.forget()
        if self._writer.in_transaction:
            try:
                self._writer.execute("ROLLBACK")
            except sqlite3.Error:
                _log.exception("rollback failed")
        is_bug = not isinstance(error, sqlite3.Error | OSError | TfauditError)
        _log.error("commit failed", error=str(error), jobs=len(batch), exc_info=is_bug)
        failure = UnavailableError(
            f"the store could not commit, so nothing was done: {error}; try again, and check "
            "the disk if it stays so"
        )
        return [_Answer(job, None, failure) for job in batch]

    def _transact(self, batch: list[_Job]) -> tuple[list[_Answer], int]:
        """Run the jobs and commit; return their answers and the number of entries.

        Raises:
            sqlite3.IntegrityError, sqlite3.DataError: they can't be stored together; the
                transaction is still open.
        """
        if self._identity() != self._opened:
            raise UnavailableError(
                f"{self._path} was replaced while the server was running: restart the server"
            )
        connection = self._writer
        connection.execute("BEGIN IMMEDIATE")
        head = self._read_head(connection)
        if head != self._seen:
            self._check_head(head)
            self._known.forget()
            self._tokens = {}
            self._sessions = {}
            self._forget_directory()
        self._known.trim()
        log = self._audit.begin(head)
        transaction = SQLiteTransaction(connection, rfc3339(log.micros), self._known)
        answers: list[_Answer] = []
        rows: list[tuple[Any, ...]] = []
        for job in batch:
            drafts = transaction.begin_job(log.size)
            try:
                value = job.run(transaction)
                transaction.require_record()
                records = log.append(drafts) if drafts else []
            except sqlite3.Error:
                raise  # the disk is full or fails: no job of this batch can be trusted
            except Exception as error:  # noqa: BLE001 - whatever a job raises is its caller's
                answers.append(_Answer(job, None, error))
                continue
            transaction.keep_job()
            rows += map(_row, records, drafts)
            answers.append(_Answer(job, Committed(value, _told_index(records, drafts)), None))
        transaction.apply()
        head = self._append(log, rows, head)
        connection.execute("COMMIT")
        self._is_suspect = False
        self._seen = head
        if transaction.changed_tokens:
            self._tokens = {}
        if transaction.changed_sessions:
            self._sessions = {}
        if transaction.changed_directory:
            self._forget_directory()
        return answers, len(rows)

    def _append(self, log: Batch, rows: list[tuple[Any, ...]], head: LogHead) -> LogHead:
        """Write the batch's entries and the checkpoint that covers them; return the new head."""
        connection = self._writer
        if rows:
            head, note = log.close()
            insert_rows(connection, "entry", rows)
            connection.execute(
                "INSERT INTO checkpoint (size, note) VALUES (?, ?)", (head.size, note)
            )
            connection.execute(
                "UPDATE log_head SET size = ?, frontier = ?, micros = ?",
                (head.size, head.frontier, head.micros),
            )
        elif self._is_suspect:
            # A commit of nothing would succeed on a full disk, too, and tell a probe that all is
            # well; and nobody but a probe may come by to find out that it is well again.
            # A change to what it is would not be written either.
            for sign in ("-", "+"):
                connection.execute(f"UPDATE log_head SET micros = micros {sign} 1")  # noqa: S608
        return head

    def _forget_directory(self) -> None:
        self._directory_changes += 1
        self._directory = None

    @staticmethod
    def _read_head(connection: sqlite3.Connection) -> LogHead:
        row = connection.execute("SELECT size, frontier, micros FROM log_head").fetchone()
        if row is None:
            raise UnavailableError("the log's head is missing from the database: restore a backup")
        head = LogHead(*row)
        if [type(part) for part in row] != [int, bytes, int]:
            raise UnavailableError("the log's head was altered: run `tfaudit verify`")
        return head

    def _check_head(self, head: LogHead) -> None:
        """Make sure that the log only grew, and that its head is one that we signed.

        A log must never sign two checkpoints that contradict each other, so nothing is appended
        to a head that is not covered by our own signature.
        """
        seen = self._seen
        if seen is not None and (head.size < seen.size or head.micros < seen.micros):
            raise UnavailableError(
                f"the log shrank from {seen.size} to {head.size} entries under the running "
                "server: the database was replaced or altered; run `tfaudit verify`"
            )
        last, newest, note, signed_by = self._writer.execute(
            "SELECT (SELECT max(idx) FROM entry), (SELECT max(size) FROM checkpoint), "
            "(SELECT note FROM checkpoint WHERE size = ?), "
            "(SELECT key_id FROM entry WHERE idx = ?)",
            (head.size, head.size - 1),
        ).fetchone()
        if head.size == 0 and last is None and newest is None:
            return
        is_newest = (last, newest) == (head.size - 1, head.size) and isinstance(note, str)
        if not is_newest or not self._audit.is_own(note, head):
            raise UnavailableError(
                f"the log's head of {head.size} entries is not covered by a checkpoint of this "
                "log's key, or is not its end: the database was altered, or belongs to other "
                "keys; run `tfaudit verify`. If a key was rotated, give the new one and start again"
            )
        if not self._audit.is_own_entry(signed_by):
            raise UnavailableError(
                f"the log goes on with the entry key {signed_by}, and the one in use is "
                f"{self._audit.entry_key_id}: give the key that is in force and start again, as "
                "after a rotation; `tfaudit key rotate` alone brings in another"
            )

    # ------------------------------------------------------------ readers

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a read-only connection inside one consistent view."""
        try:
            try:
                connection = self._readers.get_nowait()
            except Empty:
                connection = self._connect("ro")
            try:
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._readers.put(connection)
        except sqlite3.Error as error:
            raise UnavailableError(
                f"the store could not be read: {error}; try again, and check the disk if it "
                "stays so"
            ) from error

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._reading() as connection:
            return connection.execute(sql, values).fetchall()

    def token_by_digest(self, digest: bytes) -> StoredToken | None:
        """Look a token up on the event loop's own connection: some microseconds, no thread."""
        now = time.monotonic()
        tokens = self._tokens
        known = tokens.get(digest)
        if known is not None and known[0] > now:
            return known[1]
        try:
            row = self._lookup.execute(
                f"SELECT {TOKEN_COLUMNS} FROM token WHERE digest = ?",  # noqa: S608
                (digest,),
            ).fetchone()
        except sqlite3.Error as error:
            raise UnavailableError(f"the tokens could not be read: {error}; try again") from error
        if row is None:
            return None
        stored = token_of(row)
        if known is not None and known[1] == stored:
            stored = known[1]  # what was found out about the very same one stays true
        if len(tokens) > MAX_KNOWN:
            tokens.clear()
        tokens[digest] = (now + _TOKEN_SECONDS, stored)
        return stored

    def session_by_digest(self, digest: bytes) -> StoredSession | None:
        """Look a session up as ``token_by_digest`` does a token."""
        now = time.monotonic()
        sessions = self._sessions
        known = sessions.get(digest)
        if known is not None and known[0] > now:
            return known[1]
        try:
            row = self._lookup.execute(
                f"SELECT {SESSION_COLUMNS} FROM session WHERE digest = ?",  # noqa: S608
                (digest,),
            ).fetchone()
        except sqlite3.Error as error:
            raise UnavailableError(f"the sessions could not be read: {error}; try again") from error
        if row is None:
            return None
        if len(sessions) > MAX_KNOWN:
            sessions.clear()
        session = StoredSession(*row)
        sessions[digest] = (now + _TOKEN_SECONDS, session)
        return session

    async def password(self, principal_id: str) -> StoredPassword | None:
        """Return a person's password; see contracts.Store."""
        rows = await asyncio.to_thread(
            self._rows, "SELECT hash, changed FROM password WHERE principal = ?", (principal_id,)
        )
        return StoredPassword(*rows[0]) if rows else None

    def directory(self) -> Directory:
        """Return the directory; whether it is still that one is asked of the file each second."""
        now = time.monotonic()
        known = self._directory
        if known is not None and known[0] > now:
            return known[1]
        changes = self._directory_changes
        # Several threads may ask at once: each reads in a view of its own.
        with self._reading() as connection:
            row = connection.execute("SELECT generation FROM directory").fetchone()
            if known is not None and row is not None and known[1].generation == row[0]:
                found = known[1]
            else:
                found = read_directory(connection)
        self._directory = (now + _TOKEN_SECONDS, found)
        if changes != self._directory_changes:
            self._directory = None  # the writer changed it meanwhile, and may have said so before
        return found

    async def sealed(self, version_id: str) -> bytes:
        """Return a version's sealed body; see contracts.Store."""
        rows = await asyncio.to_thread(
            self._rows, "SELECT sealed FROM state_body WHERE id = ?", (version_id,)
        )
        if not rows:
            raise UnavailableError(
                f"the body of state version {version_id} is missing from the store: restore it "
                "from a backup"
            )
        body: bytes = rows[0][0]
        return body

    async def workspaces(self) -> list[WorkspaceSummary]:
        """Return all workspaces, and names that are only locked; see contracts.Store."""
        return await asyncio.to_thread(self._workspaces)

    def _workspaces(self) -> list[WorkspaceSummary]:
        with self._reading() as connection:
            columns = version_columns(connection)
            counts = "count(*), count(pruned)" if columns == VERSION_COLUMNS else "count(*), 0"
            stored = connection.execute(
                f"SELECT workspace, {counts} FROM state_version GROUP BY workspace"  # noqa: S608
            ).fetchall()
            known = connection.execute(
                f"SELECT w.name, w.created, {columns} FROM workspace w "  # noqa: S608
                "JOIN state_version v ON v.id = w.head"
            ).fetchall()
            held = read_locks(connection)
            directory = self._directory_of(connection)
        locks = {lock.workspace: lock for lock in held}
        made = {each.name: each.created for each in directory.objects("workspace")}
        numbers = {name: (count, pruned) for name, count, pruned in stored}
        found: list[WorkspaceSummary] = []
        for name, created, *head in known:
            count, pruned = numbers.get(name, (0, 0))  # other than that only where it was altered
            record = directory.workspace(name)
            newest = standing(StateVersion(*head), record)
            created = min(created, made.pop(name, created))  # noqa: PLW2901 - made ahead
            lock = locks.pop(name, None)
            found.append(WorkspaceSummary(name, created, newest, lock, count, record, pruned))
        for name in locks.keys() | made.keys():
            lock = locks.get(name)
            times = [made[name]] if name in made else []
            times += [] if lock is None else [lock.taken]
            record = directory.workspace(name)
            found.append(WorkspaceSummary(name, min(times), None, lock, 0, record))
        return sorted(found, key=lambda workspace: workspace.name)

    @staticmethod
    def _directory_of(connection: sqlite3.Connection) -> Directory:
        return read_directory(connection)

    async def versions(self, workspace: str) -> list[StateVersion]:
        """Return a workspace's versions, newest first."""
        rows = await asyncio.to_thread(
            self._rows,
            f"SELECT {VERSION_COLUMNS} FROM state_version v WHERE v.workspace = ? "  # noqa: S608
            "ORDER BY v.number DESC",
            (workspace,),
        )
        return [StateVersion(*row) for row in rows]

    async def kept_versions(self, workspace: str) -> list[StateVersion]:
        """Return the versions that are not pruned, and what follows right after, oldest first."""
        rows = await asyncio.to_thread(self._rows, KEPT_VERSIONS, (workspace,))
        return [StateVersion(*row) for row in rows]

    async def pruned_versions(self, index: int) -> list[tuple[int, str]]:
        """Return the versions that entries from an index on say were pruned: index and ID."""
        sql = "SELECT pruned_by, id FROM state_version WHERE pruned_by >= ? ORDER BY pruned_by"
        rows = await asyncio.to_thread(self._rows, sql, (index,))
        return [(pruned_by, version_id) for pruned_by, version_id in rows]

    async def locks(self) -> list[HeldLock]:
        """Return all locks that are held, oldest first."""
        rows = await asyncio.to_thread(
            self._rows,
            f"SELECT {LOCK_COLUMNS} FROM lock ORDER BY taken",  # noqa: S608
        )
        return [HeldLock(*row) for row in rows]

    async def runs(self) -> list[Run]:
        """Return all runs that are under way, by workspace."""
        select = "SELECT workspace, document FROM run ORDER BY workspace"
        return [run_of_row(*row) for row in await asyncio.to_thread(self._rows, select)]

    async def tokens(self) -> list[StoredToken]:
        """Return all tokens, oldest first."""
        rows = await asyncio.to_thread(
            self._rows,
            f"SELECT {TOKEN_COLUMNS} FROM token ORDER BY created",  # noqa: S608
        )
        return [token_of(row) for row in rows]

    async def size(self) -> int:
        """Return the number of committed entries."""
        rows = await asyncio.to_thread(self._rows, "SELECT size FROM log_head")
        if not rows or not isinstance(rows[0][0], int):
            raise UnavailableError("the log's head is missing from the database: restore a backup")
        return rows[0][0]

    async def entries(self, query: LogQuery) -> AsyncIterator[StoredRecord]:
        """Yield what matches, a page at a time, up to the size the log has at the first page.

        Entries are found by copies of what they say. A search never shows one whose copies say
        something else; a listing of all is by the entries themselves.

        Raises:
            UnavailableError: an entry that was found is not what it was found as.
        """
        is_narrowed = _is_narrowed(query)
        async for stored, filed in self._found(query, await self.size()):
            if is_narrowed and not is_filed_right(stored.record.entry, filed):
                raise UnavailableError(
                    f"entry {stored.record.index} is filed as something that it does not say, so "
                    "no search can be trusted: the database was altered; run `tfaudit verify`"
                )
            yield stored

    async def _found(
        self, query: LogQuery, size: int
    ) -> AsyncIterator[tuple[StoredRecord, tuple[object, ...]]]:
        """Yield what matches below a size, each with the columns by which it was found."""
        left = query.limit
        bound: int | None = None
        while left is None or left > 0:
            page = _PAGE if left is None else min(left, _PAGE)
            sql, values = _select(query, size, bound, page)
            rows = await asyncio.to_thread(self._rows, sql, values)
            for index, entry, leaf, signature, key, document, *filed in rows:
                record = Record(index, entry, leaf, signature, key)
                whole = unpack(document) if isinstance(document, bytes) else document
                yield StoredRecord(record, whole), tuple(filed)
            if len(rows) < page:
                return
            bound = rows[-1][0]
            left = None if left is None else left - len(rows)

    async def checkpoint(self, size: int | None = None) -> str:
        """Return the newest signed checkpoint, or that of a tree size; empty when there is none."""
        rows = await asyncio.to_thread(
            self._rows,
            "SELECT note FROM checkpoint "
            "WHERE size = coalesce(?, (SELECT max(size) FROM checkpoint))",
            (size,),
        )
        return rows[0][0] if rows else ""

    async def checkpoints(self) -> AsyncIterator[tuple[int, str]]:
        """Yield (tree size, signed checkpoint) of every commit, oldest first."""
        after = 0
        while True:
            rows = await asyncio.to_thread(
                self._rows,
                "SELECT size, note FROM checkpoint WHERE size > ? ORDER BY size LIMIT ?",
                (after, _PAGE),
            )
            for size, note in rows:
                yield size, note
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    async def following(self, first: int, limit: int) -> list[Record]:
        """Return the entries from an index on; see contracts.Store."""
        return await asyncio.to_thread(self._following, first, limit)

    def _following(self, first: int, limit: int) -> list[Record]:
        found: list[Record] = []
        size = 0
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT idx, entry, leaf_hash, signature, key_id FROM entry "
                "WHERE idx >= ? ORDER BY idx LIMIT ?",
                (first, limit),
            )
            for row in rows:
                found.append(Record(*row))
                size += len(row[1])
                if size >= _READ_BYTES:
                    break
            rows.close()
        for index, record in enumerate(found, first):
            if record.index != index:
                raise UnavailableError(
                    f"entry {index} is not in the database: it was pruned, or removed behind the "
                    "log's back; run `tfaudit verify`"
                )
        return found

    async def pruned(self) -> int:
        """Return the index of the first entry that is not pruned; see contracts.Store."""
        rows = await asyncio.to_thread(self._rows, "SELECT max(until) FROM baseline")
        return int(rows[0][0] or 0)

    async def drop_pruned(self) -> bool:
        """Drop some entries and checkpoints that are pruned; see contracts.Store."""
        until = await self.pruned()
        if until == self._dropped:
            return False
        sql = f"SELECT EXISTS (SELECT 1 FROM {PRUNED}) OR EXISTS (SELECT 1 FROM {PASSED})"  # noqa: S608
        ((is_left,),) = await asyncio.to_thread(self._rows, sql)
        if not is_left:
            self._dropped = until
            return False
        await self.write(lambda transaction: transaction.drop_pruned(_MOST_DROPPED))
        return True

    async def deliveries(self) -> list[Delivery]:
        """Return how far each sink is that was ever given anything."""
        rows = await asyncio.to_thread(self._rows, f"SELECT {DELIVERY_COLUMNS} FROM delivery")  # noqa: S608
        return list(map(delivery_of, rows))

    async def dead_letters(
        self, sink: str, first: int = 0, limit: int | None = None
    ) -> list[DeadLetter]:
        """Return what was set aside for a sink from an index on, in order."""
        rows = await asyncio.to_thread(
            self._rows,
            f"SELECT {DEAD_LETTER_COLUMNS} FROM dead_letter "  # noqa: S608
            "WHERE sink = ? AND idx >= ? ORDER BY idx LIMIT ?",
            (sink, first, -1 if limit is None else limit),
        )
        return [DeadLetter(*row) for row in rows]

    async def dead_letter_counts(self) -> dict[str, int]:
        """Return how many entries are set aside now, by the sink's ID."""
        sql = "SELECT sink, count(*) FROM dead_letter GROUP BY sink"
        return dict(await asyncio.to_thread(self._rows, sql))

    async def replays(self) -> list[SinkReplay]:
        """Return the replays that are not done, oldest first."""
        rows = await asyncio.to_thread(
            self._rows,
            f"SELECT {REPLAY_COLUMNS} FROM replay ORDER BY id",  # noqa: S608
        )
        return list(map(replay_of, rows))

    async def tiles(self, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
        """Return tiles of the tree in one view; see contracts.Store."""
        return await asyncio.to_thread(self._read_tiles, frozenset(wanted))

    def _read_tiles(self, wanted: frozenset[Tile]) -> dict[Tile, bytes]:
        with self._reading() as connection:
            return read_tiles(connection, wanted)

    async def keep_tiles(self) -> bool:
        """Keep some full tiles that are not kept yet; see contracts.Store."""
        full = await self.size() // WIDTH
        if full == self._tiled:
            return False
        found = await asyncio.to_thread(self._unkept_tiles, full * WIDTH)
        if not found:
            self._tiled = full
            return False
        await self.write(lambda transaction: transaction.keep_tiles(found))
        return True

    def _unkept_tiles(self, size: int) -> list[KeptTile]:
        with self._reading() as connection:
            return unkept_tiles(connection, size, _MOST_TILES)

    async def scrub(self) -> None:
        """Move the log into the database and empty it: only there is what was overwritten left.

        See https://sqlite.org/pragma.html#pragma_wal_checkpoint.
        """
        await asyncio.to_thread(self._scrub)

    def _scrub(self) -> None:
        try:
            with closing(self._connect("rw")) as connection:
                # While it waits for readers nobody can write.
                connection.execute(f"PRAGMA busy_timeout={_SCRUB_MILLISECONDS}")
                (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise UnavailableError(f"the write-ahead log could not be emptied: {error}") from error
        if busy:
            raise UnavailableError(
                "somebody is reading the database, so its write-ahead log could not be emptied: "
                "try again in a moment"
            )

    async def backup(self, target: Path) -> None:
        """Copy one consistent view into a new file (https://sqlite.org/backup.html)."""
        await asyncio.to_thread(self._backup, target)

    def _backup(self, target: Path) -> None:
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError as error:
            raise InvalidInputError(f"{target} exists: name a new file for the backup") from error
        except OSError as error:
            raise UnavailableError(f"the backup {target} can't be written: {error}") from error
        copy = sqlite3.connect(target)
        try:
            with self._reading() as connection:
                connection.execute("COMMIT")  # a view of its own is the backup's business
                connection.backup(copy, pages=-1)
                connection.execute("BEGIN")
            copy.execute("PRAGMA journal_mode=DELETE")
        except (sqlite3.Error, UnavailableError) as error:
            target.unlink(missing_ok=True)
            raise UnavailableError(f"the backup {target} failed: {error}") from error
        finally:
            copy.close()


def compact(path: Path) -> None:
    """Write a database anew without the room that nothing stands in (VACUUM).

    Nobody else can write meanwhile, and the disk has to hold both.

    Raises:
        UnavailableError: it could not be done; the database is as it was.
    """
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as database:
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise UnavailableError(
            f"the database could not be compacted: {error}; it needs as much free space again, "
            "and nobody else at work on it"
        ) from error


def _told_index(records: list[Record], drafts: list[Draft]) -> int | None:
    """Return the index of a job's last entry that was not inferred from another of its entries."""
    for record, draft in zip(reversed(records), reversed(drafts), strict=True):
        if "inferred_from" not in draft.entry:
            return record.index
    return records[-1].index if records else None


def _refused(job: _Job, error: sqlite3.Error) -> _Answer:
    """Return the answer to a job that can't be stored, even alone."""
    failure = UnavailableError(
        f"the store refused this, so nothing was done: {error}; run `tfaudit verify`"
    )
    failure.__cause__ = error
    return _Answer(job, None, failure)


def _resolve(answers: list[_Answer]) -> None:
    """Answer on the event loop; one wake-up for a whole batch."""
    for job, value, error in answers:
        if job.future.cancelled():
            continue
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)


def _filed_as(entry: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what is copied out of an entry to find it by: FILED_COLUMNS."""
    actor = entry["actor"]
    return (
        entry["time"],
        entry["event"],
        entry["outcome"],
        entry.get("workspace"),
        actor["name"],
        actor["id"],
        entry["source"]["ip"],
    )


def is_filed_right(entry: bytes, filed: tuple[object, ...]) -> bool:
    """Tell whether an entry says what it is filed as: FILED_COLUMNS."""
    try:
        return is_filed_as(orjson.loads(entry), filed)
    except orjson.JSONDecodeError:
        return False  # the entry itself was altered


def is_filed_as(entry: Mapping[str, Any], filed: tuple[object, ...]) -> bool:
    """Tell the same of an entry that was read already."""
    try:
        return _filed_as(entry) == filed
    except (LookupError, TypeError):
        return False


def _is_narrowed(query: LogQuery) -> bool:
    """Tell whether what an entry is filed as decides if it matches."""
    whole = LogQuery(
        view=query.view,
        after=query.after,
        limit=query.limit,
        newest_first=query.newest_first,
    )
    return query != whole or query.view != EVERYTHING


def _row(record: Record, draft: Draft) -> tuple[Any, ...]:
    return (
        record.index,
        *_filed_as(draft.entry),
        record.key_id,
        record.leaf_hash,
        record.signature,
        record.entry,
        draft.document,
    )


def _glob(pattern: str | None) -> str | None:
    """Return the pattern with what SQLite's GLOB reads beyond ``*`` and ``?`` made literal."""
    return None if pattern is None else pattern.replace("[", "[[]")


def _select(
    query: LogQuery, size: int, bound: int | None, page: int
) -> tuple[str, tuple[Any, ...]]:
    """Return the statement for one page of a query, and its values."""
    narrowing: list[tuple[str, Any]] = [
        ("idx < ?", size),
        ("idx < ?" if query.newest_first else "idx > ?", bound),
        ("idx > ?", query.after),
        ("workspace GLOB ?", _glob(query.workspace)),
        ("event GLOB ?", _glob(query.event)),
        ("source_ip = ?", query.source_ip),
        ("outcome = ?", query.outcome),
        ("time >= ?", query.since),
        ("time < ?", query.until),
    ]
    conditions = [condition for condition, value in narrowing if value is not None]
    values = [value for _, value in narrowing if value is not None]
    if query.actor is not None:
        # A token of a principal is found by its own name and by the principal's.
        conditions.append(
            "(? IN (actor, actor_id) OR json_extract(CAST(entry AS TEXT), '$.actor.principal') = ?)"
        )
        values += (query.actor, query.actor)
    for name, value in query.claims:
        # A claim is a text or a list of texts; json_each makes a list of both.
        conditions.append("? IN (SELECT value FROM json_each(CAST(entry AS TEXT), ?))")
        values += (value, f'$.actor.claims."{name}"')
    for globs in (query.view.given, query.view.scope):
        if EVERYWHERE not in globs:
            limits = " OR ".join("workspace GLOB ?" for _ in globs) or "0"
            conditions.append(f"({limits})")
            values += map(_glob, globs)
    for glob in query.view.denied:
        shown = "" if glob == EVERYWHERE else "workspace IS NULL OR "
        conditions.append(f"({shown}workspace NOT GLOB ?)")
        values.append(_glob(glob))
    order = "DESC" if query.newest_first else "ASC"
    sql = (
        f"SELECT idx, entry, leaf_hash, signature, key_id, document, {FILED_COLUMNS} "  # noqa: S608
        f"FROM entry WHERE {' AND '.join(conditions)} ORDER BY idx {order} LIMIT ?"
    )
    return sql, (*values, page)


def version_columns(connection: sqlite3.Connection) -> str:
    """Return the columns of a version; an older database does not say its run, and pruned none."""
    known = {row[1] for row in connection.execute("PRAGMA table_info(state_version)")}
    return VERSION_COLUMNS if "pruned" in known else _OLDER_VERSION_COLUMNS


def read_locks(connection: sqlite3.Connection) -> list[HeldLock]:
    """Return the locks; an older database does not say who took them."""
    known = {row[1] for row in connection.execute("PRAGMA table_info(lock)")}
    columns = LOCK_COLUMNS if "taker" in known else LOCK_COLUMNS.removesuffix(", taker")
    rows = connection.execute(f"SELECT {columns} FROM lock")  # noqa: S608
    return [HeldLock(*row) for row in rows]
