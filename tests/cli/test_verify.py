"""Tests of `tfaudit verify`: every way to tamper with a data directory or an export is found."""

import base64
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from proxy.access import printable
from proxy.cli._common import caller, opened, run, settings
from proxy.directory_service import Change
from proxy.packing import pack, unpack
from proxy.program import open_program
from proxy.refusals import LockRefusedError
from proxy.timestamps import micros_of
from proxy.tlog.merkle import Frontier
from tests.cli.conftest import Tfaudit, events, json_lines, state
from tests.samples import a_lock_info

Tamper = Callable[..., None]


@pytest.fixture
def tamper(data: Path) -> Tamper:
    """Return a way to change the database behind the log's back."""

    def execute(*statements: str) -> None:
        with closing(sqlite3.connect(data / "tfaudit.db")) as database, database:
            for statement in statements:
                database.execute(statement)

    return execute


@pytest.fixture
def keys(tfaudit: Tfaudit, tmp_path: Path) -> Path:
    """Return a file with the public keys, kept outside the data directory."""
    path = tmp_path / "keys.json"
    path.write_text(tfaudit("key", "show", "--json").stdout)
    return path


@pytest.fixture
def exported(tfaudit: Tfaudit, rolled_back: str, tmp_path: Path) -> Path:
    """Return an export of the log of a workspace with three versions."""
    assert rolled_back
    tfaudit("export", "--format", "jsonl", "--output", tmp_path / "log.jsonl")
    return tmp_path / "log.jsonl"


def bad_index(tfaudit: Tfaudit, *options: object) -> int | None:
    """Verify what must not hold; return the index named."""
    result = tfaudit("verify", "--json", *options, code=1)
    shown = json.loads(result.stdout)
    assert shown["result"] in {"invalid", "missing"}
    assert "FAILED" in result.stderr
    index: int | None = shown["first_bad_index"]
    return index


def set_head(data: Path, size: int) -> None:
    """Let the log's head be that of its first entries, as whoever knows the program would."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database, database:
        rows = database.execute(
            "SELECT leaf_hash, time FROM entry WHERE idx < ? ORDER BY idx", (size,)
        ).fetchall()
        frontier = Frontier(leaf for leaf, _ in rows)
        database.execute(
            "UPDATE log_head SET size = ?, frontier = ?, micros = ?",
            (size, frontier.to_bytes(), micros_of(rows[-1][1])),
        )


@pytest.fixture
def documented(tfaudit: Tfaudit, data: Path, tmp_path: Path) -> bytes:
    """Store a state whose change is too much for its entry; return the document, as it is kept."""
    resources = [
        {
            "mode": "managed",
            "type": "aws_sqs_queue",
            "name": f"queue_{number}",
            "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
            "instances": [{"attributes": {"name": f"queue-{number}" * 40}}],
        }
        for number in range(200)
    ]
    whole = json.loads(state(1)) | {"resources": resources}
    (tmp_path / "large.tfstate").write_text(json.dumps(whole))
    tfaudit("state", "import", tmp_path / "large.tfstate", "--workspace", "prod")
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        rows = database.execute("SELECT document FROM entry WHERE document IS NOT NULL").fetchall()
    ((kept,),) = rows
    return bytes(kept)


# ---------------------------------------------------------------- what holds


def test_a_change_document_holds_as_this_release_and_as_earlier_ones_keep_it(
    tfaudit: Tfaudit, data: Path, documented: bytes
) -> None:
    """Packed, and as it is."""
    assert "verified" == json.loads(tfaudit("verify", "--json").stdout)["result"]
    assert len(documented) < len(unpack(documented)) // 4
    with closing(sqlite3.connect(data / "tfaudit.db")) as database, database:
        database.execute(
            "UPDATE entry SET document = ? WHERE document IS NOT NULL", (unpack(documented),)
        )
    assert "verified" == json.loads(tfaudit("verify", "--json").stdout)["result"]


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: pack(unpack(kept).replace(b"queue_7", b"queue_8")),
        lambda kept: unpack(kept).replace(b"queue_7", b"queue_8"),
        lambda kept: kept[:-9],
        lambda _: b"",
        lambda _: "text",
        lambda _: None,
    ],
)
def test_another_change_document_is_found(
    tfaudit: Tfaudit, data: Path, documented: bytes, change: Callable[[bytes], object]
) -> None:
    """However it is kept."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database, database:
        database.execute(
            "UPDATE entry SET document = ? WHERE document IS NOT NULL", (change(documented),)
        )
        ((index,),) = database.execute("SELECT idx FROM entry WHERE event = 'state.written'")
    assert index == bad_index(tfaudit)


