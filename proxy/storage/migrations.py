"""The schema of the SQLite store, as migrations that are applied in order and never edited.

Names are singular nouns. Bodies stand in a table of their own, so that a look at a version
reads no body. Times are RFC 3339 text; ``micros`` are microseconds since 1970.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from sqlite_utils import Database


class Migrations:
    """The migrations in their order, kept as sqlite-utils does in ``_sqlite_migrations``.

    That library takes long to load, and nearly every database has the newest schema: so it is
    loaded for one that hasn't.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._steps: list[Callable[[Database], None]] = []

    def __call__(self) -> Callable[[Callable[[Database], None]], Callable[[Database], None]]:
        """Return what adds a function as the newest migration, by its name."""

        def add(step: Callable[[Database], None]) -> Callable[[Database], None]:
            self._steps.append(step)
            return step

        return add

    def pending(self, connection: sqlite3.Connection) -> list[str]:
        """Return the names of what was not applied to a database yet, in their order."""
        applied: set[str] = set()
        if connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlite_migrations'"
        ).fetchone():
            rows = connection.execute(
                "SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (self._name,)
            )
            applied = {name for (name,) in rows}
        return [step.__name__ for step in self._steps if step.__name__ not in applied]

    def apply(self, connection: sqlite3.Connection, *, stop_before: str | None = None) -> None:
        """Apply what is pending, each migration in a transaction of its own.

        Args:
            connection: to the database.
            stop_before: the name of the first migration that is left out.
        """
        if not self.pending(connection):
            return
        from sqlite_utils import Database  # noqa: PLC0415 - see above
        from sqlite_utils.migrations import Migrations as Library  # noqa: PLC0415

        library = Library(self._name)
        for step in self._steps:
            library()(step)
        library.apply(Database(connection), stop_before=stop_before)


MIGRATIONS: Final = Migrations("tfaudit")


@MIGRATIONS()
def first(db: Database) -> None:
    """Create the log, the states, the locks and the tokens."""
    db.table("log_head").create(
        {"id": int, "size": int, "frontier": bytes, "micros": int, "running": int},
        pk="id",
        not_null={"size", "frontier", "micros", "running"},
    )
    db.table("entry").create(
        {
            "idx": int,
            "time": str,
            "event": str,
            "outcome": str,
            "workspace": str,
            "actor": str,
            "actor_id": str,
            "source_ip": str,
            "key_id": str,
            "leaf_hash": bytes,
            "signature": bytes,
            "entry": bytes,
            "document": bytes,
        },
        pk="idx",
        not_null={"time", "event", "outcome", "key_id", "leaf_hash", "signature", "entry"},
    )
    db.table("checkpoint").create({"size": int, "note": str}, pk="size", not_null={"note"})
    versions = db.table("state_version").create(
        {
            "id": str,
            "workspace": str,
            "number": int,
            "lineage": str,
            "serial": int,
            "sha256": str,
            "size": int,
            "terraform_version": str,
            "kind": str,
            "created": str,
        },
        pk="id",
        not_null={"workspace", "number", "lineage", "serial", "sha256", "size", "created"},
    )
    versions.create_index(["workspace", "number"], unique=True)
    db.table("state_body").create({"id": str, "sealed": bytes}, pk="id", not_null={"sealed"})
    db.table("workspace").create(
        {"name": str, "created": str, "head": str}, pk="name", not_null={"created", "head"}
    )
    db.table("lock").create(
        {
            "workspace": str,
            "id": str,
            "info": bytes,
            "md5": str,
            "operation": str,
            "who": str,
            "version": str,
            "actor": str,
            "taken": str,
        },
        pk="workspace",
        not_null={"id", "info", "md5", "taken"},
    )
    tokens = db.table("token").create(
        {
            "id": str,
            "name": str,
            "role": str,
            "workspaces": str,
            "hint": str,
            "created": str,
            "expires": str,
            "revoked": str,
            "digest": bytes,
        },
        pk="id",
        not_null={"name", "role", "workspaces", "hint", "created", "digest"},
    )
    tokens.create_index(["digest"], unique=True)
    db.execute("CREATE UNIQUE INDEX token_in_force ON token (name) WHERE revoked IS NULL")
    db.table("log_head").insert({"id": 1, "size": 0, "frontier": b"", "micros": 0, "running": 0})


