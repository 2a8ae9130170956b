"""Whoever removes entries and calls it pruning, or alters what is known of pruned ones, is found.

By the public keys alone, as an auditor has them.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import orjson
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.tlog.entry import canonical, signing_input
from tests.cli.pruned_logs import OLDER, OLDEST, Past, a_past
from tests.cli.tile_logs import verified

Alter = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Return a log of which nothing is pruned; no test may change it."""
    past = a_past(tmp_path_factory.mktemp("before"))
    past.keys.write_text(past.run("key", "export-public", "--json").stdout)
    return past


@pytest.fixture(scope="module")
def pruned(before: Past, tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Return a log that was pruned once; no test may change it."""
    past = before.copy(tmp_path_factory.mktemp("pruned"))
    past.retain("480d")
    return past


def altered(past: Past, alter: Alter) -> str:
    """Alter the database, and return what verification says of it, which must be no."""
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection, connection:
        alter(connection)
    shown = verified(past.data, "--key", past.keys, "--no-record", code=1)
    return f"{shown['result']} at {shown['first_bad_index']}: {shown['message']}"


def sql(*statements: str) -> Alter:
    """Return what runs statements."""

    def alter(connection: sqlite3.Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    return alter


DROP = f"DELETE FROM entry WHERE idx < {OLDEST}"  # noqa: S608 - numbers of ours


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (sql(DROP), "missing at 0: Entry 0 is missing"),
        (sql(DROP, f"DELETE FROM checkpoint WHERE size < {OLDEST}"), "missing at 0"),  # noqa: S608 - numbers of ours
        (
            sql(DROP, f"INSERT INTO baseline VALUES ({OLDEST}, '[]', x'00')"),  # noqa: S608 - numbers of ours
            "no entry of the log does",
        ),
    ],
)
def test_entries_that_nobody_pruned_are_missing(
    before: Past, tmp_path_factory: pytest.TempPathFactory, alter: Alter, said: str
) -> None:
    """Whatever the database says of it, as no entry does."""
    assert said in altered(before.copy(tmp_path_factory.mktemp("copy")), alter)


def edited_baseline(connection: sqlite3.Connection) -> None:
    """Let what is known say that a token was made for an administrator, and make it one."""
    ((packed,),) = connection.execute("SELECT packed FROM baseline").fetchall()
    known = zstandard.ZstdDecompressor().decompress(packed)
    forged = known.replace(b'"reader"', b'"admin"')
    assert known != forged
    connection.execute(
        "UPDATE baseline SET packed = ?", (zstandard.ZstdCompressor().compress(forged),)
    )
    connection.execute("UPDATE token SET role = 'admin'")


def put_back_altered(connection: sqlite3.Connection) -> None:
    """Put an entry back where one was pruned, as an attempt that was cut short leaves it."""
    row = connection.execute("SELECT * FROM entry WHERE idx = 300").fetchone()
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO entry VALUES ({marks})", (100, *row[1:]))  # noqa: S608 - numbers of ours


def more_pruned(connection: sqlite3.Connection) -> None:
    """Prune more than the entry says, with what was known before."""
    connection.execute(f"UPDATE baseline SET until = {OLDER}")  # noqa: S608 - numbers of ours
    connection.execute(f"DELETE FROM entry WHERE idx >= {OLDEST} AND idx < {OLDER}")  # noqa: S608 - numbers of ours


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (edited_baseline, f"What is known of the entries before {OLDEST} is not what entry"),
        (sql("DELETE FROM baseline"), f"What is known of the entries before {OLDEST}"),
        (sql("UPDATE baseline SET kept = '[]'"), "pruned others than those it had to"),
        (sql("UPDATE baseline SET packed = 'text'"), "it was changed"),
        (sql("INSERT INTO baseline VALUES (512, '[]', x'00')"), "is that of others"),
        (more_pruned, "is missing, or is that of others"),
        (
            sql("DELETE FROM entry WHERE idx BETWEEN 200 AND 300"),
            f"missing at {OLDEST}: Entry {OLDEST} is",
        ),
        (sql("DELETE FROM entry WHERE idx = 0"), "missing at 0: Entry 0 is missing, which stays"),
        (sql("UPDATE entry SET entry = x'7b7d' WHERE idx = 0"), "Entry 0 was changed"),
        (sql("UPDATE entry SET actor = 'nobody' WHERE idx = 0"), "Entry 0 is filed as something"),
        (sql("UPDATE entry SET entry = 'text' WHERE idx = 0"), "Entry 0 was changed"),
        (
            sql("UPDATE entry SET document = x'7b7d' WHERE idx = 0"),
            "document of entry 0 was changed",
        ),
        (put_back_altered, "invalid at 100: Entry 100 was changed"),
        (
            sql("UPDATE tile SET hashes = zeroblob(8192) WHERE level = 0 AND number = 0"),
            "invalid at 0",
        ),
        (sql("UPDATE tile SET root = x'00' WHERE level = 0 AND number = 0"), "invalid at 0"),
        (sql("DELETE FROM tile WHERE level = 0 AND number = 0"), "missing at 0: The hashes"),
        (sql("INSERT INTO checkpoint VALUES (100, 'forged')"), "A checkpoint of the log"),
        (sql("UPDATE token SET role = 'admin' WHERE name = 'ci'"), "The role of the token ci"),
        (sql("DELETE FROM token WHERE name = 'ci'"), "The token ci that entry"),
        (sql("UPDATE state_version SET serial = 99 WHERE number = 1"), "the stored state of"),
        (sql("DELETE FROM lock"), "The lock of prod that entry"),
        (sql("DELETE FROM run"), "The run on prod"),
        (sql("DELETE FROM password"), "The password of alice"),
        (sql("DELETE FROM object WHERE kind = 'principal'"), "The principal alice"),
        (sql("UPDATE redaction_policy SET packed = x'00'"), "redaction policy"),
    ],
)
def test_what_is_known_of_pruned_entries_can_not_be_altered(
    pruned: Past, tmp_path_factory: pytest.TempPathFactory, alter: Alter, said: str
) -> None:
    """Neither what stands in their place, nor what they say of all that is stored."""
    assert said in altered(pruned.copy(tmp_path_factory.mktemp("copy")), alter)


def test_what_was_known_at_an_earlier_pruning_is_not_taken(
    pruned: Past, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Though an entry vouches for it, too."""
    past = pruned.copy(tmp_path_factory.mktemp("copy"))
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection:
        first = connection.execute("SELECT until, kept, packed FROM baseline").fetchone()
    past.retain()

    def alter(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM baseline")
        connection.execute("INSERT INTO baseline VALUES (?, ?, ?)", first)

    assert f"What is known of the entries before {OLDER}" in altered(past, alter)


def test_an_entry_by_another_key_prunes_nothing(
    before: Past, pruned: Past, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It says what a true one would, and all that is beside it is true."""
    past = before.copy(tmp_path_factory.mktemp("copy"))
    with closing(sqlite3.connect(pruned.data / "tfaudit.db")) as connection:
        baseline = connection.execute("SELECT until, kept, packed FROM baseline").fetchone()
        names = "entry, event, outcome, actor, actor_id, source_ip, key_id"
        select = f"SELECT {names} FROM entry WHERE event = 'audit.pruned'"  # noqa: S608 - numbers of ours
        entry, *filed = connection.execute(select).fetchone()
        tiles = connection.execute("SELECT * FROM tile").fetchall()

    def alter(connection: sqlite3.Connection) -> None:
        ((size,),) = connection.execute("SELECT size FROM log_head").fetchall()
        said = orjson.loads(entry)
        data = canonical(said)
        leaf = hashlib.sha256(b"\x00" + data).digest()
        forged = Ed25519PrivateKey.generate().sign(signing_input(data))
        connection.execute(
            "INSERT INTO entry (idx, time, event, outcome, actor, actor_id, source_ip, key_id, "
            "leaf_hash, signature, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (size, said["time"], *filed, leaf, forged, data),
        )
        connection.execute("UPDATE log_head SET size = size + 1")
        connection.execute("INSERT INTO baseline VALUES (?, ?, ?)", baseline)
        connection.executemany("INSERT OR IGNORE INTO tile VALUES (?, ?, ?, ?)", tiles)
        kept = json.loads(baseline[1])
        for index in set(range(OLDEST)) - set(kept):
            connection.execute("DELETE FROM entry WHERE idx = ?", (index,))
        connection.execute("DELETE FROM checkpoint WHERE size < ?", (OLDEST,))

    assert "was changed or forged: its signature is wrong" in altered(past, alter)


@pytest.mark.parametrize(
    "statements",
    [
        [DROP],
        [DROP, f"INSERT INTO baseline VALUES ({OLDEST}, '[]', x'00')"],  # noqa: S608 - numbers of ours
    ],
)
def test_by_the_tree_alone_a_pruning_needs_its_entry(
    before: Past, tmp_path_factory: pytest.TempPathFactory, statements: list[str]
) -> None:
    """Though the hashes are all there."""
    past = before.copy(tmp_path_factory.mktemp("copy"))
    past.run("receipt", "3", "-o", past.keys.with_name("r.tlog-proof"))  # which keeps the tiles
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection, connection:
        sql(*statements)(connection)
    assert "missing" == verified("--data", past.data, "--tree-only", code=1)["result"]


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (sql("UPDATE baseline SET until = 257"), "only whole 256 entries are"),
        (sql("UPDATE baseline SET until = -256"), "only whole 256 entries are"),
        (sql("DELETE FROM entry WHERE idx = 0"), "Entry 0 is missing, which stays"),
        (sql("UPDATE entry SET entry = x'7b7d' WHERE idx = 0"), "Entry 0 was changed"),
        (put_back_altered, "Entry 100 was changed"),
        (sql("UPDATE baseline SET packed = x'00'"), "is not what entry"),
    ],
)
def test_by_the_tree_alone_what_is_left_of_pruned_entries_is_compared(
    pruned: Past, tmp_path_factory: pytest.TempPathFactory, alter: Alter, said: str
) -> None:
    """With the hashes that the tree has; and a place where no pruning ends is named."""
    past = pruned.copy(tmp_path_factory.mktemp("copy"))
    with closing(sqlite3.connect(past.data / "tfaudit.db")) as connection, connection:
        alter(connection)
    assert said in str(verified("--data", past.data, "--tree-only", code=1)["message"])


def test_a_forged_change_document_of_what_a_pruning_left_is_found(
    before: Past, pruned: Past, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Beside an entry that was put back as it was, with its signature."""
    past = pruned.copy(tmp_path_factory.mktemp("copy"))
    with closing(sqlite3.connect(before.data / "tfaudit.db")) as connection:
        row = connection.execute("SELECT * FROM entry WHERE idx = 100").fetchone()

    def alter(connection: sqlite3.Connection) -> None:
        connection.execute(f"INSERT INTO entry VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - marks
        connection.execute("UPDATE entry SET document = x'7b7d' WHERE idx = 100")

    assert "invalid at 100: The change document of entry 100 was changed" in altered(past, alter)