def test_a_log_that_nobody_touched_holds(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Every entry, every checkpoint, every state."""
    assert rolled_back
    shown = json.loads(tfaudit("verify", "--json").stdout)
    assert ("verified", 3, None) == (shown["result"], shown["states"], shown["first_bad_index"])
    assert 64 == len(shown["root"])
    assert [] == shown["unchecked"]


def test_a_state_whose_lineage_holds_a_credential_holds(
    tfaudit: Tfaudit, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry shows it cleaned, one of an older release as it came; and the store has it."""
    lineage = "password=hunter2hunter2"
    body = state(1, lineage).replace(b"1.11.4", b"ghp_" + b"a1B2" * 9)

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            await program.states.import_state(caller("test"), "prod", body)

    with monkeypatch.context() as older:
        older.setattr("proxy.state_entries.client_text", printable)
        run(work())
    run(work())
    entries = json_lines(tfaudit("log", "--json", "--event", "state.written").stdout)
    texts = [
        (e["entry"]["state"]["lineage"], e["entry"]["state"]["terraform_version"]) for e in entries
    ]
    assert {(lineage, "ghp_" + "a1B2" * 9), ("password=[redacted]", "[redacted]")} == set(texts)
    assert "verified" == json.loads(tfaudit("verify", "--json").stdout)["result"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE state_version SET lineage = 'password=tiger2tiger2' WHERE number = 2",
        "UPDATE state_version SET terraform_version = '1.11.5' WHERE number = 2",
    ],
)
def test_another_text_of_a_state_is_found(
    tfaudit: Tfaudit, rolled_back: str, tamper: Tamper, change: str
) -> None:
    """Whatever is left out of an entry of it."""
    assert rolled_back
    tamper(change)
    assert bad_index(tfaudit) is not None


def test_an_empty_log_holds(tfaudit: Tfaudit) -> None:
    """Nothing was promised, nothing is missing."""
    assert 0 == json.loads(tfaudit("verify", "--json", "--no-record").stdout)["entries"]


def test_people_get_the_result_and_the_root(tfaudit: Tfaudit, rolled_back: str) -> None:
    """On stdout; a progress bar only where somebody watches."""
    assert rolled_back
    result = tfaudit("verify")
    assert result.stdout.startswith("Verified: ")
    assert "root hash" in result.stdout
    assert not result.stderr


def test_a_verification_is_on_record(tfaudit: Tfaudit, rolled_back: str) -> None:
    """With its result, unless told otherwise."""
    assert rolled_back
    tfaudit("verify")
    assert 1 == events(tfaudit).count("audit.verified")
    tfaudit("verify", "--no-record")
    assert 1 == events(tfaudit).count("audit.verified")


def test_a_failed_verification_is_on_record(
    tfaudit: Tfaudit, rolled_back: str, tamper: Tamper
) -> None:
    """Where the log can still take it."""
    assert rolled_back
    tamper("UPDATE entry SET signature = zeroblob(64) WHERE idx = 1")
    bad_index(tfaudit)
    (entry,) = json_lines(tfaudit("log", "--json", "--event", "audit.verified").stdout)
    assert {"result": "invalid", "first_bad_index": 1} == entry["entry"]["verification"]
    assert "error" == entry["entry"]["outcome"]


# ---------------------------------------------------------------- keys from outside


def test_public_keys_from_outside_are_enough(
    tfaudit: Tfaudit, rolled_back: str, keys: Path, data: Path
) -> None:
    """On a copy without any key: the log is proved, the states' contents can't be opened."""
    assert rolled_back
    shutil.rmtree(data / "keys")
    shown = json.loads(tfaudit("verify", "--json", "--key", keys).stdout)
    assert "verified" == shown["result"]
    assert 1 == len(shown["unchecked"])


def test_keys_can_be_given_as_text(tfaudit: Tfaudit, rolled_back: str, keys: Path) -> None:
    """Each kind by its own option, and a verifier key by --key too."""
    assert rolled_back
    shown = json.loads(keys.read_text())
    entry, vkey = shown["entry"]["public_key"], shown["checkpoint"]["vkey"]
    tfaudit("verify", "--entry-key", entry, "--checkpoint-key", vkey)
    tfaudit("verify", "--entry-key", entry, "--key", vkey)


def test_a_log_of_other_keys_is_bad_from_its_start(
    tfaudit: Tfaudit, rolled_back: str, keys: Path, tmp_path: Path, data: Path
) -> None:
    """Whoever rewrites everything but has not the key is found at index 0."""
    assert rolled_back
    other = tmp_path / "other"

    async def rewrite() -> None:
        async with open_program(settings(other, None), create=True) as program:
            await program.states.import_state(caller("forge"), "prod", state())

    run(rewrite())
    for file in [*data.glob("tfaudit.db*"), data / "checkpoint.last"]:
        file.unlink()
    for file in other.glob("tfaudit.db*"):
        shutil.copy(file, data)
    assert 0 == bad_index(tfaudit)
    assert 0 == bad_index(tfaudit, "--key", keys)


@pytest.mark.parametrize("key", ["nowhere", "a+b", "pyproject+00000000+AAAA"])
def test_a_key_that_is_none_is_wrong_usage(tfaudit: Tfaudit, key: str) -> None:
    """And never silently left out."""
    tfaudit("verify", "--key", key, code=2)
    tfaudit("verify", "--entry-key", key, code=2)