@MIGRATIONS()
def redaction(db: Database) -> None:
    """Create the salts of commitments and the redaction policy in force.

    A workspace gets its salt with its next write, whose entry is the first that it hides values
    in: a migration has no entry.
    """
    db.table("redaction_salt").create(
        {"workspace": str, "value": bytes, "since": str},
        pk="workspace",
        not_null={"value", "since"},
    )
    db.table("redaction_policy").create({"id": int, "packed": bytes}, pk="id", not_null={"packed"})


@MIGRATIONS()
def directory(db: Database) -> None:
    """Create the administrator's objects; give tokens a principal, a successor and a last use."""
    objects = db.table("object").create(
        {
            "kind": str,
            "name": str,
            "id": str,
            "created": str,
            "updated": str,
            "document": bytes,
        },
        pk=("kind", "name"),
        not_null={"id", "created", "updated", "document"},
    )
    objects.create_index(["id"], unique=True)
    db.table("directory").create({"id": int, "generation": int}, pk="id", not_null={"generation"})
    db.table("directory").insert({"id": 1, "generation": 0})
    for column in ("principal", "replaced", "used", "used_from"):
        db.table("token").add_column(column, str)
    db.execute("DROP INDEX token_in_force")
    db.execute(
        "CREATE UNIQUE INDEX token_in_force ON token (name) "
        "WHERE revoked IS NULL AND replaced IS NULL"
    )


@MIGRATIONS()
def exchanged(db: Database) -> None:
    """Give tokens what an issuer said of whoever got them in exchange for its identity token."""
    for column in ("issuer", "identity"):
        db.table("token").add_column(column, str)
    db.execute("CREATE INDEX token_exchanged ON token (expires) WHERE issuer IS NOT NULL")


@MIGRATIONS()
def people(db: Database) -> None:
    """Create the passwords of people and the sessions in which they are logged in."""
    db.table("password").create(
        {"principal": str, "hash": str, "changed": str},
        pk="principal",
        not_null={"hash", "changed"},
    )
    sessions = db.table("session").create(
        {
            "id": str,
            "principal": str,
            "created": str,
            "seen": str,
            "seen_from": str,
            "expires": str,
            "ended": str,
            "digest": bytes,
        },
        pk="id",
        not_null={"principal", "created", "seen", "seen_from", "expires", "digest"},
    )
    sessions.create_index(["digest"], unique=True)
    sessions.create_index(["principal"])


@MIGRATIONS()
def uses(db: Database) -> None:
    """Fill in the last use of tokens, from the entries of what was done with them.

    From now on the store must say of each token what the log says.
    """
    db.execute(
        "UPDATE token SET used = found.time, used_from = found.source_ip FROM ("
        "SELECT actor_id, max(time) AS time, source_ip FROM entry WHERE outcome = 'success' "
        "GROUP BY actor_id) AS found WHERE found.actor_id = token.id"
    )


@MIGRATIONS()
def takers(db: Database) -> None:
    """Add who took a lock; of one that was taken before, its actor's name alone tells."""
    db.table("lock").add_column("taker", str, not_null_default="")


