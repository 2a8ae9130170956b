"""Tests of databases, made by a real server, that somebody changed behind its back."""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from proxy.audit_log import EMPTY_HEAD, AuditLog
from proxy.cli import app
from proxy.cli._common import settings
from proxy.contracts import Draft
from proxy.errors import ConfigError, UnavailableError
from proxy.keys import open_keys
from proxy.program import open_program
from proxy.timestamps import micros_of
from proxy.tlog.merkle import Frontier, leaf_hash
from tests.e2e.server import Server
from tests.faults.conftest import MakeServer
from tests.samples import a_draft, a_lock_info, a_state


@dataclass(frozen=True)
class Story:
    """A data directory that a real server made, and where things stand in its log.

    Attributes:
        data: the directory; tests work on copies.
        places: by a name, the index of an entry or the ID of a version, for statements.
        kept: a checkpoint that was served while the server ran, of ``places["kept"]`` entries.
    """

    data: Path
    places: dict[str, int | str]
    kept: str

    def index(self, name: str) -> int:
        """Return the index of an entry; a name may be one higher by ``+1``."""
        name, _, more = name.partition("+")
        return int(self.places[name]) + int(more or 0)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Let a real server serve two workspaces, and stop it."""
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("TFAUDIT_")]:
        patch.delenv(name)
    data = tmp_path_factory.mktemp("story") / "data"
    places: dict[str, int | str] = {}
    with Server(data) as server:
        token = server.admin_token

        def ask(name: str, method: str, path: str, body: bytes | None = None) -> None:
            reply = server.request(method, f"/state/{path}", body, token=token)
            places[name] = int(reply.headers["Audit-Index"])

        ask("a1", "POST", "a", a_state(1))
        ask("a2", "POST", "a", a_state(2, "two"))
        ask("read", "GET", "a")
        ask("b1", "POST", "b", a_state(1, "b"))
        ask("locked", "LOCK", "a", a_lock_info())
        ask("refused", "POST", "a", a_state(1, "no"))
        ask("a3", "POST", "a?ID=lock-1", a_state(3, "three"))
        ask("unlocked", "UNLOCK", "a", a_lock_info())
        ask("b2", "POST", "b", a_state(2, "bb"))
        kept = server.request("GET", "/checkpoint", token=token).body.decode()
        places["kept"] = int(kept.split("\n")[1])
        ask("late", "POST", "b", a_state(3, "late"))
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        (places["size"],) = database.execute("SELECT size FROM log_head").fetchone()
        for ident, workspace, number in database.execute(
            "SELECT id, workspace, number FROM state_version"
        ):
            places[f"v_{workspace}{number}"] = ident
    places["end"] = int(places["size"]) - 1
    yield Story(data, places, kept)
    patch.undo()


@dataclass(frozen=True)
class Copy:
    """A copy of the story's directory, to be changed."""

    story: Story
    data: Path

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Open the database as an intruder with SQLite does."""
        with closing(sqlite3.connect(self.data / "tfaudit.db")) as connection, connection:
            connection.create_function("leaf", 1, leaf_hash)
            yield connection

    def change(self, *statements: str) -> None:
        """Run statements; ``{name}`` stands for a place in the story."""
        with self.database() as database:
            for statement in statements:
                database.execute(statement.format(**self.story.places))

    def verify(self, *options: object, code: int) -> Result:
        """Run ``tfaudit verify``; a traceback is raised here."""
        arguments = ["verify", "--json", *map(str, options), "--data", str(self.data)]
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code == result.exit_code, result.output
        return result

    def bad(self, *options: object) -> tuple[int | None, str]:
        """Verify what must not hold; return the index named and the message."""
        shown = json.loads(self.verify("--no-record", *options, code=1).stdout)
        return shown["first_bad_index"], shown["message"]

    def size(self) -> int:
        """Return the number of rows in the log."""
        with self.database() as database:
            (count,) = database.execute("SELECT count(*) FROM entry").fetchone()
        return int(count)


@pytest.fixture
def copy(story: Story, tmp_path: Path) -> Copy:
    """Return a copy of the story."""
    shutil.copytree(story.data, tmp_path / "data")
    return Copy(story, tmp_path / "data")


def test_the_story_holds(copy: Copy) -> None:
    """Without a change everything verifies, also against the checkpoint that was kept."""
    (copy.data / "kept").write_text(copy.story.kept)
    copy.verify("--checkpoint", copy.data / "kept", code=0)


# ---------------------------------------------------------------- entries

_EDIT = (
    "UPDATE entry SET entry = CAST(replace(CAST(entry AS TEXT), 'terraform', 'terrafarm') AS BLOB)"
)
_LEAF = "UPDATE entry SET leaf_hash = leaf(entry) WHERE idx = {read}"
_SHIFT_DOWN = "UPDATE entry SET idx = idx - 1 WHERE idx > {read}"
_COPY = """INSERT INTO entry SELECT {to}, time, event, outcome, workspace, actor, actor_id,
    source_ip, key_id, leaf_hash, signature, entry, document FROM entry WHERE idx = {of}"""
_EXCHANGE = """UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = {read} + 1)
    WHERE size = {unlocked} + 2"""
_ALTER_BODY = """UPDATE state_body SET
    sealed = CAST(substr(sealed, 1, 99) || x'00' || substr(sealed, 101) AS BLOB)
    WHERE id = '{v_a2}'"""


@pytest.mark.parametrize(
    ("statements", "place"),
    [
        pytest.param([_EDIT + " WHERE idx = {read}"], "read", id="edited"),
        pytest.param([_EDIT + " WHERE idx = {read}", _LEAF], "read", id="edited-and-hashed"),
        pytest.param(
            ["UPDATE entry SET signature = zeroblob(64) WHERE idx = 0"], None, id="unsigned"
        ),
        pytest.param(["DELETE FROM entry WHERE idx = {read}"], "read", id="dropped"),
        pytest.param(["DELETE FROM entry WHERE idx = {a1} - 1"], "a1+-1", id="dropped-of-two"),
        pytest.param(
            [
                "DELETE FROM entry WHERE idx = {read}",
                _SHIFT_DOWN,
                "UPDATE log_head SET size = size - 1",
            ],
            "read",
            id="dropped-and-renumbered",
        ),
        pytest.param(
            [
                "DELETE FROM entry WHERE idx = {read}",
                _SHIFT_DOWN,
                "DELETE FROM checkpoint WHERE size = {read} + 1",
                "UPDATE checkpoint SET size = size - 1 WHERE size > {read}",
                "UPDATE log_head SET size = size - 1",
            ],
            "read",
            id="dropped-and-all-renumbered",
        ),
        pytest.param(
            [
                "UPDATE entry SET idx = -1 WHERE idx = {read}",
                "UPDATE entry SET idx = {read} WHERE idx = {read} + 1",
                "UPDATE entry SET idx = {read} + 1 WHERE idx = -1",
            ],
            "read",
            id="neighbours-swapped",
        ),
        pytest.param(
            [
                "UPDATE entry SET idx = -1 WHERE idx = {a1} - 1",
                "UPDATE entry SET idx = {a1} - 1 WHERE idx = {a1}",
                "UPDATE entry SET idx = {a1} WHERE idx = -1",
            ],
            "a1+-1",
            id="swapped-under-one-checkpoint",
        ),
        pytest.param(
            [
                "UPDATE entry SET idx = -1 WHERE idx = {read}",
                "UPDATE entry SET idx = {read} WHERE idx = {unlocked}",
                "UPDATE entry SET idx = {unlocked} WHERE idx = -1",
            ],
            "read",
            id="far-ones-swapped",
        ),
        pytest.param(
            [
                "DELETE FROM entry WHERE idx = {unlocked}",
                _COPY.format(to="{unlocked}", of="{locked}"),
            ],
            "unlocked",
            id="repeated-in-place-of-another",
        ),
        pytest.param(
            [
                "UPDATE entry SET idx = -idx WHERE idx > {read}",
                "UPDATE entry SET idx = 1 - idx WHERE idx < 0",
                _COPY.format(to="{read} + 1", of="{read}"),
                "UPDATE log_head SET size = size + 1",
            ],
            "read+1",
            id="repeated-and-renumbered",
        ),
        pytest.param(
            [
                _COPY.format(to="{size}", of="{read}"),
                "UPDATE log_head SET size = size + 1",
            ],
            "size",
            id="repeated-at-the-end",
        ),
        pytest.param(["DELETE FROM entry WHERE idx = {end}"], "end", id="last-cut"),
        pytest.param(["DELETE FROM entry WHERE idx >= {a3}"], "a3", id="tail-cut"),
        pytest.param(
            ["DELETE FROM entry WHERE idx >= {a3}", "UPDATE log_head SET size = {a3}"],
            "a3",
            id="tail-cut-with-head",
        ),
        pytest.param(["DELETE FROM entry"], None, id="all-cut"),
        pytest.param(
            ["DELETE FROM checkpoint WHERE size = {size}"], "end", id="last-checkpoint-dropped"
        ),
        pytest.param(
            ["DELETE FROM checkpoint WHERE size > {a2}", _EDIT + " WHERE idx = {b1}", _LEAF],
            "b1",
            id="checkpoints-dropped-around-an-edit",
        ),
        pytest.param(
            ["UPDATE checkpoint SET note = replace(note, '— ', '— x') WHERE size = {read} + 1"],
            "read",
            id="checkpoint-altered",
        ),
        pytest.param(
            [_EXCHANGE],
            "unlocked",
            id="checkpoint-exchanged",
        ),
        pytest.param(["UPDATE log_head SET size = 0, frontier = x''"], None, id="head-reset"),
        pytest.param(["UPDATE log_head SET size = {a3}"], "a3", id="head-set-back"),
        pytest.param(["UPDATE log_head SET size = size + 1"], "size", id="head-set-ahead"),
        pytest.param(
            ["UPDATE log_head SET frontier = zeroblob(length(frontier))"], "size", id="frontier"
        ),
        pytest.param(["UPDATE log_head SET frontier = x'00'"], "size", id="frontier-cut"),
        pytest.param(["UPDATE log_head SET frontier = 'text'"], "size", id="frontier-text"),
        pytest.param(["UPDATE log_head SET micros = micros + 1"], "size", id="head-dated"),
        pytest.param(["UPDATE log_head SET running = 1"], "size", id="unclean-stop-invented"),
        pytest.param(
            ["INSERT INTO checkpoint SELECT size + 1, note FROM checkpoint WHERE size = {size}"],
            "size",
            id="checkpoint-ahead",
        ),
        pytest.param(
            ["UPDATE entry SET workspace = 'b' WHERE idx = {read}"], "read", id="read-hidden"
        ),
    ],
)
def test_a_changed_log_is_found_and_named(
    copy: Copy, statements: list[str], place: str | None
) -> None:
    """By the command, with the first bad index."""
    copy.change(*statements)
    index, message = copy.bad()
    assert (0 if place is None else copy.story.index(place)) == index, message


def test_a_checkpoint_dropped_in_the_middle_hides_nothing(copy: Copy) -> None:
    """The ones after it cover the same entries."""
    copy.change("DELETE FROM checkpoint WHERE size = {read} + 1")
    copy.verify("--no-record", code=0)
    copy.change("DELETE FROM entry WHERE idx = {read}", _SHIFT_DOWN)
    assert copy.story.index("read") == copy.bad()[0]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM log_head",
        "UPDATE log_head SET size = 'many'",
        "UPDATE log_head SET size = -1",
        "UPDATE entry SET idx = 9223372036854775807 WHERE idx = {end}",
        "UPDATE entry SET entry = 'text' WHERE idx = {read}",
        "UPDATE entry SET entry = x'00ff' WHERE idx = {read}",
        "UPDATE entry SET actor = CAST(x'ff' AS TEXT) WHERE idx = {read}",
        "UPDATE entry SET actor = x'ff' WHERE idx = {read}",
        "UPDATE token SET workspaces = '['",
        "UPDATE token SET created = 7",
        "UPDATE token SET name = x'ff'",
        "INSERT INTO lock VALUES ('w', 'x', 'no info', '', '', '', '', '', 'never', 'nobody')",
        "INSERT INTO run VALUES (x'ff', 7)",
        "DROP TABLE token",
        "UPDATE checkpoint SET note = x'00ff' WHERE size = {read} + 1",
        "UPDATE checkpoint SET note = '' WHERE size = {size}",
        "UPDATE state_body SET sealed = 'text' WHERE id = '{v_a2}'",
        "UPDATE state_body SET sealed = x'' WHERE id = '{v_a2}'",
        "UPDATE state_version SET lineage = 7 WHERE id = '{v_a2}'",
        "UPDATE state_version SET lineage = x'ff' WHERE id = '{v_a2}'",
        "DROP TABLE state_body",
        "DROP TABLE checkpoint",
        "UPDATE redaction_policy SET packed = replace(packed, 'standard', 'strict')",
        "UPDATE redaction_policy SET packed = x'ff'",
        "DELETE FROM redaction_policy",
        "DROP TABLE redaction_policy",
    ],
)
def test_nonsense_is_never_verified_and_never_a_crash(copy: Copy, statement: str) -> None:
    """Whatever stands in the database: not verified, in words."""
    copy.change(statement)
    arguments = ["verify", "--no-record", "--data", str(copy.data)]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in {1, 2}
    assert "tfaudit: " in result.stderr


# ---------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("statements", "place"),
    [
        pytest.param(
            [_ALTER_BODY],
            "a2",
            id="body-altered",
        ),
        pytest.param(
            [
                "UPDATE state_body SET id = 'x' WHERE id = '{v_a2}'",
                "UPDATE state_body SET id = '{v_a2}' WHERE id = '{v_a3}'",
                "UPDATE state_body SET id = '{v_a3}' WHERE id = 'x'",
            ],
            "a2",
            id="bodies-of-versions-swapped",
        ),
        pytest.param(
            [
                "UPDATE state_body SET id = 'x' WHERE id = '{v_a1}'",
                "UPDATE state_body SET id = '{v_a1}' WHERE id = '{v_b1}'",
                "UPDATE state_body SET id = '{v_b1}' WHERE id = 'x'",
            ],
            "a1",
            id="bodies-of-workspaces-swapped",
        ),
        pytest.param(
            [
                "UPDATE state_version SET number = -1 WHERE id = '{v_b1}'",
                "UPDATE state_version SET workspace = 'x' WHERE id = '{v_a1}'",
                "UPDATE state_version SET workspace = 'a', number = 1 WHERE id = '{v_b1}'",
                "UPDATE state_version SET workspace = 'b' WHERE id = '{v_a1}'",
            ],
            "a1",
            id="versions-of-workspaces-swapped",
        ),
        pytest.param(["DELETE FROM state_version WHERE id = '{v_a2}'"], "a2", id="version-dropped"),
        pytest.param(
            [
                "DELETE FROM state_version WHERE id = '{v_a3}'",
                "DELETE FROM state_body WHERE id = '{v_a3}'",
                "UPDATE workspace SET head = '{v_a2}' WHERE name = 'a'",
            ],
            "a3",
            id="newest-version-dropped",
        ),
        pytest.param(
            ["UPDATE workspace SET head = '{v_a2}' WHERE name = 'a'"], "a3", id="head-set-back"
        ),
        pytest.param(
            ["UPDATE workspace SET head = '{v_b1}' WHERE name = 'a'"], "a3", id="head-of-another"
        ),
        pytest.param(["DELETE FROM workspace WHERE name = 'a'"], "a3", id="workspace-dropped"),
        pytest.param(
            ["INSERT INTO workspace SELECT 'c', created, head FROM workspace WHERE name = 'a'"],
            None,
            id="workspace-forged",
        ),
        pytest.param(
            ["UPDATE state_version SET serial = 9 WHERE id = '{v_a2}'"], "a2", id="serial-altered"
        ),
        pytest.param(
            ["UPDATE state_version SET size = 9 WHERE id = '{v_a2}'"], "a2", id="size-altered"
        ),
        pytest.param(
            ["UPDATE state_version SET number = 9 WHERE id = '{v_a2}'"], "a2", id="number-altered"
        ),
        pytest.param(
            ["UPDATE state_version SET sha256 = 'ab' WHERE id = '{v_a2}'"],
            "a2",
            id="digest-altered",
        ),
        pytest.param(
            ["UPDATE state_version SET created = '2020-01-01T00:00:00Z' WHERE id = '{v_a2}'"],
            "a2",
            id="time-altered",
        ),
    ],
)
def test_a_changed_state_is_found_and_named(
    copy: Copy, statements: list[str], place: str | None
) -> None:
    """By the entry that recorded it, if one did."""
    copy.change(*statements)
    index, message = copy.bad()
    assert (None if place is None else copy.story.index(place)) == index, message


# ---------------------------------------------------------------- the whole database


def rewrite(copy: Copy, audit: AuditLog, size: int) -> None:
    """Sign the first entries of the log again, with what is said in them changed, and no others."""
    with copy.database() as database:
        rows = database.execute(
            "SELECT entry FROM entry WHERE idx < ? ORDER BY idx", (size,)
        ).fetchall()
        head = EMPTY_HEAD
        for table in ("entry", "checkpoint"):
            database.execute(f"DELETE FROM {table}")  # noqa: S608
        for (old,) in rows:
            draft = Draft(orjson.loads(old))
            draft.entry["source"]["ip"] = "10.6.6.6"
            batch = audit.begin(head)
            (record,) = batch.append([draft])
            head, note = batch.close()
            database.execute(
                "INSERT INTO entry (idx, time, event, outcome, workspace, actor, actor_id, "
                "source_ip, key_id, leaf_hash, signature, entry) "
                "VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    record.index,
                    draft.entry["time"],
                    draft.entry["event"],
                    draft.entry["outcome"],
                    draft.entry.get("workspace"),
                    draft.entry["actor"]["name"],
                    draft.entry["actor"]["id"],
                    draft.entry["source"]["ip"],
                    *(record.key_id, record.leaf_hash, record.signature, record.entry),
                ),
            )
            database.execute("INSERT INTO checkpoint VALUES (?, ?)", (head.size, note))
        database.execute(
            "UPDATE log_head SET size = ?, frontier = ?, micros = ?",
            (head.size, head.frontier, head.micros),
        )


def test_a_database_rewritten_with_other_keys_is_bad_from_its_start(copy: Copy) -> None:
    """All is consistent and signed, by somebody else under the same name."""
    ring = open_keys(settings(copy.data, None), create=False)
    clock = iter(range(1_790_000_000_000_000, 1_800_000_000_000_000, 1000))
    forger = AuditLog(
        Ed25519PrivateKey.generate(),
        Ed25519PrivateKey.generate(),
        ring.origin,
        clock=lambda: next(clock),
        random=os.urandom,
    )
    rewrite(copy, forger, copy.story.index("size"))
    (copy.data / "checkpoint.last").unlink()
    index, message = copy.bad()
    assert (0, True) == (index, "unknown key" in message)


def test_a_database_rewritten_with_the_stolen_keys_is_found_by_an_older_checkpoint(
    copy: Copy,
) -> None:
    """The one thing that the keys alone can't find: a checkpoint kept elsewhere does."""
    ring = open_keys(settings(copy.data, None), create=False)
    clock = iter(range(1_790_000_000_000_000, 1_800_000_000_000_000, 1000))
    thief = AuditLog(
        ring.entry, ring.checkpoint, ring.origin, clock=lambda: next(clock), random=os.urandom
    )
    (copy.data / "kept").write_text(copy.story.kept)
    (copy.data / "checkpoint.last").unlink()
    rewrite(copy, thief, copy.story.index("size"))
    index, message = copy.bad("--checkpoint", copy.data / "kept")
    assert (0, True) == (index, "rewritten" in message)