def test_without_any_key_nothing_can_be_told(
    tfaudit: Tfaudit, rolled_back: str, data: Path
) -> None:
    """Exit code 2, and what to do."""
    assert rolled_back
    shutil.rmtree(data / "keys")
    assert "--key" in tfaudit("verify", code=2).stderr


def test_without_a_database_nothing_can_be_told(tfaudit: Tfaudit, data: Path) -> None:
    """Exit code 2, not 1."""
    (data / "tfaudit.db").unlink()
    tfaudit("verify", code=2)


# ---------------------------------------------------------------- a database tampered with


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("UPDATE entry SET entry = replace(entry, 'prod', 'test') WHERE idx = 2", 2),
        (
            "UPDATE entry SET entry = CAST(replace(entry, 'prod', 'test') AS BLOB) WHERE idx = 2",
            2,
        ),
        ("UPDATE entry SET leaf_hash = zeroblob(32) WHERE idx = 1", 1),
        ("UPDATE entry SET signature = zeroblob(64) WHERE idx = 3", 3),
        ("UPDATE entry SET key_id = '0000000000000000' WHERE idx = 0", 0),
        ("DELETE FROM entry WHERE idx = 1", 1),
        ("DELETE FROM entry WHERE idx = 3", 3),
        ("DELETE FROM checkpoint WHERE size = 4", 3),
        ("DELETE FROM checkpoint", 0),
        ("UPDATE checkpoint SET note = replace(note, '— ', '— x') WHERE size = 2", 0),
        (
            """UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 2)
            WHERE size = 3""",
            2,
        ),
    ],
)
def test_a_changed_log_is_found(
    tfaudit: Tfaudit, rolled_back: str, tamper: Tamper, statement: str, index: int
) -> None:
    """An edited, dropped or unsigned entry, and a removed or forged checkpoint."""
    assert rolled_back
    tamper(statement)
    assert index == bad_index(tfaudit, "--no-record")


def test_swapped_entries_are_found(tfaudit: Tfaudit, rolled_back: str, tamper: Tamper) -> None:
    """Each is genuine, but not in its place."""
    assert rolled_back
    tamper(
        "UPDATE entry SET idx = -1 WHERE idx = 1",
        "UPDATE entry SET idx = 1 WHERE idx = 2",
        "UPDATE entry SET idx = 2 WHERE idx = -1",
    )
    assert 1 == bad_index(tfaudit, "--no-record")


def test_a_cut_tail_is_found_by_an_older_checkpoint(
    tfaudit: Tfaudit, rolled_back: str, tamper: Tamper, tmp_path: Path, data: Path
) -> None:
    """Entries, checkpoints, head and last checkpoint are all set back to an earlier day."""
    assert rolled_back
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        (kept,) = database.execute("SELECT note FROM checkpoint WHERE size = 4").fetchone()
    (tmp_path / "kept").write_text(kept)
    (data / "checkpoint.last").unlink()
    tamper(
        "DELETE FROM entry WHERE idx >= 3",
        "DELETE FROM checkpoint WHERE size > 3",
        "DELETE FROM state_version WHERE number = 3",
        "UPDATE workspace SET head = (SELECT id FROM state_version WHERE number = 2)",
    )
    set_head(data, 3)
    tfaudit("verify", "--no-record")
    assert 3 == bad_index(tfaudit, "--no-record", "--checkpoint", tmp_path / "kept")


def test_a_cut_tail_is_found_by_the_last_checkpoint(
    tfaudit: Tfaudit, rolled_back: str, tamper: Tamper
) -> None:
    """The newest checkpoint that the data directory keeps outside the database is enough."""
    assert rolled_back
    tamper(
        "DELETE FROM entry WHERE idx >= 3",
        "DELETE FROM checkpoint WHERE size > 3",
        "UPDATE log_head SET size = 3",
    )
    assert 3 == bad_index(tfaudit)


def test_a_checkpoint_of_another_log_is_not_taken(
    tfaudit: Tfaudit, rolled_back: str, tmp_path: Path
) -> None:
    """What was signed by an unknown key proves nothing."""
    assert rolled_back
    (tmp_path / "other").write_text("example.com/x\n1\nAAAA\n\n— example.com/x AAAAAAAA\n")
    tfaudit("verify", "--checkpoint", tmp_path / "other", code=1)
    (tmp_path / "other").write_text("nonsense")
    told = tfaudit("verify", "--checkpoint", tmp_path / "other", code=2).stderr
    assert f"{tmp_path / 'other'} is not a signed checkpoint" in told


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("DELETE FROM state_version WHERE number = 2", 2),
        ("DELETE FROM state_body WHERE id = (SELECT id FROM state_version WHERE number = 2)", 2),
        (
            """UPDATE state_body SET sealed = (SELECT sealed FROM state_body LIMIT 1)
            WHERE id = (SELECT id FROM state_version WHERE number = 2)""",
            2,
        ),
        ("UPDATE state_version SET sha256 = 'ab' WHERE number = 3", 3),
        ("UPDATE state_version SET lineage = 'ab' WHERE number = 3", 3),
        (
            """INSERT INTO state_version SELECT 'forged', workspace, 9, lineage, 9, sha256, size,
            terraform_version, kind, created, run, pruned, pruned_by FROM state_version
            WHERE number = 1""",
            None,
        ),
    ],
)
def test_changed_states_are_found(
    tfaudit: Tfaudit, rolled_back: str, tamper: Tamper, statement: str, index: int | None
) -> None:
    """A missing, exchanged or unrecorded version; the entry that recorded it is named."""
    assert rolled_back
    tamper(statement)
    assert index == bad_index(tfaudit, "--no-record")