@MIGRATIONS()
def forwarding(db: Database) -> None:
    """Create how far each sink is, what was set aside for it, and what it is given once more."""
    db.table("delivery").create(
        {
            "sink": str,
            "cursor": int,
            "delivered": int,
            "retries": int,
            "dead_letters": int,
            "failing_since": str,
            "failures": int,
            "error": str,
            "last_delivery": str,
            "next_try": str,
            "is_open": int,
            "is_reported": int,
            "reported": str,
            "unreported": int,
        },
        pk="sink",
        not_null={"cursor", "delivered", "retries", "dead_letters", "failures", "error"},
    )
    db.table("dead_letter").create(
        {"sink": str, "idx": int, "reason": str, "time": str},
        pk=("sink", "idx"),
        not_null={"reason", "time"},
    )
    db.table("replay").create(
        {
            "id": str,
            "sink": str,
            "first": int,
            "until": int,
            "only_dead_letters": int,
            "cursor": int,
            "requested": str,
        },
        pk="id",
        not_null={"sink", "first", "until", "only_dead_letters", "cursor", "requested"},
    )


@MIGRATIONS()
def tiles(db: Database) -> None:
    """Create the full tiles of the tree; a running server fills them in from the entries."""
    db.table("tile").create(
        {"level": int, "number": int, "root": bytes, "hashes": bytes},
        pk=("level", "number"),
        not_null={"root", "hashes"},
    )


@MIGRATIONS()
def runs(db: Database) -> None:
    """Create the runs that are under way.

    One whose lock was taken before has no row: nothing was followed of it.
    """
    db.table("run").create(
        {"workspace": str, "document": bytes}, pk="workspace", not_null={"document"}
    )


@MIGRATIONS()
def pruning(db: Database) -> None:
    """Create what is known of the entries that were archived and pruned; one row, or none.

    ``kept`` is a JSON list of indices below ``until`` whose entries stay.
    """
    db.table("baseline").create(
        {"until": int, "kept": str, "packed": bytes}, pk="until", not_null={"kept", "packed"}
    )


@MIGRATIONS()
def retention(db: Database) -> None:
    """Add under which lock each version was written, and what retention destroyed of them.

    What stands in the log fills in the former: a version is one run's with those that were written
    since the same lock was taken. A lock that is given again to who holds it was taken before.
    """
    versions = db.table("state_version")
    versions.add_column("run", str)
    versions.add_column("pruned", str)
    versions.add_column("pruned_by", int)
    db.execute(
        "CREATE INDEX state_version_pruned ON state_version (pruned_by) WHERE pruned_by IS NOT NULL"
    )
    db.execute(
        """
        WITH locking AS (
            SELECT idx, workspace, event,
                lag(event) OVER (PARTITION BY workspace ORDER BY idx) AS before
            FROM entry WHERE outcome = 'success'
            AND event IN ('state.locked', 'state.unlocked', 'state.force_unlocked')
        ), step AS (
            SELECT idx, workspace, event, NULL AS version
            FROM locking WHERE event <> 'state.locked' OR before IS NOT 'state.locked'
            UNION ALL
            SELECT idx, workspace, event, json_extract(CAST(entry AS TEXT), '$.state.version')
            FROM entry WHERE outcome = 'success' AND event = 'state.written'
            AND json_valid(CAST(entry AS TEXT))
        ), saved AS (
            SELECT idx, version,
                max(CASE WHEN event = 'state.locked' THEN idx END) OVER so_far AS locked,
                max(CASE WHEN event LIKE '%unlocked' THEN idx END) OVER so_far AS unlocked
            FROM step WINDOW so_far AS (PARTITION BY workspace ORDER BY idx)
        ), first_save AS (
            SELECT version, locked, unlocked, min(idx) FROM saved
            WHERE version IS NOT NULL GROUP BY version
        )
        UPDATE state_version SET run = entry.time
        FROM first_save JOIN entry ON entry.idx = first_save.locked
        WHERE first_save.version = state_version.id AND locked > coalesce(unlocked, -1)
        """
    )
    # Of a lock that is still held, the time as the table has it, which the next version gets, too.
    db.execute(
        "UPDATE state_version SET run = lock.taken FROM lock "
        "WHERE lock.workspace = state_version.workspace AND state_version.run >= lock.taken"
    )