def cut_tail(copy: Copy, size: int) -> None:
    """Set everything back to an earlier day, as somebody does who knows the program."""
    frontier = Frontier()
    with copy.database() as database:
        for (leaf,) in database.execute(
            "SELECT leaf_hash FROM entry WHERE idx < ? ORDER BY idx", (size,)
        ):
            frontier.append(leaf)
        (time,) = database.execute("SELECT time FROM entry WHERE idx = ?", (size - 1,)).fetchone()
        late = [
            orjson.loads(entry)["state"]["version"]
            for (entry,) in database.execute(
                "SELECT entry FROM entry WHERE idx >= ? AND event = 'state.written'", (size,)
            )
        ]
        for version in late:
            database.execute("DELETE FROM state_version WHERE id = ?", (version,))
            database.execute("DELETE FROM state_body WHERE id = ?", (version,))
        database.execute(
            "UPDATE workspace SET head = (SELECT id FROM state_version v WHERE v.workspace = name "
            "ORDER BY number DESC LIMIT 1)"
        )
        database.execute("DELETE FROM entry WHERE idx >= ?", (size,))
        database.execute("DELETE FROM checkpoint WHERE size > ?", (size,))
        database.execute(
            "UPDATE log_head SET size = ?, frontier = ?, micros = ?, running = 1",
            (size, frontier.to_bytes(), micros_of(time)),
        )