@pytest.mark.parametrize(
    "change",
    [
        "time = '2020-01-01T00:00:00.000000Z'",
        "event = 'state.locked'",
        "outcome = 'denied'",
        "workspace = 'test'",
        "workspace = NULL",
        "actor = 'mallory'",
        "actor_id = 'mallory'",
        "source_ip = '10.6.6.6'",
    ],
)
def test_an_entry_filed_wrongly_is_found(
    tfaudit: Tfaudit, rolled_back: str, tamper: Tamper, change: str
) -> None:
    """What a search goes by is a copy, which no signature covers: it hid the entry."""
    assert rolled_back
    tamper(f"UPDATE entry SET {change} WHERE idx = 2")  # noqa: S608
    assert 2 == bad_index(tfaudit, "--no-record")


# ---------------------------------------------------------------- tokens and locks


@pytest.fixture
def purged(tfaudit: Tfaudit, rolled_back: str) -> str:
    """Return a workspace that was purged and freed, and has a new state."""
    tfaudit("workspace", "delete", rolled_back, "--yes")
    tfaudit("workspace", "purge", rolled_back, "--yes", "--now")
    return rolled_back


def test_a_purged_workspace_holds(tfaudit: Tfaudit, purged: str, tmp_path: Path) -> None:
    """It has no bodies any more; and when its name is used again, the new state must have one."""
    assert 0 == json.loads(tfaudit("verify", "--json").stdout)["states"]
    tfaudit("workspace", "create", purged, "--reuse")
    (tmp_path / "new.tfstate").write_bytes(state(1))
    tfaudit("state", "import", tmp_path / "new.tfstate", "--workspace", purged)
    assert 1 == json.loads(tfaudit("verify", "--json").stdout)["states"]
    assert [4, 3, 2, 1] == [
        version["number"]
        for version in json.loads(tfaudit("state", "versions", purged, "--json").stdout)
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO state_body (id, sealed) SELECT id, x'00' FROM state_version LIMIT 1",
        "DELETE FROM state_version WHERE number = 2",
        (
            "UPDATE object SET document = CAST(replace(document, '\"destroyed_versions\":3', "
            "'\"destroyed_versions\":2') AS BLOB)"
        ),
    ],
)
def test_a_changed_purge_is_found(
    tfaudit: Tfaudit, purged: str, tamper: Tamper, statement: str
) -> None:
    """A body that was put back, a version that is gone, another number of what was destroyed."""
    assert purged
    tamper(statement)
    assert bad_index(tfaudit) is not None


def test_bodies_that_are_gone_without_a_purge_are_found(
    tfaudit: Tfaudit, rolled_back: str, tamper: Tamper
) -> None:
    """Whatever the table of objects says."""
    tfaudit("workspace", "delete", rolled_back, "--yes")
    tamper("DELETE FROM state_body")
    assert 1 == bad_index(tfaudit)


@pytest.fixture
def tokens(tfaudit: Tfaudit) -> None:
    """Make two tokens, by entries 0 and 1; the second is revoked by entry 2."""
    for name in ("ci", "gone"):
        tfaudit("token", "create", name, "--role", "reader", "--workspace", "prod/*")
    tfaudit("token", "revoke", "gone")


@pytest.fixture
def objects(data: Path) -> None:
    """Make a principal with a grant, by entries 0 and 1, change it by 2, and drop another by 4."""
    changes = [
        Change("create", "principal", "alice"),
        Change(
            "create", "grant", "g", {"principal": "alice", "role": "reader", "workspaces": ["a"]}
        ),
        Change("update", "principal", "alice", {"description": "who she is"}),
        Change("create", "principal", "gone"),
        Change("delete", "principal", "gone"),
    ]

    async def make() -> None:
        async with opened(settings(data, None), create=True) as program:
            for change in changes:
                await program.directory.change(caller("test"), [change])

    run(make())


@pytest.mark.usefixtures("objects")
def test_objects_as_they_were_made_hold(tfaudit: Tfaudit) -> None:
    """Made, changed and dropped."""
    tfaudit("verify")


