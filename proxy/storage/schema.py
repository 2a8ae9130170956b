"""What a database of ours is made of, so that `verify` finds what somebody put in or took away.

A trigger can undo what a statement does, and without its index a name is no longer unique.
"""

import sqlite3
from contextlib import closing
from typing import Final, NamedTuple

from proxy.storage.migrations import MIGRATIONS

_OWN: Final = "sqlite_"
"""How the names begin that SQLite gives by itself."""


class Part(NamedTuple):
    """A table, an index, a trigger or a view.

    Attributes:
        kind: which of them.
        name: unique.
        table: that it belongs to.
        columns: of a table or an index, in their order; of a unique index after ``unique``.
    """

    kind: str
    name: str
    table: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.kind} {self.name}"


def parts(connection: sqlite3.Connection) -> frozenset[Part]:
    """Return what the database is made of, but for what SQLite keeps for itself."""
    found = connection.execute("SELECT type, name, tbl_name FROM sqlite_schema").fetchall()
    return frozenset(
        Part(kind, name, table, _columns(connection, kind, name, table))
        for kind, name, table in found
        if not name.startswith(_OWN)
    )


def known_schemas() -> list[frozenset[Part]]:
    """Return what a database is made of after each migration, the newest last."""
    found = []
    with closing(sqlite3.connect(":memory:")) as connection:
        names = MIGRATIONS.pending(connection)
        for following in (*names[1:], None):
            MIGRATIONS.apply(connection, stop_before=following)
            found.append(parts(connection))
    return found


def _columns(connection: sqlite3.Connection, kind: str, name: str, table: str) -> tuple[str, ...]:
    if kind == "table":
        rows = connection.execute("SELECT name FROM pragma_table_info(?)", (name,))
        return tuple(row[0] for row in rows)
    if kind != "index":
        return ()
    columns = connection.execute("SELECT name FROM pragma_index_info(?)", (name,)).fetchall()
    unique = connection.execute(
        'SELECT "unique", partial FROM pragma_index_list(?) WHERE name = ?', (table, name)
    ).fetchall()
    flags = [
        word
        for row in unique
        for word, is_so in zip(("unique", "partial"), row, strict=True)
        if is_so
    ]
    return (*flags, *(str(row[0]) for row in columns))
