"""What a job sees and does inside the writer's transaction on SQLite.

A job's changes wait until it has returned and its entries are signed; then they join those of the
batch, and all are written together before the commit. So a job that fails has nothing to undo.
Each statement that runs lets go of the interpreter's lock and has to get it back from a busy event
loop: a few statements of many rows cost far less than many of one row.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import astuple, fields, replace
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import msgspec

from proxy.access import Principal, is_act, proof_of
from proxy.contracts import (
    Baseline,
    DeadLetter,
    Delivery,
    Draft,
    HeldLock,
    Salt,
    SinkReplay,
    StateVersion,
    StoredPassword,
    StoredSession,
    StoredToken,
)
from proxy.directory import RECORDS, Directory, Object
from proxy.errors import InvalidInputError, UnauthenticatedError, UnavailableError
from proxy.refusals import AccessChangedError
from proxy.runs import Run
from proxy.storage.tiles import TILE_COLUMNS, KeptTile

MAX_KNOWN: Final = 10_000
"""Workspaces, locks, and tokens, that are remembered between transactions."""

_MINUTE: Final = len("2026-11-22T10:00")
_NEVER: Final = "A"
"""Later than every time, which begins with a digit."""

VERSION_COLUMNS: Final = ", ".join(f"v.{field}" for field in StateVersion._fields)
LOCK_COLUMNS: Final = ", ".join(field.name for field in fields(HeldLock))
_LOCK_MARKS: Final = ", ".join("?" * len(fields(HeldLock)))
TOKEN_COLUMNS: Final = ", ".join(field.name for field in fields(StoredToken))
_TOKEN_MARKS: Final = ", ".join("?" * (len(fields(StoredToken)) + 1))
SESSION_COLUMNS: Final = ", ".join(field.name for field in fields(StoredSession))
_SESSION_MARKS: Final = ", ".join("?" * (len(fields(StoredSession)) + 1))
OBJECT_COLUMNS: Final = ", ".join(Object._fields)
DELIVERY_COLUMNS: Final = ", ".join(field.name for field in fields(Delivery))
_DELIVERY_MARKS: Final = ", ".join("?" * len(fields(Delivery)))
DEAD_LETTER_COLUMNS: Final = "sink, idx, reason, time"
REPLAY_COLUMNS: Final = ", ".join(SinkReplay._fields)
_IS_SINK: Final = "EXISTS (SELECT 1 FROM object WHERE kind = 'sink' AND id = ?)"
_KEEP_DELIVERY: Final = (
    f"INSERT OR REPLACE INTO delivery ({DELIVERY_COLUMNS}) "
    f"SELECT {_DELIVERY_MARKS} WHERE {_IS_SINK}"
)
_SET_ASIDE: Final = (
    f"INSERT OR REPLACE INTO dead_letter ({DEAD_LETTER_COLUMNS}) SELECT ?, ?, ?, ? WHERE {_IS_SINK}"
)
_OF_SINKS: Final = ("delivery", "dead_letter", "replay")
"""Tables whose rows belong to a sink by its object's ID, and go with it."""

_HEAD: Final = (
    f"SELECT {VERSION_COLUMNS} FROM workspace w LEFT JOIN state_version v ON v.id = w.head "  # noqa: S608
    "WHERE w.name = ?"
)
KEPT_VERSIONS: Final = (
    f"SELECT {VERSION_COLUMNS} FROM state_version v WHERE v.workspace = ? AND (v.pruned IS NULL OR "  # noqa: S608
    "EXISTS (SELECT 1 FROM state_version b WHERE b.workspace = v.workspace "
    "AND b.number = v.number - 1 AND b.pruned IS NULL)) ORDER BY v.number"
)
"""Those that are not pruned, and each that is and follows right after one that is not."""
_KEEP_CREATED: Final = " ON CONFLICT (name) DO UPDATE SET head = excluded.head"
_COLUMNS: Final = {
    "entry": (
        "idx, time, event, outcome, workspace, actor, actor_id, source_ip, key_id, leaf_hash, "
        "signature, entry, document"
    ),
    "state_version": ", ".join(StateVersion._fields),
    "state_body": "id, sealed",
    "workspace": "name, created, head",
}
_KEEP_TILE: Final = f"INSERT OR IGNORE INTO tile ({TILE_COLUMNS}) VALUES (?, ?, ?, ?)"  # noqa: S608
# From the baseline's only row on: the other way round all of the log would be looked through.
PRUNED: Final = (
    "baseline CROSS JOIN entry WHERE idx < until AND idx NOT IN (SELECT value FROM json_each(kept))"
)
"""Entries that are to be dropped."""
PASSED: Final = "baseline CROSS JOIN checkpoint WHERE size < until"
"""Checkpoints that are to be dropped."""
_DROP: Final = (
    f"DELETE FROM entry WHERE idx IN (SELECT idx FROM {PRUNED} ORDER BY idx LIMIT ?)",  # noqa: S608
    f"DELETE FROM checkpoint WHERE size IN (SELECT size FROM {PASSED} ORDER BY size LIMIT ?)",  # noqa: S608
)
_NEWEST_BODIES: Final = (
    f"SELECT {VERSION_COLUMNS}, substr(b.sealed, 1, ?) FROM state_body b "  # noqa: S608
    "JOIN state_version v ON v.id = b.id ORDER BY b.rowid DESC LIMIT ?"
)
"""How the bodies begin that were stored last, and whose they are."""
_NEWEST_MASTER: Final = (
    "SELECT json_extract(CAST(entry AS TEXT), '$.master.new') AS new FROM entry "
    "WHERE event = 'key.rotated' AND new IS NOT NULL ORDER BY idx DESC LIMIT 1"
)
"""The ID of the master key that was brought in last."""
_BODIES_TRIED: Final = 8
"""Bodies that a master key is tried on: one of them may be damaged."""
_RUN: Final = msgspec.json.Decoder(Run)
_LOCK_ROW: Final = attrgetter(*(field.name for field in fields(HeldLock)))
_MOST_ROWS: Final = 32
"""Rows in one INSERT: a usual batch's are one, and there are few enough to be prepared once."""