@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize(
    ("statement", "index", "name"),
    [
        (
            """UPDATE object SET document = replace(document, '"reader"', '"admin"')
            WHERE name = 'g'""",
            1,
            "grant g ",
        ),
        ("UPDATE object SET document = 'x' WHERE name = 'g'", 1, "grant g "),
        ("UPDATE object SET id = 'x' WHERE name = 'g'", 1, "grant g "),
        ("DELETE FROM object WHERE name = 'alice'", 2, "principal alice "),
        (
            """INSERT INTO object SELECT kind, 'gone', 'x', created, updated, document FROM object
            WHERE name = 'alice'""",
            None,
            "principal gone ",
        ),
        ("UPDATE object SET kind = 'robot' WHERE name = 'g'", None, "robot g "),
        (
            "UPDATE object SET created = '2020-01-01T00:00:00.000000Z' WHERE name = 'g'",
            1,
            "grant g ",
        ),
        (
            "UPDATE object SET updated = '2020-01-01T00:00:00.000000Z' WHERE name = 'alice'",
            2,
            "principal alice ",
        ),
    ],
)
def test_a_changed_object_is_found(
    tfaudit: Tfaudit, tamper: Tamper, statement: str, index: int | None, name: str
) -> None:
    """More rights, another's place, back from the dead: the object and its entry are named."""
    tamper(statement)
    result = json.loads(tfaudit("verify", "--json", "--no-record", code=1).stdout)
    assert index == result["first_bad_index"]
    assert name in result["message"]


@pytest.mark.usefixtures("people")
def test_people_as_they_were_made_hold(tfaudit: Tfaudit) -> None:
    """Passwords in force and gone, sessions that go on and that were ended."""
    tfaudit("verify")


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("statement", "index", "what"),
    [
        ("UPDATE password SET hash = '$argon2id$forged'", 1, "password of alice "),
        (
            "INSERT INTO password SELECT 'x', hash, changed FROM password",
            None,
            "password of x has no entry",
        ),
        ("DROP TABLE password", 1, "password of alice that entry 1"),
        ("UPDATE session SET digest = zeroblob(32) WHERE ended IS NULL", 3, "of alice: its digest"),
        (
            """INSERT INTO session SELECT 'x', principal, created, seen, seen_from, expires, NULL,
            zeroblob(32) FROM session WHERE ended IS NULL""",
            None,
            "The session x of alice has no login",
        ),
        ("UPDATE session SET ended = NULL", 4, "of alice is not ended as entry 4"),
        ("DROP TABLE session", 2, "is gone from the store"),
        ("UPDATE password SET hash = x'ff'", 1, "password of alice "),
        ("UPDATE session SET id = x'ff' WHERE ended IS NULL", None, "has no login"),
        ("UPDATE session SET seen = x'ff' WHERE ended IS NULL", 3, "its last use"),
    ],
)
def test_a_forged_password_or_session_is_found(
    tfaudit: Tfaudit, tamper: Tamper, statement: str, index: int | None, what: str
) -> None:
    """Whoever writes a hash or a session of their own into the database is found."""
    tamper(statement)
    result = json.loads(tfaudit("verify", "--json", "--no-record", code=1).stdout)
    assert what in result["message"]
    assert index == result["first_bad_index"]


@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("DROP INDEX token_in_force", "lacks index token_in_force"),
        ("DROP INDEX idx_token_digest; CREATE INDEX idx_token_digest ON token (digest)", "digest"),
        (
            """CREATE TRIGGER calm AFTER UPDATE ON directory
            BEGIN UPDATE directory SET generation = old.generation; END""",
            "has trigger calm",
        ),
        ("CREATE TABLE more (a)", "has table more"),
        ("CREATE VIEW more AS SELECT 1", "has view more"),
        ("ALTER TABLE grant_copy RENAME TO other", "table other"),
    ],
)
def test_a_database_that_is_made_otherwise_is_found(
    tfaudit: Tfaudit, data: Path, statement: str, name: str
) -> None:
    """A trigger can undo what a statement does; without its index a name is not unique."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        if "grant_copy" in statement:
            database.execute("CREATE TABLE grant_copy (a)")
        database.executescript(statement)
    result = json.loads(tfaudit("verify", "--json", "--no-record", code=1).stdout)
    assert result["first_bad_index"] is None
    assert name in result["message"]


@pytest.mark.usefixtures("tokens")
def test_tokens_as_they_were_made_hold(tfaudit: Tfaudit) -> None:
    """In force and revoked."""
    tfaudit("verify")


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize(
    ("statement", "index", "name"),
    [
        ("UPDATE token SET role = 'admin' WHERE name = 'ci'", 0, "ci"),
        ("""UPDATE token SET workspaces = '["*"]' WHERE name = 'ci'""", 0, "ci"),
        ("UPDATE token SET expires = '2099-01-01T00:00:00.000000Z' WHERE name = 'ci'", 0, "ci"),
        ("UPDATE token SET digest = zeroblob(32) WHERE name = 'ci'", 0, "ci"),
        ("UPDATE token SET name = 'cd' WHERE name = 'ci'", 0, "ci"),
        ("UPDATE token SET hint = 'abcdef' WHERE name = 'ci'", 0, "ci"),
        ("UPDATE token SET created = '2020-01-01T00:00:00.000000Z' WHERE name = 'ci'", 0, "ci"),
        ("UPDATE token SET revoked = created WHERE name = 'ci'", 0, "ci"),
        ("UPDATE token SET revoked = NULL WHERE name = 'gone'", 2, "gone"),
        ("UPDATE token SET revoked = '2099-01-01T00:00:00.000000Z' WHERE name = 'gone'", 2, "gone"),
        ("DELETE FROM token WHERE name = 'gone'", 1, "gone"),
        ("UPDATE token SET principal = 'x' WHERE name = 'ci'", 0, "ci"),
        ("UPDATE token SET replaced = created WHERE name = 'ci'", 0, "ci"),
        ("UPDATE token SET used = '2099-01-01T00:00:00.000000Z' WHERE name = 'ci'", 0, "ci"),
        (
            """INSERT INTO token (id, name, role, workspaces, hint, created, digest)
            SELECT 'x', 'forged', 'admin', '["*"]', hint, created, zeroblob(32)
            FROM token WHERE name = 'ci'""",
            None,
            "forged",
        ),
    ],
)
def test_a_changed_token_is_found(
    tfaudit: Tfaudit, tamper: Tamper, statement: str, index: int | None, name: str
) -> None:
    """More rights, a longer life, another's secret: the token and its entry are named."""
    tamper(statement)
    result = json.loads(tfaudit("verify", "--json", "--no-record", code=1).stdout)
    assert index == result["first_bad_index"]
    assert f"token {name} " in result["message"]