def test_a_consistently_cut_tail_is_found_by_an_older_checkpoint(copy: Copy) -> None:
    """Nothing in the directory contradicts it any more; the log is not continued from there."""
    size = copy.story.index("b2")
    (copy.data / "kept").write_text(copy.story.kept)
    cut_tail(copy, size)
    (copy.data / "checkpoint.last").unlink()
    copy.verify("--no-record", code=0)
    result = copy.verify("--checkpoint", copy.data / "kept", code=1)
    assert size == json.loads(result.stdout)["first_bad_index"]
    # To record that would sign a second history of the same length.
    assert "not on record" in result.stderr
    assert size == copy.size()


def test_a_consistently_cut_tail_is_found_by_the_checkpoint_beside_it(
    copy: Copy, make_server: MakeServer
) -> None:
    """By ``verify``, and by the start of the server, which would sign a second history."""
    size = copy.story.index("b2")
    cut_tail(copy, size)
    assert size == copy.bad()[0]
    done = make_server(copy.data).cli("serve", check=False)
    assert 2 == done.returncode
    assert "checkpoint.last" in done.stderr
    assert "Traceback" not in done.stderr
    assert size == copy.size()


def test_a_restored_copy_is_not_continued(copy: Copy, tmp_path: Path) -> None:
    """The whole file of an earlier day, put in the place of the newest."""
    old = tmp_path / "old.db"
    shutil.copy(copy.data / "tfaudit.db", old)
    with closing(sqlite3.connect(copy.data / "tfaudit.db")) as database:
        digest = hashlib.sha256("".join(database.iterdump()).encode()).hexdigest()
    copy.verify(code=0)  # is itself recorded: the log is longer now
    shutil.copy(old, copy.data / "tfaudit.db")
    assert copy.story.index("size") == copy.bad()[0]
    with closing(sqlite3.connect(copy.data / "tfaudit.db")) as database:
        assert digest == hashlib.sha256("".join(database.iterdump()).encode()).hexdigest()


