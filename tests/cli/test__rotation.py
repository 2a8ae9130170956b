"""Tests of rotations as a whole: what is left when one is cut short, and who can forge one."""

import base64
import json
import os
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.audit_log import AuditLog, Retiring, draft
from proxy.cli import _rotation
from proxy.cli._common import caller, opened, run, settings
from proxy.errors import ConfigError, UnavailableError
from proxy.keys import KeyRing, make_pending, open_keys, rotating
from proxy.last_checkpoint import LastCheckpoint
from proxy.program import clock, keys_in_force
from proxy.server_lock import only_server
from proxy.storage.sqlite import SQLiteStore
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteSigner, NoteVerifier, split_note
from proxy.tlog.rotation import PURPOSES, Purpose, Rotation
from proxy.tlog.signer import Signer
from tests import signing_program
from tests.cli.conftest import Tfaudit, json_lines
from tests.test_keys import pem
from tests.witness.asked import Asked

both = pytest.mark.parametrize("purpose", PURPOSES)
THIEF = Ed25519PrivateKey.from_private_bytes(b"t" * 32)


def ring_of(data: Path) -> KeyRing:
    """Return the keys as they are in the files."""
    return open_keys(settings(data, None), create=False)


def write(data: Path) -> None:
    """Append an entry as any command does."""
    entry = draft("config.changed", "success", "something changed", caller("test"))

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            await program.store.write(lambda transaction: transaction.append(entry))

    run(work())


def public_keys(tfaudit: Tfaudit, path: Path) -> Path:
    """Keep all public keys as an auditor does."""
    path.write_text(tfaudit("key", "export-public", "--json").stdout)
    return path


def bad(tfaudit: Tfaudit, *options: object) -> tuple[int | None, str]:
    """Verify what must not hold; return the index named and the message."""
    shown = json.loads(tfaudit("verify", "--no-record", "--json", *options, code=1).stdout)
    return shown["first_bad_index"], shown["message"]


# ---------------------------------------------------------------- what a rotation leaves


@both
def test_a_rotated_log_verifies_from_any_of_its_keys(
    tfaudit: Tfaudit, data: Path, tmp_path: Path, purpose: Purpose
) -> None:
    """The data directory, an export, tiles, and a checkpoint kept from before."""
    write(data)
    before = public_keys(tfaudit, tmp_path / "before.json")
    kept = tmp_path / "kept"
    shutil.copy(data / "checkpoint.last", kept)
    done = json.loads(tfaudit("key", "rotate", purpose, "--yes", "--json").stdout)
    assert (1, purpose, False) == (done["index"], done["purpose"], done["lost"])
    write(data)
    after = tmp_path / "after.json"
    after.write_text(tfaudit("key", "show", "--json").stdout)
    tfaudit("export", "-o", tmp_path / "log.jsonl")
    tfaudit("export", "--format", "tiles", "-o", tmp_path / "tiles")
    for what in ([], [tmp_path / "log.jsonl"], [tmp_path / "tiles"]):
        tfaudit("verify", *what, "--key", before, "--checkpoint", kept)
    tfaudit("verify", "--key", after, "--against", kept)
    tfaudit("verify", "--key", public_keys(tfaudit, tmp_path / "all.json"))
    tfaudit("verify", tmp_path / "log.jsonl", "--key", after, "--against", kept)
    tfaudit("verify", "--tree-only", "--key", before)
    tfaudit("verify", tmp_path / "tiles", "--key", after, "--since", kept)
    tfaudit("export", "--format", "tiles", "-o", tmp_path / "tiles")


@both
def test_the_retired_key_is_gone_and_its_content_overwritten(
    tfaudit: Tfaudit, data: Path, tmp_path: Path, purpose: Purpose
) -> None:
    """Also where another name of the file is left; the new key is one that nobody had."""
    os.link(data / "keys" / f"{purpose}.pem", tmp_path / "hidden")
    tfaudit("key", "rotate", purpose, "--yes")
    assert set() == set((tmp_path / "hidden").read_bytes()) - {0}
    assert 0o600 == (data / "keys" / f"{purpose}.pem").stat().st_mode & 0o777
    assert not list((data / "keys").glob("*.next.pem"))
    write(data)