@pytest.fixture
def rotated(tfaudit: Tfaudit) -> None:
    """Make a token, rotate it twice and revoke it: entries 0 to 3; rotate another: 4 and 5."""
    for name in ("ci", "cd"):
        tfaudit("token", "create", name, "--role", "reader", "--workspace", "*", "--expires", "9d")
        tfaudit("token", "rotate", name)
        if name == "ci":
            tfaudit("token", "rotate", name)
            tfaudit("token", "revoke", name)


@pytest.mark.usefixtures("rotated")
def test_rotated_tokens_hold(tfaudit: Tfaudit) -> None:
    """Those that go on beside their successors, and those that were revoked with them."""
    tfaudit("verify")


@pytest.mark.usefixtures("rotated")
@pytest.mark.parametrize(
    ("change", "index"),
    [
        ("revoked = NULL WHERE name = 'ci' AND replaced IS NOT NULL", 3),
        ("revoked = created WHERE name = 'cd' AND replaced IS NOT NULL", 4),
        ("replaced = NULL WHERE name = 'cd' AND replaced IS NOT NULL", 5),
        ("replaced = '2099-01-01T00:00:00.000000Z' WHERE name = 'cd' AND replaced IS NOT NULL", 5),
        ("expires = '2099-01-01T00:00:00.000000Z' WHERE name = 'cd' AND replaced IS NOT NULL", 4),
        ("used = created, used_from = '' WHERE name = 'cd' AND replaced IS NOT NULL", 4),
    ],
)
def test_a_changed_rotation_is_found(
    tfaudit: Tfaudit, tamper: Tamper, change: str, index: int
) -> None:
    """A longer overlap, a name taken back, a predecessor that lives again."""
    tamper("DROP INDEX token_in_force", f"UPDATE token SET {change}")  # noqa: S608
    assert index == bad_index(tfaudit, "--no-record")


@pytest.fixture
def locked(data: Path) -> None:
    """Lock two workspaces, by entries 0 and 2, confirm the first lock and release the second."""

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            who = caller("test")
            for workspace in ("prod", "dev", "prod"):
                await program.locks.lock(who, workspace, a_lock_info(), None)
            await program.locks.release(who, "dev")

    run(work())


@pytest.mark.usefixtures("locked")
def test_a_lock_as_it_was_given_holds(tfaudit: Tfaudit) -> None:
    """One held, one released."""
    tfaudit("verify")


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize(
    ("statement", "index", "workspace"),
    [
        ("DELETE FROM lock", 0, "prod"),
        ("UPDATE lock SET id = 'lock-2'", 0, "prod"),
        ("UPDATE lock SET who = 'mallory@home'", 0, "prod"),
        ("UPDATE lock SET operation = 'state-push'", 0, "prod"),
        ("UPDATE lock SET version = '9'", 0, "prod"),
        ("UPDATE lock SET actor = 'mallory'", 0, "prod"),
        ("UPDATE lock SET taker = 'token:mallory'", 0, "prod"),
        ("UPDATE lock SET taken = '2020-01-01T00:00:00.000000Z'", 0, "prod"),
        ("UPDATE lock SET info = CAST(replace(info, 'lock-1', 'lock-2') AS BLOB)", 0, "prod"),
        ("UPDATE lock SET info = x''", 0, "prod"),
        ("UPDATE lock SET workspace = 'dev'", None, "dev"),
        (
            """INSERT INTO lock SELECT 'test', id, info, md5, operation, who, version, actor, taken,
            taker FROM lock""",
            None,
            "test",
        ),
    ],
)
def test_a_changed_lock_is_found(
    tfaudit: Tfaudit, tamper: Tamper, statement: str, index: int | None, workspace: str
) -> None:
    """One taken away lets two runs write; one put there stops everybody."""
    tamper(statement)
    result = json.loads(tfaudit("verify", "--json", "--no-record", code=1).stdout)
    assert index == result["first_bad_index"]
    assert f"lock of {workspace} " in result["message"]