# ---------------------------------------------------------------- the server


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_head SET size = 0, frontier = x'', micros = 0",
        "UPDATE log_head SET size = size - 1",
        "UPDATE log_head SET size = size + 1",
        "UPDATE log_head SET size = 'many'",
        "UPDATE log_head SET frontier = zeroblob(length(frontier))",
        "UPDATE log_head SET frontier = 'text'",
        "DELETE FROM log_head",
        "DELETE FROM entry WHERE idx = {end}",
        "UPDATE entry SET idx = idx + 1 WHERE idx = {end}",
        "DELETE FROM checkpoint WHERE size = {size}",
        "DELETE FROM checkpoint",
        "UPDATE checkpoint SET note = replace(note, '— ', '— x') WHERE size = {size}",
        "UPDATE checkpoint SET note = x'00' WHERE size = {size}",
        "INSERT INTO checkpoint SELECT size + 1, note FROM checkpoint WHERE size = {size}",
    ],
)
async def test_nothing_is_appended_to_a_head_that_was_changed(copy: Copy, statement: str) -> None:
    """The start is refused, also without the checkpoint beside the database."""
    (copy.data / "checkpoint.last").unlink()
    copy.change(statement)
    size = copy.size()
    with pytest.raises(ConfigError):
        async with open_program(settings(copy.data, None), create=True):
            pass
    assert size == copy.size()


