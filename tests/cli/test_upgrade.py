"""Tests of the command line on a database of an earlier release: it goes on with what it has."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from proxy.cli._common import opened, run, settings
from proxy.storage.migrations import MIGRATIONS
from tests.cli.conftest import Tfaudit
from tests.contracts.store_contract import uses_token

FIRST = "directory"
"""The first migration after the release before."""


def go_back(path: Path) -> None:
    """Make a database of the release before, with all of this one's rows that it has room for."""
    old = path.with_suffix(".old")
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        MIGRATIONS.apply(connection, stop_before=FIRST)
        connection.execute("DELETE FROM log_head")
        connection.execute("ATTACH ? AS newer", (str(path),))
        tables = connection.execute(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE '%sqlite%'"
        ).fetchall()
        for (table,) in tables:
            info = connection.execute(f"PRAGMA main.table_info({table})")
            columns = ", ".join(row[1] for row in info)
            connection.execute(
                f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}"  # noqa: S608
            )
    for suffix in ("-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    old.rename(path)


def columns_of(path: Path) -> set[str]:
    """Return the columns of the table of tokens."""
    with closing(sqlite3.connect(path)) as connection:
        return {row[1] for row in connection.execute("PRAGMA table_info(token)")}


def test_tokens_of_the_release_before_go_on(tfaudit: Tfaudit, data: Path) -> None:
    """With their names, their ends, and their last use as the log has it; and verify holds."""
    for name in ("ci", "idle", "gone"):
        tfaudit("token", "create", name, "--role", "writer", "--workspace", "a/*")
    tfaudit("token", "revoke", "gone")
    use(tfaudit, data, "ci", 3)
    before = json.loads(tfaudit("token", "list", "--json").stdout)
    go_back(data / "tfaudit.db")
    assert "used" not in columns_of(data / "tfaudit.db")

    tfaudit("verify", "--no-record")
    after = json.loads(tfaudit("token", "list", "--json").stdout)

    assert [None, None] == [token["used"] for token in after[1:]]
    assert "10.0.0.9" == after[0]["used_from"]
    for token in (*before, *after):
        del token["used"]
    assert before == after
    tfaudit("verify")
    tfaudit("token", "rotate", "ci")
    tfaudit("token", "create", "gone", "--role", "reader", "--workspace", "*")
    use(tfaudit, data, "idle", 1)
    tfaudit("verify")


def use(tfaudit: Tfaudit, data: Path, name: str, times: int) -> None:
    """Do something with a token, so often."""
    found = json.loads(tfaudit("token", "show", name, "--json").stdout)["id"]

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            for _ in range(times):
                await program.store.write(uses_token("10.0.0.9", by=found))

    run(work())