def test_the_history_is_listed(tfaudit: Tfaudit, data: Path) -> None:
    """Each key with its place in the log, where it is kept, and what the others are."""
    first = ring_of(data)
    tfaudit("key", "rotate", "entry", "--yes")
    tfaudit("key", "rotate", "checkpoint", "--yes")
    rows = json.loads(tfaudit("key", "list", "--json").stdout)["keys"]
    assert [
        ("entry", 0, 0, "retired"),
        ("entry", 0, None, str(data / "keys" / "entry.pem")),
        ("checkpoint", 0, 1, "retired"),
        ("checkpoint", 1, None, str(data / "keys" / "checkpoint.pem")),
        ("redaction", None, None, str(data / "keys" / "redaction.key")),
        ("master", None, None, str(data / "keys" / "master.key")),
    ] == [(row["purpose"], row["from"], row["until"], row["kept"]) for row in rows]
    assert first.entry_public == rows[0]["public_key"]
    assert first.vkey == rows[2]["vkey"]
    assert first.origin in tfaudit("key", "export-public").stdout
    assert 6 == len(tfaudit("key", "list").stdout.splitlines())


def test_growth_from_before_a_rotation_is_proved(tfaudit: Tfaudit, data: Path) -> None:
    """Though another key signed the older checkpoint."""
    write(data)
    tfaudit("key", "rotate", "checkpoint", "--yes")

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            grown = await program.proofs.prove_growth(caller("test"), 1)
            assert (1, 3) == (grown.old.size, grown.new.size)  # the reading is on record, too
            assert grown.old.checkpoint == await program.store.checkpoint(1)

    run(work())


def test_a_rotation_is_one_entry(tfaudit: Tfaudit) -> None:
    """With who did it, and both signatures in it."""
    tfaudit("key", "rotate", "entry", "--yes")
    (line,) = json_lines(tfaudit("log", "--json", "--event", "key.rotated").stdout)
    assert {"old", "new"} == line["entry"]["key"]["signatures"].keys()
    assert "key rotate entry" == line["entry"]["request"]["method"]


def test_a_backup_from_before_a_rotation_opens_with_its_own_keys(
    tfaudit: Tfaudit, data: Path, tmp_path: Path
) -> None:
    """And one from after with the new ones; each verifies from the same public key."""
    write(data)
    keys = public_keys(tfaudit, tmp_path / "keys.json")
    tfaudit("backup", "create", "--with-keys", tmp_path / "before")
    tfaudit("key", "rotate", "checkpoint", "--yes")
    tfaudit("key", "rotate", "entry", "--yes")
    tfaudit("backup", "create", "--with-keys", tmp_path / "after")
    shutil.rmtree(data)
    tfaudit("backup", "restore", tmp_path / "after")
    tfaudit("verify", "--key", keys)
    shutil.rmtree(data)
    tfaudit("backup", "restore", tmp_path / "before")
    tfaudit("verify", "--key", keys)
    shutil.rmtree(data)
    old_keys = tmp_path / "before" / "keys"
    refused = tfaudit("backup", "restore", tmp_path / "after", "--keys", old_keys, code=2)
    assert "If a key was rotated, give the new one" in refused.stderr
    assert not data.exists()


# ---------------------------------------------------------------- cut short


class Cut(BaseException):
    """The process ends here."""


def cut(*_: object, **__: object) -> Any:
    """End the process."""
    raise Cut


def cut_after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    """Let a step be done, and the process end after it."""
    step: Callable[..., Any] = getattr(module, name)

    def done(*args: Any, **options: Any) -> Any:
        step(*args, **options)
        raise Cut

    monkeypatch.setattr(module, name, done)