async def test_a_head_set_back_to_a_signed_one_is_not_continued(copy: Copy) -> None:
    """The older head is covered by a checkpoint of ours, and is not the log's end."""
    (copy.data / "checkpoint.last").unlink()
    frontier = Frontier()
    size = copy.story.index("b2")
    with copy.database() as database:
        for (leaf,) in database.execute("SELECT leaf_hash FROM entry WHERE idx < ?", (size,)):
            frontier.append(leaf)
        database.execute("UPDATE log_head SET size = ?, frontier = ?", (size, frontier.to_bytes()))
    with pytest.raises(ConfigError, match="is not its end"):
        async with open_program(settings(copy.data, None), create=False):
            pass


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_head SET size = size - 1",
        "UPDATE log_head SET size = 'many'",
        "UPDATE log_head SET frontier = zeroblob(length(frontier))",
        "UPDATE log_head SET frontier = NULL",
        "DELETE FROM log_head",
    ],
)
async def test_nothing_is_appended_to_a_head_changed_while_serving(
    copy: Copy, statement: str
) -> None:
    """Each request is refused in words, and the program lives on."""
    async with open_program(settings(copy.data, None), create=False) as program:
        size = copy.size()
        try:
            copy.change(statement)
        except sqlite3.IntegrityError:
            return  # the schema itself does not take it
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await program.store.write(lambda tx: tx.append(a_draft()))
        assert size == copy.size()