# ---------------------------------------------------------------- runs


@pytest.fixture
def running(data: Path) -> None:
    """Begin a run by entries 0 and 1 that saves a state and is waited for, and end another."""

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            who = caller("test")
            for lock_id, workspace in (("lock-1", "prod"), ("lock-2", "dev")):
                await program.locks.lock(who, workspace, a_lock_info(lock_id), None)

                async def receive(_: int | None) -> bytes:
                    return state(1)

                await program.states.write(who, workspace, receive, lock_id, None)
            with pytest.raises(LockRefusedError):
                await program.locks.lock(who, "prod", a_lock_info("other"), None)
            await program.locks.unlock(who, "dev", a_lock_info("lock-2"), None)

    run(work())


@pytest.mark.usefixtures("running")
def test_a_run_as_the_log_tells_it_holds(tfaudit: Tfaudit) -> None:
    """One under way, one over."""
    assert 12 == json.loads(tfaudit("verify", "--json").stdout)["entries"]


@pytest.mark.parametrize("ends", ["unlock", "release"])
def test_a_lock_of_an_older_release_is_no_run(
    tfaudit: Tfaudit, data: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """Runs were not followed when it was taken: it holds, and so does its end."""
    mine = a_lock_info()

    async def take() -> None:
        async with opened(settings(data, None)) as program:
            with monkeypatch.context() as older:
                older.setattr("proxy.run_entries.begin", lambda *_: None)
                await program.locks.lock(caller("test"), "prod", mine, None)

    async def end() -> None:
        async with opened(settings(data, None)) as program:
            if ends == "unlock":
                await program.locks.unlock(caller("test"), "prod", mine, None)
            else:
                await program.locks.release(caller("test"), "prod")

    run(take())
    tfaudit("verify", "--no-record")
    run(end())
    tfaudit("verify", "--no-record")
    assert not [event for event in events(tfaudit) if event.startswith("run.")]


def altered(old: str, new: str) -> str:
    """Return the statement that changes what is kept of the run."""
    text = "replace(CAST(document AS TEXT)"
    return f"UPDATE run SET document = CAST({text}, '{old}', '{new}') AS BLOB)"  # noqa: S608


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("statement", "index", "workspace"),
    [
        ("DELETE FROM run", 1, "prod"),
        ("DROP TABLE run", 1, "prod"),
        (altered('"writes":1', '"writes":0'), 1, "prod"),
        (altered('"attention":["lock_waited_for"]', '"attention":[]'), 1, "prod"),
        (altered('"who":"alice@laptop"', '"who":"mallory"'), 1, "prod"),
        (altered("[1,0,0]", "[9,0,0]"), 1, "prod"),
        (altered('"serials":[1,1]', '"serials":[1,2]'), 1, "prod"),
        (altered('"started":"2', '"started":"3'), 1, "prod"),
        (altered('"workspace"', '"more":1,"workspace"'), 1, "prod"),
        ("UPDATE run SET document = 'text'", 1, "prod"),
        ("UPDATE run SET document = x'ff'", 1, "prod"),
        ("UPDATE run SET workspace = 'dev'", None, "dev"),
        ("INSERT INTO run SELECT 'dev', document FROM run", None, "dev"),
        ("INSERT INTO run SELECT 'test', document FROM run", None, "test"),
    ],
)
def test_a_changed_run_is_found(
    tfaudit: Tfaudit, tamper: Tamper, statement: str, index: int | None, workspace: str
) -> None:
    """One that is gone would end without a word; one changed would end in another way."""
    tamper(statement)
    result = json.loads(tfaudit("verify", "--json", "--no-record", code=1).stdout)
    assert index == result["first_bad_index"]
    assert f"run on {workspace}" in result["message"]


# ---------------------------------------------------------------- an exported log


def test_an_export_is_proved_with_public_keys_alone(
    tfaudit: Tfaudit, exported: Path, keys: Path, data: Path
) -> None:
    """Away from the data directory, with the checkpoint beside it."""
    shutil.rmtree(data)
    shown = json.loads(tfaudit("verify", exported, "--key", keys, "--json").stdout)
    assert ("verified", len(exported.read_text().splitlines())) == (
        shown["result"],
        shown["entries"],
    )