STEPS: dict[str, tuple[bool, Callable[[pytest.MonkeyPatch], None]]] = {
    "after the new key": (False, lambda patch: cut_after(patch, _rotation, "make_pending")),
    "before the commit": (False, lambda patch: patch.setattr(SQLiteStore, "write", cut)),
    "in the commit": (False, lambda patch: patch.setattr(SQLiteStore, "_append", failing)),
    "after the commit": (
        True,
        lambda patch: patch.setattr(LastCheckpoint, "note", cut),
    ),
    "before the old key goes": (
        True,
        lambda patch: patch.setattr(_rotation, "settle_pending", cut),
    ),
    "after the old key went": (
        True,
        lambda patch: cut_after(patch, _rotation, "settle_pending"),
    ),
}


def failing(*_: object) -> Any:
    """Fail as a full disk does."""
    raise OSError(28, "No space left on device")


CUTS = [
    pytest.param(purpose, *STEPS[name], id=f"{purpose} {name}")
    for purpose in PURPOSES
    for name in STEPS
    # What is about the files alone is the same for both.
    if purpose == "entry" or name.startswith("after the ")
]


@pytest.mark.parametrize(("purpose", "is_in_force", "step"), CUTS)
def test_a_rotation_that_is_cut_short_leaves_one_key_in_force(
    data: Path,
    tfaudit: Tfaudit,
    purpose: Purpose,
    is_in_force: bool,
    step: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """Whichever it is, the log goes on with it and verifies."""
    write(data)
    former = ring_of(data)
    with pytest.MonkeyPatch.context() as patch, suppress(Cut, UnavailableError):
        step(patch)
        run(_rotation.rotate(settings(data, None), purpose, _rotation.Successor(), None))
    verify = tfaudit("verify", "--no-record")  # before anything settles it
    assert "Verified" in verify.stdout
    keys = keys_in_force(settings(data, None), create=False)
    assert {} == keys.pending
    is_new = keys.signer(purpose).public_key != former.signer(purpose).public_key
    assert is_in_force == is_new
    write(data)
    tfaudit("verify")


def test_nothing_is_settled_while_a_rotation_runs(data: Path) -> None:
    """Its new key looks like one that was left over, and must not be dropped."""
    config = settings(data, None)
    with rotating(config):
        make_pending(config, "entry")
        with pytest.raises(ConfigError, match="being rotated at this moment"):
            keys_in_force(config, create=False)
    assert {} == keys_in_force(config, create=False).pending


@both
def test_a_process_that_has_the_retired_key_can_not_append(
    data: Path, tfaudit: Tfaudit, purpose: Purpose
) -> None:
    """It opened the log before the rotation, and learns of it in its next transaction."""
    write(data)
    entry = draft("config.changed", "success", "too late", caller("test"))

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            await program.store.write(lambda transaction: transaction.append(entry))
            await _rotation.rotate(settings(data, None), purpose, _rotation.Successor(), None)
            with pytest.raises(UnavailableError, match="rotat"):
                await program.store.write(lambda transaction: transaction.append(entry))

    run(work())
    tfaudit("verify")


def test_other_commands_may_append_meanwhile(
    data: Path, tfaudit: Tfaudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement about the place is signed again for the place that is left."""
    signed, former = _rotation._signed, ring_of(data).entry
    crowd = [1]

    def late(rotation: Rotation, *rest: Any) -> Rotation:
        if crowd.pop() if crowd else 0:
            ring = ring_of(data)
            thread = Thread(target=forge, args=(data, former, ring.checkpoint))
            thread.start()
            thread.join()
        return signed(rotation, *rest)

    write(data)
    monkeypatch.setattr(_rotation, "_signed", late)
    done = json.loads(tfaudit("key", "rotate", "entry", "--yes", "--json").stdout)
    assert 2 == done["index"]
    tfaudit("verify")


def test_a_running_server_is_not_rotated_under(data: Path, tfaudit: Tfaudit) -> None:
    """It has the keys; it has to be stopped."""
    with only_server(settings(data, None)):
        assert "stop it" in tfaudit("key", "rotate", "entry", "--yes", code=2).stderr


# ---------------------------------------------------------------- forged


def forge(
    data: Path,
    entry: Ed25519PrivateKey | Signer,
    checkpoint: Ed25519PrivateKey | Signer,
    retiring: Retiring | None = None,
    make: Callable[[int], dict[str, Any]] | None = None,
) -> None:
    """Append with our own program and any keys, as an intruder does who has some of them."""
    config = settings(data, None)
    audit = AuditLog(
        entry,
        checkpoint,
        ring_of(data).origin,
        clock=clock,
        random=os.urandom,
        retiring=retiring or Retiring(),
    )

    async def work() -> None:
        async with SQLiteStore(config.data.database, audit) as store:
            size = await store.size()
            part: dict[str, Any] = {"key": make(size)} if make else {}
            event = "key.rotated" if make else "config.changed"
            forged = draft(event, "success", "forged", caller("test"), **part)
            await store.write(lambda transaction: transaction.append(forged))

    run(work())


def test_an_entry_after_a_rotation_signed_by_the_retired_entry_key_is_found(
    tfaudit: Tfaudit, data: Path
) -> None:
    """Though the checkpoint over it is true: somebody who has the checkpoint key, too."""
    write(data)
    former = ring_of(data).entry
    tfaudit("key", "rotate", "entry", "--yes")
    ring = ring_of(data)
    forge(data, former, ring.checkpoint, Retiring(entry_key_id=ring.entry_key_id))
    index, message = bad(tfaudit)
    assert 2 == index
    assert "signed by a key that entry 1 retired" in message


def test_a_checkpoint_after_a_rotation_signed_by_the_retired_key_is_found(
    tfaudit: Tfaudit, data: Path
) -> None:
    """The entry in it is true."""
    write(data)
    former = ring_of(data).checkpoint
    tfaudit("key", "rotate", "checkpoint", "--yes")
    ring = ring_of(data)
    verifier = NoteSigner(ring.origin, ring.checkpoint).verifier
    forge(data, ring.entry, former, Retiring(checkpoint=verifier))
    (data / "checkpoint.last").unlink()
    index, message = bad(tfaudit)
    assert 2 == index
    assert "not signed by the key that was in force" in message


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_rotation_forged_without_the_old_key_is_found(
    tfaudit: Tfaudit, data: Path, tmp_path: Path, *, is_lost: bool
) -> None:
    """With nothing but the place where the keys were: named at its entry, however it is put."""
    write(data)
    keys = public_keys(tfaudit, tmp_path / "keys.json")
    ring = ring_of(data)
    thief = THIEF.public_key().public_bytes_raw()

    def forged(index: int) -> dict[str, Any]:
        made = Rotation(index, "entry", ring.origin, ring.entry.public_key, thief, is_lost)
        statement = made.statement()
        names = ("vouched", "new") if is_lost else ("old", "new")
        signatures = {name: THIEF.sign(statement) for name in names}
        return Rotation(
            index, "entry", ring.origin, ring.entry.public_key, thief, is_lost, signatures
        ).part()

    forge(data, THIEF, ring.checkpoint, Retiring(entry_key_id=ring.entry_key_id), forged)
    index, message = bad(tfaudit, "--key", keys)
    assert 1 == index
    assert "unknown key" in message or "forged" in message


def test_a_rotation_that_is_hidden_from_the_search_is_found(tfaudit: Tfaudit, data: Path) -> None:
    """Filed as another event, it is met on the way."""
    write(data)
    tfaudit("key", "rotate", "checkpoint", "--yes")
    with sqlite3.connect(data / "tfaudit.db") as database:
        database.execute("UPDATE entry SET event = 'state.read' WHERE idx = 1")
    index, _ = bad(tfaudit)
    assert index in {0, 1}


# ---------------------------------------------------------------- keys from elsewhere


def test_a_key_moves_to_a_program(
    tfaudit: Tfaudit, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file goes, the program signs from then on, and what it does not sign does not happen."""
    write(data)
    keys = public_keys(tfaudit, tmp_path / "keys.json")
    sign = shlex.join([sys.executable, signing_program.__file__, "sign"])
    rotated = tfaudit(
        *("key", "rotate", "entry", "--yes"),
        *("--to-command", sign, "--to-public", signing_program.PUBLIC),
    )
    assert "Name the new key in [keys]" in rotated.stderr
    assert not (data / "keys" / "entry.pem").exists()
    monkeypatch.setenv("TFAUDIT_KEYS_ENTRY_COMMAND", sign)
    monkeypatch.setenv("TFAUDIT_KEYS_ENTRY_PUBLIC", signing_program.PUBLIC)
    write(data)
    tfaudit("verify", "--key", keys)
    size = len(json_lines(tfaudit("log", "--json", "--since", "1w").stdout))
    broken = shlex.join([sys.executable, signing_program.__file__, "other"])
    monkeypatch.setenv("TFAUDIT_KEYS_ENTRY_COMMAND", broken)
    with pytest.raises(UnavailableError, match="nothing was done: the signing command"):
        write(data)
    monkeypatch.setenv("TFAUDIT_KEYS_ENTRY_COMMAND", sign)
    tfaudit("verify", "--no-record")
    assert size == len(json_lines(tfaudit("log", "--json", "--since", "1w").stdout)) - 1
    assert "does not come from the data directory" in (
        tfaudit("key", "rotate", "entry", "--yes", code=2).stderr
    )


def test_a_key_from_a_file_is_followed_by_one_from_a_file(
    tfaudit: Tfaudit, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the old one still configured the log is refused; with the new one it goes on."""
    write(data)
    new = tmp_path / "new.pem"
    new.write_text(pem())
    new.chmod(0o600)
    old = tmp_path / "old.pem"
    shutil.copy(data / "keys" / "checkpoint.pem", old)
    monkeypatch.setenv("TFAUDIT_KEYS_CHECKPOINT_FILE", str(old))
    tfaudit("key", "rotate", "checkpoint", "--yes", "--to-file", new)
    with pytest.raises(ConfigError, match="If a key was rotated, give the new one"):
        write(data)
    monkeypatch.setenv("TFAUDIT_KEYS_CHECKPOINT_FILE", str(new))
    write(data)
    tfaudit("verify")
    assert "is one that this log has or had" in (
        tfaudit("key", "rotate", "checkpoint", "--yes", "--to-file", old, code=2).stderr
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--to-command", "sign"],
        ["--to-public", "AAAA"],
        ["--to-file", "f", "--to-command", "c", "--to-public", "p"],
    ],
)
def test_a_new_key_is_named_once(tfaudit: Tfaudit, options: list[str]) -> None:
    """A command needs its public key, and stands alone."""
    refused = tfaudit("key", "rotate", "entry", "--yes", *options, code=2)
    assert "name the new key once" in refused.stderr


# ---------------------------------------------------------------- lost


def test_another_key_can_not_be_called_the_lost_one(tfaudit: Tfaudit, data: Path) -> None:
    """The lost key is the one that signed the log's end."""
    write(data)
    (data / "keys" / "entry.pem").unlink()
    stranger = base64.b64encode(THIEF.public_key().public_bytes_raw()).decode()
    refused = tfaudit("key", "rotate", "entry", "--yes", "--lost", stranger, code=2)
    assert "did not sign the log's end" in refused.stderr


def test_a_lost_checkpoint_key_is_followed_on_the_entry_keys_word(
    tfaudit: Tfaudit, data: Path, tmp_path: Path
) -> None:
    """And every verification says so, in words and in JSON."""
    write(data)
    keys = public_keys(tfaudit, tmp_path / "keys.json")
    vkey = json.loads(keys.read_text())["checkpoint"]["vkey"]
    (data / "keys" / "checkpoint.pem").unlink()
    tfaudit("key", "rotate", "checkpoint", "--yes", "--lost", vkey)
    write(data)
    verified = json.loads(tfaudit("verify", "--json", "--key", keys).stdout)
    assert any("its predecessor was lost" in each for each in verified["unchecked"])
    assert "its predecessor was lost" in tfaudit("verify", "--key", keys).stderr


@pytest.mark.parametrize(("purpose", "is_in_force", "step"), CUTS)
def test_a_rotation_of_a_lost_key_that_is_cut_short_is_done_or_can_be_done_again(
    data: Path,
    tfaudit: Tfaudit,
    purpose: Purpose,
    is_in_force: bool,
    step: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """Before the entry stands nothing starts, as before; from then on all goes on by itself."""
    write(data)
    public = ring_of(data).signer(purpose).public_key
    verifiers = public_keys(tfaudit, data.parent / "keys.json")
    (data / "keys" / f"{purpose}.pem").unlink()
    config = settings(data, None)
    with pytest.MonkeyPatch.context() as patch, suppress(Cut, UnavailableError):
        step(patch)
        run(_rotation.rotate(config, purpose, _rotation.Successor(), public))
    tfaudit("verify", "--no-record", "--key", verifiers)  # before anything settles it
    if not is_in_force:
        with pytest.raises(ConfigError, match=rf"{purpose}\.pem is missing"):
            write(data)
        assert not (data / "keys" / f"{purpose}.pem").exists()
        run(_rotation.rotate(config, purpose, _rotation.Successor(), public))
    write(data)
    assert {} == ring_of(data).pending
    assert public != ring_of(data).signer(purpose).public_key
    shown = json.loads(tfaudit("verify", "--json", "--key", verifiers).stdout)
    assert any("its predecessor was lost" in each for each in shown["unchecked"])
    (line,) = json_lines(tfaudit("log", "--json", "--event", "key.rotated").stdout)
    assert line["entry"]["key"]["lost"]


def test_after_a_lost_checkpoint_key_all_that_it_signed_is_still_the_logs(
    tfaudit: Tfaudit, data: Path, tmp_path: Path
) -> None:
    """Proofs of growth from before, tiles that were exported then, and the word of witnesses."""
    write(data)
    tfaudit("export", "--format", "tiles", "-o", tmp_path / "tiles")
    verifier = NoteVerifier.parse(ring_of(data).vkey)
    size = int((data / "checkpoint.last").read_text().split("\n")[1])
    with Asked(tmp_path, verifier, 1) as asked:
        (who,) = asked.listed
        text, _ = split_note((data / "checkpoint.last").read_text())
        line = asked.cosigners[0].cosign(text, asked.now)
        note = (data / "checkpoint.last").read_text() + line
    (data / "checkpoint.cosigned").write_text(note)
    (data / "keys" / "checkpoint.pem").unlink()
    tfaudit("key", "rotate", "checkpoint", "--yes", "--lost", verifier.vkey)
    tfaudit("export", "--format", "tiles", "-o", tmp_path / "tiles")
    config = tmp_path / "tfaudit.toml"
    config.write_text(
        f'[data]\ndirectory = "{data}"\n'
        f'[witness]\nask = ["http://127.0.0.1:1 {who.verifier.vkey}"]\n'
    )

    async def work() -> None:
        async with opened(settings(None, config)) as program:
            grown = await program.proofs.prove_growth(caller("test"), size)
            assert size == grown.old.size
            assert program.cosigned.newest is not None
            assert note == program.cosigned.newest.note

    run(work())


def test_the_ids_of_keys_are_those_of_signatures(tfaudit: Tfaudit, data: Path) -> None:
    """What is listed is what stands beside an entry."""
    tfaudit("key", "rotate", "entry", "--yes")
    rows = json.loads(tfaudit("key", "list", "--json").stdout)["keys"]
    (line,) = json_lines(tfaudit("log", "--json", "--event", "key.rotated").stdout)
    assert (
        rows[1]["key_id"] == line["signature"]["key_id"] == key_id(ring_of(data).entry.public_key)
    )