def insert_rows(
    connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows in as few statements as can be."""
    for start in range(0, len(rows), _MOST_ROWS):
        chunk = rows[start : start + _MOST_ROWS]
        connection.execute(_insert(table, len(chunk)), tuple(chain.from_iterable(chunk)))


@cache  # so many as there are tables and rows
def _insert(table: str, rows: int) -> str:
    columns = _COLUMNS[table]
    row = f"({', '.join('?' * (columns.count(',') + 1))})"
    conflict = _KEEP_CREATED if table == "workspace" else ""
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * rows)}{conflict}"  # noqa: S608


def is_master(
    connection: sqlite3.Connection,
    key_id: str,
    is_opened: Callable[[StateVersion, bytes], bool],
    length: int,
) -> bool | None:
    """Tell whether a master key is the one in force; None when nothing tells.

    All states are wrapped anew in one transaction: any that it opens tells. Where none is stored,
    the newest rotation does.

    Args:
        connection: to the database.
        key_id: as ``key.rotated`` names the key.
        is_opened: tells whether it opens a version, by the first so many bytes of its body.
        length: how many bytes.
    """
    rows = connection.execute(_NEWEST_BODIES, (length, _BODIES_TRIED)).fetchall()
    if rows:
        return any(is_opened(StateVersion(*version), head) for *version, head in rows)
    newest = connection.execute(_NEWEST_MASTER).fetchone()
    return None if newest is None else bool(newest[0] == key_id)


def token_of(row: Iterable[Any]) -> StoredToken:
    """Return the token of a row of TOKEN_COLUMNS."""
    token_id, name, role, workspaces, *rest = row
    return StoredToken(token_id, name, role, tuple(json.loads(workspaces)), *rest)


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Return what a row of DELIVERY_COLUMNS says."""
    delivery = Delivery(*row)
    return replace(delivery, is_open=bool(delivery.is_open), is_reported=bool(delivery.is_reported))


def replay_of(row: Sequence[Any]) -> SinkReplay:
    """Return what a row of REPLAY_COLUMNS says."""
    replay = SinkReplay(*row)
    return replay._replace(only_dead_letters=bool(replay.only_dead_letters))


def run_of_row(workspace: str, document: bytes) -> Run:
    """Return the run that a row of the table holds.

    Args:
        workspace: whose run it is.
        document: as it is kept.

    Raises:
        UnavailableError: it is not what was kept.
    """
    try:
        return _RUN.decode(document)
    except (msgspec.DecodeError, TypeError) as error:
        raise UnavailableError(
            f"the run on {workspace} can't be read: its row in the database was altered, so no "
            "lock is given or released there, and nothing saved under one; stop the server, keep "
            "its data as evidence, run `tfaudit verify` to see what else was altered, and bring a "
            "backup back with `tfaudit backup restore`"
        ) from error


def read_directory(connection: sqlite3.Connection) -> Directory:
    """Return the directory as the connection sees it; it must be in one view for both statements.

    Raises:
        UnavailableError: an object is not what was kept.
    """
    row = connection.execute("SELECT generation FROM directory").fetchone()
    rows = connection.execute(f"SELECT {OBJECT_COLUMNS} FROM object").fetchall()  # noqa: S608
    try:
        return Directory(row[0], (Object(*each) for each in rows if each[0] in RECORDS))
    except (TypeError, ValueError, InvalidInputError) as error:
        raise UnavailableError(
            "the principals and grants in the database can't be read: it was altered; run "
            "`tfaudit verify`"
        ) from error


def _dead_letter_statement(letter: DeadLetter) -> tuple[str, tuple[Any, ...]]:
    return _SET_ASIDE, (*astuple(letter), letter.sink)


class Known:
    """What the writer read in earlier transactions and nobody has changed since.

    Every change appends an entry, so the log's head tells whether another process changed
    anything: then all of this is forgotten, as it is when a transaction fails.
    """

    def __init__(self) -> None:
        self.heads: dict[str, StateVersion | None] = {}
        self.locks: dict[str, HeldLock | None] = {}
        self.runs: dict[str, Run | None] = {}
        self.salts: dict[str, Salt | None] = {}
        # The policy in force; an empty list before it is read.
        self.policy: list[bytes | None] = []
        # When each token expires, RFC 3339 as in a transaction's time; "" when it is not in force.
        self.tokens: dict[str, str] = {}
        # The same of sessions.
        self.sessions: dict[str, str] = {}
        # The time to the minute at which each token's or session's use was kept last.
        self.uses: dict[str, str] = {}
        self.directory: Directory | None = None
        # Whether this process's master key opens what is stored.
        self.is_opened = False

    def forget(self) -> None:
        """Read everything anew from now on."""
        self.heads.clear()
        self.locks.clear()
        self.runs.clear()
        self.salts.clear()
        self.policy.clear()
        self.tokens.clear()
        self.sessions.clear()
        self.uses.clear()
        self.directory = None
        self.is_opened = False

    def trim(self) -> None:
        """Keep the memory bounded; called between transactions."""
        known: tuple[Sized, ...] = (
            self.heads,
            self.locks,
            self.runs,
            self.salts,
            self.tokens,
            self.sessions,
            self.uses,
        )
        if max(map(len, known)) > MAX_KNOWN:
            self.forget()


class SQLiteTransaction:
    """contracts.Transaction over the writer's connection; see there for the promises.

    A job reads first and changes afterwards: its own changes are not there yet when it reads.
    """

    def __init__(self, connection: sqlite3.Connection, time: str, known: Known) -> None:
        self._connection = connection
        self.time = time
        self._known = known
        self._drafts: list[Draft] = []
        self._versions: list[tuple[StateVersion, bytes]] = []
        self._locks: dict[str, HeldLock | None] = {}
        self._runs: dict[str, Run | None] = {}
        self._first = 0
        self._salts: dict[str, Salt | None] = {}
        self._policy: list[bytes | None] = []
        self._statements: list[tuple[str, tuple[Any, ...]]] = []
        # What no entry tells of: how far sinks are, and kept tiles. All else needs one, see
        # require_record.
        self._bookkeeping: list[tuple[str, tuple[Any, ...]]] = []
        self._kept_versions: list[tuple[StateVersion, bytes]] = []
        self._kept_statements: list[tuple[str, tuple[Any, ...]]] = []
        self._changes_tokens = False
        self._changes_directory = False
        self._changes_sessions = False
        self._uses: dict[str, str] = {}
        self._visits: dict[str, str] = {}
        self._begun: set[str] = set()
        self._minute = time[:_MINUTE]
        self.changed_tokens = False
        self.changed_sessions = False
        self.changed_directory = False

    # ------------------------------------------------------------ for the writer

    def begin_job(self, first: int) -> list[Draft]:
        """Start anew with a job, whose first entry gets this index; return the list of them."""
        self._first = first
        self._drafts = []
        self._versions = []
        self._locks = {}
        self._runs = {}
        self._salts = {}
        self._policy = []
        self._statements = []
        self._bookkeeping = []
        self._changes_tokens = False
        self._changes_directory = False
        self._changes_sessions = False
        self._uses = {}
        self._visits = {}
        self._begun = set()
        return self._drafts

    def require_record(self) -> None:
        """Hold the first invariant: no effect without its entry."""
        if (self._versions or self._statements) and not self._drafts:
            raise AssertionError("a job changed the store and recorded nothing")

    def keep_job(self) -> None:
        """Make the job's changes part of the batch; the next job sees them."""
        self._kept_versions += self._versions
        self._kept_statements += self._statements
        self._kept_statements += self._bookkeeping
        for version, _ in self._versions:
            self._known.heads[version.workspace] = version
        self._known.locks.update(self._locks)
        if self._runs:
            self._known.runs.update(self._runs)
        if self._salts:
            self._known.salts.update(self._salts)
        if self._policy:
            self._known.policy = self._policy
        if self._changes_tokens:
            self._known.tokens.clear()
            self.changed_tokens = True
        if self._changes_directory:
            self._kept_statements.append(("UPDATE directory SET generation = generation + 1", ()))
            self._known.directory = None
            self.changed_directory = True
        if self._changes_sessions:
            self._known.sessions.clear()
            self.changed_sessions = True
        for session_id, ip in self._visits.items():
            self._known.uses[session_id] = self._minute
            self._kept_statements.append(
                (
                    "UPDATE session SET seen = ?, seen_from = ? WHERE id = ?",
                    (self.time, ip, session_id),
                )
            )
        for token_id, ip in self._uses.items():
            # The entry of this use is the record; this is the copy that a list shows.
            self._known.uses[token_id] = self._minute
            self._kept_statements.append(
                (
                    "UPDATE token SET used = ?, used_from = ? WHERE id = ?",
                    (self.time, ip, token_id),
                )
            )

    def apply(self) -> None:
        """Write what the batch's jobs changed so far.

        Raises:
            sqlite3.IntegrityError: two jobs contradict each other.
        """
        if self._kept_versions:
            versions, bodies = zip(*self._kept_versions, strict=True)
            insert_rows(self._connection, "state_version", versions)
            insert_rows(
                self._connection,
                "state_body",
                [(v.id, body) for v, body in zip(versions, bodies, strict=True)],
            )
            newest = {v.workspace: v for v in versions}.values()
            insert_rows(
                self._connection, "workspace", [(v.workspace, v.created, v.id) for v in newest]
            )
            self._kept_versions.clear()
        for statement, values in self._kept_statements:
            self._connection.execute(statement, values)
        self._kept_statements.clear()

    def _read(self, sql: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """Return one row, as the jobs before this one left it."""
        self.apply()
        row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        return row

    # ------------------------------------------------------------ for jobs

    def append(self, draft: Draft) -> int:
        """Add an entry; nobody acts under a token or a right that ended while the request ran."""
        entry = draft.entry
        if is_act(entry):
            token_id, session_id = proof_of(entry["actor"])
            if token_id is not None:
                self._require_in_force(token_id)
                if self._known.uses.get(token_id) != self._minute:
                    self._uses[token_id] = entry["source"]["ip"]
            elif session_id is not None:
                self._require_session(session_id)
                if self._known.uses.get(session_id) != self._minute:
                    self._visits[session_id] = entry["source"]["ip"]
            if draft.principal is not None:
                self._require_rights(draft.principal)
        self._drafts.append(draft)
        return self._first + len(self._drafts) - 1

    def require_in_force(self, principal: Principal) -> None:
        """Pass when the principal still is who they were and may what they might."""
        token_id = principal.id if principal.kind == "token" else principal.token
        if token_id:
            self._require_in_force(token_id)
        if principal.session:
            self._require_session(principal.session)
        self._require_rights(principal)

    def _require_rights(self, principal: Principal) -> None:
        if principal.expires and self.time >= principal.expires:
            raise UnauthenticatedError(
                f"what proved who asks expired at {principal.expires}, while the request was under "
                "way, so nothing was done"
            )
        if principal.generation is not None and not self.directory().is_still_so(principal):
            raise AccessChangedError(
                f"what {principal.name} may do was changed while the request was under way, so "
                "nothing was done: try again"
            )

    def _require_in_force(self, token_id: str) -> None:
        expires = self._known.tokens.get(token_id)
        if expires is None:
            row = self._read("SELECT expires, revoked, used FROM token WHERE id = ?", (token_id,))
            expires = "" if row is None or row[1] is not None else row[0] or _NEVER
            self._known.tokens[token_id] = expires
            if row is not None and row[2]:  # another process, or this one before it forgot
                self._known.uses.setdefault(token_id, row[2][:_MINUTE])
        if self.time < expires:
            return
        if expires:
            raise UnauthenticatedError(
                f"the token expired at {expires}, while the request was under way: ask an "
                "administrator for a new one"
            )
        raise UnauthenticatedError(
            "the token is unknown or revoked: ask an administrator for a new one"
        )

    def _require_session(self, session_id: str) -> None:
        if session_id in self._begun:
            return
        expires = self._known.sessions.get(session_id)
        if expires is None:
            row = self._read("SELECT expires, ended FROM session WHERE id = ?", (session_id,))
            expires = "" if row is None or row[1] is not None else row[0]
            self._known.sessions[session_id] = expires
        if self.time >= expires:
            raise UnauthenticatedError(
                "the session ended while the request was under way, so nothing was done: log in "
                "again"
            )

    def head(self, workspace: str) -> StateVersion | None:
        """Return the newest version; None is certain knowledge that there is none."""
        heads = self._known.heads
        if workspace not in heads:
            heads[workspace] = self._read_head(workspace)
        return heads[workspace]

    def _read_head(self, workspace: str) -> StateVersion | None:
        row = self._read(_HEAD, (workspace,))
        if row is None and not self._has_versions(workspace):
            return None
        if row is None or row[0] is None:
            raise UnavailableError(
                f"the newest state of {workspace} is on record but can't be found in the store: "
                "restore it from a backup"
            )
        return StateVersion(*row)

    def _has_versions(self, workspace: str) -> bool:
        """Tell by another index, too: a damaged one must not make a state look absent."""
        sql = "SELECT 1 FROM state_version WHERE workspace = ? LIMIT 1"
        return self._read(sql, (workspace,)) is not None

    def version(self, workspace: str, version: str) -> StateVersion | None:
        """Return a version by its ID or its number (decimal text)."""
        row = self._read(
            f"SELECT {VERSION_COLUMNS} FROM state_version v "  # noqa: S608
            "WHERE v.workspace = ? AND (v.id = ? OR CAST(v.number AS TEXT) = ?)",
            (workspace, version, version),
        )
        return None if row is None else StateVersion(*row)

    def kept_versions(self, workspace: str) -> list[StateVersion]:
        """Return the versions that are not pruned, and what follows right after, oldest first."""
        self.apply()
        rows = self._connection.execute(KEPT_VERSIONS, (workspace,))
        return [StateVersion(*row) for row in rows]

    def add_version(self, version: StateVersion, sealed: bytes) -> None:
        """Make this the workspace's newest version."""
        self._versions.append((version, sealed))

    def require_master(
        self, key_id: str, is_opened: Callable[[StateVersion, bytes], bool], length: int
    ) -> None:
        """Pass when a master key opens what is stored last; see contracts.Transaction."""
        if self._known.is_opened:
            return
        self.apply()
        if is_master(self._connection, key_id, is_opened, length) is False:
            raise UnavailableError(
                "the master key here does not open what is stored: it was rotated meanwhile, so "
                "nothing was stored; start again with the new key"
            )
        self._known.is_opened = True

    def destroy_bodies(self, workspace: str, through: int) -> None:
        """Destroy the bodies of all versions up to this number; ``secure_delete`` overwrites."""
        chosen = "SELECT id FROM state_version WHERE workspace = ? AND number <= ?"
        sql = f"DELETE FROM state_body WHERE id IN ({chosen})"  # noqa: S608
        self._statements.append((sql, (workspace, through)))

    def prune_versions(self, version_ids: Sequence[str], index: int) -> None:
        """Destroy the bodies of these versions; ``secure_delete`` overwrites."""
        for version_id in version_ids:
            self._statements += [
                ("DELETE FROM state_body WHERE id = ?", (version_id,)),
                (
                    "UPDATE state_version SET pruned = ?, pruned_by = ? WHERE id = ?",
                    (self.time, index, version_id),
                ),
            ]

    def body_heads(self, length: int) -> list[tuple[StateVersion, bytes]]:
        """Return how each body begins that is stored."""
        self.apply()
        rows = self._connection.execute(
            f"SELECT {VERSION_COLUMNS}, substr(b.sealed, 1, ?) FROM state_body b "  # noqa: S608
            "JOIN state_version v ON v.id = b.id",
            (length,),
        )
        return [(StateVersion(*version), head) for *version, head in rows]

    def set_body_head(self, version_id: str, head: bytes) -> None:
        """Let a body begin otherwise; SQLite writes only the page on which that differs."""
        sql = "UPDATE state_body SET sealed = CAST(? || substr(sealed, ?) AS BLOB) WHERE id = ?"
        self._statements.append((sql, (head, len(head) + 1, version_id)))

    def is_workspace(self, workspace: str) -> bool:
        """Tell whether the workspace was ever written."""
        return self._read("SELECT 1 FROM workspace WHERE name = ?", (workspace,)) is not None

    def lock(self, workspace: str) -> HeldLock | None:
        """Return the lock that is held, if any."""
        locks = self._known.locks
        if workspace not in locks:
            row = self._read(
                f"SELECT {LOCK_COLUMNS} FROM lock WHERE workspace = ?",  # noqa: S608
                (workspace,),
            )
            locks[workspace] = None if row is None else HeldLock(*row)
        return locks[workspace]

    def set_lock(self, lock: HeldLock) -> None:
        """Take the lock; the job has looked that it is free."""
        self._locks[lock.workspace] = lock
        self._statements.append(
            (
                f"INSERT INTO lock ({LOCK_COLUMNS}) VALUES ({_LOCK_MARKS})",  # noqa: S608
                _LOCK_ROW(lock),
            )
        )

    def clear_lock(self, workspace: str) -> None:
        """Release the lock, whoever holds it."""
        self._locks[workspace] = None
        self._statements.append(("DELETE FROM lock WHERE workspace = ?", (workspace,)))

    def run(self, workspace: str) -> Run | None:
        """Return the run under way."""
        runs = self._known.runs
        if workspace not in runs:
            row = self._read("SELECT document FROM run WHERE workspace = ?", (workspace,))
            runs[workspace] = None if row is None else run_of_row(workspace, row[0])
        return runs[workspace]

    def set_run(self, run: Run) -> None:
        """Keep a run in place of what was kept of it before."""
        self._runs[run.workspace] = run
        self._statements.append(
            (
                "INSERT OR REPLACE INTO run (workspace, document) VALUES (?, ?)",
                (run.workspace, msgspec.json.encode(run)),
            )
        )

    def clear_run(self, workspace: str) -> None:
        """Forget the run, because it is over."""
        self._runs[workspace] = None
        self._statements.append(("DELETE FROM run WHERE workspace = ?", (workspace,)))

    def token(self, name_or_id: str) -> StoredToken | None:
        """Return a token that is not revoked by name, or any token by ID."""
        row = self._read(
            f"SELECT {TOKEN_COLUMNS} FROM token "  # noqa: S608
            "WHERE id = ? OR (name = ? AND revoked IS NULL AND replaced IS NULL)",
            (name_or_id, name_or_id),
        )
        return None if row is None else token_of(row)

    def predecessors(self, name: str) -> list[StoredToken]:
        """Return the tokens of this name that were replaced and still work, oldest first."""
        self.apply()
        rows = self._connection.execute(
            f"SELECT {TOKEN_COLUMNS} FROM token WHERE name = ? AND revoked IS NULL "  # noqa: S608
            "AND replaced IS NOT NULL AND expires > ? ORDER BY created, id",
            (name, self.time),
        ).fetchall()
        return [token_of(row) for row in rows]

    def add_token(self, token: StoredToken, digest: bytes) -> None:
        """Keep a new token under the SHA-256 digest of its text."""
        start, end = astuple(token)[:3], astuple(token)[4:]
        self._statements.append(
            (
                f"INSERT INTO token ({TOKEN_COLUMNS}, digest) VALUES ({_TOKEN_MARKS})",  # noqa: S608
                (*start, json.dumps(token.workspaces), *end, digest),
            )
        )
        self._changes_tokens = True

    def revoke_token(self, token_id: str) -> None:
        """Mark the token revoked at this transaction's time."""
        self._statements.append(
            ("UPDATE token SET revoked = ? WHERE id = ?", (self.time, token_id))
        )
        self._changes_tokens = True

    def forget_exchanged(self, before: str) -> None:
        """Drop the tokens that were given for identity tokens and expired before this time."""
        self._statements.append(
            ("DELETE FROM token WHERE issuer IS NOT NULL AND expires < ?", (before,))
        )
        self._changes_tokens = True

    def replace_token(self, token_id: str, expires: str) -> None:
        """Free the token's name at this transaction's time, and let it expire at another."""
        self._statements.append(
            (
                "UPDATE token SET replaced = ?, expires = ? WHERE id = ?",
                (self.time, expires, token_id),
            )
        )
        self._changes_tokens = True

    def password(self, principal_id: str) -> StoredPassword | None:
        """Return a person's password; None when there is none."""
        row = self._read("SELECT hash, changed FROM password WHERE principal = ?", (principal_id,))
        return None if row is None else StoredPassword(*row)

    def set_password(self, principal_id: str, hashed: str) -> None:
        """Keep a person's password from this transaction's time on."""
        self._statements.append(
            (
                "INSERT OR REPLACE INTO password (principal, hash, changed) VALUES (?, ?, ?)",
                (principal_id, hashed, self.time),
            )
        )

    def drop_password(self, principal_id: str) -> None:
        """Take a person's password away, if there is one."""
        self._statements.append(("DELETE FROM password WHERE principal = ?", (principal_id,)))

    def session(self, session_id: str) -> StoredSession | None:
        """Return a session, also one that is over."""
        row = self._read(
            f"SELECT {SESSION_COLUMNS} FROM session WHERE id = ?",  # noqa: S608
            (session_id,),
        )
        return None if row is None else StoredSession(*row)

    def sessions(self, principal_id: str) -> list[StoredSession]:
        """Return the person's sessions that are not over at this transaction's time."""
        self.apply()
        rows = self._connection.execute(
            f"SELECT {SESSION_COLUMNS} FROM session "  # noqa: S608
            "WHERE principal = ? AND ended IS NULL AND expires > ? ORDER BY id",
            (principal_id, self.time),
        )
        return [StoredSession(*row) for row in rows]

    def add_session(self, session: StoredSession, digest: bytes) -> None:
        """Keep a new session under the SHA-256 digest of its cookie."""
        self._statements += [
            (
                "DELETE FROM session WHERE principal = ? AND expires <= ?",
                (session.principal, self.time),
            ),
            (
                f"INSERT INTO session ({SESSION_COLUMNS}, digest) VALUES ({_SESSION_MARKS})",  # noqa: S608
                (*astuple(session), digest),
            ),
        ]
        self._begun.add(session.id)
        self._changes_sessions = True

    def end_session(self, session_id: str) -> None:
        """Mark the session ended at this transaction's time."""
        self._statements.append(
            (
                "UPDATE session SET ended = ? WHERE id = ? AND ended IS NULL",
                (self.time, session_id),
            )
        )
        self._changes_sessions = True

    def directory(self) -> Directory:
        """Return all principals, grants, issuers, sinks and workspaces' settings."""
        known = self._known.directory
        if known is None:
            self.apply()
            known = self._known.directory = read_directory(self._connection)
        return known

    def put_object(self, found: Object) -> None:
        """Keep an object of the directory in place of the one of its kind and name, if any."""
        self._statements.append(
            (
                f"INSERT OR REPLACE INTO object ({OBJECT_COLUMNS}) VALUES (?,?,?,?,?,?)",  # noqa: S608
                tuple(found),
            )
        )
        self._changes_directory = True

    def drop_object(self, kind: str, name: str) -> None:
        """Take an object out of the directory; with a sink goes all that is kept of it."""
        if kind == "sink":
            its = "SELECT id FROM object WHERE kind = ? AND name = ?"
            self._statements += [
                (f"DELETE FROM {table} WHERE sink IN ({its})", (kind, name))  # noqa: S608
                for table in _OF_SINKS
            ]
        self._statements.append(("DELETE FROM object WHERE kind = ? AND name = ?", (kind, name)))
        self._changes_directory = True

    def salt(self, workspace: str) -> Salt | None:
        """Return the salt of a workspace's commitments; None when it has none (any more)."""
        salts = self._known.salts
        if workspace not in salts:
            row = self._read(
                "SELECT value, since FROM redaction_salt WHERE workspace = ?", (workspace,)
            )
            salts[workspace] = None if row is None else Salt(*row)
        return salts[workspace]

    def set_salt(self, workspace: str, value: bytes) -> None:
        """Give the workspace a salt from this transaction's time on."""
        self._salts[workspace] = Salt(value, self.time)
        self._statements.append(
            (
                "INSERT INTO redaction_salt (workspace, value, since) VALUES (?, ?, ?)",
                (workspace, value, self.time),
            )
        )

    def destroy_salt(self, workspace: str) -> None:
        """Take the workspace's salt away.

        All others are written anew on fresh pages: SQLite leaves copies of a row in the free room
        of a page that it once split, but overwrites a page with zeros when it frees it
        (https://sqlite.org/pragma.html#pragma_secure_delete).
        """
        self.apply()
        others = self._connection.execute(
            "SELECT workspace, value, since FROM redaction_salt WHERE workspace <> ?", (workspace,)
        ).fetchall()
        self._salts[workspace] = None
        self._statements.append(("DELETE FROM redaction_salt", ()))
        self._statements += [
            ("INSERT INTO redaction_salt (workspace, value, since) VALUES (?, ?, ?)", row)
            for row in others
        ]

    def policy(self) -> bytes | None:
        """Return the redaction policy in force, packed; None when none was ever put in force."""
        known = self._known.policy
        if not known:
            row = self._read("SELECT packed FROM redaction_policy")
            known.append(None if row is None else row[0])
        return known[0]

    def set_policy(self, packed: bytes) -> None:
        """Put a redaction policy in force for every process."""
        self._policy = [packed]
        self._statements.append(
            ("INSERT OR REPLACE INTO redaction_policy (id, packed) VALUES (1, ?)", (packed,))
        )

    def delivery(self, sink: str) -> Delivery | None:
        """Return how far a sink is; None before it was ever given anything."""
        row = self._read(f"SELECT {DELIVERY_COLUMNS} FROM delivery WHERE sink = ?", (sink,))  # noqa: S608
        return None if row is None else delivery_of(row)

    def keep_delivery(self, delivery: Delivery) -> None:
        """Keep how far a sink is, unless its object is no more: bookkeeping."""
        self._bookkeeping.append((_KEEP_DELIVERY, (*astuple(delivery), delivery.sink)))

    def dead_letters(self, sink: str, first: int, until: int) -> list[DeadLetter]:
        """Return what was set aside for a sink from an index on and below another, in order."""
        self.apply()
        rows = self._connection.execute(
            f"SELECT {DEAD_LETTER_COLUMNS} FROM dead_letter "  # noqa: S608
            "WHERE sink = ? AND idx >= ? AND idx < ? ORDER BY idx",
            (sink, first, until),
        )
        return [DeadLetter(*row) for row in rows]

    def dead_letter_bounds(
        self, sink: str, first: int, until: int | None
    ) -> tuple[int, int] | None:
        """Return the first index and one more than the last of those; None when there are none."""
        row = self._read(
            "SELECT min(idx), max(idx) + 1 FROM dead_letter "
            "WHERE sink = ? AND idx >= ? AND (? IS NULL OR idx < ?)",
            (sink, first, until, until),
        )
        return None if row is None or row[0] is None else (row[0], row[1])

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Set entries aside for sinks."""
        self._statements += map(_dead_letter_statement, letters)

    def note_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Set entries about sinks aside: bookkeeping."""
        self._bookkeeping += map(_dead_letter_statement, letters)

    def drop_dead_letters(self, sink: str, indices: Sequence[int]) -> None:
        """Forget what was set aside: a sink took it after all."""
        self._statements += [
            ("DELETE FROM dead_letter WHERE sink = ? AND idx = ?", (sink, index))
            for index in indices
        ]

    def replay(self, replay_id: str) -> SinkReplay | None:
        """Return a replay; None when it is done."""
        row = self._read(f"SELECT {REPLAY_COLUMNS} FROM replay WHERE id = ?", (replay_id,))  # noqa: S608
        return None if row is None else replay_of(row)

    def add_replay(self, replay: SinkReplay) -> None:
        """Let a sink be given entries once more."""
        self._statements.append(
            (
                f"INSERT INTO replay ({REPLAY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                tuple(replay),
            )
        )

    def keep_replay(self, replay_id: str, cursor: int) -> None:
        """Keep how far a replay is: bookkeeping."""
        self._bookkeeping.append(("UPDATE replay SET cursor = ? WHERE id = ?", (cursor, replay_id)))

    def settle_replay(self, replay_id: str, first: int) -> None:
        """Keep that all below an index is done with; the replay is over when nothing is left."""
        self._statements += [
            (
                "UPDATE replay SET first = ?, cursor = max(cursor, ?) WHERE id = ?",
                (first, first, replay_id),
            ),
            ("DELETE FROM replay WHERE id = ? AND first >= until", (replay_id,)),
        ]

    def keep_tiles(self, tiles: Sequence[KeptTile]) -> None:
        """Keep full tiles; bookkeeping, as they follow from the entries that are there.

        Another process may have kept the same ones meanwhile.
        """
        self._bookkeeping += [(_KEEP_TILE, tile) for tile in tiles]

    def has_replay_below(self, index: int) -> bool:
        """Tell whether a sink is to be given entries below an index once more."""
        return self._read("SELECT 1 FROM replay WHERE first < ? LIMIT 1", (index,)) is not None

    def pruned(self) -> int:
        """Return the index of the first entry that is not pruned; 0 when none ever was."""
        row = self._read("SELECT max(until) FROM baseline")
        return 0 if row is None or row[0] is None else int(row[0])

    def set_baseline(self, baseline: Baseline) -> None:
        """Let the entries below be dropped; it takes the place of an earlier one."""
        kept = json.dumps(baseline.kept)
        self._statements += [
            ("DELETE FROM baseline", ()),
            (
                "INSERT INTO baseline (until, kept, packed) VALUES (?, ?, ?)",
                (baseline.until, kept, baseline.packed),
            ),
        ]

    def drop_pruned(self, most: int) -> None:
        """Drop so many entries and checkpoints below the baseline.

        Bookkeeping: the entry that the baseline came with says it.
        """
        self._bookkeeping += [(statement, (most,)) for statement in _DROP]

    def is_running(self) -> bool:
        """Tell whether a server started and has not recorded a stop."""
        row = self._read("SELECT running FROM log_head")
        return row is not None and bool(row[0])

    def set_running(self, *, running: bool) -> None:
        """Remember that a server runs, or that it stopped in order."""
        self._statements.append(("UPDATE log_head SET running = ?", (int(running),)))