def test_an_export_laid_out_anew_is_still_proved(tfaudit: Tfaudit, exported: Path) -> None:
    """Other spaces and another order of keys change no entry."""
    lines = json_lines(exported.read_text())
    exported.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tfaudit("verify", exported)


def test_an_export_without_a_checkpoint_is_not_proved_whole(
    tfaudit: Tfaudit, exported: Path
) -> None:
    """Its tail may be missing: could not tell."""
    Path(f"{exported}.checkpoint").unlink()
    shown = json.loads(tfaudit("verify", exported, "--json", code=2).stdout)
    assert "unknown" == shown["result"]
    assert "whether any are missing: no checkpoint covers them" in shown["unchecked"][0]


def edit(lines: list[str]) -> None:
    """Change one word of an entry."""
    lines[2] = lines[2].replace("prod", "test")


def drop(lines: list[str]) -> None:
    """Leave one out."""
    del lines[2]


def swap(lines: list[str]) -> None:
    """Exchange two, and their numbers."""
    lines[2], lines[3] = (
        lines[3].replace('"index":3', '"index":2'),
        lines[2].replace('"index":2', '"index":3'),
    )


def repeat(lines: list[str]) -> None:
    """Put one in twice."""
    lines.insert(2, lines[1])


def garble(lines: list[str]) -> None:
    """Make a line no JSON."""
    lines[2] = lines[2][:-5] + "\n"


def double(lines: list[str]) -> None:
    """Say something twice in an entry: one program reads the first, another the last."""
    lines[2] = lines[2].replace('"entry":{', '"entry":{"workspace":"x",')


@pytest.mark.parametrize("change", [edit, drop, swap, repeat, garble, double])
def test_a_changed_export_is_found(
    tfaudit: Tfaudit, exported: Path, change: Callable[[list[str]], None]
) -> None:
    """The first bad line is named."""
    lines = exported.read_text().splitlines(keepends=True)
    change(lines)
    exported.write_text("".join(lines))
    assert 2 == bad_index(tfaudit, exported)


def test_a_cut_export_is_found(tfaudit: Tfaudit, exported: Path) -> None:
    """The checkpoint beside it promises more; from where on nothing is proved is told."""
    lines = exported.read_text().splitlines(keepends=True)
    exported.write_text("".join(lines[:-1]))
    assert 0 == bad_index(tfaudit, exported)


def test_a_forged_signature_in_an_export_is_found(tfaudit: Tfaudit, exported: Path) -> None:
    """64 other bytes."""
    lines = json_lines(exported.read_text())
    lines[1]["signature"]["value"] = base64.b64encode(bytes(64)).decode()
    exported.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert 1 == bad_index(tfaudit, exported)


def test_anchors_that_hold_prove_the_log(tfaudit: Tfaudit, data: Path, rolled_back: str) -> None:
    """Told among the checkpoints; the verification is an entry as ever."""
    assert rolled_back
    anchor = data.parent / "anchor"
    shutil.copy(data / "checkpoint.last", anchor)
    with_it = json.loads(tfaudit("verify", "--json", "--against", anchor).stdout)
    assert ("verified", []) == (with_it["result"], with_it["unchecked"])
    assert "audit.verified" == events(tfaudit)[-2]


def test_anchors_that_are_none_leave_it_open(
    tfaudit: Tfaudit, data: Path, rolled_back: str
) -> None:
    """Nothing to compare with, or an anchor that somebody changed: could not tell."""
    assert rolled_back
    anchors = data.parent / "anchors"
    anchors.mkdir()
    told = tfaudit("verify", "--no-record", "--against", anchors, code=2)
    assert "no checkpoint of it stands where --against says" in told.stderr
    shutil.copy(data / "checkpoint.last", anchors)
    changed = (data / "checkpoint.last").read_text().replace("\n4\n", "\n3\n")
    (anchors / "changed").write_text(changed)
    told = tfaudit("verify", "--no-record", "--against", anchors, code=2)
    assert f"an anchor that does not hold, {anchors / 'changed'}" in told.stderr


def test_an_anchor_that_is_missing_is_wrong_usage(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """A mistyped name proves nothing."""
    assert "none" in tfaudit("verify", "--against", tmp_path / "none", code=2).stderr


def test_a_failure_against_anchors_is_not_on_record(
    tfaudit: Tfaudit, data: Path, rolled_back: str
) -> None:
    """The log must not grow from where it is: it would be a second history."""
    assert rolled_back
    shutil.copytree(data, data.parent / "backup")
    tfaudit("token", "create", "more", "--role", "reader", "--workspace", "*")
    anchor = data.parent / "anchor"
    shutil.copy(data / "checkpoint.last", anchor)
    shutil.rmtree(data)
    shutil.copytree(data.parent / "backup", data)
    before = (data / "checkpoint.last").read_bytes()
    told = tfaudit("verify", "--against", anchor, code=1).stderr
    assert "(missing)" in told
    assert "the log must not grow from here" in told
    assert before == (data / "checkpoint.last").read_bytes()
